//! Whole parts and remainders.

/// The largest whole number that is not above `x`.
#[inline(always)]
#[must_use]
pub fn floor(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x.floor() }
}

/// Beyond this a quotient has no digits behind the point.
const WHOLE: f64 = 9007199254740992.0;

/// The remainder of `a / b` with the sign of `b`, as Python's `%`; NaN for a zero divisor and an infinite `a`.
///
/// `a - q b` is one fused step with the rounded quotient `q`, which may be a whole number above the true one but never
/// below it. Where [`is_far`] holds the quotient is not known to the last digit: [`modulo_far`] is to be used.
#[inline(always)]
#[must_use]
pub fn modulo(a: f64, b: f64) -> f64 {
    let quotient = (a / b).floor();
    let rest = (-quotient).mul_add(b, a);
    let rest = if (rest != 0.0) & ((rest < 0.0) != (b < 0.0)) { rest + b } else { rest };
    if rest.is_nan() { f64::NAN } else { rest }
}

/// Whether [`modulo`] does not give the remainder: the quotient is beyond 2^53, or the divisor infinite.
#[inline(always)]
#[must_use]
pub fn is_far(a: f64, b: f64) -> bool {
    !((a / b).abs() < WHOLE) | b.is_infinite()
}

/// As [`modulo`] for any quotient: by long division, bit by bit, of which the remainder is exact.
#[must_use]
pub fn modulo_far(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let rest = if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest };
    if rest.is_nan() { f64::NAN } else { rest }
}
