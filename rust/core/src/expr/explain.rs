//! Graphs and tapes as text that a person can read.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::graph::{Binary, Fold, Graph, Id, Node, Unary};
use super::part::{Equation, Part, Pass};
use super::tape::{Op, Src, Tape};

/// Longest text of one expression; what is longer ends in an ellipsis.
const WIDEST: usize = 400;

/// What the leaves of a graph are called.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) columns: Vec<String>,
    pub(crate) parameters: Vec<String>,
    /// Constants that stand for something, by their bits.
    pub(crate) constants: HashMap<u64, String>,
}

impl Unary {
    fn name(self) -> &'static str {
        match self {
            Self::Neg => "negation",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Log2 => "log2",
            Self::Log10 => "log10",
            Self::Log1p => "log1p",
            Self::Expm1 => "expm1",
            Self::Sqrt => "sqrt",
            Self::Tanh => "tanh",
            Self::Expit => "expit",
            Self::Erf => "erf",
            Self::Abs => "abs",
            Self::Square => "square",
            Self::Floor => "floor",
            Self::Softplus => "softplus",
            Self::Hold => "hold",
        }
    }

    fn text(self, a: &str) -> String {
        if self == Self::Neg { format!("-{a}") } else { format!("{}({a})", self.name()) }
    }
}

impl Binary {
    fn name(self) -> &'static str {
        match self {
            Self::Add | Self::Sub => "sum",
            Self::Mul => "product",
            Self::Div => "quotient",
            Self::Pow => "power",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mod => "remainder",
            Self::Lt | Self::Le | Self::Eq => "comparison",
        }
    }

    fn text(self, a: &str, b: &str) -> String {
        match self {
            Self::Add => format!("{a} + {b}"),
            Self::Sub => format!("{a} - {b}"),
            Self::Mul => format!("{a} * {b}"),
            Self::Div => format!("{a} / {b}"),
            Self::Pow => format!("{a}**{b}"),
            Self::Min => format!("min({a}, {b})"),
            Self::Max => format!("max({a}, {b})"),
            Self::Mod => format!("{a} % {b}"),
            Self::Lt => format!("{a} < {b}"),
            Self::Le => format!("{a} <= {b}"),
            Self::Eq => format!("{a} == {b}"),
        }
    }

    /// How tightly the operator binds, and how tightly its operands must to go without brackets.
    fn levels(self) -> (u8, u8, u8) {
        match self {
            Self::Lt | Self::Le | Self::Eq => (0, 1, 1),
            Self::Add => (1, 1, 1),
            Self::Sub => (1, 1, 2),
            Self::Mul => (2, 2, 2),
            Self::Div | Self::Mod => (2, 2, 3),
            Self::Pow => (4, 5, 3),
            Self::Min | Self::Max => (5, 0, 0),
        }
    }
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Unary(op, _) => op.name(),
            Self::Binary(op, ..) => op.name(),
            Self::MulAdd(..) | Self::MulSub(..) | Self::NegMulAdd(..) => "fused multiply-add",
            Self::Select(..) => "where",
            Self::Part(_) => "part",
        }
    }

    fn text(self, at: impl Fn(Src) -> String) -> String {
        match self {
            Self::Unary(op, a) => op.text(&at(a)),
            Self::Binary(op, a, b) => op.text(&at(a), &at(b)),
            Self::MulAdd(a, b, c) => format!("{} * {} + {}", at(a), at(b), at(c)),
            Self::MulSub(a, b, c) => format!("{} * {} - {}", at(a), at(b), at(c)),
            Self::NegMulAdd(a, b, c) => format!("{} - {} * {}", at(c), at(a), at(b)),
            Self::Select(a, b, c) => format!("where({}, {}, {})", at(a), at(b), at(c)),
            Self::Part(_) => unreachable!("a part is listed with its own instructions"),
        }
    }
}

/// A node written out, as the text of a law would be.
pub(crate) fn infix(graph: &Graph, id: Id, names: &Names) -> String {
    let mut left = WIDEST;
    write_above(graph, id, names, 0, &mut left)
}

