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
//! [`Level::run`] and the arithmetic must be `#[inline(always)]`. A function handed over as a value is
//! called through a shim that need not be inlined: a kernel names what it calls, or a macro does.
//!
//! Loops run by index over one flat slice, `block.as_flattened()` for a block of rows of eight. A nested
//! loop over `[[f64; 8]; K]` has its inner eight steps unrolled before they could become one vector
//! instruction, and is 3 to 15 times slower for the longer functions. A loop should do one thing: two
//! loops over a block that stays in the first-level cache overlap better than one with twice the work.

#[allow(unsafe_code)]
// the only place in the workspace: calls of functions compiled for what the machine was seen to have
pub mod level;
#[allow(clippy::needless_bitwise_bool)] // `&&` is a branch until the optimiser says otherwise
pub mod math;

pub use level::{Kernel, Level};
