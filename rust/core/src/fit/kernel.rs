//! The inner loop: one pass over the points of eight problems gives value, gradient and curvature.
//!
//! A block holds 16 points of 8 lanes; the last is taken in pieces of 4 where it is not half full. For each block the point program runs, then the [`Head`] turns predictions
//! into coefficients, then the [reduction](super::reduction) adds coefficient × node × node to its sums. Everything here is
//! inlined into one function that is compiled once per instruction set.

use super::chain::Weights;
use super::head::{Head, Sums, add_lanes};
use super::layout::{Code, Family, Sum};
use super::pieces::Pinned;
use super::program::Program;
use super::reduction::{Coefficients, put, reduce, row, take};
use crate::expr::{Block, Inputs, Registers, Src, run, run_first};
use crate::simd::Level;

/// Lanes: problems that are solved side by side.
pub(crate) const LANES: usize = 8;
/// Numbers per block: 16 points of 8 lanes.
pub(crate) const POINTS: usize = 128;
/// Numbers in the pieces of a last block that is not full.
const SHORT: usize = POINTS / 4;
/// Points per block.
pub(crate) const DEPTH: usize = POINTS / LANES;

/// One number per lane.
pub(crate) type Lanes = Block<LANES>;

/// Value, gradient and curvature of eight problems, in the solver's coordinates.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) value: Lanes,
    /// `Σ w |r|`, the natural scale of the residuals.
    pub(crate) absolute: Lanes,
    pub(crate) gradient: Vec<Lanes>,
    /// Packed lower triangle.
    pub(crate) hessian: Vec<Lanes>,
    /// Diagonal of the majorant for the parameters that have a unit; zero for the others.
    pub(crate) diagonal: Vec<Lanes>,
}

impl Model {
    pub(crate) fn new(free: usize) -> Self {
        Self {
            value: Block::ZERO,
            absolute: Block::ZERO,
            gradient: vec![Block::ZERO; free],
            hessian: vec![Block::ZERO; free * (free + 1) / 2],
            diagonal: vec![Block::ZERO; free],
        }
    }

    /// Takes one lane from another model.
    #[inline(always)]
    pub(crate) fn copy_lane(&mut self, from: &Self, lane: usize) {
        self.value.0[lane] = from.value.0[lane];
        self.absolute.0[lane] = from.absolute.0[lane];
        for (to, from) in [
            (&mut self.gradient, &from.gradient),
            (&mut self.diagonal, &from.diagonal),
            (&mut self.hessian, &from.hessian),
        ] {
            for (to, from) in to.iter_mut().zip(from) {
                to.0[lane] = from.0[lane];
            }
        }
    }
}

/// One number per lane, repeated for every point of a block.
#[derive(Debug)]
struct Spread {
    lanes: [f64; LANES],
    block: Box<Block<POINTS>>,
}

impl Spread {
    fn zero() -> Self {
        Self { lanes: [0.0; LANES], block: Box::new(Block::ZERO) }
    }

    /// Puts other numbers in; settings are mostly those of the evaluation before.
    #[inline(always)]
    fn set(&mut self, lanes: [f64; LANES]) {
        if self.lanes.map(f64::to_bits) != lanes.map(f64::to_bits) {
            self.lanes = lanes;
            spread(&mut self.block, &lanes);
        }
    }
}

/// What the evaluation of eight problems needs beside the program.
#[derive(Debug)]
pub(crate) struct Workspace {
    lane_inputs: Vec<Lanes>,
    lane_registers: Registers<LANES>,
    lane_out: Vec<Lanes>,
    fixed: Vec<Block<POINTS>>,
    registers: Registers<POINTS>,
    head: Head,
    weights: Weights,
    /// Tiles of the reduction are large.
    wide: bool,
    /// Some parameter has a unit, and is damped by the majorant's diagonal.
    units: bool,
    delta: Spread,
    reach: Spread,
    convex: Spread,
    sums: Sums,
    accumulators: Vec<Lanes>,
    /// A piece of a block.
    tail: Vec<Block<POINTS>>,
    /// Per block: on which piece of the loss each row was when that was noted.
    pieces: Vec<Block<POINTS>>,
}

