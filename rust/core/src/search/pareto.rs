//! Pareto fronts of two values: cells that no other cell beats in both.

/// Cells between two looks at the front as a whole.
const STRIDE: usize = 64;

/// A cell on a front.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) first: f64,
    pub(crate) second: f64,
    pub(crate) cell: u64,
}

/// Cells in ascending order of the first value, and so in descending order of the second. Of equal cells the first in
/// order is kept, so the front does not depend on the order in which cells come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Front {
    pub(crate) points: Vec<Point>,
    /// Whether points are missing since memory did not hold them.
    pub(crate) lost: bool,
}

impl Front {
    /// Takes what belongs on the front from values in order, from a flat index on; NaN is passed over.
    pub(crate) fn offer(&mut self, first: &[f64], second: &[f64], start: u64) {
        for (k, (a, b)) in first.chunks(STRIDE).zip(second.chunks(STRIDE)).enumerate() {
            let low = |values: &[f64]| values.iter().fold(f64::INFINITY, |low, &x| if x < low { x } else { low });
            // A cell that is no worse than the corner of a stretch is no worse than all of it. Equal is not enough: an
            // equal cell may come earlier.
            let (least, other) = (low(a), low(b));
            if self.below(least).is_some_and(|point| point.second < other) {
                continue;
            }
            for j in 0..a.len() {
                if !a[j].is_nan() && !b[j].is_nan() {
                    self.insert(Point { first: a[j], second: b[j], cell: start + (k * STRIDE + j) as u64 });
                }
            }
        }
    }

    /// Adds another front.
    pub(crate) fn join(&mut self, other: Self) {
        self.lost |= other.lost;
        if self.points.is_empty() {
            self.points = other.points;
            return;
        }
        for point in other.points {
            self.insert(point);
        }
    }

    /// The point of largest first value among those not above `first`.
    fn below(&self, first: f64) -> Option<&Point> {
        self.points[..self.points.partition_point(|point| point.first <= first)].last()
    }

    pub(crate) fn insert(&mut self, point: Point) {
        if let Some(known) = self.below(point.first) {
            let equal = known.first == point.first && known.second == point.second;
            if known.second <= point.second && !(equal && point.cell < known.cell) {
                return;
            }
        }
        if self.points.try_reserve(1).is_err() {
            self.lost = true;
            return;
        }
        let start = self.points.partition_point(|known| known.first < point.first);
        let beaten = self.points[start..].iter().take_while(|known| known.second >= point.second).count();
        self.points.splice(start..start + beaten, [point]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By comparing all pairs.
    fn brute(cells: &[(f64, f64)]) -> Vec<Point> {
        let mut found: Vec<Point> = Vec::new();
        for (i, &(a, b)) in cells.iter().enumerate() {
            let beaten = cells.iter().enumerate().any(|(j, &(c, d))| c <= a && d <= b && (c < a || d < b || j < i));
            if !beaten && !a.is_nan() && !b.is_nan() {
                found.push(Point { first: a, second: b, cell: i as u64 });
            }
        }
        found.sort_by(|a, b| a.first.total_cmp(&b.first));
        found
    }

    #[test]
    fn the_front_is_what_no_cell_beats_in_whatever_order_they_come() {
        let mut state = 1u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for round in 0..50 {
            // Few distinct values, so that ties are common.
            let size = 5 + random(200) as usize;
            let cells: Vec<(f64, f64)> = (0..size)
                .map(|_| {
                    let value = |x: u64| if x == 0 && round % 2 == 0 { f64::NAN } else { x as f64 };
                    (value(random(12)), value(random(12)))
                })
                .collect();
            let finite: Vec<(f64, f64)> = cells
                .iter()
                .map(|&(a, b)| if a.is_nan() || b.is_nan() { (f64::NAN, f64::NAN) } else { (a, b) })
                .collect();
            let expected = brute(&finite);
            let (first, second): (Vec<f64>, Vec<f64>) = finite.iter().copied().unzip();
            let mut front = Front::default();
            front.offer(&first, &second, 0);
            assert_eq!(front.points, expected);
            let mut backwards = Front::default();
            for (i, &(a, b)) in finite.iter().enumerate().rev() {
                if !a.is_nan() {
                    backwards.insert(Point { first: a, second: b, cell: i as u64 });
                }
            }
            assert_eq!(backwards.points, expected);
        }
    }
}
