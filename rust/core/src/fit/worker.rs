//! The workers of a batch: what they share, how each feeds its lanes, and how results are put in order.
//!
//! Every worker owns eight lanes. When a lane's problem ends, its result is written down and the next problem of the
//! batch is loaded into it, so a slow problem never holds seven others. Which lane or worker a problem meets does
//! not touch its arithmetic: lanes share no number, and a row of weight zero is left out before anything is
//! computed. Results are therefore the same bits on any number of threads and in any company.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::batch::{Batch, Fits};
use super::kernel::LANES;
use super::lanes::Lanes8;
use super::objective::Space;
use super::program::Program;
use super::solver::Solver;
use super::status::Status;
use super::tall;
use crate::job::Control;
use crate::simd::{Level, math};

/// From this many rows on, the lanes of a problem are its rows. The number of rows alone decides, so that the
/// result of a problem does not depend on its company.
const TALL_ROWS: usize = 4_096;
/// From this many rows on, all threads work on one problem.
pub(super) const SHARED_ROWS: usize = 131_072;

/// One worker's results, to be put in order at the end.
#[derive(Debug, Default)]
pub(super) struct Part {
    problems: Vec<usize>,
    fits: Fits,
}

/// The batch with all that its workers share.
pub(super) struct Shared<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) program: Program,
    /// Targets in the space of the residual.
    targets: Vec<f64>,
    rows: usize,
    lower: Vec<f64>,
    upper: Vec<f64>,
    pub(super) level: Level,
    next: AtomicUsize,
    pub(super) problems: usize,
    /// Those that this program is for, where it is not all of them.
    members: Option<Vec<usize>>,
}

