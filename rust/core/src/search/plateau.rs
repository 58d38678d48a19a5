//! What lies within a tolerance of the best: extents, volume, moments and connected parts, from runs of cells.
//!
//! A run is an unbroken stretch of cells along the last axis. All that is said of a plateau follows from its runs: sums
//! over a run are differences of running sums along the axis, and two runs touch where they overlap one step apart.

use super::axes::Free;

/// Runs that are kept to count the parts of one plateau; beyond, the parts are not counted.
pub(crate) const MOST_RUNS: u64 = 1 << 24;

/// One plateau as it grows.
#[derive(Debug, Clone)]
pub(crate) struct Plateau {
    pub(crate) count: u64,
    /// First and last step along each axis.
    pub(crate) low: Vec<u32>,
    pub(crate) high: Vec<u32>,
    /// Sum of the widths' products over the cells.
    pub(crate) volume: f64,
    /// Sums of coordinates and of their products (packed lower triangle), each times the volume of its cell.
    pub(crate) first: Vec<f64>,
    pub(crate) second: Vec<f64>,
    runs: Option<Vec<(u64, u32)>>,
}

impl Plateau {
    /// Adds what another part of the same group holds, behind this one.
    pub(crate) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.volume += other.volume;
        for (a, b) in self.low.iter_mut().zip(&other.low) {
            *a = (*a).min(*b);
        }
        for (a, b) in self.high.iter_mut().zip(&other.high) {
            *a = (*a).max(*b);
        }
        for (a, b) in self.first.iter_mut().zip(&other.first) {
            *a += b;
        }
        for (a, b) in self.second.iter_mut().zip(&other.second) {
            *a += b;
        }
        self.runs = match (self.runs.take(), other.runs) {
            (Some(mut runs), Some(more)) if (runs.len() + more.len()) as u64 <= MOST_RUNS => {
                runs.extend(more);
                Some(runs)
            }
            _ => None,
        };
    }

    /// How many runs are kept.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.as_ref().map_or(0, |runs| runs.len() as u64)
    }

    /// Frees what only parts are counted from.
    pub(crate) fn forget_runs(&mut self) {
        self.runs = None;
    }
}

/// The axes of a plateau, with running sums along the last one.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    free: &'a [Free],
    /// Of width, width · coordinate and width · coordinate², up to each step of the last axis.
    sums: Vec<[f64; 3]>,
    /// Whether shapes are wanted: volume, moments, parts.
    shape: bool,
    /// Whether cells one step apart along two axes touch, too.
    corners: bool,
}

/// Steps along the axes above the last to a row further up, and how far stretches in it may lie aside.
#[derive(Debug, Clone, Copy)]
struct Turn<'a> {
    back: &'a Free,
    /// Another axis, and whether the step along it goes up.
    aside: Option<(&'a Free, bool)>,
    reach: u64,
}

impl Turn<'_> {
    /// Where a cell is taken; none beyond an end of an axis.
    fn of(&self, cell: u64) -> Option<u64> {
        let index = |axis: &Free| (cell / axis.stride) as usize % axis.size;
        if index(self.back) == 0 {
            return None;
        }
        let row = cell - self.back.stride;
        match self.aside {
            None => Some(row),
            Some((axis, true)) => (index(axis) + 1 < axis.size).then(|| row + axis.stride),
            Some((axis, false)) => (index(axis) > 0).then(|| row - axis.stride),
        }
    }
}

impl<'a> Frame<'a> {
    /// Under a condition cells touch through edges, too: a budget leaves of a grid what lies along its diagonal, whose
    /// cells differ by a step along one axis and a step back along another.
    pub(crate) fn new(free: &'a [Free], shape: bool, corners: bool) -> Self {
        let mut sums = vec![[0.0; 3]];
        if let Some(last) = free.last() {
            let mut total = [0.0; 3];
            for i in 0..last.size {
                let (x, w) = scale(last, i);
                total = [total[0] + w, total[1] + w * x, total[2] + w * x * x];
                sums.push(total);
            }
        }
        Self { free, sums, shape, corners }
    }

    pub(crate) fn empty(&self) -> Plateau {
        let m = self.free.len();
        let pairs = if self.shape { m * (m + 1) / 2 } else { 0 };
        Plateau {
            count: 0,
            low: vec![u32::MAX; m],
            high: vec![0; m],
            volume: 0.0,
            first: vec![0.0; if self.shape { m } else { 0 }],
            second: vec![0.0; pairs],
            runs: self.shape.then(Vec::new),
        }
    }

