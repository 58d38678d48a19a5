//! The interpreter of straight-line programs.
//!
//! One instruction handles a whole [`Block`], so the cost of choosing the operation is shared by many elements and every
//! inner loop is a plain loop that the compiler vectorises for the instruction set it is compiled for
//! ([`crate::simd`]). The destination of an instruction is taken out of the register file while it runs, which is how
//! Rust can prove that it aliases no operand; the allocator of [`Tape`] therefore never gives an instruction one of its
//! own operands as destination.

use super::graph::{Binary, Unary};
use super::part::{Work, run_part};
use super::tape::{Block, Instr, Op, Src, Tape};
use crate::simd::math;

/// The registers of one run. Boxes, so that a destination can be taken out by moving a pointer.
#[derive(Debug)]
pub(crate) struct Registers<const N: usize> {
    blocks: Vec<Option<Box<Block<N>>>>,
    /// What the parts of the tape work with; each is taken out while it runs.
    parts: Vec<Option<Box<Work<N>>>>,
}

impl<const N: usize> Registers<N> {
    /// Those that a tape needs.
    pub(crate) fn of(tape: &Tape) -> Self {
        Self {
            blocks: (0..tape.registers).map(|_| Some(Box::new(Block::ZERO))).collect(),
            parts: tape.parts.iter().map(|part| Some(Box::new(Work::new(part)))).collect(),
        }
    }

    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, inputs: &Inputs<'a, N>, src: Src) -> &'a Block<N> {
        match src {
            Src::Input(i) => inputs.get(i),
            Src::Reg(r) => {
                self.blocks[r as usize].as_deref().expect("a register is in place except while it is written")
            }
        }
    }

    #[inline(always)]
    pub(crate) fn take(&mut self, register: u32) -> Box<Block<N>> {
        self.blocks[register as usize].take().expect("a register is written by one instruction at a time")
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, register: u32, block: Box<Block<N>>) {
        self.blocks[register as usize] = Some(block);
    }
}

/// The inputs of a run, in two stretches: what changes from block to block, then what stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a, const N: usize> {
    pub(crate) moving: &'a [Block<N>],
    pub(crate) fixed: &'a [Block<N>],
}

impl<'a, const N: usize> Inputs<'a, N> {
    #[inline(always)]
    fn get(&self, index: u32) -> &'a Block<N> {
        let index = index as usize;
        if index < self.moving.len() { &self.moving[index] } else { &self.fixed[index - self.moving.len()] }
    }
}

/// The first `M` numbers of a block.
#[inline(always)]
fn first<const N: usize, const M: usize>(block: &Block<N>) -> &[f64; M] {
    block.0.first_chunk().expect("a block has more numbers than a part of it")
}

#[inline(always)]
fn first_mut<const N: usize, const M: usize>(block: &mut Block<N>) -> &mut [f64; M] {
    block.0.first_chunk_mut().expect("a block has more numbers than a part of it")
}

/// Runs `instrs` over one block.
#[inline(always)]
pub(crate) fn run<const N: usize>(instrs: &[Instr], inputs: &Inputs<'_, N>, registers: &mut Registers<N>) {
    run_first::<N, N>(instrs, inputs, registers);
}

/// Runs `instrs` over the first `M` numbers of a block. Inlined into the callers that are compiled once per
/// instruction set.
///
/// The loops are written by macros, not closures: a closure is a function of its own, which the compiler may leave
/// outside the copy that has the instruction set. Each operation has its own loop, since an operation chosen inside
/// the loop would keep it from vectorising.
#[inline(always)]
pub(crate) fn run_first<const N: usize, const M: usize>(
    instrs: &[Instr],
    inputs: &Inputs<'_, N>,
    registers: &mut Registers<N>,
) {
    for instr in instrs {
        if let Op::Part(index) = instr.op {
            let mut work = registers.parts[index as usize].take().expect("a part runs once at a time");
            run_part(&mut work, inputs, registers);
            registers.parts[index as usize] = Some(work);
            continue;
        }
        let mut to = registers.take(instr.to);
        macro_rules! each {
            ($($operand:ident),+ => $value:expr) => {{
                $(let $operand = registers.get(inputs, $operand);)+
                for i in 0..M {
                    $(let $operand = $operand.0[i];)+
                    to.0[i] = $value;
                }
            }};
        }
        // What has a form for whole blocks is taken in it.
        macro_rules! whole {
            ($function:ident, $($operand:ident),+) => {{
                $(let $operand = first(registers.get(inputs, $operand));)+
                math::$function($($operand,)+ first_mut::<N, M>(&mut to));
            }};
        }
        macro_rules! unary {
            ($which:expr, $a:ident, $($op:ident),+; $($known:ident as $function:ident),+) => {
                match $which {
                    $(Unary::$op => each!($a => Unary::$op.apply($a)),)+
                    $(Unary::$known => whole!($function, $a),)+
                }
            };
        }
        macro_rules! binary {
            ($which:expr, $a:ident, $b:ident, $($op:ident),+; $($known:ident as $function:ident),+) => {
                match $which {
                    $(Binary::$op => each!($a, $b => Binary::$op.apply($a, $b)),)+
                    $(Binary::$known => whole!($function, $a, $b),)+
                }
            };
        }
        match instr.op {
            Op::Unary(op, a) => {
                unary!(
                    op, a, Neg, Log2, Log10, Log1p, Expm1, Sqrt, Tanh, Expit, Erf, Abs, Square, Floor, Softplus, Hold;
                    Exp as exp_each, Log as ln_each
                );
            }
            Op::Binary(Binary::Mod, a, b) => {
                each!(a, b => math::modulo(a, b));
                let (a, b) = (registers.get(inputs, a), registers.get(inputs, b));
                let mut far = false;
                for i in 0..M {
                    far |= math::is_far(a.0[i], b.0[i]);
                }
                for i in 0..if far { M } else { 0 } {
                    if math::is_far(a.0[i], b.0[i]) {
                        to.0[i] = math::modulo_far(a.0[i], b.0[i]);
                    }
                }
            }
            Op::Binary(op, a, b) => {
                binary!(op, a, b, Add, Sub, Mul, Div, Min, Max, Mod, Lt, Le, Eq; Pow as pow_each);
            }
            Op::MulAdd(a, b, c) => each!(a, b, c => a.mul_add(b, c)),
            Op::MulSub(a, b, c) => each!(a, b, c => a.mul_add(b, -c)),
            Op::NegMulAdd(a, b, c) => each!(a, b, c => (-a).mul_add(b, c)),
            Op::Select(a, b, c) => each!(a, b, c => if a == 0.0 { c } else { b }),
            Op::Part(_) => {}
        }
        registers.put(instr.to, to);
    }
}
