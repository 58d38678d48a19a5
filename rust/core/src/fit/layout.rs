//! Which sums over points make the derivatives of a law.
//!
//! Gradient and curvature of `Σ ρ(m_i)` are sums over points of coefficient × node: `c2 · ∂m/∂θ_j`, and
//! `c1 · ∂m/∂θ_j · ∂m/∂θ_k + c2 · ∂²m/∂θ_j∂θ_k`. Whatever depends on parameters alone is taken out of those sums: for
//! Chinchilla's law the gradient and curvature in five parameters need six sums of `c2 · node` and fourteen of
//! `c1 · node · node`.
//!
//! In a law such as `E + (A/N^a + B/D^b)^k` most parameters act through one node `v`, the sum in parentheses. Written
//! out, every pair of them has a second derivative of its own. By the chain rule all pairs share two coefficients,
//!
//! ```text
//! Σ (c1 m_v² + c2 m_vv) v_j v_k + c2 m_v v_jk,
//! ```
//!
//! so that only the derivatives of `v` are summed, with other coefficients. With parameters that act beside `v` pairs
//! are joined by `Σ (c1 m_v m_k + c2 m_vk) v_j`. A law is laid out in this way where that makes less work.

use std::collections::HashMap;

use super::chain::{Chain, Cross};
use super::reduction::Reduction;
use crate::expr::{Binary, By, Deriver, Graph, Id, Node, Rate, Src, Tape, Unary};

/// A sum over points; none for the plain sum of the coefficient.
pub(crate) type Sum = Option<usize>;

/// One entry of a gradient: `factor · sum`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Lane value that multiplies the sum; none for one.
    pub(crate) factor: Option<usize>,
    pub(crate) sum: Sum,
    /// The derivative is zero throughout.
    pub(crate) zero: bool,
}

/// Derivatives of one node by the free parameters, and the sums that they make.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) reduction: Reduction,
    /// Its first accumulator; sums count from there.
    pub(crate) from: usize,
    pub(crate) gradient: Vec<Entry>,
    /// `c2` part of the curvature, packed lower triangle.
    pub(crate) second: Vec<Entry>,
    /// `c1` part: sums of `X_j · X_k`, packed lower triangle.
    pub(crate) outer: Vec<Sum>,
    /// Sums of `majorant · X_j²`, where the damping needs it.
    pub(crate) diagonal: Vec<Option<Sum>>,
}

/// What is computed once per problem and for every point, and what is summed.
#[derive(Debug)]
pub(crate) struct Code {
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
    /// The law's own derivatives; then those of the node in `chain`, if there is one.
    pub(crate) families: Vec<Family>,
    pub(crate) chain: Option<Chain>,
    /// How many sums there are.
    pub(crate) accumulators: usize,
    /// Pairs of free parameters, packed lower triangle, by which the law has a second derivative.
    pub(crate) curved: Vec<bool>,
}

/// A derivative as `factor · node`: what depends on parameters alone, and the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    factor: Id,
    node: Option<Id>,
}

/// The derivatives of one node by the free parameters.
#[derive(Debug)]
struct Slopes {
    first: Vec<Split>,
    /// Packed lower triangle.
    second: Vec<Split>,
    /// The distinct point nodes of the first derivatives, then those that only second derivatives need.
    nodes: Vec<Id>,
    outer: usize,
}

impl Slopes {
    /// By first derivatives that are known.
    fn new(graph: &mut Graph, deriver: &mut Deriver, first: &[Id], free: &[usize]) -> Self {
        let mut second = Vec::new();
        for j in 0..free.len() {
            for &k in &free[..=j] {
                second.push(deriver.derive(graph, first[j], By::Param(k as u32)));
            }
        }
        let first = first.iter().map(|&id| split(graph, id)).collect();
        let second = second.into_iter().map(|id| split(graph, id)).collect();
        let mut slopes = Self { first, second, nodes: Vec::new(), outer: 0 };
        slopes.list();
        slopes
    }

    fn list(&mut self) {
        let Self { first, second, nodes, outer } = self;
        let mut add = |splits: &[Split]| {
            for id in splits.iter().filter_map(|s| s.node) {
                if !nodes.contains(&id) {
                    nodes.push(id);
                }
            }
            nodes.len()
        };
        *outer = add(first);
        add(second);
    }

    /// The same with a node of ones where there is none.
    fn with_ones(mut self, graph: &mut Graph) -> Self {
        let (zero, one) = (graph.constant(0.0), graph.constant(1.0));
        for split in self.first.iter_mut().chain(&mut self.second).filter(|split| split.factor != zero) {
            split.node.get_or_insert(one);
        }
        self.nodes.clear();
        self.list();
        self
    }

