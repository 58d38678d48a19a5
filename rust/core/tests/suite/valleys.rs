//! Valleys that end at a limit face: an offset runs to zero while an amplitude takes its place.

use isoloss_core::fit::{Loss, Space};

use super::common::{Case, HUBER, Random, SQUARED, assert_close, scatter, succeeded};

/// Losses that bend down in `ln N`, which no positive offset can help, at three sizes with noise.
fn bent(text: &str, log_scale: Vec<bool>, starts: Vec<f64>) -> Case {
    let mut random = Random::new(71);
    let n: Vec<f64> = (0..18).map(|row| 10f64.powi(7 + row / 6)).collect();
    let mut case = Case::new(text, &["N"], vec![n], (SQUARED, Space::Log));
    case.targets = (0..18)
        .map(|row| {
            let x = f64::from(row / 6);
            (3.0 - 0.15 * x - 0.04 * x * x) * (0.004 * random.normal()).exp()
        })
        .collect();
    case.constraints.log_scale = log_scale;
    case.starts = starts;
    case
}

#[test]
fn an_offset_that_runs_to_zero_is_followed_to_its_end() {
    for loss in [SQUARED, HUBER, Loss::Huber { delta: 1e-2 }, Loss::Absolute] {
        let mut limit = bent("A / N**alpha", vec![true, false], vec![5.0, 0.03]);
        limit.objective.loss = loss;
        let best = limit.run();
        assert!(succeeded(best.status[0]), "{loss:?}");
        let mut case = bent("E + A / N**alpha", vec![true, true, false], vec![1.5, 40.0, 0.2]);
        case.objective.loss = loss;
        scatter(&mut case, 12, 0.3, 72);
        let fits = case.run();
        for start in 0..12 {
            let (value, status) = (fits.value[start], fits.status[start]);
            assert!(succeeded(status), "{loss:?}, start {start}: status {status}");
            let excess = value / best.value[0] - 1.0;
            assert!(excess < 1e-6, "{loss:?}, start {start}: {excess:.1e} above the limit without the offset");
        }
    }
}

#[test]
fn what_enters_linearly_follows_the_others_along_a_curved_valley() {
    // From amplitudes and offsets that are far off: without the projection each takes more than forty iterations.
    let t: Vec<f64> = (0..40).map(|k| 0.25 * f64::from(k)).collect();
    for (text, truth, start) in [
        ("a * (1 - exp(-r * t))", vec![5.0, 0.3], vec![100.0, 3e-3]),
        ("a + b * t**r", vec![1.0, 2.0, 0.3], vec![0.0, 0.0, 3.0]),
        ("a + b * t**r", vec![1.0, 2.0, 0.3], vec![100.0, -1e4, 2.0]),
    ] {
        let mut case = Case::new(text, &["t"], vec![t.clone()], (SQUARED, Space::Raw));
        case.targets = case.predict(&truth);
        case.starts = start;
        let fits = case.run();
        assert_close(&fits.parameters, &truth, 1e-6, text);
        assert!(fits.iterations[0] <= 20, "{text} from {:?}: {} iterations", case.starts, fits.iterations[0]);
    }
}
