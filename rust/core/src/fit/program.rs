//! From a law, its data's columns and its parameters' constraints to a program for the lanes.
//!
//! Nodes are split by how often they change: column-only nodes are computed here, once per data set; parameter-only
//! nodes once per problem and iteration; the rest for every point. Derivatives are sums over points of
//! coefficient × node, and whatever depends on parameters alone is taken out of those sums: for Chinchilla's law
//! the gradient and curvature in five parameters need six sums of `c2 · node` and fourteen of `c1 · node · node`.

use std::collections::HashMap;

use super::data::{Data, Rows};
use super::objective::{Objective, Space};
use super::reduction::Reduction;
use crate::error::Result;
use crate::expr::{
    Binary, Columns, Coordinates, Deriver, Expression, Graph, Id, Node, Rate, Rewritten, Shift, Src, Tape, Unary,
    rewrite,
};

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

/// A sum over points, or one.
pub(crate) type Sum = Option<usize>;

/// One entry of the gradient: `factor · sum`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Lane value that multiplies the sum; none for one.
    pub(crate) factor: Option<usize>,
    /// Index of the accumulator; none for the plain sum of the coefficient.
    pub(crate) sum: Sum,
    /// The derivative is zero throughout.
    pub(crate) zero: bool,
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
    /// Once per problem: inputs are all parameters (internal), then constants.
    pub(crate) lane: Tape,
    /// Which parameter each leading input of the lane tape is.
    pub(crate) lane_parameters: Vec<usize>,
    pub(crate) lane_constants: Vec<f64>,
    /// How many of the lane tape's outputs are spread over the points' blocks; the rest are factors.
    pub(crate) spread: usize,
    /// Per point: inputs are the columns, then what was spread, then constants.
    pub(crate) point: Tape,
    pub(crate) point_constants: Vec<f64>,
    pub(crate) prediction: Src,
    pub(crate) reduction: Reduction,
    pub(crate) accumulators: usize,
    pub(crate) gradient: Vec<Entry>,
    /// `c2` part of the curvature, packed lower triangle.
    pub(crate) second: Vec<Entry>,
    /// `c1` part: accumulator of `X_j · X_k`, packed lower triangle.
    pub(crate) outer: Vec<Sum>,
    /// Accumulator of `majorant · X_j²`, where the damping needs it.
    pub(crate) diagonal: Vec<Option<Sum>>,
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
            program.point.inputs.iter().copied().filter(|&id| graph.rate(id) == Rate::Column).collect();
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
        let layout = Layout::new(&mut graph, root, &free);
        let program = layout.program(objective, p, free, coordinates, shifts, unitless, amplitude);
        (graph, root, program)
    }
}

/// A derivative as `factor · node`: what depends on parameters alone, and the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    factor: Id,
    node: Option<Id>,
}

struct Layout<'a> {
    graph: &'a mut Graph,
    root: Id,
    first: Vec<Split>,
    second: Vec<Split>,
    /// The distinct point nodes of the first derivatives, then those that only second derivatives need.
    nodes: Vec<Id>,
    outer_nodes: usize,
    column_inputs: Vec<Id>,
    problem_inputs: Vec<Id>,
}

impl<'a> Layout<'a> {
    fn new(graph: &'a mut Graph, root: Id, free: &[usize]) -> Self {
        let mut deriver = Deriver::default();
        let first: Vec<Id> = free.iter().map(|&j| deriver.derive(graph, root, j as u32)).collect();
        let mut second = Vec::new();
        for j in 0..free.len() {
            for &k in &free[..=j] {
                second.push(deriver.derive(graph, first[j], k as u32));
            }
        }
        let first: Vec<Split> = first.into_iter().map(|id| split(graph, id)).collect();
        let second: Vec<Split> = second.into_iter().map(|id| split(graph, id)).collect();
        let mut nodes: Vec<Id> = Vec::new();
        let mut list = |splits: &[Split]| {
            for id in splits.iter().filter_map(|s| s.node) {
                if !nodes.contains(&id) {
                    nodes.push(id);
                }
            }
            nodes.len()
        };
        let outer_nodes = list(&first);
        list(&second);
        let mut layout = Self {
            graph,
            root,
            first,
            second,
            nodes,
            outer_nodes,
            column_inputs: Vec::new(),
            problem_inputs: Vec::new(),
        };
        layout.find_inputs();
        layout
    }

