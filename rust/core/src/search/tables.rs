//! Tables of the stages: those computed before the search, and those of the outer cell at hand.

use super::plan::{Feed, Map, Plan, Stage};
use crate::error::{Error, Result};
use crate::expr::{Block, Inputs, Instr, Registers, Tape, WIDE, run, run_wide};
use crate::job::Control;
use crate::simd::Level;

/// Tables of so few numbers are computed in blocks of so many.
const NARROW: usize = 8;

crate::dispatch! {
    fn run_narrow<'a, 'b>(
        instrs: &'a [Instr], inputs: &'a Inputs<'b, NARROW>, registers: &'a mut Registers<NARROW>
    ) = run;
}

/// Tables that hold for the whole search; empty where a slot has none.
pub(crate) fn globals(plan: &Plan, level: Level, control: &Control<'_>) -> Result<Vec<Vec<f64>>> {
    let mut tables: Vec<Vec<f64>> = vec![Vec::new(); plan.slots.len()];
    for (slot, &column) in plan.columns.iter().enumerate() {
        tables[slot].clone_from(&plan.layout.columns[column].values);
    }
    for stage in plan.stages.iter().filter(|stage| stage.global) {
        if control.is_cancelled() && !control.is_partial() {
            return Err(Error::Interrupted);
        }
        let size = plan.layout.grid(stage.set);
        let mut out = vec![vec![0.0; size]; stage.tape.outputs.len()];
        let sources = stage.feeds.iter().map(|feed| Source::new(feed, |slot| &tables[slot]));
        Work::new(&stage.tape, size).evaluate(level, &stage.tape, sources, &mut out);
        for (k, values) in out.into_iter().enumerate() {
            tables[stage.first + k] = values;
        }
    }
    Ok(tables)
}

/// What an input of a tape reads.
enum Source<'a> {
    Number(f64),
    Cells(&'a [f64]),
    Index(&'a [f64], &'a [u32]),
}

impl<'a> Source<'a> {
    fn new(feed: &'a Feed, table: impl Fn(usize) -> &'a [f64]) -> Self {
        match feed {
            Feed::Number(value) => Self::Number(*value),
            Feed::Slot(slot, map) => match map {
                Map::Scalar => Self::Number(table(*slot)[0]),
                Map::Same => Self::Cells(table(*slot)),
                Map::Index(map) => Self::Index(table(*slot), map),
            },
        }
    }
}

/// What a tape works in, kept from one outer cell to the next.
enum Work {
    Narrow(Desk<NARROW>),
    Wide(Desk<WIDE>),
}

struct Desk<const N: usize> {
    inputs: Vec<Block<N>>,
    registers: Registers<N>,
}

impl<const N: usize> Desk<N> {
    fn new(tape: &Tape) -> Self {
        Self { inputs: vec![Block::ZERO; tape.inputs.len()], registers: Registers::of(tape) }
    }

    /// Fills the outputs of a tape over a grid, block by block.
    fn evaluate<'s>(
        &mut self,
        tape: &Tape,
        sources: impl Iterator<Item = Source<'s>> + Clone,
        out: &mut [Vec<f64>],
        run: impl Fn(&[Instr], &Inputs<'_, N>, &mut Registers<N>),
    ) {
        let Self { inputs, registers } = self;
        let size = out.first().map_or(0, Vec::len);
        for (input, source) in inputs.iter_mut().zip(sources.clone()) {
            if let Source::Number(value) = source {
                input.0 = [value; N];
            }
        }
        for start in (0..size).step_by(N) {
            let count = N.min(size - start);
            for (input, source) in inputs.iter_mut().zip(sources.clone()) {
                match source {
                    Source::Number(_) => {}
                    Source::Cells(values) => input.0[..count].copy_from_slice(&values[start..start + count]),
                    Source::Index(values, map) => {
                        for (to, &from) in input.0.iter_mut().zip(&map[start..start + count]) {
                            *to = values[from as usize];
                        }
                    }
                }
            }
            let view = Inputs { moving: inputs, fixed: &[] };
            run(&tape.instrs, &view, registers);
            for (values, &src) in out.iter_mut().zip(&tape.outputs) {
                values[start..start + count].copy_from_slice(&registers.get(&view, src).0[..count]);
            }
        }
    }
}

impl Work {
    fn new(tape: &Tape, size: usize) -> Self {
        if size <= NARROW { Self::Narrow(Desk::new(tape)) } else { Self::Wide(Desk::new(tape)) }
    }

