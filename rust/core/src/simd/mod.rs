//! Vector code without intrinsics: one scalar source, compiled for each instruction set.
//!
//! * [`level`] names the instruction-set levels, detects them, and runs a [`Kernel`] compiled for one.
//! * [`math`] holds elementary functions written as straight-line arithmetic, so that a plain loop over
//!   them becomes vector code at whatever level surrounds it.
//!
//! The bits of every result are the same at all levels: only correctly rounded operations are used
//! (`+ - * /`, square root and [`f64::mul_add`]), in an order the source fixes, and NaN has one pattern.
//!
//! # How to write a kernel
//!
//! Code takes on the instruction set of the function it is *inlined into*, so everything between
//! [`Level::run`] and the arithmetic must be `#[inline(always)]`. Loops are plain index loops over
//! fixed-size blocks; iterator adaptors that take closures are separate functions which the compiler may
//! decide not to inline, and then fall back to baseline code.

pub mod level;
#[allow(clippy::needless_bitwise_bool)] // `&&` is a branch until the optimiser says otherwise
pub mod math;

pub use level::{Kernel, Level};
