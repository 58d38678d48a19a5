use super::*;
use crate::fit::kernel::LANES;

const LOSSES: [Loss; 10] = [
    Loss::Squared,
    Loss::Huber { delta: 0.3 },
    Loss::Absolute,
    Loss::SoftL1 { delta: 0.3 },
    Loss::Cauchy { delta: 0.3 },
    Loss::LogCosh { delta: 0.3 },
    Loss::AsymmetricHuber { delta: 0.3, over: 2.5 },
    Loss::Expectile { over: 2.5 },
    Loss::Quantile { tau: 0.8 },
    Loss::Binomial,
];

/// Merit, c1, c2 and majorant of one point, as a function of its prediction.
fn point(objective: Objective, prediction: f64, target: f64, delta: f64) -> [f64; 4] {
    let mut head = Head::new();
    let mut sums = Sums::ZERO;
    let (m, t) = (Block([prediction; POINTS]), Block([target; POINTS]));
    let mut weight = Block::ZERO;
    weight.0[3] = 1.7;
    let delta = Block([delta; POINTS]);
    head.run::<POINTS, true>(objective, &m, &t, &weight, (&delta, &delta), &Block::ZERO, true, None, &mut sums);
    [sums.merit.0[3], sums.c1.0[3], sums.c2.0[3], sums.majorant.0[3]]
}

fn cases() -> Vec<(Objective, f64)> {
    let mut cases = Vec::new();
    for loss in LOSSES {
        for space in [Space::Raw, Space::Log, Space::Logit] {
            if loss != Loss::Binomial || space == Space::Raw {
                cases.push((Objective { loss, space }, if space == Space::Raw { 0.4 } else { space.transform(0.4) }));
            }
        }
    }
    cases
}

#[test]
fn slope_and_curvature_are_those_of_the_merit() {
    for (objective, target) in cases() {
        for prediction in [0.11, 0.33, 0.397, 0.41, 0.52, 0.83] {
            let delta = if objective.loss.delta() > 0.0 { objective.loss.delta() } else { 0.05 };
            let at = |m: f64| point(objective, m, target, delta);
            let h = 1e-6;
            let (below, here, above) = (at(prediction - h), at(prediction), at(prediction + h));
            let slope = (above[0] - below[0]) / (2.0 * h);
            let curvature = (above[2] - below[2]) / (2.0 * h);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()));
            assert!(close(slope, here[2]), "{objective:?} at {prediction}: {slope} {}", here[2]);
            assert!(close(curvature, here[1]), "{objective:?} at {prediction}: {curvature} {}", here[1]);
        }
    }
}

#[test]
fn the_majorant_is_never_negative() {
    for (objective, target) in cases() {
        for prediction in [0.11, 0.397, 0.4, 0.41, 0.83] {
            let [_, _, _, majorant] = point(objective, prediction, target, 0.05);
            assert!(majorant >= 0.0, "{objective:?} at {prediction}: {majorant}");
        }
    }
}

/// c1 and c2 of a point whose piece was noted at `from`, there and at other predictions.
fn held(objective: Objective, from: f64, predictions: &[f64], target: f64, delta: f64) -> Vec<[f64; 2]> {
    let mut pieces = [0.0; POINTS];
    let mut at = |flags, prediction| {
        let (mut head, mut sums, mut weight) = (Head::new(), Sums::ZERO, Block::ZERO);
        let (m, t, delta) = (Block([prediction; POINTS]), Block([target; POINTS]), Block([delta; POINTS]));
        weight.0[3] = 1.7;
        let pinned = Some(Pinned { flags, pieces: &mut pieces });
        let limits = (&delta, &delta);
        head.run::<POINTS, true>(objective, &m, &t, &weight, limits, &Block::ZERO, true, pinned, &mut sums);
        [sums.c1.0[3], sums.c2.0[3]]
    };
    let (all, none) = ([true; LANES], [false; LANES]);
    at((all, none), from);
    predictions.iter().map(|&prediction| at((none, all), prediction)).collect()
}

#[test]
fn a_row_held_on_its_piece_has_the_slope_of_the_loss_there_and_stays_smooth_beyond() {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()));
    let mut seen = 0;
    for (objective, target) in cases().into_iter().filter(|(objective, _)| objective.loss.has_pieces()) {
        for from in [0.2, 0.33, 0.39, 0.41, 0.52, 0.83] {
            let [_, c1, c2, _] = point(objective, from, target, 0.05);
            let [here] = held(objective, from, &[from], target, 0.05)[..] else { unreachable!("one was asked for") };
            assert!(close(here[0], c1) && close(here[1], c2), "{objective:?} at {from}: {here:?}, not {c1}, {c2}");
            // Through both kinks: the curvature is the derivative of the slope on every side of them, as sides of
            // one residual's sign have it.
            for away in [0.25, 0.37, 0.43, 0.7] {
                if (away > 0.4) != (from > 0.4) {
                    continue;
                }
                let [below, here, above] = held(objective, from, &[away - 1e-6, away, away + 1e-6], target, 0.05)[..]
                else {
                    unreachable!("three were asked for")
                };
                let curvature = (above[1] - below[1]) / 2e-6;
                assert!(close(curvature, here[0]), "{objective:?}, {from} to {away}: {curvature} {here:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 4 * 3 * 6 * 2); // losses, spaces, places, and as many on the same side
}

#[test]
fn a_loss_at_a_known_residual_is_what_its_definition_says() {
    // Raw residuals of 0.5 (prediction 0.9, target 0.4) with weight 1.7.
    let at = |loss| point(Objective { loss, space: Space::Raw }, 0.9, 0.4, 0.3)[0] / 1.7;
    let r: f64 = 0.5;
    for (loss, expected) in [
        (Loss::Squared, r * r),
        (Loss::Huber { delta: 0.3 }, 0.3 * (r - 0.15)),
        (Loss::SoftL1 { delta: 0.3 }, 0.09 * ((1.0 + r * r / 0.09).sqrt() - 1.0)),
        (Loss::Cauchy { delta: 0.3 }, 0.045 * (1.0 + r * r / 0.09).ln()),
        (Loss::LogCosh { delta: 0.3 }, 0.09 * (r / 0.3).cosh().ln()),
        (Loss::AsymmetricHuber { delta: 0.3, over: 2.5 }, 2.5 * 0.3 * (r - 0.15)),
        (Loss::Expectile { over: 2.5 }, 2.5 * 0.5 * r * r),
        (Loss::Quantile { tau: 0.8 }, 0.2 * (r - 0.15)),
        (Loss::Binomial, 0.4 * (0.4f64 / 0.9).ln() + 0.6 * (0.6f64 / 0.1).ln()),
    ] {
        assert!((at(loss) - expected).abs() < 1e-14, "{loss:?}: {} {expected}", at(loss));
    }
}
