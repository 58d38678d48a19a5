//! Rows, weights and panels: what is counted how often, and in which order it comes.

use isoloss_core::fit::{Fits, Space};

use super::common::{Case, HUBER, Random, SQUARED, assert_close, assert_same_bits, chinchilla, one, scatter};

fn keep(case: &Case, rows: &[usize]) -> Case {
    let take = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
    let mut kept = case.clone();
    kept.columns = case.columns.iter().map(|column| take(column)).collect();
    kept.targets = take(&case.targets);
    kept.weights = case.weights.as_deref().map(take);
    kept
}

fn assert_same_fit(a: &Fits, b: &Fits, what: &str) {
    assert_close(&a.value, &b.value, 1e-10, what);
    assert_close(&a.parameters, &b.parameters, 1e-7, what);
}

#[test]
fn weight_zero_removes_a_row() {
    for loss in [SQUARED, HUBER] {
        let mut case = chinchilla(90, 0.01, 11);
        case.objective.loss = loss;
        let out = [0, 7, 31, 32, 33, 89];
        let mut weights = vec![1.0; 90];
        for row in out {
            weights[row] = 0.0;
            case.targets[row] *= 5.0; // would be noticed
        }
        let rows: Vec<usize> = (0..90).filter(|row| !out.contains(row)).collect();
        let removed = keep(&case, &rows).run();
        case.weights = Some(weights);
        assert_same_fit(&case.run(), &removed, "weight zero");
    }
}

#[test]
fn weight_two_is_a_row_twice() {
    for loss in [SQUARED, HUBER] {
        let mut case = chinchilla(60, 0.01, 12);
        case.objective.loss = loss;
        let doubled = [3, 4, 58];
        let rows: Vec<usize> = (0..60).chain(doubled).collect();
        let twice = keep(&case, &rows).run();
        let mut weights = vec![1.0; 60];
        for row in doubled {
            weights[row] = 2.0;
        }
        case.weights = Some(weights);
        assert_same_fit(&case.run(), &twice, "weight two");
    }
}

#[test]
fn the_order_of_rows_does_not_matter() {
    for (loss, space) in [(SQUARED, Space::Log), (SQUARED, Space::Raw), (HUBER, Space::Log)] {
        let mut case = chinchilla(75, 0.01, 13);
        case.objective.loss = loss;
        case.objective.space = space;
        let order = Random::new(1).shuffled(75);
        let (a, b) = (case.run(), keep(&case, &order).run());
        let what = format!("shuffled rows, {loss:?} in {space:?}");
        assert_close(&a.value, &b.value, 1e-12, &what);
        // Whether the last Newton step still lowers the value is a matter of rounding, and so of the order.
        assert_close(&a.parameters, &b.parameters, 1e-8, &what);
    }
}

/// Eighty problems with weights and starts of their own.
fn draws() -> Case {
    let mut case = chinchilla(70, 0.02, 14);
    scatter(&mut case, 80, 0.2, 3);
    let mut random = Random::new(15);
    case.weights = Some((0..80 * 70).map(|_| random.below(3) as f64).collect());
    case
}

#[test]
fn the_order_of_problems_does_not_change_a_bit() {
    let case = draws();
    let fits = case.run();
    let order = Random::new(2).shuffled(80);
    let mut shuffled = case.clone();
    shuffled.starts = order.iter().flat_map(|&b| case.starts[5 * b..5 * b + 5].to_vec()).collect();
    let weights = case.weights.as_ref().unwrap();
    shuffled.weights = Some(order.iter().flat_map(|&b| weights[70 * b..70 * b + 70].to_vec()).collect());
    let found = shuffled.run();
    for (at, &b) in order.iter().enumerate() {
        assert_same_bits(&one(&found, at), &one(&fits, b), &format!("problem {b} at place {at}"));
    }
}

#[test]
fn a_problem_alone_has_the_bits_it_has_in_company() {
    let case = draws();
    let fits = case.run();
    for b in [0, 41, 79] {
        let mut alone = case.clone();
        alone.starts = case.starts[5 * b..5 * b + 5].to_vec();
        alone.weights = Some(case.weights.as_ref().unwrap()[70 * b..70 * b + 70].to_vec());
        assert_same_bits(&alone.run(), &one(&fits, b), &format!("problem {b}"));
    }
}