    fn place(&self, node: Option<Id>) -> Sum {
        node.map(|id| self.nodes.iter().position(|&n| n == id).expect("every split node is listed"))
    }

    /// Sums for these derivatives, of which those that `have_units` are damped by the majorant.
    fn family(&self, place: &HashMap<Id, Src>, factors: &mut Factors<'_>, have_units: &[bool], from: usize) -> Family {
        let mut entry = |s: &Split| Entry {
            factor: factors.index(s.factor),
            sum: self.place(s.node),
            zero: factors.graph.is(s.factor, 0.0),
        };
        let gradient: Vec<Entry> = self.first.iter().map(&mut entry).collect();
        let second: Vec<Entry> = self.second.iter().map(&mut entry).collect();
        let mut reduction = Reduction {
            nodes: self.nodes.iter().map(|id| place[id]).collect(),
            outer: self.outer,
            singles: from == 0,
            squares: Vec::new(),
        };
        let mut outer = Vec::new();
        for j in 0..gradient.len() {
            for k in 0..=j {
                outer.push(match (gradient[j].sum, gradient[k].sum) {
                    (None, None) => None,
                    (Some(a), None) | (None, Some(a)) => Some(reduction.single(a)),
                    (Some(a), Some(b)) => Some(reduction.pair(a, b)),
                });
            }
        }
        let mut diagonal: Vec<Option<Sum>> = vec![None; gradient.len()];
        for j in (0..gradient.len()).filter(|&j| have_units[j] && !gradient[j].zero) {
            diagonal[j] = Some(gradient[j].sum.map(|node| {
                reduction.squares.push(node);
                reduction.square(reduction.squares.len() - 1)
            }));
        }
        Family { reduction, from, gradient, second, outer, diagonal }
    }
}

/// A node that parameters act through.
#[derive(Debug)]
struct Through {
    node: Id,
    /// The law's first and second derivative by the node.
    slope: Id,
    bend: Id,
    inside: Slopes,
    /// For each parameter that also acts beside the node: the derivative by it, and that by both.
    crosses: Vec<(usize, Split, Option<Id>)>,
}

/// The nodes whose sums are the derivatives of a law.
#[derive(Debug)]
pub(super) struct Layout {
    root: Id,
    free: Vec<usize>,
    have_units: Vec<bool>,
    direct: Slopes,
    through: Option<Through>,
}

/// Nodes that are tried.
const CANDIDATES: usize = 4;
/// Share of the work without a chain above which none is made.
const WORTH: f64 = 0.9;

impl Layout {
    /// The layout that makes the least work.
    pub(super) fn best(graph: &mut Graph, root: Id, free: &[usize], unitless: &[bool]) -> Self {
        let mut layouts = Self::all(graph, root, free, unitless).into_iter();
        let mut best = layouts.next().expect("the first layout does without a chain");
        let mut least = WORTH * best.work(graph);
        for layout in layouts {
            let work = layout.work(graph);
            if work < least {
                (best, least) = (layout, work);
            }
        }
        best
    }

    /// The layout without a chain, then those through nodes that are worth a try.
    fn all(graph: &mut Graph, root: Id, free: &[usize], unitless: &[bool]) -> Vec<Self> {
        let have_units: Vec<bool> = unitless.iter().map(|&unitless| !unitless).collect();
        let mut deriver = Deriver::default();
        let first: Vec<Id> = free.iter().map(|&j| deriver.derive(graph, root, By::Param(j as u32))).collect();
        let direct = Slopes::new(graph, &mut deriver, &first, free);
        let plain = Self { root, free: free.to_vec(), have_units, direct, through: None };
        let nodes = candidates(graph, root, free);
        let through: Vec<Self> =
            nodes.into_iter().filter_map(|node| plain.through(graph, &mut deriver, node)).collect();
        std::iter::once(plain).chain(through).collect()
    }