    /// Adds a stretch of cells, in order, from a flat index within the group.
    pub(crate) fn add(&self, plateau: &mut Plateau, mut start: u64, mut length: u64) {
        let Some(last) = self.free.last() else {
            plateau.count += length;
            if let Some(runs) = &mut plateau.runs {
                plateau.volume += length as f64;
                runs.push((start, 1));
            }
            return;
        };
        // A row may hold several lines of the last axis.
        while length > 0 {
            let from = (start % last.size as u64) as usize;
            let step = length.min((last.size - from) as u64);
            self.add_line(plateau, start, from, step as usize);
            start += step;
            length -= step;
        }
    }

    fn add_line(&self, plateau: &mut Plateau, start: u64, from: usize, length: usize) {
        let m = self.free.len();
        plateau.count += length as u64;
        let Plateau { low, high, first, second, .. } = plateau;
        low[m - 1] = low[m - 1].min(from as u32);
        high[m - 1] = high[m - 1].max((from + length - 1) as u32);
        let mut at = start;
        let mut weight = 1.0;
        let mut x = [0.0; 64];
        for (k, axis) in self.free[..m - 1].iter().enumerate() {
            let i = at / axis.stride;
            at -= i * axis.stride;
            low[k] = low[k].min(i as u32);
            high[k] = high[k].max(i as u32);
            if self.shape {
                let (coordinate, width) = scale(axis, i as usize);
                x[k] = coordinate;
                weight *= width;
            }
        }
        if !self.shape {
            return;
        }
        let (begin, end) = (self.sums[from], self.sums[from + length]);
        let [w, wx, wxx] = [end[0] - begin[0], end[1] - begin[1], end[2] - begin[2]].map(|sum| sum * weight);
        plateau.volume += w;
        let mut pair = 0;
        for k in 0..m {
            first[k] += if k == m - 1 { wx } else { w * x[k] };
            for j in 0..=k {
                second[pair] += match (k == m - 1, j == m - 1) {
                    (false, _) => w * x[k] * x[j],
                    (true, false) => wx * x[j],
                    (true, true) => wxx,
                };
                pair += 1;
            }
        }
        if let Some(runs) = &mut plateau.runs {
            if runs.len() as u64 >= MOST_RUNS {
                plateau.runs = None;
            } else {
                runs.push((start, length as u32));
            }
        }
    }

    /// How many parts the plateau falls into, cells being joined through faces or edges; none where it has too many runs.
    pub(crate) fn parts(&self, plateau: &Plateau) -> Option<u64> {
        let runs = plateau.runs.as_ref()?;
        let Some((last, above)) = self.free.split_last() else { return Some(runs.len() as u64) };
        let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
        let mut parts = if last.scale.is_empty() { plateau.count } else { runs.len() as u64 };
        if last.scale.is_empty() && above.iter().all(|axis| axis.scale.is_empty()) {
            return Some(parts);
        }
        if last.scale.is_empty() {
            // No two cells of a run touch along it: each is a run of its own.
            return (plateau.count <= MOST_RUNS).then(|| self.parts_by_cell(runs));
        }
        for k in 1..runs.len() {
            // A long line was walked in pieces.
            let (start, length) = runs[k - 1];
            if runs[k].0 == start + u64::from(length) && runs[k].0 % last.size as u64 != 0 {
                parts -= u64::from(unite(&mut parents, k as u32, k as u32 - 1));
            }
        }
        for turn in self.turns(above, u64::from(self.corners)) {
            // Both lists are in order, so one walk finds all that lie beside each run a turn back.
            let mut from = 0;
            for (k, &(start, length)) in runs.iter().enumerate() {
                let Some(there) = turn.of(start) else { continue };
                let row = there - there % last.size as u64;
                let begin = there.saturating_sub(turn.reach).max(row);
                let end = (there + u64::from(length) + turn.reach).min(row + last.size as u64);
                while from < k && runs[from].0 + u64::from(runs[from].1) <= begin {
                    from += 1;
                }
                let mut j = from;
                while j < k && runs[j].0 < end {
                    parts -= u64::from(unite(&mut parents, k as u32, j as u32));
                    j += 1;
                }
            }
        }
        Some(parts)
    }

    /// As [`Frame::parts`] where cells along the last axis are no neighbours.
    fn parts_by_cell(&self, runs: &[(u64, u32)]) -> u64 {
        let cells: Vec<u64> = runs.iter().flat_map(|&(start, n)| start..start + u64::from(n)).collect();
        let mut parents: Vec<u32> = (0..cells.len() as u32).collect();
        let mut parts = cells.len() as u64;
        for turn in self.turns(self.free, 0) {
            for (k, &cell) in cells.iter().enumerate() {
                if let Some(there) = turn.of(cell)
                    && let Ok(j) = cells[..k].binary_search(&there)
                {
                    parts -= u64::from(unite(&mut parents, k as u32, j as u32));
                }
            }
        }
        parts
    }

