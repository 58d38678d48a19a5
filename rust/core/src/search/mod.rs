//! Exhaustive search over Cartesian grids that are never written out.
//!
//! A [`Query`] names axes, an expression to make least and a condition; [`Query::run`] gives for each group of cells the
//! least value, where it is, how many cells count, and what lies within a tolerance of the least. Every node of the
//! expressions is computed once on the grid of the axes that it depends on (see `plan`), rows whose least value follows
//! from their ends are not visited (see `chain`), and what is kept is what is asked for. Cells whose value is not finite
//! do not count. Ties go to the first cell in C order of the axes.
//!
//! The work is cut into units that do not depend on the number of threads, and what they find is joined in their order:
//! the results are the same bits on any number of threads and at every instruction set. Groups are done in waves, one
//! after the other: what is kept of units does not grow with the grid, and a search that is stopped has whole groups.

mod axes;
mod bound;
mod chain;
mod follow;
mod interval;
#[allow(clippy::needless_bitwise_bool)] // `&&` is a branch until the optimiser says otherwise
mod kernels;
mod outcome;
mod pareto;
mod plan;
mod plateau;
mod ranges;
mod sheet;
mod slope;
mod tables;
mod top;
mod valley;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub use axes::Axis;
pub use bound::Between;
pub use outcome::Outcome;
pub use plan::Definition;

use crate::error::{Error, Result};
use crate::job::{Control, Job};
use crate::simd::{self, Level};
use axes::Layout;
use outcome::{Gathered, Part};
use pareto::Front;
use plan::Plan;
use plateau::{Frame, MOST_RUNS, Plateau};
use sheet::{Desk, Found, Pieces};
use tables::{Tables, globals};
use top::Top;

/// With fewer sheets than this, each is cut.
const FEW_SHEETS: usize = 64;
/// Cells of a unit of work where sheets are cut.
const UNIT: usize = 1 << 17;
/// Most numbers of a tally.
const MOST_TALLIED: u64 = 1 << 28;
/// Units that a thread takes at once.
const AT_ONCE: usize = 16;
/// Groups of several units are done together up to so many cells.
const WAVE: u64 = 1 << 23;
/// What may be kept of the units of a wave, in bytes.
const KEPT: usize = 1 << 26;
/// What a unit keeps beside its list of least cells, in bytes, about.
const UNIT_BYTES: usize = 1 << 10;

/// What is looked for.
#[derive(Debug)]
pub struct Query<'a> {
    /// The axes, outermost first.
    pub axes: &'a [Axis],
    /// Axes whose cells are groups, by index; results are in this order.
    pub by: &'a [usize],
    /// Named expressions that others may use, each over columns and those before it.
    pub definitions: &'a [Definition],
    /// What to make least.
    pub minimize: &'a str,
    /// Another value: the cells that none beats in both make the front.
    pub second: Option<&'a str>,
    /// Where a cell counts; everywhere without.
    pub condition: Option<&'a str>,
    /// Relative tolerance `t`: what lies within `best + t |best|` is the plateau.
    pub within: Option<f64>,
    /// How many of the least cells of each group to list.
    pub top: usize,
    /// Also volume, moments and connected parts of each plateau.
    pub shape: bool,
    /// Count for each cell in how many groups of the first axis of `by` it lies on the plateau.
    pub tally: bool,
    /// Visit every cell, even where the least of a row would be known without.
    pub visit: bool,
}

/// A search in progress: what threads share.
struct Work<'a> {
    query: &'a Query<'a>,
    plan: &'a Plan,
    global: &'a [Vec<f64>],
    level: Level,
    pieces: Pieces,
    frame: Frame<'a>,
    /// Units of a sheet, and pieces of a unit.
    per_sheet: usize,
    pieces_per_unit: usize,
    units: usize,
    units_per_group: usize,
    /// Most units whose parts are kept at once.
    at_once: usize,
    /// Groups to one step of the first axis of `by`.
    groups_per_draw: usize,
}

/// How far a search has come.
#[derive(Debug, Default)]
struct Progress {
    /// In how many groups each cell lies on the plateau.
    tally: Vec<u32>,
    /// Units that were visited again for their plateaus.
    again: usize,
}

