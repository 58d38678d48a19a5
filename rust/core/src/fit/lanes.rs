//! Eight lanes with their data: loading problems into them and evaluating all at once.

use super::kernel::{DEPTH, LANES, POINTS, Workspace, evaluate};
use super::solver::Solver;
use super::worker::Shared;
use crate::expr::Block;

/// Eight lanes with their data.
pub(super) struct Lanes8<'a> {
    shared: &'a Shared<'a>,
    pub(super) solver: Solver<'a>,
    work: Workspace,
    /// Per block of 16 points: the columns, the targets, the weights.
    data: Vec<Block<POINTS>>,
    pub(super) problem: [usize; LANES],
    /// How many rows each lane's problem has.
    counts: [usize; LANES],
    /// The rows of the problem being loaded.
    rows: Vec<usize>,
}

impl<'a> Lanes8<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        let program = &shared.program;
        let solver = shared.solver();
        Self {
            shared,
            solver,
            work: Workspace::new(program),
            data: Vec::new(),
            problem: [usize::MAX; LANES],
            counts: [0; LANES],
            rows: Vec::new(),
        }
    }

    pub(super) fn evaluate(&mut self) {
        let Self { shared, solver, work, data, counts, .. } = self;
        let live = (0..LANES).filter(|&lane| !solver.is_idle(lane));
        let rows = live.map(|lane| counts[lane]).max().unwrap_or(0);
        let blocks = rows.div_ceil(DEPTH) * (shared.program.columns.len() + 2);
        let Solver { trial, settings, fresh, .. } = solver;
        evaluate(shared.level, &shared.program, work, trial, &data[..blocks], settings, fresh);
    }

    /// Copies the rows of a problem into a lane; false if there are too few of them.
    pub(super) fn load(&mut self, lane: usize, problem: usize) -> bool {
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
        let size = rows.iter().map(|&row| weight(row) * shared.target_size(targets[row])).sum();
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
        self.solver.load(lane, &start, (total, size));
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
