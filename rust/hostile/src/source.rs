//! Texts out of numbers: the same seed and index always give the same text.

use std::fmt::Write as _;

use isoloss_core::sample::Stream;

use crate::targets::{COLUMNS, TABLE};

/// Laws from papers, to be damaged.
const LAWS: &str = include_str!("laws.txt");
const PARAMETERS: [&str; 8] = ["E", "A", "B", "alpha", "beta", "a", "b", "c"];
const FUNCTIONS: [&str; 15] = [
    "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "tanh", "expit", "erf", "abs", "square", "floor",
    "softplus", "ceil",
];
const OPERATORS: [&str; 16] = [
    " + ", " - ", " * ", " / ", "**", " // ", " % ", " < ", " <= ", " > ", " >= ", " == ", " != ", " and ", " or ",
    "**-",
];
const NUMBERS: [&str; 16] =
    ["0", "1", "2", "0.5", "-1", "1e308", "1e-320", "5e-324", "3", "1_000", ".5", "1.0", "7", "0.1", "20", "1e16"];
const NOISE: [&str; 35] = [
    "x",
    "N",
    "k.x",
    "k",
    "1",
    "2.5e3",
    "1e",
    "1e999",
    ".",
    "(",
    ")",
    "+",
    "-",
    "*",
    "**",
    "/",
    "//",
    ",",
    "<",
    "<=",
    "==",
    "!",
    "=",
    "exp",
    "where(",
    "root(",
    "sum_over(",
    " ",
    "é",
    "\u{1F600}",
    "\0",
    "_",
    "\u{202E}",
    "%",
    "not ",
];
/// Deepest nesting of a sentence.
const DEPTH: u32 = 12;
/// About as long as the longest text that is accepted.
const LONG: usize = 16_500;

/// Random texts from one seed.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    seed: u64,
}

impl Source {
    /// All texts of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Text number `index`.
    pub fn text(self, index: u64) -> String {
        let mut maker = Maker { random: Stream::new(self.seed, index), text: String::new(), bound: Vec::new() };
        match maker.below(20) {
            0..=8 => {
                let depth = 1 + maker.below(DEPTH);
                maker.sentence(depth);
            }
            9..=15 => maker.damaged(),
            16 | 17 => maker.noise(),
            18 => maker.wide(),
            _ => maker.tall(),
        }
        maker.text
    }
}

struct Maker {
    random: Stream,
    text: String,
    /// Unknowns and tables in scope.
    bound: Vec<String>,
}

