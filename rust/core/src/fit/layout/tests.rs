//! All layouts of a law make the same model of it.

use super::*;
use crate::expr::{Block, Expression};
use crate::fit::data::{Data, Rows};
use crate::fit::kernel::{LANES, Lanes, Model, POINTS, Settings, Workspace, evaluate};
use crate::fit::objective::{Loss, Objective, Space};
use crate::fit::program::{Constraints, Program};

/// One whole block of points, and a piece.
const ROWS: usize = 20;
const DEPTH: usize = POINTS / LANES;

struct Case {
    text: &'static str,
    positive: &'static [&'static str],
    /// Natural values of the parameters in order of appearance.
    at: &'static [f64],
}

const CASES: [Case; 6] = [
    // The sum in parentheses raised to a power that is a parameter, beside an offset.
    Case {
        text: "E + (A / N**a + B / D**b)**k",
        positive: &["E", "A", "B", "k"],
        at: &[1.7, 400.0, 0.34, 900.0, 0.29, 0.8],
    },
    // An exponent that acts both in the sum and on it.
    Case { text: "((P / N)**(r / s) + Q / D)**s", positive: &["P", "r", "s", "Q"], at: &[1e4, 0.08, 0.2, 2e4] },
    // Parameters with units, within and beside.
    Case { text: "c * tanh(p + q * x + r * N / 1e3) + w * x", positive: &[], at: &[1.3, 0.4, -0.2, 0.05, 0.3] },
    // One that is both, without a unit.
    Case { text: "b * x * x + expit(p - b * x + q * N / 1e3)", positive: &["b", "p", "q"], at: &[0.3, 0.7, 0.4] },
    Case { text: "E + 1 / (p + q * N + r * D)", positive: &["E", "p", "q", "r"], at: &[0.3, 2.0, 1e-3, 2e-3] },
    // The node is the root of an equation.
    Case {
        text: "E + log(root(u, u**3 + p * u - q * N, 0, 1e9)) * k",
        positive: &["E", "p", "q", "k"],
        at: &[1.0, 2.0, 0.4, 0.7],
    },
];

/// The model of a law at eight points of its parameters, by each of its layouts.
fn models(case: &Case, objective: Objective) -> Vec<(bool, Model)> {
    let law = Expression::parse(case.text, &["N", "D", "x"], &[]).unwrap();
    let p = law.parameters().len();
    let log_scale = law.parameters().iter().map(|name| case.positive.contains(&name.as_str())).collect();
    let constraints = Constraints { log_scale, ..Constraints::none(p) };
    let column = |f: fn(f64) -> f64| (0..ROWS).map(|i| f(i as f64)).collect::<Vec<f64>>();
    let sheet =
        [column(|i| 1e3 * 1.3f64.powf(i)), column(|i| 2e3 * (1.0 + (7.0 * i) % 11.0)), column(|i| 0.4 * i - 3.5)];
    let columns: Vec<&[f64]> = law
        .variables()
        .iter()
        .map(|name| sheet[["N", "D", "x"].iter().position(|known| known == name).unwrap()].as_slice())
        .collect();
    let rows = Rows { columns: &columns, count: ROWS, offsets: None, members: None };
    let mut data = Data::new(&law, rows);
    let (mut graph, root, mut program) = Program::build(&law, &mut data, &constraints, objective);
    // Amplitudes stand at the centre of the data; any point will do, as long as it is the same for all layouts.
    let parameters: Vec<Lanes> = (0..p)
        .map(|j| {
            let mean: f64 = program.shifts[j].iter().map(|&(shift, k)| shift.factor * case.at[k]).sum();
            let value = if constraints.log_scale[j] { case.at[j].ln() - mean } else { case.at[j] };
            Block(std::array::from_fn(|lane| value * (1.0 + 0.01 * lane as f64)))
        })
        .collect();
    let settings = Settings {
        delta: [0.3; LANES],
        reach: [0.3; LANES],
        convex: std::array::from_fn(|lane| lane % 3 == 1),
        noting: [false; LANES],
        frozen: [false; LANES],
    };
    let unitless = program.unitless.clone();
    let layouts = Layout::all(&mut graph, root, &program.free, &unitless);
    let mut found = Vec::new();
    for layout in &layouts {
        program.code = layout.code(&graph, p);
        let inputs = program.code.point.inputs.iter().copied();
        let inputs: Vec<Id> = inputs.filter(|&id| graph.rate(id) == Rate::Column).collect();
        program.columns = data.evaluate(&graph, &inputs).unwrap();
        let target: Vec<f64> = (0..ROWS).map(|i| 0.6 + 0.05 * ((5 * i) % 7) as f64).collect();
        let weight: Vec<f64> = (0..ROWS).map(|i| 1.0 + 0.1 * (i % 3) as f64).collect();
        let mut blocks = Vec::new();
        for block in 0..ROWS.div_ceil(DEPTH) {
            for values in program.columns.iter().chain([&target, &weight]) {
                let row = |at: usize| values[(block * DEPTH + at / LANES).min(ROWS - 1)];
                blocks.push(Block(std::array::from_fn(row)));
            }
        }
        let mut model = Model::new(program.free.len());
        let level = crate::fit::kernel::level().unwrap();
        let mut work = Workspace::new(&program, level);
        evaluate(level, &program, &mut work, &parameters, (&blocks, ROWS), &settings, &mut model);
        found.push((layout.through.is_some(), model));
    }
    found
}

