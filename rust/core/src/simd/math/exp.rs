//! Exponentials: [`exp`], [`expm1`] and the functions made of them, [`tanh`] and [`expit`].

/// 1 / ln 2.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 = `LN2_HI + LN2_LO`, to about 106 bits.
const LN2_HI: f64 = std::f64::consts::LN_2;
const LN2_LO: f64 = 2.3190468138462996e-17;

/// Adding this rounds to an integer, which then stands in the low bits of the sum, `BIAS` added.
///
/// It is 1.5 · 2^52, where one unit in the last place is 1, plus twice the exponent bias of doubles.
const MAGIC: f64 = ROUND + 2046.0;
/// The same without the bias.
const ROUND: f64 = 6755399441055744.0;
/// Up to this size of `x`, `e^x` and every power of two on the way to it are normal numbers.
pub(super) const TAME: f64 = 700.0;

/// `x` split as `k ln 2 + r` with `k` an integer and |r| ≤ ln 2 / 2: the pair of `k + MAGIC` and `r`.
#[inline(always)]
fn reduce(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(LOG2_E, MAGIC);
    let k = shifted - MAGIC;
    let r = k.mul_add(-LN2_LO, k.mul_add(-LN2_HI, x));
    (shifted, r)
}

/// `(exp(r) - 1 - r) / r²` for |r| ≤ ln 2 / 2, so that `exp(r)` is right to 2^-57.9.
#[inline(always)]
fn tail(r: f64) -> f64 {
    polynomial!(r;
        0.5000000000000011, 0.1666666666666641, 0.04166666666652973, 0.00833333333349498,
        0.0013888888943759893, 0.0001984126950576604, 2.480149294966484e-05,
        2.755758681128235e-06, 2.76303062479615e-07, 2.5000016377887137e-08)
}

/// `y · 2^k`, rounded once, where `shifted = k + MAGIC` and |k| ≤ 1100.
///
/// The factor is applied as two powers of two with exponents ⌊k/2⌋ and ⌈k/2⌉, each a normal number, so
/// that overflow and gradual underflow are those of the last multiplication.
#[inline(always)]
fn scale(y: f64, shifted: f64) -> f64 {
    let bits = shifted.to_bits();
    let half = bits >> 1;
    let first = f64::from_bits(half << 52);
    let second = f64::from_bits(bits.wrapping_sub(half) << 52);
    y * first * second
}

/// `y · 2^k` where `shifted = k + ROUND`, and both `y` and the result are normal: exact, by adding to the exponent.
#[inline(always)]
fn scale_tame(y: f64, shifted: f64) -> f64 {
    f64::from_bits(y.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// [`exp_sum`], bit for bit, where |x| ≤ [`TAME`].
#[inline(always)]
pub(super) fn exp_sum_tame(x: f64, low: f64) -> f64 {
    let shifted = x.mul_add(LOG2_E, ROUND);
    let k = shifted - ROUND;
    let head = k.mul_add(-LN2_HI, x);
    let rest = k.mul_add(-LN2_LO, low);
    let r = head + rest;
    let r_low = rest - (r - head);
    scale_tame(1.0 + (r + (r * r).mul_add(tail(r), r_low)), shifted)
}

/// [`exp`], bit for bit, where |x| ≤ [`TAME`].
#[inline(always)]
fn exp_tame(x: f64) -> f64 {
    let shifted = x.mul_add(LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = k.mul_add(-LN2_LO, k.mul_add(-LN2_HI, x));
    scale_tame(1.0 + (r * r).mul_add(tail(r), r), shifted)
}

/// `out[i] = exp(x[i])`, the same bits. Limits, subnormal results and NaN are seen to only in a block that has any.
#[inline(always)]
pub fn exp_each<const N: usize>(x: &[f64; N], out: &mut [f64; N]) {
    for i in 0..N {
        out[i] = exp_tame(x[i]);
    }
    let mut wild = false;
    for i in 0..N {
        wild |= !(x[i].abs() <= TAME);
    }
    if wild {
        for i in 0..N {
            out[i] = exp(x[i]);
        }
    }
}

/// `exp(x + low)` for a `low` below one unit in the last place of `x`, without NaN handling.
#[inline(always)]
pub(super) fn exp_sum(x: f64, low: f64) -> f64 {
    let x = if x < -746.0 { -746.0 } else { x };
    let x = if x > 710.0 { 710.0 } else { x };
    let shifted = x.mul_add(LOG2_E, MAGIC);
    let k = shifted - MAGIC;
    let head = k.mul_add(-LN2_HI, x);
    let rest = k.mul_add(-LN2_LO, low);
    let r = head + rest;
    let r_low = rest - (r - head);
    scale(1.0 + (r + (r * r).mul_add(tail(r), r_low)), shifted)
}

/// `e^x`.
#[inline(always)]
#[must_use]
pub fn exp(x: f64) -> f64 {
    let clamped = if x < -746.0 { -746.0 } else { x };
    let clamped = if clamped > 710.0 { 710.0 } else { clamped };
    let (shifted, r) = reduce(clamped);
    let y = scale(1.0 + (r * r).mul_add(tail(r), r), shifted);
    if x.is_nan() { f64::NAN } else { y }
}

/// `e^x - 1` for `x ≥ -50`, not NAN; below 2^-54 in size the result may lose subnormal bits.
#[inline(always)]
fn expm1_core(x: f64) -> f64 {
    let (shifted, r) = reduce(x);
    let p = (r * r).mul_add(tail(r), r);
    // 2^(k-1), doubled at the end: 2^k alone overflows for the largest results.
    let half = f64::from_bits((shifted.to_bits().wrapping_sub(1024)) << 52);
    half.mul_add(p, half - 0.5) * 2.0
}

/// `e^x - 1`, accurate near zero.
#[inline(always)]
#[must_use]
pub fn expm1(x: f64) -> f64 {
    let clamped = if x < -50.0 { -50.0 } else { x };
    let clamped = if clamped > 710.0 { 710.0 } else { clamped };
    let y = expm1_core(clamped);
    let y = if x.abs() < 1e-17 { x } else { y };
    if x.is_nan() { f64::NAN } else { y }
}

/// Hyperbolic tangent.
#[inline(always)]
#[must_use]
pub fn tanh(x: f64) -> f64 {
    let size = x.abs();
    let clamped = if size > 20.0 { 20.0 } else { size };
    let t = expm1_core(2.0 * clamped);
    let y = t / (t + 2.0);
    let y = if size < 1e-17 { size } else { y };
    if x.is_nan() { f64::NAN } else { y.copysign(x) }
}

/// Logistic function `1 / (1 + e^-x)`, accurate in both tails.
#[inline(always)]
#[must_use]
pub fn expit(x: f64) -> f64 {
    let e = exp(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}
