//! One sheet at a time: the least value of each row, and then whatever lies within a limit.
//!
//! A sheet is walked in *pieces*: stretches of a long row, or several short rows, whose cells then fill the same blocks. A
//! piece is filled with the values of its cells, NaN where a cell does not count; then it is reduced. Where the value is
//! a [`Chain`] a piece is a row, whose least value is known without filling it, and only rows that matter are filled: the
//! same numbers, to the bit.

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
/// Short rows are taken together up to so many cells.
const TOGETHER: usize = 2048;

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
    /// Rows of the sheet, and cells of a row.
    rows: usize,
    length: usize,
    /// Pieces of one row, or rows of one piece; one of the two is 1.
    per_row: usize,
    together: usize,
    /// Cells of a piece, unless it is the last of its row or of the sheet.
    span: usize,
    /// Pieces of a whole sheet.
    pub(crate) count: usize,
}

impl Pieces {
    pub(crate) fn new(plan: &Plan, chained: bool) -> Self {
        let (rows, length) = (plan.layout.rows, plan.layout.length);
        let together = if chained { 1 } else { abreast(rows, length) };
        let span = if chained || together > 1 { together * length } else { length.min(PIECE) };
        let per_row = if together > 1 { 1 } else { length.div_ceil(span) };
        Self { rows, length, per_row, together, span, count: per_row * rows.div_ceil(together) }
    }

    /// The cells of a piece within its sheet.
    pub(crate) fn cells(self, piece: usize) -> Range<usize> {
        let start = self.cells_before(piece);
        start..self.cells_before(piece + 1)
    }

    /// Cells of a sheet that come before a piece.
    pub(crate) fn cells_before(self, piece: usize) -> usize {
        let row = piece / self.per_row * self.together;
        row.min(self.rows) * self.length + piece % self.per_row * self.span
    }

    /// Cells of a piece.
    pub(crate) fn span(self) -> usize {
        self.span
    }
}

