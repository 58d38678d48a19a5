//! Parsing and evaluating agree, bit for bit, with a walk over the tree that the text was written from.

use isoloss_core::Error;
use isoloss_core::expr::Expression;
use isoloss_core::job::{Control, Job};
use isoloss_core::sample::resample_counts;
use proptest::prelude::*;

use super::common::config;
use super::trees::{COLUMNS, FUNCTIONS, PARAMETERS, Point, Tree, trees};

/// The parameters of a parsed tree, which are in order of appearance, from those of [`PARAMETERS`].
pub(crate) fn in_order(law: &Expression, values: &[f64]) -> Vec<f64> {
    law.parameters().iter().map(|name| values[PARAMETERS.iter().position(|p| p == name).unwrap()]).collect()
}

/// The columns that a parsed tree reads, from those of [`COLUMNS`].
pub(crate) fn columns_of<'a>(law: &Expression, columns: &'a [Vec<f64>]) -> Vec<&'a [f64]> {
    law.variables().iter().map(|name| &columns[COLUMNS.iter().position(|c| c == name).unwrap()][..]).collect()
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn check(tree: &Tree, columns: &[Vec<f64>], parameters: &[f64]) -> Result<(), TestCaseError> {
    let text = tree.text();
    let law = Expression::parse(&text, &COLUMNS, &[]).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
    prop_assert_eq!(law.text(), &text);
    let read = columns_of(&law, columns);
    let found = law.evaluate(&read, &in_order(&law, parameters)).unwrap();
    for (row, &value) in found.iter().enumerate() {
        let point = Point { columns: &[columns[0][row], columns[1][row]], parameters };
        let expected = tree.value(&point);
        prop_assert!(same(value, expected), "{text} at row {row}: {value:e}, the tree gives {expected:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn text_evaluates_as_its_tree(
        tree in trees(&FUNCTIONS, true),
        columns in prop::collection::vec(prop::collection::vec(-5.0..50.0f64, 5), 2),
        parameters in prop::collection::vec(-3.0..3.0f64, 3),
    ) {
        check(&tree, &columns, &parameters)?;
    }
}

#[test]
fn blocks_end_where_the_rows_do() {
    for rows in [1, 127, 128, 129, 300] {
        let x: Vec<f64> = (0..rows).map(f64::from).collect();
        let law = Expression::parse("a * x + 1", &["x"], &[]).unwrap();
        let expected: Vec<f64> = x.iter().map(|x| 3.0 * x + 1.0).collect();
        assert_eq!(law.evaluate(&[&x], &[3.0]).unwrap(), expected);
    }
    let law = Expression::parse("a * x + 1", &["x"], &[]).unwrap();
    assert!(law.evaluate(&[&[]], &[3.0]).unwrap().is_empty());
}

#[test]
fn many_sets_are_single_sets_on_any_number_of_threads() {
    let law = Expression::parse("E + A / x**r", &["x"], &[]).unwrap();
    let x: Vec<f64> = (1..=37).map(f64::from).collect();
    let sets: Vec<f64> = (0..500).flat_map(|k| [1.0 + f64::from(k), 2.0, 0.01 * f64::from(k)]).collect();
    let single: Vec<f64> = sets.chunks(3).flat_map(|set| law.evaluate(&[&x], set).unwrap()).collect();
    for threads in 1..=3 {
        assert_eq!(law.evaluate_many(&[&x], &sets, Job::new(threads).unwrap(), &Control::silent()).unwrap(), single);
    }
}

#[test]
fn many_rows_cut_into_pieces_are_the_rows_of_one() {
    let law = Expression::parse("E + A / x**r", &["x"], &[]).unwrap();
    let x: Vec<f64> = (1..=20_001).map(f64::from).collect();
    let sets = [1.0, 2.0, 0.3, 4.0, 5.0, 0.6];
    let single: Vec<f64> = sets.chunks(3).flat_map(|set| law.evaluate(&[&x], set).unwrap()).collect();
    for (count, threads) in [(1, 1), (1, 2), (2, 1), (2, 3)] {
        let job = Job::new(threads).unwrap();
        let many = law.evaluate_many(&[&x], &sets[..3 * count], job, &Control::silent()).unwrap();
        assert_eq!(many, single[..count * x.len()]);
    }
}

#[test]
fn evaluation_and_resampling_stop_when_told() {
    let law = Expression::parse("E + A / x**r", &["x"], &[]).unwrap();
    let x: Vec<f64> = (1..=500_000).map(f64::from).collect();
    let job = Job::new(1).unwrap();
    let sets = [1.0, 2.0, 0.3].repeat(50);
    let stop = || Control::watched(|_, _| false, false);
    assert!(matches!(law.evaluate_many(&[&x], &sets, job, &stop()), Err(Error::Interrupted)));
    let rows: Vec<usize> = (0..1000).collect();
    assert!(matches!(resample_counts(1, 10_000, &rows, 1000, job, &stop()), Err(Error::Interrupted)));
}

#[test]
fn a_number_of_threads_beyond_any_machine_is_refused() {
    assert!(Job::new(1024).is_ok());
    assert!(matches!(Job::new(1025), Err(Error::Option(message)) if message.contains("1025")));
}

#[test]
fn constants_take_the_place_of_names() {
    let law = Expression::parse("A * (N / N0)**-r", &["N"], &[("N0", 1e8)]).unwrap();
    assert_eq!(law.parameters(), ["A", "r"]);
    let found = law.evaluate(&[&[4e8]], &[3.0, 0.5]).unwrap();
    assert_eq!(found, [1.5]);
}

#[test]
fn variables_keep_the_order_given_and_the_unused_are_left_out() {
    let law = Expression::parse("D * a + N", &["N", "lr", "D"], &[]).unwrap();
    assert_eq!(law.variables(), ["N", "D"]);
    assert_eq!(law.evaluate(&[&[1.0], &[10.0]], &[3.0]).unwrap(), [31.0]);
}

#[test]
fn the_linear_set_is_jointly_linear() {
    for (text, expected) in [
        ("E + A / N**alpha + B / D**beta", vec![true, true, false, true, false]),
        ("a * b * N", vec![true, false]),
        ("a * N + exp(b * N)", vec![true, false]),
        ("(a + b * N)**2", vec![false, false]),
        ("where(N > 1, a, b) + c", vec![true, true, true]),
        ("where(a > N, b, c)", vec![false, true, true]),
        ("max(a, N)", vec![false]),
        ("abs(a)", vec![false]),
    ] {
        let law = Expression::parse(text, &["N", "D"], &[]).unwrap();
        assert_eq!(law.linear(), expected, "{text}");
    }
}

#[test]
fn remainders_of_large_ratios_are_exact() {
    // 10^22 is the largest power of ten that a double holds: powers of 10 by 7 leave 1, 3, 2, 6, 4, 5 in turn.
    let law = Expression::parse("x % y", &["x", "y"], &[]).unwrap();
    let x = [1e22, 9.0, -1e22, 5e-324, 1e22];
    assert_eq!(law.evaluate(&[&x, &[7.0; 5]], &[]).unwrap(), [4.0, 2.0, 3.0, 5e-324, 4.0]);
}
