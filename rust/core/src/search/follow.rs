//! Rows whose least value follows from a chain: bounds of all rows at once, and values of one.

use super::chain::{Chain, Mask, Step};
use super::kernels::{self, ABREAST, Counts};
use super::plan::{Along, Map};
use super::ranges::{Left, Ranges};
use super::sheet::{Desk, has_one_sum};
use super::tables::Tables;
use super::valley::Valley;

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
                        let others = by_row(&self.tables, *slot, map, operands);
                        kernels::apply_each(self.level, *op, least, others, *first);
                        kernels::apply_each(self.level, *op, high, others, *first);
                    }
                },
            }
        }
        kernels::keep_lesser(self.level, least, high);
        if self.visit
            && let [Step::With(_, operand, _)] = &chain.steps[..]
        {
            self.visit_sums(chain, operand);
        }
        let Self { least, sure, left, .. } = self;
        for (sure, least) in sure.iter_mut().zip(&*least) {
            *sure = !least.is_nan();
        }
        if matches!(chain.mask, Mask::Sheet(_)) {
            for ((least, sure), left) in least.iter_mut().zip(sure.iter_mut()).zip(left) {
                if *left == Left::Nothing {
                    (*least, *sure) = (f64::INFINITY, true);
                }
            }
        }
        self.all_sure = self.sure.iter().fold(true, |all, sure| all & sure);
    }

    /// The extremes of each row along the stretch that a condition leaves of it.
    fn follow_mask(&mut self, chain: &Chain, slot: usize) {
        let length = self.plan.layout.length;
        let at = self.tables.start(slot);
        if self.left_of.replace(at) != Some(at) {
            let mask = self.tables.get(slot);
            self.left_cells = 0;
            for (left, mask) in self.left.iter_mut().zip(mask.chunks_exact(length)) {
                *left = Left::of(mask);
                if let Left::Stretch(from, end) = *left {
                    self.left_cells += u64::from(end - from);
                }
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
                _ => (f64::NAN, f64::NAN), // nothing, or pieces
            };
        }
    }

    /// The least of each row by going over its cells, some rows at once.
    fn visit_sums(&mut self, chain: &Chain, operand: &Along) {
        let length = self.plan.layout.length;
        let Self { least, operands, cells, tables, level, .. } = self;
        let others = match operand {
            Along::Number(value) => {
                operands.fill(*value);
                &*operands
            }
            Along::Row(slot, map) | Along::Cells(slot, map) => by_row(tables, *slot, map, operands),
        };
        for (k, (least, others)) in least.chunks_mut(ABREAST).zip(others.chunks(ABREAST)).enumerate() {
            let first = k * ABREAST;
            let stretch = chain.map.at(first);
            let one = chain.stretches == 1 || (1..least.len()).all(|k| chain.map.at(first + k) == stretch);
            let step = if one { least.len() } else { 1 };
            for (k, (least, others)) in least.chunks_mut(step).zip(others.chunks(step)).enumerate() {
                let mut offsets = [f64::NAN; ABREAST];
                offsets[..others.len()].copy_from_slice(others);
                let at = chain.map.at(first + k * step) * length;
                let found = kernels::least_of_sums(*level, offsets, &cells[at..at + length]);
                for (least, found) in least.iter_mut().zip(found) {
                    let known = !least.is_nan() && found < f64::INFINITY;
                    *least = if known { found } else { f64::NAN };
                }
            }
        }
    }

    /// The counts of the whole sheet, if every row holds and the least of each is known.
    pub(super) fn all_rows_known(&self) -> Option<Counts> {
        let chain = self.chain.filter(|_| self.all_sure && self.plan.row_terms.is_empty())?;
        let rows = self.high.len();
        let mut total = Counts::default();
        if let Mask::Sheet(_) = chain.mask {
            total.feasible = self.left_cells;
        } else if chain.stretches == 1 {
            let Counts { feasible, nonfinite } = self.extents[0].2;
            total = Counts { feasible: feasible * rows as u64, nonfinite: nonfinite * rows as u64 };
        } else {
            for row in 0..rows {
                let Counts { feasible, nonfinite } = self.extents[chain.map.at(row)].2;
                total.feasible += feasible;
                total.nonfinite += nonfinite;
            }
        }
        Some(total)
    }

    /// For sums, what tells the cells of sure rows that are within a limit.
    pub(super) fn valley(&self, limit: f64) -> Option<Valley> {
        let chain = self.chain.filter(|chain| has_one_sum(chain))?;
        if chain.stretches > 1 {
            return Some(Valley::of_any(self.plan.layout.length));
        }
        let [Step::With(_, operand, _)] = &chain.steps[..] else { return None };
        let least = match operand {
            Along::Number(value) => *value,
            Along::Row(slot, _) | Along::Cells(slot, _) => kernels::least_of(self.level, self.tables.get(*slot)),
        };
        let (count, first, end) = kernels::spread_of(self.level, least, &self.cells, limit);
        Some(Valley::new(&self.cells, if count == 0 { 0..0 } else { first..end }))
    }

    /// For a sum and a row that is sure: how many cells that count are within a limit, and from where to where.
    pub(super) fn spread_along(&self, row: usize, valley: &mut Valley, limit: f64) -> (usize, usize, usize) {
        let Some(chain) = self.chain else { return (0, 0, 0) };
        let [Step::With(_, operand, _)] = &chain.steps[..] else { return (0, 0, 0) };
        let offset = self.operand(operand, row);
        // A row that is sure and has a condition on its cells keeps one stretch, of which all cells are finite.
        let kept = match (chain.mask, self.left[row]) {
            (Mask::Sheet(_), Left::Stretch(from, end)) => from as usize..end as usize,
            (Mask::Sheet(_), _) => 0..0,
            _ => 0..self.plan.layout.length,
        };
        let at = chain.map.at(row) * self.plan.layout.length;
        valley.spread(self.level, &self.cells[at..at + self.plan.layout.length], offset, limit, kept)
    }

    fn operand(&self, operand: &Along, row: usize) -> f64 {
        match operand {
            Along::Number(value) => *value,
            Along::Row(slot, map) | Along::Cells(slot, map) => self.tables.get(*slot)[map.at(row)],
        }
    }

    /// Counts of a row that is sure: its values are finite wherever what moves along it is.
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

    /// Values of a row, NaN where a cell does not count.
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
        // What moves along the row is NaN already where it does not count, or is not finite.
        let counts = match (chain.mask, self.left[row], self.sure[row]) {
            (Mask::Sheet(_), Left::Stretch(from, end), true) => {
                values[..from as usize].fill(f64::NAN);
                values[end as usize..].fill(f64::NAN);
                self.row_counts(row)
            }
            (Mask::Sheet(slot), ..) => {
                let mask = &self.tables.get(slot)[row * length..(row + 1) * length];
                kernels::clean_row(self.level, &mut values, Some(mask))
            }
            (.., true) => self.row_counts(row),
            (.., false) => {
                let before = self.extents[stretch].2;
                let feasible = kernels::clean_row(self.level, &mut values, None).feasible;
                Counts { feasible, nonfinite: before.feasible + before.nonfinite - feasible }
            }
        };
        self.values[0] = values;
        counts
    }
}

/// A number for each row from a table, which may have to be spread over the rows first.
fn by_row<'a>(tables: &'a Tables<'_>, slot: usize, map: &Map, spread: &'a mut [f64]) -> &'a [f64] {
    let table = tables.get(slot);
    if let Map::Same = map {
        return table;
    }
    for (row, number) in spread.iter_mut().enumerate() {
        *number = table[map.at(row)];
    }
    spread
}
