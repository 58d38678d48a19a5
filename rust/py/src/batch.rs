//! The data of a batch as Python hands them over, for all calls that take one.

use std::borrow::Cow;

use isoloss_core::expr::Expression;
use isoloss_core::fit::{Batch, Constraints, MAX_ITERATIONS, Objective};
use numpy::{PyReadonlyArray1, PyReadonlyArrayDyn};

use crate::arrays::{dense, indices, slices};
use crate::errors::Failure;

/// Indices, or offsets, where they are given.
type Places<'a, 'py> = &'a Option<PyReadonlyArray1<'py, i64>>;

/// Columns, targets and weights with what says which of them a problem takes; borrowed where they lie.
pub(crate) struct Given<'a> {
    columns: Vec<Cow<'a, [f64]>>,
    targets: Cow<'a, [f64]>,
    weights: Option<Cow<'a, [f64]>>,
    target_index: Option<Vec<usize>>,
    weight_index: Option<Vec<usize>>,
    offsets: Option<Vec<usize>>,
}

impl<'a> Given<'a> {
    pub(crate) fn new(
        columns: &'a [PyReadonlyArray1<'_, f64>],
        targets: &'a PyReadonlyArrayDyn<'_, f64>,
        weights: Option<&'a PyReadonlyArrayDyn<'_, f64>>,
        (target_index, weight_index): (Places<'_, '_>, Places<'_, '_>),
        offsets: Places<'_, '_>,
    ) -> Result<Self, Failure> {
        let places = |name: &str, given: Places<'_, '_>| given.as_ref().map(|i| indices(name, i)).transpose();
        Ok(Self {
            columns: slices(columns)?,
            targets: dense(targets)?,
            weights: weights.map(dense).transpose()?,
            target_index: places("target_index", target_index)?,
            weight_index: places("weight_index", weight_index)?,
            offsets: places("offsets", offsets)?,
        })
    }

    /// The columns, as a batch refers to them.
    pub(crate) fn columns(&self) -> Vec<&[f64]> {
        self.columns.iter().map(AsRef::as_ref).collect()
    }

    /// The batch of so many problems as there are starts.
    pub(crate) fn batch<'b>(
        &'b self,
        law: &'b Expression,
        columns: &'b [&'b [f64]],
        starts: &'b [f64],
        constraints: &'b Constraints,
        objective: Objective,
    ) -> Batch<'b> {
        Batch {
            law,
            columns,
            targets: &self.targets,
            target_index: self.target_index.as_deref(),
            weights: self.weights.as_deref(),
            weight_index: self.weight_index.as_deref(),
            offsets: self.offsets.as_deref(),
            starts,
            constraints,
            objective,
            deltas: None,
            max_iterations: MAX_ITERATIONS,
        }
    }
}
