//! Laws with their data, ready to be fitted, and random numbers.

use isoloss_core::expr::Expression;
use isoloss_core::fit::{Batch, Constraints, Fits, Loss, MAX_ITERATIONS, Objective, Space, Status};
use isoloss_core::job::{Control, Job};
use isoloss_core::sample::Stream;
use proptest::test_runner::{Config, RngSeed};
use std::time::Duration;

/// `cases` cases from a fixed seed, unless the environment asks for others.
pub(crate) fn config(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(20_220_329);
    }
    config
}

/// How long something may take: a hundredfold where a tool slows it, as `scripts/memcheck.py` says by `ISOLOSS_SLOWED`.
pub(crate) fn at_most(time: Duration) -> Duration {
    if std::env::var_os("ISOLOSS_SLOWED").is_some() { 100 * time } else { time }
}

/// Random numbers by name.
pub(crate) struct Random(Stream);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Stream::new(seed, 0))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.below(u32::try_from(bound).unwrap()) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform(0.0, 1.0) < probability
    }

    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (f64::from(self.0.next_u32()) + 0.5) / 2f64.powi(32)
    }

    /// Uniform in the logarithm.
    pub(crate) fn spread(&mut self, low: f64, high: f64) -> f64 {
        self.uniform(low.ln(), high.ln()).exp()
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(0.0, 1.0), self.uniform(0.0, 1.0));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(crate) fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

pub(crate) const SQUARED: Loss = Loss::Squared;
pub(crate) const HUBER: Loss = Loss::Huber { delta: 1e-3 };

/// Everything that a batch needs, owned.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) law: Expression,
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) targets: Vec<f64>,
    pub(crate) target_index: Option<Vec<usize>>,
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) weight_index: Option<Vec<usize>>,
    pub(crate) offsets: Option<Vec<usize>>,
    pub(crate) starts: Vec<f64>,
    pub(crate) constraints: Constraints,
    pub(crate) objective: Objective,
    pub(crate) deltas: Option<Vec<f64>>,
    pub(crate) max_iterations: u32,
    pub(crate) threads: usize,
}