#[test]
fn all_layouts_make_the_same_model() {
    for case in &CASES {
        for (loss, space) in [
            (Loss::Squared, Space::Raw),
            (Loss::Huber { delta: 0.3 }, Space::Log),
            (Loss::Cauchy { delta: 0.3 }, Space::Raw),
        ] {
            if space == Space::Log && case.positive.is_empty() {
                continue;
            }
            let found = models(case, Objective { loss, space });
            assert!(found.len() > 1 && !found[0].0 && found[1].0, "{}: {} layouts", case.text, found.len());
            let (_, plain) = &found[0];
            for (_, model) in &found[1..] {
                for lane in 0..LANES {
                    // Which products are fused into sums depends on what else is computed: a rounding in the prediction.
                    let (a, b) = (model.value.0[lane], plain.value.0[lane]);
                    assert!((a - b).abs() <= 1e-13 * b, "{}: {a} {b}", case.text);
                    let p = plain.gradient.len();
                    // Sums cancel: what they may be off by is told by the curvature of both parameters.
                    let size = |j: usize| plain.hessian[j * (j + 1) / 2 + j].0[lane].abs().sqrt();
                    let value = plain.value.0[lane].abs().sqrt();
                    for j in 0..p {
                        let (a, b) = (model.gradient[j].0[lane], plain.gradient[j].0[lane]);
                        assert!(
                            b.is_finite() && (a - b).abs() <= 1e-11 * (b.abs() + value * size(j)),
                            "{}: {a} {b}",
                            case.text
                        );
                        let (a, b) = (model.diagonal[j].0[lane], plain.diagonal[j].0[lane]);
                        assert!((a - b).abs() <= 1e-12 * b.abs(), "{}: {a} {b}", case.text);
                        for k in 0..=j {
                            let at = j * (j + 1) / 2 + k;
                            let (a, b) = (model.hessian[at].0[lane], plain.hessian[at].0[lane]);
                            let scale = b.abs() + size(j) * size(k);
                            assert!((a - b).abs() <= 1e-10 * scale, "{}: {a} {b} at {j}, {k}", case.text);
                        }
                    }
                }
            }
        }
    }
}

/// Whether a chain is worth while.
fn chained(text: &str, positive: &[&str]) -> bool {
    let law = Expression::parse(text, &["N", "D"], &[]).unwrap();
    let log_scale: Vec<bool> = law.parameters().iter().map(|name| positive.contains(&name.as_str())).collect();
    crate::fit::explain(&law, &log_scale).unwrap().contains("Through v = ")
}

#[test]
fn a_chain_is_made_where_it_saves_work() {
    assert!(chained("E + (A / N**a + B / D**b)**k", &["E", "A", "B", "k"]));
    assert!(chained("((P / N)**(r / s) + Q / D)**s", &["P", "r", "s", "Q"]));
    assert!(!chained("E + A / N**a + B / D**b", &["E", "A", "B"]));
    assert!(!chained("a + b * N", &[]));
}
