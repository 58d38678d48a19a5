//! Exact derivatives by symbolic differentiation on the hash-consed graph.
//!
//! Each rule states the derivative with the node itself where that saves work (`d exp(x) = exp(x) dx` is one more
//! product, not one more exponential), so value, gradient and curvature end up sharing every transcendental.
//! Second derivatives are first derivatives of first derivatives. At kinks (`abs`, `min`, `max`, `where`) and steps (`floor`, `%`) the
//! derivative of the branch taken is used.

use std::collections::HashMap;

use super::graph::{Binary, Fold, Graph, Id, Node, Unary};

/// What a node is differentiated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum By {
    Param(u32),
    /// The unknown of a root, by its scope.
    Unknown(u32),
    /// The node that the deriver holds.
    Held,
}

/// Differentiates nodes of one graph, remembering what it has already done.
#[derive(Debug, Default)]
pub(crate) struct Deriver {
    known: HashMap<(Id, By), Id>,
    held: Option<Id>,
}

impl Deriver {
    /// One that takes `node` for a variable of its own: parameters do not move it, and [`By::Held`] stands for it.
    pub(crate) fn holding(node: Id) -> Self {
        Self { held: Some(node), ..Self::default() }
    }

    /// The derivative of `id`. Recursion is as deep as the expression, which the parser limits.
    pub(crate) fn derive(&mut self, g: &mut Graph, id: Id, by: By) -> Id {
        if self.held == Some(id) {
            return g.constant(f64::from(u8::from(by == By::Held)));
        }
        if let Some(&known) = self.known.get(&(id, by)) {
            return known;
        }
        let moved = match by {
            By::Param(_) | By::Held => g.has_parameters(id),
            By::Unknown(scope) => g.within(id, scope),
        };
        if !moved {
            return g.constant(0.0);
        }
        let result = match g.node(id) {
            // A maximum stands under `Hold`: what is taken out of a sum and put back has no slope to follow.
            Node::Const(_) | Node::Column(_) | Node::Inner(..) | Node::Over { fold: Fold::Most, .. } => g.constant(0.0),
            Node::Unknown(_) => g.constant(1.0),
            Node::Param(p) => g.constant(f64::from(u8::from(by == By::Param(p)))),
            Node::Unary(op, a) => {
                let da = self.derive(g, a, by);
                if g.is(da, 0.0) { da } else { unary_rule(g, op, id, a, da) }
            }
            Node::Binary(op, a, b) => {
                let (da, db) = (self.derive(g, a, by), self.derive(g, b, by));
                binary_rule(g, op, id, (a, da), (b, db))
            }
            Node::Select(condition, yes, no) => {
                let (dy, dn) = (self.derive(g, yes, by), self.derive(g, no, by));
                g.select(condition, dy, dn)
            }
            Node::Over { fold: Fold::Sum, scope, body, first, last } => {
                let slope = self.derive(g, body, by);
                g.sum(scope, slope, first, last)
            }
            Node::Root { scope, body, slope, .. } => {
                let change = self.derive(g, body, by);
                if g.is(change, 0.0) {
                    change
                } else {
                    let mut known = HashMap::new();
                    let [change, slope] = [change, slope].map(|part| g.replace(part, scope, id, &mut known));
                    let ratio = g.div(change, slope);
                    g.neg(ratio)
                }
            }
        };
        self.known.insert((id, by), result);
        result
    }
}

/// `a * b` with signs carried outside, so that `-x` is not computed beside `x`.
pub(crate) fn product(g: &mut Graph, a: Id, b: Id) -> Id {
    match (g.node(a), g.node(b)) {
        (Node::Unary(Unary::Neg, inner), _) => {
            let positive = product(g, inner, b);
            g.neg(positive)
        }
        (_, Node::Unary(Unary::Neg, inner)) => {
            let positive = product(g, a, inner);
            g.neg(positive)
        }
        _ => g.mul(a, b),
    }
}

/// `top / b` by way of `1 / b`, which all derivatives share: divisions are several times as dear as products.
///
/// One rounding more; and where `b` is subnormal its reciprocal may be infinite though the quotient is not.
fn quotient(g: &mut Graph, top: Id, b: Id) -> Id {
    if g.constant_value(b).is_some() {
        return g.div(top, b);
    }
    let one = g.constant(1.0);
    let inverse = g.binary(Binary::Div, one, b);
    product(g, inverse, top)
}

