//! The hash-consed expression graph.
//!
//! Every distinct subexpression exists once, so value, gradient and curvature share their common parts without a
//! later search for them. Constants fold with the very kernels that run at evaluation time, and only identities
//! that leave every bit of the result alone are applied (`x * 1`, `x / 1`, `x ** 1`, `x ** 2 = x * x`, `--x`);
//! nothing is reassociated here.

use std::collections::HashMap;

use super::scope::{Scope, bit};
use crate::simd::math;

/// Index of a node in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u32);

/// Functions of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    Neg,
    Exp,
    Log,
    Log2,
    Log10,
    Log1p,
    Expm1,
    Sqrt,
    Tanh,
    Expit,
    Erf,
    Abs,
    Square,
    Floor,
    /// `log(1 + exp(x))`.
    Softplus,
    /// The argument, without a slope: what derivatives need not follow, since it cancels from them.
    Hold,
}

/// Functions of two arguments. Comparisons give 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    /// Remainder with the sign of the divisor, as Python's `%`.
    Mod,
    Lt,
    Le,
    Eq,
}

/// One subexpression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// A constant, by its bits so that it can be hashed.
    Const(u64),
    /// A column of the data.
    Column(u32),
    /// A parameter of the law.
    Param(u32),
    /// A function of one argument.
    Unary(Unary, Id),
    /// A function of two arguments.
    Binary(Binary, Id, Id),
    /// The second where the first is not zero, else the third.
    Select(Id, Id, Id),
    /// The unknown of a root, by its scope.
    Unknown(u32),
    /// A column of an inner table: its scope, and which of its columns.
    Inner(u32, u32),
    /// Where `body` changes sign as the unknown goes from `low` to `high`; `slope` is its derivative by the unknown.
    Root { scope: u32, body: Id, slope: Id, low: Id, high: Id },
    /// `body` over the points of an inner table from `first` up to, not including, `last`: their sum or the largest.
    Over { fold: Fold, scope: u32, body: Id, first: Id, last: Id },
}

/// What is made of the points of an inner table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fold {
    Sum,
    /// The largest; NaN if any is, minus infinity of none.
    Most,
}

impl Unary {
    #[inline(always)]
    pub(crate) fn apply(self, x: f64) -> f64 {
        match self {
            Self::Neg => -x,
            Self::Exp => math::exp(x),
            Self::Log => math::ln(x),
            Self::Log2 => math::log2(x),
            Self::Log10 => math::log10(x),
            Self::Log1p => math::log1p(x),
            Self::Expm1 => math::expm1(x),
            Self::Sqrt => x.sqrt(),
            Self::Tanh => math::tanh(x),
            Self::Expit => math::expit(x),
            Self::Erf => math::erf(x),
            Self::Abs => x.abs(),
            Self::Square => x * x,
            Self::Floor => math::floor(x),
            Self::Softplus => math::softplus(x),
            Self::Hold => x,
        }
    }
}

/// The smaller; NaN if either is (unlike `f64::min`, which would hide it).
#[inline(always)]
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    let pick = if b < a { b } else { a };
    if b.is_nan() { b } else { pick }
}

/// The larger; NaN if either is.
#[inline(always)]
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    let pick = if b > a { b } else { a };
    if b.is_nan() { b } else { pick }
}

impl Binary {
    #[inline(always)]
    pub(crate) fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => math::pow(a, b),
            Self::Min => minimum(a, b),
            Self::Max => maximum(a, b),
            Self::Mod if math::is_far(a, b) => math::modulo_far(a, b),
            Self::Mod => math::modulo(a, b),
            Self::Lt => f64::from(u8::from(a < b)),
            Self::Le => f64::from(u8::from(a <= b)),
            Self::Eq => f64::from(u8::from(a == b)),
        }
    }

    fn commutes(self) -> bool {
        matches!(self, Self::Add | Self::Mul | Self::Eq)
    }
}

