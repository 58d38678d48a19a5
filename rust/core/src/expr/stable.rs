//! Logarithms of sums of exponentials and powers, in forms that neither overflow nor vanish.
//!
//! What stands under a logarithm is split as `c · exp(u)`: exponents of factors add up, and a sum takes the largest
//! exponent of its terms out,
//!
//! ```text
//! log Σ c_i exp(u_i) = m + log Σ c_i exp(u_i - m)      m = max u_i
//! ```
//!
//! The two `m` cancel, so derivatives treat `m` as a constant ([`Unary::Hold`]) and come out as averages of the slopes of
//! the `u_i` under the weights `c_i exp(u_i - m) / Σ`, which are as stable as the value. Two terms that are nothing but
//! exponentials need no maximum: `log(exp(u) + exp(v)) = u + softplus(v - u)`. In a sum over an inner table the largest
//! exponent is that among the points of the row, for which the table is gone through once more.
//!
//! The text of a law keeps its own rounding: there the form above is taken only where `|m|` exceeds [`FAR`], and the plain
//! one, bit for bit, elsewhere. The solver's form, which rounds differently anyway, always takes it.

use std::collections::HashMap;

use super::graph::{Binary, Fold, Graph, Id, Node, Rate, Unary};
use crate::simd::math;

/// Exponents up to this size are left to the plain form: squares of `exp(u)` are still within range.
const FAR: f64 = 300.0;

/// `factor · exp(exponent)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled {
    pub(crate) factor: Id,
    pub(crate) exponent: Option<Id>,
    /// The largest size of any exponent on the way, which may be gone from the whole: that of `exp(u) / exp(u)`.
    pub(crate) reach: Option<Id>,
}

impl Scaled {
    pub(crate) fn plain(factor: Id) -> Self {
        Self { factor, exponent: None, reach: None }
    }

    /// With the size of the whole exponent among the others.
    fn reached(g: &mut Graph, factor: Id, exponent: Id, others: [Option<Id>; 2]) -> Self {
        let size = g.unary(Unary::Abs, exponent);
        let reach = others
            .into_iter()
            .flatten()
            .fold(size, |most, next| if next == most { most } else { g.binary(Binary::Max, most, next) });
        Self { factor, exponent: Some(exponent), reach: Some(reach) }
    }

    fn exponential(g: &mut Graph, exponent: Id) -> Self {
        let one = g.constant(1.0);
        Self::reached(g, one, exponent, [None, None])
    }
}

/// Where expressions are taken from and where their copies go.
pub(crate) trait Host {
    /// A node of the expression that is split.
    fn node(&self, id: Id) -> Node;
    /// How often it has to be computed.
    fn rate(&self, id: Id) -> Rate;
    /// The graph that receives the result.
    fn to(&mut self) -> &mut Graph;
    /// The node itself, in that graph.
    fn copy(&mut self, id: Id) -> Id;
    /// Its logarithm, in that graph, if the whole is known to be positive.
    fn logarithm(&mut self, id: Id) -> Option<Id>;
    /// A power whose base is not split, and whose exponent holds a parameter.
    fn power(&mut self, id: Id, base: Id, exponent: Id) -> Scaled;
}

