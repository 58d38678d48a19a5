//! What is done with a text.

use isoloss_core::Error;
use isoloss_core::expr::{Expression, InnerTable, names};
use isoloss_core::fit::{Batch, Constraints, Loss, Objective, Space, explain};
use isoloss_core::job::{Control, Job};
use isoloss_core::search::{Axis, Query};

/// How far a text came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is no expression, and the refusal says where.
    Refused,
    /// It was evaluated, differentiated, described, fitted and searched.
    Ran,
}

/// Columns with values that no sensible data have.
const ROWS: [[f64; 6]; 2] =
    [[1.0, 1e300, 5e-324, 1e9, -3.0, 0.0], [2.0, 1e-300, f64::MAX, 1e12, f64::MIN_POSITIVE, -0.0]];
/// Columns that a law could be fitted to.
const DATA: [[f64; 6]; 2] = [[1e7, 3e7, 1e8, 3e8, 1e9, 3e9], [1e9, 2e9, 8e9, 2e10, 9e10, 2e11]];
const TARGETS: [f64; 6] = [3.9, 3.5, 3.1, 2.8, 2.6, 2.45];
/// Names of the columns, in the texts that [`crate::Source`] makes.
pub(crate) const COLUMNS: [&str; 2] = ["N", "D"];
/// The name of the inner table.
pub(crate) const TABLE: &str = "k";
/// Laws with more parameters than this are not differentiated by point: the Hessian is large by nature.
const MOST_DERIVED: usize = 24;

/// Takes a text through parser, compiler and engines.
///
/// # Panics
/// Only where the core breaks its promises: that is what this function is for.
pub fn try_text(text: &str) -> Outcome {
    let length = text.chars().count();
    let found = match names(text) {
        Ok(found) => found,
        Err(error) => {
            check_refusal(&error, text, length);
            return Outcome::Refused;
        }
    };
    assert!(found.iter().all(|name| !name.is_empty()), "an empty name in {text:?}");
    search(text, length);
    let tables = inner_tables(&found);
    match Expression::parse_with(text, &COLUMNS, &[("e", std::f64::consts::E)], &tables) {
        Ok(law) => run(&law, text, length),
        Err(error) => {
            check_refusal(&error, text, length);
            return Outcome::Refused;
        }
    }
    Outcome::Ran
}

fn check_refusal(error: &Error, text: &str, length: usize) {
    if let Error::Syntax { message, position } = error {
        assert!(!message.is_empty() && *position <= length, "{text:?}: {message:?} at {position}");
    }
    assert!(!error.to_string().is_empty());
}

/// Data for every inner table that a text sums over.
fn inner_tables(names: &[String]) -> Vec<InnerTable> {
    let mut tables: Vec<InnerTable> = Vec::new();
    for (table, column) in names.iter().filter_map(|name| name.split_once('.')) {
        let values = vec![0.5, 1.0, 1e12, 0.0, -2.0];
        match tables.iter_mut().find(|known| known.name == table) {
            Some(known) => known.columns.push((column.to_owned(), values)),
            None => {
                tables.push(InnerTable { name: table.to_owned(), columns: vec![(column.to_owned(), values)] });
            }
        }
    }
    tables
}

fn run(law: &Expression, text: &str, length: usize) {
    let p = law.parameters().len();
    let columns = |from: &'static [[f64; 6]; 2]| -> Vec<&'static [f64]> {
        law.variables().iter().map(|name| &from[usize::from(name != COLUMNS[0])][..]).collect()
    };
    for at in [1.0, -1.0, 0.0, 1e300, 5e-324, f64::INFINITY, f64::NAN] {
        let values = law.evaluate(&columns(&ROWS), &vec![at; p]);
        if let Err(error) = values {
            check_refusal(&error, text, length);
        }
    }
    if p <= MOST_DERIVED {
        let _ = law.derivatives(&columns(&ROWS), &vec![0.7; p]);
    }
    let _ = explain(law, &vec![true; p]);
    fit(law, &columns(&DATA));
}

/// A few steps of a fit, in every space, with positive and with free parameters.
fn fit(law: &Expression, columns: &[&[f64]]) {
    let p = law.parameters().len();
    let (job, control) = (Job::new(1).expect("one thread"), Control::silent());
    for (positive, space) in [(true, Space::Log), (false, Space::Raw)] {
        let mut constraints = Constraints::none(p);
        constraints.log_scale.fill(positive);
        let starts: Vec<f64> = (0..2 * p).map(|j| 0.4 + 0.1 * (j % 7) as f64).collect();
        let fits = Batch {
            law,
            columns,
            targets: &TARGETS,
            target_index: Some(&[0, 0]),
            weights: None,
            weight_index: None,
            offsets: None,
            starts: &starts,
            constraints: &constraints,
            objective: Objective { loss: Loss::Huber { delta: 1e-3 }, space },
            deltas: None,
            max_iterations: 4,
        }
        .run(&job, &control);
        if let Ok(fits) = fits {
            assert_eq!(fits.parameters.len(), 2 * p);
        }
    }
}

/// The text as what a search makes least and as its condition.
fn search(text: &str, length: usize) {
    let axis = |name: &str, values: &[f64]| Axis {
        columns: vec![(name.to_owned(), values.to_vec())],
        scale: values.iter().map(|&value| (value.abs().max(1e-300).ln(), 1.0)).collect(),
    };
    let axes = [axis(COLUMNS[0], &ROWS[0]), axis(COLUMNS[1], &DATA[1]), axis("E", &[1.5, 1.7])];
    for (minimize, condition) in [(text, None), ("N * D + E", Some(text))] {
        let query = Query {
            axes: &axes,
            by: &[2],
            definitions: &[],
            minimize,
            second: None,
            condition,
            within: Some(0.01),
            top: 3,
            shape: true,
            tally: false,
            visit: false,
        };
        match query.run(Job::new(1).expect("one thread"), &Control::silent()) {
            Ok(found) => assert_eq!(found.best.len(), 2),
            Err(error) => check_refusal(&error, text, length),
        }
    }
}