    /// Column-only and parameter-only nodes on the edge of the point program.
    fn find_inputs(&mut self) {
        let mut seen = vec![false; self.graph.len()];
        let mut stack: Vec<Id> = self.nodes.iter().rev().copied().chain([self.root]).collect();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            match self.graph.rate(id) {
                Rate::Constant => {}
                Rate::Column => self.column_inputs.push(id),
                Rate::Problem => self.problem_inputs.push(id),
                Rate::Point => stack.extend(self.graph.operands(id)),
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of a Program, each named by its field
    fn program(
        self,
        objective: Objective,
        parameters: usize,
        free: Vec<usize>,
        coordinates: Coordinates,
        shifts: Vec<Vec<(Shift, usize)>>,
        unitless: Vec<bool>,
        amplitude: Vec<bool>,
    ) -> Program {
        let graph = &*self.graph;
        // Point program: the prediction first, then every node that a sum needs.
        let mut wanted = vec![self.root];
        wanted.extend(&self.nodes);
        let order: Vec<Id> = self.column_inputs.iter().chain(&self.problem_inputs).copied().collect();
        let point = Tape::build_with(graph, &wanted, &order, true);
        let point_constants = constants(graph, &point, order.len());
        let place: HashMap<Id, Src> = wanted.iter().copied().zip(point.outputs.iter().copied()).collect();

        // Lane program: what the points need, then the factors of the sums.
        let mut lane_outputs = self.problem_inputs.clone();
        let spread = lane_outputs.len();
        let mut factor_index = |id: Id| -> Option<usize> {
            if graph.is(id, 1.0) {
                return None;
            }
            let known = lane_outputs[spread..].iter().position(|&f| f == id);
            Some(
                spread
                    + known.unwrap_or_else(|| {
                        lane_outputs.push(id);
                        lane_outputs.len() - 1 - spread
                    }),
            )
        };

        let sum_of = |node: Option<Id>| -> Sum {
            node.map(|id| self.nodes.iter().position(|&n| n == id).expect("every split node is listed"))
        };
        let mut entry =
            |s: &Split| Entry { factor: factor_index(s.factor), sum: sum_of(s.node), zero: graph.is(s.factor, 0.0) };
        let gradient: Vec<Entry> = self.first.iter().map(&mut entry).collect();
        let second: Vec<Entry> = self.second.iter().map(&mut entry).collect();

        let mut reduction = Reduction {
            nodes: self.nodes.iter().map(|id| place[id]).collect(),
            outer: self.outer_nodes,
            squares: Vec::new(),
        };
        let mut outer = Vec::new();
        for j in 0..free.len() {
            for k in 0..=j {
                outer.push(match (sum_of(self.first[j].node), sum_of(self.first[k].node)) {
                    (None, None) => None,
                    (Some(a), None) | (None, Some(a)) => Some(reduction.single(a)),
                    (Some(a), Some(b)) => Some(reduction.pair(a, b)),
                });
            }
        }
        let mut diagonal: Vec<Option<Sum>> = vec![None; free.len()];
        for j in (0..free.len()).filter(|&j| !unitless[j]) {
            diagonal[j] = Some(sum_of(self.first[j].node).map(|node| {
                reduction.squares.push(node);
                reduction.square(reduction.squares.len() - 1)
            }));
        }

        // What comes after the law's own are means.
        let parameters_first: Vec<Id> =
            (0..graph.params_end().max(parameters as u32)).filter_map(|j| graph.find_param(j)).collect();
        let lane = Tape::build_with(graph, &lane_outputs, &parameters_first, true);
        let lane_constants = constants(graph, &lane, parameters_first.len());
        let lane_parameters = parameters_first
            .iter()
            .map(|&id| match graph.node(id) {
                Node::Param(j) => j as usize,
                _ => unreachable!("only parameters were listed"),
            })
            .collect();
        Program {
            objective,
            parameters,
            free,
            coordinates,
            shifts,
            own: Vec::new(),
            unitless,
            amplitude,
            columns: Vec::new(),
            lane,
            lane_parameters,
            lane_constants,
            spread,
            prediction: point.outputs[0],
            point,
            point_constants,
            accumulators: reduction.count(),
            reduction,
            gradient,
            second,
            outer,
            diagonal,
        }
    }
}

/// The values of the constants that a tape takes as inputs after the first `known`.
fn constants(graph: &Graph, tape: &Tape, known: usize) -> Vec<f64> {
    tape.inputs[known..]
        .iter()
        .map(|&id| graph.constant_value(id).expect("what is not listed as an input is a constant"))
        .collect()
}

/// Takes out of a derivative the factors that are the same for every point.
fn split(graph: &mut Graph, id: Id) -> Split {
    match graph.rate(id) {
        Rate::Constant | Rate::Problem => return Split { factor: id, node: None },
        Rate::Column | Rate::Point => {}
    }
    let whole = |graph: &mut Graph| Split { factor: graph.constant(1.0), node: Some(id) };
    match graph.node(id) {
        Node::Unary(Unary::Neg, a) => {
            let Split { factor, node } = split(graph, a);
            Split { factor: graph.neg(factor), node }
        }
        Node::Binary(Binary::Mul, a, b) => {
            let (left, right) = (split(graph, a), split(graph, b));
            if graph.is(left.factor, 1.0) && graph.is(right.factor, 1.0) {
                return whole(graph);
            }
            let factor = graph.mul(left.factor, right.factor);
            let node = match (left.node, right.node) {
                (Some(x), Some(y)) => Some(graph.mul(x, y)),
                (x, y) => x.or(y),
            };
            Split { factor, node }
        }
        Node::Binary(Binary::Div, a, b) if graph.rate(b) <= Rate::Problem => {
            let Split { factor, node } = split(graph, a);
            Split { factor: graph.div(factor, b), node }
        }
        _ => whole(graph),
    }
}