impl Case {
    pub(crate) fn new(text: &str, variables: &[&str], columns: Vec<Vec<f64>>, objective: (Loss, Space)) -> Self {
        let law = Expression::parse(text, variables, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
        let constraints = Constraints::none(law.parameters().len());
        Self {
            law,
            columns,
            targets: Vec::new(),
            target_index: None,
            weights: None,
            weight_index: None,
            offsets: None,
            starts: Vec::new(),
            constraints,
            objective: Objective { loss: objective.0, space: objective.1 },
            deltas: None,
            max_iterations: MAX_ITERATIONS,
            threads: 1,
        }
    }

    /// The law's value at every row.
    pub(crate) fn predict(&self, parameters: &[f64]) -> Vec<f64> {
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        self.law.evaluate(&columns, parameters).unwrap()
    }

    /// Hands the case to some work as the batch that it is.
    pub(crate) fn as_batch<T>(&self, work: impl FnOnce(&Batch<'_>) -> T) -> T {
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        work(&Batch {
            law: &self.law,
            columns: &columns,
            targets: &self.targets,
            target_index: self.target_index.as_deref(),
            weights: self.weights.as_deref(),
            weight_index: self.weight_index.as_deref(),
            offsets: self.offsets.as_deref(),
            starts: &self.starts,
            constraints: &self.constraints,
            objective: self.objective,
            deltas: self.deltas.as_deref(),
            max_iterations: self.max_iterations,
        })
    }

    pub(crate) fn try_run(&self, control: &Control<'_>) -> isoloss_core::Result<Fits> {
        self.as_batch(|batch| batch.run(&Job::new(self.threads).unwrap(), control))
    }

    pub(crate) fn run(&self) -> Fits {
        self.try_run(&Control::silent()).unwrap()
    }

    /// The index of a parameter.
    pub(crate) fn index(&self, name: &str) -> usize {
        self.law.parameters().iter().position(|p| p == name).unwrap()
    }

    /// The objective as its definition says, for one problem with weights of its own (none: one each).
    pub(crate) fn objective_at(&self, parameters: &[f64], targets: &[f64], weights: Option<&[f64]>) -> f64 {
        let rows = self.predict(parameters).into_iter().zip(targets).enumerate();
        rows.map(|(row, (m, &y))| {
            let w = weights.map_or(1.0, |w| w[row]);
            if w == 0.0 { 0.0 } else { w * self.loss_at(m, y) }
        })
        .sum()
    }

    fn loss_at(&self, m: f64, y: f64) -> f64 {
        let to = |x: f64| match self.objective.space {
            Space::Raw => x,
            Space::Log => x.ln(),
            Space::Logit => (x / (1.0 - x)).ln(),
        };
        let r = to(m) - to(y);
        let side = |over: f64| if r > 0.0 { over } else { 1.0 };
        let huber = |d: f64| if r.abs() <= d { r * r / 2.0 } else { d * (r.abs() - d / 2.0) };
        let divergence = |y: f64, m: f64| if y == 0.0 { 0.0 } else { y * (y / m).ln() };
        match self.objective.loss {
            Loss::Squared => r * r,
            Loss::Huber { delta } => huber(delta),
            Loss::Absolute => r.abs(),
            Loss::SoftL1 { delta: d } => d * d * ((r / d).powi(2) / (1.0 + (1.0 + (r / d).powi(2)).sqrt())),
            Loss::Cauchy { delta: d } => d * d / 2.0 * (r / d).powi(2).ln_1p(),
            Loss::LogCosh { delta: d } => {
                let u = (r / d).abs();
                d * d * if u < 1e-4 { u * u / 2.0 } else { u + (-2.0 * u).exp().ln_1p() - 2f64.ln() }
            }
            Loss::AsymmetricHuber { delta, over } => side(over) * huber(delta),
            Loss::Expectile { over } => side(over) * r * r / 2.0,
            Loss::Quantile { tau } => ((1.0 - tau) * r).max(-tau * r),
            Loss::Binomial => divergence(y, m) + divergence(1.0 - y, 1.0 - m),
            other => panic!("no definition of {other:?} in the tests"),
        }
    }
}

/// Runs of models of many sizes, as in the field: loss 1.7 + 400 / N^0.34 + 2000 / D^0.37, with relative noise.
pub(crate) fn chinchilla(rows: usize, noise: f64, seed: u64) -> Case {
    let mut random = Random::new(seed);
    let n: Vec<f64> = (0..rows).map(|_| random.spread(1e7, 1e10)).collect();
    let d: Vec<f64> = n.iter().map(|n| n * random.spread(4.0, 200.0)).collect();
    let text = "E + A / N**alpha + B / D**beta";
    let mut case = Case::new(text, &["N", "D"], vec![n, d], (HUBER, Space::Log));
    case.constraints.log_scale = vec![true, true, false, true, false];
    let truth = [1.7, 400.0, 0.34, 2000.0, 0.37];
    case.targets = case.predict(&truth).iter().map(|m| m * (noise * random.normal()).exp()).collect();
    case.starts = vec![1.5, 300.0, 0.3, 1500.0, 0.35];
    case
}

/// Start points around the first one, which stays.
pub(crate) fn scatter(case: &mut Case, count: usize, width: f64, seed: u64) {
    let mut random = Random::new(seed);
    let first = case.starts.clone();
    for _ in 1..count {
        case.starts.extend(first.iter().map(|x| x * (width * random.normal()).exp()));
    }
}

pub(crate) fn assert_close(found: &[f64], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (j, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let near = a == b || (a - b).abs() <= relative * b.abs();
        assert!(near, "{what}: at {j} {a:e} where {b:e} is expected (off by {:.1e})", (a / b - 1.0).abs());
    }
}

/// Everything about two sets of results, bit for bit (NaN equals NaN).
pub(crate) fn assert_same_bits(a: &Fits, b: &Fits, what: &str) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&a.parameters), bits(&b.parameters), "{what}: parameters");
    assert_eq!(bits(&a.value), bits(&b.value), "{what}: values");
    assert_eq!(a.status, b.status, "{what}: status");
    assert_eq!(a.iterations, b.iterations, "{what}: iterations");
    assert_eq!(a.at_bound, b.at_bound, "{what}: bounds");
}

/// The results of one problem.
pub(crate) fn one(fits: &Fits, problem: usize) -> Fits {
    let p = fits.parameters.len() / fits.value.len();
    Fits {
        parameters: fits.parameters[problem * p..(problem + 1) * p].to_vec(),
        value: vec![fits.value[problem]],
        status: vec![fits.status[problem]],
        iterations: vec![fits.iterations[problem]],
        at_bound: fits.at_bound[problem * p..(problem + 1) * p].to_vec(),
    }
}

pub(crate) fn succeeded(status: u8) -> bool {
    Status::ALL[usize::from(status)].is_success()
}