/// The exponential, kept positive and finite so that what a fit returns can start another.
#[inline(always)]
fn positive(logarithm: f64) -> f64 {
    math::exp(logarithm).clamp(f64::MIN_POSITIVE, f64::MAX)
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        batch: &'a Batch<'a>,
        (program, level): (Program, Level),
        targets: Vec<f64>,
        (problems, rows): (usize, usize),
        (lower, upper): (Vec<f64>, Vec<f64>),
        members: Option<Vec<usize>>,
    ) -> Self {
        Self { batch, program, targets, rows, lower, upper, level, next: AtomicUsize::new(0), problems, members }
    }

    /// How many problems this program is for.
    pub(super) fn count(&self) -> usize {
        self.members.as_ref().map_or(self.problems, Vec::len)
    }

    /// The problem at a place among those.
    pub(super) fn member(&self, place: usize) -> usize {
        self.members.as_ref().map_or(place, |members| members[place])
    }

    /// The rows of a problem: the first and the one after the last.
    pub(super) fn range(&self, problem: usize) -> (usize, usize) {
        self.batch.range(problem, self.rows)
    }

    /// Where the loss of a problem turns, if it does.
    pub(super) fn delta(&self, problem: usize) -> f64 {
        self.batch.deltas.map_or(self.program.objective.loss.delta(), |deltas| deltas[problem])
    }

    /// The square of the size that a target's rounding is measured by; a logarithm near zero rounds like one.
    pub(super) fn target_size(&self, target: f64) -> f64 {
        match self.batch.objective.space {
            Space::Raw => target * target,
            Space::Log | Space::Logit => (target * target).max(1.0),
        }
    }

    pub(super) fn size(&self, problem: usize) -> usize {
        let (first, last) = self.range(problem);
        last - first
    }

    /// The targets and weights of a problem, over all rows.
    pub(super) fn values(&self, problem: usize) -> (&[f64], Option<&[f64]>) {
        (self.batch.targets_of(&self.targets, problem, self.rows), self.batch.weights_of(problem, self.rows))
    }

    pub(super) fn solver(&self) -> Solver<'_> {
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
            let mut start = self.batch.starts[problem * p..(problem + 1) * p].to_vec();
            self.internal(problem, &mut start);
            let size = (first..last).map(|row| weights.map_or(1.0, |w| w[row]) * self.target_size(targets[row])).sum();
            let machine = (&self.program, self.level);
            let Some(solver) =
                tall::solve(machine, self.solver(), (&rows, &start, size, self.delta(problem)), parallel, progress)
            else {
                return false;
            };
            self.record(part, problem, Some((&solver, 0)));
        }
        progress.add(1);
        true
    }

    /// The problems that all threads share, one after the other.
    pub(super) fn largest(&self, progress: &Control<'_>) -> Part {
        let mut part = Part::default();
        for problem in (0..self.count()).map(|at| self.member(at)).filter(|&b| self.size(b) >= SHARED_ROWS) {
            if !self.tall(problem, true, &mut part, progress) {
                break;
            }
        }
        part
    }

    pub(super) fn rows_per_problem(&self) -> usize {
        match self.batch.offsets {
            Some(_) => self.rows / self.problems.max(1),
            None => self.rows,
        }
    }

    /// Takes problems from the batch until there are none.
    pub(super) fn worker(&self, progress: &Control<'_>) -> Part {
        let mut lanes = Lanes8::new(self);
        let mut part = Part::default();
        loop {
            for lane in 0..LANES {
                while lanes.solver.is_idle(lane) && !progress.is_cancelled() {
                    let place = self.next.fetch_add(1, Ordering::Relaxed);
                    if place >= self.count() {
                        break;
                    }
                    let problem = self.member(place);
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
            let ended = lanes.solver.advance(self.level);
            for lane in 0..LANES {
                if ended[lane] {
                    self.record(&mut part, lanes.problem[lane], Some((&lanes.solver, lane)));
                    lanes.solver.rest(lane);
                    progress.add(1);
                }
            }
        }
    }

    /// Writes one result down; without an ending the problem had too few rows and keeps its start.
    fn record(&self, part: &mut Part, problem: usize, ended: Option<(&Solver<'_>, usize)>) {
        let p = self.program.parameters;
        part.problems.push(problem);
        let fits = &mut part.fits;
        if let Some((solver, lane)) = ended {
            let ending = &solver.endings[lane];
            let first = fits.parameters.len();
            fits.parameters.extend(solver.solution(lane));
            let values = &mut fits.parameters[first..];
            self.natural(problem, values);
            for (j, value) in values.iter_mut().enumerate() {
                // What is fixed keeps its bits, which a logarithm and back would not.
                let tied = self.program.coordinates.tied[j];
                if self.batch.constraints.fixed[tied] || ending.status == Status::NonFiniteStart {
                    *value = self.batch.starts[problem * p + tied];
                }
            }
            fits.at_bound.resize(first + p, 0);
            for (k, &j) in self.program.free.iter().enumerate() {
                fits.at_bound[first + j] = solver.at_bound(lane, k);
            }
            fits.value.push(ending.value);
            fits.status.push(ending.status as u8);
            fits.iterations.push(ending.iterations);
        } else {
            fits.parameters.extend_from_slice(&self.batch.starts[problem * p..(problem + 1) * p]);
            fits.at_bound.resize(fits.parameters.len(), 0);
            fits.value.push(f64::NAN);
            fits.status.push(Status::TooFewRows as u8);
            fits.iterations.push(0);
        }
    }

    /// All parameters, from the solver's coordinates to natural values.
    fn natural(&self, problem: usize, values: &mut [f64]) {
        natural_at(self.level, &self.program, problem, values);
    }

    /// All parameters of a start, from natural values to the solver's coordinates, moved inside the bounds; the
    /// problem's own means are added after them.
    pub(super) fn internal(&self, problem: usize, values: &mut Vec<f64>) {
        internal_at(self.level, &self.program, problem, (&self.lower, &self.upper), values);
    }

    /// Puts the workers' results in the order of the problems; what nobody finished is marked cancelled.
    pub(super) fn collect(batch: &Batch<'_>, n: usize, parts: Vec<Part>) -> Fits {
        let p = batch.law.parameters().len();
        let mut fits = Fits {
            parameters: batch.starts.to_vec(),
            value: vec![f64::NAN; n],
            status: vec![Status::Cancelled as u8; n],
            iterations: vec![0; n],
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
            }
        }
        fits
    }
}

crate::dispatch! {
    fn natural_at<'a>(program: &'a Program, problem: usize, values: &'a mut [f64]) = to_natural;
}

crate::dispatch! {
    fn internal_at<'a>(
        program: &'a Program,
        problem: usize,
        bounds: (&'a [f64], &'a [f64]),
        values: &'a mut Vec<f64>,
    ) = to_internal;
}

#[inline(always)]
fn to_natural(program: &Program, problem: usize, values: &mut [f64]) {
    let log = &program.coordinates.log;
    let values = &mut values[..program.parameters];
    for j in 0..values.len() {
        if log[j] && program.shifts[j].is_empty() {
            values[j] = positive(values[j]);
        }
    }
    // What a pivot shifts an amplitude by are exponents, which are not shifted themselves.
    for (j, shifts) in program.shifts.iter().enumerate() {
        if !shifts.is_empty() {
            let mut shifted = values[j];
            for &(shift, k) in shifts {
                shifted = program.shift(shift, problem).mul_add(values[k], shifted);
            }
            values[j] = positive(shifted);
        }
    }
    for j in 0..values.len() {
        values[j] = values[program.coordinates.tied[j]];
    }
}

#[inline(always)]
fn to_internal(program: &Program, problem: usize, (lower, upper): (&[f64], &[f64]), values: &mut Vec<f64>) {
    let log = &program.coordinates.log;
    for j in 0..values.len() {
        if log[j] {
            values[j] = math::ln(values[j]);
        }
    }
    for (k, &j) in program.free.iter().enumerate() {
        values[j] = values[j].clamp(lower[k], upper[k]);
    }
    for (j, shifts) in program.shifts.iter().enumerate() {
        for &(shift, k) in shifts {
            let other = if log[k] { math::exp(values[k]) } else { values[k] };
            values[j] = (-program.shift(shift, problem)).mul_add(other, values[j]);
        }
    }
    values.extend(program.own.iter().map(|means| means[problem]));
}
