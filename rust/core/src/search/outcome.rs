//! What a search found, group by group.

use super::Query;
use super::kernels::Counts;
use super::pareto::Front;
use super::plan::Plan;
use super::plateau::Plateau;
use super::sheet::Found;
use super::top::Top;
use crate::error::{Error, Result};

/// Results, a row for each group in the order of `by`; `m` are the axes that are not groups.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Cells of each group.
    pub cells: u64,
    /// Whether the search was told to stop before its end.
    pub stopped: bool,
    /// Cells of each group that were accounted for: all of them unless the search was stopped.
    pub visited: Vec<u64>,
    /// Whether the plateau of each group is known: where not, nothing is said of it.
    pub known: Vec<bool>,
    /// The least value of the cells that were visited; NaN where none of them counts.
    pub best: Vec<f64>,
    /// Its cell: the flat index in C order over the axes that are not groups; minus one where no cell counts.
    pub cell: Vec<i64>,
    /// Cells that fulfil the condition and have a finite value, and those that lack the latter.
    pub feasible: Vec<u64>,
    /// Cells that fulfil the condition but have no finite value.
    pub nonfinite: Vec<u64>,
    /// `groups × top`: the least values in order, NaN where there are fewer.
    pub top_value: Vec<f64>,
    /// `groups × top`: their cells.
    pub top_cell: Vec<i64>,
    /// Where the front of each group begins in the three below, and at last where it ends.
    pub front_start: Vec<u64>,
    /// The first value of each point of the fronts, ascending within a group.
    pub front_first: Vec<f64>,
    /// The second value, descending.
    pub front_second: Vec<f64>,
    /// The cell.
    pub front_cell: Vec<i64>,
    /// Cells within the tolerance.
    pub count: Vec<u64>,
    /// `groups × m`: first step of the plateau along each axis.
    pub low: Vec<u32>,
    /// `groups × m`: last step of the plateau along each axis.
    pub high: Vec<u32>,
    /// Sum of the products of widths.
    pub volume: Vec<f64>,
    /// `groups × m`: sums of coordinates over the plateau's volume.
    pub first: Vec<f64>,
    /// `groups × m (m + 1) / 2`: sums of products of coordinates, packed lower triangles.
    pub second: Vec<f64>,
    /// Connected parts; minus one where there were too many stretches to tell.
    pub parts: Vec<i64>,
    /// For each cell outside the first axis of `by`, in how many of its steps the cell lies on the plateau; of the groups
    /// that were visited, or empty where a search that was stopped cannot tell.
    pub tally: Vec<u32>,
}

/// What one unit of work found.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) cells: u64,
    pub(crate) found: Found,
    /// The best cell within its group.
    pub(crate) cell: u64,
    pub(crate) top: Option<Top>,
    pub(crate) front: Front,
    pub(crate) plateau: Option<Plateau>,
    pub(crate) parts: Option<u64>,
}

/// What the units of one group found so far.
#[derive(Debug)]
pub(crate) struct Gathered {
    visited: u64,
    counts: Counts,
    best: f64,
    cell: u64,
    top: Top,
    front: Front,
}

impl Gathered {
    pub(crate) fn new(top: usize) -> Self {
        let (counts, front) = (Counts::default(), Front::default());
        Self { visited: 0, counts, best: f64::INFINITY, cell: 0, top: Top::new(top), front }
    }

    /// Adds a unit; units come in order, so that ties go to the first.
    pub(crate) fn add(&mut self, part: Part) {
        self.visited += part.cells;
        self.counts.add(part.found.counts);
        if part.found.best < self.best {
            (self.best, self.cell) = (part.found.best, part.cell);
        }
        if let Some(top) = part.top {
            self.top.join(top);
        }
        self.front.join(part.front);
    }
}

/// `count` equal values, or an error where that is more than memory holds.
fn filled<T: Clone>(groups: usize, count: usize, value: T) -> Result<Vec<T>> {
    let mut values = Vec::new();
    if values.try_reserve_exact(count).is_err() {
        let message =
            format!("the results of {groups} groups ({count} numbers of one kind) are more than memory holds");
        return Err(Error::Memory(message));
    }
    values.resize(count, value);
    Ok(values)
}