impl Workspace {
    pub(crate) fn new(program: &Program, level: Level) -> Self {
        let code = &program.code;
        let mut lane_inputs = vec![Block::ZERO; code.lane_parameters.len()];
        lane_inputs.extend(code.lane_constants.iter().map(|&c| Block([c; LANES])));
        let mut fixed = vec![Block::ZERO; code.spread];
        fixed.extend(code.point_constants.iter().map(|&c| Block([c; POINTS])));
        Self {
            lane_inputs,
            lane_registers: Registers::of(&code.lane),
            lane_out: vec![Block::ZERO; code.lane.outputs.len()],
            fixed,
            registers: Registers::of(&code.point),
            head: Head::new(),
            weights: Weights::new(),
            wide: level == Level::Avx512,
            units: code.families.iter().flat_map(|family| &family.diagonal).any(Option::is_some),
            delta: Spread::zero(),
            reach: Spread::zero(),
            convex: Spread::zero(),
            sums: Sums::ZERO,
            accumulators: vec![Block::ZERO; code.accumulators],
            tail: vec![Block::ZERO; program.columns.len() + 2],
            pieces: Vec::new(),
        }
    }
}

impl Workspace {
    /// Adds the sums at hand to others.
    pub(crate) fn add_to(&self, sums: &mut Sums, accumulators: &mut [Lanes]) {
        sums.add(&self.sums);
        for (to, from) in accumulators.iter_mut().zip(&self.accumulators) {
            add_lanes(to, from);
        }
    }

    /// Adds others to the sums at hand.
    pub(crate) fn add(&mut self, sums: &Sums, accumulators: &[Lanes]) {
        self.sums.add(sums);
        for (to, from) in self.accumulators.iter_mut().zip(accumulators) {
            add_lanes(to, from);
        }
    }

    /// Sets the sums to zero.
    pub(crate) fn clear(&mut self) {
        self.sums = Sums::ZERO;
        self.accumulators.fill(Block::ZERO);
    }

    /// Gives every lane the sum over all lanes, added as a tree.
    pub(crate) fn join_lanes(&mut self) {
        for sum in self.sums.all_mut().into_iter().chain(&mut self.accumulators) {
            let [a, b, c, d, e, f, g, h] = sum.0;
            *sum = Block([((a + b) + (c + d)) + ((e + f) + (g + h)); LANES]);
        }
    }
}

/// Per-lane settings of one evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) delta: [f64; LANES],
    /// Residuals up to here count as inside `delta`; larger than it for the first evaluation of a stage.
    pub(crate) reach: [f64; LANES],
    /// Lanes that want the majorant in place of the curvature.
    pub(crate) convex: [bool; LANES],
    /// Lanes that note on which piece of the loss each row is, and lanes that keep every row on the piece noted.
    pub(crate) noting: [bool; LANES],
    pub(crate) frozen: [bool; LANES],
}

impl Settings {
    /// The first lane's settings in every lane.
    pub(crate) fn first_lane(&self) -> Self {
        Self {
            delta: [self.delta[0]; LANES],
            reach: [self.reach[0]; LANES],
            convex: [self.convex[0]; LANES],
            noting: [false; LANES],
            frozen: [false; LANES],
        }
    }
}

crate::dispatch! {
    /// Evaluates `program` at `parameters` (internal, all of them) over `blocks`, of which so many points per
    /// lane count.
    ///
    /// `blocks` holds, per block of points, the program's columns, then the targets, then the weights.
    pub(crate) fn evaluate<'a>(
        program: &'a Program,
        work: &'a mut Workspace,
        parameters: &'a [Lanes],
        blocks: (&'a [Block<POINTS>], usize),
        settings: &'a Settings,
        model: &'a mut Model,
    ) = evaluate_inline;
}

crate::dispatch! {
    /// The lane program alone: what the points need from `parameters`.
    pub(crate) fn prepare_lanes<'a>(program: &'a Program, work: &'a mut Workspace, parameters: &'a [Lanes]) = prepare;
}

crate::dispatch! {
    /// The sums over the first `rows` points per lane of `blocks` alone, into the workspace.
    pub(crate) fn accumulate_blocks<'a>(
        program: &'a Program,
        work: &'a mut Workspace,
        blocks: &'a [Block<POINTS>],
        rows: usize,
        settings: &'a Settings,
    ) = accumulate;
}

crate::dispatch! {
    /// The model from the sums in the workspace.
    pub(crate) fn assemble_model<'a>(
        program: &'a Program,
        work: &'a Workspace,
        settings: &'a Settings,
        model: &'a mut Model,
    ) = assemble;
}

#[inline(always)]
fn evaluate_inline(
    program: &Program,
    work: &mut Workspace,
    parameters: &[Lanes],
    (blocks, rows): (&[Block<POINTS>], usize),
    settings: &Settings,
    model: &mut Model,
) {
    prepare(program, work, parameters);
    accumulate(program, work, blocks, rows, settings);
    assemble(program, work, settings, model);
}

