//! Axes of a search, the order in which they are walked, and what is walked as one.
//!
//! Loops run over the axes of groups first, then over the others in the order given, so that the flat index of a cell
//! within its group is its place in C order. Short axes at the end are merged into one row, and the last axes that fit
//! make a *sheet*: what is computed for one outer cell at a time.

use crate::error::{Error, Result};

/// Rows shorter than this are merged with the axis before them.
const SHORT: usize = 64;
/// A merged row is at most this long.
const MERGED: usize = 4096;
/// Most rows of a sheet: a table over them stays in the second-level cache.
const ROWS: usize = 1 << 16;
/// Most cells of a sheet.
const SHEET: usize = 1 << 22;
/// Sets of axes are bits of a word.
const MOST_AXES: usize = 60;

/// Named values that move together along one axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Names and values; all of one length.
    pub columns: Vec<(String, Vec<f64>)>,
    /// Where each step lies, for volumes and ridges: a coordinate and a width. Empty where neighbours mean nothing.
    pub scale: Vec<(f64, f64)>,
}

impl Axis {
    /// How many steps the axis has.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    /// Whether the axis has no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether neighbouring steps are near each other.
    pub fn is_ordered(&self) -> bool {
        !self.scale.is_empty()
    }
}

/// Axes as bits, in the order of the loops.
pub(crate) type Set = u64;

/// One column: its name, the loop it moves with, and its values along that loop.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) axis: usize,
    pub(crate) values: Vec<f64>,
}

/// An axis within the flat index of a group.
#[derive(Debug, Clone)]
pub(crate) struct Free {
    pub(crate) size: usize,
    pub(crate) stride: u64,
    pub(crate) scale: Vec<(f64, f64)>,
}

/// The loops.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Sizes of the loops, outermost first.
    pub(crate) sizes: Vec<usize>,
    /// First loop of the sheet.
    pub(crate) inner: usize,
    pub(crate) columns: Vec<Column>,
    pub(crate) groups: usize,
    /// Outer cells of one group.
    pub(crate) outer_per_group: usize,
    /// Rows of a sheet, and cells of a row.
    pub(crate) rows: usize,
    pub(crate) length: usize,
    /// The axes that are not groups, as they were given.
    pub(crate) free: Vec<Free>,
}

impl Layout {
    /// `by` are the axes of groups, outermost first.
    pub(crate) fn new(axes: &[Axis], by: &[usize]) -> Result<Self> {
        check(axes, by)?;
        let rest: Vec<usize> = (0..axes.len()).filter(|k| !by.contains(k)).collect();
        let mut order: Vec<Vec<usize>> = by.iter().chain(&rest).map(|&k| vec![k]).collect();
        let size = |merged: &[usize]| merged.iter().map(|&k| axes[k].len()).product::<usize>();
        if rest.is_empty() {
            order.push(Vec::new()); // one cell to a group
        }
        while order.len() >= by.len() + 2 {
            let (last, before) = (size(&order[order.len() - 1]), size(&order[order.len() - 2]));
            if last >= SHORT || before * last > MERGED {
                break;
            }
            let tail = order.pop().unwrap_or_default();
            order.last_mut().expect("at least two were there").extend(tail);
        }
        let sizes: Vec<usize> = order.iter().map(|merged| size(merged)).collect();
        let mut inner = sizes.len() - 1;
        let mut rows = 1;
        let length = sizes[inner];
        while inner > by.len() && rows * sizes[inner - 1] <= ROWS && rows * sizes[inner - 1] * length <= SHEET {
            inner -= 1;
            rows *= sizes[inner];
        }
        let mut columns = Vec::new();
        for (axis, merged) in order.iter().enumerate() {
            let mut after = sizes[axis];
            for &k in merged {
                after /= axes[k].len();
                for (name, values) in &axes[k].columns {
                    let values = (0..sizes[axis]).map(|i| values[i / after % values.len()]).collect();
                    columns.push(Column { name: name.clone(), axis, values });
                }
            }
        }
        let mut free: Vec<Free> =
            rest.iter().map(|&k| Free { size: axes[k].len(), stride: 1, scale: axes[k].scale.clone() }).collect();
        for k in (1..free.len()).rev() {
            free[k - 1].stride = free[k].stride * free[k].size as u64;
        }
        let groups = sizes[..by.len()].iter().product();
        let outer_per_group = sizes[by.len()..inner].iter().product();
        Ok(Self { sizes, inner, columns, groups, outer_per_group, rows, length, free })
    }

    /// Cells of one sheet.
    pub(crate) fn sheet(&self) -> usize {
        self.rows * self.length
    }