impl Maker {
    fn below(&mut self, bound: u32) -> u32 {
        self.random.below(bound)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u32) as usize]
    }

    fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// A sentence of the grammar; with small chance something in it is out of place.
    fn sentence(&mut self, depth: u32) {
        if depth == 0 || self.text.len() > LONG {
            return self.leaf();
        }
        match self.below(30) {
            0..=2 => self.leaf(),
            3..=15 => {
                self.operand(depth - 1);
                let operator = self.pick(&OPERATORS);
                self.push(operator);
                self.operand(depth - 1);
            }
            16..=20 => {
                let function = self.pick(&FUNCTIONS);
                self.call(function, 1, depth - 1);
            }
            21 => self.call("min", 2, depth - 1),
            22 => self.call("max", 3, depth - 1),
            23 => self.call("where", 3, depth - 1),
            24 => self.root(depth - 1),
            25 => self.sum(depth - 1),
            26 => {
                self.push("-");
                self.operand(depth - 1);
            }
            27 => {
                self.push("not ");
                self.operand(depth - 1);
            }
            28 => self.shared(depth - 1),
            _ => {
                let stray = self.pick(&NOISE);
                self.push(stray);
                self.operand(depth - 1);
            }
        }
    }

    /// In brackets, mostly.
    fn operand(&mut self, depth: u32) {
        if self.below(5) == 0 {
            return self.sentence(depth);
        }
        self.push("(");
        self.sentence(depth);
        self.push(")");
    }

    fn leaf(&mut self) {
        let leaf = match self.below(8) {
            0 | 1 => self.pick(&COLUMNS).to_owned(),
            2..=4 => self.pick(&PARAMETERS).to_owned(),
            5 | 6 if !self.bound.is_empty() => {
                let which = self.below(self.bound.len() as u32) as usize;
                let name = self.bound[which].clone();
                if name.starts_with('r') { name } else { format!("{name}.{}", self.pick(&["x", "y", "z"])) }
            }
            _ => self.pick(&NUMBERS).to_owned(),
        };
        self.push(&leaf);
    }

    fn call(&mut self, function: &str, arguments: u32, depth: u32) {
        self.push(function);
        self.push("(");
        let odd = if self.below(40) == 0 { self.below(4) } else { arguments };
        for index in 0..odd {
            if index > 0 {
                self.push(", ");
            }
            self.sentence(depth);
        }
        self.push(")");
    }

    fn root(&mut self, depth: u32) {
        let name = format!("r{}", self.bound.len());
        let _ = write!(self.text, "root({name}, {name} - ");
        self.bound.push(name);
        self.operand(depth);
        self.bound.pop();
        self.push(", ");
        self.operand(depth.min(2));
        self.push(", ");
        self.operand(depth.min(2));
        self.push(")");
    }

    fn sum(&mut self, depth: u32) {
        let name = format!("{TABLE}{}", self.bound.len());
        let _ = write!(self.text, "sum_over({name}, {name}.x * ");
        self.bound.push(name);
        self.operand(depth);
        self.bound.pop();
        self.push(")");
    }

    /// One part used many times, each use inside the next: small as a graph, large for whoever forgets to share.
    fn shared(&mut self, depth: u32) {
        let from = self.text.len();
        self.operand(depth.min(3));
        let part = self.text[from..].to_owned();
        for _ in 0..self.below(6) {
            let whole = self.text[from..].to_owned();
            if whole.len() > LONG / 3 {
                break;
            }
            let operator = self.pick(&OPERATORS);
            self.text.truncate(from);
            let _ = write!(self.text, "({whole}{operator}{part}*{whole})");
        }
    }

    /// A law with some of its characters, or some of its words, deleted, doubled, swapped or replaced.
    fn damaged(&mut self) {
        let laws: Vec<&str> = LAWS.lines().collect();
        let mut chars: Vec<char> = self.pick(&laws).chars().collect();
        for _ in 0..=self.below(4) {
            let length = chars.len() as u32;
            if length == 0 {
                break;
            }
            let from = self.below(length) as usize;
            let to = (from + 1 + self.below(12) as usize).min(chars.len());
            match self.below(7) {
                0 => drop(chars.drain(from..to)),
                1 => {
                    let copy: Vec<char> = chars[from..to].to_vec();
                    chars.splice(from..from, copy);
                }
                2 => chars.swap(from, to - 1),
                3 => {
                    let stray: Vec<char> = self.pick(&NOISE).chars().collect();
                    chars.splice(from..from, stray);
                }
                4 => {
                    let number: Vec<char> = self.pick(&NUMBERS).chars().collect();
                    chars.splice(from..to, number);
                }
                5 => {
                    let other: Vec<char> = self.pick(&laws).chars().collect();
                    let joint = self.pick(&OPERATORS).chars();
                    chars.splice(from..from, joint.chain(other));
                }
                _ => chars[from] = char::from_u32(self.below(0x0011_0000)).unwrap_or('\u{FFFD}'),
            }
        }
        self.text = chars.into_iter().collect();
    }

    fn noise(&mut self) {
        for _ in 0..=self.below(24) {
            let piece = self.pick(&NOISE);
            self.push(piece);
        }
    }

    /// Very many pieces in a row.
    fn wide(&mut self) {
        // Most are of middling size; one in sixteen is as long as is allowed.
        let most = if self.below(16) == 0 { LONG } else { 1 << (4 + self.below(6)) };
        let operator = self.pick(&OPERATORS);
        let numbered = self.below(3) == 0;
        let before = self.text.len();
        self.sentence(2);
        let piece = self.text[before..].to_owned();
        self.text.clear();
        for count in 0.. {
            if numbered {
                let _ = write!(self.text, "p{count} * N**q{count}");
            } else {
                self.text.push_str(&piece);
            }
            if self.text.len() >= most {
                return;
            }
            self.text.push_str(operator);
        }
    }

    /// Very many pieces inside one another.
    fn tall(&mut self) {
        let depth = if self.below(16) == 0 { 140 } else { 1 + self.below(62) } as usize;
        let (open, close) = match self.below(8) {
            0 => ("(", ")"),
            1 => ("-", ""),
            2 => ("N**", ""),
            3 => ("softplus(a + b * ", ")"),
            4 => ("log(1 + exp(a * ", "))"),
            5 => ("where(N < a, c, ", ")"),
            6 => ("(a + N)**(b * ", ")"),
            _ => ("max(c, ", " * a / N)"),
        };
        self.text = open.repeat(depth);
        self.sentence(2);
        self.text.push_str(&close.repeat(depth));
    }
}