    /// The same law with its derivatives taken through a node; none where that does not help.
    fn through(&self, graph: &mut Graph, deriver: &mut Deriver, node: Id) -> Option<Self> {
        let free = &self.free;
        let mut holding = Deriver::holding(node);
        let slope = holding.derive(graph, self.root, By::Held);
        let bend = holding.derive(graph, slope, By::Held);
        if graph.is(bend, 0.0) {
            return None;
        }
        let beside: Vec<Id> = free.iter().map(|&j| holding.derive(graph, self.root, By::Param(j as u32))).collect();
        let inside: Vec<Id> = free.iter().map(|&j| deriver.derive(graph, node, By::Param(j as u32))).collect();
        let mut crosses = Vec::new();
        for j in 0..free.len() {
            if graph.is(beside[j], 0.0) {
                continue;
            }
            // The majorant's diagonal is the sum of a square, whose parts on either side do not add up.
            if self.have_units[j] && !graph.is(inside[j], 0.0) {
                return None;
            }
            let mixed = holding.derive(graph, beside[j], By::Held);
            let (own, both) = (split(graph, beside[j]), split(graph, mixed));
            crosses.push(match both.node {
                _ if graph.is(mixed, 0.0) => (j, own, None),
                Some(node) if own.factor == both.factor => (j, own, Some(node)),
                _ => (j, whole(graph, beside[j]), Some(mixed)),
            });
        }
        let direct = Slopes::new(graph, &mut holding, &beside, free);
        let inside = Slopes::new(graph, deriver, &inside, free).with_ones(graph);
        let through = Some(Through { node, slope, bend, inside, crosses });
        Some(Self { root: self.root, free: free.clone(), have_units: self.have_units.clone(), direct, through })
    }

    /// What the point program computes for the sums.
    fn wanted(&self) -> Vec<Id> {
        let mut wanted = vec![self.root];
        wanted.extend(&self.direct.nodes);
        if let Some(Through { slope, bend, inside, crosses, .. }) = &self.through {
            wanted.extend([slope, bend]);
            wanted.extend(&inside.nodes);
            wanted.extend(crosses.iter().flat_map(|(_, own, both)| own.node.into_iter().chain(*both)));
        }
        wanted
    }

    /// Roughly the instructions per point.
    fn work(&self, graph: &Graph) -> f64 {
        let mut seen = vec![false; graph.len()];
        let mut stack = self.wanted();
        let mut work = 0.0;
        while let Some(id) = stack.pop() {
            if graph.rate(id) != Rate::Point || std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            stack.extend(graph.operands(id));
            work += match graph.node(id) {
                Node::Binary(Binary::Div, ..) | Node::Unary(Unary::Sqrt, _) => 4.0,
                Node::Binary(Binary::Pow, ..) => 30.0,
                Node::Unary(Unary::Neg | Unary::Abs | Unary::Square | Unary::Hold | Unary::Floor, _)
                | Node::Binary(..)
                | Node::Select(..) => 1.0,
                Node::Root { .. } | Node::Over { .. } => 200.0,
                _ => 12.0,
            };
        }
        let triangle = |n: usize| (n * (n + 1) / 2) as f64;
        let sums = |slopes: &Slopes| slopes.nodes.len() as f64 + triangle(slopes.outer);
        work += sums(&self.direct) + self.direct.outer as f64;
        if let Some(through) = &self.through {
            // Coefficients of their own: four operations for the node's, two or three for each of the others.
            work += 5.0 + sums(&through.inside) + (through.crosses.len() * (2 + through.inside.outer)) as f64;
        }
        work
    }