impl Found {
    pub(crate) const NONE: Self = Self { best: f64::INFINITY, cell: 0, counts: Counts { feasible: 0, nonfinite: 0 } };
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, query: &Query<'_>) -> Result<Self> {
        let layout = &plan.layout;
        let (groups, m) = (layout.groups, layout.free.len());
        let near = if query.within.is_some() { groups } else { 0 };
        let shape = if query.shape { near } else { 0 };
        let listed = groups.saturating_mul(query.top);
        Ok(Self {
            cells: layout.cells_per_group(),
            stopped: false,
            visited: filled(groups, groups, 0)?,
            known: filled(groups, near, false)?,
            best: filled(groups, groups, f64::NAN)?,
            cell: filled(groups, groups, -1)?,
            feasible: filled(groups, groups, 0)?,
            nonfinite: filled(groups, groups, 0)?,
            top_value: filled(groups, listed, f64::NAN)?,
            top_cell: filled(groups, listed, -1)?,
            front_start: vec![0],
            front_first: Vec::new(),
            front_second: Vec::new(),
            front_cell: Vec::new(),
            count: filled(groups, near, 0)?,
            low: filled(groups, near * m, 0)?,
            high: filled(groups, near * m, 0)?,
            volume: filled(groups, shape, 0.0)?,
            first: filled(groups, shape * m, 0.0)?,
            second: filled(groups, shape * (m * (m + 1) / 2), 0.0)?,
            parts: filled(groups, shape, 0)?,
            tally: Vec::new(),
        })
    }

    /// What was found in a group; groups come in order.
    pub(crate) fn set(&mut self, group: usize, gathered: Gathered) -> Result<()> {
        let Gathered { visited, counts, best, cell, top, front } = gathered;
        self.visited[group] = visited;
        self.feasible[group] = counts.feasible;
        self.nonfinite[group] = counts.nonfinite;
        if best < f64::INFINITY {
            self.best[group] = best;
            self.cell[group] = cell.cast_signed();
        }
        let size = front.points.len();
        let room =
            [&mut self.front_first, &mut self.front_second].into_iter().all(|list| list.try_reserve(size).is_ok());
        if front.lost || !room || self.front_cell.try_reserve(size).is_err() {
            let known = self.front_cell.len() + size;
            return Err(Error::Memory(format!("fronts of more than {known} cells are more than memory holds")));
        }
        for point in front.points {
            self.front_first.push(point.first);
            self.front_second.push(point.second);
            self.front_cell.push(point.cell.cast_signed());
        }
        self.front_start.push(self.front_cell.len() as u64);
        let most = self.top_value.len() / self.best.len().max(1);
        for (k, (value, cell)) in top.cells.into_iter().enumerate() {
            self.top_value[group * most + k] = value;
            self.top_cell[group * most + k] = cell.cast_signed();
        }
        Ok(())
    }

    /// Groups that were not reached have empty fronts.
    pub(crate) fn end_fronts(&mut self) {
        self.front_start.resize(self.best.len() + 1, self.front_cell.len() as u64);
    }

    pub(crate) fn set_plateau(&mut self, group: usize, plateau: Plateau, parts: Option<u64>) {
        self.known[group] = true;
        self.count[group] = plateau.count;
        if plateau.count == 0 {
            return;
        }
        let row = |to: &mut Vec<_>, from: &[_]| {
            let n = from.len();
            to[group * n..(group + 1) * n].copy_from_slice(from);
        };
        row(&mut self.low, &plateau.low);
        row(&mut self.high, &plateau.high);
        if !self.volume.is_empty() {
            let n = plateau.first.len();
            self.first[group * n..(group + 1) * n].copy_from_slice(&plateau.first);
            let n = plateau.second.len();
            self.second[group * n..(group + 1) * n].copy_from_slice(&plateau.second);
            self.volume[group] = plateau.volume;
            self.parts[group] = parts.map_or(-1, u64::cast_signed);
        }
    }
}
