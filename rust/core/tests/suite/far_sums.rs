//! Logarithms of sums over inner tables whose terms all vanish or overflow.

use isoloss_core::expr::Expression;
use isoloss_core::fit::{Loss, Space};
use proptest::prelude::*;

use super::common::{Case, HUBER, Random, assert_close, config, succeeded};
use super::sums::table;

/// `log Σ w exp(u)` with slopes: the oracle, one row, by its definition with the largest exponent taken out.
struct Softmax {
    value: f64,
    /// Averages of slopes `u_j`, and `E[u_jk] + Cov(u_j, u_k)`.
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

/// From terms `(w, u, du, d2u)`.
fn softmax(terms: &[(f64, f64, Vec<f64>, Vec<f64>)]) -> Softmax {
    let most = terms.iter().map(|term| term.1).fold(f64::NEG_INFINITY, f64::max);
    let size: Vec<f64> = terms.iter().map(|(w, u, ..)| w * (u - most).exp()).collect();
    let total: f64 = size.iter().sum();
    let p = terms[0].2.len();
    let mean = |f: &dyn Fn(usize) -> f64| size.iter().enumerate().map(|(k, s)| s / total * f(k)).sum::<f64>();
    let gradient: Vec<f64> = (0..p).map(|j| mean(&|k| terms[k].2[j])).collect();
    let mut hessian = Vec::new();
    for j in 0..p {
        for l in 0..p {
            hessian.push(mean(&|k| {
                let (_, _, du, d2u) = &terms[k];
                d2u[j * p + l] + (du[j] - gradient[j]) * (du[l] - gradient[l])
            }));
        }
    }
    Softmax { value: most + total.ln(), gradient, hessian }
}

const X: [f64; 11] = [0.5, 1.25, 2.0, 0.75, 3.5, 1.0, 2.75, 0.25, 1.5, 2.25, 3.0];
const W: [f64; 11] = [0.5, 0.2, 1.5, 0.4, 2.0, 1.0, 0.7, 0.1, 0.9, 1.1, 0.3];

fn law(text: &str) -> Expression {
    let inner = table("k", &[("x", X.to_vec()), ("w", W.to_vec())]);
    let law = Expression::parse(text, &["y"], &[]).unwrap();
    let named: Vec<String> = law.inner().iter().flat_map(|(_, columns)| columns.to_vec()).collect();
    let columns = inner.columns.into_iter().filter(|(name, _)| named.contains(name)).collect();
    law.with_inner(&[isoloss_core::expr::InnerTable { name: "k".to_owned(), columns }]).unwrap()
}

/// Value, gradient and Hessian of one row that sums points `first` to `last`.
fn at(law: &Expression, y: f64, (first, last): (f64, f64), parameters: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let columns: Vec<Vec<f64>> = law
        .variables()
        .iter()
        .map(|name| {
            vec![if name == "y" {
                y
            } else if name.ends_with("first") {
                first
            } else {
                last
            }]
        })
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let (value, gradient, hessian) = law.derivatives(&columns, parameters).unwrap();
    assert_eq!(value[0].to_bits(), law.evaluate(&columns, parameters).unwrap()[0].to_bits());
    (value[0], gradient, hessian)
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn far_out_value_and_slopes_are_those_of_a_softmax(
        a in -1.5..1.5f64, shift in prop::sample::select(vec![-1e6f64, -2048.0, -760.0, 0.0, 720.0, 2048.0, 1e6]),
        first in 0usize..5, count in 1usize..7,
    ) {
        let range = first..first + count;
        let ends = (range.start as f64, range.end as f64);
        let terms: Vec<_> = range.map(|k| (W[k], shift + a * X[k], vec![1.0, X[k]], vec![0.0; 4])).collect();
        let right = softmax(&terms);
        for text in [
            "log(sum_over(k, k.w * exp(s + a * k.x)))",
            "log(sum_over(k, exp(s) * (k.w * exp(a * k.x / 2) * exp(a * k.x / 2))))",
            "log2(sum_over(k, k.w * exp(s + a * k.x))) * log(2)",
            "log(sum_over(k, k.w / exp(-s - a * k.x)))",
        ] {
            let law = law(text);
            // In order of appearance.
            let order: Vec<usize> = law.parameters().iter().map(|name| usize::from(name == "a")).collect();
            let (value, gradient, hessian) = at(&law, 1.0, ends, &order.iter().map(|&j| [shift, a][j]).collect::<Vec<_>>());
            // The exponents themselves are rounded at the size of the shift.
            let near = 8.0 * f64::EPSILON * shift.abs().max(4.0);
            prop_assert!((value - right.value).abs() <= near, "{text}: {value} where {} is right", right.value);
            for (i, &j) in order.iter().enumerate() {
                prop_assert!((gradient[i] - right.gradient[j]).abs() <= 16.0 * near, "{text}: {gradient:?}");
                for (k, &l) in order.iter().enumerate() {
                    let (found, expected) = (hessian[2 * i + k], right.hessian[2 * j + l]);
                    prop_assert!((found - expected).abs() <= 64.0 * near, "{text}: {found} where {expected} is right");
                }
            }
        }
    }

    #[test]
    fn powers_that_all_vanish_or_overflow(r in 1.0..9.0f64, y in prop::sample::select(vec![1e-200f64, 1e-20, 1e20, 1e200])) {
        // y**(-r x) by way of r log y: slopes in r are multiples of the logarithm of y.
        let log = y.ln();
        let terms: Vec<_> = (0..11).map(|k| (W[k], -r * X[k] * log, vec![-X[k] * log], vec![0.0])).collect();
        let right = softmax(&terms);
        let (value, gradient, hessian) = at(&law("log(sum_over(k, k.w * y**(-r * k.x)))"), y, (0.0, 11.0), &[r]);
        assert_close(&[value, gradient[0]], &[right.value, right.gradient[0]], 1e-11, "value and slope");
        prop_assert!((hessian[0] - right.hessian[0]).abs() <= 1e-9 * log * log, "{} {}", hessian[0], right.hessian[0]);
    }
}

#[test]
fn sums_stand_beside_other_terms_in_logarithms() {
    let sum = |s: f64| s + (0..11).map(|k| W[k] * X[k].exp()).sum::<f64>().ln();
    // In order of appearance: s, then b.
    for (text, s, b, expected) in [
        ("log(sum_over(k, k.w * exp(s + k.x)) + exp(b))", 900.0, 880.0, {
            let big: f64 = sum(900.0);
            big + (880.0 - big).exp().ln_1p()
        }),
        ("log1p(sum_over(k, k.w * exp(s + k.x)) * exp(b))", 900.0, 20.0, sum(920.0)),
        ("log(sum_over(k, k.w * exp(s + k.x))**3 / exp(b))", -900.0, 40.0, 3.0 * sum(-900.0) - 40.0),
        ("log(sqrt(sum_over(k, k.w * exp(s + k.x)))) + b", -3000.0, 1.0, 0.5 * sum(-3000.0) + 1.0),
        // A sum of two exponentials at every point.
        ("log(sum_over(k, k.w * (exp(s + k.x) + exp(b + k.x))))", 900.0, 899.0, sum(900.0) + (-1f64).exp().ln_1p()),
    ] {
        let (value, gradient, hessian) = at(&law(text), 1.0, (0.0, 11.0), &[s, b]);
        assert!((value / expected - 1.0).abs() < 1e-14, "{text}: {value} where {expected} is right");
        assert!(gradient.iter().chain(&hessian).all(|d| d.is_finite()), "{text}: {gradient:?} {hessian:?}");
    }
}

#[test]
fn nothing_infinite_and_missing_pass_through() {
    let law = law("log(sum_over(k, k.w * exp(a * k.x * y)))");
    let value = |y: f64, ends, a: f64| at(&law, y, ends, &[a]).0;
    assert_eq!(value(1.0, (4.0, 4.0), 900.0), f64::NEG_INFINITY, "no points, no sum");
    assert_eq!(value(1e308, (0.0, 11.0), 10.0), f64::INFINITY);
    assert_eq!(value(1e308, (0.0, 11.0), -10.0), f64::NEG_INFINITY);
    assert!(value(f64::NAN, (0.0, 11.0), 1.0).is_nan());
    assert!(value(1.0, (0.0, 11.0), f64::NAN).is_nan());
}

#[test]
fn near_zero_the_text_keeps_its_bits() {
    let (stable, sum) = (law("log(sum_over(k, k.w * exp(a * k.x)))"), law("sum_over(k, k.w * exp(a * k.x))"));
    for step in -80..=80 {
        let a = f64::from(step) * 1.05;
        let plain = at(&sum, 1.0, (1.0, 10.0), &[a]).0;
        let kept = isoloss_core::simd::math::ln(plain);
        assert_eq!(at(&stable, 1.0, (1.0, 10.0), &[a]).0.to_bits(), kept.to_bits(), "at {a}");
    }
}

/// Fits of `b + log Σ w exp(-r x y)`, whose terms are all below the smallest number.
pub(crate) fn vanishing(rows: usize, noise: f64) -> Case {
    let y = (0..rows).map(|row| 900.0 + 40.0 * row as f64).collect();
    let ends = [vec![0.0; rows], (0..rows).map(|row| (3 + row % 9) as f64).collect()];
    let [first, last] = ends;
    let mut case = Case::new(
        "b + log(sum_over(k, k.w * exp(-r * (1 + k.x) * y)))",
        &["y"],
        vec![y, first, last],
        (HUBER, Space::Raw),
    );
    case.law = law("b + log(sum_over(k, k.w * exp(-r * (1 + k.x) * y)))");
    case.objective.loss = Loss::Squared;
    case.constraints.log_scale = vec![false, true];
    let mut random = Random::new(5);
    case.targets = case.predict(&[3.0, 0.9]).iter().map(|m| m + noise * random.normal()).collect();
    case.starts = vec![0.0, 2.0];
    case
}

#[test]
fn the_planted_law_comes_back_from_beyond_the_smallest_number() {
    let case = vanishing(40, 0.0);
    assert!(case.targets.iter().all(|&m| m < -750.0), "{:?}", case.targets);
    let fits = case.run();
    assert!(succeeded(fits.status[0]));
    assert_close(&fits.parameters, &[3.0, 0.9], 1e-9, "parameters");
}
