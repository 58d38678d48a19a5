//! Programs within a program: the equation of a root, the body of sums over an inner table.
//!
//! **Roots.** All elements of a block are solved side by side. Each keeps a bracket at whose ends the equation has
//! opposite signs and takes Newton's step where it falls inside and is at most half as long as the one before, else the
//! middle of the bracket: the arithmetic one where its ends are of one size, else half way through the numbers between
//! them, which halves their exponents. An element that is done is not touched again, so its bits do not depend on
//! those beside it. Without a change of sign the root is NaN.
//!
//! **Sums**, and the largest. The inner points of all elements of a block are lined up, eight to a chunk, each chunk of one element, and
//! the body's program runs over sixteen chunks at a time, whatever the lengths of the ranges. The points of an element
//! are added in eight chains and these in a fixed tree, so neither its company nor the place of its chunks shows in
//! the bits. All sums over one range share the pass.

use std::sync::Arc;

use super::graph::{Fold, maximum};
use super::run::{Inputs, Registers, run};
use super::tape::{Block, Src, Tape};
use crate::simd::{Kernel, Level, level};

/// Inner points that a pass handles at once.
const WIDTH: usize = 128;
/// Inner points of one chunk.
const CHUNK: usize = 8;
/// Steps of one root: Newton's and halvings until the first number, halvings alone from there on.
const NEWTON: usize = 60;
const STEPS: usize = 220;

/// A program within a program.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Root(Equation),
    Over(Pass),
}

/// `body` and its slope as a program: inputs are the unknown, what is captured, then constants.
#[derive(Debug, Clone)]
pub(crate) struct Equation {
    pub(crate) tape: Tape,
    pub(crate) captured: Vec<Src>,
    pub(crate) constants: Vec<f64>,
    pub(crate) low: Src,
    pub(crate) high: Src,
    pub(crate) to: u32,
}

/// The bodies of sums as a program: inputs are columns of the table, what is captured, then constants.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) fold: Fold,
    pub(crate) scope: u32,
    pub(crate) tape: Tape,
    pub(crate) columns: Vec<Arc<[f64]>>,
    /// Points of the table.
    pub(crate) len: usize,
    pub(crate) captured: Vec<Src>,
    pub(crate) constants: Vec<f64>,
    pub(crate) first: Src,
    pub(crate) last: Src,
    /// One register for each output of the tape.
    pub(crate) to: Vec<u32>,
}

impl Part {
    pub(crate) fn constants(&self) -> &[f64] {
        match self {
            Self::Root(part) => &part.constants,
            Self::Over(part) => &part.constants,
        }
    }

    /// The same with its operands elsewhere.
    pub(crate) fn map(&self, f: impl Fn(Src) -> Src) -> Self {
        let mut part = self.clone();
        let (captured, ends) = match &mut part {
            Self::Root(Equation { captured, low, high, .. }) => (captured, [low, high]),
            Self::Over(Pass { captured, first, last, .. }) => (captured, [first, last]),
        };
        for src in captured.iter_mut().chain(ends) {
            *src = f(*src);
        }
        part
    }
}

/// A part with the room it works in.
#[derive(Debug)]
pub(crate) struct Work<const N: usize> {
    level: Level,
    kind: Kind<N>,
}

#[derive(Debug)]
enum Kind<const N: usize> {
    Root { part: Equation, inputs: Vec<Block<N>>, registers: Registers<N>, search: Box<Search<N>> },
    Sums { part: Pass, inputs: Vec<Block<WIDTH>>, registers: Registers<WIDTH>, totals: Vec<[f64; CHUNK]> },
}

/// Where the search for the roots of a block stands.
#[derive(Debug)]
struct Search<const N: usize> {
    low: [f64; N],
    high: [f64; N],
    /// The equation is negative at the lower end.
    rising: [bool; N],
    /// Length of the last step.
    step: [f64; N],
    done: [bool; N],
}

impl<const N: usize> Work<N> {
    pub(crate) fn new(part: &Part) -> Self {
        // A level that cannot be used is refused before anything runs.
        let level = level::active().unwrap_or(Level::Baseline);
        let kind = match part {
            Part::Root(part) => {
                let mut inputs = vec![Block::ZERO; 1 + part.captured.len()];
                inputs.extend(part.constants.iter().map(|&c| Block([c; N])));
                let registers = Registers::of(&part.tape);
                let search =
                    Search { low: [0.0; N], high: [0.0; N], rising: [false; N], step: [0.0; N], done: [false; N] };
                Kind::Root { part: part.clone(), inputs, registers, search: Box::new(search) }
            }
            Part::Over(part) => {
                let mut inputs = vec![Block::ZERO; part.columns.len() + part.captured.len()];
                inputs.extend(part.constants.iter().map(|&c| Block([c; WIDTH])));
                let registers = Registers::of(&part.tape);
                let totals = vec![[0.0; CHUNK]; part.to.len() * N];
                Kind::Sums { part: part.clone(), inputs, registers, totals }
            }
        };
        Self { level, kind }
    }
}

