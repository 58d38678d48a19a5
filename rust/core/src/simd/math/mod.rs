//! Elementary functions as straight-line code: no branch, no table, no call.
//!
//! Each takes and returns one `f64`. Called in a loop over a block they become vector code; every operation in
//! them is correctly rounded and none may be reordered, so the bits do not depend on the instruction set.
//!
//! # Accuracy
//!
//! Errors are in units of the last place (ulp) of the true result; the bounds are asserted by the tests against
//! double-double references, over 10^5 to 2·10^6 points each, and hold for subnormal arguments and results too.
//! A correctly rounded function has a bound of 0.5.
//!
//! | function | bound, ulp | method |
//! |---|---|---|
//! | [`exp`] | 1.1 | `x = k ln 2 + r`, polynomial of degree 11 in `r`, scaled by 2^k |
//! | [`expm1`] | 2.5 | the same, `2^k (e^r - 1) + (2^k - 1)` |
//! | [`tanh`] | 3 | `t / (t + 2)` with `t = e^2x - 1` |
//! | [`expit`] | 2.5 | `1 / (1 + e)` or `e / (1 + e)` with `e = exp(-abs(x))` |
//! | [`ln`] | 1 | `x = 2^k m`, odd series in `s = (m - 1) / (m + 1)` |
//! | [`log1p`] | 1.5 | the same for the rounded `1 + x`, its rounding error put back |
//! | [`softplus`] | 3 | `max(x, 0) + log1p(exp(-abs(x)))` |
//! | [`log2`], [`log10`] | 0.51 | double-double logarithm; exact at powers of two and of ten |
//! | [`erf`] | 2 | odd polynomial below 1, `1 - exp(polynomial)` above |
//! | [`pow`] | 1.1 | double-double logarithm and product, exponential with a correction |
//! | [`sqrt`], [`floor`] | 0.5, 0 | the instruction |
//! | [`modulo`] | 0.5 | fused remainder of the rounded quotient; beyond a quotient of 2^53 [`modulo_far`] |
//!
//! [`exp_each`], [`ln_each`] and [`pow_each`] give the same bits for whole blocks, faster.
//!
//! Special values are those of IEEE 754-2019 §9.2: infinities, signed zeros, `pow(0, 0) = 1`, a negative base
//! with an integer exponent, gradual underflow. A NaN result always has the bits of [`f64::NAN`], whatever NaN
//! came in: which of two NaN operands survives an operation is up to the compiler.
//!
//! # Mathematics
//!
//! Argument reductions are the classical ones of W. J. Cody and W. Waite, *Software Manual for the Elementary
//! Functions* (1980); double-double sums and products follow J.-M. Muller et al., *Handbook of Floating-Point
//! Arithmetic* (2nd ed. 2018), ch. 4 and 5; polynomial coefficients were computed for this file by the Remez
//! exchange in 300-bit arithmetic, weighted so that the error relative to the result is least, and then rounded.

/// The polynomial `c0 + c1 x + c2 x² + …` by Estrin's scheme with fused steps.
///
/// Neighbouring coefficients are joined in pairs, which are the coefficients of a polynomial in `x²`, and so
/// on: a few more multiplications than Horner's rule for a third of its latency.
macro_rules! polynomial {
    ($x:expr; $($coefficient:expr),+) => {
        polynomial!(@pairs $x; [] $($coefficient),+)
    };
    (@pairs $x:expr; [$($joined:expr),*] $a:expr, $b:expr $(, $rest:expr)*) => {
        polynomial!(@pairs $x; [$($joined,)* f64::mul_add($b, $x, $a)] $($rest),*)
    };
    (@pairs $x:expr; [$($joined:expr),*] $a:expr) => {
        polynomial!(@pairs $x; [$($joined,)* $a])
    };
    (@pairs $x:expr; [$value:expr]) => { $value };
    (@pairs $x:expr; [$($joined:expr),+]) => {{
        let square = $x * $x;
        polynomial!(@pairs square; [] $($joined),+)
    }};
}

mod erf;
mod exp;
mod log;
mod modulo;
#[cfg(test)]
mod oracle;
mod pow;
#[cfg(test)]
mod special_values;
#[cfg(test)]
mod tests;

pub use erf::erf;
pub use exp::{exp, exp_each, expit, expm1, tanh};
pub use log::{ln, ln_each, log1p, log2, log10, softplus};
pub use modulo::{floor, is_far, modulo, modulo_far};
pub use pow::{pow, pow_each};

/// Square root, correctly rounded; NaN below zero.
#[inline(always)]
#[must_use]
pub fn sqrt(x: f64) -> f64 {
    // Of |x|: the optimiser may drop a select between NaN and a root that is NaN anyway, with its own sign.
    let y = if x == 0.0 { x } else { x.abs().sqrt() };
    if x >= 0.0 { y } else { f64::NAN }
}
