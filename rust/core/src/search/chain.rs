//! Separable values: where a row needs no visit.
//!
//! Let the value of a cell be `f_r(v_j)`, with `v_j` a number for each cell of a row `r` and `f_r` a chain of operations
//! whose other operands do not move along the row. If each operation is monotone *as rounded*, so is the chain, and
//! the least value of the row is the lesser of `f_r(min v)` and `f_r(max v)`: to the bit, with two evaluations where the
//! row has thousands of cells. Sums, differences, products, quotients, negation, square roots and the lesser or larger
//! of two are correctly rounded (IEEE 754-2019 §5.4), so they are monotone; exponentials and logarithms are not proven
//! to be and end the chain.

use super::axes::{Layout, Set};
use super::plan::{Along, Map, Slot};
use crate::expr::{Binary, Graph, Id, Node, Unary};
use std::collections::HashMap;

/// One operation on the value so far.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Negate,
    Root,
    /// With an operand that does not move along the row; `true` if the value so far is the first operand.
    With(Binary, Along, bool),
}

/// A condition on the cells of a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mask {
    None,
    /// A slot with a number for each cell of any row.
    Row(usize),
    /// A slot with a number for each cell of the sheet.
    Sheet(usize),
}

/// How the value of a cell follows from what moves along its row.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// What moves along the row, and which stretch of it belongs to a row.
    pub(crate) cells: usize,
    pub(crate) map: Map,
    /// Stretches in all.
    pub(crate) stretches: usize,
    /// What holds along every row alike, or cell by cell.
    pub(crate) mask: Mask,
    /// From the inside out.
    pub(crate) steps: Vec<Step>,
}

/// The nodes of the whole sheet on the way from the root to what moves along the row; none if an operation on the way is
/// not monotone, or if two of its operands move along the row.
pub(crate) fn spine(graph: &Graph, layout: &Layout, sets: &HashMap<Id, Set>, root: Id) -> Option<Vec<Id>> {
    let (inner, row) = (layout.inner_set(), layout.row_set());
    if row == 0 || inner == row {
        return None;
    }
    let mut path = Vec::new();
    let mut at = root;
    while sets[&at] & inner == inner {
        path.push(at);
        at = match graph.node(at) {
            Node::Unary(Unary::Neg | Unary::Sqrt, a) => a,
            Node::Binary(op, a, b) if monotone(op) => match (sets[&a] & row != 0, sets[&b] & row != 0) {
                (true, false) => a,
                (false, true) if op != Binary::Div => b,
                _ => return None,
            },
            _ => return None,
        };
    }
    (sets[&at] & row != 0 && !path.is_empty()).then(|| {
        path.push(at);
        path
    })
}

fn monotone(op: Binary) -> bool {
    matches!(op, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Min | Binary::Max)
}

impl Chain {
    /// The chain along a spine, once its ends have tables.
    pub(crate) fn new(
        graph: &Graph,
        layout: &Layout,
        slots: &[Slot],
        place: &HashMap<Id, usize>,
        path: &[Id],
        mask: Option<Id>,
    ) -> Option<Self> {
        let (inner, row) = (layout.inner_set(), layout.row_set());
        let rows = inner & !row;
        let mask = match mask {
            None => Mask::None,
            Some(id) => {
                let slot = *place.get(&id)?;
                match slots[slot].set & inner {
                    set if set == row => Mask::Row(slot),
                    set if set == inner => Mask::Sheet(slot),
                    _ => return None,
                }
            }
        };
        let (&last, above) = path.split_last()?;
        let cells = *place.get(&last)?;
        let part = slots[cells].set & rows;
        let mut steps = Vec::new();
        let mut below = last;
        for &id in above.iter().rev() {
            steps.push(match graph.node(id) {
                Node::Unary(Unary::Neg, _) => Step::Negate,
                Node::Unary(Unary::Sqrt, _) => Step::Root,
                Node::Binary(op, a, b) => {
                    let first = a == below;
                    let other = if first { b } else { a };
                    let operand = if let Some(value) = graph.constant_value(other) {
                        Along::Number(value)
                    } else {
                        let slot = *place.get(&other)?;
                        Along::Row(slot, Map::new(layout, rows, slots[slot].set & rows))
                    };
                    Step::With(op, operand, first)
                }
                _ => return None,
            });
            below = id;
        }
        Some(Self { cells, map: Map::new(layout, rows, part), stretches: layout.grid(part), mask, steps })
    }
}
