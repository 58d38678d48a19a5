use super::*;
use crate::expr::Expression;
use crate::simd::math;

/// Columns of one row each, the k-th worth `e` to the power of k + 2.
struct OneRow;

fn value(graph: &Graph, id: Id, parameters: &[f64]) -> f64 {
    match graph.node(id) {
        Node::Const(bits) => f64::from_bits(bits),
        Node::Column(c) => math::exp(2.0 + f64::from(c)),
        Node::Param(p) => parameters[p as usize],
        Node::Unary(op, a) => op.apply(value(graph, a, parameters)),
        Node::Binary(op, a, b) => op.apply(value(graph, a, parameters), value(graph, b, parameters)),
        Node::Unknown(_) | Node::Inner(..) | Node::Root { .. } | Node::Over { .. } => {
            unreachable!("no law here has a root or a sum")
        }
        Node::Select(a, b, c) => {
            if value(graph, a, parameters) == 0.0 {
                value(graph, c, parameters)
            } else {
                value(graph, b, parameters)
            }
        }
    }
}

impl Columns for OneRow {
    fn mean(&mut self, graph: &Graph, id: Id) -> Option<Mean> {
        Some(Mean::Shared(value(graph, id, &[])))
    }

    fn positive(&mut self, graph: &Graph, id: Id) -> bool {
        value(graph, id, &[]) > 0.0
    }

    fn not_negative(&mut self, graph: &Graph, id: Id) -> bool {
        value(graph, id, &[]) >= 0.0
    }
}

fn rewritten(text: &str, positive: &[&str], log_root: bool) -> (Expression, Rewritten) {
    let law = Expression::parse(text, &["x", "y"], &[]).unwrap();
    let log: Vec<bool> = law.parameters().iter().map(|name| positive.contains(&name.as_str())).collect();
    let coordinates = Coordinates { tied: (0..log.len()).collect(), pivotable: log.clone(), log };
    let made = rewrite(&law.graph, law.root, &coordinates, &mut OneRow, log_root);
    (law, made)
}

fn transcendentals(made: &Rewritten) -> (usize, usize) {
    let at_points = |id: &Id| made.graph.rate(*id) == Rate::Point;
    let reached: Vec<Node> =
        made.graph.reach(vec![made.root]).filter(at_points).map(|id| made.graph.node(id)).collect();
    let exps = reached.iter().filter(|node| matches!(node, Node::Unary(Unary::Exp, _))).count();
    let others =
        reached.iter().filter(|node| matches!(node, Node::Unary(Unary::Log, _) | Node::Binary(Binary::Pow, ..)));
    (exps, others.count())
}

#[test]
fn a_product_of_powers_is_one_exponential_per_point() {
    for (text, exps) in [
        ("E + A / x**r", 1),
        ("E + A / x**r + B / y**s", 2),
        ("A * x**r * y**s / 3", 1),
        ("A * sqrt(x**r) * square(y**s)", 1),
        ("(A / x)**r", 1),
        ("A / x**(r / s)", 1),
        ("A * exp(-r * x) / y**s", 1),
    ] {
        let (_, made) = rewritten(text, &["A", "B", "E"], false);
        assert_eq!(transcendentals(&made), (exps, 0), "{text}");
    }
}

#[test]
fn a_single_product_is_compared_by_its_exponent() {
    let (_, made) = rewritten("A / (x**r * y**s)", &["A"], true);
    assert!(made.root_is_log);
    assert_eq!(transcendentals(&made), (0, 0));
    let (_, sum) = rewritten("E + A / x**r", &["A", "E"], true);
    assert!(!sum.root_is_log);
}

#[test]
fn what_may_be_negative_stays_out_of_logarithms() {
    let (_, made) = rewritten("a * x**r", &[], true);
    assert!(!made.root_is_log, "a has no sign");
    let (_, made) = rewritten("A * (x - 100)**r", &["A"], false);
    assert_eq!(transcendentals(&made).1, 1, "the column is negative: its power stays");
}

#[test]
fn a_sum_is_positive_where_one_term_is_and_none_is_negative() {
    // The column is zero, so that its own logarithm would not do.
    for text in ["(A + max(x - 100, 0))**r", "(max(x - 100, 0) + A)**r", "(A * max(x - 100, 0) + A)**r"] {
        let (_, made) = rewritten(text, &["A"], true);
        assert!(made.root_is_log, "{text}");
    }
    for text in ["(A + x - 100)**r", "(max(x - 100, 0) + max(y - 100, 0))**r", "(a + max(x - 100, 0))**r"] {
        let (_, made) = rewritten(text, &["A"], true);
        assert!(!made.root_is_log, "{text}");
    }
}

#[test]
fn amplitudes_take_up_the_shift_of_centred_columns() {
    let (law, made) = rewritten("E + A / x**r + B / y**s", &["A", "B", "E"], false);
    let index = |name: &str| law.parameters().iter().position(|p| p == name).unwrap();
    // ln A = a' + mean(ln x) r, and ln x is 2 here; ln y is 3.
    let by = |factor| Shift { factor, parameter: None };
    assert_eq!(made.pivots[index("A")], Pivot(vec![(by(2.0), index("r"))]));
    assert_eq!(made.pivots[index("B")], Pivot(vec![(by(3.0), index("s"))]));
    assert_eq!(made.pivots[index("E")], Pivot::default());
}

#[test]
fn shifts_do_not_chain() {
    // r is the exponent of one term and the amplitude of another.
    for text in ["A / x**r + r / y**s", "r / y**s + A / x**r"] {
        let (_, made) = rewritten(text, &["A", "r"], false);
        assert!(made.pivots.iter().any(|pivot| !pivot.0.is_empty()), "{text}");
        for pivot in &made.pivots {
            assert!(pivot.0.iter().all(|&(_, k)| made.pivots[k] == Pivot::default()), "{text}: {:?}", made.pivots);
        }
    }
}

#[test]
fn the_form_has_the_value_of_the_text() {
    for text in ["E + A / x**r + B / y**s", "A * (x / y)**r", "(E + A / x**(r / s))**B", "A * log(1 + y) + A / x**r"] {
        let (law, made) = rewritten(text, &["A", "B", "E"], false);
        let natural: Vec<f64> = (0..law.parameters().len()).map(|j| 0.7 + 0.2 * j as f64).collect();
        let mut internal: Vec<f64> = natural
            .iter()
            .zip(law.parameters())
            .map(|(x, name)| if ["A", "B", "E"].contains(&name.as_str()) { math::ln(*x) } else { *x })
            .collect();
        for (j, pivot) in made.pivots.iter().enumerate() {
            internal[j] -= pivot.0.iter().map(|&(shift, k)| shift.factor * natural[k]).sum::<f64>();
        }
        let expected = value(&law.graph, law.root, &natural);
        let found = value(&made.graph, made.root, &internal);
        assert!((found / expected - 1.0).abs() < 1e-13, "{text}: {found} where the text gives {expected}");
    }
}