/// Splits an expression; without an exponent where it holds none.
pub(crate) fn split<H: Host>(host: &mut H, id: Id) -> Scaled {
    if let Some(exponent) = host.logarithm(id) {
        return Scaled::exponential(host.to(), exponent);
    }
    let plain = |host: &mut H| Scaled::plain(host.copy(id));
    match host.node(id) {
        Node::Unary(Unary::Exp, a) => {
            let exponent = host.copy(a);
            Scaled::exponential(host.to(), exponent)
        }
        Node::Unary(op @ (Unary::Neg | Unary::Sqrt | Unary::Square), a) => {
            let Scaled { factor, exponent: Some(exponent), reach } = split(host, a) else { return plain(host) };
            let g = host.to();
            let times = g.constant(match op {
                Unary::Sqrt => 0.5,
                Unary::Square => 2.0,
                _ => 1.0,
            });
            let (factor, exponent) = (g.unary(op, factor), g.binary(Binary::Mul, exponent, times));
            Scaled::reached(g, factor, exponent, [reach, None])
        }
        Node::Binary(op @ (Binary::Mul | Binary::Div), a, b) => {
            let (left, right) = (split(host, a), split(host, b));
            let g = host.to();
            let exponent = match (left.exponent, right.exponent) {
                (None, None) => return plain(host),
                (Some(u), None) => u,
                (None, Some(v)) => {
                    if op == Binary::Mul {
                        v
                    } else {
                        g.neg(v)
                    }
                }
                (Some(u), Some(v)) => {
                    if op == Binary::Mul {
                        g.add(u, v)
                    } else {
                        g.sub(u, v)
                    }
                }
            };
            let factor = g.binary(op, left.factor, right.factor);
            Scaled::reached(g, factor, exponent, [left.reach, right.reach])
        }
        Node::Binary(Binary::Pow, a, b) => {
            let Scaled { factor, exponent, reach } = split(host, a);
            if let Some(exponent) = exponent {
                let power = host.copy(b);
                let g = host.to();
                let factor = g.binary(Binary::Pow, factor, power);
                let exponent = g.mul(power, exponent);
                return Scaled::reached(g, factor, exponent, [reach, None]);
            }
            match host.rate(b) {
                Rate::Constant | Rate::Column => plain(host),
                Rate::Problem | Rate::Point => host.power(id, a, b),
            }
        }
        Node::Binary(Binary::Add | Binary::Sub, ..) => {
            let terms = terms(host, id);
            if !varies(host.to(), &terms) {
                return plain(host);
            }
            let g = host.to();
            let largest = largest(g, &terms);
            let m = held(g, largest);
            let factor = total(g, &terms, m);
            let reach = reach(g, &terms);
            Scaled::reached(g, factor, m, [reach, None])
        }
        Node::Over { fold: Fold::Sum, scope, body, first, last } => {
            let Scaled { factor, exponent: Some(exponent), reach } = split(host, body) else { return plain(host) };
            let (first, last) = (host.copy(first), host.copy(last));
            let g = host.to();
            // The largest exponent among the points is taken out, as that among the terms of a sum is.
            let most = g.most(scope, exponent, first, last);
            let m = held(g, most);
            let shifted = g.sub(exponent, m);
            let size = g.unary(Unary::Exp, shifted);
            let term = g.binary(Binary::Mul, factor, size);
            let factor = g.sum(scope, term, first, last);
            let reach = reach.map(|reach| g.most(scope, reach, first, last));
            Scaled::reached(g, factor, m, [reach, None])
        }
        _ => plain(host),
    }
}

/// The terms of a sum, split, each with whether it is subtracted.
fn terms<H: Host>(host: &mut H, id: Id) -> Vec<(bool, Scaled)> {
    let mut found = Vec::new();
    let mut stack = vec![(false, id)];
    while let Some((minus, next)) = stack.pop() {
        match host.node(next) {
            Node::Binary(Binary::Add, a, b) => stack.extend([(minus, b), (minus, a)]),
            Node::Binary(Binary::Sub, a, b) => stack.extend([(!minus, b), (minus, a)]),
            Node::Unary(Unary::Neg, a) => stack.push((!minus, a)),
            // Constants by their logarithm too, so that a small one does not stand in the way of smaller terms.
            Node::Const(bits) => {
                let value = f64::from_bits(bits);
                if value != 0.0 {
                    let g = host.to();
                    let exponent = g.constant(math::ln(value.abs()));
                    let term = Scaled { factor: g.constant(1.0), exponent: Some(exponent), reach: None };
                    found.push((minus != (value < 0.0), term));
                }
            }
            _ => found.push((minus, split(host, next))),
        }
    }
    found
}

/// Whether any exponent is more than a constant.
fn varies(g: &Graph, terms: &[(bool, Scaled)]) -> bool {
    terms.iter().any(|(_, term)| term.exponent.is_some_and(|exponent| g.rate(exponent) != Rate::Constant))
}

/// The largest exponent; that of a term without one is zero.
fn largest(g: &mut Graph, terms: &[(bool, Scaled)]) -> Id {
    let zero = g.constant(0.0);
    let mut exponents: Vec<Id> = Vec::new();
    for (_, term) in terms {
        let exponent = term.exponent.unwrap_or(zero);
        if !exponents.contains(&exponent) {
            exponents.push(exponent);
        }
    }
    let first = exponents[0];
    exponents[1..].iter().fold(first, |most, &next| g.binary(Binary::Max, most, next))
}

