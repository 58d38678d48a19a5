//! Coefficients of the sums that are taken through a node of the law: see [`layout`](super::layout).
//!
//! With `m` the prediction, `v` the node and `θ` a parameter that acts beside it, these are, per point,
//!
//! ```text
//! c2 m_v                  of v_j and v_jk,
//! c1 m_v² + c2 m_vv       of v_j v_k,
//! c1 m_v m_θ + c2 m_vθ    of v_j,
//! ```
//!
//! and the majorant's times `m_v²`, of `v_j²`. Where the majorant stands for the curvature no second derivative of the
//! law counts, neither here.

use super::reduction::{Coefficients, Rows};
use crate::expr::{Block, Id, Src};

/// A node that parameters act through; the sums of its derivatives are a family of their own.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) node: Id,
    /// First and second derivative of the law by the node.
    pub(crate) slope: Src,
    pub(crate) bend: Src,
    pub(crate) crosses: Vec<Cross>,
}

/// What joins a parameter that acts beside the node with those that act through it.
#[derive(Debug)]
pub(crate) struct Cross {
    /// Which of the free parameters.
    pub(crate) parameter: usize,
    /// Lane value that multiplies the sums; none for one.
    pub(crate) factor: Option<usize>,
    /// The law's derivative by it; none for one.
    pub(crate) node: Option<Src>,
    /// That by the node, too; none for zero.
    pub(crate) mixed: Option<Src>,
    /// The first of its sums, one for each outer node of the family.
    pub(crate) from: usize,
}

/// Room for the coefficients of a block.
#[derive(Debug)]
pub(crate) struct Weights {
    plain: Box<Rows>,
    pair: Box<Rows>,
    majorant: Box<Rows>,
    /// `c1 m_v`, and `c2` where second derivatives count.
    steep: Box<Rows>,
    bent: Box<Rows>,
    cross: Box<Rows>,
}

impl Weights {
    pub(crate) fn new() -> Self {
        let zero = || Box::new(Block::ZERO);
        Self { plain: zero(), pair: zero(), majorant: zero(), steep: zero(), bent: zero(), cross: zero() }
    }

    /// Fills the coefficients of the first `M` numbers of a block; `convex` has all bits set where the majorant stands
    /// for the curvature.
    #[inline(always)]
    pub(crate) fn run<const M: usize, const MAJORANT: bool>(
        &mut self,
        (slope, bend): (&Rows, &Rows),
        outer: Coefficients<'_>,
        convex: &Rows,
    ) -> Coefficients<'_> {
        let Self { plain, pair, majorant, steep, bent, .. } = self;
        first_order::<M>(slope, outer, (plain, steep));
        second_order::<M>(slope, bend, (steep, outer.c2, convex), (pair, bent));
        if MAJORANT {
            squared::<M>(slope, outer.majorant, majorant);
        }
        Coefficients { c1: pair, c2: plain, majorant }
    }

    /// The coefficient that joins a parameter, once those of the block are filled.
    #[inline(always)]
    pub(crate) fn cross<const M: usize>(&mut self, node: Option<&Rows>, mixed: Option<&Rows>) -> &Rows {
        let Self { steep, bent, cross, .. } = self;
        match (node, mixed) {
            (None, None) => return steep,
            (Some(node), None) => times::<M>(steep, node, cross),
            (None, Some(mixed)) => joined::<M>(bent, mixed, steep, cross),
            (Some(node), Some(mixed)) => both::<M>((steep, node), (bent, mixed), cross),
        }
        cross
    }
}

// The loops stand in functions of their own because arguments are known not to overlap, which lets them vectorise.

#[inline(always)]
fn first_order<const M: usize>(slope: &Rows, outer: Coefficients<'_>, (plain, steep): (&mut Rows, &mut Rows)) {
    for i in 0..M {
        plain.0[i] = outer.c2.0[i] * slope.0[i];
        steep.0[i] = outer.c1.0[i] * slope.0[i];
    }
}

#[inline(always)]
fn second_order<const M: usize>(
    slope: &Rows,
    bend: &Rows,
    (steep, c2, convex): (&Rows, &Rows, &Rows),
    (pair, bent): (&mut Rows, &mut Rows),
) {
    for i in 0..M {
        let c2 = f64::from_bits(c2.0[i].to_bits() & !convex.0[i].to_bits());
        bent.0[i] = c2;
        pair.0[i] = steep.0[i].mul_add(slope.0[i], c2 * bend.0[i]);
    }
}

#[inline(always)]
fn squared<const M: usize>(slope: &Rows, majorant: &Rows, to: &mut Rows) {
    for i in 0..M {
        to.0[i] = majorant.0[i] * slope.0[i] * slope.0[i];
    }
}

#[inline(always)]
fn times<const M: usize>(a: &Rows, b: &Rows, to: &mut Rows) {
    for i in 0..M {
        to.0[i] = a.0[i] * b.0[i];
    }
}

/// `a b + c`
#[inline(always)]
fn joined<const M: usize>(a: &Rows, b: &Rows, c: &Rows, to: &mut Rows) {
    for i in 0..M {
        to.0[i] = a.0[i].mul_add(b.0[i], c.0[i]);
    }
}

/// `a b + c d`
#[inline(always)]
fn both<const M: usize>((a, b): (&Rows, &Rows), (c, d): (&Rows, &Rows), to: &mut Rows) {
    for i in 0..M {
        to.0[i] = a.0[i].mul_add(b.0[i], c.0[i] * d.0[i]);
    }
}
