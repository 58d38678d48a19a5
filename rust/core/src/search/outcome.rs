//! What a search found, group by group.

use super::Query;
use super::kernels::Counts;
use super::pareto::Front;
use super::plan::Plan;
use super::plateau::Plateau;
use super::sheet::Found;
use super::top::Top;

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

impl Found {
    pub(crate) const NONE: Self = Self { best: f64::INFINITY, cell: 0, counts: Counts { feasible: 0, nonfinite: 0 } };
}

impl Outcome {
    pub(crate) fn new(plan: &Plan, query: &Query<'_>) -> Self {
        let layout = &plan.layout;
        let (groups, m) = (layout.groups, layout.free.len());
        let near = if query.within.is_some() { groups } else { 0 };
        let shape = if query.shape { near } else { 0 };
        Self {
            cells: layout.cells_per_group(),
            stopped: false,
            visited: vec![0; groups],
            known: vec![false; near],
            best: vec![f64::NAN; groups],
            cell: vec![-1; groups],
            feasible: vec![0; groups],
            nonfinite: vec![0; groups],
            top_value: vec![f64::NAN; groups * query.top],
            top_cell: vec![-1; groups * query.top],
            front_start: vec![0],
            front_first: Vec::new(),
            front_second: Vec::new(),
            front_cell: Vec::new(),
            count: vec![0; near],
            low: vec![0; near * m],
            high: vec![0; near * m],
            volume: vec![0.0; shape],
            first: vec![0.0; shape * m],
            second: vec![0.0; shape * (m * (m + 1) / 2)],
            parts: vec![0; shape],
            tally: Vec::new(),
        }
    }

    /// Joins the units of a group, in their order.
    pub(crate) fn set(&mut self, group: usize, parts: &[Option<Part>]) {
        let mut best = f64::INFINITY;
        for part in parts.iter().flatten() {
            self.visited[group] += part.cells;
            self.feasible[group] += part.found.counts.feasible;
            self.nonfinite[group] += part.found.counts.nonfinite;
            if part.found.best < best {
                best = part.found.best;
                self.best[group] = best;
                self.cell[group] = part.cell.cast_signed();
            }
        }
        let mut front = Front::default();
        for &point in parts.iter().flatten().flat_map(|part| &part.front.points) {
            front.insert(point);
        }
        for point in front.points {
            self.front_first.push(point.first);
            self.front_second.push(point.second);
            self.front_cell.push(point.cell.cast_signed());
        }
        self.front_start.push(self.front_cell.len() as u64);
        let most = self.top_value.len() / self.best.len().max(1);
        if most > 0 {
            let mut top = Top::new(most);
            for part in parts.iter().flatten() {
                if let Some(other) = &part.top {
                    top.join(other.clone());
                }
            }
            for (k, (value, cell)) in top.cells.into_iter().enumerate() {
                self.top_value[group * most + k] = value;
                self.top_cell[group * most + k] = cell.cast_signed();
            }
        }
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