/// What a node depends on, and so how often it has to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rate {
    /// Never again.
    Constant,
    /// Once per problem and iteration: parameters only.
    Problem,
    /// Once per data set: columns only.
    Column,
    /// For every point of every problem.
    Point,
}

/// An arena of distinct nodes; operands always precede their users.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    /// What each node depends on: parameters, columns, then a bit for every scope.
    deps: Vec<u64>,
    heights: Vec<u32>,
    index: HashMap<Node, Id>,
    pub(super) scopes: Vec<Scope>,
}

const PARAMETERS: u64 = 1;
const COLUMNS: u64 = 2;

impl Graph {
    pub(crate) fn node(&self, id: Id) -> Node {
        self.nodes[id.0 as usize]
    }

    /// The unknown of a root and the columns of a table count as columns as long as they are not bound.
    pub(crate) fn rate(&self, id: Id) -> Rate {
        let deps = self.deps(id);
        match (deps & PARAMETERS != 0, deps & !PARAMETERS != 0) {
            (false, false) => Rate::Constant,
            (true, false) => Rate::Problem,
            (false, true) => Rate::Column,
            (true, true) => Rate::Point,
        }
    }

    pub(super) fn deps(&self, id: Id) -> u64 {
        self.deps[id.0 as usize]
    }

    /// Whether any parameter has a say in the node.
    pub(crate) fn has_parameters(&self, id: Id) -> bool {
        self.deps(id) & PARAMETERS != 0
    }

    /// What a node is computed from: for a root or a sum also what its body takes from outside.
    pub(crate) fn operands(&self, id: Id) -> Vec<Id> {
        match self.node(id) {
            Node::Const(_) | Node::Param(_) | Node::Column(_) | Node::Unknown(_) | Node::Inner(..) => Vec::new(),
            Node::Unary(_, a) => vec![a],
            Node::Binary(_, a, b) => vec![a, b],
            Node::Select(a, b, c) => vec![a, b, c],
            Node::Root { scope, body, slope, low, high } => {
                [vec![low, high], self.captured(&[body, slope], scope)].concat()
            }
            Node::Over { scope, body, first, last, .. } => [vec![first, last], self.captured(&[body], scope)].concat(),
        }
    }

    /// The nodes that a node names, bodies included.
    fn parts(&self, id: Id) -> Vec<Id> {
        match self.node(id) {
            Node::Root { body, slope, low, high, .. } => vec![body, slope, low, high],
            Node::Over { body, first, last, .. } => vec![body, first, last],
            _ => self.operands(id),
        }
    }

