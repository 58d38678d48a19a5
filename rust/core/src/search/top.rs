//! The least cells in order: by value, then by place.

/// At most `most` cells, least first.
#[derive(Debug, Clone)]
pub(crate) struct Top {
    most: usize,
    pub(crate) cells: Vec<(f64, u64)>,
}

impl Top {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, cells: Vec::new() }
    }

    /// Whether a piece with this least value may hold a cell of the list. Pieces come in order, so an equal value is late.
    pub(crate) fn takes(&self, least: f64) -> bool {
        least < f64::INFINITY && (self.cells.len() < self.most || self.cells.last().is_some_and(|last| least < last.0))
    }

    /// Takes what belongs to the list from values in order, from a flat index on; NaN is passed over.
    pub(crate) fn offer(&mut self, values: &[f64], start: u64) {
        for (j, &value) in values.iter().enumerate() {
            if !value.is_nan() && self.takes(value) {
                self.insert(value, start + j as u64);
            }
        }
    }

    /// Adds another list of as many, in any order.
    pub(crate) fn join(&mut self, other: Self) {
        if self.cells.is_empty() {
            self.cells = other.cells;
            return;
        }
        for (value, cell) in other.cells {
            self.insert(value, cell);
        }
    }

    fn insert(&mut self, value: f64, cell: u64) {
        let at = self.cells.partition_point(|&(v, c)| (v, c) < (value, cell));
        if at < self.most {
            self.cells.truncate(self.most - 1);
            self.cells.insert(at, (value, cell));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_earlier_cell() {
        let mut top = Top::new(3);
        top.offer(&[2.0, 1.0, f64::NAN, 2.0, 1.0, 0.5], 10);
        assert_eq!(top.cells, [(0.5, 15), (1.0, 11), (1.0, 14)]);
        let mut other = Top::new(3);
        other.offer(&[1.0, 3.0], 0);
        top.join(other);
        assert_eq!(top.cells, [(0.5, 15), (1.0, 0), (1.0, 11)]);
    }
}
