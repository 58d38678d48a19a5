//! Whole parts and remainders.

/// The largest whole number that is not above `x`.
#[inline(always)]
#[must_use]
pub fn floor(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x.floor() }
}

/// The remainder of `a / b` with the sign of `b`, as Python's `%`; NaN for a zero divisor and for infinities.
///
/// Exact before its last rounding while the quotient is below 2^53, as for any count: `a - q b` is one fused step.
#[inline(always)]
#[must_use]
pub fn modulo(a: f64, b: f64) -> f64 {
    let quotient = (a / b).floor();
    let rest = (-quotient).mul_add(b, a);
    // The rounded quotient may be a whole number above or below the true one.
    let rest = if (rest != 0.0) & ((rest < 0.0) != (b < 0.0)) { rest + b } else { rest };
    let rest = if rest.abs() >= b.abs() { rest - b } else { rest };
    if rest.is_nan() { f64::NAN } else { rest }
}
