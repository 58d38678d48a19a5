//! Rows whose least value follows from a chain: bounds of all rows at once, and values of one.

use std::ops::Range;

use super::chain::{Chain, Mask, Step};
use super::kernels::{self, ABREAST, Counts};
use super::plan::{Along, Map};
use super::ranges::{Left, Ranges};
use super::sheet::{Desk, is_sum};

impl Desk<'_> {
    /// What moves along the rows, made ready; and bounds of every row where they tell the least value.
    pub(super) fn follow_chain(&mut self) {
        let Some(chain) = self.chain else { return };
        let length = self.plan.layout.length;
        let table = self.tables.get(chain.cells);
        let size = self.cells.len();
        self.cells.copy_from_slice(&table[..size]);
        let mask = match chain.mask {
            Mask::Row(slot) => Some(self.tables.get(slot)),
            Mask::None | Mask::Sheet(_) => None,
        };
        for (stretch, extent) in self.cells.chunks_exact_mut(length).zip(&mut self.extents) {
            let counts = kernels::clean_row(self.level, stretch, mask);
            let (low, high) = kernels::extent_of(self.level, stretch);
            *extent = (low, high, counts);
        }
        if let Mask::Sheet(slot) = chain.mask {
            self.follow_mask(chain, slot);
        } else {
            if chain.stretches == 1 {
                self.least.fill(self.extents[0].0);
                self.high.fill(self.extents[0].1);
            }
            for row in if chain.stretches == 1 { 0..0 } else { 0..self.high.len() } {
                (self.least[row], self.high[row], _) = self.extents[chain.map.at(row)];
            }
        }
        let Self { least, high, operands, .. } = self;
        for step in &chain.steps {
            match step {
                Step::Negate => {
                    kernels::negate_each(self.level, least);
                    kernels::negate_each(self.level, high);
                }
                Step::Root => {
                    kernels::root_each(self.level, least);
                    kernels::root_each(self.level, high);
                }
                Step::With(op, operand, first) => match operand {
                    Along::Number(value) => {
                        kernels::apply_number(self.level, *op, least, *value, *first);
                        kernels::apply_number(self.level, *op, high, *value, *first);
                    }
                    Along::Row(slot, map) | Along::Cells(slot, map) => {
                        let table = self.tables.get(*slot);
                        let others: &[f64] = if let Map::Same = map {
                            table
                        } else {
                            for (row, operand) in operands.iter_mut().enumerate() {
                                *operand = table[map.at(row)];
                            }
                            operands
                        };
                        kernels::apply_each(self.level, *op, least, others, *first);
                        kernels::apply_each(self.level, *op, high, others, *first);
                    }
                },
            }
        }
        kernels::keep_lesser(self.level, least, high);
        if matches!(chain.mask, Mask::Sheet(_)) {
            for (least, left) in least.iter_mut().zip(&self.left) {
                match left {
                    Left::Nothing => *least = f64::INFINITY,
                    Left::Stretch(..) => {}
                    Left::Pieces => *least = f64::NAN,
                }
            }
        }
        if self.visit
            && let [Step::With(_, operand, _)] = &chain.steps[..]
        {
            self.visit_sums(chain, operand);
        }
    }

    /// The extremes of each row along the stretch that a condition leaves of it.
    fn follow_mask(&mut self, chain: &Chain, slot: usize) {
        let length = self.plan.layout.length;
        let at = self.tables.start(slot);
        if self.left_of.replace(at) != Some(at) {
            let mask = self.tables.get(slot);
            for (left, mask) in self.left.iter_mut().zip(mask.chunks_exact(length)) {
                *left = Left::of(mask);
            }
        }
        self.ranges.resize_with(chain.stretches, Ranges::default);
        for (ranges, cells) in self.ranges.iter_mut().zip(self.cells.chunks_exact(length)) {
            ranges.fill(self.level, cells);
        }
        for (row, left) in self.left.iter().enumerate() {
            let stretch = chain.map.at(row);
            // Where a number along the row does not count, only a visit tells.
            let whole = self.extents[stretch].2.feasible == length as u64;
            (self.least[row], self.high[row]) = match *left {
                Left::Stretch(from, end) if whole => self.ranges[stretch].extent(from as usize, end as usize),
                _ => (f64::NAN, f64::NAN),
            };
        }
    }

    /// The least of each row by going over its cells, some rows at once.
    fn visit_sums(&mut self, chain: &Chain, operand: &Along) {
        let length = self.plan.layout.length;
        let rows = self.high.len();
        for first in (0..rows).step_by(ABREAST) {
            let stretch = chain.map.at(first);
            let together = first + ABREAST <= rows && (1..ABREAST).all(|k| chain.map.at(first + k) == stretch);
            for start in if together { first..first + 1 } else { first..rows.min(first + ABREAST) } {
                let reach = if together { ABREAST } else { 1 };
                let mut offsets = [f64::NAN; ABREAST];
                for k in 0..reach {
                    offsets[k] = self.operand(operand, start + k);
                }
                let at = chain.map.at(start) * length;
                let found = kernels::least_of_sums(self.level, offsets, &self.cells[at..at + length]);
                for k in 0..reach {
                    let known = !self.least[start + k].is_nan() && found[k] < f64::INFINITY;
                    self.least[start + k] = if known { found[k] } else { f64::NAN };
                }
            }
        }
    }

    /// The counts of the whole sheet, if every row holds and the least of each is known.
    pub(super) fn all_rows_known(&self) -> Option<Counts> {
        let chain = self.chain?;
        if chain.stretches != 1 || matches!(chain.mask, Mask::Sheet(_)) || !self.plan.row_terms.is_empty() {
            return None;
        }
        let known = self.least.iter().fold(true, |known, least| known & !least.is_nan());
        let Counts { feasible, nonfinite } = self.extents[0].2;
        let rows = self.high.len() as u64;
        known.then_some(Counts { feasible: feasible * rows, nonfinite: nonfinite * rows })
    }

    /// For sums, the columns that can be within a limit in any row.
    pub(super) fn columns_within(&self, limit: f64) -> Option<Range<usize>> {
        let chain = self.chain.filter(|chain| chain.stretches == 1 && is_sum(chain))?;
        let [Step::With(_, Along::Row(slot, Map::Same), _)] = &chain.steps[..] else { return None };
        let least = kernels::least_of(self.level, self.tables.get(*slot));
        let (count, first, end) = kernels::spread_of(self.level, least, &self.cells, limit);
        Some(if count == 0 { 0..0 } else { first..end })
    }

    /// For sums, how many cells of a row's columns are within a limit, and from where to where.
    pub(super) fn spread_along(&self, row: usize, columns: Range<usize>, limit: f64) -> (usize, usize, usize) {
        let Some(Chain { steps, .. }) = self.chain else { return (0, 0, 0) };
        let offset = if let [Step::With(_, operand, _)] = &steps[..] { self.operand(operand, row) } else { f64::NAN };
        let (count, first, end) = kernels::spread_of(self.level, offset, &self.cells[columns.clone()], limit);
        if count == 0 { (0, 0, 0) } else { (count, columns.start + first, columns.start + end) }
    }

    fn operand(&self, operand: &Along, row: usize) -> f64 {
        match operand {
            Along::Number(value) => *value,
            Along::Row(slot, map) | Along::Cells(slot, map) => self.tables.get(*slot)[map.at(row)],
        }
    }

    /// Counts of a row whose bounds are finite: its values are, wherever what moves along it is.
    pub(super) fn row_counts(&self, row: usize) -> Counts {
        match self.chain {
            Some(Chain { mask: Mask::Sheet(_), .. }) => match self.left[row] {
                Left::Stretch(from, end) => Counts { feasible: u64::from(end - from), nonfinite: 0 },
                _ => Counts::default(),
            },
            Some(chain) => self.extents[chain.map.at(row)].2,
            None => Counts::default(),
        }
    }

    pub(super) fn fill_chain(&mut self, row: usize) -> Counts {
        let Some(chain) = self.chain else { return Counts::default() };
        let length = self.plan.layout.length;
        let stretch = chain.map.at(row);
        let mut values = std::mem::take(&mut self.values[0]);
        values.copy_from_slice(&self.cells[stretch * length..(stretch + 1) * length]);
        for step in &chain.steps {
            match step {
                Step::Negate => kernels::negate_each(self.level, &mut values),
                Step::Root => kernels::root_each(self.level, &mut values),
                Step::With(op, operand, first) => {
                    kernels::apply_number(self.level, *op, &mut values, self.operand(operand, row), *first);
                }
            }
        }
        // Cells that a condition leaves out are NaN already, and so are those that are not finite to begin with.
        let before = self.extents[stretch].2;
        let counts = match (chain.mask, self.left[row]) {
            (Mask::Sheet(_), Left::Stretch(from, end)) if !self.least[row].is_nan() => {
                values[..from as usize].fill(f64::NAN);
                values[end as usize..].fill(f64::NAN);
                before
            }
            (Mask::Sheet(slot), _) => {
                let mask = &self.tables.get(slot)[row * length..(row + 1) * length];
                let counts = kernels::clean_row(self.level, &mut values, Some(mask));
                self.values[0] = values;
                return counts;
            }
            _ if self.least[row].is_nan() => kernels::clean_row(self.level, &mut values, None),
            _ => before,
        };
        self.values[0] = values;
        let allowed = before.feasible + before.nonfinite;
        Counts { feasible: counts.feasible, nonfinite: allowed - counts.feasible }
    }
}