fn unary_rule(g: &mut Graph, op: Unary, y: Id, a: Id, da: Id) -> Id {
    let one = g.constant(1.0);
    match op {
        Unary::Neg => g.neg(da),
        Unary::Exp => product(g, y, da),
        Unary::Log => quotient(g, da, a),
        Unary::Log2 | Unary::Log10 => {
            let base = if op == Unary::Log2 { std::f64::consts::LN_2 } else { std::f64::consts::LN_10 };
            let base = g.constant(base);
            let scaled = g.mul(a, base);
            quotient(g, da, scaled)
        }
        Unary::Log1p => {
            let shifted = g.add(one, a);
            quotient(g, da, shifted)
        }
        Unary::Expm1 => {
            let e = g.unary(Unary::Exp, a);
            product(g, e, da)
        }
        Unary::Sqrt => {
            let two = g.constant(2.0);
            let twice = g.mul(two, y);
            quotient(g, da, twice)
        }
        Unary::Tanh => {
            let square = g.unary(Unary::Square, y);
            let slope = g.sub(one, square);
            product(g, slope, da)
        }
        Unary::Expit => {
            let rest = g.sub(one, y);
            let slope = g.mul(y, rest);
            product(g, slope, da)
        }
        Unary::Erf => {
            let square = g.unary(Unary::Square, a);
            let minus = g.neg(square);
            let bell = g.unary(Unary::Exp, minus);
            let scale = g.constant(std::f64::consts::FRAC_2_SQRT_PI);
            let slope = g.mul(scale, bell);
            product(g, slope, da)
        }
        Unary::Abs => {
            let zero = g.constant(0.0);
            let negative = g.binary(Binary::Lt, a, zero);
            let minus = g.neg(da);
            g.select(negative, minus, da)
        }
        Unary::Softplus => {
            let slope = g.unary(Unary::Expit, a);
            product(g, slope, da)
        }
        Unary::Square => {
            let two = g.constant(2.0);
            let twice = g.mul(two, a);
            product(g, twice, da)
        }
        Unary::Hold | Unary::Floor => g.constant(0.0),
    }
}

fn binary_rule(g: &mut Graph, op: Binary, y: Id, (a, da): (Id, Id), (b, db): (Id, Id)) -> Id {
    match op {
        Binary::Add => g.add(da, db),
        Binary::Sub => g.sub(da, db),
        Binary::Mul => {
            let left = product(g, da, b);
            let right = product(g, a, db);
            g.add(left, right)
        }
        Binary::Div if g.is(a, 1.0) => {
            let square = g.unary(Unary::Square, y);
            let slope = product(g, square, db);
            g.neg(slope)
        }
        Binary::Div => {
            let pull = product(g, y, db);
            let top = g.sub(da, pull);
            quotient(g, top, b)
        }
        Binary::Pow => {
            let one = g.constant(1.0);
            let less = g.sub(b, one);
            let lowered = g.binary(Binary::Pow, a, less);
            let lowered = if surely_positive(g, a) { lowered } else { finite_at_zero(g, lowered, a, less) };
            let slope = g.mul(b, lowered);
            let base = product(g, slope, da);
            if g.is(db, 0.0) {
                return base;
            }
            // x ** b has no derivative in b at x <= 0 but the limit from above, which is zero there.
            let zero = g.constant(0.0);
            let positive = g.binary(Binary::Lt, zero, a);
            let log = g.unary(Unary::Log, a);
            let growth = g.mul(y, log);
            let growth = g.select(positive, growth, zero);
            let exponent = product(g, growth, db);
            g.add(base, exponent)
        }
        Binary::Min | Binary::Max => {
            let first = if op == Binary::Min { g.binary(Binary::Le, a, b) } else { g.binary(Binary::Le, b, a) };
            g.select(first, da, db)
        }
        Binary::Mod => {
            // a - q b with the whole quotient q, which is constant between its steps.
            let whole = g.sub(a, y);
            let quotient = g.div(whole, b);
            let pull = product(g, quotient, db);
            g.sub(da, pull)
        }
        Binary::Lt | Binary::Le | Binary::Eq => g.constant(0.0),
    }
}

