//! What people read: names of outcomes, hints where a text is wrong, functions where a law is explained.

use std::collections::BTreeSet;

use isoloss_core::Error;
use isoloss_core::expr::{Expression, names};
use isoloss_core::fit::{Status, explain};

#[test]
fn every_outcome_has_its_name_and_says_whether_it_is_a_minimum() {
    let named: BTreeSet<&str> = Status::ALL.iter().map(|status| status.name()).collect();
    assert_eq!(named.len(), Status::ALL.len());
    for (code, status) in Status::ALL.into_iter().enumerate() {
        assert_eq!(status as usize, code);
        assert_eq!(status.message().starts_with("converged"), status.is_success(), "{}", status.name());
    }
}

#[test]
fn every_function_is_named_where_it_is_computed() {
    for (text, word) in [
        ("log2(a + x)", "log2("),
        ("log10(a + x)", "log10("),
        ("expm1(a * x)", "expm1("),
        ("sqrt(a + x)", "sqrt("),
        ("expit(a * x)", "expit("),
        ("erf(a * x)", "erf("),
        ("abs(a - x)", "abs("),
        ("softplus(a * x)", "softplus("),
        ("min(a, x)", "min("),
        ("max(a, x)", "max("),
        ("a % x", " % "),
        ("where(a <= x, a, x)", " <= "),
    ] {
        let law = Expression::parse(&format!("E + B * {text}"), &["x"], &[]).unwrap();
        let said = explain(&law, &vec![false; law.parameters().len()]).unwrap();
        let points = said.split("For every point").nth(1).unwrap();
        assert!(points.contains(word), "{word} is not in\n{points}");
    }
}

#[test]
fn signs_of_other_languages_get_the_sign_of_this_one() {
    for (text, hint) in [("x ^ 2", "write **"), ("x & y", "write and"), ("x | y", "write or"), ("!x", "write not")] {
        match Expression::parse(text, &["x", "y"], &[]) {
            Err(Error::Syntax { message, .. }) => assert!(message.contains(hint), "{message}"),
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

#[test]
fn columns_of_inner_tables_are_named_after_the_free_names() {
    assert_eq!(names("E + A * sum_over(k, k.drop * k.S**r) / N").unwrap(), ["E", "A", "r", "N", "k.drop", "k.S"]);
}
