//! A batch of problems, and the workers that feed it to the lanes.
//!
//! Every worker owns eight lanes. When a lane's problem ends, its result is written down and the next problem of the
//! batch is loaded into it, so a slow problem never holds seven others. Which lane or worker a problem meets does
//! not touch its arithmetic: lanes share no number, and a row of weight zero is left out before anything is
//! computed. Results are therefore the same bits on any number of threads and in any company.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::kernel::{self, DEPTH, LANES, POINTS, Workspace, evaluate};
use super::objective::{Objective, Space};
use super::program::{Constraints, Program};
use super::solver::{Ending, Solver};
use super::status::Status;
use super::tall;
use crate::error::{Error, Result};
use crate::expr::{Block, Expression, shape};
use crate::job::{Control, Job};
use crate::simd::{Level, math};

/// Iterations after which a fit is given up, unless the caller says otherwise.
pub const MAX_ITERATIONS: u32 = 500;

/// From this many rows on, the lanes of a problem are its rows. The number of rows alone decides, so that the
/// result of a problem does not depend on its company.
const TALL_ROWS: usize = 4_096;
/// From this many rows on, all threads work on one problem.
const SHARED_ROWS: usize = 131_072;

/// Problems that share a law, columns and constraints, and differ in start, targets, weights or rows.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// The law.
    pub law: &'a Expression,
    /// The law's columns, in its order, each over all rows.
    pub columns: &'a [&'a [f64]],
    /// Targets, natural values: sets × rows.
    pub targets: &'a [f64],
    /// Which set of targets each problem takes; none for the first, or one each if there are as many.
    pub target_index: Option<&'a [usize]>,
    /// Weights: sets × rows; none for one each. A row of weight zero is absent.
    pub weights: Option<&'a [f64]>,
    /// Which set of weights each problem takes, as for targets.
    pub weight_index: Option<&'a [usize]>,
    /// Panels: problem `b` owns the rows from `offsets[b]` to `offsets[b + 1]`.
    pub offsets: Option<&'a [usize]>,
    /// Starting points, natural values: problems × parameters.
    pub starts: &'a [f64],
    /// How parameters may move.
    pub constraints: &'a Constraints,
    /// What is minimised.
    pub objective: Objective,
    /// Iterations after which a fit is given up.
    pub max_iterations: u32,
}

/// The results of a batch, by problem.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fits {
    /// Problems × parameters, natural values.
    pub parameters: Vec<f64>,
    /// The objective at them.
    pub value: Vec<f64>,
    /// How each fit ended, as the code of a [`Status`].
    pub status: Vec<u8>,
    /// Trial steps taken.
    pub iterations: Vec<u32>,
    /// Largest scaled slope left: `|g_j| / sqrt(H_jj f)`.
    pub gradient: Vec<f64>,
    /// Problems × parameters: -1 at the lower bound, 1 at the upper, else 0.
    pub at_bound: Vec<i8>,
}

/// One worker's results, to be put in order at the end.
#[derive(Debug, Default)]
struct Part {
    problems: Vec<usize>,
    fits: Fits,
}

/// The batch with all that its workers share.
struct Shared<'a> {
    batch: &'a Batch<'a>,
    program: Program,
    /// Targets in the space of the residual.
    targets: Vec<f64>,
    rows: usize,
    lower: Vec<f64>,
    upper: Vec<f64>,
    level: Level,
    next: AtomicUsize,
    problems: usize,
}

