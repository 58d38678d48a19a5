//! Straight-line programs over blocks of numbers; [`run`](super::run) runs them.
//!
//! A [`Tape`] computes a set of graph nodes from inputs that someone else provides. No instruction writes to one of its
//! own operands.

use std::collections::{HashMap, HashSet};

use super::graph::{Binary, Graph, Id, Node, Unary};
use super::part::{Equation, Part, Pass};

/// `N` numbers, aligned to a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block<const N: usize>(pub(crate) [f64; N]);

impl<const N: usize> Block<N> {
    pub(crate) const ZERO: Self = Self([0.0; N]);
}

/// Where an operand lives: among the inputs, or in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Src {
    Input(u32),
    Reg(u32),
}

/// What an instruction does. The three fused forms exist because a fused multiply-add is one operation on every
/// CPU of the last decade and rounds once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Unary(Unary, Src),
    Binary(Binary, Src, Src),
    /// `a * b + c`
    MulAdd(Src, Src, Src),
    /// `a * b - c`
    MulSub(Src, Src, Src),
    /// `c - a * b`
    NegMulAdd(Src, Src, Src),
    Select(Src, Src, Src),
    /// A program within the program, by its place among them; it knows its operands and where its results go.
    Part(u32),
}

impl Op {
    /// Whether the result has a kink or a jump somewhere.
    fn is_kinked(self) -> bool {
        match self {
            Self::Unary(op, _) => matches!(op, Unary::Abs | Unary::Floor),
            Self::Binary(op, ..) => !matches!(op, Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow),
            Self::Select(..) | Self::Part(..) => true,
            Self::MulAdd(..) | Self::MulSub(..) | Self::NegMulAdd(..) => false,
        }
    }

    fn map(self, f: impl Fn(Src) -> Src) -> Self {
        match self {
            Self::Unary(op, a) => Self::Unary(op, f(a)),
            Self::Binary(op, a, b) => Self::Binary(op, f(a), f(b)),
            Self::MulAdd(a, b, c) => Self::MulAdd(f(a), f(b), f(c)),
            Self::MulSub(a, b, c) => Self::MulSub(f(a), f(b), f(c)),
            Self::NegMulAdd(a, b, c) => Self::NegMulAdd(f(a), f(b), f(c)),
            Self::Select(a, b, c) => Self::Select(f(a), f(b), f(c)),
            Self::Part(_) => self,
        }
    }
}

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Instr {
    pub(crate) op: Op,
    pub(crate) to: u32,
}

/// A straight-line program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tape {
    pub(crate) instrs: Vec<Instr>,
    pub(crate) registers: usize,
    /// Programs within this one.
    pub(crate) parts: Vec<Part>,
    /// The nodes that the caller provides, in the order of [`Src::Input`].
    pub(crate) inputs: Vec<Id>,
    /// Where each requested output is after the run.
    pub(crate) outputs: Vec<Src>,
}

impl Tape {
    /// Lowers `outputs`; `is_input` marks nodes that the caller provides (constants always are). With `fuse`, sums
    /// of products become fused multiply-adds: faster and more accurate, but not the rounding of the plain text.
    pub(crate) fn build(graph: &Graph, outputs: &[Id], is_input: impl Fn(Id) -> bool, fuse: bool) -> Self {
        let mut builder = Builder {
            graph,
            is_input: &is_input,
            fuse,
            uses: HashMap::new(),
            place: HashMap::new(),
            free: Vec::new(),
            tape: Self::default(),
        };
        for &output in outputs {
            builder.count(output);
        }
        for &output in outputs {
            builder.emit(output);
        }
        builder.tape.outputs = outputs.iter().map(|id| builder.place[id]).collect();
        builder.tape
    }

    /// Whether no instruction has a kink or a jump.
    pub(crate) fn is_smooth(&self) -> bool {
        !self.instrs.iter().any(|instr| instr.op.is_kinked())
    }

    /// As [`Tape::build`], with the inputs given, in order; further inputs are constants, after them.
    pub(crate) fn build_with(graph: &Graph, outputs: &[Id], inputs: &[Id], fuse: bool) -> Self {
        let known: HashSet<Id> = inputs.iter().copied().collect();
        let mut tape = Self::build(graph, outputs, |id| known.contains(&id), fuse);
        // Move the given inputs to the front, in their order.
        let mut order: Vec<Id> = inputs.to_vec();
        order.extend(tape.inputs.iter().filter(|id| !known.contains(id)));
        let position: HashMap<Id, u32> = order.iter().enumerate().map(|(i, &id)| (id, i as u32)).collect();
        let moved = |src: Src| match src {
            Src::Input(i) => Src::Input(position[&tape.inputs[i as usize]]),
            register @ Src::Reg(_) => register,
        };
        let instrs = tape.instrs.iter().map(|instr| Instr { op: instr.op.map(moved), to: instr.to }).collect();
        let outputs = tape.outputs.iter().map(|&src| moved(src)).collect();
        let parts = tape.parts.iter().map(|part| part.map(moved)).collect();
        tape = Self { instrs, outputs, inputs: order, registers: tape.registers, parts };
        tape
    }
}