/// Runs a part. Compiled once per instruction set, and not into the caller, which it may contain.
struct Call<'a, 'b, const N: usize> {
    kind: &'a mut Kind<N>,
    outer: &'a Inputs<'b, N>,
    registers: &'a mut Registers<N>,
}

impl<const N: usize> Kernel for Call<'_, '_, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.kind {
            Kind::Root { part, inputs, registers, search } => {
                solve(part, inputs, registers, search, self.outer, self.registers);
            }
            Kind::Sums { part, inputs, registers, totals } => {
                sum(part, inputs, registers, totals, self.outer, self.registers);
            }
        }
    }
}

pub(crate) fn run_part<const N: usize>(work: &mut Work<N>, outer: &Inputs<'_, N>, registers: &mut Registers<N>) {
    let Work { level, kind } = work;
    level.run(Call { kind, outer, registers });
}

// Roots ---------------------------------------------------------------------------------------------------------

/// A double as an integer of the same order.
fn ordinal(x: f64) -> i64 {
    let bits = x.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

fn from_ordinal(n: i64) -> f64 {
    f64::from_bits((n ^ ((n >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}

/// A number between two others.
fn middle(a: f64, b: f64) -> f64 {
    let (small, large) = (a.abs().min(b.abs()), a.abs().max(b.abs()));
    if (a < 0.0) == (b < 0.0) && large <= 4.0 * small {
        return a + (b - a) * 0.5;
    }
    if a < 0.0 && b > 0.0 {
        return 0.0;
    }
    from_ordinal(i64::midpoint(ordinal(a), ordinal(b)))
}

#[inline(always)]
fn solve<const N: usize>(
    part: &Equation,
    inputs: &mut [Block<N>],
    registers: &mut Registers<N>,
    search: &mut Search<N>,
    outer: &Inputs<'_, N>,
    around: &mut Registers<N>,
) {
    for (block, &src) in inputs[1..].iter_mut().zip(&part.captured) {
        block.0.copy_from_slice(&around.get(outer, src).0);
    }
    let Search { low, high, rising, step, done } = search;
    low.copy_from_slice(&around.get(outer, part.low).0);
    high.copy_from_slice(&around.get(outer, part.high).0);
    let mut at = around.take(part.to);
    // The ends: a root there, or a change of sign between them.
    evaluate(part, inputs, registers, low);
    let first = *registers.get(&view(inputs), part.tape.outputs[0]);
    evaluate(part, inputs, registers, high);
    {
        let view = view(inputs);
        let second = registers.get(&view, part.tape.outputs[0]);
        for i in 0..N {
            let (a, b, f, g) = (low[i], high[i], first.0[i], second.0[i]);
            rising[i] = f < 0.0;
            let between = a < b && ((f < 0.0 && g > 0.0) || (f > 0.0 && g < 0.0));
            let end = if f == 0.0 { a } else { b };
            done[i] = !between;
            at.0[i] = if between {
                start(a, b)
            } else if a <= b && (f == 0.0 || g == 0.0) {
                end
            } else {
                f64::NAN
            };
            step[i] = b - a;
        }
    }
    for round in 0..STEPS {
        if done.iter().all(|&done| done) {
            break;
        }
        evaluate(part, inputs, registers, &at.0);
        let view = view(inputs);
        let value = registers.get(&view, part.tape.outputs[0]);
        let slope = registers.get(&view, part.tape.outputs[1]);
        for i in 0..N {
            if done[i] {
                continue;
            }
            let (x, f) = (at.0[i], value.0[i]);
            if f == 0.0 || f.is_nan() {
                at.0[i] = if f == 0.0 { x } else { f64::NAN };
                done[i] = true;
                continue;
            }
            if (f < 0.0) == rising[i] {
                low[i] = x;
            } else {
                high[i] = x;
            }
            let (a, b) = (low[i], high[i]);
            let newton = x - f / slope.0[i];
            let size = (newton - x).abs();
            let inside = a <= newton && newton <= b;
            let next = if inside && size <= 0.5 * step[i] && round < NEWTON { newton } else { middle(a, b) };
            // Newton's step is lost in rounding, or no number is left between the ends.
            if next == x || (next == newton && size <= f64::EPSILON * x.abs()) || next == a || next == b {
                done[i] = true;
            }
            step[i] = (next - x).abs();
            at.0[i] = next;
        }
    }
    around.put(part.to, at);
}

/// Where a search begins.
fn start(a: f64, b: f64) -> f64 {
    // Ends of which one is zero or of another sign tell no size: their mean does, if they are moderate themselves.
    if a <= 0.0 && b >= 0.0 && b - a <= 1e3 { a + (b - a) * 0.5 } else { middle(a, b) }
}

#[inline(always)]
fn view<const N: usize>(inputs: &[Block<N>]) -> Inputs<'_, N> {
    Inputs { moving: inputs, fixed: &[] }
}

#[inline(always)]
fn evaluate<const N: usize>(part: &Equation, inputs: &mut [Block<N>], registers: &mut Registers<N>, at: &[f64; N]) {
    inputs[0].0.copy_from_slice(at);
    run(&part.tape.instrs, &view(inputs), registers);
}

// Sums ----------------------------------------------------------------------------------------------------------

/// Up to [`CHUNK`] points of one element.
#[derive(Clone, Copy)]
struct Chunk {
    element: usize,
    start: usize,
    count: usize,
}

#[inline(always)]
fn sum<const N: usize>(
    part: &Pass,
    inputs: &mut [Block<WIDTH>],
    registers: &mut Registers<WIDTH>,
    totals: &mut [[f64; CHUNK]],
    outer: &Inputs<'_, N>,
    around: &mut Registers<N>,
) {
    totals.fill([part.fold.nothing(); CHUNK]);
    let mut chunks = [Chunk { element: 0, start: 0, count: 0 }; WIDTH / CHUNK];
    let mut count = 0;
    for element in 0..N {
        // A range that is none, as NaN or one that runs backwards, is empty; data are checked before they come here.
        let from = around.get(outer, part.first).0[element] as usize;
        let to = (around.get(outer, part.last).0[element] as usize).min(part.len);
        let mut start = from;
        while start < to {
            chunks[count] = Chunk { element, start, count: CHUNK.min(to - start) };
            count += 1;
            start += CHUNK;
            if count == chunks.len() {
                pass(part, inputs, registers, totals, outer, around, &chunks);
                count = 0;
            }
        }
    }
    if count > 0 {
        pass(part, inputs, registers, totals, outer, around, &chunks[..count]);
    }
    for (k, &to) in part.to.iter().enumerate() {
        let mut block = around.take(to);
        for i in 0..N {
            let [a, b, c, d, e, f, g, h] = totals[k * N + i];
            block.0[i] = match part.fold {
                Fold::Sum => ((a + b) + (c + d)) + ((e + f) + (g + h)),
                Fold::Most => totals[k * N + i].into_iter().fold(part.fold.nothing(), maximum),
            };
        }
        around.put(to, block);
    }
}

impl Fold {
    /// Of no points.
    fn nothing(self) -> f64 {
        match self {
            Self::Sum => 0.0,
            Self::Most => f64::NEG_INFINITY,
        }
    }
}

/// Runs the bodies over the chunks and adds them to the sums of their elements.
#[inline(always)]
fn pass<const N: usize>(
    part: &Pass,
    inputs: &mut [Block<WIDTH>],
    registers: &mut Registers<WIDTH>,
    totals: &mut [[f64; CHUNK]],
    outer: &Inputs<'_, N>,
    around: &Registers<N>,
    chunks: &[Chunk],
) {
    let (columns, rest) = inputs.split_at_mut(part.columns.len());
    for (block, column) in columns.iter_mut().zip(&part.columns) {
        for (slots, chunk) in block.0.chunks_exact_mut(CHUNK).zip(chunks) {
            if let Some(points) = column.get(chunk.start..chunk.start + CHUNK).filter(|_| chunk.count == CHUNK) {
                slots.copy_from_slice(points);
            } else {
                // The last point again, so that every slot holds one that belongs to the element.
                for k in 0..CHUNK {
                    slots[k] = column[chunk.start + k.min(chunk.count - 1)];
                }
            }
        }
    }
    for (block, &src) in rest.iter_mut().zip(&part.captured) {
        let values = around.get(outer, src);
        for (slots, chunk) in block.0.chunks_exact_mut(CHUNK).zip(chunks) {
            let value = values.0[chunk.element];
            // Most are the same as in the pass before.
            if slots[0].to_bits() != value.to_bits() {
                slots.fill(value);
            }
        }
    }
    let view = Inputs { moving: inputs, fixed: &[] };
    run(&part.tape.instrs, &view, registers);
    for (k, &output) in part.tape.outputs.iter().enumerate() {
        let block = registers.get(&view, output);
        for (slots, chunk) in block.0.chunks_exact(CHUNK).zip(chunks) {
            let total = &mut totals[k * N + chunk.element];
            match part.fold {
                Fold::Sum if chunk.count == CHUNK => {
                    for j in 0..CHUNK {
                        total[j] += slots[j];
                    }
                }
                Fold::Sum => {
                    for j in 0..chunk.count {
                        total[j] += slots[j];
                    }
                }
                // What stands in the slots beyond the points is one of them again.
                Fold::Most => {
                    for j in 0..CHUNK {
                        total[j] = maximum(total[j], slots[j]);
                    }
                }
            }
        }
    }
}