impl Query<'_> {
    /// Runs the search.
    ///
    /// # Errors
    /// [`Error::Syntax`] for a text that cannot be read, [`Error::Option`] and [`Error::Shape`] for axes that cannot be
    /// searched, [`Error::Memory`] for results that memory does not hold, [`Error::Interrupted`] when `control` was
    /// told to stop and does not take partial results.
    pub fn run(&self, job: Job, control: &Control<'_>) -> Result<Outcome> {
        let level = simd::level::active().map_err(Error::Option)?;
        self.run_at(level, job, control)
    }

    /// As [`Query::run`], at an instruction set of choice.
    ///
    /// # Errors
    /// As [`Query::run`].
    pub fn run_at(&self, level: Level, job: Job, control: &Control<'_>) -> Result<Outcome> {
        let layout = Layout::new(self.axes, self.by)?;
        let values: Vec<&str> = std::iter::once(self.minimize).chain(self.second).collect();
        let plan = Plan::new(layout, self.definitions, &values, self.condition)?;
        let layout = &plan.layout;
        let groups_per_draw = if self.tally { layout.groups / layout.sizes[0].max(1) } else { 0 };
        let tallied = groups_per_draw as u64 * layout.cells_per_group();
        if tallied > MOST_TALLIED {
            let message = format!("a number for each of {tallied} cells is asked for: at most {MOST_TALLIED} are kept");
            return Err(Error::Option(message));
        }
        let global = globals(&plan, level, control)?;
        let chained = Desk::chained(&plan, self.visit);
        let pieces = Pieces::new(&plan, chained);
        let outer = layout.groups * layout.outer_per_group;
        let pieces_per_unit = if chained || outer >= FEW_SHEETS {
            pieces.count
        } else {
            (UNIT / pieces.span().max(1)).clamp(1, pieces.count)
        };
        let per_sheet = pieces.count.div_ceil(pieces_per_unit);
        let unit = UNIT_BYTES + size_of::<(f64, u64)>() * self.top.min(pieces_per_unit * pieces.span());
        let work = Work {
            query: self,
            plan: &plan,
            global: &global,
            level,
            pieces,
            frame: Frame::new(&layout.free, self.shape, self.condition.is_some()),
            per_sheet,
            pieces_per_unit,
            units: outer * per_sheet,
            units_per_group: layout.outer_per_group * per_sheet,
            at_once: (KEPT / unit).max(AT_ONCE),
            groups_per_draw,
        };
        work.run(job, control)
    }
}

