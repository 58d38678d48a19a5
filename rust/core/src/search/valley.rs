//! Cells of the rows of a sum that are within a limit.
//!
//! In row `r` the cells are those with `fl(u_r + v_j) <= limit`. Rounding is monotone, so they are the `j` with `v_j` up to
//! some number that only `u_r` decides. Where `v` falls to a bottom and then rises, they are one stretch around it; from one
//! row to the next its ends move by a few cells, and are followed instead of looked for.

use std::ops::Range;

use super::kernels;
use crate::simd::Level;

/// What is known of `v`, and the ends in the row before.
#[derive(Debug)]
pub(super) struct Valley {
    /// Columns that can be within the limit in any row.
    columns: Range<usize>,
    /// Where `v` is least, if it falls up to there and rises from there on.
    bottom: Option<usize>,
    first: usize,
    end: usize,
}

impl Valley {
    pub(super) fn new(v: &[f64], columns: Range<usize>) -> Self {
        let (mut bottom, mut rises) = (columns.start, false);
        for j in columns.start + 1..columns.end {
            let (a, b) = (v[j - 1], v[j]);
            if a.is_nan() || b.is_nan() || (rises && b < a) {
                return Self { bottom: None, first: 0, end: 0, columns };
            }
            rises |= b > a;
            bottom = if rises { bottom } else { j };
        }
        let known = !columns.is_empty() && !v[bottom].is_nan();
        Self { bottom: known.then_some(bottom), first: bottom, end: bottom + 1, columns }
    }

    /// Of which nothing is known.
    pub(super) fn of_any(length: usize) -> Self {
        Self { columns: 0..length, bottom: None, first: 0, end: 0 }
    }

    /// How many of the columns `kept` are within the limit, the first of them, and one past the last.
    pub(super) fn spread(
        &mut self,
        level: Level,
        v: &[f64],
        offset: f64,
        limit: f64,
        kept: Range<usize>,
    ) -> (usize, usize, usize) {
        let start = self.columns.start.max(kept.start);
        let stop = self.columns.end.min(kept.end);
        if start >= stop {
            return (0, 0, 0);
        }
        let Some(bottom) = self.bottom else {
            let (count, first, end) = kernels::spread_of(level, offset, &v[start..stop], limit);
            return if count == 0 { (0, 0, 0) } else { (count, start + first, start + end) };
        };
        let within = |j: usize| offset + v[j] <= limit;
        if !within(bottom) {
            return (0, 0, 0);
        }
        while !within(self.first) {
            self.first += 1;
        }
        while self.first > self.columns.start && within(self.first - 1) {
            self.first -= 1;
        }
        while !within(self.end - 1) {
            self.end -= 1;
        }
        while self.end < self.columns.end && within(self.end) {
            self.end += 1;
        }
        let (first, end) = (self.first.max(start), self.end.min(stop));
        if first < end { (end - first, first, end) } else { (0, 0, 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_those_of_all_cells_looked_at() {
        let mut state = 7u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        let mut valleys = 0;
        for round in 0..400 {
            let size = 1 + random(60);
            let middle = random(size);
            let v: Vec<f64> = (0..size)
                .map(|j| match round % 3 {
                    0 => (j.abs_diff(middle) / 3) as f64,
                    1 => random(9) as f64,
                    _ if random(12) == 0 => f64::NAN,
                    _ => (j.abs_diff(middle) / 2) as f64,
                })
                .collect();
            let limit = random(9) as f64;
            let offsets: Vec<f64> = (0..20).map(|_| random(6) as f64 - 1.0).collect();
            let least = offsets.iter().copied().fold(f64::INFINITY, f64::min);
            let (count, first, end) = kernels::spread_of(Level::best(), least, &v, limit);
            let mut valley = Valley::new(&v, if count == 0 { 0..0 } else { first..end });
            valleys += usize::from(valley.bottom.is_some());
            for &offset in &offsets {
                let from = random(size + 1);
                let kept = from..from + random(size + 1 - from);
                let hits: Vec<usize> = kept.clone().filter(|&j| offset + v[j] <= limit).collect();
                let expected = match (hits.first(), hits.last()) {
                    (Some(&first), Some(&last)) => (hits.len(), first, last + 1),
                    _ => (0, 0, 0),
                };
                assert_eq!(valley.spread(Level::best(), &v, offset, limit, kept), expected, "{v:?} {offset} {limit}");
            }
        }
        assert!((120..390).contains(&valleys), "{valleys} of 400");
    }
}