impl Batch<'_> {
    /// Fits every problem.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Value`] or [`Error::Option`] for input that cannot be used, naming it;
    /// [`Error::Interrupted`] when `control` was told to stop and partial results were not asked for.
    pub fn run(&self, job: &Job, control: &Control<'_>) -> Result<Fits> {
        let shared = self.prepare()?;
        let work = shared.problems * shared.rows_per_problem();
        // Problems of very many rows first, each by all threads; then every other, each by one.
        let mut parts = Vec::new();
        if (0..shared.problems).any(|problem| shared.size(problem) >= SHARED_ROWS) {
            parts.push(job.run_one(control, shared.problems, |progress| shared.largest(progress))?);
        }
        parts.extend(job.run(control, shared.problems, work, |progress| shared.worker(progress))?);
        Ok(shared.collect(parts))
    }

    fn prepare(&self) -> Result<Shared<'_>> {
        let p = self.law.parameters().len();
        if p == 0 {
            return Err(Error::Option("the law has no parameter to fit".to_owned()));
        }
        if !self.starts.len().is_multiple_of(p) {
            return Err(Error::Option(format!(
                "the starts hold {} numbers, not a multiple of the {p} parameters",
                self.starts.len()
            )));
        }
        let problems = self.starts.len() / p;
        let rows = match self.offsets {
            Some(offsets) => {
                shape("the offsets", offsets.len(), problems + 1)?;
                if let Some(b) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
                    return Err(Error::Option(format!("the offsets fall from problem {b} to the next")));
                }
                shape("the rows that the offsets cover", self.targets.len(), offsets[problems])?;
                self.targets.len()
            }
            None => self.columns.first().map_or(self.targets.len(), |column| column.len()),
        };
        shape("the list of columns", self.columns.len(), self.law.variables().len())?;
        for (name, column) in self.law.variables().iter().zip(self.columns) {
            shape(name, column.len(), rows)?;
            finite(name, column)?;
        }
        let sets = |what: &str, values: &[f64], index: Option<&[usize]>| -> Result<()> {
            if rows == 0 || values.is_empty() || !values.len().is_multiple_of(rows) {
                return shape(what, values.len(), rows.max(1));
            }
            let count = values.len() / rows;
            match index {
                Some(index) => {
                    shape(&format!("the index of {what}"), index.len(), problems)?;
                    match index.iter().position(|&i| i >= count) {
                        Some(b) => Err(Error::Option(format!("problem {b} asks for set {} of {count} {what}", index[b]))),
                        None => Ok(()),
                    }
                }
                None if count == 1 => Ok(()),
                None => shape(what, values.len(), problems * rows),
            }
        };
        sets("the targets", self.targets, self.target_index)?;
        finite("the targets", self.targets)?;
        if let Some(weights) = self.weights {
            sets("the weights", weights, self.weight_index)?;
            check(weights, "the weights", "a weight is finite and not negative", |w| w.is_finite() && w >= 0.0)?;
        }
        if self.objective.loss == super::Loss::Binomial {
            if self.objective.space != Space::Raw {
                return Err(Error::Option("the binomial loss has its own likelihood: its space is raw".to_owned()));
            }
            check(self.targets, "the targets", "a fraction passed lies between 0 and 1", |t| (0.0..=1.0).contains(&t))?;
        }
        match self.objective.space {
            Space::Raw => {}
            Space::Log => check(self.targets, "the targets", "its logarithm is taken", |t| t > 0.0)?,
            Space::Logit => {
                check(self.targets, "the targets", "its logit is taken, so it lies between 0 and 1", |t| t > 0.0 && t < 1.0)?;
            }
        }
        self.check_constraints(p)?;
        let program = Program::compile(self.law, self.columns, rows, self.constraints, self.objective)?;
        let internal = |bounds: &[f64]| -> Vec<f64> {
            program
                .free
                .iter()
                .map(|&j| if self.constraints.log_scale[j] { math::ln(bounds[j].max(0.0)) } else { bounds[j] })
                .collect()
        };
        let space = self.objective.space;
        Ok(Shared {
            batch: self,
            targets: self.targets.iter().map(|&t| space.transform(t)).collect(),
            rows,
            lower: internal(&self.constraints.lower),
            upper: internal(&self.constraints.upper),
            program,
            level: kernel::level()?,
            next: AtomicUsize::new(0),
            problems,
        })
    }

    fn check_constraints(&self, p: usize) -> Result<()> {
        let c = self.constraints;
        shape("log_scale", c.log_scale.len(), p)?;
        shape("lower", c.lower.len(), p)?;
        shape("upper", c.upper.len(), p)?;
        shape("fixed", c.fixed.len(), p)?;
        shape("tied", c.tied.len(), p)?;
        for (j, name) in self.law.parameters().iter().enumerate() {
            let (lower, upper) = (c.lower[j], c.upper[j]);
            if !(lower <= upper) {
                return Err(Error::Option(format!("the bounds of {name} are {lower} and {upper}: nothing lies between")));
            }
            if c.log_scale[j] && !(upper > 0.0) {
                return Err(Error::Option(format!("{name} is positive, but its upper bound is {upper}")));
            }
            let to = c.tied[j];
            if to >= p || c.tied[to] != to {
                return Err(Error::Option(format!("{name} is tied to a parameter that is itself tied or absent")));
            }
        }
        if let Some(fault) = self.objective.loss.fault() {
            return Err(Error::Option(fault));
        }
        for (index, &value) in self.starts.iter().enumerate() {
            let j = c.tied[index % p];
            let name = &self.law.parameters()[index % p];
            if !value.is_finite() || (c.log_scale[j] && value <= 0.0) {
                return Err(Error::Value {
                    what: format!("the start of {name}"),
                    value,
                    index: index / p,
                    reason: if value.is_finite() { "the parameter is positive" } else { "a start is a finite number" },
                });
            }
        }
        Ok(())
    }
}

