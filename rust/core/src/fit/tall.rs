//! One problem of many rows: a lane is a row.
//!
//! The same program and the same solver as for many small problems; only the sums are made differently. Rows are
//! taken in chunks whose size is fixed; each chunk sums its rows per lane, the chunks are added in their order, and
//! the eight lanes in a fixed tree, so the bits depend neither on the threads nor on which thread met which chunk.
//! Columns are read where they lie and copied one block at a time, so a fit needs no memory of its own to speak of.

use rayon::prelude::*;

use super::head::Sums;
use super::kernel::{DEPTH, LANES, Lanes, POINTS, Workspace, accumulate_blocks, assemble_model, prepare_lanes};
use super::program::Program;
use super::solver::Solver;
use crate::expr::Block;
use crate::job::Control;
use crate::simd::Level;

/// Rows per chunk.
const CHUNK: usize = 64 * POINTS;

/// The rows of one problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Over all rows of the data, in the space of the residual.
    pub(crate) targets: &'a [f64],
    pub(crate) weights: Option<&'a [f64]>,
}

/// Sums of one chunk, per lane.
struct Part {
    sums: Sums,
    accumulators: Vec<Lanes>,
}

impl Rows<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Number of rows that count, their total weight, and the first of them.
    pub(crate) fn census(&self) -> (usize, f64, usize) {
        let mut count = 0;
        let mut total = 0.0;
        let mut good = self.first;
        for row in self.first..self.last {
            let weight = self.weight(row);
            if weight != 0.0 {
                good = if count == 0 { row } else { good };
                count += 1;
                total += weight;
            }
        }
        (count, total, good)
    }
}

/// Fits one problem from an internal start; `size` is the squared size of its targets, weighted, `delta` the width of
/// its loss. Returns the solver,
/// lane 0 of which holds the solution; none if the job was told to stop.
pub(crate) fn solve<'p>(
    (program, level): (&'p Program, Level),
    mut solver: Solver<'p>,
    (rows, start, size, delta): (&Rows<'_>, &[f64], f64, f64),
    parallel: bool,
    control: &Control<'_>,
) -> Option<Solver<'p>> {
    let (_, weight, good) = rows.census();
    solver.load(0, start, (weight, size), delta);
    let mut work = Workspace::new(program, level);
    loop {
        for value in &mut solver.trial {
            *value = Block([value.0[0]; LANES]);
        }
        let settings = solver.settings.first_lane();
        let chunk = |work: &mut Workspace, index: usize| -> Part {
            prepare_lanes(level, program, work, &solver.trial);
            let from = rows.first + index * CHUNK;
            let to = rows.last.min(from + CHUNK);
            let mut sums = Sums::ZERO;
            let mut accumulators = vec![Block::ZERO; program.code.accumulators];
            let mut blocks = vec![Block::ZERO; program.columns.len() + 2];
            let mut at = from;
            while at < to && !control.is_cancelled() {
                fill(program, rows, &mut blocks, at, to, good);
                accumulate_blocks(level, program, work, &blocks, DEPTH, &settings);
                work.add_to(&mut sums, &mut accumulators);
                at += POINTS;
            }
            Part { sums, accumulators }
        };
        let chunks = (rows.last - rows.first).div_ceil(CHUNK);
        let parts: Vec<Part> = if parallel {
            (0..chunks).into_par_iter().map_init(|| Workspace::new(program, level), chunk).collect()
        } else {
            (0..chunks).map(|index| chunk(&mut work, index)).collect()
        };
        if control.is_cancelled() {
            return None;
        }
        prepare_lanes(level, program, &mut work, &solver.trial);
        work.clear();
        for part in &parts {
            work.add(&part.sums, &part.accumulators);
        }
        work.join_lanes();
        assemble_model(level, program, &work, &settings, &mut solver.fresh);
        if solver.advance(level)[0] {
            return Some(solver);
        }
    }
}

/// Copies up to one block of rows; rows of weight zero repeat one that is known to be good.
fn fill(program: &Program, rows: &Rows<'_>, blocks: &mut [Block<POINTS>], from: usize, to: usize, good: usize) {
    let to = to.min(from + POINTS);
    let width = blocks.len();
    let whole = to - from == POINTS && rows.weights.is_none();
    let pick = |i: usize| if from + i < to && rows.weight(from + i) != 0.0 { from + i } else { good };
    for (block, column) in blocks.iter_mut().zip(program.columns.iter().map(Vec::as_slice).chain([rows.targets])) {
        if whole {
            block.0.copy_from_slice(&column[from..to]);
        } else {
            for i in 0..POINTS {
                block.0[i] = column[pick(i)];
            }
        }
    }
    let weights = &mut blocks[width - 1];
    for i in 0..POINTS {
        weights.0[i] = if from + i < to { rows.weight(from + i) } else { 0.0 };
    }
}
