//! First and second derivatives against central differences, operation by operation and for random trees.

use isoloss_core::expr::Expression;
use proptest::prelude::*;

use super::common::config;
use super::reference::{columns_of, in_order};
use super::trees::{COLUMNS, trees};

/// Value, gradient and Hessian at one row.
fn derived(law: &Expression, columns: &[&[f64]], at: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let (value, gradient, hessian) = law.derivatives(columns, at).unwrap();
    (value[0], gradient, hessian)
}

/// Central differences of all entries of `f`, extrapolated once (Richardson), with an estimate of their error: how
/// far a step of half the size moves the result, and the rounding of the values.
fn differences(f: impl Fn(f64) -> Vec<f64>, x: f64) -> Vec<(f64, f64)> {
    let centre = |h: f64| -> Vec<(f64, f64)> {
        let (up, down) = (f(x + h), f(x - h));
        up.iter().zip(&down).map(|(u, d)| ((u - d) / (2.0 * h), (u.abs() + d.abs()) / h)).collect()
    };
    let h = 1e-3 * x.abs().max(0.1);
    let (wide, narrow, finest) = (centre(h), centre(h / 2.0), centre(h / 4.0));
    let better = |w: f64, n: f64| (4.0 * n - w) / 3.0;
    (0..wide.len())
        .map(|i| {
            let first = better(wide[i].0, narrow[i].0);
            let second = better(narrow[i].0, finest[i].0);
            (second, (second - first).abs() + 2e-15 * finest[i].1)
        })
        .collect()
}

/// Compares analytic derivatives with differences in every parameter; how many entries could be judged to 1e-6.
pub(crate) fn check(law: &Expression, columns: &[&[f64]], at: &[f64]) -> Result<usize, String> {
    let p = at.len();
    let (value, gradient, hessian) = derived(law, columns, at);
    let plain = law.evaluate(columns, at).unwrap()[0];
    if value.to_bits() != plain.to_bits() && !(value.is_nan() && plain.is_nan()) {
        return Err(format!("the value {value:e} is not what evaluate gives, {plain:e}"));
    }
    let mut judged = 0;
    for j in 0..p {
        let shifted = |x: f64| {
            let mut point = at.to_vec();
            point[j] = x;
            let (value, gradient, _) = derived(law, columns, &point);
            [vec![value], gradient].concat()
        };
        let numeric = differences(shifted, at[j]);
        let analytic: Vec<f64> = std::iter::once(gradient[j]).chain((0..p).map(|k| hessian[k * p + j])).collect();
        for (k, (&exact, &(estimate, error))) in analytic.iter().zip(&numeric).enumerate() {
            let scale = exact.abs().max(estimate.abs());
            // Where the difference itself is not trustworthy nothing can be said.
            if !estimate.is_finite() || !(error <= 1e-6 * scale || error < 1e-8) {
                continue;
            }
            judged += 1;
            if !((exact - estimate).abs() <= 10.0 * error + 1e-7 * scale) {
                let by = if k == 0 { String::new() } else { format!(" of derivative {}", k - 1) };
                return Err(format!("derivative {j}{by} is {exact:e}, differences give {estimate:e}"));
            }
        }
    }
    for j in 0..p {
        for k in 0..j {
            if hessian[j * p + k].to_bits() != hessian[k * p + j].to_bits() {
                return Err(format!("the Hessian is not symmetric at {j}, {k}"));
            }
        }
    }
    Ok(judged)
}

#[test]
fn every_operation_has_its_derivatives() {
    // Each at points where it is smooth; b and a enter through products, so that the chain rule takes part.
    for text in [
        "a + b * x",
        "a - b / x",
        "a * b * x",
        "a / b + b / (a * x)",
        "(a * x)**b",
        "(x + a)**(b * y)",
        "a**3 * x",
        "(a * b)**2",
        "(a + b)**-1",
        "2**(a * b)",
        "-(a * b * x)",
        "exp(a * b * x)",
        "log(a * x + b)",
        "log2(a * b * x)",
        "log10(a + b * x)",
        "log1p(a * b * x)",
        "expm1(a * b * x)",
        "sqrt(a * x + b)",
        "tanh(a * b * x)",
        "expit(a - b * x)",
        "erf(a * b * x)",
        "abs(a - 5 * b * x)",
        "abs(a + b * x)",
        "square(a * b - x)",
        "softplus(a * b - x)",
        "log(1 + exp(a * b - x))",
        "log(exp(a + 900) + x * exp(b + 900))",
        "log1p(exp(a + 900) * y + exp(a * b + 901))",
        "log10(exp(a - 900) * y + exp(a * b - 901))",
        "log(x**(a - 900) + y**(b + 500))",
        "min(a * b, a + 9)",
        "max(a * b, a + 9)",
        "min(a * b + 9, a * a, 20)",
        "where(x < y, a * b, a / b)",
        "where(x > y, a * b, a / b)",
        "where(a < b * 10, exp(a * b), log(a))",
        "where(a >= b * 10, exp(a * b), log(a * b))",
        "(a < b) * a * b + (a != b) * a**2",
    ] {
        let law = Expression::parse(text, &["x", "y"], &[]).unwrap();
        let columns: Vec<&[f64]> =
            law.variables().iter().map(|v| if v == "x" { &[0.7][..] } else { &[1.9][..] }).collect();
        for at in [[0.8, 1.3], [1.7, 0.4]] {
            let judged = check(&law, &columns, &at[..law.parameters().len()]).unwrap_or_else(|e| panic!("{text}: {e}"));
            let p = law.parameters().len();
            assert_eq!(judged, p * (p + 1), "{text}: the differences were too coarse");
        }
    }
}

