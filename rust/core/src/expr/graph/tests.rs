use super::*;

#[test]
fn equal_subexpressions_are_one_node() {
    let mut g = Graph::default();
    let (n, a) = (g.column(0), g.param(0));
    let x = g.binary(Binary::Mul, n, a);
    let y = g.binary(Binary::Mul, a, n);
    assert_eq!(x, y);
    let before = g.len();
    let _ = g.unary(Unary::Exp, x);
    let _ = g.unary(Unary::Exp, y);
    assert_eq!(g.len(), before + 1);
}

#[test]
fn rates_follow_the_operands() {
    let mut g = Graph::default();
    let (n, a, c) = (g.column(0), g.param(0), g.constant(2.0));
    let log = g.unary(Unary::Log, n);
    let twice = g.binary(Binary::Mul, a, c);
    let both = g.binary(Binary::Mul, log, twice);
    assert_eq!(g.rate(c), Rate::Constant);
    assert_eq!(g.rate(log), Rate::Column);
    assert_eq!(g.rate(twice), Rate::Problem);
    assert_eq!(g.rate(both), Rate::Point);
}

#[test]
fn folding_uses_the_run_time_kernels() {
    let mut g = Graph::default();
    let x = g.constant(0.3);
    let folded = g.unary(Unary::Exp, x);
    assert_eq!(g.constant_value(folded), Some(math::exp(0.3)));
}

#[test]
fn min_and_max_do_not_hide_nan() {
    assert!(minimum(1.0, f64::NAN).is_nan() && minimum(f64::NAN, 1.0).is_nan());
    assert!(maximum(1.0, f64::NAN).is_nan() && maximum(f64::NAN, 1.0).is_nan());
    assert_eq!((minimum(1.0, 2.0), maximum(1.0, 2.0)), (1.0, 2.0));
}
