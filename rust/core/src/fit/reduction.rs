//! The sums over points: every one is coefficient × node, or coefficient × node × node.
//!
//! The products of a symmetric matrix are formed by tiles, as in a blocked `A D Aᵀ`: the nodes of a tile are read once
//! per point, scaled once, and all its sums stay in registers until the block is done. How many fit depends on
//! the instruction set; the order of additions within a sum does not, so neither do the bits.

use super::kernel::{LANES, Lanes, POINTS};
use crate::expr::{Block, Inputs, Registers, Src};

/// What is summed. The sums stand in this order: `c2 · X` for every node, `c1 · X` for every outer node, `c1 · X · Y`
/// for every pair of outer nodes (packed lower triangle), `majorant · X²` for the nodes listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reduction {
    /// Where the nodes are: first the outer ones, of the first derivatives, then those of second derivatives alone.
    pub(crate) nodes: Vec<Src>,
    /// How many of them are outer.
    pub(crate) outer: usize,
    /// Whether the sums of `c1 · X` are wanted.
    pub(crate) singles: bool,
    /// Outer nodes whose square is summed times the majorant's coefficient.
    pub(crate) squares: Vec<usize>,
}

impl Reduction {
    /// The sum of `c1 · X_j`.
    pub(crate) fn single(&self, j: usize) -> usize {
        self.nodes.len() + j
    }

    /// The sum of `c1 · X_j · X_k`.
    pub(crate) fn pair(&self, j: usize, k: usize) -> usize {
        let (j, k) = (j.max(k), j.min(k));
        self.nodes.len() + self.outer + j * (j + 1) / 2 + k
    }

    /// The sum of `majorant · X²` for the square of this place in the list.
    pub(crate) fn square(&self, place: usize) -> usize {
        self.pair(self.outer, 0) + place
    }

    /// Where the outer nodes are.
    pub(crate) fn outer_nodes(&self) -> &[Src] {
        &self.nodes[..self.outer]
    }

    /// How many sums there are.
    pub(crate) fn count(&self) -> usize {
        self.square(self.squares.len())
    }
}

/// The coefficients of one block of points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coefficients<'a> {
    pub(crate) c1: &'a Rows,
    pub(crate) c2: &'a Rows,
    pub(crate) majorant: &'a Rows,
}

/// One number per point and lane.
pub(crate) type Rows = Block<POINTS>;

/// Nodes in a tile where a register holds eight lanes and there are thirty-two of them.
const LARGE: usize = 4;
/// The same for smaller register files, which take the lanes in halves.
const SMALL: usize = 2;