/// Runs the lane program and spreads what the points need.
#[inline(always)]
fn prepare(program: &Program, work: &mut Workspace, parameters: &[Lanes]) {
    for (input, &j) in work.lane_inputs.iter_mut().zip(&program.code.lane_parameters) {
        *input = parameters[j];
    }
    let inputs = Inputs { moving: &work.lane_inputs, fixed: &[] };
    run(&program.code.lane.instrs, &inputs, &mut work.lane_registers);
    for (out, &src) in work.lane_out.iter_mut().zip(&program.code.lane.outputs) {
        *out = *work.lane_registers.get(&inputs, src);
    }
    for (block, value) in work.fixed[..program.code.spread].iter_mut().zip(&work.lane_out) {
        spread(block, &value.0);
    }
}

/// Repeats one number per lane over the points of a block.
#[inline(always)]
fn spread(block: &mut Block<POINTS>, value: &[f64; LANES]) {
    for k in 0..DEPTH {
        for lane in 0..LANES {
            block.0[LANES * k + lane] = value[lane];
        }
    }
}

/// Adds `rows` points of the blocks to the accumulators, which it clears first.
#[inline(always)]
fn accumulate(program: &Program, work: &mut Workspace, blocks: &[Block<POINTS>], rows: usize, settings: &Settings) {
    work.sums = Sums::ZERO;
    work.accumulators.fill(Block::ZERO);
    work.reach.set(settings.reach);
    work.delta.set(settings.delta);
    work.convex.set(settings.convex.map(|convex| f64::from_bits(if convex { u64::MAX } else { 0 })));
    let width = program.columns.len() + 2;
    // The last block whole, if more than half of it is needed.
    let whole = (rows + DEPTH / 2 - 1) / DEPTH;
    let (body, rest) = blocks.split_at(whole * width);
    let flags = (settings.noting, settings.frozen);
    let pinned = flags != ([false; LANES], [false; LANES]);
    let mut pieces = std::mem::take(&mut work.pieces);
    if pinned && pieces.len() < blocks.len() / width {
        pieces.resize(blocks.len() / width, Block::ZERO);
    }
    let mut at = 0;
    // The pieces of the next so many numbers, if they matter.
    macro_rules! next {
        ($numbers:expr) => {{
            let from = at;
            at += $numbers;
            if pinned {
                Some(Pinned { flags, pieces: &mut pieces[from / POINTS].0[from % POINTS..from % POINTS + $numbers] })
            } else {
                None
            }
        }};
    }
    if work.units || settings.convex.contains(&true) {
        for block in body.chunks_exact(width) {
            add_block::<POINTS, true>(program, work, block, next!(POINTS));
        }
    } else {
        for block in body.chunks_exact(width) {
            add_block::<POINTS, false>(program, work, block, next!(POINTS));
        }
    }
    let mut tail = std::mem::take(&mut work.tail);
    for from in (0..rows.saturating_sub(whole * DEPTH)).step_by(SHORT / LANES) {
        for (to, block) in tail.iter_mut().zip(rest) {
            // By eights: one copy of all would be a call.
            for at in (0..SHORT).step_by(LANES) {
                put(&mut to.0, at, &take::<LANES>(&block.0, from * LANES + at));
            }
        }
        add_block::<SHORT, true>(program, work, &tail, next!(SHORT));
    }
    work.tail = tail;
    work.pieces = pieces;
}

/// Adds the first `M` numbers of one block to the accumulators.
#[inline(always)]
fn add_block<const M: usize, const MAJORANT: bool>(
    program: &Program,
    work: &mut Workspace,
    block: &[Block<POINTS>],
    pinned: Option<Pinned<'_>>,
) {
    let Workspace { fixed, registers, head, weights, sums, accumulators, wide, units, delta, reach, convex, .. } = work;
    let code = &program.code;
    let columns = program.columns.len();
    let inputs = Inputs { moving: &block[..columns], fixed };
    run_first::<POINTS, M>(&code.point.instrs, &inputs, registers);
    let prediction = registers.get(&inputs, code.prediction);
    head.run::<M, MAJORANT>(
        program.objective,
        prediction,
        &block[columns],
        &block[columns + 1],
        (&delta.block, &reach.block),
        &convex.block,
        *units,
        pinned,
        sums,
    );
    let outer = Coefficients { c1: &head.c1, c2: &head.c2, majorant: &head.majorant };
    for (k, family) in code.families.iter().enumerate() {
        let coefficients = match &code.chain {
            Some(chain) if k > 0 => {
                let slopes = (registers.get(&inputs, chain.slope), registers.get(&inputs, chain.bend));
                weights.run::<M, MAJORANT>(slopes, outer, &convex.block)
            }
            _ => outer,
        };
        let sums = &mut accumulators[family.from..];
        reduce::<M, MAJORANT>(&family.reduction, *wide, (registers, &inputs), coefficients, sums);
    }
    if let (Some(chain), Some(family)) = (&code.chain, code.families.get(1)) {
        let nodes = family.reduction.outer_nodes();
        for cross in &chain.crosses {
            let node = |src: Option<Src>| src.map(|src| registers.get(&inputs, src));
            let coefficient = weights.cross::<M>(node(cross.node), node(cross.mixed));
            let sums = &mut accumulators[cross.from..cross.from + nodes.len()];
            row::<M>(coefficient, (registers, &inputs), nodes, sums);
        }
    }
}