    /// Operations on the longest way from the node to a leaf: how deep a recursion over it goes.
    pub(crate) fn height(&self, id: Id) -> u32 {
        self.heights[id.0 as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn constant_value(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Const(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    pub(crate) fn is(&self, id: Id, value: f64) -> bool {
        self.constant_value(id) == Some(value)
    }

    pub(super) fn intern(&mut self, node: Node) -> Id {
        if let Some(&id) = self.index.get(&node) {
            return id;
        }
        let of = |ids: &[Id]| {
            let joined = ids.iter().fold(0, |deps, &id| deps | self.deps(id));
            (joined, 1 + ids.iter().map(|&id| self.height(id)).max().unwrap_or(0))
        };
        let (deps, height) = match node {
            Node::Const(_) => (0, 0),
            Node::Param(_) => (PARAMETERS, 0),
            Node::Column(_) => (COLUMNS, 0),
            Node::Unknown(scope) | Node::Inner(scope, _) => (bit(scope), 0),
            Node::Unary(_, a) => of(&[a]),
            Node::Binary(_, a, b) => of(&[a, b]),
            Node::Select(a, b, c) => of(&[a, b, c]),
            Node::Root { scope, body, slope, low, high } => {
                let ((inside, deep), (outside, far)) = (of(&[body, slope]), of(&[low, high]));
                (inside & !bit(scope) | outside, deep.max(far))
            }
            Node::Over { scope, body, first, last, .. } => {
                let ((inside, deep), (outside, far)) = (of(&[body]), of(&[first, last]));
                (inside & !bit(scope) | outside, deep.max(far))
            }
        };
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(node);
        self.deps.push(deps);
        self.heights.push(height);
        self.index.insert(node, id);
        id
    }

    pub(crate) fn constant(&mut self, value: f64) -> Id {
        self.intern(Node::Const(value.to_bits()))
    }

    pub(crate) fn column(&mut self, index: u32) -> Id {
        self.intern(Node::Column(index))
    }

    pub(crate) fn param(&mut self, index: u32) -> Id {
        self.intern(Node::Param(index))
    }

    pub(crate) fn unary(&mut self, op: Unary, a: Id) -> Id {
        if let Some(x) = self.constant_value(a) {
            return self.constant(op.apply(x));
        }
        match (op, self.node(a)) {
            (Unary::Neg, Node::Unary(Unary::Neg, inner)) => inner,
            _ => self.intern(Node::Unary(op, a)),
        }
    }

    pub(crate) fn binary(&mut self, op: Binary, a: Id, b: Id) -> Id {
        if let (Some(x), Some(y)) = (self.constant_value(a), self.constant_value(b)) {
            return self.constant(op.apply(x, y));
        }
        match op {
            Binary::Mul if self.is(a, 1.0) => return b,
            Binary::Mul | Binary::Div | Binary::Pow if self.is(b, 1.0) => return a,
            Binary::Mul if a == b => return self.unary(Unary::Square, a),
            Binary::Mul if self.is(b, -1.0) => return self.unary(Unary::Neg, a),
            Binary::Mul if self.is(a, -1.0) => return self.unary(Unary::Neg, b),
            Binary::Pow if self.is(b, 2.0) => return self.unary(Unary::Square, a),
            Binary::Pow if self.is(b, -1.0) => {
                let one = self.constant(1.0);
                return self.binary(Binary::Div, one, a);
            }
            _ => {}
        }
        let (a, b) = if op.commutes() && b < a { (b, a) } else { (a, b) };
        self.intern(Node::Binary(op, a, b))
    }

    pub(crate) fn select(&mut self, condition: Id, yes: Id, no: Id) -> Id {
        if let Some(c) = self.constant_value(condition) {
            return if c == 0.0 { no } else { yes };
        }
        if yes == no {
            return yes;
        }
        self.intern(Node::Select(condition, yes, no))
    }

    /// Python's `left and right`: the right one where the left one is not zero, else the left one.
    pub(crate) fn and(&mut self, left: Id, right: Id) -> Id {
        self.select(left, right, left)
    }

    /// 1 where `condition` is zero, else 0.
    pub(crate) fn not(&mut self, condition: Id) -> Id {
        let (zero, one) = (self.constant(0.0), self.constant(1.0));
        self.select(condition, zero, one)
    }

    /// Python's `a // b`: what is left of `a` without its remainder, so that both together give `a` again.
    pub(crate) fn floor_divide(&mut self, a: Id, b: Id) -> Id {
        let rest = self.binary(Binary::Mod, a, b);
        let whole = self.binary(Binary::Sub, a, rest);
        let quotient = self.binary(Binary::Div, whole, b);
        // The quotient is whole but for its rounding. Half of one is not added to it, which would not be exact.
        let below = self.unary(Unary::Floor, quotient);
        let half = self.constant(0.5);
        let part = self.binary(Binary::Sub, quotient, below);
        let up = self.binary(Binary::Lt, half, part);
        let whole = self.binary(Binary::Add, below, up);
        // A remainder reaches the divisor only where both are infinite; `a` then lies below nought times it.
        let minus = self.constant(-1.0);
        let infinite = self.binary(Binary::Eq, rest, b);
        self.select(infinite, minus, whole)
    }

    // The shorthands below belong to derivation and rewriting: a zero there is structural ("does not depend"),
    // so it may annihilate a product whatever the other factor is.

    pub(crate) fn add(&mut self, a: Id, b: Id) -> Id {
        if self.is(a, 0.0) {
            return b;
        }
        if self.is(b, 0.0) {
            return a;
        }
        match (self.node(a), self.node(b)) {
            (_, Node::Unary(Unary::Neg, inner)) => self.sub(a, inner),
            (Node::Unary(Unary::Neg, inner), _) => self.sub(b, inner),
            _ => self.binary(Binary::Add, a, b),
        }
    }

    pub(crate) fn sub(&mut self, a: Id, b: Id) -> Id {
        if self.is(b, 0.0) {
            return a;
        }
        if self.is(a, 0.0) {
            return self.neg(b);
        }
        if a == b {
            return self.constant(0.0);
        }
        if let Node::Unary(Unary::Neg, inner) = self.node(b) {
            return self.add(a, inner);
        }
        self.binary(Binary::Sub, a, b)
    }

    pub(crate) fn neg(&mut self, a: Id) -> Id {
        self.unary(Unary::Neg, a)
    }

    pub(crate) fn mul(&mut self, a: Id, b: Id) -> Id {
        if self.is(a, 0.0) || self.is(b, 0.0) {
            return self.constant(0.0);
        }
        self.binary(Binary::Mul, a, b)
    }

    pub(crate) fn div(&mut self, a: Id, b: Id) -> Id {
        if self.is(a, 0.0) {
            return self.constant(0.0);
        }
        self.binary(Binary::Div, a, b)
    }

    pub(super) fn find(&self, node: Node) -> Option<Id> {
        self.index.get(&node).copied()
    }

    /// The node of a parameter, if the graph has it.
    pub(crate) fn find_param(&self, index: u32) -> Option<Id> {
        self.index.get(&Node::Param(index)).copied()
    }

    /// One more than the highest parameter of the graph; zero if it has none.
    pub(crate) fn params_end(&self) -> u32 {
        self.nodes
            .iter()
            .filter_map(|&node| if let Node::Param(p) = node { Some(p + 1) } else { None })
            .max()
            .unwrap_or(0)
    }

    /// Every parameter that `id` depends on, ascending.
    pub(crate) fn params_of(&self, id: Id) -> Vec<u32> {
        let mut found: Vec<u32> = self.reach(vec![id]).filter_map(|next| self.as_param(next)).collect();
        found.sort_unstable();
        found
    }

    /// Every parameter that decides between branches of `id`: derivatives do not show those.
    pub(crate) fn params_of_conditions(&self, id: Id) -> Vec<u32> {
        let conditions = self
            .reach(vec![id])
            .filter_map(|next| match self.node(next) {
                Node::Select(condition, ..) => Some(condition),
                Node::Binary(Binary::Lt | Binary::Le | Binary::Eq, ..) => Some(next),
                _ => None,
            })
            .collect();
        self.reach(conditions).filter_map(|next| self.as_param(next)).collect()
    }

    fn as_param(&self, id: Id) -> Option<u32> {
        match self.node(id) {
            Node::Param(p) => Some(p),
            _ => None,
        }
    }

    /// Every node that those of `stack` are made of, themselves and bodies included, each once.
    pub(crate) fn reach(&self, stack: Vec<Id>) -> impl Iterator<Item = Id> + '_ {
        self.walk(stack, Self::parts)
    }

    /// Every node that must be computed for those of `stack`, each once: bodies have programs of their own.
    pub(crate) fn needed(&self, stack: Vec<Id>) -> impl Iterator<Item = Id> + '_ {
        self.walk(stack, Self::operands)
    }

    fn walk<'a>(
        &'a self,
        mut stack: Vec<Id>,
        below: impl Fn(&Self, Id) -> Vec<Id> + 'a,
    ) -> impl Iterator<Item = Id> + 'a {
        let mut seen = vec![false; self.len()];
        std::iter::from_fn(move || {
            loop {
                let next = stack.pop()?;
                if std::mem::replace(&mut seen[next.0 as usize], true) {
                    continue;
                }
                stack.extend(below(self, next));
                return Some(next);
            }
        })
    }
}

#[cfg(test)]
mod tests;
