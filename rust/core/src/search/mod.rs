//! Exhaustive search over Cartesian grids that are never written out.
//!
//! A [`Query`] names axes, an expression to make least and a condition; [`Query::run`] gives for each group of cells the
//! least value, where it is, how many cells count, and what lies within a tolerance of the least. Every node of the
//! expressions is computed once on the grid of the axes that it depends on (see `plan`), rows whose least value follows
//! from their ends are not visited (see `chain`), and what is kept is what is asked for. Cells whose value is not finite
//! do not count. Ties go to the first cell in C order of the axes.
//!
//! The work is cut into units that do not depend on the number of threads, and what they find is joined in their order:
//! the results are the same bits on any number of threads and at every instruction set.

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

use std::sync::atomic::{AtomicUsize, Ordering};

pub use axes::Axis;
pub use bound::Between;
pub use outcome::Outcome;
pub use plan::Definition;

use crate::error::{Error, Result};
use crate::job::{Control, Job};
use crate::simd::{self, Level};
use axes::Layout;
use outcome::Part;
use pareto::Front;
use plan::Plan;
use plateau::{Frame, Plateau};
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
    /// Groups to one step of the first axis of `by`.
    groups_per_draw: usize,
}

impl Query<'_> {
    /// Runs the search.
    ///
    /// # Errors
    /// [`Error::Syntax`] for a text that cannot be read, [`Error::Option`] and [`Error::Shape`] for axes that cannot be
    /// searched, [`Error::Interrupted`] when `control` was told to stop and does not take partial results.
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
        let work = Work {
            query: self,
            plan: &plan,
            global: &global,
            level,
            pieces,
            frame: Frame::new(&layout.free, self.shape),
            per_sheet,
            pieces_per_unit,
            units: outer * per_sheet,
            units_per_group: layout.outer_per_group * per_sheet,
            groups_per_draw,
        };
        work.run(job, control)
    }
}

impl Work<'_> {
    fn run(&self, job: Job, control: &Control<'_>) -> Result<Outcome> {
        let (mut parts, mut tally) =
            self.walk(job, control, self.units, self.units, |desk, unit, tally| self.first(desk, unit, tally))?;
        let mut outcome = Outcome::new(self.plan, self.query);
        for (group, parts) in parts.chunks(self.units_per_group).enumerate() {
            outcome.set(group, parts);
        }
        outcome.stopped = parts.iter().any(Option::is_none);
        if let Some(tolerance) = self.query.within {
            if self.units_per_group == 1 {
                for (group, part) in parts.iter_mut().enumerate() {
                    if let Some(part) = part {
                        let plateau = part.plateau.take().unwrap_or_else(|| self.frame.empty());
                        outcome.set_plateau(group, plateau, part.parts);
                    }
                }
            } else if !outcome.stopped {
                self.second(job, control, tolerance, &parts, &mut outcome, &mut tally)?;
            }
            if outcome.stopped && self.units_per_group > 1 {
                tally.clear();
            }
        }
        outcome.tally = tally;
        Ok(outcome)
    }

    /// Plateaus of groups of several units, now that the least of each group is known.
    fn second(
        &self,
        job: Job,
        control: &Control<'_>,
        tolerance: f64,
        parts: &[Option<Part>],
        outcome: &mut Outcome,
        tally: &mut [u32],
    ) -> Result<()> {
        let limits: Vec<f64> = outcome.best.iter().map(|&best| limit(best, tolerance)).collect();
        let is_near = |unit: usize| {
            parts[unit].as_ref().is_some_and(|part| part.found.best <= limits[unit / self.units_per_group])
        };
        let near: Vec<usize> = (0..self.units).filter(|&unit| is_near(unit)).collect();
        let (plateaus, counts) = self.walk(job, control, near.len(), self.units + near.len(), |desk, k, tally| {
            let unit = near[k];
            let mut plateau = self.frame.empty();
            if desk.move_to(unit / self.per_sheet) {
                self.spread(desk, unit, limits[unit / self.units_per_group], false, &mut plateau, tally);
            }
            plateau
        })?;
        for (total, count) in tally.iter_mut().zip(counts) {
            *total += count;
        }
        let mut joined: Vec<Option<Plateau>> = (0..outcome.best.len()).map(|_| Some(self.frame.empty())).collect();
        for (&unit, plateau) in near.iter().zip(plateaus) {
            let group = &mut joined[unit / self.units_per_group];
            // A group with a part that was not visited has no plateau that one could speak of.
            match (group.as_mut(), plateau) {
                (Some(whole), Some(plateau)) => whole.join(plateau),
                _ => *group = None,
            }
        }
        for (group, plateau) in joined.into_iter().enumerate() {
            if let Some(plateau) = plateau {
                let parts = self.frame.parts(&plateau);
                outcome.set_plateau(group, plateau, parts);
            } else {
                outcome.stopped = true;
            }
        }
        Ok(())
    }

    /// Runs `visit` for every one of `count` tasks; results in order, and the tallies of all threads together. Where the
    /// job is told to stop and takes partial results, tasks that were not begun have none.
    fn walk<T: Send>(
        &self,
        job: Job,
        control: &Control<'_>,
        count: usize,
        total: usize,
        visit: impl Fn(&mut Desk<'_>, usize, &mut Vec<u32>) -> T + Sync,
    ) -> Result<(Vec<Option<T>>, Vec<u32>)> {
        let next = AtomicUsize::new(0);
        let chunk = (count / (8 * job.threads()).max(1)).clamp(1, AT_ONCE);
        let tallied = self.groups_per_draw * self.plan.layout.cells_per_group() as usize;
        let cells = self.units.saturating_mul(self.pieces_per_unit).saturating_mul(self.pieces.span());
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
            if total.is_empty() {
                total = tally;
            } else {
                for (sum, count) in total.iter_mut().zip(tally) {
                    *sum += count;
                }
            }
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
        let before = |piece| self.pieces.cells_before(piece, self.plan.layout.length);
        let range = self.range(unit);
        (before(range.end) - before(range.start)) as u64
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

/// The largest value that counts as within a tolerance of the best.
fn limit(best: f64, tolerance: f64) -> f64 {
    best + tolerance * best.abs()
}
