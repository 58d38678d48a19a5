//! A batch of problems: what it is, and whether it can be run.

use super::objective::{Loss, Objective, Space};
use super::program::Constraints;
use crate::error::{Error, Result};
use crate::expr::{Expression, shape};

/// Iterations after which a fit is given up, unless the caller says otherwise.
pub const MAX_ITERATIONS: u32 = 500;

/// Problems that share a law, columns and constraints, and differ in start, targets, weights or rows.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// The law.
    pub law: &'a Expression,
    /// The law's columns, in its order, each over all rows.
    pub columns: &'a [&'a [f64]],
    /// Targets, natural values: sets × rows.
    pub targets: &'a [f64],
    /// Which set of targets each problem takes; none for the first, or one each if there are as many.
    pub target_index: Option<&'a [usize]>,
    /// Weights: sets × rows; none for one each. A row of weight zero is absent.
    pub weights: Option<&'a [f64]>,
    /// Which set of weights each problem takes, as for targets.
    pub weight_index: Option<&'a [usize]>,
    /// Panels: problem `b` owns the rows from `offsets[b]` to `offsets[b + 1]`.
    pub offsets: Option<&'a [usize]>,
    /// Starting points, natural values: problems × parameters.
    pub starts: &'a [f64],
    /// How parameters may move.
    pub constraints: &'a Constraints,
    /// What is minimised.
    pub objective: Objective,
    /// A `delta` for each problem, in place of the loss's.
    pub deltas: Option<&'a [f64]>,
    /// Iterations after which a fit is given up.
    pub max_iterations: u32,
}

/// The results of a batch, by problem.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fits {
    /// Problems × parameters, natural values.
    pub parameters: Vec<f64>,
    /// The objective at them.
    pub value: Vec<f64>,
    /// How each fit ended, as the code of a [`Status`].
    pub status: Vec<u8>,
    /// Trial steps taken.
    pub iterations: Vec<u32>,
    /// Problems × parameters: -1 at the lower bound, 1 at the upper, else 0.
    pub at_bound: Vec<i8>,
}