/// The node, in brackets if it binds less tightly than `above`. Shared parts are written out again and again, so the
/// budget `left` is what keeps this finite in practice.
fn write_above(graph: &Graph, id: Id, names: &Names, above: u8, left: &mut usize) -> String {
    if *left == 0 {
        return "...".to_owned();
    }
    let (level, text) = match graph.node(id) {
        Node::Const(bits) => {
            let value = f64::from_bits(bits);
            let known = names.constants.get(&bits).cloned();
            (if value < 0.0 { 3 } else { 5 }, known.unwrap_or_else(|| number(value)))
        }
        Node::Column(c) => (5, names.columns[c as usize].clone()),
        Node::Param(p) => (5, names.parameters[p as usize].clone()),
        Node::Unknown(scope) => (5, graph.scopes[scope as usize].name().to_owned()),
        Node::Inner(scope, c) => {
            let table = graph.table(scope);
            (5, format!("{}.{}", table.name, table.columns[c as usize]))
        }
        Node::Root { scope, body, low, high, .. } => {
            let [body, low, high] = [body, low, high].map(|id| write_above(graph, id, names, 0, left));
            (5, format!("root({}, {body}, {low}, {high})", graph.scopes[scope as usize].name()))
        }
        Node::Over { fold, scope, body, .. } => {
            let body = write_above(graph, body, names, 0, left);
            let what = if fold == Fold::Sum { "sum_over" } else { "max_over" };
            (5, format!("{what}({}, {body})", graph.scopes[scope as usize].name()))
        }
        Node::Unary(Unary::Neg, a) => (3, Unary::Neg.text(&write_above(graph, a, names, 3, left))),
        // The value of its argument; that it has no slope is not for readers of text.
        Node::Unary(Unary::Hold, a) => return write_above(graph, a, names, above, left),
        Node::Unary(op, a) => (5, op.text(&write_above(graph, a, names, 0, left))),
        Node::Binary(op, a, b) => {
            let (own, first, second) = op.levels();
            let a = write_above(graph, a, names, first, left);
            let b = write_above(graph, b, names, second, left);
            (own, op.text(&a, &b))
        }
        Node::Select(a, b, c) => {
            let [a, b, c] = [a, b, c].map(|id| write_above(graph, id, names, 0, left));
            (5, format!("where({a}, {b}, {c})"))
        }
    };
    *left = left.saturating_sub(2);
    if level < above { format!("({text})") } else { text }
}

/// A number as short as it reads back the same.
fn number(value: f64) -> String {
    let plain = format!("{value}");
    let scientific = format!("{value:e}");
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// What the nodes of a tape's graph are called.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) names: &'a Names,
}

/// The instructions of a tape, one a line, each result under a name of its own; also what the outputs are called.
pub(crate) fn listing(labels: Labels<'_>, tape: &Tape, inputs: &[String], prefix: &str) -> (String, Vec<String>) {
    let mut text = String::new();
    let outputs = list(labels, tape, inputs, prefix, 1, &mut text);
    (text, outputs)
}

