//! One sheet at a time: the least value of each row, and then whatever lies within a limit.
//!
//! A sheet is walked in *pieces*, stretches of a row. A piece is filled with the values of its cells, NaN where a cell does
//! not count; then it is reduced. Where the value is a [`Chain`] the least value of a row is known without filling it,
//! and only rows that matter are filled: the same numbers, to the bit.

use std::ops::Range;

use super::chain::{Chain, Mask, Step};
use super::kernels::{self, Counts};
use super::pareto::Front;
use super::plan::{Along, Plan};
use super::ranges::{Left, Ranges};
use super::tables::Tables;
use super::top::Top;
use crate::expr::{Binary, Block, Inputs, Registers, Src, WIDE, run_wide};
use crate::simd::Level;

/// Longest piece of a row.
const PIECE: usize = 8192;

/// What a walk over a part of a sheet found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// The least value, infinity where no cell counts, and its cell within the sheet.
    pub(crate) best: f64,
    pub(crate) cell: usize,
    pub(crate) counts: Counts,
}

/// How a sheet is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    pub(crate) per_row: usize,
    span: usize,
    /// Pieces of a whole sheet.
    pub(crate) count: usize,
}

impl Pieces {
    pub(crate) fn new(plan: &Plan, chained: bool) -> Self {
        let length = plan.layout.length;
        let span = if chained { length } else { length.min(PIECE) };
        let per_row = length.div_ceil(span);
        Self { per_row, span, count: per_row * plan.layout.rows }
    }

    /// Cells of a sheet with rows of a length that come before a piece.
    pub(crate) fn cells_before(self, piece: usize, length: usize) -> usize {
        piece / self.per_row * length + piece % self.per_row * self.span
    }

    /// Cells of a piece.
    pub(crate) fn span(self) -> usize {
        self.span
    }
}