/// `a ** less`, but zero instead of infinity at `a = 0`. There `(x / c) ** p` is zero whatever `c` is, yet its slope
/// would be an infinite factor times the zero that `x / c` changes by. Where `a` itself moves, zero stands for the slope of the kink.
fn finite_at_zero(g: &mut Graph, lowered: Id, a: Id, less: Id) -> Id {
    let zero = g.constant(0.0);
    let nought = g.binary(Binary::Eq, a, zero);
    let falls = g.binary(Binary::Lt, less, zero);
    let inner = g.select(falls, zero, lowered);
    g.select(nought, inner, lowered)
}

/// Whether a node is above zero by its form alone, whatever the data.
fn surely_positive(g: &Graph, id: Id) -> bool {
    match g.node(id) {
        Node::Const(_) => g.constant_value(id).is_some_and(|value| value > 0.0),
        Node::Unary(Unary::Exp | Unary::Expit | Unary::Softplus, _) => true,
        Node::Unary(Unary::Sqrt, a) | Node::Binary(Binary::Pow, a, _) => surely_positive(g, a),
        Node::Binary(Binary::Add | Binary::Mul | Binary::Div | Binary::Min | Binary::Max, a, b) => {
            surely_positive(g, a) && surely_positive(g, b)
        }
        Node::Select(_, yes, no) => surely_positive(g, yes) && surely_positive(g, no),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(g: &Graph, roots: &[Id], what: impl Fn(Node) -> bool) -> usize {
        g.reach(roots.to_vec()).filter(|&id| what(g.node(id))).count()
    }

    #[test]
    fn derivatives_reuse_the_transcendentals_of_the_value() {
        // A exp(-r x): value, gradient and curvature need one exponential between them.
        let mut g = Graph::default();
        let (a, r, x) = (g.param(0), g.param(1), g.column(0));
        let exponent = g.mul(r, x);
        let exponent = g.neg(exponent);
        let e = g.unary(Unary::Exp, exponent);
        let root = g.mul(a, e);
        let mut deriver = Deriver::default();
        let mut all = vec![root];
        for j in 0..2 {
            let slope = deriver.derive(&mut g, root, By::Param(j));
            all.push(slope);
            for k in 0..2 {
                all.push(deriver.derive(&mut g, slope, By::Param(k)));
            }
        }
        assert_eq!(count(&g, &all, |node| matches!(node, Node::Unary(Unary::Exp, _))), 1);
        assert_eq!(all[1], e, "the slope by A is the exponential itself");
    }

    #[test]
    fn what_does_not_depend_on_a_parameter_has_the_zero_of_the_graph() {
        let mut g = Graph::default();
        let (a, x) = (g.param(0), g.column(0));
        let log = g.unary(Unary::Log, x);
        let root = g.mul(a, log);
        let mut deriver = Deriver::default();
        let other = deriver.derive(&mut g, root, By::Param(1));
        assert!(g.is(other, 0.0));
        let first = deriver.derive(&mut g, root, By::Param(0));
        let second = deriver.derive(&mut g, first, By::Param(0));
        assert!(first == log && g.is(second, 0.0));
    }

    #[test]
    fn a_node_that_is_held_is_a_variable() {
        // y = a v**2 with v = exp(a x): with v held, dy/da = v**2 and dy/dv = 2 a v.
        let mut g = Graph::default();
        let (a, x) = (g.param(0), g.column(0));
        let exponent = g.mul(a, x);
        let v = g.unary(Unary::Exp, exponent);
        let square = g.unary(Unary::Square, v);
        let root = g.mul(a, square);
        let mut deriver = Deriver::holding(v);
        assert_eq!(deriver.derive(&mut g, root, By::Param(0)), square);
        let by_v = deriver.derive(&mut g, root, By::Held);
        let two = g.constant(2.0);
        let twice = g.mul(two, v);
        assert_eq!(by_v, g.mul(a, twice));
        assert_eq!(deriver.derive(&mut g, by_v, By::Param(0)), twice);
    }

    #[test]
    fn signs_are_carried_outside_products() {
        let mut g = Graph::default();
        let (a, b) = (g.param(0), g.param(1));
        let minus = g.neg(a);
        let left = product(&mut g, minus, b);
        let plain = g.mul(a, b);
        assert_eq!(left, g.neg(plain));
        let minus_b = g.neg(b);
        assert_eq!(product(&mut g, minus, minus_b), plain);
    }
}