/// The exponential, kept above zero so that what a fit returns can start another.
fn positive(logarithm: f64) -> f64 {
    math::exp(logarithm).max(f64::MIN_POSITIVE)
}

fn check(values: &[f64], what: &str, reason: &'static str, good: impl Fn(f64) -> bool) -> Result<()> {
    // All at once first, which vectorises; the culprit is looked for only if there is one.
    if values.iter().fold(true, |all, &value| all & good(value)) {
        return Ok(());
    }
    match values.iter().position(|&value| !good(value)) {
        Some(index) => Err(Error::Value { what: what.to_owned(), value: values[index], index, reason }),
        None => Ok(()),
    }
}

fn finite(what: &str, values: &[f64]) -> Result<()> {
    check(values, what, "only finite numbers can be fitted", f64::is_finite)
}

impl Shared<'_> {
    /// The rows of a problem: the first and the one after the last.
    fn range(&self, problem: usize) -> (usize, usize) {
        match self.batch.offsets {
            Some(offsets) => (offsets[problem], offsets[problem + 1]),
            None => (0, self.rows),
        }
    }

    fn size(&self, problem: usize) -> usize {
        let (first, last) = self.range(problem);
        last - first
    }

    /// The targets and weights of a problem, over all rows.
    fn values(&self, problem: usize) -> (&[f64], Option<&[f64]>) {
        let rows = self.rows;
        let set = |count: usize, index: Option<&[usize]>| match index {
            Some(index) => index[problem],
            None if count == rows => 0,
            None => problem,
        };
        let targets = set(self.targets.len(), self.batch.target_index);
        let weights = self.batch.weights.map(|weights| {
            let at = set(weights.len(), self.batch.weight_index) * rows;
            &weights[at..at + rows]
        });
        (&self.targets[targets * rows..(targets + 1) * rows], weights)
    }

    fn solver(&self) -> Solver<'_> {
        Solver::new(&self.program, self.lower.clone(), self.upper.clone(), self.batch.max_iterations)
    }

    /// Fits one problem whose lanes are rows; false if the job was told to stop.
    fn tall(&self, problem: usize, parallel: bool, part: &mut Part, progress: &Control<'_>) -> bool {
        let (first, last) = self.range(problem);
        let (targets, weights) = self.values(problem);
        let rows = tall::Rows { first, last, targets, weights };
        let p = self.program.parameters;
        if rows.census().0 < self.program.free.len().max(1) {
            self.record(part, problem, None);
        } else {
            let start = self.internal(&self.batch.starts[problem * p..(problem + 1) * p]);
            let machine = (&self.program, self.level);
            let Some((solver, ending)) = tall::solve(machine, self.solver(), (&rows, &start), parallel, progress)
            else {
                return false;
            };
            self.record(part, problem, Some((&ending, &solver, 0)));
        }
        progress.add(1);
        true
    }

    /// The problems that all threads share, one after the other.
    fn largest(&self, progress: &Control<'_>) -> Part {
        let mut part = Part::default();
        for problem in (0..self.problems).filter(|&problem| self.size(problem) >= SHARED_ROWS) {
            if !self.tall(problem, true, &mut part, progress) {
                break;
            }
        }
        part
    }

    fn rows_per_problem(&self) -> usize {
        match self.batch.offsets {
            Some(_) => self.rows / self.problems.max(1),
            None => self.rows,
        }
    }

    /// Takes problems from the batch until there are none.
    fn worker(&self, progress: &Control<'_>) -> Part {
        let mut lanes = Lanes8::new(self);
        let mut part = Part::default();
        loop {
            for lane in 0..LANES {
                while lanes.solver.is_idle(lane) && !progress.is_cancelled() {
                    let problem = self.next.fetch_add(1, Ordering::Relaxed);
                    if problem >= self.problems {
                        break;
                    }
                    match self.size(problem) {
                        SHARED_ROWS.. => {}
                        TALL_ROWS.. => {
                            self.tall(problem, false, &mut part, progress);
                        }
                        _ if lanes.load(lane, problem) => {}
                        _ => {
                            self.record(&mut part, problem, None);
                            progress.add(1);
                        }
                    }
                }
            }
            if (0..LANES).all(|lane| lanes.solver.is_idle(lane)) {
                return part;
            }
            if progress.is_cancelled() {
                return part;
            }
            lanes.evaluate();
            for (lane, ending) in lanes.solver.advance(self.level).into_iter().enumerate() {
                if let Some(ending) = ending {
                    self.record(&mut part, lanes.problem[lane], Some((&ending, &lanes.solver, lane)));
                    lanes.solver.rest(lane);
                    progress.add(1);
                }
            }
        }
    }

    /// Writes one result down; without an ending the problem had too few rows and keeps its start.
    fn record(&self, part: &mut Part, problem: usize, ended: Option<(&Ending, &Solver<'_>, usize)>) {
        let p = self.program.parameters;
        part.problems.push(problem);
        let fits = &mut part.fits;
        let mut at_bound = vec![0i8; p];
        if let Some((ending, solver, lane)) = ended {
            let mut values = self.natural(&solver.solution(lane));
            for (j, value) in values.iter_mut().enumerate() {
                // What is fixed keeps its bits, which a logarithm and back would not.
                let tied = self.program.coordinates.tied[j];
                if self.batch.constraints.fixed[tied] {
                    *value = self.batch.starts[problem * p + tied];
                }
            }
            fits.parameters.extend(values);
            for (k, &j) in self.program.free.iter().enumerate() {
                at_bound[j] = solver.at_bound(lane, k);
            }
            fits.value.push(ending.value);
            fits.status.push(ending.status as u8);
            fits.iterations.push(ending.iterations);
            fits.gradient.push(ending.gradient);
        } else {
            fits.parameters.extend_from_slice(&self.batch.starts[problem * p..(problem + 1) * p]);
            fits.value.push(f64::NAN);
            fits.status.push(Status::TooFewRows as u8);
            fits.iterations.push(0);
            fits.gradient.push(f64::NAN);
        }
        fits.at_bound.extend(at_bound);
    }

    /// All parameters, from the solver's coordinates to natural values.
    fn natural(&self, internal: &[f64]) -> Vec<f64> {
        let log = &self.program.coordinates.log;
        let mut values: Vec<f64> =
            internal.iter().enumerate().map(|(j, &x)| if log[j] { positive(x) } else { x }).collect();
        for (j, shifts) in self.program.shifts.iter().enumerate() {
            if !shifts.is_empty() {
                let shifted = shifts.iter().fold(internal[j], |sum, &(shift, k)| shift.mul_add(values[k], sum));
                values[j] = positive(shifted);
            }
        }
        for j in 0..values.len() {
            values[j] = values[self.program.coordinates.tied[j]];
        }
        values
    }

    /// All parameters of a start, from natural values to the solver's coordinates, moved inside the bounds.
    fn internal(&self, start: &[f64]) -> Vec<f64> {
        let log = &self.program.coordinates.log;
        let mut values: Vec<f64> =
            start.iter().enumerate().map(|(j, &x)| if log[j] { math::ln(x) } else { x }).collect();
        for (k, &j) in self.program.free.iter().enumerate() {
            values[j] = values[j].clamp(self.lower[k], self.upper[k]);
        }
        for (j, shifts) in self.program.shifts.iter().enumerate() {
            for &(shift, k) in shifts {
                let other = if log[k] { math::exp(values[k]) } else { values[k] };
                values[j] = (-shift).mul_add(other, values[j]);
            }
        }
        values
    }

    /// Puts the workers' results in the order of the problems; what nobody finished is marked cancelled.
    fn collect(&self, parts: Vec<Part>) -> Fits {
        let p = self.program.parameters;
        let n = self.problems;
        let mut fits = Fits {
            parameters: self.batch.starts.to_vec(),
            value: vec![f64::NAN; n],
            status: vec![Status::Cancelled as u8; n],
            iterations: vec![0; n],
            gradient: vec![f64::NAN; n],
            at_bound: vec![0; n * p],
        };
        for part in parts {
            for (from, &to) in part.problems.iter().enumerate() {
                let (a, b) = (from * p..(from + 1) * p, to * p..(to + 1) * p);
                fits.parameters[b.clone()].copy_from_slice(&part.fits.parameters[a.clone()]);
                fits.at_bound[b].copy_from_slice(&part.fits.at_bound[a]);
                fits.value[to] = part.fits.value[from];
                fits.status[to] = part.fits.status[from];
                fits.iterations[to] = part.fits.iterations[from];
                fits.gradient[to] = part.fits.gradient[from];
            }
        }
        fits
    }
}

