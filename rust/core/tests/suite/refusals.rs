//! Input that cannot be used is refused with the kind of fault and the names a user needs.

use isoloss_core::Error;
use isoloss_core::expr::Expression;
use isoloss_core::fit::{Loss, Space};
use isoloss_core::job::{Control, Job};

use super::common::{Case, chinchilla};

fn refusal(change: impl FnOnce(&mut Case)) -> Error {
    let mut case = chinchilla(30, 0.01, 41);
    change(&mut case);
    case.try_run(&Control::silent()).expect_err("the input is bad")
}

#[track_caller]
fn shape(error: &Error, names: &str, numbers: (usize, usize)) {
    match error {
        Error::Shape { what, found, expected } => {
            assert!(what.contains(names), "{error}");
            assert_eq!((*found, *expected), numbers, "{error}");
        }
        other => panic!("{other:?} where a shape is wrong"),
    }
}

#[track_caller]
fn value(error: &Error, names: &str, at: usize, because: &str) {
    match error {
        Error::Value { what, index, reason, .. } => {
            assert!(what.contains(names), "{error}");
            assert_eq!(*index, at, "{error}");
            assert!(reason.contains(because), "{error}");
        }
        other => panic!("{other:?} where a value is wrong"),
    }
}

#[track_caller]
fn option(error: &Error, parts: &[&str]) {
    match error {
        Error::Option(message) => assert!(parts.iter().all(|part| message.contains(part)), "{message}"),
        other => panic!("{other:?} where an option is wrong"),
    }
}

#[test]
fn wrong_lengths() {
    shape(&refusal(|c| c.columns.truncate(1)), "list of columns", (1, 2));
    shape(&refusal(|c| c.columns[1].truncate(29)), "D", (29, 30));
    shape(&refusal(|c| c.targets.truncate(29)), "targets", (29, 30));
    shape(&refusal(|c| c.targets = c.targets.repeat(3)), "targets", (90, 30));
    shape(&refusal(|c| c.weights = Some(vec![1.0; 31])), "weights", (31, 30));
    shape(&refusal(|c| c.weights = Some(vec![1.0; 60])), "weights", (60, 30));
    shape(&refusal(|c| c.target_index = Some(vec![0, 0])), "index of the targets", (2, 1));
    shape(&refusal(|c| c.constraints.fixed = vec![true]), "fixed", (1, 5));
    shape(&refusal(|c| c.constraints.tied = vec![0]), "tied", (1, 5));
    shape(&refusal(|c| c.constraints.lower = vec![0.0]), "lower", (1, 5));
    shape(&refusal(|c| c.constraints.upper = vec![0.0; 6]), "upper", (6, 5));
    shape(&refusal(|c| c.constraints.log_scale = Vec::new()), "log_scale", (0, 5));
    shape(&refusal(|c| c.offsets = Some(vec![0, 10, 30])), "offsets", (3, 2));
    shape(&refusal(|c| c.offsets = Some(vec![0, 29])), "offsets", (30, 29));
    option(&refusal(|c| c.starts.truncate(4)), &["4 numbers", "5 parameters"]);
}

#[test]
fn numbers_that_cannot_be_used() {
    value(&refusal(|c| c.columns[0][7] = f64::NAN), "N", 7, "finite");
    value(&refusal(|c| c.columns[1][0] = f64::INFINITY), "D", 0, "finite");
    value(&refusal(|c| c.targets[29] = f64::NAN), "targets", 29, "finite");
    value(&refusal(|c| c.targets[3] = 0.0), "targets", 3, "logarithm");
    value(&refusal(|c| c.weights = Some([vec![1.0; 29], vec![-1.0]].concat())), "weights", 29, "not negative");
    value(&refusal(|c| c.weights = Some([vec![f64::NAN], vec![1.0; 29]].concat())), "weights", 0, "finite");
    value(&refusal(|c| c.starts[2] = f64::NAN), "alpha", 0, "finite");
    value(&refusal(|c| c.starts[1] = -1.0), "A", 0, "positive");
    value(&refusal(|c| c.starts.extend([1.0, 1.0, 1.0, 0.0, 1.0])), "B", 1, "positive");
    let logit = |c: &mut Case| c.objective.space = Space::Logit;
    value(&refusal(logit), "targets", 0, "between 0 and 1");
    let binomial = |c: &mut Case| {
        c.objective.space = Space::Raw;
        c.objective.loss = Loss::Binomial;
    };
    value(&refusal(binomial), "targets", 0, "between 0 and 1");
}

