//! Reference values for the tests, in double-double arithmetic: about 100 bits.
//!
//! Nothing here shares a formula or a constant with the functions under test: the exponential is a Taylor
//! series on a tiny argument, doubled eight times; the logarithm one Newton step on that exponential; the
//! error function a series of positive terms.

use std::ops::{Add, Mul, Neg, Sub};

/// An unevaluated sum of two doubles, the second within half a unit in the last place of the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Double {
    pub(super) high: f64,
    pub(super) low: f64,
}

const LN2: Double = Double { high: std::f64::consts::LN_2, low: 2.319046813846299558e-17 };
const LN10: Double = Double { high: std::f64::consts::LN_10, low: -2.170756223382249351e-16 };
const ONE: Double = Double { high: 1.0, low: 0.0 };

impl Double {
    /// The exact sum of two doubles.
    pub(super) fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    /// The exact product of two doubles.
    pub(super) fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    /// The quotient.
    pub(super) fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self - other * Self::from(first);
        let second = rest.high / other.high;
        let rest = rest - other * Self::from(second);
        Self::sum(first, second) + Self::from(rest.high / other.high)
    }

    /// The product with a power of two.
    fn scaled(self, factor: f64) -> Self {
        Self { high: self.high * factor, low: self.low * factor }
    }
}

impl From<f64> for Double {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = Self::sum(self.high, other.high);
        let low = Self::sum(self.low, other.low);
        let first = Self::sum(high.high, high.low + low.high);
        Self::sum(first.high, first.low + low.low)
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let p = Self::product(self.high, other.high);
        let cross = self.high.mul_add(other.low, self.low * other.high);
        Self::sum(p.high, p.low + cross)
    }
}

/// A value `2^exponent · part`, so that results beyond the range of doubles can be judged too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    part: Double,
    exponent: i32,
}

impl From<Double> for Reference {
    fn from(part: Double) -> Self {
        Self { part, exponent: 0 }
    }
}