/// The largest size of any exponent.
fn reach(g: &mut Graph, terms: &[(bool, Scaled)]) -> Option<Id> {
    let mut found: Vec<Id> = Vec::new();
    for reach in terms.iter().filter_map(|(_, term)| term.reach) {
        if !found.contains(&reach) {
            found.push(reach);
        }
    }
    found.into_iter().reduce(|most, next| g.binary(Binary::Max, most, next))
}

/// The exponent that is taken out: finite, so that what it is taken from stays a number, and without a slope.
fn held(g: &mut Graph, largest: Id) -> Id {
    let (low, high) = (g.constant(-f64::MAX), g.constant(f64::MAX));
    let bounded = g.binary(Binary::Max, largest, low);
    let bounded = g.binary(Binary::Min, bounded, high);
    g.unary(Unary::Hold, bounded)
}

/// `Σ c_i exp(u_i - m)`.
fn total(g: &mut Graph, terms: &[(bool, Scaled)], m: Id) -> Id {
    let mut sum = g.constant(0.0);
    for &(minus, Scaled { factor, exponent, .. }) in terms {
        let shifted = match exponent {
            Some(exponent) => g.sub(exponent, m),
            None => g.neg(m),
        };
        let size = g.unary(Unary::Exp, shifted);
        let term = g.binary(Binary::Mul, factor, size);
        sum = if minus { g.sub(sum, term) } else { g.add(sum, term) };
    }
    sum
}

/// `u` in units of the logarithm's base.
fn in_base(g: &mut Graph, op: Unary, u: Id) -> Id {
    let unit = match op {
        Unary::Log2 => std::f64::consts::LOG2_E,
        Unary::Log10 => std::f64::consts::LOG10_E,
        _ => 1.0,
    };
    let unit = g.constant(unit);
    g.mul(u, unit)
}

/// `op` of `factor · exp(exponent)`.
fn log_of(g: &mut Graph, op: Unary, factor: Id, exponent: Id) -> Id {
    let shift = in_base(g, op, exponent);
    let rest = g.unary(op, factor);
    g.add(shift, rest)
}

/// Whether an operation is a logarithm.
pub(crate) fn is_log(op: Unary) -> bool {
    matches!(op, Unary::Log | Unary::Log2 | Unary::Log10 | Unary::Log1p)
}

/// The stable form of `op(a)`, if `a` holds an exponential that changes from point to point. With `plain` it is taken
/// only far out, and `plain` elsewhere.
pub(crate) fn logarithm<H: Host>(host: &mut H, op: Unary, a: Id, plain: Option<Id>) -> Option<Id> {
    let mut terms = terms(host, a);
    if !varies(host.to(), &terms) {
        return None;
    }
    let g = host.to();
    let base = if op == Unary::Log1p {
        let one = Scaled::plain(g.constant(1.0));
        terms.insert(0, (false, one));
        Unary::Log
    } else {
        op
    };
    if let Some(pair) = pair(g, &terms, plain.is_some()) {
        return Some(in_base(g, base, pair));
    }
    let most = largest(g, &terms);
    let m = if let [(false, Scaled { exponent: Some(u), .. })] = terms[..] { u } else { held(g, most) };
    let g = host.to();
    let sum = match terms[..] {
        [(false, term)] => term.factor,
        _ => total(g, &terms, m),
    };
    let stable = log_of(g, base, sum, m);
    let reach = reach(g, &terms).unwrap_or(most);
    let near = match (plain, op) {
        (Some(near), _) => near,
        // Where nothing overflows the sum may be far below one: it is shifted only when it must be.
        (None, Unary::Log1p) => {
            let sum = host.copy(a);
            host.to().unary(op, sum)
        }
        (None, _) => return Some(stable),
    };
    let g = host.to();
    let limit = g.constant(FAR);
    let beyond = g.binary(Binary::Lt, limit, reach);
    Some(g.select(beyond, stable, near))
}

