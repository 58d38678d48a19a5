//! Elementary functions as straight-line code: no branch, no table, no call.

/// The polynomial `c0 + c1 x + c2 x² + …` by Horner's rule with fused steps.
macro_rules! polynomial {
    ($x:expr; $last:expr) => { $last };
    ($x:expr; $first:expr, $($rest:expr),+) => {
        f64::mul_add(polynomial!($x; $($rest),+), $x, $first)
    };
}

mod erf;
mod exp;
mod log;
mod pow;
#[cfg(test)]
mod tests;

pub use erf::erf;
pub use exp::{exp, expit, expm1, tanh};
pub use log::{ln, log1p, log2, log10};
pub use pow::pow;

/// Square root, correctly rounded; NaN below zero.
#[inline(always)]
#[must_use]
pub fn sqrt(x: f64) -> f64 {
    if x >= 0.0 { x.sqrt() } else { f64::NAN }
}