    pub(crate) fn cells_per_group(&self) -> u64 {
        self.outer_per_group as u64 * self.sheet() as u64
    }

    /// The set of an axis: nothing moves along one of a single step.
    pub(crate) fn set_of(&self, axis: usize) -> Set {
        if self.sizes[axis] > 1 { 1 << axis } else { 0 }
    }

    /// The loops of the sheet.
    pub(crate) fn inner_set(&self) -> Set {
        (self.inner..self.sizes.len()).map(|axis| self.set_of(axis)).sum()
    }

    /// The loop along a row.
    pub(crate) fn row_set(&self) -> Set {
        self.set_of(self.sizes.len() - 1)
    }

    /// Loops of a set, outermost first.
    pub(crate) fn loops(&self, set: Set) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.sizes.len()).filter(move |&axis| set >> axis & 1 == 1)
    }

    /// Cells of the grid over a set.
    pub(crate) fn grid(&self, set: Set) -> usize {
        self.loops(set).map(|axis| self.sizes[axis]).product()
    }

    /// For each cell of the grid over `set`, the cell of the grid over `part` that it belongs to.
    pub(crate) fn project(&self, set: Set, part: Set) -> Vec<u32> {
        let mut map = vec![0u32];
        for axis in self.loops(set) {
            let size = self.sizes[axis] as u32;
            let moves = part >> axis & 1 == 1;
            map = map
                .iter()
                .flat_map(|&before| (0..size).map(move |i| if moves { before * size + i } else { before }))
                .collect();
        }
        map
    }
}

fn check(axes: &[Axis], by: &[usize]) -> Result<()> {
    let refuse = |message: String| Err(Error::Option(message));
    if axes.len() > MOST_AXES {
        return refuse(format!("{} axes are more than {MOST_AXES}", axes.len()));
    }
    let mut cells = 1u64;
    for (k, axis) in axes.iter().enumerate() {
        let size = axis.len();
        let Some((first, _)) = axis.columns.first() else { return refuse(format!("axis {k} has no column")) };
        if size == 0 {
            return refuse(format!("axis {first} has no value"));
        }
        for (name, values) in &axis.columns {
            crate::expr::shape(name, values.len(), size)?;
        }
        if axis.is_ordered() {
            crate::expr::shape("the scale of an axis", axis.scale.len(), size)?;
        }
        if size > u32::MAX as usize / 2 {
            return refuse(format!("axis {first} has {size} values, more than 2^31"));
        }
        let Some(product) = cells.checked_mul(size as u64).filter(|&cells| cells < 1 << 53) else {
            return refuse("more than 2^53 cells cannot be told apart".to_owned());
        };
        cells = product;
    }
    if let Some(&k) = by.iter().find(|&&k| k >= axes.len()) {
        return refuse(format!("by names axis {k} where there are {}", axes.len()));
    }
    if let Some((at, &k)) = by.iter().enumerate().find(|&(at, k)| by[..at].contains(k)) {
        return refuse(format!("by names axis {k} again at place {at}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(name: &str, size: usize) -> Axis {
        let values: Vec<f64> = (0..size).map(|i| i as f64).collect();
        Axis { scale: values.iter().map(|&x| (x, 1.0)).collect(), columns: vec![(name.to_owned(), values)] }
    }

    #[test]
    fn groups_come_first_and_the_sheet_last() {
        let axes = [axis("a", 300), axis("b", 5), axis("c", 200), axis("d", 100)];
        let layout = Layout::new(&axes, &[2]).unwrap();
        assert_eq!(layout.sizes, [200, 300, 5, 100]);
        assert_eq!((layout.inner, layout.rows, layout.length), (1, 1500, 100));
        assert_eq!((layout.groups, layout.outer_per_group), (200, 1));
        assert_eq!(layout.free.iter().map(|f| f.stride).collect::<Vec<_>>(), [500, 100, 1]);
    }

    #[test]
    fn short_axes_at_the_end_are_one_row() {
        let axes = [axis("a", 300), axis("b", 5), axis("c", 7)];
        let layout = Layout::new(&axes, &[]).unwrap();
        assert_eq!(layout.sizes, [300, 35]);
        assert_eq!(layout.columns[1].values[..9], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(layout.columns[2].values[..9], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1.0]);
    }

    #[test]
    fn a_projection_leaves_out_the_axes_that_do_not_matter() {
        let axes = [axis("a", 2), axis("b", 70), axis("c", 80)];
        let layout = Layout::new(&axes, &[]).unwrap();
        let map = layout.project(0b111, 0b101);
        assert_eq!(map.len(), 2 * 70 * 80);
        assert_eq!(map[(70 + 3) * 80 + 9], 80 + 9);
    }
}
