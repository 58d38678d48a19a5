//! The width of residuals, by which `delta="auto"` goes, of many problems at once.

use isoloss_core::Error;
use isoloss_core::fit::{Sigmas, Space};
use isoloss_core::job::{Control, Job};

use super::common::{Case, SQUARED};

/// 1.4826 times the median absolute deviation of these residuals, 1, is sigma.
const RESIDUALS: [f64; 5] = [-1.0, 0.0, 1.0, 2.0, 90.0];
const SIGMA: f64 = 1.482_602_218_505_602;

/// Two problems of a law that predicts 10 at every row: one with these residuals, one with their triple.
fn case() -> Case {
    let mut case = Case::new("a + b * x", &["x"], vec![vec![0.0, 1.0, 2.0, 3.0, 4.0]], (SQUARED, Space::Raw));
    case.targets = [1.0, 3.0].iter().flat_map(|scale| RESIDUALS.map(|residual| 10.0 - scale * residual)).collect();
    case.starts = [10.0, 0.0].repeat(2);
    case
}

fn sigmas(case: &Case, control: &Control<'_>) -> isoloss_core::Result<Sigmas> {
    case.as_batch(|batch| batch.sigmas(&Job::new(case.threads).unwrap(), control))
}

#[test]
fn residuals_and_targets_have_the_sigma_of_their_definition() {
    let mut case = case();
    for threads in [1, 2] {
        case.threads = threads;
        let found = sigmas(&case, &Control::silent()).unwrap();
        assert_eq!(found.residual, [SIGMA, 3.0 * SIGMA]);
        // The law is constant, so the targets spread as the residuals do.
        assert_eq!(found.target, found.residual);
    }
}

#[test]
fn rows_of_weight_zero_are_absent_and_panels_own_their_rows() {
    let mut case = case();
    case.weights = Some(vec![1.0, 1.0, 1.0, 0.0, 0.0]);
    // The median of -1, 0, 1 is 0, that of the distances 1, 0, 1 is 1.
    assert_eq!(sigmas(&case, &Control::silent()).unwrap().residual, [SIGMA, 3.0 * SIGMA]);
    case.weights = Some(vec![0.0; 5]);
    assert!(sigmas(&case, &Control::silent()).unwrap().residual.iter().all(|sigma| sigma.is_nan()));
    case.weights = None;
    case.columns[0] = [0.0, 1.0, 2.0, 3.0, 4.0].repeat(2);
    case.offsets = Some(vec![0, 5, 10]);
    assert_eq!(sigmas(&case, &Control::silent()).unwrap().residual, [SIGMA, 3.0 * SIGMA]);
}

#[test]
fn residuals_are_taken_in_the_space_of_the_objective() {
    let mut case = case();
    case.objective.space = Space::Log;
    case.targets = [1.0, 3.0]
        .iter()
        .flat_map(|scale: &f64| RESIDUALS.map(|residual| 10.0 * (-1e-3 * scale * residual).exp()))
        .collect();
    let found = sigmas(&case, &Control::silent()).unwrap().residual;
    for (sigma, expected) in found.iter().zip([1e-3 * SIGMA, 3e-3 * SIGMA]) {
        assert!((sigma / expected - 1.0).abs() < 1e-10, "{sigma} {expected}");
    }
}

#[test]
fn a_prediction_that_is_no_number_gives_none() {
    let mut case = case();
    case.starts[..2].fill(f64::MAX); // their sum is beyond all numbers
    let found = sigmas(&case, &Control::silent()).unwrap().residual;
    assert!(found[0].is_nan());
    assert_eq!(found[1], 3.0 * SIGMA);
}

#[test]
fn whoever_is_told_to_stop_stops() {
    assert_eq!(sigmas(&case(), &Control::watched(|_, _| false, false)).unwrap_err(), Error::Interrupted);
}