/// Adds the first `M` numbers of a block to the sums. `wide` says which tiles fit the instruction set.
#[inline(always)]
pub(crate) fn reduce<const M: usize, const MAJORANT: bool>(
    reduction: &Reduction,
    wide: bool,
    (registers, inputs): (&Registers<POINTS>, &Inputs<'_, POINTS>),
    coefficients: Coefficients<'_>,
    sums: &mut [Lanes],
) {
    if wide {
        tiles::<M, MAJORANT, LANES, LARGE>(reduction, (registers, inputs), coefficients, sums);
    } else {
        tiles::<M, MAJORANT, { LANES / 2 }, SMALL>(reduction, (registers, inputs), coefficients, sums);
    }
}

/// All sums, in tiles of up to `T` nodes and `W` lanes.
#[inline(always)]
fn tiles<const M: usize, const MAJORANT: bool, const W: usize, const T: usize>(
    reduction: &Reduction,
    (registers, inputs): (&Registers<POINTS>, &Inputs<'_, POINTS>),
    coefficients: Coefficients<'_>,
    sums: &mut [Lanes],
) {
    let Reduction { nodes, outer, squares, .. } = reduction;
    let node = |place: usize| registers.get(inputs, nodes[place]);
    // A tile of so many nodes from here on; of nothing where it would be larger than tiles are.
    macro_rules! nodes_from {
        ($first:expr, $n:literal) => {{
            let mut these = [coefficients.c1; $n];
            for (i, these) in these.iter_mut().enumerate() {
                *these = node($first + i);
            }
            these
        }};
    }
    // The sums of a tile, with those of single nodes or without.
    macro_rules! within {
        ($name:ident, $first:expr, $n:literal) => {
            if reduction.singles {
                $name::<W, M, true>(reduction, $first, nodes_from!($first, $n), coefficients, sums)
            } else {
                $name::<W, M, false>(reduction, $first, nodes_from!($first, $n), coefficients, sums)
            }
        };
    }
    for first in (0..*outer).step_by(T) {
        let size = T.min(outer - first);
        match size {
            1 => within!(triangle_1, first, 1),
            2 => within!(triangle_2, first, 2),
            3 => within!(triangle_3, first, 3),
            _ => within!(triangle_4, first, 4),
        }
        for before in (0..first).step_by(T) {
            for j in first..first + size {
                let at = |k: usize| reduction.pair(j, before + k);
                if T == LARGE {
                    strip_4::<W, M>(at, node(j), nodes_from!(before, 4), coefficients.c1, sums);
                } else {
                    strip_2::<W, M>(at, node(j), nodes_from!(before, 2), coefficients.c1, sums);
                }
            }
        }
    }
    row::<M>(coefficients.c2, (registers, inputs), &nodes[*outer..], &mut sums[*outer..nodes.len()]);
    if MAJORANT {
        for (place, &j) in squares.iter().enumerate() {
            square::<M>(coefficients.majorant, node(j), &mut sums[reduction.square(place)]);
        }
    }
}

/// `W` numbers from place `at`.
#[inline(always)]
pub(super) fn take<const W: usize>(from: &[f64], at: usize) -> [f64; W] {
    let mut lanes = [0.0; W];
    lanes.copy_from_slice(&from[at..at + W]);
    lanes
}

/// The same, back.
#[inline(always)]
pub(super) fn put<const W: usize>(to: &mut [f64], at: usize, lanes: &[f64; W]) {
    to[at..at + W].copy_from_slice(lanes);
}

/// `sum += a · b`
#[inline(always)]
fn multiply_add<const W: usize>(sum: &mut [f64; W], a: &[f64; W], b: &[f64; W]) {
    for lane in 0..W {
        sum[lane] = a[lane].mul_add(b[lane], sum[lane]);
    }
}

/// The sums of a tile: each node alone, and all pairs of them. Written out, since the compiler keeps in registers only
/// what it finds by a constant index.
macro_rules! triangle {
    ($name:ident, $n:literal, $pairs:literal, [$($j:literal),+], [$($p:literal: $a:literal $b:literal),+]) => {
        #[inline(always)]
        fn $name<const W: usize, const M: usize, const SINGLES: bool>(
            reduction: &Reduction,
            first: usize,
            nodes: [&Rows; $n],
            coefficients: Coefficients<'_>,
            sums: &mut [Lanes],
        ) {
            for half in (0..LANES).step_by(W) {
                let mut plain = [[0.0; W]; $n];
                let mut single = [[0.0; W]; $n];
                let mut pairs = [[0.0; W]; $pairs];
                $(
                    plain[$j] = take(&sums[first + $j].0, half);
                    single[$j] = take(&sums[reduction.single(first + $j)].0, half);
                )+
                $(pairs[$p] = take(&sums[reduction.pair(first + $a, first + $b)].0, half);)+
                for at in (half..M).step_by(LANES) {
                    let (c1, c2) = (take::<W>(&coefficients.c1.0, at), take::<W>(&coefficients.c2.0, at));
                    let (mut values, mut scaled) = ([[0.0; W]; $n], [[0.0; W]; $n]);
                    $(
                        values[$j] = take(&nodes[$j].0, at);
                        multiply_add(&mut plain[$j], &c2, &values[$j]);
                        for lane in 0..W {
                            scaled[$j][lane] = c1[lane] * values[$j][lane];
                            if SINGLES {
                                single[$j][lane] += scaled[$j][lane];
                            }
                        }
                    )+
                    $(multiply_add(&mut pairs[$p], &scaled[$a], &values[$b]);)+
                }
                $(
                    put(&mut sums[first + $j].0, half, &plain[$j]);
                    put(&mut sums[reduction.single(first + $j)].0, half, &single[$j]);
                )+
                $(put(&mut sums[reduction.pair(first + $a, first + $b)].0, half, &pairs[$p]);)+
            }
        }
    };
}
triangle!(triangle_1, 1, 1, [0], [0: 0 0]);
triangle!(triangle_2, 2, 3, [0, 1], [0: 0 0, 1: 1 0, 2: 1 1]);
triangle!(triangle_3, 3, 6, [0, 1, 2], [0: 0 0, 1: 1 0, 2: 1 1, 3: 2 0, 4: 2 1, 5: 2 2]);
triangle!(triangle_4, 4, 10, [0, 1, 2, 3],
    [0: 0 0, 1: 1 0, 2: 1 1, 3: 2 0, 4: 2 1, 5: 2 2, 6: 3 0, 7: 3 1, 8: 3 2, 9: 3 3]);

/// The pairs of one node with those of another tile.
macro_rules! strip {
    ($name:ident, $n:literal, [$($k:literal),+]) => {
        #[inline(always)]
        fn $name<const W: usize, const M: usize>(
            place: impl Fn(usize) -> usize,
            left: &Rows,
            right: [&Rows; $n],
            c1: &Rows,
            sums: &mut [Lanes],
        ) {
            for half in (0..LANES).step_by(W) {
                let mut pairs = [[0.0; W]; $n];
                $(pairs[$k] = take(&sums[place($k)].0, half);)+
                for at in (half..M).step_by(LANES) {
                    let mut scaled = take::<W>(&left.0, at);
                    for lane in 0..W {
                        scaled[lane] *= c1.0[at + lane];
                    }
                    $(multiply_add(&mut pairs[$k], &scaled, &take(&right[$k].0, at));)+
                }
                $(put(&mut sums[place($k)].0, half, &pairs[$k]);)+
            }
        }
    };
}
strip!(strip_2, 2, [0, 1]);
strip!(strip_4, 4, [0, 1, 2, 3]);

/// Adds the first `M` numbers of `coefficient · X` to one sum for each of the nodes, four at a time.
#[inline(always)]
pub(crate) fn row<const M: usize>(
    coefficient: &Rows,
    (registers, inputs): (&Registers<POINTS>, &Inputs<'_, POINTS>),
    nodes: &[Src],
    sums: &mut [Lanes],
) {
    let node = |src: Src| registers.get(inputs, src);
    for (nodes, sums) in nodes.chunks(4).zip(sums.chunks_mut(4)) {
        match *nodes {
            [a] => row_1::<M>(coefficient, [node(a)], sums),
            [a, b] => row_2::<M>(coefficient, [node(a), node(b)], sums),
            [a, b, c] => row_3::<M>(coefficient, [node(a), node(b), node(c)], sums),
            [a, b, c, d] => row_4::<M>(coefficient, [node(a), node(b), node(c), node(d)], sums),
            _ => {}
        }
    }
}

/// The sums of `coefficient · X` of some nodes.
macro_rules! row {
    ($name:ident, $n:literal, [$($k:literal),+]) => {
        #[inline(always)]
        fn $name<const M: usize>(coefficient: &Rows, nodes: [&Rows; $n], sums: &mut [Lanes]) {
            let mut totals = [[0.0; LANES]; $n];
            $(totals[$k] = sums[$k].0;)+
            for at in (0..M).step_by(LANES) {
                let coefficient = take::<LANES>(&coefficient.0, at);
                $(multiply_add(&mut totals[$k], &coefficient, &take(&nodes[$k].0, at));)+
            }
            $(sums[$k].0 = totals[$k];)+
        }
    };
}
row!(row_1, 1, [0]);
row!(row_2, 2, [0, 1]);
row!(row_3, 3, [0, 1, 2]);
row!(row_4, 4, [0, 1, 2, 3]);

/// The sum of `coefficient · X²`.
#[inline(always)]
fn square<const M: usize>(coefficient: &Rows, node: &Rows, sum: &mut Lanes) {
    let mut total = sum.0;
    for at in (0..M).step_by(LANES) {
        let node = take::<LANES>(&node.0, at);
        let mut scaled = take::<LANES>(&coefficient.0, at);
        for lane in 0..LANES {
            scaled[lane] *= node[lane];
        }
        multiply_add(&mut total, &scaled, &node);
    }
    sum.0 = total;
}