/// Puts the sums together: each is taken times the factors that do not depend on the point.
#[inline(always)]
fn assemble(program: &Program, work: &Workspace, settings: &Settings, model: &mut Model) {
    let Code { families, chain, .. } = &program.code;
    model.value = work.sums.merit;
    model.absolute = work.sums.absolute;
    let straight = settings.convex.map(|convex| if convex { 0 } else { u64::MAX });
    for (k, family) in families.iter().enumerate() {
        if k == 0 {
            put_family::<false>(family, work, straight, model);
        } else {
            put_family::<true>(family, work, straight, model);
        }
    }
    let (Some(chain), Some(family)) = (chain, families.get(1)) else { return };
    for cross in &chain.crosses {
        let beside = factor(work, cross.factor);
        for (j, entry) in family.gradient.iter().enumerate() {
            let Some(node) = entry.sum else { continue };
            let (through, sum) = (factor(work, entry.factor), &work.accumulators[cross.from + node]);
            let (high, low) = (j.max(cross.parameter), j.min(cross.parameter));
            let entry = &mut model.hessian[high * (high + 1) / 2 + low];
            // A parameter that acts both through the node and beside it meets itself twice.
            let times = if high == low { 2.0 } else { 1.0 };
            for lane in 0..LANES {
                entry.0[lane] += times * (beside.0[lane] * through.0[lane] * sum.0[lane]);
            }
        }
    }
}

/// What a sum is taken times. Where it lies, since a copy of each would be felt in short fits.
#[inline(always)]
fn factor(work: &Workspace, place: Option<usize>) -> &Lanes {
    const ONE: &Lanes = &Block([1.0; LANES]);
    place.map_or(ONE, |f| &work.lane_out[f])
}

/// Puts the derivatives that the sums of a family make in place of what was there, or adds them to it. Second
/// derivatives count in the lanes whose bits `straight` has set.
#[inline(always)]
fn put_family<const ADD: bool>(family: &Family, work: &Workspace, straight: [u64; LANES], model: &mut Model) {
    let put = |to: &mut Lanes, of: [f64; LANES]| {
        for lane in 0..LANES {
            to.0[lane] = if ADD { to.0[lane] + of[lane] } else { of[lane] };
        }
    };
    let sums = &work.sums;
    let accumulators = &work.accumulators[family.from..];
    for (j, left) in family.gradient.iter().enumerate() {
        let (f, s) = (factor(work, left.factor), pick(accumulators, left.sum, &sums.c2));
        put(&mut model.gradient[j], if left.zero { [0.0; LANES] } else { product(f, s) });
        let diagonal = family.diagonal[j].map(|sum| {
            let s = pick(accumulators, sum, &sums.majorant);
            product(&Block(product(f, f)), s)
        });
        put(&mut model.diagonal[j], diagonal.unwrap_or([0.0; LANES]));
        for (k, right) in family.gradient[..=j].iter().enumerate() {
            let at = j * (j + 1) / 2 + k;
            let mut entry = [0.0; LANES];
            if !left.zero && !right.zero {
                let outer = pick(accumulators, family.outer[at], &sums.c1);
                entry = product(&Block(product(f, factor(work, right.factor))), outer);
            }
            let bend = &family.second[at];
            if !bend.zero {
                let second = product(factor(work, bend.factor), pick(accumulators, bend.sum, &sums.c2));
                for lane in 0..LANES {
                    entry[lane] += f64::from_bits(second[lane].to_bits() & straight[lane]);
                }
            }
            put(&mut model.hessian[at], entry);
        }
    }
}

/// A sum by its index, or the plain sum of its coefficient.
#[inline(always)]
fn pick<'a>(accumulators: &'a [Lanes], sum: Sum, plain: &'a Lanes) -> &'a Lanes {
    sum.map_or(plain, |s| &accumulators[s])
}

#[inline(always)]
fn product(a: &Lanes, b: &Lanes) -> [f64; LANES] {
    let mut product = [0.0; LANES];
    for lane in 0..LANES {
        product[lane] = a.0[lane] * b.0[lane];
    }
    product
}

/// The instruction set in use, once per batch.
pub(crate) fn level() -> crate::Result<Level> {
    crate::expr::level()
}