    /// Column-only and parameter-only nodes on the edge of the point program.
    fn inputs(&self, graph: &Graph) -> (Vec<Id>, Vec<Id>) {
        let (mut columns, mut problem) = (Vec::new(), Vec::new());
        let mut seen = vec![false; graph.len()];
        let mut stack = self.wanted();
        stack.reverse();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            match graph.rate(id) {
                Rate::Constant => {}
                Rate::Column => columns.push(id),
                Rate::Problem => problem.push(id),
                Rate::Point => stack.extend(graph.operands(id)),
            }
        }
        (columns, problem)
    }

    /// The programs and sums, for a law of so many parameters.
    pub(super) fn code(&self, graph: &Graph, parameters: usize) -> Code {
        // Point program: the prediction first, then every node that a sum needs.
        let (column_inputs, problem_inputs) = self.inputs(graph);
        let wanted = self.wanted();
        let order: Vec<Id> = column_inputs.iter().chain(&problem_inputs).copied().collect();
        let point = Tape::build_with(graph, &wanted, &order, true);
        let place: HashMap<Id, Src> = wanted.iter().copied().zip(point.outputs.iter().copied()).collect();

        // Lane program: what the points need, then the factors of the sums.
        let spread = problem_inputs.len();
        let mut factors = Factors { graph, spread, outputs: problem_inputs };
        let mut families = vec![self.direct.family(&place, &mut factors, &self.have_units, 0)];
        let mut accumulators = families[0].reduction.count();
        let chain = self.through.as_ref().map(|through| {
            let family = through.inside.family(&place, &mut factors, &self.have_units, accumulators);
            accumulators += family.reduction.count();
            families.push(family);
            let bend = place[&through.bend];
            let mut crosses = Vec::new();
            for &(parameter, own, both) in &through.crosses {
                let (node, mixed) = (own.node.map(|id| place[&id]), both.map(|id| place[&id]));
                let factor = factors.index(own.factor);
                crosses.push(Cross { parameter, factor, node, mixed, from: accumulators });
                accumulators += through.inside.outer;
            }
            Chain { node: through.node, slope: place[&through.slope], bend, crosses }
        });
        let curved = self.curved(graph);

        // What comes after the law's own are means.
        let parameters_first: Vec<Id> =
            (0..graph.params_end().max(parameters as u32)).filter_map(|j| graph.find_param(j)).collect();
        let lane = Tape::build_with(graph, &factors.outputs, &parameters_first, true);
        let lane_parameters = parameters_first
            .iter()
            .map(|&id| match graph.node(id) {
                Node::Param(j) => j as usize,
                _ => unreachable!("only parameters were listed"),
            })
            .collect();
        Code {
            lane_constants: constants(graph, &lane, parameters_first.len()),
            lane,
            lane_parameters,
            spread,
            prediction: point.outputs[0],
            point_constants: constants(graph, &point, order.len()),
            point,
            families,
            chain,
            accumulators,
            curved,
        }
    }

    fn curved(&self, graph: &Graph) -> Vec<bool> {
        let acts = |split: &Split| !graph.is(split.factor, 0.0);
        let mut curved: Vec<bool> = self.direct.second.iter().map(acts).collect();
        if let Some(Through { inside, crosses, .. }) = &self.through {
            let mixed = |j: usize| crosses.iter().any(|&(k, _, both)| j == k && both.is_some());
            for j in 0..self.free.len() {
                for k in 0..=j {
                    let (left, right) = (acts(&inside.first[j]), acts(&inside.first[k]));
                    curved[j * (j + 1) / 2 + k] |= left && (right || mixed(k)) || right && mixed(j);
                }
            }
        }
        curved
    }
}

/// Outputs of the lane program: what is spread over points, then factors, each once.
struct Factors<'a> {
    graph: &'a Graph,
    spread: usize,
    outputs: Vec<Id>,
}

impl Factors<'_> {
    /// Where a factor is; none for one.
    fn index(&mut self, id: Id) -> Option<usize> {
        if self.graph.is(id, 1.0) {
            return None;
        }
        let known = self.outputs[self.spread..].iter().position(|&f| f == id);
        Some(known.map_or_else(
            || {
                self.outputs.push(id);
                self.outputs.len() - 1
            },
            |place| self.spread + place,
        ))
    }
}

/// What something curved is taken of, and a fair share of the parameters act through: a sum, or the base of a power;
/// outermost first.
fn candidates(graph: &Graph, root: Id, free: &[usize]) -> Vec<Id> {
    let mut found: Vec<Id> = Vec::new();
    for id in graph.needed(vec![root]) {
        let (under, base) = match graph.node(id) {
            Node::Unary(Unary::Neg | Unary::Hold | Unary::Abs | Unary::Floor, _) => continue,
            Node::Unary(_, a) | Node::Binary(Binary::Div, _, a) => (a, false),
            Node::Binary(Binary::Pow, a, _) => (a, true),
            _ => continue,
        };
        let suits = match graph.node(under) {
            Node::Binary(Binary::Add | Binary::Sub, ..) | Node::Over { .. } | Node::Root { .. } => true,
            Node::Binary(Binary::Mul | Binary::Div, ..) => base,
            _ => false,
        };
        if !suits || graph.rate(under) != Rate::Point || graph.is_local(under) || found.contains(&under) {
            continue;
        }
        let acting = graph.params_of(under).into_iter().filter(|&p| free.contains(&(p as usize))).count();
        if acting >= 2 && 2 * acting >= free.len() {
            found.push(under);
            if found.len() == CANDIDATES {
                break;
            }
        }
    }
    found
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
    match graph.node(id) {
        Node::Unary(Unary::Neg, a) => {
            let Split { factor, node } = split(graph, a);
            Split { factor: graph.neg(factor), node }
        }
        Node::Binary(Binary::Mul, a, b) => {
            let (left, right) = (split(graph, a), split(graph, b));
            if graph.is(left.factor, 1.0) && graph.is(right.factor, 1.0) {
                return whole(graph, id);
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
        _ => whole(graph, id),
    }
}

/// A derivative from which nothing is taken out.
fn whole(graph: &mut Graph, id: Id) -> Split {
    Split { factor: graph.constant(1.0), node: Some(id) }
}

#[cfg(test)]
mod tests;