/// How many rows to take together: as many as leave the least of the last block empty.
fn abreast(rows: usize, length: usize) -> usize {
    let filled = |together: usize| {
        let cells = together * length;
        cells as f64 / (cells.div_ceil(WIDE) * WIDE) as f64
    };
    (2..=rows.min(TOGETHER / length)).fold(1, |best, k| if filled(k) > filled(best) { k } else { best })
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
            let cells = self.pieces.cells(piece);
            let (start, width) = (cells.start, cells.len());
            if !self.may_hold(&cells) {
                self.least[piece] = f64::INFINITY;
                continue;
            }
            let known = self.is_sure(piece);
            let counts = if known { self.row_counts(piece) } else { self.fill(piece) };
            found.counts.add(counts);
            if !known {
                self.least[piece] = kernels::least_of(self.level, &self.values[0][..width]);
            }
            let least = self.least[piece];
            if let Some(top) = top
                && top.takes(least)
            {
                if known {
                    self.fill(piece);
                }
                top.offer(&self.values[0][..width], base + start as u64);
            }
            if let [first, second] = &self.values[..] {
                front.offer(&first[..width], &second[..width], base + start as u64);
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
            let cells = self.pieces.cells(piece);
            if self.chain.is_some() {
                self.fill(piece);
                std::mem::swap(&mut self.values[0], &mut self.kept);
            }
            let j = self.kept[..cells.len()].iter().position(|&x| x == found.best).unwrap_or(0);
            found.best = self.kept[j];
            found.cell = cells.start + j;
        }
        found
    }

    /// Calls `run(first cell, number)` for every stretch of cells at most `limit`. `known` says that [`Desk::search`] has
    /// just gone over these pieces.
    pub(crate) fn within(&mut self, pieces: Range<usize>, limit: f64, known: bool, mut run: impl FnMut(usize, usize)) {
        let mut valley = self.valley(limit);
        for piece in self.rows_within(pieces, limit) {
            let cells = self.pieces.cells(piece);
            let origin = cells.start;
            let sure = self.is_sure(piece);
            let above = (known || sure) && !(self.least[piece] <= limit);
            if above || !self.may_hold(&cells) {
                continue;
            }
            if let (Some(valley), true) = (&mut valley, sure) {
                let (count, first, end) = self.spread_along(piece, valley, limit);
                if end - first == count {
                    if count > 0 {
                        run(origin + first, count);
                    }
                    continue;
                }
            }
            self.fill(piece);
            let values = &self.values[0][..cells.len()];
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

    /// Whether the least of a piece is known without filling it; pieces of a chain are its rows.
    fn is_sure(&self, piece: usize) -> bool {
        self.chain.is_some() && self.sure[piece]
    }

    /// Whether the conditions on rows hold for any of the rows of some cells.
    fn may_hold(&self, cells: &Range<usize>) -> bool {
        let length = self.plan.layout.length;
        self.plan.row_terms.is_empty()
            || (cells.start / length..cells.end.div_ceil(length)).any(|row| self.row_holds(row))
    }

    fn row_holds(&self, row: usize) -> bool {
        self.plan.row_terms.iter().all(|(slot, map)| self.tables.get(*slot)[map.at(row)] != 0.0)
    }

    /// Values of a piece, NaN where a cell does not count.
    fn fill(&mut self, piece: usize) -> Counts {
        if self.chain.is_some() {
            return self.fill_chain(piece);
        }
        let cells = self.pieces.cells(piece);
        if self.plan.row_terms.is_empty() {
            return self.fill_cells(cells.start, cells);
        }
        let length = self.plan.layout.length;
        let mut counts = Counts::default();
        let mut from = cells.start;
        while from < cells.end {
            let row = from / length;
            let holds = self.row_holds(row);
            let alike = (row + 1..cells.end.div_ceil(length)).find(|&row| self.row_holds(row) != holds);
            let end = alike.map_or(cells.end, |row| row * length);
            if holds {
                counts.add(self.fill_cells(cells.start, from..end));
            } else {
                for values in &mut self.values {
                    values[from - cells.start..end - cells.start].fill(f64::NAN);
                }
            }
            from = end;
        }
        counts
    }

    /// Values of a stretch of cells, in their places after the cell `origin`.
    fn fill_cells(&mut self, origin: usize, cells: Range<usize>) -> Counts {
        // Blocks of equal size, so that none is nearly empty.
        let blocks = cells.len().div_ceil(WIDE).max(1);
        let step = cells.len().div_ceil(blocks).max(1);
        let mut known = None;
        for start in cells.clone().step_by(step) {
            let end = cells.end.min(start + step);
            self.feed(start..end, &mut known);
            let view = Inputs { moving: &self.inputs, fixed: &[] };
            run_wide(self.level, &self.plan.last.instrs, &view, &mut self.registers);
            let (outputs, to) = (&self.plan.last.outputs, start - origin..end - origin);
            for (values, &src) in self.values.iter_mut().zip(outputs) {
                values[to.clone()].copy_from_slice(&self.registers.get(&view, src).0[..to.len()]);
            }
            if self.plan.masked {
                let src: Src = outputs[self.plan.values];
                self.mask[to.clone()].copy_from_slice(&self.registers.get(&view, src).0[..to.len()]);
            }
        }
        let to = cells.start - origin..cells.end - origin;
        let mask = if self.plan.masked { Some(&self.mask[to.clone()]) } else { None };
        let mut counts = Counts::default();
        for (k, values) in self.values.iter_mut().enumerate() {
            let found = kernels::clean_row(self.level, &mut values[to.clone()], mask);
            if k == 0 {
                counts = found;
            }
        }
        if let [first, second] = &mut self.values[..] {
            let both = kernels::join_rows(self.level, &mut first[to.clone()], &second[to]);
            counts.nonfinite += counts.feasible - both;
            counts.feasible = both;
        }
        counts
    }

    /// The inputs of the last tape for a block of cells. `known` is the row whose numbers fill whole inputs.
    fn feed(&mut self, block: Range<usize>, known: &mut Option<usize>) {
        let length = self.plan.layout.length;
        let (row, end) = (block.start / length, block.end.div_ceil(length));
        let one = row + 1 == end;
        let same = one && *known == Some(row);
        *known = one.then_some(row);
        for (input, feed) in self.inputs.iter_mut().zip(&self.plan.last_feeds) {
            match feed {
                Along::Number(_) => {}
                Along::Row(_, _) if same => {}
                Along::Row(slot, map) if one => input.0 = [self.tables.get(*slot)[map.at(row)]; WIDE],
                Along::Row(slot, map) => {
                    let table = self.tables.get(*slot);
                    for row in row..end {
                        let from = (row * length).max(block.start) - block.start;
                        let to = ((row + 1) * length).min(block.end) - block.start;
                        input.0[from..to].fill(table[map.at(row)]);
                    }
                }
                Along::Cells(slot, map) => {
                    let table = self.tables.get(*slot);
                    for row in row..end {
                        let from = (row * length).max(block.start);
                        let to = ((row + 1) * length).min(block.end);
                        let at = map.at(row) * length + from - row * length;
                        input.0[from - block.start..to - block.start].copy_from_slice(&table[at..at + to - from]);
                    }
                }
            }
        }
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
