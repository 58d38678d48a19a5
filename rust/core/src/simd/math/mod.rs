//! Elementary functions as straight-line code: no branch, no table, no call.

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
#[cfg(test)]
mod oracle;
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
    // Of |x|: the optimiser may drop a select between NaN and a root that is NaN anyway, with its own sign.
    let y = if x == 0.0 { x } else { x.abs().sqrt() };
    if x >= 0.0 { y } else { f64::NAN }
}