    /// From a cell to those that it touches and that come before it, by steps along some axes.
    fn turns<'b>(&self, axes: &'b [Free], reach: u64) -> Vec<Turn<'b>> {
        let ordered: Vec<&Free> = axes.iter().filter(|axis| !axis.scale.is_empty()).collect();
        let mut turns: Vec<Turn<'b>> = ordered.iter().map(|&back| Turn { back, aside: None, reach }).collect();
        if self.corners {
            for (k, &back) in ordered.iter().enumerate() {
                for &axis in &ordered[k + 1..] {
                    turns.extend([true, false].map(|up| Turn { back, aside: Some((axis, up)), reach: 0 }));
                }
            }
        }
        turns
    }
}

fn scale(axis: &Free, i: usize) -> (f64, f64) {
    axis.scale.get(i).copied().unwrap_or((0.0, 1.0))
}

fn root(parents: &mut [u32], mut at: u32) -> u32 {
    while parents[at as usize] != at {
        parents[at as usize] = parents[parents[at as usize] as usize];
        at = parents[at as usize];
    }
    at
}

/// Joins two parts; false if they were one already.
fn unite(parents: &mut [u32], a: u32, b: u32) -> bool {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b) as usize] = a.min(b);
    a != b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(sizes: &[usize], ordered: &[bool]) -> Vec<Free> {
        let mut stride = sizes.iter().product::<usize>() as u64;
        let axis = |(&size, &ordered): (&usize, &bool)| {
            stride /= size as u64;
            let scale = if ordered { (0..size).map(|i| (i as f64, 1.0)).collect() } else { Vec::new() };
            Free { size, stride, scale }
        };
        sizes.iter().zip(ordered).map(axis).collect()
    }

    fn plateau(frame: &Frame<'_>, cells: &[u64]) -> Plateau {
        let mut made = frame.empty();
        for &cell in cells {
            frame.add(&mut made, cell, 1);
        }
        made
    }

    #[test]
    fn parts_touch_through_faces_only() {
        let free = free(&[3, 4], &[true, true]);
        let frame = Frame::new(&free, true, false);
        // x . . x
        // x . x .
        // . . x x
        let made = plateau(&frame, &[0, 3, 4, 6, 10, 11]);
        assert_eq!(frame.parts(&made), Some(3));
        assert_eq!((made.low.as_slice(), made.high.as_slice()), (&[0, 0][..], &[2, 3][..]));
    }

    #[test]
    fn parts_touch_through_edges_where_corners_count() {
        // A diagonal, one way and the other, and a cell beside it that touches at a corner of three axes alone.
        let free = free(&[3, 3, 3], &[true; 3]);
        for corners in [false, true] {
            let frame = Frame::new(&free, true, corners);
            for (cells, touching) in [
                ([2, 4, 6], 1), // along the last two axes
                ([0, 4, 8], 1),
                ([2, 10, 18], 1), // along the first and the last
                ([6, 12, 18], 1), // along the first two
                ([0, 12, 24], 1),
                ([0, 13, 26], 3), // along all three at once
                ([2, 12, 22], 2), // the end of a row and the beginning of another one are no neighbours
            ] {
                let made = plateau(&frame, &cells);
                assert_eq!(frame.parts(&made), Some(if corners { touching } else { 3 }), "{cells:?}");
            }
        }
    }

    #[test]
    fn categories_are_no_neighbours() {
        for (ordered, parts) in [([true, true], 1), ([false, true], 2), ([true, false], 3), ([false, false], 6)] {
            let free = free(&[2, 3], &ordered);
            let frame = Frame::new(&free, true, false);
            let mut made = frame.empty();
            frame.add(&mut made, 0, 6);
            assert_eq!(frame.parts(&made), Some(parts), "{ordered:?}");
        }
    }

    #[test]
    fn moments_are_those_of_the_cells() {
        let free = free(&[2, 3, 4], &[true; 3]);
        let frame = Frame::new(&free, true, false);
        let mut made = frame.empty();
        frame.add(&mut made, 5, 9);
        let (mut first, mut second) = ([0.0; 3], [0.0; 6]);
        for cell in 5..14 {
            let x = [f64::from(cell / 12), f64::from(cell / 4 % 3), f64::from(cell % 4)];
            let mut pair = 0;
            for k in 0..3 {
                first[k] += x[k];
                for j in 0..=k {
                    second[pair] += x[k] * x[j];
                    pair += 1;
                }
            }
        }
        assert_eq!((made.count, made.volume), (9, 9.0));
        assert_eq!(made.first, first);
        assert_eq!(made.second, second);
    }
}
