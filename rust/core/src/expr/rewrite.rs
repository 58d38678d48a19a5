//! From the user's coordinates to the solver's.
//!
//! A law is rewritten, exactly, into a form in which it is cheap and well conditioned:
//!
//! * a positive parameter `A` is solved as `a = ln A`;
//! * a product of powers whose exponents hold parameters becomes one exponential of a sum,
//!   `A / N**alpha = exp(a - alpha ln N)`: one transcendental per term and no overflow on the way;
//! * the columns in that sum are centred, and the amplitude is taken at the centre of the data (a *pivot*):
//!   `exp(a' - alpha (ln N - m))` with `a' = a - alpha m`. Without it `ln A` and `alpha` correlate at 0.999;
//! * under a logarithmic residual a law that is one such product is compared by its exponent alone.
//!
//! Only what is known to be positive is put under a logarithm: positive parameters, and columns (or expressions of
//! columns) that are positive on every row of the data at hand.

use std::collections::HashMap;

use super::graph::{Binary, Graph, Id, Node, Rate, Unary};
use super::stable::{self, Host, Scaled, is_log};

/// What is taken out of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mean {
    /// One number for all problems.
    Shared(f64),
    /// Each problem has its own: it stands in a column and in a number per problem, which the graph sees as a parameter
    /// that nobody fits. Either is listed after the law's own.
    Own { column: u32, parameter: u32 },
}

/// A multiple of a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shift {
    /// What the mean is taken times; the multiple itself where the mean is shared.
    pub(crate) factor: f64,
    /// Whose mean it is, where each problem has its own: a parameter after the law's.
    pub(crate) parameter: Option<u32>,
}

/// Access to the data's columns: what a column-only node of the user's graph is worth.
pub(crate) trait Columns {
    /// From here on nodes belong to another graph: what was remembered by [`Id`] is void.
    fn new_graph(&mut self) {}
    /// Mean of the node over the rows of a problem, if finite.
    fn mean(&mut self, graph: &Graph, id: Id) -> Option<Mean>;
    /// Whether the node is positive and finite on every row.
    fn positive(&mut self, graph: &Graph, id: Id) -> bool;
    /// Whether the node is finite and not negative on every row.
    fn not_negative(&mut self, graph: &Graph, id: Id) -> bool {
        self.positive(graph, id)
    }
}

/// How the solver sees each parameter.
#[derive(Debug, Clone)]
pub(crate) struct Coordinates {
    /// Solved as a logarithm.
    pub(crate) log: Vec<bool>,
    /// Index of the parameter that this one equals; itself where free.
    pub(crate) tied: Vec<usize>,
    /// May be pivoted: positive, without bounds, not fixed, nothing tied to it.
    pub(crate) pivotable: Vec<bool>,
}

/// `ln A = a' + Σ sign · mean · p`: the shift of one amplitude.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pivot(pub(crate) Vec<(Shift, usize)>);

/// A law in the solver's coordinates.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) graph: Graph,
    pub(crate) root: Id,
    /// The root is the logarithm of the law (only if that was allowed).
    pub(crate) root_is_log: bool,
    /// The shift of each parameter; empty for most.
    pub(crate) pivots: Vec<Pivot>,
}

/// A signed addend of a logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Term {
    sign: f64,
    id: Id,
}

/// A product of a parameter and a column with the column's mean taken out.
struct Centred {
    term: Term,
    /// What was taken out.
    back: Term,
    /// The same as mean and parameter, if the factor is one parameter.
    shift: Option<(Shift, usize)>,
}

/// Rewrites `root`; `log_root` allows the logarithm of the law in its place.
pub(crate) fn rewrite(
    graph: &Graph,
    root: Id,
    coordinates: &Coordinates,
    columns: &mut dyn Columns,
    log_root: bool,
) -> Rewritten {
    // The pivots are found by a first pass and used by a second, so that an amplitude which occurs in several
    // places is shifted in all of them.
    let mut pivots = vec![Pivot::default(); coordinates.log.len()];
    for pass in 0..2 {
        columns.new_graph();
        let mut rewriter = Rewriter {
            from: graph,
            to: graph.like(),
            positive_unknowns: Vec::new(),
            coordinates,
            columns,
            pivots: &mut pivots,
            collecting: pass == 0,
            known: HashMap::new(),
        };
        let logarithm = if log_root { rewriter.logarithm(root) } else { None };
        let (id, root_is_log) = match logarithm {
            Some(terms) => (rewriter.sum(terms).0, true),
            None => (rewriter.copy(root), false),
        };
        let graph = rewriter.to;
        if pass == 1 {
            return Rewritten { graph, root: id, root_is_log, pivots };
        }
    }
    unreachable!("the second pass returns")
}