/// Eight lanes with their data.
struct Lanes8<'a> {
    shared: &'a Shared<'a>,
    solver: Solver<'a>,
    work: Workspace,
    /// Per block of 16 points: the columns, the targets, the weights.
    data: Vec<Block<POINTS>>,
    problem: [usize; LANES],
    /// How many rows each lane's problem has.
    counts: [usize; LANES],
    /// The rows of the problem being loaded.
    rows: Vec<usize>,
}

impl<'a> Lanes8<'a> {
    fn new(shared: &'a Shared<'a>) -> Self {
        let program = &shared.program;
        let solver = shared.solver();
        Self { shared, solver, work: Workspace::new(program), data: Vec::new(), problem: [usize::MAX; LANES], counts: [0; LANES], rows: Vec::new() }
    }

    fn evaluate(&mut self) {
        let Self { shared, solver, work, data, counts, .. } = self;
        let live = (0..LANES).filter(|&lane| !solver.is_idle(lane));
        let rows = live.map(|lane| counts[lane]).max().unwrap_or(0);
        let blocks = rows.div_ceil(DEPTH) * (shared.program.columns.len() + 2);
        let Solver { trial, settings, fresh, .. } = solver;
        evaluate(shared.level, &shared.program, work, trial, &data[..blocks], settings, fresh);
    }

