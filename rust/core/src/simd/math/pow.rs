//! Powers: [`pow`], by logarithm and exponential with a double-double product between them.

use super::exp::{TAME, exp_sum, exp_sum_tame};
use super::log::{any_wild, ln_double, ln_double_normal};

/// Doubles of this size and more are all integers, and adding it rounds smaller ones to integers.
const TWO_52: f64 = 4503599627370496.0;

/// Whether `size`, which is not negative, is an integer.
#[inline(always)]
fn is_integer(size: f64) -> bool {
    (size >= TWO_52) | ((size + TWO_52) - TWO_52 == size)
}

/// `x^y`, with the special cases of IEEE 754.
///
/// For whole blocks [`pow_each`] is faster and gives the same bits.
#[inline(always)]
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    let (log, low) = logarithm(x);
    power(x, y, log, low)
}

/// `out[i] = pow(x[i], y[i])`, the same bits. Special values, signs and results that are not normal are seen to only in a
/// block that has any. In two passes, which overlap better in the processor than one long one.
#[inline(always)]
pub fn pow_each<const N: usize>(x: &[f64; N], y: &[f64; N], out: &mut [f64; N]) {
    let mut low = [0.0; N];
    for i in 0..N {
        (out[i], low[i]) = ln_double_normal(x[i]);
    }
    let mut wild = any_wild(x);
    for i in 0..N {
        wild |= !((y[i] * out[i]).abs() <= TAME);
    }
    if wild {
        for i in 0..N {
            (out[i], low[i]) = logarithm(x[i]);
        }
        for i in 0..N {
            out[i] = power(x[i], y[i], out[i], low[i]);
        }
    } else {
        for i in 0..N {
            let (product, low) = times(y[i], out[i], low[i]);
            out[i] = exp_sum_tame(product, low);
        }
    }
}

/// `y` times a logarithm, as an unevaluated sum.
#[inline(always)]
fn times(y: f64, log: f64, log_low: f64) -> (f64, f64) {
    let product = y * log;
    (product, y.mul_add(log_low, y.mul_add(log, -product)))
}

/// `ln |x|` as an unevaluated sum; at zero and infinity its limit.
#[inline(always)]
fn logarithm(x: f64) -> (f64, f64) {
    let size = x.abs();
    let (log, low) = ln_double(size);
    let log = if size > f64::MAX { f64::INFINITY } else { log };
    let log = if size == 0.0 { f64::NEG_INFINITY } else { log };
    (log, low)
}

/// `x^y` from the logarithm of |x|.
#[inline(always)]
fn power(x: f64, y: f64, log: f64, log_low: f64) -> f64 {
    let size = x.abs();
    let (product, low) = times(y, log, log_low);
    // Beyond these bounds the result is infinite or zero and the low part may be inf - inf.
    let low = if product.abs() < 800.0 { low } else { 0.0 };
    let value = exp_sum(product, low);
    let value = if (size == 1.0) | (y == 0.0) { 1.0 } else { value };

    let whole = is_integer(y.abs());
    let odd = whole & !is_integer(0.5 * y.abs());
    let signed = if odd { value.copysign(x) } else { value };
    let undefined = (x < 0.0) & (x > f64::NEG_INFINITY) & !whole;
    let result = if undefined | x.is_nan() | y.is_nan() { f64::NAN } else { signed };
    if (x == 1.0) | (y == 0.0) { 1.0 } else { result }
}
