//! From a law, its data's columns and its parameters' constraints to a program for the lanes.
//!
//! Nodes are split by how often they change: column-only nodes are computed here, once per data set; parameter-only
//! nodes once per problem and iteration; the rest for every point. How derivatives become sums over points is
//! [`layout`](super::layout)'s to say.

use super::data::{Data, Rows};
use super::layout::{Code, Layout};
use super::objective::{Objective, Space};
use crate::error::Result;
use crate::expr::{Columns, Coordinates, Expression, Graph, Id, Rate, Rewritten, Shift, rewrite};

/// How the parameters of a law may move; all in natural values, in the order of the law's parameters.
#[derive(Debug, Clone)]
pub struct Constraints {
    /// Positive, and solved as a logarithm.
    pub log_scale: Vec<bool>,
    /// Lower bounds; minus infinity for none.
    pub lower: Vec<f64>,
    /// Upper bounds; infinity for none.
    pub upper: Vec<f64>,
    /// Keeps the value it starts with.
    pub fixed: Vec<bool>,
    /// Index of the parameter that this one equals; its own where free.
    pub tied: Vec<usize>,
}

impl Constraints {
    /// No constraint on any of `count` parameters.
    pub fn none(count: usize) -> Self {
        Self {
            log_scale: vec![false; count],
            lower: vec![f64::NEG_INFINITY; count],
            upper: vec![f64::INFINITY; count],
            fixed: vec![false; count],
            tied: (0..count).collect(),
        }
    }
}

/// What compiling gives.
#[derive(Debug)]
pub(crate) enum Compiled {
    /// A program for all problems asked.
    Whole(Box<Program>),
    /// They need different ones: those that are true here, and the others.
    Split(Vec<bool>),
}

/// A law ready for the lanes.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) objective: Objective,
    pub(crate) parameters: usize,
    /// The free parameters, by index into the law's.
    pub(crate) free: Vec<usize>,
    pub(crate) coordinates: Coordinates,
    /// `ln A = a' + Σ shift · p` per parameter.
    pub(crate) shifts: Vec<Vec<(Shift, usize)>>,
    /// Means that each problem has for itself, by problem. The lanes hold them after the parameters.
    pub(crate) own: Vec<Vec<f64>>,
    /// Damped by a common scale, since a logarithm or an exponent of a ratio has no unit.
    pub(crate) unitless: Vec<bool>,
    /// Positive, and the law is linear in it: a factor of one of its terms.
    pub(crate) amplitude: Vec<bool>,
    /// Column-only values, each over all rows.
    pub(crate) columns: Vec<Vec<f64>>,
    /// What is computed from them, and summed.
    pub(crate) code: Code,
}

impl Program {
    /// How many numbers a lane holds: parameters, then the problem's own means.
    pub(crate) fn held(&self) -> usize {
        self.parameters + self.own.len()
    }

    /// A shift of a problem's amplitude.
    #[inline(always)]
    pub(crate) fn shift(&self, shift: Shift, problem: usize) -> f64 {
        let mean = shift.parameter.map_or(1.0, |p| self.own[p as usize - self.parameters][problem]);
        shift.factor * mean
    }

    /// The program for the data at hand.
    pub(crate) fn compile(
        law: &Expression,
        rows: Rows<'_>,
        constraints: &Constraints,
        objective: Objective,
    ) -> Result<Compiled> {
        law.check_inner(rows.columns)?;
        let mut data = Data::new(law, rows);
        let (graph, _, mut program) = Self::build(law, &mut data, constraints, objective);
        if let Some(answers) = data.split() {
            return Ok(Compiled::Split(answers));
        }
        let inputs: Vec<Id> =
            program.code.point.inputs.iter().copied().filter(|&id| graph.rate(id) == Rate::Column).collect();
        program.columns = data.evaluate(&graph, &inputs)?;
        program.own = data.into_own();
        Ok(Compiled::Whole(Box::new(program)))
    }

    /// All but the values of the columns; with the graph, and the law's value in it.
    pub(crate) fn build(
        law: &Expression,
        data: &mut dyn Columns,
        constraints: &Constraints,
        objective: Objective,
    ) -> (Graph, Id, Self) {
        let p = law.parameters().len();
        let free: Vec<usize> = (0..p).filter(|&j| constraints.tied[j] == j && !constraints.fixed[j]).collect();
        let coordinates = Coordinates {
            log: constraints.log_scale.clone(),
            tied: constraints.tied.clone(),
            pivotable: (0..p)
                .map(|j| {
                    let bounded = constraints.lower[j] > 0.0 || constraints.upper[j] < f64::INFINITY;
                    let shared = (0..p).any(|k| k != j && constraints.tied[k] == j);
                    constraints.log_scale[j] && free.contains(&j) && !bounded && !shared
                })
                .collect(),
        };
        let log_root = objective.space == Space::Log;
        let Rewritten { mut graph, root, root_is_log, pivots } =
            rewrite(&law.graph, law.root, &coordinates, data, log_root);
        let mut objective = objective;
        if root_is_log {
            // The targets arrive transformed, so the exponent is compared with them as it is.
            objective.space = Space::Raw;
        }
        let shifts: Vec<Vec<(Shift, usize)>> = pivots.into_iter().map(|pivot| pivot.0).collect();
        let exponent = |j: usize| shifts.iter().any(|shift| shift.iter().any(|&(_, k)| k == j));
        let unitless: Vec<bool> = free.iter().map(|&j| constraints.log_scale[j] || exponent(j)).collect();
        let amplitude = free.iter().map(|&j| constraints.log_scale[j] && law.linear()[j]).collect();
        let code = Layout::best(&mut graph, root, &free, &unitless).code(&graph, p);
        let program = Self {
            objective,
            parameters: p,
            free,
            coordinates,
            shifts,
            own: Vec::new(),
            unitless,
            amplitude,
            columns: Vec::new(),
            code,
        };
        (graph, root, program)
    }
}
