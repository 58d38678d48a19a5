//! Hostile texts for the parser and the compiler of laws, and what must hold for each of them.
//!
//! [`Source`] makes the text of any number out of a seed: sentences of the grammar, published laws with random damage,
//! shapes that grow without bound, and noise. [`try_text`] takes one text through everything that the core does with a
//! text from a stranger: parse, evaluate, differentiate, describe, fit and search. It may return refusals; it may not
//! panic. Time and memory are watched by whoever calls it: the program `hostile` of this crate on a stable toolchain,
//! `cargo fuzz` (see `rust/fuzz`) on a nightly one.

mod source;
mod targets;
#[cfg(test)]
mod tests;

pub use source::Source;
pub use targets::{Outcome, try_text};