#[test]
fn powers_have_the_right_limits_at_zero() {
    let law = Expression::parse("x**b", &["x"], &[]).unwrap();
    let (value, gradient, hessian) = law.derivatives(&[&[0.0]], &[0.5]).unwrap();
    assert_eq!((value[0], gradient[0], hessian[0]), (0.0, 0.0, 0.0));
    let law = Expression::parse("a**2 + a**3", &[], &[]).unwrap();
    let (_, gradient, hessian) = law.derivatives(&[], &[0.0]).unwrap();
    assert_eq!((gradient[0], hessian[0]), (0.0, 2.0));
}

#[test]
fn a_choice_takes_the_derivative_of_its_branch_alone() {
    // The branch not taken is not a number at this row.
    let law = Expression::parse("where(x > 0, a * x, log(a * x))", &["x"], &[]).unwrap();
    let (value, gradient, hessian) = law.derivatives(&[&[2.0, -1.0]], &[-3.0]).unwrap();
    assert_eq!((value[0], gradient[0], hessian[0]), (-6.0, 2.0, 0.0));
    assert_eq!((gradient[1], hessian[1]), (-1.0 / 3.0, -1.0 / 9.0));
}

#[test]
fn where_a_reciprocal_overflows_derivatives_are_infinite_and_the_value_is_right() {
    // Derivatives divide by way of one reciprocal, which is infinite below 2**-1024, about 5.6e-309; a quotient taken
    // by itself would be 1 / a here, whatever x is.
    let law = Expression::parse("log(a * x)", &["x"], &[]).unwrap();
    let x = 1e-300;
    let edge = f64::from_bits(1 << 50);
    // In two factors: unoptimised code takes 2**-1024 for one over 2**1024, which is infinite.
    assert_eq!(edge, 2f64.powi(-1000) * 2f64.powi(-24));
    for (divisor, finite) in [(1e-307, true), (6e-309, true), (5e-309, false), (5e-324, false)] {
        let a = divisor / x;
        let (value, gradient, hessian) = law.derivatives(&[&[x]], &[a]).unwrap();
        let product = a * x;
        assert_eq!((product > edge), finite, "{divisor:e}");
        assert!((value[0] - product.ln()).abs() <= 1e-13 * value[0].abs(), "{divisor:e}: {}", value[0]);
        if finite {
            // A divisor that is subnormal has lost places itself.
            assert!((gradient[0] * product / x - 1.0).abs() < 1e-14, "{divisor:e}: {}", gradient[0]);
        } else {
            assert_eq!(gradient[0], f64::INFINITY, "{divisor:e}");
            assert!(!hessian[0].is_finite(), "{divisor:e}: {}", hessian[0]);
        }
    }
}

/// Smooth where the arguments are positive.
static SMOOTH: [&str; 11] =
    ["softplus", "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "tanh", "expit", "square"];

proptest! {
    #![proptest_config(config(1200))]

    #[test]
    fn random_trees_have_their_derivatives(
        tree in trees(&SMOOTH, false),
        columns in prop::collection::vec(0.3..3.0f64, 2),
        parameters in prop::collection::vec(0.3..2.0f64, 3),
    ) {
        let text = tree.text();
        let law = Expression::parse(&text, &COLUMNS, &[]).unwrap();
        let columns: Vec<Vec<f64>> = columns.into_iter().map(|x| vec![x]).collect();
        let read = columns_of(&law, &columns);
        let at = in_order(&law, &parameters);
        prop_assume!(law.evaluate(&read, &at).unwrap()[0].is_finite());
        let judged = check(&law, &read, &at).map_err(|e| TestCaseError::fail(format!("{text} at {at:?}: {e}")))?;
        prop_assume!(judged > 0 || at.is_empty());
    }
}