struct Rewriter<'a> {
    from: &'a Graph,
    to: Graph,
    coordinates: &'a Coordinates,
    columns: &'a mut dyn Columns,
    pivots: &'a mut Vec<Pivot>,
    collecting: bool,
    known: HashMap<Id, Id>,
    /// Scopes of roots that lie above a positive number.
    positive_unknowns: Vec<u32>,
}

impl Rewriter<'_> {
    fn copy(&mut self, id: Id) -> Id {
        if let Some(&known) = self.known.get(&id) {
            return known;
        }
        let result = self.copy_new(id);
        self.known.insert(id, result);
        result
    }

    fn copy_new(&mut self, id: Id) -> Id {
        let is_product = matches!(
            self.from.node(id),
            Node::Binary(Binary::Mul | Binary::Div | Binary::Pow, ..) | Node::Unary(Unary::Sqrt | Unary::Square, _)
        );
        if is_product
            && self.from.rate(id) == Rate::Point
            && let Some(terms) = self.logarithm(id)
        {
            let (sum, mixed) = self.sum(terms);
            if mixed {
                return self.to.unary(Unary::Exp, sum);
            }
        }
        match self.from.node(id) {
            Node::Const(bits) => self.to.constant(f64::from_bits(bits)),
            Node::Column(c) => self.to.column(c),
            Node::Param(p) => self.parameter(p as usize),
            // Scopes are the same in both graphs.
            Node::Unknown(scope) => self.to.unknown(scope),
            Node::Inner(scope, c) => self.to.intern(Node::Inner(scope, c)),
            Node::Over { fold, scope, body, first, last } => {
                let (body, first, last) = (self.copy(body), self.copy(first), self.copy(last));
                self.to.over(fold, scope, body, first, last)
            }
            Node::Root { scope, body, low, high, .. } => {
                if self.positive(low) {
                    self.positive_unknowns.push(scope);
                }
                let (body, low, high) = (self.copy(body), self.copy(low), self.copy(high));
                self.to.root(scope, body, low, high)
            }
            Node::Unary(op, a) => {
                let stable = if is_log(op) { stable::logarithm(self, op, a, None) } else { None };
                stable.unwrap_or_else(|| {
                    let a = self.copy(a);
                    self.to.unary(op, a)
                })
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.copy(a), self.copy(b));
                self.to.binary(op, a, b)
            }
            Node::Select(a, b, c) => {
                let (a, b, c) = (self.copy(a), self.copy(b), self.copy(c));
                self.to.select(a, b, c)
            }
        }
    }

    fn parameter(&mut self, p: usize) -> Id {
        let p = self.coordinates.tied[p];
        if !self.coordinates.log[p] {
            return self.to.param(p as u32);
        }
        let terms = self.log_parameter(p);
        let (sum, _) = self.sum(terms);
        self.to.unary(Unary::Exp, sum)
    }

    fn log_parameter(&mut self, p: usize) -> Vec<Term> {
        let mut terms = vec![Term { sign: 1.0, id: self.to.param(p as u32) }];
        for (shift, other) in self.pivots[p].0.clone() {
            let natural = self.natural(other);
            let size = match shift.parameter {
                Some(mean) => self.to.param(mean),
                None => self.to.constant(shift.factor.abs()),
            };
            let id = self.to.mul(natural, size);
            terms.push(Term { sign: shift.factor.signum(), id });
        }
        terms
    }

    /// A parameter that is not itself pivoted, in its natural value.
    fn natural(&mut self, p: usize) -> Id {
        let raw = self.to.param(p as u32);
        if self.coordinates.log[p] { self.to.unary(Unary::Exp, raw) } else { raw }
    }

    /// The addends of `ln(id)`, where `id` is a product of things known to be positive.
    fn logarithm(&mut self, id: Id) -> Option<Vec<Term>> {
        let node = self.from.node(id);
        match node {
            Node::Const(bits) => {
                let value = f64::from_bits(bits);
                (value > 0.0 && value.is_finite()).then(|| {
                    let id = self.to.constant(crate::simd::math::ln(value));
                    vec![Term { sign: 1.0, id }]
                })
            }
            _ if self.from.rate(id) == Rate::Column => self.positive_column(id).then(|| {
                let copy = self.copy(id);
                let id = self.to.unary(Unary::Log, copy);
                vec![Term { sign: 1.0, id }]
            }),
            Node::Param(p) => {
                let p = self.coordinates.tied[p as usize];
                self.coordinates.log[p].then(|| self.log_parameter(p))
            }
            Node::Unary(Unary::Exp, a) => {
                let id = self.copy(a);
                Some(vec![Term { sign: 1.0, id }])
            }
            Node::Unary(Unary::Sqrt, a) => {
                let terms = self.logarithm(a)?;
                let half = self.to.constant(0.5);
                Some(self.scale(terms, half))
            }
            Node::Unary(Unary::Square, a) => {
                let terms = self.logarithm(a)?;
                let two = self.to.constant(2.0);
                Some(self.scale(terms, two))
            }
            Node::Binary(Binary::Mul, a, b) => {
                let mut terms = self.logarithm(a)?;
                terms.append(&mut self.logarithm(b)?);
                Some(terms)
            }
            Node::Binary(Binary::Div, a, b) => {
                let mut terms = self.logarithm(a)?;
                terms.extend(self.logarithm(b)?.into_iter().map(|t| Term { sign: -t.sign, id: t.id }));
                Some(terms)
            }
            Node::Binary(Binary::Pow, a, b) => {
                let terms = match self.logarithm(a) {
                    Some(terms) => terms,
                    None if self.positive(a) => {
                        let sum = self.copy(a);
                        vec![Term { sign: 1.0, id: self.to.unary(Unary::Log, sum) }]
                    }
                    None => return None,
                };
                let exponent = self.copy(b);
                Some(self.scale(terms, exponent))
            }
            _ => None,
        }
    }

    fn scale(&mut self, terms: Vec<Term>, factor: Id) -> Vec<Term> {
        // The sign of the factor goes to the term, so that equal products stay one node.
        let (sign, factor) = match self.to.node(factor) {
            Node::Unary(Unary::Neg, inner) => (-1.0, inner),
            Node::Const(bits) if f64::from_bits(bits) < 0.0 => (-1.0, self.to.constant(-f64::from_bits(bits))),
            _ => (1.0, factor),
        };
        let mut scaled = Vec::with_capacity(terms.len());
        for term in terms {
            scaled.push(Term { sign: sign * term.sign, id: self.to.mul(factor, term.id) });
        }
        scaled
    }

    fn positive(&mut self, id: Id) -> bool {
        match self.from.node(id) {
            _ if self.from.rate(id) == Rate::Column => self.positive_column(id),
            Node::Const(bits) => f64::from_bits(bits) > 0.0,
            Node::Param(p) => self.coordinates.log[self.coordinates.tied[p as usize]],
            Node::Unary(Unary::Exp, _) => true,
            Node::Unary(Unary::Sqrt, a) | Node::Binary(Binary::Pow, a, _) => self.positive(a),
            Node::Binary(Binary::Add, a, b) => {
                (self.positive(a) && self.not_negative(b)) || (self.not_negative(a) && self.positive(b))
            }
            Node::Binary(Binary::Mul | Binary::Div, a, b) => self.positive(a) && self.positive(b),
            _ => false,
        }
    }

    fn not_negative(&mut self, id: Id) -> bool {
        match self.from.node(id) {
            _ if self.positive(id) => true,
            Node::Binary(Binary::Mul, a, b) => self.not_negative(a) && self.not_negative(b),
            _ => {
                self.from.rate(id) == Rate::Column && !self.has_unknown(id) && self.columns.not_negative(self.from, id)
            }
        }
    }

    fn has_unknown(&self, id: Id) -> bool {
        self.from.reach(vec![id]).any(|next| matches!(self.from.node(next), Node::Unknown(_)))
    }

    /// Of a node without parameters. An unknown is positive if it lies above a positive number.
    fn positive_column(&mut self, id: Id) -> bool {
        match self.from.node(id) {
            Node::Unknown(scope) => self.positive_unknowns.contains(&scope),
            _ => !self.has_unknown(id) && self.columns.positive(self.from, id),
        }
    }

    /// Builds the sum of `terms`, centred; also whether any term mixes parameters with columns.
    fn sum(&mut self, terms: Vec<Term>) -> (Id, bool) {
        let mut steady: Vec<Term> = Vec::new();
        let mut mixed: Vec<Term> = Vec::new();
        let mut shifts: Vec<(Shift, usize)> = Vec::new();
        for term in terms {
            if self.to.rate(term.id) != Rate::Point {
                cancel_or_push(&mut steady, term);
                continue;
            }
            match self.centre(term) {
                Some(Centred { term, back, shift }) => {
                    mixed.push(term);
                    cancel_or_push(&mut steady, back);
                    shifts.extend(shift);
                }
                None => mixed.push(term),
            }
        }
        if self.collecting {
            self.collect_pivot(&steady, &shifts);
        }
        let mut sum = self.to.constant(0.0);
        for term in steady.iter().chain(&mixed) {
            sum = if term.sign > 0.0 { self.to.add(sum, term.id) } else { self.to.sub(sum, term.id) };
        }
        (sum, !mixed.is_empty())
    }

    /// `p · X` as `p · (X - m)` and `p · m`.
    fn centre(&mut self, term: Term) -> Option<Centred> {
        let Node::Binary(Binary::Mul, a, b) = self.to.node(term.id) else { return None };
        let (factor, column) = match (self.to.rate(a), self.to.rate(b)) {
            (Rate::Problem, Rate::Column) => (a, b),
            (Rate::Column, Rate::Problem) => (b, a),
            _ => return None,
        };
        if self.to.is_local(column) && self.to.scope_of(column).is_none() {
            return None;
        }
        let mean = self.columns.mean(&self.to, column).filter(|&mean| mean != Mean::Shared(0.0))?;
        let local = self.to.is_local(column);
        // The mean as it stands beside the column, and beside parameters; and its sign, which goes to the term.
        let (beside, size, sign, shift) = match mean {
            Mean::Shared(mean) => {
                let (whole, size) = (self.to.constant(mean), self.to.constant(mean.abs()));
                (whole, size, mean.signum(), Shift { factor: mean, parameter: None })
            }
            Mean::Own { column, parameter } => {
                let size = self.to.param(parameter);
                // The points of an inner table belong to no problem.
                let beside = if local { size } else { self.to.column(column) };
                (beside, size, 1.0, Shift { factor: 1.0, parameter: Some(parameter) })
            }
        };
        let centred = self.to.sub(column, beside);
        let centred = Term { sign: term.sign, id: self.to.mul(factor, centred) };
        let back = Term { sign: term.sign * sign, id: self.to.mul(factor, size) };
        let shift = |p| (Shift { factor: term.sign * shift.factor, ..shift }, p);
        let parameter = match self.to.node(factor) {
            Node::Param(p) => Some(p as usize),
            Node::Unary(Unary::Exp, inner) => match self.to.node(inner) {
                Node::Param(p) => Some(p as usize),
                _ => None,
            },
            _ => None,
        };
        let parameter = parameter.filter(|&p| p < self.coordinates.log.len());
        Some(Centred { term: centred, back, shift: parameter.map(shift) })
    }

    /// The first positive parameter that multiplies a centred term takes up the shift.
    fn collect_pivot(&mut self, steady: &[Term], shifts: &[(Shift, usize)]) {
        if shifts.is_empty() {
            return;
        }
        let amplitude = steady.iter().find_map(|term| match self.to.node(term.id) {
            Node::Param(p) if term.sign > 0.0 => {
                let p = p as usize;
                // Neither is a mean a parameter that could move.
                let open = self.coordinates.pivotable.get(p) == Some(&true) && self.pivots[p].0.is_empty();
                // A parameter that shifts another must stay where it is: shifts do not chain.
                let shifts_other = self.pivots.iter().any(|pivot| pivot.0.iter().any(|&(_, q)| q == p));
                (open && !shifts_other).then_some(p)
            }
            _ => None,
        });
        if let Some(p) = amplitude {
            let usable = shifts
                .iter()
                .filter(|&&(_, q)| q != p && self.pivots[q].0.is_empty())
                .map(|&(s, q)| (Shift { factor: -s.factor, ..s }, q))
                .collect();
            self.pivots[p] = Pivot(usable);
        }
    }
}

impl Host for Rewriter<'_> {
    fn node(&self, id: Id) -> Node {
        self.from.node(id)
    }

    fn rate(&self, id: Id) -> Rate {
        self.from.rate(id)
    }

    fn to(&mut self) -> &mut Graph {
        &mut self.to
    }

    fn copy(&mut self, id: Id) -> Id {
        Rewriter::copy(self, id)
    }

    /// Of what is known to be positive; columns alone are left as they are, a logarithm more would gain nothing.
    fn logarithm(&mut self, id: Id) -> Option<Id> {
        if self.from.rate(id) == Rate::Column {
            return None;
        }
        let terms = Rewriter::logarithm(self, id)?;
        Some(self.sum(terms).0)
    }

    fn power(&mut self, id: Id, _: Id, _: Id) -> Scaled {
        Scaled::plain(self.copy(id))
    }
}

/// Adds a term to a sum, unless its opposite is there: then both go.
fn cancel_or_push(sum: &mut Vec<Term>, term: Term) {
    match sum.iter().position(|other| other.id == term.id && other.sign == -term.sign) {
        Some(index) => {
            sum.remove(index);
        }
        None => sum.push(term),
    }
}

#[cfg(test)]
mod tests;
