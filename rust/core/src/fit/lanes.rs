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
    /// The rows of the problem being loaded, from its first.
    rows: Vec<usize>,
    /// The start loaded last, in natural values and in the solver's coordinates.
    start: Vec<f64>,
    internal: Vec<f64>,
}

impl<'a> Lanes8<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        let program = &shared.program;
        let mut solver = shared.solver();
        solver.freezes = true;
        Self {
            shared,
            solver,
            work: Workspace::new(program, shared.level),
            data: Vec::new(),
            problem: [usize::MAX; LANES],
            counts: [0; LANES],
            rows: Vec::new(),
            start: Vec::new(),
            internal: Vec::new(),
        }
    }

    pub(super) fn evaluate(&mut self) {
        let Self { shared, solver, work, data, counts, .. } = self;
        let live = (0..LANES).filter(|&lane| !solver.is_idle(lane));
        let rows = live.map(|lane| counts[lane]).max().unwrap_or(0);
        let blocks = rows.div_ceil(DEPTH) * (shared.program.columns.len() + 2);
        let Solver { trial, settings, fresh, .. } = solver;
        evaluate(shared.level, &shared.program, work, trial, (&data[..blocks], rows), settings, fresh);
    }

    /// Copies the rows of a problem into a lane; false if there are too few of them.
    pub(super) fn load(&mut self, lane: usize, problem: usize) -> bool {
        let shared = self.shared;
        let (first, last) = shared.range(problem);
        let (targets, weights) = shared.values(problem);
        let (targets, weights) = (&targets[first..last], weights.map(|weights| &weights[first..last]));
        self.choose(last - first, weights);
        let count = self.rows.len();
        if count < shared.program.free.len().max(1) {
            return false;
        }
        let width = shared.program.columns.len() + 2;
        self.reserve(width);
        let Self { data, rows, .. } = self;
        for (c, column) in shared.program.columns.iter().enumerate() {
            let column = &column[first..last];
            write_lane(data, (width, c, lane), rows, |row| column[row]);
        }
        write_lane(data, (width, width - 2, lane), rows, |row| targets[row]);
        match weights {
            Some(weights) => write_lane(data, (width, width - 1, lane), rows, |row| weights[row]),
            None => write_lane(data, (width, width - 1, lane), rows, |_| 1.0),
        }
        let whole = sum(rows, |row| shared.target_size(targets[row]) * weights.map_or(1.0, |w| w[row]));
        let weight = weights.map_or(count as f64, |w| sum(rows, |row| w[row]));
        self.counts[lane] = count;
        self.pad(width, lane);
        let p = shared.program.parameters;
        let start = &shared.batch.starts[problem * p..(problem + 1) * p];
        // A problem's own means shift its amplitudes.
        let shared = shared.program.own.is_empty();
        let known =
            shared && self.start.len() == p && self.start.iter().zip(start).all(|(a, b)| a.to_bits() == b.to_bits());
        if !known {
            // Often it is the start of the problem before, whose logarithms need not be taken again.
            self.start.clear();
            self.start.extend_from_slice(start);
            self.internal.clear();
            self.internal.extend_from_slice(start);
            self.shared.internal(problem, &mut self.internal);
        }
        self.solver.load(lane, &self.internal, (weight, whole), self.shared.delta(problem));
        self.problem[lane] = problem;
        true
    }

    /// Lists the rows that have weight.
    fn choose(&mut self, rows: usize, weights: Option<&[f64]>) {
        self.rows.clear();
        match weights {
            None => self.rows.extend(0..rows),
            Some(weights) => {
                // Without a branch: which rows a resample holds cannot be predicted.
                self.rows.resize(rows, 0);
                let mut count = 0;
                for (row, &weight) in weights.iter().enumerate() {
                    self.rows[count] = row;
                    // Not zero of either sign; as a number, the test would also ask for NaN.
                    count += usize::from(weight.to_bits() << 1 != 0);
                }
                self.rows.truncate(count);
            }
        }
    }

    /// Fills a lane behind its rows with the last of them, which is known to be good, at weight zero.
    fn pad(&mut self, width: usize, lane: usize) {
        let count = self.counts[lane];
        let (last, end) = ((count - 1) / DEPTH * width, (count - 1) % DEPTH * LANES + lane);
        for at in count..self.data.len() / width * DEPTH {
            let (block, offset) = (at / DEPTH * width, at % DEPTH * LANES + lane);
            for c in 0..width - 1 {
                self.data[block + c].0[offset] = self.data[last + c].0[end];
            }
            self.data[block + width - 1].0[offset] = 0.0;
        }
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
#[inline(always)]
fn write_lane(
    data: &mut [Block<POINTS>],
    (width, which, lane): (usize, usize, usize),
    rows: &[usize],
    value: impl Fn(usize) -> f64,
) {
    for (stretch, rows) in data.chunks_exact_mut(width).zip(rows.chunks(DEPTH)) {
        let (points, _) = stretch[which].0.as_chunks_mut::<LANES>();
        for (point, &row) in points.iter_mut().zip(rows) {
            point[lane] = value(row);
        }
    }
}

/// A sum over rows, by parts that run beside each other.
#[inline(always)]
fn sum(rows: &[usize], value: impl Fn(usize) -> f64) -> f64 {
    let mut parts = [0.0; 8];
    let (whole, rest) = rows.as_chunks::<8>();
    for rows in whole {
        for k in 0..8 {
            parts[k] += value(rows[k]);
        }
    }
    for (part, &row) in parts.iter_mut().zip(rest) {
        *part += value(row);
    }
    parts.iter().sum()
}