#[test]
fn indexed_sets_are_the_sets_written_out() {
    let mut case = chinchilla(40, 0.02, 16);
    scatter(&mut case, 6, 0.1, 4);
    let mut random = Random::new(17);
    let targets: Vec<Vec<f64>> =
        (0..2).map(|_| case.targets.iter().map(|y| y * (0.01 * random.normal()).exp()).collect()).collect();
    let weights: Vec<Vec<f64>> = (0..3).map(|_| (0..40).map(|_| random.uniform(0.5, 2.0)).collect()).collect();
    let (target_index, weight_index) = (vec![0, 1, 1, 0, 1, 0], vec![2, 0, 1, 1, 2, 0]);
    let mut written = case.clone();
    written.targets = target_index.iter().flat_map(|&i| targets[i].clone()).collect();
    written.weights = Some(weight_index.iter().flat_map(|&i: &usize| weights[i].clone()).collect());
    case.targets = targets.concat();
    case.target_index = Some(target_index);
    case.weights = Some(weights.concat());
    case.weight_index = Some(weight_index);
    assert_same_bits(&case.run(), &written.run(), "indexed sets");
}

/// Curves of different lengths, end to end.
fn panel() -> Case {
    let mut random = Random::new(18);
    let lengths = [20, 7, 33, 16, 17, 5, 48];
    let mut offsets = vec![0];
    offsets.extend(lengths.iter().scan(0, |end, n| {
        *end += n;
        Some(*end)
    }));
    let rows = *offsets.last().unwrap();
    let s: Vec<f64> = (0..rows).map(|_| random.spread(1e2, 1e5)).collect();
    let mut case = Case::new("E + A / S**alpha", &["S"], vec![s], (SQUARED, Space::Log));
    case.constraints.log_scale = vec![true, true, false];
    for (b, pair) in offsets.windows(2).enumerate() {
        let truth = [2.0 + 0.1 * b as f64, 5.0, 0.3 + 0.05 * b as f64];
        let predicted = case.predict(&truth);
        case.targets.extend(predicted[pair[0]..pair[1]].iter().map(|m| m * (0.01 * random.normal()).exp()));
    }
    case.starts = [2.0, 3.0, 0.4].repeat(lengths.len());
    case.offsets = Some(offsets);
    case
}

#[test]
fn a_panel_is_its_curves_one_by_one() {
    let case = panel();
    let fits = case.run();
    let offsets = case.offsets.clone().unwrap();
    for b in 0..offsets.len() - 1 {
        let rows: Vec<usize> = (offsets[b]..offsets[b + 1]).collect();
        let mut alone = keep(&case, &rows);
        alone.offsets = None;
        alone.starts.truncate(3);
        assert_same_bits(&alone.run(), &one(&fits, b), &format!("curve {b}, alone"));
        // Among all rows, those of the others at weight zero, it has another centre: only the answer is the same.
        let mut masked = case.clone();
        masked.offsets = None;
        masked.starts.truncate(3);
        masked.weights = Some((0..case.targets.len()).map(|row| f64::from(u8::from(rows.contains(&row)))).collect());
        assert_same_fit(&masked.run(), &one(&fits, b), &format!("curve {b}, masked"));
    }
}