    /// Copies the rows of a problem into a lane; false if there are too few of them.
    fn load(&mut self, lane: usize, problem: usize) -> bool {
        let shared = self.shared;
        let batch = shared.batch;
        let (first, last) = shared.range(problem);
        let (targets, weights) = shared.values(problem);
        // Without a branch: which rows a resample holds cannot be predicted.
        let rows = &mut self.rows;
        rows.clear();
        rows.resize(last - first, 0);
        let mut count = 0;
        for row in first..last {
            rows[count] = row;
            count += usize::from(weights.is_none_or(|w| w[row] != 0.0));
        }
        rows.truncate(count);
        if count < shared.program.free.len() || count == 0 {
            return false;
        }
        let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
        let total = rows.iter().map(|&row| weight(row)).sum();
        self.counts[lane] = count;
        let width = shared.program.columns.len() + 2;
        self.reserve(width);
        let rows = &self.rows;
        for (c, column) in shared.program.columns.iter().enumerate() {
            write_lane(&mut self.data, (width, c, lane), rows.iter().map(|&row| column[row]));
        }
        write_lane(&mut self.data, (width, width - 2, lane), rows.iter().map(|&row| targets[row]));
        write_lane(&mut self.data, (width, width - 1, lane), rows.iter().map(|&row| weight(row)));
        // Fill up to the end of the lane with a row that is known to be good, at weight zero.
        let capacity = self.data.len() / width * DEPTH;
        for at in rows.len()..capacity {
            let (block, offset) = (at / DEPTH * width, at % DEPTH * LANES + lane);
            let (last, end) = ((rows.len() - 1) / DEPTH * width, (rows.len() - 1) % DEPTH * LANES + lane);
            for c in 0..width - 1 {
                self.data[block + c].0[offset] = self.data[last + c].0[end];
            }
            self.data[block + width - 1].0[offset] = 0.0;
        }
        let p = shared.program.parameters;
        let start = shared.internal(&batch.starts[problem * p..(problem + 1) * p]);
        self.solver.load(lane, &start, total);
        self.problem[lane] = problem;
        true
    }

    /// Makes room for the rows at hand. The other lanes have ended before there: in new blocks they repeat their
    /// last row, at weight zero.
    fn reserve(&mut self, width: usize) {
        let needed = self.rows.len().div_ceil(DEPTH) * width;
        while self.data.len() < needed {
            let old = self.data.len();
            self.data.resize(old + width, Block::ZERO);
            if old == 0 {
                continue;
            }
            for c in 0..width - 1 {
                for i in 0..POINTS {
                    self.data[old + c].0[i] = self.data[old - width + c].0[POINTS - LANES + i % LANES];
                }
            }
        }
    }
}

/// Writes one value per row into a lane of one of the `width` blocks of each stretch of rows.
fn write_lane(
    data: &mut [Block<POINTS>],
    (width, which, lane): (usize, usize, usize),
    mut values: impl Iterator<Item = f64>,
) {
    for stretch in data.chunks_exact_mut(width) {
        let block = &mut stretch[which];
        for k in 0..DEPTH {
            let Some(value) = values.next() else { return };
            block.0[k * LANES + lane] = value;
        }
    }
}