/// `2^n` for exponents of normal numbers.
fn power_of_two(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

impl Reference {
    /// How far `y` is from the value, in units of the last place of a double at the value.
    pub(super) fn ulps(self, y: f64) -> f64 {
        let size = self.part.high.abs();
        if size == 0.0 {
            return if y == 0.0 { 0.0 } else { f64::INFINITY };
        }
        let own = ((size.to_bits() >> 52) as i32) - 1023;
        let top = own + self.exponent;
        if top > 1023 {
            return if y.abs() == f64::INFINITY { 0.0 } else { f64::INFINITY };
        }
        // Both sides are scaled to the value's own exponent in steps that stay within range.
        let half = self.exponent / 2;
        let scaled = y * power_of_two(-half) * power_of_two(half - self.exponent);
        let last = (top - 52).max(-1074) - self.exponent;
        let error = Double::from(scaled) - self.part;
        (error.high / power_of_two(last / 2) / power_of_two(last - last / 2)).abs()
    }
}

/// `exp(x) = 2^k (1 + e)`: the pair `(e, k)`, `e` right to its own relative precision.
fn exp_parts(x: Double) -> (Double, i32) {
    let k = (x.high / std::f64::consts::LN_2).round();
    (expm1_series(x - LN2 * Double::from(k)), k as i32)
}

/// `exp(x) - 1` for |x| < 1/2.
fn expm1_series(x: Double) -> Double {
    let r = x.scaled(1.0 / 256.0);
    let mut e = Double::from(0.0);
    for n in (1..=12).rev() {
        // e = r/n (1 + e)
        e = (r * (ONE + e)).over(Double::from(f64::from(n)));
    }
    for _ in 0..8 {
        e = e.scaled(2.0) + e * e;
    }
    e
}

/// `exp(x)` for |x| < 1400.
pub(super) fn exp(x: Double) -> Reference {
    let (e, exponent) = exp_parts(x);
    Reference { part: ONE + e, exponent }
}

/// `exp(x) - 1` for `x` up to 700.
pub(super) fn expm1(x: f64) -> Double {
    let (e, k) = exp_parts(Double::from(x.max(-800.0)));
    if k == 0 {
        return e;
    }
    let power = power_of_two(k.max(-300));
    e.scaled(power) + Double::sum(power, -1.0)
}

/// `ln(x)` for positive `x`, right to its own relative precision.
pub(super) fn ln(x: Double) -> Double {
    if x.high < 1e-290 {
        return ln(x.scaled(power_of_two(200))) - LN2 * Double::from(200.0);
    }
    let k = ((x.high * std::f64::consts::SQRT_2).to_bits() >> 52) as i32 - 1023;
    let k = if x.high > 1e308 { 1024 } else { k };
    let m = x.scaled(power_of_two(-k / 2)).scaled(power_of_two(-k - (-k / 2)));
    let excess = Double::from(m.high - 1.0) + Double::from(m.low);
    // One Newton step: t = m exp(-guess) - 1 is about 2^-53 of the excess.
    let guess = excess.high.ln_1p();
    let t = excess + m * expm1_series(Double::from(-guess));
    let log = Double::from(guess) + t - (t * t).scaled(0.5);
    log + LN2 * Double::from(f64::from(k))
}

/// `ln(1 + x)`.
pub(super) fn log1p(x: f64) -> Double {
    ln(Double::sum(1.0, x))
}

/// `ln(x) / ln 2`.
pub(super) fn log2(x: f64) -> Double {
    ln(Double::from(x)).over(LN2)
}

/// `ln(x) / ln 10`.
pub(super) fn log10(x: f64) -> Double {
    ln(Double::from(x)).over(LN10)
}

/// `x^y` for positive `x`.
pub(super) fn pow(x: f64, y: f64) -> Reference {
    exp(ln(Double::from(x)) * Double::from(y))
}

/// `(exp(2x) - 1) / (exp(2x) + 1)`.
pub(super) fn tanh(x: f64) -> Double {
    let e = expm1(2.0 * x);
    e.over(e + Double::from(2.0))
}

/// `1 / (1 + exp(-x))`.
pub(super) fn expit(x: f64) -> Reference {
    let (e, k) = exp_parts(Double::from(-x.abs()));
    let power = power_of_two(k.max(-300));
    let below = ONE + (ONE + e).scaled(power);
    if x >= 0.0 {
        return ONE.over(below).into();
    }
    Reference { part: (ONE + e).over(below), exponent: k }
}

/// `ln(1 + exp(x))`.
pub(super) fn softplus(x: f64) -> Reference {
    if x < -45.0 {
        // The next term of the series, exp(x) / 2, is below 2^-65 of the first.
        return exp(Double::from(x));
    }
    let (e, k) = exp_parts(Double::from(-x.abs()));
    let below = ONE + (ONE + e).scaled(power_of_two(k.max(-300)));
    (ln(below) + Double::from(x.max(0.0))).into()
}

/// `2/√π exp(-x²) (x + 2x³/3 + 4x⁵/15 + …)`, for |x| ≤ 6.
pub(super) fn erf(x: f64) -> Double {
    let two_over_root_pi = Double { high: std::f64::consts::FRAC_2_SQRT_PI, low: 1.533545961316588e-17 };
    let square = Double::product(x, x);
    let mut term = Double::from(x);
    let mut sum = term;
    for n in 1..400 {
        term = (term * square.scaled(2.0)).over(Double::from(f64::from(2 * n + 1)));
        sum = sum + term;
        if term.high.abs() < 1e-33 * sum.high.abs() {
            break;
        }
    }
    let (e, k) = exp_parts(-square);
    two_over_root_pi * sum * (ONE + e).scaled(power_of_two(k))
}

#[test]
fn agrees_with_published_digits() {
    // e, ln 3 and erf(1/2), each to 32 digits split into two doubles.
    let cases = [
        (exp(ONE).part.scaled(2.0), std::f64::consts::E, 1.4456468917292502e-16),
        (ln(Double::from(3.0)), 1.0986122886681098, -9.07129723500153e-17),
        (erf(0.5), 0.5204998778130465, 1.900077467916287e-17),
    ];
    for (value, high, low) in cases {
        let error = value - Double { high, low };
        assert!(error.high.abs() < 1e-30 * high, "{value:?} against {high} + {low}");
    }
}