impl Work<'_> {
    fn run(&self, job: Job, control: &Control<'_>) -> Result<Outcome> {
        let mut outcome = Outcome::new(self.plan, self.query)?;
        let mut progress = Progress::default();
        let groups = self.plan.layout.groups;
        let together = match (self.units_per_group, self.query.within) {
            (1, _) | (_, None) => self.at_once / self.units_per_group,
            _ => (WAVE / self.plan.layout.cells_per_group()) as usize,
        };
        for start in (0..groups).step_by(together.max(1)) {
            let wave = start..groups.min(start + together.max(1));
            self.wave(job, control, wave, &mut outcome, &mut progress)?;
            if outcome.stopped {
                break;
            }
        }
        outcome.end_fronts();
        outcome.tally = progress.tally;
        Ok(outcome)
    }

    /// Searches some groups.
    fn wave(
        &self,
        job: Job,
        control: &Control<'_>,
        groups: Range<usize>,
        outcome: &mut Outcome,
        progress: &mut Progress,
    ) -> Result<()> {
        let whole = self.units_per_group == 1;
        let units = groups.start * self.units_per_group..groups.end * self.units_per_group;
        let mut gathered: Vec<Gathered> = groups.clone().map(|_| Gathered::new(self.query.top)).collect();
        // The least value of each unit, for the plateaus of groups of several units.
        let mut least = Vec::new();
        for start in units.clone().step_by(self.at_once) {
            let count = self.at_once.min(units.end - start);
            let total = self.units + progress.again;
            let (parts, tally) =
                self.walk(job, control, count, total, whole, |desk, k, tally| self.first(desk, start + k, tally))?;
            outcome.stopped |= parts.iter().any(Option::is_none);
            add(&mut progress.tally, tally);
            for (k, part) in parts.into_iter().enumerate() {
                let group = (start + k) / self.units_per_group;
                if !whole && self.query.within.is_some() {
                    least.push(part.as_ref().map_or(f64::NAN, |part| part.found.best));
                }
                let Some(mut part) = part else { continue };
                if self.query.within.is_some() && whole {
                    let plateau = part.plateau.take().unwrap_or_else(|| self.frame.empty());
                    outcome.set_plateau(group, plateau, part.parts);
                }
                gathered[group - groups.start].add(part);
            }
            if outcome.stopped {
                break;
            }
        }
        for (group, gathered) in groups.clone().zip(gathered) {
            outcome.set(group, gathered)?;
        }
        if let (Some(tolerance), false, false) = (self.query.within, whole, outcome.stopped) {
            self.second(job, control, tolerance, groups, &least, outcome, progress)?;
        }
        Ok(())
    }

    /// Plateaus of groups of several units, now that the least of each group is known.
    #[allow(clippy::too_many_arguments)] // what is shared by both visits of a wave
    fn second(
        &self,
        job: Job,
        control: &Control<'_>,
        tolerance: f64,
        groups: Range<usize>,
        least: &[f64],
        outcome: &mut Outcome,
        progress: &mut Progress,
    ) -> Result<()> {
        let each = self.units_per_group;
        let first = groups.start * each;
        let limits: Vec<f64> = groups.clone().map(|group| limit(outcome.best[group], tolerance)).collect();
        let near: Vec<usize> = (0..least.len()).filter(|&k| least[k] <= limits[k / each]).collect();
        let runs: Vec<AtomicU64> = groups.clone().map(|_| AtomicU64::new(0)).collect();
        let mut joined: Vec<Option<Plateau>> = groups.clone().map(|_| Some(self.frame.empty())).collect();
        let mut wave = Vec::new();
        for near in near.chunks(self.at_once) {
            progress.again += near.len();
            let total = self.units + progress.again;
            let (plateaus, tally) = self.walk(job, control, near.len(), total, true, |desk, k, tally| {
                let (unit, group) = (first + near[k], near[k] / each);
                let mut plateau = self.frame.empty();
                if desk.move_to(unit / self.per_sheet) {
                    self.spread(desk, unit, limits[group], false, &mut plateau, tally);
                }
                // Parts that would not be counted in the end need no runs; that they are too many does not depend on
                // the order in which units come.
                let count = plateau.runs();
                if runs[group].fetch_add(count, Ordering::Relaxed) + count > MOST_RUNS {
                    plateau.forget_runs();
                }
                plateau
            })?;
            add(&mut wave, tally);
            for (&k, plateau) in near.iter().zip(plateaus) {
                let group = &mut joined[k / each];
                // A group with a part that was not visited has no plateau that one could speak of.
                if let (Some(whole), Some(plateau)) = (group.as_mut(), plateau) {
                    whole.join(plateau);
                } else {
                    *group = None;
                    outcome.stopped = true;
                }
            }
            if outcome.stopped {
                // Groups whose units were not all reached; and a tally is of whole waves.
                let reached = near.last().map_or(0, |k| k / each);
                joined[reached..].fill(None);
                if self.groups_per_draw > 0 {
                    joined.fill(None);
                }
                wave.clear();
                break;
            }
        }
        add(&mut progress.tally, wave);
        for (group, plateau) in groups.zip(joined) {
            if let Some(plateau) = plateau {
                let parts = self.frame.parts(&plateau);
                outcome.set_plateau(group, plateau, parts);
            }
        }
        Ok(())
    }

    /// Runs `visit` for every one of `count` tasks; results in order, and the tallies of all threads together, where
    /// they are asked for. Where the job is told to stop and takes partial results, tasks that were not begun have none.
    fn walk<T: Send>(
        &self,
        job: Job,
        control: &Control<'_>,
        count: usize,
        total: usize,
        tallies: bool,
        visit: impl Fn(&mut Desk<'_>, usize, &mut Vec<u32>) -> T + Sync,
    ) -> Result<(Vec<Option<T>>, Vec<u32>)> {
        let next = AtomicUsize::new(0);
        let chunk = (count / (8 * job.threads()).max(1)).clamp(1, AT_ONCE);
        let draws = if tallies { self.groups_per_draw } else { 0 };
        let tallied = draws * self.plan.layout.cells_per_group() as usize;
        let cells = count.saturating_mul(self.pieces_per_unit).saturating_mul(self.pieces.span());
        let threads = job.run(control, total, cells, |control| {
            let tables = Tables::new(self.plan, self.global, self.level);
            let mut desk = Desk::new(self.plan, tables, self.level, self.pieces, self.query.visit);
            let mut tally = vec![0; tallied];
            let mut found = Vec::new();
            loop {
                let start = next.fetch_add(chunk, Ordering::Relaxed);
                if start >= count || control.is_cancelled() {
                    return (found, tally);
                }
                for task in start..count.min(start + chunk) {
                    if control.is_cancelled() {
                        break;
                    }
                    found.push((task, visit(&mut desk, task, &mut tally)));
                    control.add(1);
                }
            }
        })?;
        let mut made: Vec<Option<T>> = (0..count).map(|_| None).collect();
        let mut total: Vec<u32> = Vec::new();
        for (found, tally) in threads {
            for (task, result) in found {
                made[task] = Some(result);
            }
            add(&mut total, tally);
        }
        if !control.is_partial() && made.iter().any(Option::is_none) {
            return Err(Error::Interrupted);
        }
        Ok((made, total))
    }

    fn range(&self, unit: usize) -> std::ops::Range<usize> {
        let start = unit % self.per_sheet * self.pieces_per_unit;
        start..self.pieces.count.min(start + self.pieces_per_unit)
    }

    /// Cells of a unit.
    fn cells(&self, unit: usize) -> u64 {
        let range = self.range(unit);
        (self.pieces.cells_before(range.end) - self.pieces.cells_before(range.start)) as u64
    }

    /// The flat index within its group of the first cell of a unit's sheet.
    fn base(&self, unit: usize) -> u64 {
        let layout = &self.plan.layout;
        (unit / self.per_sheet % layout.outer_per_group) as u64 * layout.sheet() as u64
    }

    /// The least of a unit; and its plateau where the unit is a whole group.
    fn first(&self, desk: &mut Desk<'_>, unit: usize, tally: &mut [u32]) -> Part {
        let mut top = (self.query.top > 0).then(|| Top::new(self.query.top));
        if !desk.move_to(unit / self.per_sheet) {
            let (cells, front) = (self.cells(unit), Front::default());
            return Part { cells, found: Found::NONE, cell: 0, top, front, plateau: None, parts: Some(0) };
        }
        let base = self.base(unit);
        let mut front = Front::default();
        let found = desk.search(self.range(unit), base, &mut top, &mut front);
        let (cells, cell) = (self.cells(unit), base + found.cell as u64);
        let mut part = Part { cells, found, cell, top, front, plateau: None, parts: Some(0) };
        if let Some(tolerance) = self.query.within
            && self.units_per_group == 1
            && found.best < f64::INFINITY
        {
            let mut plateau = self.frame.empty();
            self.spread(desk, unit, limit(found.best, tolerance), true, &mut plateau, tally);
            part.parts = self.frame.parts(&plateau);
            plateau.forget_runs();
            part.plateau = Some(plateau);
        }
        part
    }

    /// Adds what a unit holds within a limit.
    fn spread(
        &self,
        desk: &mut Desk<'_>,
        unit: usize,
        limit: f64,
        known: bool,
        plateau: &mut Plateau,
        tally: &mut [u32],
    ) {
        let base = self.base(unit);
        let group = unit / self.units_per_group;
        let at = if self.groups_per_draw == 0 { 0 } else { group % self.groups_per_draw };
        let origin = at * self.plan.layout.cells_per_group() as usize;
        desk.within(self.range(unit), limit, known, |cell, count| {
            let start = base + cell as u64;
            self.frame.add(plateau, start, count as u64);
            if self.groups_per_draw > 0 {
                let start = origin + start as usize;
                kernels::tally(self.level, &mut tally[start..start + count]);
            }
        });
    }
}

/// Adds counts to those so far, if there are any.
fn add(total: &mut Vec<u32>, counts: Vec<u32>) {
    if total.is_empty() {
        *total = counts;
    } else {
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// The largest value that counts as within a tolerance of the best.
fn limit(best: f64, tolerance: f64) -> f64 {
    best + tolerance * best.abs()
}