    fn evaluate<'s>(
        &mut self,
        level: Level,
        tape: &Tape,
        sources: impl Iterator<Item = Source<'s>> + Clone,
        out: &mut [Vec<f64>],
    ) {
        match self {
            Self::Narrow(desk) => desk.evaluate(tape, sources, out, |a, b, c| run_narrow(level, a, b, c)),
            Self::Wide(desk) => desk.evaluate(tape, sources, out, |a, b, c| run_wide(level, a, b, c)),
        }
    }
}

/// The tables of one thread.
pub(crate) struct Tables<'a> {
    plan: &'a Plan,
    global: &'a [Vec<f64>],
    level: Level,
    local: Vec<Vec<f64>>,
    works: Vec<Work>,
    /// Where the part of a global table that belongs to the outer cell begins, and its length.
    stretch: Vec<(usize, usize)>,
    /// Which part of the outer loops each local stage holds.
    keys: Vec<Option<usize>>,
    coordinates: Vec<usize>,
    outer: Option<usize>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(plan: &'a Plan, global: &'a [Vec<f64>], level: Level) -> Self {
        let layout = &plan.layout;
        let inner = layout.inner_set();
        let mut local = vec![Vec::new(); plan.slots.len()];
        for stage in plan.stages.iter().filter(|stage| !stage.global) {
            for k in 0..stage.tape.outputs.len() {
                local[stage.first + k] = vec![0.0; layout.grid(stage.set & inner)];
            }
        }
        Self {
            plan,
            global,
            level,
            local,
            works: plan.stages.iter().map(|stage| Work::new(&stage.tape, layout.grid(stage.set & inner))).collect(),
            stretch: plan.slots.iter().map(|slot| (0, layout.grid(slot.set & inner))).collect(),
            keys: vec![None; plan.stages.len()],
            coordinates: vec![0; layout.inner],
            outer: None,
        }
    }

    /// The table of a slot for the outer cell at hand.
    #[inline(always)]
    pub(crate) fn get(&self, slot: usize) -> &[f64] {
        if self.plan.slots[slot].global {
            let (start, length) = self.stretch[slot];
            &self.global[slot][start..start + length]
        } else {
            &self.local[slot]
        }
    }

    /// Where the table of a slot begins among the numbers of the whole search.
    pub(crate) fn start(&self, slot: usize) -> usize {
        self.stretch[slot].0
    }

    /// Moves to an outer cell.
    pub(crate) fn move_to(&mut self, outer: usize) {
        if self.outer.replace(outer) == Some(outer) {
            return;
        }
        let layout = &self.plan.layout;
        let mut left = outer;
        for axis in (0..layout.inner).rev() {
            self.coordinates[axis] = left % layout.sizes[axis];
            left /= layout.sizes[axis];
        }
        for (slot, stretch) in self.plan.slots.iter().zip(&mut self.stretch) {
            if slot.global {
                stretch.0 = place(&self.coordinates, &layout.sizes, slot.set) * stretch.1;
            }
        }
        for (k, stage) in self.plan.stages.iter().enumerate().filter(|(_, stage)| !stage.global) {
            let key = place(&self.coordinates, &layout.sizes, stage.set);
            if self.keys[k].replace(key) != Some(key) {
                self.compute(k, stage);
            }
        }
    }

    fn compute(&mut self, k: usize, stage: &Stage) {
        // The slots of a stage come after those it reads.
        let (before, after) = self.local.split_at_mut(stage.first);
        let out = &mut after[..stage.tape.outputs.len()];
        let (plan, global, stretch) = (self.plan, self.global, &self.stretch);
        let before = &*before;
        let table = |slot: usize| -> &[f64] {
            if plan.slots[slot].global {
                let (start, length) = stretch[slot];
                &global[slot][start..start + length]
            } else {
                &before[slot]
            }
        };
        let sources = stage.feeds.iter().map(|feed| Source::new(feed, table));
        self.works[k].evaluate(self.level, &stage.tape, sources, out);
    }
}

/// The place of the outer cell within the outer part of a set.
fn place(coordinates: &[usize], sizes: &[usize], set: u64) -> usize {
    let mut at = 0;
    for (axis, (&c, &size)) in coordinates.iter().zip(sizes).enumerate() {
        if set >> axis & 1 == 1 {
            at = at * size + c;
        }
    }
    at
}
