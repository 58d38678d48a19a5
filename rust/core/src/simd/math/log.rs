//! Logarithms: [`ln`], [`log1p`], [`log2`], [`log10`], and the double-double one inside `pow`.

/// ln 2 = `LN2_HI + LN2_LO`; the first has 42 bits, so its product with an exponent is exact.
const LN2_HI: f64 = 0.6931471805598903;
const LN2_LO: f64 = 5.497923018708371e-14;

/// Bits of the largest double below √½, the lower end of the mantissa's range.
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcc;
const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;
const MANTISSA: u64 = 0x000f_ffff_ffff_ffff;
/// A double whose low bits hold an integer, and what it must lose to become that integer's exponent.
const TWO_52: f64 = 4503599627370496.0;

/// A positive finite `x` as `2^k · m` with `m` in [√½, √2): the pair `(k, m)`.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let x = if subnormal { x * 18014398509481984.0 } else { x };
    let bias = if subnormal { TWO_52 + 1077.0 } else { TWO_52 + 1023.0 };
    let bits = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let k = f64::from_bits((bits >> 52) | TWO_52.to_bits()) - bias;
    let m = f64::from_bits((bits & MANTISSA).wrapping_add(SQRT_HALF_BITS));
    (k, m)
}

/// The same of a normal `x`.
#[inline(always)]
fn split_normal(x: f64) -> (f64, f64) {
    let bits = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let k = f64::from_bits((bits >> 52) | TWO_52.to_bits()) - (TWO_52 + 1023.0);
    let m = f64::from_bits((bits & MANTISSA).wrapping_add(SQRT_HALF_BITS));
    (k, m)
}

/// Whether any number is not a normal positive one.
#[inline(always)]
pub(super) fn any_wild<const N: usize>(x: &[f64; N]) -> bool {
    let mut wild = false;
    for i in 0..N {
        wild |= !((x[i] >= f64::MIN_POSITIVE) & (x[i] <= f64::MAX));
    }
    wild
}

/// Replaces `y`, computed from `x` as if positive and finite, by the limit where `x` is neither.
#[inline(always)]
fn limits(x: f64, y: f64) -> f64 {
    let y = if x > f64::MAX { x } else { y };
    let y = if x == 0.0 { f64::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f64::NAN }
}

/// `ln(2^k m) + correction` for a small correction.
#[inline(always)]
fn ln_core((k, m): (f64, f64), correction: f64) -> f64 {
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let series = polynomial!(z;
        0.6666666666666735, 0.3999999999941289, 0.28571428742824395, 0.22222198524658301,
        0.1818356702979699, 0.15313976959453068, 0.1479672834230339);
    // ln(1 + f) = f - s (f - z series): the large part f is exact.
    let small = s.mul_add(z.mul_add(-series, f), -k.mul_add(LN2_LO, correction));
    k.mul_add(LN2_HI, f - small)
}

/// `ln(x)` of positive finite `x` as an unevaluated sum, right to about 2^-65 of its value.
///
/// The second part is below 2^-49 of the first, not below half a unit in its last place: what uses it adds
/// it to something small anyway, and the three dependent additions of a normalisation would cost time.
#[inline(always)]
pub(super) fn ln_double(x: f64) -> (f64, f64) {
    ln_double_core(split(x))
}

/// The same of a normal `x`.
#[inline(always)]
pub(super) fn ln_double_normal(x: f64) -> (f64, f64) {
    ln_double_core(split_normal(x))
}

#[inline(always)]
fn ln_double_core((k, m): (f64, f64)) -> (f64, f64) {
    let f = m - 1.0;
    // s = f / (2 + f) as s + s_low.
    let d = 2.0 + f;
    let d_low = f - (d - 2.0);
    let s = f / d;
    // 1 / (1 + m) is (1 - s) / 2, so the correction needs no second division.
    let s_low = s.mul_add(-0.5, 0.5) * s.mul_add(-d_low, s.mul_add(-d, f));
    let z = s * s;
    let z_low = s.mul_add(2.0 * s_low, s.mul_add(s, -z));
    let cube = s * z;
    let cube_low = s_low.mul_add(z, s.mul_add(z_low, s.mul_add(z, -cube)));
    // 2 atanh(s) = 2 s + s³ (2/3 + z tail); the constant two thirds carries its own low part.
    let tail = z * polynomial!(z;
        0.3999999999999998, 0.28571428571445157, 0.22222222217524976, 0.18181818871726424,
        0.15384556774521674, 0.13336321137310178, 0.11674742890485969, 0.11989644090259133);
    let a = 0.6666666666666666 + tail;
    let a_low = (tail - (a - 0.6666666666666666)) + 3.700743415417188e-17;
    let v = cube * a;
    let v_low = cube_low.mul_add(a, cube.mul_add(a_low, cube.mul_add(a, -v)));
    let log = 2.0f64.mul_add(s, v);
    let log_low = 2.0f64.mul_add(s_low, v_low) + (v - 2.0f64.mul_add(-s, log));
    // k ln 2 is zero or larger than the rest, so the error of the sum comes out exactly.
    let exponent = k * LN2_HI;
    let sum = exponent + log;
    (sum, k.mul_add(LN2_LO, log_low) + (log - (sum - exponent)))
}

/// Natural logarithm.
#[inline(always)]
#[must_use]
pub fn ln(x: f64) -> f64 {
    limits(x, ln_core(split(x), 0.0))
}

/// `out[i] = ln(x[i])`, the same bits. Limits, subnormal arguments and NaN are seen to only in a block that has any.
#[inline(always)]
pub fn ln_each<const N: usize>(x: &[f64; N], out: &mut [f64; N]) {
    for i in 0..N {
        out[i] = ln_core(split_normal(x[i]), 0.0);
    }
    if any_wild(x) {
        for i in 0..N {
            out[i] = ln(x[i]);
        }
    }
}

/// `ln(1 + x)`, accurate near zero.
#[inline(always)]
#[must_use]
pub fn log1p(x: f64) -> f64 {
    let u = 1.0 + x;
    // The rounding error of u, exactly, whichever of 1 and x is the larger.
    let part = u - 1.0;
    let error = (1.0 - (u - part)) + (x - part);
    let y = limits(u, ln_core(split(u), error / u));
    if x.abs() < 1e-17 { x } else { y }
}

/// `ln(1 + e^x)`, which neither overflows nor vanishes early: `max(x, 0) + ln(1 + e^-|x|)`.
#[inline(always)]
#[must_use]
pub fn softplus(x: f64) -> f64 {
    let above = if x > 0.0 { x } else { 0.0 };
    above + log1p(super::exp(-x.abs()))
}

/// Binary logarithm; exact at powers of two.
#[inline(always)]
#[must_use]
pub fn log2(x: f64) -> f64 {
    limits(x, scaled(x, std::f64::consts::LOG2_E, 2.0355273740931033e-17))
}

/// Decimal logarithm; exact at powers of ten.
#[inline(always)]
#[must_use]
pub fn log10(x: f64) -> f64 {
    limits(x, scaled(x, std::f64::consts::LOG10_E, 1.098319650216765e-17))
}

/// `ln(x) (factor + factor_low)`.
#[inline(always)]
fn scaled(x: f64, factor: f64, factor_low: f64) -> f64 {
    let (high, low) = ln_double(x);
    let product = high * factor;
    let error = high.mul_add(factor, -product);
    product + high.mul_add(factor_low, low.mul_add(factor, error))
}