/// `log(exp(u) + exp(v))`. A text is written so only where one of the terms is one: elsewhere it keeps its rounding.
fn pair(g: &mut Graph, terms: &[(bool, Scaled)], text: bool) -> Option<Id> {
    let zero = g.constant(0.0);
    let pure = |g: &Graph, term: &Scaled| g.is(term.factor, 1.0).then(|| term.exponent.unwrap_or(zero));
    let [(false, a), (false, b)] = terms else { return None };
    let (u, v) = (pure(g, a)?, pure(g, b)?);
    // The steadier of the two outside: what is computed per problem stays so.
    let (u, v) = if g.rate(v) < g.rate(u) { (v, u) } else { (u, v) };
    if text && u != zero {
        return None;
    }
    let difference = g.sub(v, u);
    let above = g.unary(Unary::Softplus, difference);
    Some(g.add(u, above))
}

/// `root` with every logarithm of exponentials and powers stable far out; the same node where there is none.
pub(crate) fn stabilised(graph: &mut Graph, root: Id) -> Id {
    Text { graph, known: HashMap::new() }.copy(root)
}

/// The text of a law, rebuilt in its own graph.
struct Text<'a> {
    graph: &'a mut Graph,
    known: HashMap<Id, Id>,
}

impl Host for Text<'_> {
    fn node(&self, id: Id) -> Node {
        self.graph.node(id)
    }

    fn rate(&self, id: Id) -> Rate {
        self.graph.rate(id)
    }

    fn to(&mut self) -> &mut Graph {
        self.graph
    }

    fn copy(&mut self, id: Id) -> Id {
        if let Some(&known) = self.known.get(&id) {
            return known;
        }
        let result = match self.graph.node(id) {
            Node::Const(_) | Node::Column(_) | Node::Param(_) | Node::Unknown(_) | Node::Inner(..) => id,
            Node::Unary(op, a) => {
                let inner = self.copy(a);
                let plain = self.graph.unary(op, inner);
                let stable = if is_log(op) { logarithm(self, op, a, Some(plain)) } else { None };
                stable.unwrap_or(plain)
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.copy(a), self.copy(b));
                self.graph.binary(op, a, b)
            }
            Node::Select(a, b, c) => {
                let (a, b, c) = (self.copy(a), self.copy(b), self.copy(c));
                self.graph.select(a, b, c)
            }
            Node::Over { fold, scope, body, first, last } => {
                let body = self.copy(body);
                self.graph.over(fold, scope, body, first, last)
            }
            Node::Root { scope, body, low, high, .. } => {
                let (body, low, high) = (self.copy(body), self.copy(low), self.copy(high));
                self.graph.root(scope, body, low, high)
            }
        };
        self.known.insert(id, result);
        result
    }

    fn logarithm(&mut self, _: Id) -> Option<Id> {
        None
    }

    /// `x**b` where nothing is known of `x`: `exp(b log x)` where `x` is positive, the power itself elsewhere.
    fn power(&mut self, id: Id, base: Id, exponent: Id) -> Scaled {
        let (whole, base, exponent) = (self.copy(id), self.copy(base), self.copy(exponent));
        let g = &mut *self.graph;
        let (zero, one) = (g.constant(0.0), g.constant(1.0));
        let positive = g.binary(Binary::Lt, zero, base);
        let log = g.unary(Unary::Log, base);
        let log = g.binary(Binary::Mul, exponent, log);
        let (factor, exponent) = (g.select(positive, one, whole), g.select(positive, log, zero));
        Scaled::reached(g, factor, exponent, [None, None])
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::Expression;
    use crate::simd::math::{exp, ln, pow};

    fn at(text: &str, x: f64, parameters: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        let law = Expression::parse(text, &["x"], &[]).unwrap();
        let columns: &[&[f64]] = if law.variables().is_empty() { &[] } else { &[&[x]] };
        let (value, gradient, hessian) = law.derivatives(columns, parameters).unwrap();
        assert_eq!(value[0].to_bits(), law.evaluate(columns, parameters).unwrap()[0].to_bits(), "{text}");
        (value[0], gradient, hessian)
    }

    #[test]
    fn sums_of_exponentials_far_out() {
        for shift in [-3e5, -800.0, 800.0, 1e6, 1e15] {
            let (value, gradient, hessian) = at("log(exp(a) + 3 * exp(b))", 0.0, &[shift, shift - 1.0]);
            let rest = (1.0 + 3.0 / std::f64::consts::E).ln();
            assert!((value - (shift + rest)).abs() <= 4.0 * f64::EPSILON * shift.abs(), "{value} at {shift}");
            // Weights of a softmax, and their covariance.
            let weight = 1.0 / (1.0 + 3.0 / std::f64::consts::E);
            let spread = weight * (1.0 - weight);
            for (found, expected) in
                gradient.iter().chain(&hessian).zip([weight, 1.0 - weight, spread, -spread, -spread, spread])
            {
                assert!((found - expected).abs() < 1e-15, "{found} where {expected} is right, at {shift}");
            }
        }
    }

    #[test]
    fn products_powers_and_bases() {
        for (text, parameters, expected) in [
            ("log(exp(a) * exp(b) / 4)", [900.0, -1.0], 899.0 - 4f64.ln()),
            ("log2(exp(a) + exp(b))", [2000.0, 2000.0], 2000.0 * std::f64::consts::LOG2_E + 1.0),
            ("log10(exp(a) * x + exp(b))", [2000.0, 0.0], 2000.0 * std::f64::consts::LOG10_E + 100f64.log10()),
            ("log(x**a + x**b)", [400.0, 10.0], 400.0 * 100f64.ln()),
            ("log(2**a + 3 * 2**b)", [-5000.0, -5000.0], -5000.0 * 2f64.ln() + 4f64.ln()),
            ("log(sqrt(exp(a)) * square(exp(b)))", [900.0, 500.0], 450.0 + 1000.0),
            ("log((exp(a) + exp(b))**3)", [900.0, 900.0], 3.0 * (900.0 + 2f64.ln())),
            ("log(exp(a) - exp(b))", [900.0, 899.0], 900.0 + (-(-1f64).exp()).ln_1p()),
            ("log1p(2 * exp(a) + exp(b))", [900.0, 900.0], 900.0 + 3f64.ln()),
            ("log(x * (exp(a) + exp(b)) / (exp(a) + 1))", [900.0, 900.0], 100f64.ln() + 2f64.ln()),
            ("log(log(exp(a) + exp(b)))", [900.0, 0.0], 900f64.ln()),
        ] {
            let (value, gradient, hessian) = at(text, 100.0, &parameters);
            assert!((value / expected - 1.0).abs() < 1e-14, "{text}: {value} where {expected} is right");
            assert!(gradient.iter().chain(&hessian).all(|d| d.is_finite()), "{text}: {gradient:?} {hessian:?}");
        }
    }

    #[test]
    fn softplus_is_relative_in_both_tails() {
        for text in ["log(1 + exp(a))", "log(exp(a) + 1)", "log1p(exp(a))", "softplus(a)"] {
            for (a, expected) in [(-700.0, (-700f64).exp()), (-40.0, (-40f64).exp()), (0.0, 2f64.ln()), (1e4, 1e4)] {
                let (value, gradient, hessian) = at(text, 0.0, &[a]);
                assert!((value / expected - 1.0).abs() < 1e-15, "{text} at {a}: {value}");
                assert_eq!(gradient[0], crate::simd::math::expit(a), "{text} at {a}");
                assert!(hessian[0].is_finite());
            }
        }
    }

    #[test]
    fn near_zero_the_text_keeps_its_bits() {
        let mut u: f64 = -299.0;
        while u < 300.0 {
            let x = 1.0 + u.abs() / 100.0;
            let (value, ..) = at("log(exp(a) + 2 * x**b)", x, &[u, 0.7 * u / 3.0]);
            let naive = ln(exp(u) + 2.0 * pow(x, 0.7 * u / 3.0));
            assert_eq!(value.to_bits(), naive.to_bits(), "at {u}");
            u += 0.37;
        }
        assert!(at("log(exp(a) + x**b)", -2.0, &[-800.0, 3.0]).0.is_nan(), "a negative power has no logarithm");
        let (value, ..) = at("log(x**a + exp(b))", -2.0, &[2.0, 900.0]);
        assert!((value - 900.0).abs() < 1e-12, "{value}");
    }

    #[test]
    fn infinite_and_missing_exponents_pass_through() {
        let (value, ..) = at("log(exp(a * x) + exp(b))", 1e308, &[10.0, 1.0]);
        assert_eq!(value, f64::INFINITY);
        let (value, ..) = at("log(exp(a * x) + exp(b * x))", 1e308, &[-10.0, -20.0]);
        assert_eq!(value, f64::NEG_INFINITY);
        assert!(at("log(exp(a * x) + exp(b))", f64::NAN, &[1.0, 1.0]).0.is_nan());
    }
}