impl Batch<'_> {
    /// The rows of a problem, of so many in all: the first and the one after the last.
    pub(super) fn range(&self, problem: usize, rows: usize) -> (usize, usize) {
        match self.offsets {
            Some(offsets) => (offsets[problem], offsets[problem + 1]),
            None => (0, rows),
        }
    }

    /// Of targets in sets over all rows, the set that a problem takes.
    pub(super) fn targets_of<'t>(&self, targets: &'t [f64], problem: usize, rows: usize) -> &'t [f64] {
        set(targets, self.target_index, problem, rows)
    }

    /// The weights of a problem, over all rows.
    pub(super) fn weights_of(&self, problem: usize, rows: usize) -> Option<&[f64]> {
        self.weights.map(|weights| set(weights, self.weight_index, problem, rows))
    }

    /// Whether the batch can be run; gives its number of problems and of rows.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] or [`Error::Option`], naming what is wrong.
    pub(super) fn check(&self) -> Result<(usize, usize)> {
        let p = self.law.parameters().len();
        if p == 0 {
            return Err(Error::Option("the law has no parameter to fit".to_owned()));
        }
        if !self.starts.len().is_multiple_of(p) {
            return Err(Error::Option(format!(
                "the starts hold {} numbers, not a multiple of the {p} parameters",
                self.starts.len()
            )));
        }
        let problems = self.starts.len() / p;
        let rows = match self.offsets {
            Some(offsets) => {
                shape("the offsets", offsets.len(), problems + 1)?;
                if let Some(b) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
                    return Err(Error::Option(format!("the offsets fall from problem {b} to the next")));
                }
                shape("the rows that the offsets cover", self.targets.len(), offsets[problems])?;
                self.targets.len()
            }
            None => self.columns.first().map_or(self.targets.len(), |column| column.len()),
        };
        shape("the list of columns", self.columns.len(), self.law.variables().len())?;
        for (name, column) in self.law.variables().iter().zip(self.columns) {
            shape(name, column.len(), rows)?;
            finite(name, column)?;
        }
        let sets = |what: &str, values: &[f64], index: Option<&[usize]>| -> Result<()> {
            if rows == 0 || values.is_empty() || !values.len().is_multiple_of(rows) {
                return shape(what, values.len(), rows.max(1));
            }
            let count = values.len() / rows;
            match index {
                Some(index) => {
                    shape(&format!("the index of {what}"), index.len(), problems)?;
                    match index.iter().position(|&i| i >= count) {
                        Some(b) => Err(Error::Option(format!(
                            "problem {b} asks for set {} of {what}, which have {count}",
                            index[b]
                        ))),
                        None => Ok(()),
                    }
                }
                None if count == 1 => Ok(()),
                None => shape(what, values.len(), problems * rows),
            }
        };
        sets("the targets", self.targets, self.target_index)?;
        finite("the targets", self.targets)?;
        if let Some(weights) = self.weights {
            sets("the weights", weights, self.weight_index)?;
            check(weights, "the weights", "a weight is finite and not negative", (0.0, f64::MAX))?;
        }
        if self.objective.loss == Loss::Binomial {
            if self.objective.space != Space::Raw {
                return Err(Error::Option("the binomial loss has its own likelihood: its space is raw".to_owned()));
            }
            check(self.targets, "the targets", "a fraction passed lies between 0 and 1", (0.0, 1.0))?;
        }
        match self.objective.space {
            Space::Raw => {}
            Space::Log => check(self.targets, "the targets", "its logarithm is taken", (f64::from_bits(1), f64::MAX))?,
            Space::Logit => {
                let limits = (f64::from_bits(1), 1.0 - 0.5 * f64::EPSILON);
                check(self.targets, "the targets", "its logit is taken, so it lies between 0 and 1", limits)?;
            }
        }
        if let Some(deltas) = self.deltas {
            shape("the deltas", deltas.len(), problems)?;
            check(deltas, "delta", "a width is positive and finite", (f64::from_bits(1), f64::MAX))?;
        }
        self.check_constraints(p)?;
        Ok((problems, rows))
    }

    fn check_constraints(&self, p: usize) -> Result<()> {
        let c = self.constraints;
        shape("log_scale", c.log_scale.len(), p)?;
        shape("lower", c.lower.len(), p)?;
        shape("upper", c.upper.len(), p)?;
        shape("fixed", c.fixed.len(), p)?;
        shape("tied", c.tied.len(), p)?;
        for (j, name) in self.law.parameters().iter().enumerate() {
            let (lower, upper) = (c.lower[j], c.upper[j]);
            if !(lower <= upper) {
                return Err(Error::Option(format!(
                    "the bounds of {name} are {lower} and {upper}: nothing lies between"
                )));
            }
            if c.log_scale[j] && !(upper > 0.0) {
                return Err(Error::Option(format!("{name} is positive, but its upper bound is {upper}")));
            }
            let to = c.tied[j];
            if to >= p || c.tied[to] != to {
                return Err(Error::Option(format!("{name} is tied to a parameter that is itself tied or absent")));
            }
        }
        if let Some(fault) = self.objective.loss.fault() {
            return Err(Error::Option(fault));
        }
        for (index, &value) in self.starts.iter().enumerate() {
            let j = c.tied[index % p];
            let name = &self.law.parameters()[index % p];
            if !value.is_finite() || (c.log_scale[j] && value <= 0.0) {
                return Err(Error::Value {
                    what: format!("the start of {name}"),
                    value,
                    index: index / p,
                    reason: if value.is_finite() { "the parameter is positive" } else { "a start is a finite number" },
                });
            }
        }
        Ok(())
    }
}

/// The set that a problem takes, of sets of so many numbers: by its index, or its own if each has one.
fn set<'t>(sets: &'t [f64], index: Option<&[usize]>, problem: usize, rows: usize) -> &'t [f64] {
    let at = match index {
        Some(index) => index[problem],
        None if sets.len() == rows => 0,
        None => problem,
    };
    &sets[at * rows..(at + 1) * rows]
}

/// Whether all values lie between two limits, or on them.
fn check(values: &[f64], what: &str, reason: &'static str, (low, high): (f64, f64)) -> Result<()> {
    // All at once first, which vectorises; the culprit is looked for only if there is one.
    if count_within(crate::expr::level()?, values, low, high) == values.len() {
        return Ok(());
    }
    match values.iter().position(|&value| !(value >= low && value <= high)) {
        Some(index) => Err(Error::Value { what: what.to_owned(), value: values[index], index, reason }),
        None => Ok(()),
    }
}

#[inline(always)]
fn count(values: &[f64], low: f64, high: f64) -> usize {
    let mut within = 0;
    for &value in values {
        let both = u64::from(value >= low) & u64::from(value <= high);
        within += both as usize;
    }
    within
}

crate::dispatch! {
    fn count_within<'a>(values: &'a [f64], low: f64, high: f64) -> usize = count;
}

fn finite(what: &str, values: &[f64]) -> Result<()> {
    check(values, what, "only finite numbers can be fitted", (-f64::MAX, f64::MAX))
}