#[test]
fn the_company_of_a_curve_does_not_change_a_bit() {
    let mut case = panel();
    let offsets = case.offsets.clone().unwrap();
    let count = offsets.len() - 1;
    // Some curves begin at zero, where a column has no logarithm: they need another program than the rest.
    case.law = isoloss_core::expr::Expression::parse("E + A / (S + 1)**alpha + B * S**beta", &["S"], &[]).unwrap();
    case.constraints = isoloss_core::fit::Constraints::none(5);
    case.constraints.log_scale = vec![true, true, false, false, false];
    case.starts = [2.0, 3.0, 0.4, 1e-4, 0.5].repeat(count);
    for b in [1, 4] {
        case.columns[0][offsets[b]] = 0.0;
    }
    for loss in [SQUARED, HUBER, isoloss_core::fit::Loss::Absolute] {
        case.objective.loss = loss;
        let fits = case.run();
        let order = Random::new(5).shuffled(count);
        let rows: Vec<Vec<usize>> = order.iter().map(|&b| (offsets[b]..offsets[b + 1]).collect()).collect();
        let mut shuffled = keep(&case, &rows.concat());
        shuffled.offsets = Some(
            std::iter::once(0)
                .chain(rows.iter().scan(0, |end, rows| {
                    *end += rows.len();
                    Some(*end)
                }))
                .collect(),
        );
        let found = shuffled.run();
        for (at, &b) in order.iter().enumerate() {
            assert_same_bits(&one(&found, at), &one(&fits, b), &format!("curve {b} at place {at}"));
            let mut alone = keep(&case, &rows[at]);
            alone.offsets = None;
            alone.starts.truncate(5);
            assert_same_bits(&alone.run(), &one(&fits, b), &format!("curve {b}, alone"));
        }
    }
}

#[test]
fn curves_share_one_set_of_weights_by_row() {
    let mut case = panel();
    let mut random = Random::new(19);
    let weights: Vec<f64> = case.targets.iter().map(|_| random.uniform(0.2, 3.0)).collect();
    case.weights = Some(weights.clone());
    let fits = case.run();
    let offsets = case.offsets.clone().unwrap();
    for b in [0, 3] {
        let mut alone = keep(&case, &(offsets[b]..offsets[b + 1]).collect::<Vec<usize>>());
        alone.offsets = None;
        alone.starts.truncate(3);
        assert_same_bits(&alone.run(), &one(&fits, b), &format!("curve {b}"));
    }
}

#[test]
fn every_problem_may_have_a_delta_of_its_own() {
    let mut case = draws();
    case.starts.truncate(5 * 9);
    case.weights.as_mut().unwrap().truncate(70 * 9);
    let deltas: Vec<f64> = (0..9).map(|b| 1e-3 * 1.5f64.powi(b)).collect();
    case.deltas = Some(deltas.clone());
    let fits = case.run();
    for (b, &delta) in deltas.iter().enumerate() {
        let mut alone = case.clone();
        alone.deltas = None;
        alone.objective.loss = isoloss_core::fit::Loss::Huber { delta };
        alone.starts = case.starts[5 * b..5 * b + 5].to_vec();
        alone.weights = Some(case.weights.as_ref().unwrap()[70 * b..70 * b + 70].to_vec());
        assert_same_bits(&alone.run(), &one(&fits, b), &format!("delta {delta}"));
    }
}

#[test]
fn every_row_of_a_tall_problem_counts_once_in_any_unit_and_under_any_weight() {
    // Three chunks of rows and a bit, by ordinary least squares in closed form.
    let count = 3 * 8192 + 77;
    let mut random = Random::new(31);
    let x: Vec<f64> = (0..count).map(|_| random.uniform(-1.0, 2.0)).collect();
    let y: Vec<f64> = x.iter().map(|x| 3.0 + 0.5 * x * x + random.normal()).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count as f64;
    let (centre, level) = (mean(&mut x.iter().copied()), mean(&mut y.iter().copied()));
    let spread = mean(&mut x.iter().map(|x| (x - centre).powi(2)));
    let slope = mean(&mut x.iter().zip(&y).map(|(x, y)| (x - centre) * (y - level))) / spread;
    let mut case = Case::new("a + exp(b) * x", &["x"], vec![x], (SQUARED, Space::Raw));
    for power in [-100, 0, 100] {
        let unit = 2f64.powi(power);
        let expected = [unit * (level - slope * centre), (unit * slope).ln()];
        case.targets = y.iter().map(|y| unit * y).collect();
        case.starts = vec![0.0, unit.ln() + 3.0]; // so far that several steps are needed
        for weight in [None, Some(0.5f64.powi(200)), Some(2f64.powi(200))] {
            case.weights = weight.map(|weight| vec![weight; count]);
            assert_close(&case.run().parameters, &expected, 1e-9, &format!("unit {unit}, weights {weight:?}"));
        }
    }
}
