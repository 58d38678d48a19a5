//! Roots: values, derivatives by the implicit function theorem, refusals, and fits of implicit laws.

use isoloss_core::Error;
use isoloss_core::expr::Expression;
use isoloss_core::fit::{Loss, Space, Status};
use proptest::prelude::*;

use super::common::{Case, Random, assert_close, config};
use super::derivatives::check;

fn value(text: &str, parameters: &[f64]) -> f64 {
    let law = Expression::parse(text, &["x"], &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let columns: &[&[f64]] = if law.variables().is_empty() { &[] } else { &[&[1.5]] };
    law.evaluate(columns, parameters).unwrap()[0]
}

fn refused(text: &str) -> (String, usize) {
    match Expression::parse(text, &["x"], &[]) {
        Err(Error::Syntax { message, position }) => (message, position),
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn roots_are_right_to_the_last_places() {
    // A constant root is folded; one of a parameter is solved when the law is evaluated.
    for (text, parameters, expected) in [
        ("root(L, L**2 - 2, 0, 2)", vec![], 2f64.sqrt()),
        ("root(L, L**2 - a, 0, 1e300)", vec![2.0], 2f64.sqrt()),
        ("root(L, a - L**2, -1e300, 0)", vec![2.0], -2f64.sqrt()),
        ("root(L, L**3 - a, -1e9, 1e9)", vec![1e-12], 1e-4),
        ("root(L, exp(L) - a, -1e3, 1e3)", vec![1e30], 1e30f64.ln()),
        ("root(L, log(L) - a, 0, exp(700))", vec![0.5], 0.5f64.exp()),
        // Newton's steps from either end lead away: halving it is.
        ("root(L, tanh(L - a), -1e6, 2e6)", vec![12.25], 12.25),
        // A root at an end, at a jump, and none.
        ("root(L, L - a, 1, 2)", vec![1.0], 1.0),
        ("root(L, L - a, 1, 2)", vec![2.0], 2.0),
        ("root(L, L - a, 1, 2)", vec![2.5], f64::NAN),
        ("root(L, L - a, 2, 1)", vec![1.5], f64::NAN),
        ("root(L, L - a, 1, 2)", vec![f64::NAN], f64::NAN),
        ("root(L, where(L < a, -1, 1), 0, 1)", vec![0.375], 0.375),
        // The equation is infinite at one end, which still has a sign.
        ("root(L, 1 / L - a, 0, 10)", vec![4.0], 0.25),
        ("root(L, L - a, 0, b)", vec![4.0, f64::INFINITY], 4.0),
        // A root within an equation, and between bounds that are roots.
        ("root(L, L - root(M, M**2 - L - a, 0, 10), 0, 10)", vec![2.0], 2.0),
        ("root(L, L * x - a, root(L, L**2 - 1, 0, 5), root(L, L**2 - 9, 0, 5))", vec![3.0], 2.0),
    ] {
        let found = value(text, &parameters);
        if expected.is_nan() {
            assert!(found.is_nan(), "{text}: {found}");
        } else {
            assert!(
                (found - expected).abs() <= 4.0 * f64::EPSILON * expected.abs(),
                "{text}: {found:e} for {expected:e}"
            );
        }
    }
}

#[test]
fn multiple_roots_and_flat_equations_end() {
    // Triple roots: the equation itself rounds to zero in a neighbourhood of them.
    assert!((value("root(L, (L - a)**3, -10, 11)", &[0.7]) - 0.7).abs() < 1e-5);
    assert!((value("root(L, expm1(L - a)**5, -100, 110)", &[0.7]) - 0.7).abs() < 1e-3);
}

#[test]
fn derivatives_follow_from_the_equation() {
    for text in [
        "root(L, L**3 + b * L - a * x, 0, 100)",
        "root(L, L - exp(-a * L) - b, -10, 10)",
        "b * root(L, L * exp(L) - a * x, 0, 100)**2 + a",
        "root(L, log(L) + L * b - a / y, 1e-9, 1e9)",
        // The bounds hold parameters too; only the root's own slope counts.
        "root(L, L**2 - a * b, 0, a + b + 5)",
        // Self-consistency within self-consistency.
        "root(L, L - x * exp(-root(M, M + a * M**3 - L * b, -5, 50)), 0, 10)",
        "root(L, L - a * tanh(b * L + 1), 0, 10) / y",
    ] {
        let law = Expression::parse(text, &["x", "y"], &[]).unwrap();
        let columns: Vec<&[f64]> =
            law.variables().iter().map(|v| if v == "x" { &[0.7][..] } else { &[1.9][..] }).collect();
        for at in [[0.8, 1.3], [1.7, 0.4]] {
            let at: Vec<f64> = law.parameters().iter().map(|p| if p == "a" { at[0] } else { at[1] }).collect();
            let judged = check(&law, &columns, &at).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(judged, 6, "{text}: the differences were too coarse");
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_root_solves_its_equation_wherever_it_lies(
        low in -1e3..1e3f64, width in 1e-3..1e3f64, share in 0.001..0.999f64, power in 0.2..5.0f64, slope in 1e-6..1e6f64,
    ) {
        let at = low + share * width;
        let text = "root(L, s * where(L < a, -(a - L)**p, (L - a)**p), low, high)";
        let law = Expression::parse(text, &[], &[("low", low), ("high", low + width)]).unwrap();
        let names = ["s", "a", "p"];
        prop_assert_eq!(law.parameters(), names);
        let found = law.evaluate(&[], &[slope, at, power]).unwrap()[0];
        // Steeper than its power near zero it may be zero over a neighbourhood.
        let flat = if power > 1.0 { 1e-300f64.powf(1.0 / power) } else { 0.0 };
        prop_assert!((found - at).abs() <= 4.0 * f64::EPSILON * at.abs() + flat, "{found} for {at}");
    }
}

#[test]
fn faults_are_named_where_they_stand() {
    for (text, position, part) in [
        ("root(L, x - 1, 0, 1)", 0, "does not hold its unknown 'L'"),
        ("root(L, L - 1, 0)", 16, "expected ','"),
        ("root(L - 1, 0, 1)", 7, "expected ','"),
        ("root(3, L - 1, 0, 1)", 5, "name of the unknown"),
        ("root(exp, L - 1, 0, 1)", 5, "it has a meaning"),
        ("root(L, root(L, L - 1, 0, 1) - L, 0, 1)", 13, "bound by an enclosing"),
        ("a + root", 4, "is a function"),
        ("root(L, sum_over(L, L.x) - L, 0, 1)", 17, "bound by an enclosing"),
        ("root(k, k - 1, 0, 1) + sum_over(k, k.x)", 32, "the unknown of a root and an inner table"),
        ("root(a, a - root(b, b - root(c, c - b, 0, 1), 0, 1), 0, 1)", 29, "root() nested more than 2 levels"),
        (
            "sum_over(a, a.x*sum_over(b, b.x*sum_over(c, c.x*sum_over(d, d.x*sum_over(e, e.x)))))",
            73,
            "nested more than 4 levels",
        ),
    ] {
        let (message, at) = refused(text);
        assert!(message.contains(part), "{text:?}: {message}");
        assert_eq!(at, position, "{text:?}: {message}");
    }
    let many: Vec<String> = (0..61).map(|k| format!("root(L{k}, L{k} - x, 0, 1)")).collect();
    assert!(refused(&many.join(" + ")).0.contains("more than 60 unknowns"));
    // Outside its equation the name is a parameter like any other.
    let law = Expression::parse("L + root(L, L - x, 0, 9)", &["x"], &[]).unwrap();
    assert_eq!(law.parameters(), ["L"]);
}

/// Su et al. (2024), after Kaplan et al. (2020): the loss of N parameters after S steps at batch B.
const TRAJECTORY: &str = "root(L, L - (Nc/N)**aN - (Sc*(1 + Bs/(B*L**(1/aB)))/S)**aS, (Nc/N)**aN, 1e3)";

fn trajectory() -> (Case, Vec<f64>) {
    let mut random = Random::new(3);
    let rows = 300;
    let columns: Vec<Vec<f64>> = [(1e6, 1e9), (1e4, 1e7), (1e2, 1e6)]
        .iter()
        .map(|&(low, high)| (0..rows).map(|_| random.spread(low, high)).collect())
        .collect();
    let mut case = Case::new(TRAJECTORY, &["N", "B", "S"], columns, (Loss::Squared, Space::Log));
    let value = |name: &str| match name {
        "Nc" => 6.5e13,
        "aN" => 0.077,
        "Sc" => 2.1e3,
        "Bs" => 2e8,
        "aB" => 0.21,
        "aS" => 0.76,
        other => panic!("no parameter {other}"),
    };
    let truth: Vec<f64> = case.law.parameters().iter().map(|name| value(name)).collect();
    case.constraints.log_scale = vec![true; truth.len()];
    case.targets = case.predict(&truth);
    case.starts = truth.iter().zip([1.5, 1.2, 0.5, 2.0, 1.1, 0.9]).map(|(x, f)| x * f).collect();
    (case, truth)
}

#[test]
fn an_implicit_law_gives_its_planted_parameters_back() {
    let (case, truth) = trajectory();
    let losses = &case.targets;
    assert!(losses.iter().all(|l| l.is_finite() && *l > 1.0), "{losses:?}");
    let fits = case.run();
    assert_eq!(fits.status[0], Status::Converged as u8);
    assert_close(&fits.parameters, &truth, 1e-6, TRAJECTORY);
}

#[test]
fn tall_and_wide_and_any_number_of_threads_agree() {
    let (mut case, truth) = trajectory();
    let wide = case.run();
    // The same rows twenty times over are the same problem, as one of many rows.
    for column in &mut case.columns {
        *column = column.repeat(20);
    }
    case.targets = case.targets.repeat(20);
    let tall = case.run();
    assert_close(&tall.parameters, &truth, 1e-6, "tall");
    assert_close(&tall.parameters, &wide.parameters, 1e-6, "tall and wide");
    case.threads = 2;
    super::common::assert_same_bits(&case.run(), &tall, "two threads");
}

#[test]
fn a_row_without_a_root_is_a_start_that_is_not_finite() {
    let mut case =
        Case::new("root(L, L - a * x, 0, 1)", &["x"], vec![vec![0.1, 0.2, 0.4]], (Loss::Squared, Space::Raw));
    case.targets = vec![0.1, 0.2, 0.4];
    case.starts = vec![3.0];
    assert_eq!(case.run().status[0], Status::NonFiniteStart as u8);
    case.starts = vec![2.0];
    let fits = case.run();
    assert_eq!(fits.status[0], Status::Converged as u8);
    assert_close(&fits.parameters, &[1.0], 1e-9, "from inside");
}
