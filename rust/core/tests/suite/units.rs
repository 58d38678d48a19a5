//! Neither the unit of the objective nor those of the data move the answer.

use isoloss_core::fit::{Loss, Space};

use super::common::{Case, HUBER, SQUARED, assert_close, chinchilla, succeeded};

const LOSSES: [(Loss, Space); 4] =
    [(SQUARED, Space::Log), (SQUARED, Space::Raw), (HUBER, Space::Log), (Loss::Cauchy { delta: 0.01 }, Space::Log)];

fn noisy(loss: Loss, space: Space) -> Case {
    let mut case = chinchilla(100, 0.01, 21);
    case.objective.loss = loss;
    case.objective.space = space;
    case
}

#[test]
fn the_scale_of_the_objective_does_not_matter() {
    for (loss, space) in LOSSES {
        let mut case = noisy(loss, space);
        let plain = case.run();
        assert!(succeeded(plain.status[0]));
        for scale in [1e-6, 1e6] {
            case.weights = Some(vec![scale; 100]);
            let scaled = case.run();
            let what = format!("{loss:?} in {space:?}, weights {scale:e}");
            assert_eq!(scaled.status, plain.status, "{what}");
            assert_close(&scaled.parameters, &plain.parameters, 1e-8, &what);
            assert_close(&scaled.value, &[plain.value[0] * scale], 1e-10, &what);
        }
    }
}

#[test]
fn the_units_of_the_columns_do_not_matter() {
    for (loss, space) in LOSSES {
        let case = noisy(loss, space);
        let plain = case.run();
        for unit in [1e-9, 1e9] {
            let mut scaled = case.clone();
            for x in scaled.columns.iter_mut().flatten() {
                *x *= unit;
            }
            // The same curve: A / N**alpha = A unit**alpha / (unit N)**alpha.
            let into = |p: &[f64], unit: f64| vec![p[0], p[1] * unit.powf(p[2]), p[2], p[3] * unit.powf(p[4]), p[4]];
            scaled.starts = into(&case.starts, unit);
            let fits = scaled.run();
            let what = format!("{loss:?} in {space:?}, columns x {unit:e}");
            assert!(succeeded(fits.status[0]), "{what}");
            assert_close(&into(&fits.parameters, 1.0 / unit), &plain.parameters, 1e-8, &what);
            assert_close(&fits.value, &plain.value, 1e-10, &what);
        }
    }
}

#[test]
fn the_unit_of_the_target_does_not_matter() {
    for (loss, power) in [(SQUARED, 2), (Loss::Huber { delta: 0.01 }, 2)] {
        let case = noisy(loss, Space::Raw);
        let plain = case.run();
        for unit in [1e-9, 1e9] {
            let mut scaled = case.clone();
            if let Loss::Huber { delta } = loss {
                scaled.objective.loss = Loss::Huber { delta: delta * unit };
            }
            for y in &mut scaled.targets {
                *y *= unit;
            }
            let into = |p: &[f64], unit: f64| vec![p[0] * unit, p[1] * unit, p[2], p[3] * unit, p[4]];
            scaled.starts = into(&case.starts, unit);
            let fits = scaled.run();
            let what = format!("{loss:?}, targets x {unit:e}");
            assert!(succeeded(fits.status[0]), "{what}");
            assert_close(&into(&fits.parameters, 1.0 / unit), &plain.parameters, 1e-8, &what);
            assert_close(&fits.value, &[plain.value[0] * f64::powi(unit, power)], 1e-10, &what);
        }
    }
}

#[test]
fn natural_parameters_may_have_any_unit() {
    // Not solved in logarithms, so nothing but the damping's own scale makes them comparable.
    let case = noisy(SQUARED, Space::Raw);
    let plain = case.run();
    let mut natural = case.clone();
    natural.constraints.log_scale = vec![false; 5];
    let fits = natural.run();
    assert_close(&fits.value, &plain.value, 1e-10, "natural parameters");
    assert_close(&fits.parameters, &plain.parameters, 1e-6, "natural parameters");
}