struct Builder<'a> {
    graph: &'a Graph,
    is_input: &'a dyn Fn(Id) -> bool,
    fuse: bool,
    uses: HashMap<Id, u32>,
    place: HashMap<Id, Src>,
    free: Vec<u32>,
    tape: Tape,
}

/// How a node will be computed: its operands after fusion.
enum Plan {
    Plain,
    MulAdd(Id, Id, Id),
    MulSub(Id, Id, Id),
    NegMulAdd(Id, Id, Id),
}

impl Builder<'_> {
    fn external(&self, id: Id) -> bool {
        matches!(self.graph.node(id), Node::Const(_)) || (self.is_input)(id)
    }

    fn operands(&self, id: Id) -> ([Id; 3], usize) {
        match self.graph.node(id) {
            Node::Unary(_, a) => ([a; 3], 1),
            Node::Binary(_, a, b) => ([a, b, b], 2),
            Node::Select(a, b, c) => ([a, b, c], 3),
            _ => ([id; 3], 0),
        }
    }

    fn count(&mut self, id: Id) {
        let uses = self.uses.entry(id).or_insert(0);
        *uses += 1;
        if *uses > 1 || self.external(id) {
            return;
        }
        for operand in self.graph.operands(id) {
            self.count(operand);
        }
    }

    /// A product that only this sum uses can be fused into it. One that already has a register was shared: its
    /// other user is done, but so are its operands.
    fn fusible(&self, id: Id) -> Option<(Id, Id)> {
        if !self.fuse || self.uses[&id] != 1 || self.place.contains_key(&id) || self.external(id) {
            return None;
        }
        match self.graph.node(id) {
            Node::Binary(Binary::Mul, a, b) => Some((a, b)),
            Node::Unary(Unary::Square, a) => Some((a, a)),
            _ => None,
        }
    }

    fn plan(&self, id: Id) -> Plan {
        match self.graph.node(id) {
            Node::Binary(Binary::Add, a, b) => {
                if let Some((x, y)) = self.fusible(b) {
                    Plan::MulAdd(x, y, a)
                } else if let Some((x, y)) = self.fusible(a) {
                    Plan::MulAdd(x, y, b)
                } else {
                    Plan::Plain
                }
            }
            Node::Binary(Binary::Sub, a, b) => {
                if let Some((x, y)) = self.fusible(b) {
                    Plan::NegMulAdd(x, y, a)
                } else if let Some((x, y)) = self.fusible(a) {
                    Plan::MulSub(x, y, b)
                } else {
                    Plan::Plain
                }
            }
            _ => Plan::Plain,
        }
    }

    fn emit(&mut self, id: Id) {
        if self.place.contains_key(&id) {
            return;
        }
        if self.external(id) {
            let index = self.tape.inputs.len() as u32;
            self.tape.inputs.push(id);
            self.place.insert(id, Src::Input(index));
            return;
        }
        if let Node::Root { .. } | Node::Over { .. } = self.graph.node(id) {
            self.emit_part(id);
            return;
        }
        let plan = self.plan(id);
        let (operands, n) = match plan {
            Plan::Plain => self.operands(id),
            Plan::MulAdd(a, b, c) | Plan::MulSub(a, b, c) | Plan::NegMulAdd(a, b, c) => {
                // Fusing drops the product node: its operands gain no use, they pass from it to this node.
                ([a, b, c], 3)
            }
        };
        for &operand in &operands[..n] {
            self.emit(operand);
        }
        let at = |k: usize| self.place[&operands[k]];
        let op = match plan {
            Plan::MulAdd(..) => Op::MulAdd(at(0), at(1), at(2)),
            Plan::MulSub(..) => Op::MulSub(at(0), at(1), at(2)),
            Plan::NegMulAdd(..) => Op::NegMulAdd(at(0), at(1), at(2)),
            Plan::Plain => match self.graph.node(id) {
                Node::Unary(op, _) => Op::Unary(op, at(0)),
                Node::Binary(op, ..) => Op::Binary(op, at(0), at(1)),
                _ => Op::Select(at(0), at(1), at(2)),
            },
        };
        let to = self.register();
        self.tape.instrs.push(Instr { op, to });
        self.place.insert(id, Src::Reg(to));
        let squared = matches!(plan, Plan::Plain) || operands[0] != operands[1];
        let released = if squared { &operands[..n] } else { &operands[1..n] };
        for &operand in released {
            self.release(operand);
        }
    }

    fn register(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.tape.registers += 1;
            (self.tape.registers - 1) as u32
        })
    }

    /// A root, or a sum (or maximum) with all others over the same range that can be had in the same pass.
    fn emit_part(&mut self, id: Id) {
        let graph = self.graph;
        let members = match graph.node(id) {
            Node::Over { .. } => {
                let alike = |other: &Id| graph.same_range(*other, id);
                let mut members: Vec<Id> = self
                    .uses
                    .keys()
                    .copied()
                    .filter(|other| alike(other) && !self.place.contains_key(other) && !self.external(*other))
                    .collect();
                members.sort_unstable();
                let round = self.round(id);
                members.retain(|&other| self.round(other) == round);
                members
            }
            _ => vec![id],
        };
        for &member in &members {
            for operand in graph.operands(member) {
                self.emit(operand);
            }
        }
        let to: Vec<u32> = members.iter().map(|_| self.register()).collect();
        let at = |id: &Id| self.place[id];
        let part = match graph.node(id) {
            Node::Over { fold, scope, first, last, .. } => {
                let bodies: Vec<Id> = members
                    .iter()
                    .map(|&member| match graph.node(member) {
                        Node::Over { body, .. } => body,
                        _ => unreachable!("only sums were taken"),
                    })
                    .collect();
                let captured = graph.captured(&bodies, scope);
                let derived = graph.derived(&bodies, scope);
                let inputs = [derived.clone(), captured.clone()].concat();
                let tape = Tape::build_with(graph, &bodies, &inputs, self.fuse);
                Part::Over(Pass {
                    fold,
                    scope,
                    constants: constants_of(graph, &tape, inputs.len()),
                    tape,
                    columns: derived.iter().map(|&id| graph.table_values(id, scope)).collect(),
                    len: graph.table(scope).len(),
                    captured: captured.iter().map(at).collect(),
                    first: at(&first),
                    last: at(&last),
                    to: to.clone(),
                })
            }
            Node::Root { scope, body, slope, low, high } => {
                let captured = graph.captured(&[body, slope], scope);
                let inputs = [vec![graph.find_unknown(scope)], captured.clone()].concat();
                let tape = Tape::build_with(graph, &[body, slope], &inputs, self.fuse);
                Part::Root(Equation {
                    constants: constants_of(graph, &tape, inputs.len()),
                    tape,
                    captured: captured.iter().map(at).collect(),
                    low: at(&low),
                    high: at(&high),
                    to: to[0],
                })
            }
            _ => unreachable!("only roots and sums have programs of their own"),
        };
        self.tape.instrs.push(Instr { op: Op::Part(self.tape.parts.len() as u32), to: to[0] });
        self.tape.parts.push(part);
        for (&member, &to) in members.iter().zip(&to) {
            self.place.insert(member, Src::Reg(to));
        }
        for &member in &members {
            for operand in graph.operands(member) {
                self.release(operand);
            }
        }
    }

    /// How many passes over the same range must come before a node is known.
    fn round(&self, id: Id) -> usize {
        let mut memo: HashMap<Id, usize> = HashMap::new();
        self.rounds(id, id, &mut memo)
    }

    fn rounds(&self, id: Id, like: Id, memo: &mut HashMap<Id, usize>) -> usize {
        if let Some(&known) = memo.get(&id) {
            return known;
        }
        if self.external(id) {
            return 0;
        }
        let before = self.graph.operands(id).into_iter().map(|operand| self.rounds(operand, like, memo)).max();
        let own = self.graph.same_range(id, like);
        let rounds = before.unwrap_or(0) + usize::from(own);
        memo.insert(id, rounds);
        rounds
    }

    fn release(&mut self, id: Id) {
        let Some(uses) = self.uses.get_mut(&id) else { return };
        *uses -= 1;
        if *uses == 0
            && let Src::Reg(register) = self.place[&id]
        {
            self.free.push(register);
        }
    }
}

/// The values of the constants that a tape takes as inputs after the first `known`.
pub(crate) fn constants_of(graph: &Graph, tape: &Tape, known: usize) -> Vec<f64> {
    tape.inputs[known..]
        .iter()
        .map(|&id| graph.constant_value(id).expect("what is not listed as an input is a constant"))
        .collect()
}

#[cfg(test)]
mod tests;
