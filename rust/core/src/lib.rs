//! The engine of `isoloss`: scaling laws as expressions, fitted by the million.
//!
//! One idea runs through the crate: **a law is an expression, everything else is a batch of problems**.
//!
//! ```text
//! text ──parse──> graph ──rewrite──> solver form ──derive──> value, gradient, curvature ──lower──> block program
//!                                                                                                      │
//! rows, weights, targets, starts  ─────────────────────────────────────────────>  fit (lanes = problems or rows)
//! ```
//!
//! * [`expr`] turns the text of a law into a block program with exact derivatives.
//! * [`simd`] holds the elementary functions and picks the instruction set at run time.
//! * [`fit`] minimises robust objectives for many problems at once, eight to a vector.
//! * [`search`] finds the best cells of Cartesian grids, and what lies near them.
//! * [`sample`] makes resampling weights from counter-based random streams.
//! * [`job`] runs long work on a pool that can be interrupted and reports progress.
//!
//! ```
//! use isoloss_core::expr::Expression;
//!
//! let law = Expression::parse("E + A / N**alpha", &["N"], &[])?;
//! assert_eq!(law.parameters(), ["E", "A", "alpha"]);
//! let loss = law.evaluate(&[&[1e8, 1e9]], &[1.7, 400.0, 0.34])?;
//! assert!((loss[0] - (1.7 + 400.0 / 1e8f64.powf(0.34))).abs() < 1e-12);
//! # Ok::<(), isoloss_core::Error>(())
//! ```

mod error;
pub mod expr;
pub mod fit;
pub mod job;
pub mod sample;
pub mod search;
pub mod simd;

pub use error::{Error, Result};
