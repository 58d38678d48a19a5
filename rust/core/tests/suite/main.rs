//! Tests of the engine through its public interface: one binary, since every further one would be linked anew.
//!
//! Random cases come from fixed seeds; `PROPTEST_RNG_SEED=7 PROPTEST_CASES=10000` tries others.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod bits;
mod common;
mod derivatives;
mod far_sums;
mod limits;
mod reference;
mod refusals;
mod results;
mod roots;
mod rows;
mod scatter;
mod search;
mod solver_form;
mod stopping;
mod sums;
mod trees;
mod units;
mod valleys;
mod words;
