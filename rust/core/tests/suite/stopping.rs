//! A long job reports progress, stops when told to, and gives what it has if that is wanted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isoloss_core::Error;
use isoloss_core::fit::Status;
use isoloss_core::job::Control;

use super::common::{Case, HUBER, assert_same_bits, at_most, chinchilla, one, scatter};

/// Enough work for some seconds.
fn long() -> Case {
    let mut case = chinchilla(240, 0.05, 51);
    case.objective.loss = HUBER;
    scatter(&mut case, 60_000, 1.0, 52);
    case.threads = 2;
    case
}

#[test]
fn a_job_told_to_stop_is_interrupted() {
    let case = long();
    let told: std::sync::Mutex<Option<Instant>> = std::sync::Mutex::new(None);
    let control = Control::watched(
        |_, _| {
            told.lock().unwrap().get_or_insert_with(Instant::now);
            false
        },
        false,
    );
    assert_eq!(case.try_run(&control).unwrap_err(), Error::Interrupted);
    let told = told.lock().unwrap().expect("the job asked");
    assert!(told.elapsed() < at_most(Duration::from_millis(500)), "{:?}", told.elapsed());
    drop(control);
}

#[test]
fn a_stopped_job_gives_what_is_finished() {
    let mut case = long();
    let begun = AtomicBool::new(false);
    // Stops at the second look, when something is done.
    let control = Control::watched(|done, _| !(done > 0 && begun.swap(true, Ordering::Relaxed)), true);
    let fits = case.try_run(&control).unwrap();
    let cancelled = |b: usize| fits.status[b] == Status::Cancelled as u8;
    let finished: Vec<usize> = (0..60_000).filter(|&b| !cancelled(b)).collect();
    assert!(!finished.is_empty() && finished.len() < 60_000, "{} finished", finished.len());
    let some: Vec<usize> = finished.iter().copied().step_by(finished.len().div_ceil(20)).collect();
    let left = (0..60_000).find(|&b| cancelled(b)).unwrap();
    assert_eq!(fits.parameters[5 * left..5 * left + 5], case.starts[5 * left..5 * left + 5]);
    assert!(fits.value[left].is_nan());
    // What is finished has the bits it has without an interruption.
    case.starts = some.iter().flat_map(|&b| case.starts[5 * b..5 * b + 5].to_vec()).collect();
    let again = case.run();
    for (at, &b) in some.iter().enumerate() {
        assert_same_bits(&one(&fits, b), &one(&again, at), &format!("problem {b}"));
    }
}

#[test]
fn progress_grows_to_the_whole() {
    let mut case = chinchilla(240, 0.02, 53);
    scatter(&mut case, 3_000, 0.2, 54);
    case.threads = 2;
    let (last, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let control = Control::watched(
        |done, total| {
            assert_eq!(total, 3_000);
            assert!(last.swap(done, Ordering::Relaxed) <= done, "progress does not go back");
            calls.fetch_add(1, Ordering::Relaxed);
            true
        },
        false,
    );
    case.try_run(&control).unwrap();
    assert!(!control.is_cancelled());
    drop(control);
    assert_eq!(last.load(Ordering::Relaxed), 3_000);
    assert!(calls.load(Ordering::Relaxed) >= 1);
}