/// What one thread works with.
pub(crate) struct Desk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) level: Level,
    pub(crate) tables: Tables<'a>,
    pub(super) chain: Option<&'a Chain>,
    /// Visit every cell although the chain would tell the least of a row.
    pub(super) visit: bool,
    pub(super) pieces: Pieces,
    /// The values of one piece, by expression, and what holds along it.
    pub(super) values: Vec<Vec<f64>>,
    pub(super) mask: Vec<f64>,
    /// The values of the best piece so far.
    pub(super) kept: Vec<f64>,
    /// For each piece the least value, once it is known.
    pub(super) least: Vec<f64>,
    /// For each row of a chain, whether its ends tell its least value: all of its cells that count are then finite.
    pub(super) sure: Vec<bool>,
    pub(super) all_sure: bool,
    pub(super) high: Vec<f64>,
    /// What moves along the rows, NaN where it does not count; one stretch after another.
    pub(super) cells: Vec<f64>,
    pub(super) extents: Vec<(f64, f64, Counts)>,
    pub(super) inputs: Vec<Block<WIDE>>,
    pub(super) registers: Registers<WIDE>,
    pub(super) operands: Vec<f64>,
    /// What a condition on cells leaves of each row, and the part of its table that this was read from.
    pub(super) left: Vec<Left>,
    pub(super) left_of: Option<usize>,
    /// Cells of all rows that keep one stretch.
    pub(super) left_cells: u64,
    pub(super) ranges: Vec<Ranges>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(plan: &'a Plan, tables: Tables<'a>, level: Level, pieces: Pieces, visit: bool) -> Self {
        let layout = &plan.layout;
        let mut inputs = vec![Block::ZERO; plan.last_feeds.len()];
        for (input, feed) in inputs.iter_mut().zip(&plan.last_feeds) {
            if let Along::Number(value) = feed {
                input.0 = [*value; WIDE];
            }
        }
        // A chain that is to be visited must be one sum: the others are filled like any other value.
        let chain = plan.chain.as_ref().filter(|chain| !visit || is_sum(chain));
        let rows = if chain.is_some() { layout.rows } else { 0 };
        let stretches = chain.map_or(0, |chain| chain.stretches);
        Self {
            plan,
            level,
            tables,
            chain,
            visit,
            pieces,
            values: vec![vec![0.0; pieces.span]; plan.values],
            mask: vec![0.0; if plan.masked { pieces.span } else { 0 }],
            kept: vec![0.0; pieces.span],
            least: vec![f64::NAN; pieces.count],
            sure: vec![false; rows],
            all_sure: false,
            high: vec![0.0; rows],
            cells: vec![0.0; stretches * layout.length],
            extents: vec![(0.0, 0.0, Counts::default()); stretches],
            inputs,
            registers: Registers::of(&plan.last),
            operands: vec![0.0; rows],
            left: vec![Left::Nothing; rows],
            left_of: None,
            left_cells: 0,
            ranges: Vec::new(),
        }
    }

    /// Whether rows of this plan are known without filling them.
    pub(crate) fn chained(plan: &Plan, visit: bool) -> bool {
        plan.chain.as_ref().is_some_and(|chain| !visit || is_sum(chain))
    }

    /// Moves to an outer cell; false where a condition on it does not hold.
    pub(crate) fn move_to(&mut self, outer: usize) -> bool {
        self.tables.move_to(outer);
        if self.plan.never || self.plan.sheet_terms.iter().any(|&slot| self.tables.get(slot)[0] == 0.0) {
            return false;
        }
        if self.chain.is_some() {
            self.follow_chain();
        }
        true
    }

    /// The least value over some pieces, the number of cells that count, the `top` least cells, and the front of two
    /// values where there are two.
    pub(crate) fn search(
        &mut self,
        pieces: Range<usize>,
        base: u64,
        top: &mut Option<Top>,
        front: &mut Front,
    ) -> Found {
        let mut found = Found::NONE;
        let mut best_piece = None;
        if let (Some(counts), None) = (self.all_rows_known(), &top) {
            found.counts = counts;
            found.best = kernels::least_of(self.level, &self.least);
            best_piece = self.least.iter().position(|&least| least == found.best && least < f64::INFINITY);
        }
        let left = if best_piece.is_some() { pieces.end..pieces.end } else { pieces };
        for piece in left {
            let (row, start) = self.place(piece);
            if !self.row_holds(row) {
                self.least[piece] = f64::INFINITY;
                continue;
            }
            let known = self.chain.is_some() && self.sure[row];
            let counts = if known { self.row_counts(row) } else { self.fill(piece) };
            found.counts.feasible += counts.feasible;
            found.counts.nonfinite += counts.nonfinite;
            if !known {
                self.least[piece] = kernels::least_of(self.level, &self.values[0][..self.width(piece)]);
            }
            let least = self.least[piece];
            if let Some(top) = top
                && top.takes(least)
            {
                if known {
                    self.fill(piece);
                }
                let at = row * self.plan.layout.length + start;
                top.offer(&self.values[0][..self.width(piece)], base + at as u64);
            }
            if let [first, second] = &self.values[..] {
                let (width, at) = (self.width(piece), row * self.plan.layout.length + start);
                front.offer(&first[..width], &second[..width], base + at as u64);
            }
            if least < found.best {
                found.best = least;
                best_piece = Some(piece);
                // Kept aside rather than searched: of a slope, every piece is the best so far.
                if self.chain.is_none() {
                    std::mem::swap(&mut self.values[0], &mut self.kept);
                }
            }
        }
        if let Some(piece) = best_piece {
            let (row, start) = self.place(piece);
            if self.chain.is_some() {
                self.fill(piece);
                std::mem::swap(&mut self.values[0], &mut self.kept);
            }
            let j = self.kept[..self.width(piece)].iter().position(|&x| x == found.best).unwrap_or(0);
            found.best = self.kept[j];
            found.cell = row * self.plan.layout.length + start + j;
        }
        found
    }

    /// Calls `run(first cell, number)` for every stretch of cells at most `limit`. `known` says that [`Desk::search`] has
    /// just gone over these pieces.
    pub(crate) fn within(&mut self, pieces: Range<usize>, limit: f64, known: bool, mut run: impl FnMut(usize, usize)) {
        let mut valley = self.valley(limit);
        for piece in self.rows_within(pieces, limit) {
            let (row, start) = self.place(piece);
            let sure = self.chain.is_some() && self.sure[row];
            let above = (known || sure) && !(self.least[piece] <= limit);
            if above || !self.row_holds(row) {
                continue;
            }
            let origin = row * self.plan.layout.length + start;
            if let (Some(valley), true) = (&mut valley, sure) {
                let (count, first, end) = self.spread_along(row, valley, limit);
                if end - first == count {
                    if count > 0 {
                        run(origin + first, count);
                    }
                    continue;
                }
            }
            self.fill(piece);
            let values = &self.values[0][..self.width(piece)];
            let (count, first, end) = kernels::spread_of(self.level, 0.0, values, limit);
            if count == 0 {
                continue;
            }
            if end - first == count {
                run(origin + first, count);
                continue;
            }
            let mut from = first;
            while from < end {
                let length = values[from..end].iter().position(|&x| !(x <= limit)).unwrap_or(end - from);
                run(origin + from, length);
                from += length;
                from += values[from..end].iter().position(|&x| x <= limit).unwrap_or(end - from);
            }
        }
    }

    /// The pieces among some that may hold a cell within a limit, from the first to the last.
    fn rows_within(&self, pieces: Range<usize>, limit: f64) -> Range<usize> {
        if self.chain.is_none() || !self.all_sure {
            return pieces;
        }
        let (_, first, end) = kernels::spread_of(self.level, 0.0, &self.least[pieces.clone()], limit);
        pieces.start + first..pieces.start + end
    }

    fn place(&self, piece: usize) -> (usize, usize) {
        (piece / self.pieces.per_row, piece % self.pieces.per_row * self.pieces.span)
    }

    fn width(&self, piece: usize) -> usize {
        let (_, start) = self.place(piece);
        self.pieces.span.min(self.plan.layout.length - start)
    }

    fn row_holds(&self, row: usize) -> bool {
        self.plan.row_terms.iter().all(|(slot, map)| self.tables.get(*slot)[map.at(row)] != 0.0)
    }

    /// Values of a piece, NaN where a cell does not count.
    fn fill(&mut self, piece: usize) -> Counts {
        if self.chain.is_some() {
            return self.fill_chain(piece);
        }
        let (row, start) = self.place(piece);
        let (length, width) = (self.plan.layout.length, self.width(piece));
        for (input, feed) in self.inputs.iter_mut().zip(&self.plan.last_feeds) {
            if let Along::Row(slot, map) = feed {
                input.0 = [self.tables.get(*slot)[map.at(row)]; WIDE];
            }
        }
        // Blocks of equal size, so that none is nearly empty.
        let blocks = width.div_ceil(WIDE).max(1);
        let step = width.div_ceil(blocks).max(1);
        for from in (0..width).step_by(step) {
            let count = step.min(width - from);
            for (input, feed) in self.inputs.iter_mut().zip(&self.plan.last_feeds) {
                if let Along::Cells(slot, map) = feed {
                    let at = map.at(row) * length + start + from;
                    input.0[..count].copy_from_slice(&self.tables.get(*slot)[at..at + count]);
                }
            }
            let view = Inputs { moving: &self.inputs, fixed: &[] };
            run_wide(self.level, &self.plan.last.instrs, &view, &mut self.registers);
            let outputs = &self.plan.last.outputs;
            for (values, &src) in self.values.iter_mut().zip(outputs) {
                values[from..from + count].copy_from_slice(&self.registers.get(&view, src).0[..count]);
            }
            if self.plan.masked {
                let src: Src = outputs[self.plan.values];
                self.mask[from..from + count].copy_from_slice(&self.registers.get(&view, src).0[..count]);
            }
        }
        let mask = if self.plan.masked { Some(&self.mask[..width]) } else { None };
        let mut counts = Counts::default();
        for (k, values) in self.values.iter_mut().enumerate() {
            let found = kernels::clean_row(self.level, &mut values[..width], mask);
            if k == 0 {
                counts = found;
            }
        }
        if let [first, second] = &mut self.values[..] {
            let both = kernels::join_rows(self.level, &mut first[..width], &second[..width]);
            counts.nonfinite += counts.feasible - both;
            counts.feasible = both;
        }
        counts
    }
}

/// Whether a chain is one sum, so that a row is a number plus what moves along it.
pub(super) fn is_sum(chain: &Chain) -> bool {
    !matches!(chain.mask, Mask::Sheet(_)) && has_one_sum(chain)
}

/// As [`is_sum`], whatever the condition on its cells.
pub(super) fn has_one_sum(chain: &Chain) -> bool {
    matches!(&chain.steps[..], [Step::With(Binary::Add, ..)])
}