fn list(
    labels: Labels<'_>,
    tape: &Tape,
    inputs: &[String],
    prefix: &str,
    depth: usize,
    text: &mut String,
) -> Vec<String> {
    let indent = "  ".repeat(depth);
    let mut holds: Vec<String> = vec![String::new(); tape.registers];
    let name = |src: Src, holds: &[String]| match src {
        Src::Input(i) => inputs[i as usize].clone(),
        Src::Reg(r) => holds[r as usize].clone(),
    };
    // Writing to a string does not fail.
    for (index, instr) in tape.instrs.iter().enumerate() {
        let Op::Part(part) = instr.op else {
            let line = instr.op.text(|src| name(src, &holds));
            holds[instr.to as usize] = format!("{prefix}{index}");
            let _ = writeln!(text, "{indent}{prefix}{index} = {line}");
            continue;
        };
        let part = &tape.parts[part as usize];
        let (inner, captured) = match part {
            Part::Root(Equation { tape, captured, .. }) | Part::Over(Pass { tape, captured, .. }) => (tape, captured),
        };
        // Inputs of its own first, then what is captured, then constants.
        let own = inner.inputs.len() - captured.len() - part.constants().len();
        let inputs: Vec<String> = inner
            .inputs
            .iter()
            .enumerate()
            .map(|(k, &id)| match captured.get(k.wrapping_sub(own)) {
                Some(&src) => name(src, &holds),
                None => infix(labels.graph, id, labels.names),
            })
            .collect();
        let own_name = format!("{prefix}{index}");
        let below = format!("{own_name}_");
        match part {
            Part::Root(Equation { low, high, to, .. }) => {
                let unknown = &inputs[0];
                let (low, high) = (name(*low, &holds), name(*high, &holds));
                let _ =
                    writeln!(text, "{indent}{own_name} = the {unknown} from {low} to {high}, each step of which is");
                let outputs = list(labels, inner, &inputs, &below, depth + 1, text);
                let _ = writeln!(text, "{indent}  at which {} is zero, {} being its slope", outputs[0], outputs[1]);
                holds[*to as usize] = own_name;
            }
            Part::Over(Pass { fold, scope, to, .. }) => {
                let what = if *fold == Fold::Sum { "sum" } else { "largest" };
                let table = &labels.graph.table(*scope).name;
                let _ = writeln!(text, "{indent}once over the points of {table}, each of which is");
                let outputs = list(labels, inner, &inputs, &below, depth + 1, text);
                for (k, (&to, output)) in to.iter().zip(&outputs).enumerate() {
                    let result = if k == 0 { own_name.clone() } else { format!("{own_name}{}", letters(k)) };
                    let _ = writeln!(text, "{indent}{result} = the {what} of {output}");
                    holds[to as usize] = result;
                }
            }
        }
    }
    tape.outputs.iter().map(|&src| name(src, &holds)).collect()
}

/// b, c, d, … for 1, 2, 3, …
fn letters(k: usize) -> String {
    let letter = char::from(b'a' + (k % 26) as u8);
    if k < 26 { letter.to_string() } else { format!("{}{letter}", letters(k / 26 - 1)) }
}

/// `9 instructions (2 exp, 3 fused multiply-add, 4 product)`.
pub(crate) fn counts(tape: &Tape) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for instr in &tape.instrs {
        let kind = match instr.op {
            Op::Part(part) => match tape.parts[part as usize] {
                Part::Root(_) => "root",
                Part::Over(_) => "pass over an inner table",
            },
            op => op.name(),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let list = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let n = tape.instrs.len();
    format!("{n} instruction{}{list}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expression;

    fn again(text: &str) -> String {
        let law = Expression::parse(text, &["x", "y"], &[]).unwrap();
        let names =
            Names { columns: law.variables().to_vec(), parameters: law.parameters().to_vec(), ..Names::default() };
        infix(&law.graph, law.root, &names)
    }

    #[test]
    fn a_law_is_written_as_it_was_read() {
        for text in [
            "E + A / x**alpha + B / y**beta",
            "a - (b - x)",
            "a / (b * x)",
            "(a + b) * x",
            "(-a)**b",
            "-a**b",
            "a**-b",
            "(a**b)**x",
            "a**b**x",
            "where(x < y, a, min(b, 2.5))",
            "x % (y * a) + floor(x)",
            "log1p(exp(-a * x)) + 1e-9",
        ] {
            assert_eq!(again(text), text);
        }
    }

    #[test]
    fn letters_go_on_after_z() {
        let found = [1, 25, 26, 27, 51, 52, 701, 702].map(letters);
        assert_eq!(found, ["b", "z", "aa", "ab", "az", "ba", "zz", "aaa"]);
    }

    #[test]
    fn what_would_not_end_is_cut() {
        // Two to the power of sixty copies of x.
        let mut graph = Graph::default();
        let mut id = graph.column(0);
        for _ in 0..60 {
            id = graph.binary(Binary::Add, id, id);
        }
        let names = Names { columns: vec!["x".to_owned()], ..Names::default() };
        let text = infix(&graph, id, &names);
        assert!(text.contains("...") && text.len() < 20 * WIDEST, "{}", text.len());
    }
}
