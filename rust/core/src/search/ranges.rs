//! Conditions that leave an unbroken stretch of each row, and the least value along any stretch.
//!
//! A budget such as `6 N D <= C` leaves of every row the cells up to some place. The least along a stretch then follows
//! from a table of the least of every 2^k neighbours: two of them cover any stretch (the sparse table of M. A. Bender and
//! M. Farach-Colton, *The LCA problem revisited*, LATIN 2000).

use super::kernels;
use crate::simd::Level;

/// What a condition leaves of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Left {
    Nothing,
    /// From, and one past the last.
    Stretch(u32, u32),
    /// Several stretches.
    Pieces,
}

impl Left {
    /// What is not zero in a row of a mask.
    pub(crate) fn of(mask: &[f64]) -> Self {
        let Some(from) = mask.iter().position(|&x| x != 0.0) else { return Self::Nothing };
        let end = mask.iter().rposition(|&x| x != 0.0).map_or(from, |last| last + 1);
        if mask[from..end].contains(&0.0) { Self::Pieces } else { Self::Stretch(from as u32, end as u32) }
    }
}

/// Least and largest values along stretches of numbers that are all finite.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    /// Level k holds the extremes of 2^k neighbours.
    low: Vec<Vec<f64>>,
    high: Vec<Vec<f64>>,
}

impl Ranges {
    pub(crate) fn fill(&mut self, level: Level, values: &[f64]) {
        let depth = values.len().ilog2() as usize + 1;
        self.low.resize_with(depth, Vec::new);
        self.high.resize_with(depth, Vec::new);
        self.low[0].clear();
        self.low[0].extend_from_slice(values);
        self.high[0].clear();
        self.high[0].extend_from_slice(values);
        for k in 1..depth {
            let size = values.len() + 1 - (1 << k);
            let (below, above) = self.low.split_at_mut(k);
            let (lows, low) = (&below[k - 1], &mut above[0]);
            let (below, above) = self.high.split_at_mut(k);
            let (highs, high) = (&below[k - 1], &mut above[0]);
            low.resize(size, 0.0);
            high.resize(size, 0.0);
            kernels::widen_ranges(level, lows, highs, 1 << (k - 1), low, high);
        }
    }

    /// Least and largest of the values from `from` up to but not including `end`, which is above it.
    pub(crate) fn extent(&self, from: usize, end: usize) -> (f64, f64) {
        let k = (end - from).ilog2() as usize;
        let last = end - (1 << k);
        let (low, high) = (&self.low[k], &self.high[k]);
        let (a, b) = (low[from], low[last]);
        let (c, d) = (high[from], high[last]);
        (if b < a { b } else { a }, if d > c { d } else { c })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_of_any_stretch_are_those_of_its_values() {
        let values: Vec<f64> = (0..77).map(|i| f64::from((i * 37) % 53) - 20.0).collect();
        let mut ranges = Ranges::default();
        ranges.fill(Level::best(), &values);
        for from in 0..values.len() {
            for end in from + 1..=values.len() {
                let part = &values[from..end];
                let low = part.iter().copied().fold(f64::INFINITY, f64::min);
                let high = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(ranges.extent(from, end), (low, high));
            }
        }
    }

    #[test]
    fn what_a_mask_leaves_is_recognised() {
        assert_eq!(Left::of(&[0.0, 0.0]), Left::Nothing);
        assert_eq!(Left::of(&[0.0, 1.0, 2.0, 0.0]), Left::Stretch(1, 3));
        assert_eq!(Left::of(&[1.0, 0.0, 1.0]), Left::Pieces);
    }
}
