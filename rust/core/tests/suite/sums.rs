//! Sums over inner tables: values, derivatives, refusals, and fits in every regime.

use isoloss_core::Error;
use isoloss_core::expr::{Expression, InnerTable};
use isoloss_core::fit::{Loss, Space, Status};
use proptest::prelude::*;

use super::common::{Case, Random, assert_close, assert_same_bits, config, one};
use super::derivatives::check;

pub(crate) fn table(name: &str, columns: &[(&str, Vec<f64>)]) -> InnerTable {
    InnerTable {
        name: name.to_owned(),
        columns: columns.iter().map(|(name, values)| ((*name).to_owned(), values.clone())).collect(),
    }
}

/// The Multi-Power law of Luo et al. (2025), with the area before each drop.
const MULTI_POWER: &str = "L0 + A*S1**-alpha - B*sum_over(k, k.drop*(1 - (1 + C*k.lr**-gamma*(S1 - k.S))**-beta))";
const TRUTH: [f64; 7] = [2.65, 0.6, 0.45, 440.0, 2.1, 0.65, 0.6];

/// Curves of several lengths whose rows share the points of their curve; rows of a curve read its points up to their own.
fn curves(count: usize, rows: usize) -> (Vec<Vec<f64>>, InnerTable) {
    let (mut s1, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let (mut drop, mut lr, mut area) = (Vec::new(), Vec::new(), Vec::new());
    for curve in 0..count {
        let start = lr.len();
        let points = 30 + 17 * curve;
        let fall = 0.3 + curve as f64 / count as f64;
        let rate = |k: usize| 3e-4 * (0.55 + 0.45 * (std::f64::consts::PI * fall * k as f64 / points as f64).cos());
        let mut sum = 0.02;
        for k in 1..=points {
            drop.push(rate(k - 1) - rate(k));
            lr.push(rate(k));
            area.push(sum);
            sum += rate(k) * 150.0;
        }
        for row in 0..rows {
            let upto = 1 + row * points / rows;
            s1.push(area[start + upto - 1] + lr[start + upto - 1] * 70.0);
            first.push(start as f64);
            last.push((start + upto) as f64);
        }
    }
    (vec![s1, first, last], table("k", &[("drop", drop), ("lr", lr), ("S", area)]))
}

pub(crate) fn multi_power(count: usize, rows: usize, noise: f64) -> Case {
    let (columns, inner) = curves(count, rows);
    let mut case = Case::new(MULTI_POWER, &["S1"], columns, (Loss::Huber { delta: 1e-3 }, Space::Log));
    case.law = case.law.with_inner(&[inner]).unwrap();
    case.constraints.log_scale = case.law.parameters().iter().map(|name| name != "alpha").collect();
    let mut random = Random::new(9);
    case.targets = case.predict(&TRUTH).iter().map(|y| y * (noise * random.normal()).exp()).collect();
    case.starts = TRUTH.iter().zip([1.02, 0.9, 1.1, 0.8, 1.3, 0.9, 1.1]).map(|(x, f)| x * f).collect();
    case
}

#[test]
fn rows_sum_their_stretch_of_the_table() {
    let (columns, inner) = curves(3, 40);
    let law = Expression::parse(MULTI_POWER, &["S1"], &[]).unwrap();
    assert_eq!(law.variables(), ["S1", "k.first", "k.last"]);
    assert_eq!(law.inner(), [("k", &["drop".to_owned(), "lr".to_owned(), "S".to_owned()][..])]);
    let law = law.with_inner(std::slice::from_ref(&inner)).unwrap();
    let given: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let found = law.evaluate(&given, &TRUTH).unwrap();
    let column = |name: &str| &inner.columns.iter().find(|(known, _)| known == name).unwrap().1;
    let [l0, a, alpha, b, c, gamma, beta] = TRUTH;
    for (row, &value) in found.iter().enumerate() {
        let s1 = columns[0][row];
        let sum: f64 = (columns[1][row] as usize..columns[2][row] as usize)
            .map(|k| {
                let grown = 1.0 + c * column("lr")[k].powf(-gamma) * (s1 - column("S")[k]);
                column("drop")[k] * (1.0 - grown.powf(-beta))
            })
            .sum();
        let expected = l0 + a * s1.powf(-alpha) - b * sum;
        assert!((value / expected - 1.0).abs() < 1e-13, "row {row}: {value} where the sum gives {expected}");
    }
}

#[test]
fn any_length_of_stretch_has_its_own_sum() {
    let x: Vec<f64> = (0..1000).map(f64::from).collect();
    let law =
        Expression::parse("a * sum_over(k, k.x)", &[], &[]).unwrap().with_inner(&[table("k", &[("x", x)])]).unwrap();
    let mut random = Random::new(1);
    let mut first = vec![0.0, 0.0, 999.0, 1000.0];
    let mut last = vec![0.0, 1000.0, 1000.0, 1000.0];
    for _ in 0..500 {
        let a = random.below(1001);
        let b = a + random.below(1001 - a);
        first.push(a as f64);
        last.push(b as f64);
    }
    let found = law.evaluate(&[&first, &last], &[2.0]).unwrap();
    for ((a, b), value) in first.iter().zip(&last).zip(found) {
        // Whole numbers: the sum is exact.
        assert_eq!(value, (b - a) * (a + b - 1.0), "{a} to {b}");
    }
}

#[test]
fn derivatives_are_sums_of_derivatives() {
    let inner = table("k", &[("x", vec![0.3, 0.9, 1.4, 2.2, 0.1]), ("w", vec![0.5, -0.2, 1.5, 0.4, 9.0])]);
    for text in [
        "sum_over(k, k.w * exp(-a * k.x * y)) * b",
        "sum_over(k, a * k.w + b * x * k.x**2)",
        "a + b * sum_over(k, k.w * (1 - (1 + a * k.x**-b * x)**-(a * b)))",
        "log(sum_over(k, exp(a * k.x)) + b)",
        "sum_over(k, log(1 + exp(a * k.x - b)))",
        // A sum of sums over the same stretch, a count, and what holds no column.
        "sum_over(k, k.w * tanh(a * k.x) * sum_over(j, j.v * b**k.x))",
        "a * sum_over(k, k.w) + b * sum_over(k, a**2 + k.x)",
        // Self-consistency with a sum, and a root for every inner point.
        "root(R, R - sum_over(k, k.x * exp(-a * R * k.x)) * b, 0, 50)",
        "sum_over(k, k.x * root(R, R + b * R**3 - a * k.x, 0, 50))",
    ] {
        let fixed = table("j", &[("v", vec![0.7, 1.1])]);
        let law = Expression::parse_with(text, &["x", "y"], &[], &[fixed]).unwrap();
        let law = law.with_inner(std::slice::from_ref(&inner)).unwrap();
        let value = |name: &String| match name.as_str() {
            "x" => &[0.7][..],
            "y" => &[1.9],
            "k.first" => &[0.0],
            _ => &[4.0],
        };
        let columns: Vec<&[f64]> = law.variables().iter().map(value).collect();
        for at in [[0.8, 1.3], [1.7, 0.4]] {
            let at: Vec<f64> = law.parameters().iter().map(|p| if p == "a" { at[0] } else { at[1] }).collect();
            let judged = check(&law, &columns, &at).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(judged, 6, "{text}: the differences were too coarse");
        }
    }
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn rows_do_not_depend_on_their_company(
        lengths in prop::collection::vec(0usize..40, 1..30), a in -1.0..1.0f64, b in 0.1..2.0f64,
    ) {
        // Every row alone has the bits that it has among the others.
        let ends: Vec<f64> = lengths.iter().scan(0.0, |at, &n| { *at += n as f64; Some(*at) }).collect();
        let starts: Vec<f64> = ends.iter().zip(&lengths).map(|(end, &n)| end - n as f64).collect();
        let points: Vec<f64> = (0..lengths.iter().sum::<usize>().max(1)).map(|k| (k as f64 * 0.37).sin()).collect();
        let law = Expression::parse("sum_over(k, exp(a * k.x) / (b + k.x**2))", &[], &[]).unwrap();
        let law = law.with_inner(&[table("k", &[("x", points)])]).unwrap();
        let whole = law.derivatives(&[&starts, &ends], &[a, b]).unwrap();
        for row in 0..lengths.len() {
            let one = law.derivatives(&[&starts[row..=row], &ends[row..=row]], &[a, b]).unwrap();
            prop_assert_eq!(one.0[0].to_bits(), whole.0[row].to_bits());
            prop_assert_eq!(&one.1[..], &whole.1[2 * row..2 * row + 2]);
            prop_assert_eq!(&one.2[..], &whole.2[4 * row..4 * row + 4]);
        }
    }
}

#[test]
fn a_quadrature_is_part_of_the_law() {
    // Gauss and Hermite's three nodes integrate a polynomial of degree five exactly: E (1 + a z)^2 = 1 + a^2.
    let root = 3f64.sqrt();
    let nodes = table("t", &[("x", vec![-root, 0.0, root]), ("w", vec![1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0])]);
    let text = "sum_over(t, t.w * (1 + a * t.x)**2) * x";
    let law = Expression::parse_with(text, &["x"], &[], std::slice::from_ref(&nodes)).unwrap();
    assert_eq!(law.variables(), ["x"]);
    assert!(law.inner().is_empty());
    let (value, gradient, hessian) = law.derivatives(&[&[2.0]], &[0.5]).unwrap();
    assert_close(&[value[0], gradient[0], hessian[0]], &[2.5, 2.0, 4.0], 1e-14, text);
    // Without a parameter it is a number, known when the law is read.
    let law = Expression::parse_with("a + sum_over(t, t.w * t.x**2)", &[], &[], &[nodes]).unwrap();
    assert_close(&law.evaluate(&[], &[1.0]).unwrap(), &[2.0], 1e-15, "a constant quadrature");
}

#[test]
fn faults_are_named() {
    let syntax = |text: &str| match Expression::parse(text, &["x"], &[]) {
        Err(Error::Syntax { message, position }) => (message, position),
        other => panic!("{text:?} gave {other:?}"),
    };
    for (text, position, part) in [
        ("a + k.x", 4, "it stands inside sum_over(k, ...)"),
        ("sum_over(k, m.x)", 12, "it stands inside sum_over(m, ...)"),
        ("sum_over(k, k * x)", 12, "write k.column"),
        ("sum_over(k, k.first)", 12, "which points a row sums"),
        ("sum_over(k, sum_over(k, k.x))", 21, "bound by an enclosing"),
        ("sum_over(k.x, 1)", 9, "it has a meaning"),
        ("sum_over(1, x)", 9, "name of the inner table"),
        ("x + sum_over(k, x)", 4, "holds no column of its table 'k'"),
        ("sum_over(k)", 10, "expected ','"),
        ("sum_over(k, k.x, 2)", 15, "expected ')'"),
    ] {
        let (message, at) = syntax(text);
        assert!(message.contains(part), "{text:?}: {message}");
        assert_eq!(at, position, "{text:?}: {message}");
    }
    let fixed = table("t", &[("x", vec![1.0])]);
    match Expression::parse_with("sum_over(t, t.y)", &[], &[], &[fixed]) {
        Err(Error::Syntax { message, position: 12 }) => {
            assert!(message.contains("no column 'y'; it has x"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let law = Expression::parse("a * sum_over(k, k.x)", &[], &[]).unwrap();
    let said = |result: Result<Expression, Error>| result.unwrap_err().to_string();
    assert!(law.evaluate(&[&[0.0], &[1.0]], &[1.0]).unwrap_err().to_string().contains("'k' has no data"));
    assert!(said(law.with_inner(&[])).contains("'k' has no data"));
    assert!(said(law.with_inner(&[table("k", &[("y", vec![1.0])])])).contains("no column 'x'; it has y"));
    assert!(said(law.with_inner(&[table("k", &[("x", vec![f64::NAN])])])).contains("k.x is NaN at index 0"));
    assert!(said(law.with_inner(&[table("k", &[("x", vec![1.0]), ("y", vec![])])])).contains("k.y has 0 values"));
    let law = law.with_inner(&[table("k", &[("x", vec![1.0, 2.0])])]).unwrap();
    for (first, last) in [(0.0, 3.0), (-1.0, 1.0), (2.0, 1.0), (0.5, 1.0), (f64::NAN, 1.0)] {
        let refused = law.evaluate(&[&[0.0, first], &[2.0, last]], &[1.0]).unwrap_err().to_string();
        assert!(refused.contains("k.last is") && refused.contains("at index 1"), "{first} to {last}: {refused}");
    }
}

#[test]
fn the_planted_law_comes_back_and_threads_do_not_matter() {
    let mut case = multi_power(5, 120, 0.0);
    let fits = case.run();
    assert_eq!(fits.status[0], Status::Converged as u8);
    assert_close(&fits.parameters, &TRUTH, 1e-4, MULTI_POWER);
    case.starts = case.starts.repeat(20);
    let mut random = Random::new(4);
    case.starts.iter_mut().for_each(|x| *x *= (0.05 * random.normal()).exp());
    let single = case.run();
    case.threads = 2;
    assert_same_bits(&case.run(), &single, "two threads");
}

/// With the shape of the gain held: few curves leave it in a flat valley, where no two roads end at one point.
fn determined(mut case: Case) -> Case {
    for (j, name) in case.law.parameters().iter().enumerate() {
        if ["C", "gamma", "beta"].contains(&name.as_str()) {
            case.constraints.fixed[j] = true;
            case.starts[j] = TRUTH[j];
        }
    }
    case
}

#[test]
fn tall_and_wide_agree() {
    let case = determined(multi_power(5, 120, 1e-3));
    let wide = case.run();
    let mut tall = case.clone();
    for column in &mut tall.columns {
        *column = column.repeat(8);
    }
    tall.targets = case.targets.repeat(8);
    assert!(tall.targets.len() > 4096);
    let found = tall.run();
    assert_close(&found.parameters, &wide.parameters, 1e-5, "tall and wide");
    assert_close(&[found.value[0] / 8.0], &[wide.value[0]], 1e-10, "their values");
}

#[test]
fn a_row_of_weight_zero_is_absent_and_panels_own_their_rows() {
    let case = determined(multi_power(4, 60, 1e-3));
    let mut random = Random::new(6);
    let mut weighted = case.clone();
    let weights: Vec<f64> = (0..240).map(|_| random.below(3) as f64).collect();
    weighted.weights = Some(weights.clone());
    let kept: Vec<usize> = (0..240).filter(|&row| weights[row] != 0.0).collect();
    let mut fewer = case.clone();
    let pick = |values: &[f64]| -> Vec<f64> { kept.iter().map(|&row| values[row]).collect() };
    fewer.columns = case.columns.iter().map(|column| pick(column)).collect();
    fewer.targets = pick(&case.targets);
    fewer.weights = Some(pick(&weights));
    let (a, b) = (weighted.run(), fewer.run());
    assert_close(&a.parameters, &b.parameters, 1e-5, "rows of weight zero and rows left out");
    assert_close(&a.value, &b.value, 1e-9, "their values");
    // Two panels of two curves each, solved in one batch and one by one.
    let mut panels = case.clone();
    panels.offsets = Some(vec![0, 120, 240]);
    panels.starts = case.starts.repeat(2);
    let both = panels.run();
    for (panel, rows) in [0..120, 120..240].into_iter().enumerate() {
        let mut own = case.clone();
        own.columns = case.columns.iter().map(|column| column[rows.clone()].to_vec()).collect();
        own.targets = case.targets[rows].to_vec();
        let alone = own.run();
        assert_same_bits(&alone, &one(&both, panel), "a panel alone");
    }
}

#[test]
fn bases_that_are_negative_at_some_inner_point_stay_out_of_logarithms() {
    // A square of a parameter's exponent: right for any base, while a logarithm of it would be none. Of the tables, the
    // second is read over stretches of its own, where the first one is read nowhere.
    let numbers = table("k", &[("x", vec![-1.5, 0.4, 2.0, -0.3, 1.1, 0.8])]);
    let others = table("j", &[("x", vec![5.0, 6.0, 7.0, 8.0, 9.0, 4.0])]);
    for text in [
        "a + b * sum_over(k, k.x**r)",
        "a + b * sum_over(k, (k.x + N)**r)",
        "a + sum_over(j, j.x) + b * sum_over(k, (k.x - N)**r)",
    ] {
        let mut case = Case::new(text, &["N"], Vec::new(), (Loss::Squared, Space::Raw));
        let inner: Vec<InnerTable> = [&numbers, &others]
            .into_iter()
            .filter(|table| text.contains(&format!("({}", table.name)))
            .cloned()
            .collect();
        case.law = case.law.with_inner(&inner).unwrap();
        let column = |name: &String| match name.as_str() {
            "N" => vec![0.5, 1.0, 0.7, 0.2, 0.9, 0.1],
            "k.first" => vec![0.0, 1.0, 0.0, 2.0, 0.0, 3.0],
            "k.last" => vec![2.0, 5.0, 6.0, 6.0, 4.0, 5.0],
            _ => vec![0.0; 6],
        };
        case.columns = case.law.variables().iter().map(column).collect();
        let r = case.index("r");
        case.constraints.fixed[r] = true;
        case.targets = case.predict(&[0.3, 1.2, 2.0]);
        case.starts = vec![0.1, 1.0, 2.0];
        let fits = case.run();
        assert_close(&fits.parameters, &[0.3, 1.2, 2.0], 1e-9, text);
    }
}