#[test]
fn options_that_contradict() {
    option(&refusal(|c| (c.constraints.lower[2], c.constraints.upper[2]) = (1.0, 0.5)), &["alpha", "1", "0.5"]);
    option(&refusal(|c| c.constraints.lower[4] = f64::NAN), &["beta", "NaN"]);
    option(&refusal(|c| c.constraints.upper[0] = 0.0), &["E", "positive"]);
    option(&refusal(|c| c.constraints.tied[4] = 9), &["beta", "tied"]);
    option(&refusal(|c| (c.constraints.tied[2], c.constraints.tied[4]) = (4, 2)), &["alpha", "tied"]);
    option(&refusal(|c| c.target_index = Some(vec![1])), &["set 1", "targets", "have 1"]);
    option(
        &refusal(|c| (c.weights, c.weight_index) = (Some(vec![1.0; 60]), Some(vec![2]))),
        &["set 2", "weights", "have 2"],
    );
    let falling = |c: &mut Case| {
        c.starts = c.starts.repeat(2);
        c.offsets = Some(vec![0, 31, 30]);
    };
    option(&refusal(falling), &["offsets", "problem 1"]);
    let logarithms = |c: &mut Case| c.objective.loss = Loss::Binomial;
    option(&refusal(logarithms), &["binomial", "raw"]);
    for (loss, name) in [
        (Loss::Huber { delta: 0.0 }, "delta"),
        (Loss::SoftL1 { delta: f64::NAN }, "delta"),
        (Loss::Cauchy { delta: -1.0 }, "delta"),
        (Loss::LogCosh { delta: f64::INFINITY }, "delta"),
        (Loss::AsymmetricHuber { delta: 1.0, over: 0.0 }, "over-prediction"),
        (Loss::Expectile { over: -2.0 }, "over-prediction"),
        (Loss::Quantile { tau: 1.0 }, "tau"),
        (Loss::Quantile { tau: f64::NAN }, "tau"),
    ] {
        option(&refusal(|c| c.objective.loss = loss), &[name]);
    }
    let mut case = Case::new("N * 2", &["N"], vec![vec![1.0]], (Loss::Squared, Space::Raw));
    case.targets = vec![1.0];
    option(&case.try_run(&Control::silent()).unwrap_err(), &["no parameter"]);
}

#[test]
fn evaluation_checks_its_lengths() {
    let law = Expression::parse("E + A / N**alpha", &["N"], &[]).unwrap();
    shape(&law.evaluate(&[], &[1.0, 2.0, 3.0]).unwrap_err(), "columns", (0, 1));
    shape(&law.evaluate(&[&[1.0]], &[1.0]).unwrap_err(), "parameters", (1, 3));
    shape(&law.derivatives(&[&[1.0]], &[1.0; 4]).unwrap_err(), "parameters", (4, 3));
    shape(
        &law.evaluate_many(&[&[1.0]], &[1.0; 7], Job::new(1).unwrap(), &Control::silent()).unwrap_err(),
        "parameters",
        (7, 3),
    );
    let law = Expression::parse("N / D * a", &["N", "D"], &[]).unwrap();
    shape(&law.evaluate(&[&[1.0, 2.0], &[1.0]], &[1.0]).unwrap_err(), "D", (1, 2));
}

#[test]
fn errors_read_as_sentences() {
    let text = refusal(|c| c.columns[0][7] = f64::NAN).to_string();
    assert_eq!(text, "N is NaN at index 7: only finite numbers can be fitted");
    let text = refusal(|c| c.columns[1].truncate(29)).to_string();
    assert_eq!(text, "D has 29 values where 30 are needed");
}
