//! Text to graph: a tokenizer and a precedence-climbing parser. Nothing is ever evaluated as code.
//!
//! ```text
//! condition  := both ("or" both)*
//! both       := inverse ("and" inverse)*
//! inverse    := "not" inverse | comparison
//! comparison := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*      a < b < c is a < b and b < c
//! sum        := product (("+" | "-") product)*
//! product    := signed (("*" | "/" | "//" | "%") signed)*
//! signed     := ("-" | "+") signed | power
//! power      := atom ("**" signed)?                      right-associative, binds tighter than a sign on its left
//! atom       := number | name | name "(" condition ("," condition)* ")" | "(" condition ")"
//! ```
//!
//! Operators mean what they mean in Python: a condition is 1 or 0, whatever is not zero counts as true, `a and b` is `b`
//! where `a` is true and else `a`, and `a % b` has the sign of `b`.
//!
//! Two functions bind a name in one of their arguments: `root(unknown, equation, low, high)`, and `sum_over(table, term)`,
//! in whose term `table.column` is a column of the table.
//!
//! Limits keep hostile text harmless: [`MAX_LENGTH`] characters, [`MAX_DEPTH`] levels of nesting, [`MAX_CHAIN`] links in
//! a chain, [`MAX_NODES`] nodes.

mod binders;
mod tokens;

use self::tokens::{Token, describe, syntax, tokenize};
use super::graph::{Binary, Graph, Id, Unary};
use super::scope::{Scope, Table};
use crate::error::Result;

/// Longest text of a law, in characters.
pub const MAX_LENGTH: usize = 16_384;
/// Deepest nesting of brackets, signs and powers.
pub const MAX_DEPTH: usize = 128;
/// Most operations one upon another, as the terms of a long sum are: what comes after the parser recurses over them.
pub const MAX_CHAIN: usize = 1_024;
/// Most nodes that the text of a law may have.
pub const MAX_NODES: usize = 8_192;
/// Most parameters of one law: curvature takes their number squared.
pub const MAX_PARAMETERS: usize = 256;

/// What a name in the text stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Symbol {
    Column(u32),
    Param(u32),
    Constant(f64),
    /// A subexpression with a name of its own.
    Node(Id),
}

const FUNCTIONS: [(&str, Unary); 14] = [
    ("exp", Unary::Exp),
    ("log", Unary::Log),
    ("log2", Unary::Log2),
    ("log10", Unary::Log10),
    ("log1p", Unary::Log1p),
    ("expm1", Unary::Expm1),
    ("sqrt", Unary::Sqrt),
    ("tanh", Unary::Tanh),
    ("expit", Unary::Expit),
    ("erf", Unary::Erf),
    ("abs", Unary::Abs),
    ("square", Unary::Square),
    ("floor", Unary::Floor),
    ("softplus", Unary::Softplus),
];

/// Functions of another number of arguments.
const FURTHER: [&str; 6] = ["ceil", "min", "max", "where", "root", "sum_over"];
/// Most roots and sums inside one another: each derivative of one copies what is inside it.
pub const MAX_BOUND: usize = 4;
/// Most roots inside one another: an inner one is solved anew, in up to 220 steps, at every step of the outer one.
pub const MAX_ROOTS: usize = 2;
/// What stands, after the table's name and a dot, for the ends of the range that a row sums.
pub(crate) const RANGE: [&str; 2] = ["first", "last"];
/// Names that are operators.
const WORDS: [&str; 3] = ["and", "or", "not"];

/// Where a name first stands in a text that can be read.
pub(crate) fn position_of(text: &str, name: &str) -> usize {
    let tokens = tokenize(text).unwrap_or_default();
    tokens.iter().find(|(token, _)| matches!(token, Token::Name(found) if found == name)).map_or(0, |&(_, at)| at)
}

/// The free names of a text, in order of first appearance; then the columns of inner tables, as `table.column`.
///
/// # Errors
/// [`Error::Syntax`] where the text is not an expression.
pub fn names(text: &str) -> Result<Vec<String>> {
    let (mut found, tables) = scan(text)?;
    for Table { name, columns, .. } in tables {
        found.extend(columns.iter().map(|column| format!("{name}.{column}")));
    }
    Ok(found)
}

/// The free names of a text, and its inner tables with their columns.
pub(super) fn scan(text: &str) -> Result<(Vec<String>, Vec<Table>)> {
    let mut found: Vec<String> = Vec::new();
    let mut graph = Graph::default();
    parse(text, &mut graph, &mut |name| {
        if name.contains('.') {
            return Some(Symbol::Constant(0.0)); // the range of an inner table
        }
        let index = found.iter().position(|known| known == name).unwrap_or_else(|| {
            found.push(name.to_owned());
            found.len() - 1
        });
        Some(Symbol::Param(index as u32))
    })?;
    let tables = graph.scopes.into_iter().filter_map(|scope| match scope {
        Scope::Table(table) => Some(table),
        Scope::Unknown(_) => None,
    });
    Ok((found, tables.collect()))
}

/// Parses `text` into `graph`; `resolve` says what each name stands for.
pub(crate) fn parse(text: &str, graph: &mut Graph, resolve: &mut dyn FnMut(&str) -> Option<Symbol>) -> Result<Id> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, graph, resolve, bound: Vec::new() };
    let root = parser.condition()?;
    match parser.peek() {
        Token::End => Ok(root),
        Token::Punct(")") => Err(syntax(parser.position(), "this ')' closes nothing")),
        other => Err(syntax(parser.position(), format!("expected an operator before {}", describe(other)))),
    }
}

struct Parser<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    depth: usize,
    graph: &'a mut Graph,
    resolve: &'a mut dyn FnMut(&str) -> Option<Symbol>,
    /// Unknowns and tables in whose scope the parser is.
    bound: Vec<(String, u32)>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a Token {
        &self.tokens[self.at].0
    }

    fn position(&self) -> usize {
        self.tokens[self.at].1
    }

    fn take(&mut self, punct: &'static str) -> bool {
        let hit = self.peek() == &Token::Punct(punct);
        self.at += usize::from(hit);
        hit
    }

    fn expect(&mut self, punct: &'static str) -> Result<()> {
        if self.take(punct) {
            return Ok(());
        }
        Err(syntax(self.position(), format!("expected '{punct}', found {}", describe(self.peek()))))
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(syntax(self.position(), format!("nested more than {MAX_DEPTH} levels deep")));
        }
        if self.graph.len() > MAX_NODES {
            return Err(syntax(self.position(), format!("more than {MAX_NODES} nodes")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn word(&mut self, word: &str) -> bool {
        let hit = matches!(self.peek(), Token::Name(name) if name == word);
        self.at += usize::from(hit);
        hit
    }

    fn condition(&mut self) -> Result<Id> {
        self.nested(|p| {
            let mut left = p.both()?;
            while p.word("or") {
                let right = p.both()?;
                left = p.graph.select(left, left, right);
                p.check_chain(left)?;
            }
            Ok(left)
        })
    }

    fn both(&mut self) -> Result<Id> {
        let mut left = self.inverse()?;
        while self.word("and") {
            let right = self.inverse()?;
            left = self.graph.and(left, right);
            self.check_chain(left)?;
        }
        Ok(left)
    }

    fn inverse(&mut self) -> Result<Id> {
        if self.word("not") {
            return self.nested(|p| {
                let inner = p.inverse()?;
                Ok(p.graph.not(inner))
            });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Id> {
        let mut left = self.sum()?;
        let mut all = None;
        while let Token::Punct(op @ ("<" | "<=" | ">" | ">=" | "==" | "!=")) = self.peek() {
            self.at += 1;
            let right = self.sum()?;
            let holds = match *op {
                "<" => self.graph.binary(Binary::Lt, left, right),
                "<=" => self.graph.binary(Binary::Le, left, right),
                ">" => self.graph.binary(Binary::Lt, right, left),
                ">=" => self.graph.binary(Binary::Le, right, left),
                "==" => self.graph.binary(Binary::Eq, left, right),
                _ => {
                    let same = self.graph.binary(Binary::Eq, left, right);
                    self.graph.not(same)
                }
            };
            let joined = all.map_or(holds, |before| self.graph.and(before, holds));
            self.check_chain(joined)?;
            all = Some(joined);
            left = right;
        }
        Ok(all.unwrap_or(left))
    }

    /// One more operation in a chain of them.
    fn link(&mut self, op: Binary, left: Id, right: Id) -> Result<Id> {
        let id = self.graph.binary(op, left, right);
        self.check_chain(id)?;
        Ok(id)
    }

    fn check_chain(&self, id: Id) -> Result<()> {
        if self.graph.height(id) as usize > MAX_CHAIN {
            let message =
                format!("more than {MAX_CHAIN} operations in one chain; brackets around parts of it shorten it");
            return Err(syntax(self.position(), message));
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<Id> {
        let mut left = self.product()?;
        loop {
            let op = if self.take("+") {
                Binary::Add
            } else if self.take("-") {
                Binary::Sub
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.link(op, left, right)?;
        }
    }

    fn product(&mut self) -> Result<Id> {
        let mut left = self.signed()?;
        loop {
            let op = if self.take("*") {
                Binary::Mul
            } else if self.take("/") {
                Binary::Div
            } else if self.take("%") {
                Binary::Mod
            } else if self.take("//") {
                let right = self.signed()?;
                left = self.graph.floor_divide(left, right);
                self.check_chain(left)?;
                continue;
            } else {
                return Ok(left);
            };
            let right = self.signed()?;
            left = self.link(op, left, right)?;
        }
    }

    fn signed(&mut self) -> Result<Id> {
        self.nested(|p| {
            if p.take("-") {
                let inner = p.signed()?;
                return Ok(p.graph.unary(Unary::Neg, inner));
            }
            if p.take("+") {
                return p.signed();
            }
            let base = p.atom()?;
            if p.take("**") {
                let exponent = p.signed()?;
                return Ok(p.graph.binary(Binary::Pow, base, exponent));
            }
            Ok(base)
        })
    }

    fn atom(&mut self) -> Result<Id> {
        let position = self.position();
        match self.peek() {
            Token::Number(value) => {
                self.at += 1;
                Ok(self.graph.constant(*value))
            }
            Token::Name(name) => {
                self.at += 1;
                if self.peek() == &Token::Punct("(") && !WORDS.contains(&name.as_str()) {
                    return self.call(name, position);
                }
                if WORDS.contains(&name.as_str()) {
                    let message = format!("expected a number, a name or '(', found '{name}', which is an operator");
                    return Err(syntax(position, message));
                }
                if FUNCTIONS.iter().any(|(known, _)| known == name) || FURTHER.contains(&name.as_str()) {
                    return Err(syntax(position, format!("'{name}' is a function: write {name}(...)")));
                }
                if let Some(id) = self.local(name, position)? {
                    return Ok(id);
                }
                match (self.resolve)(name) {
                    Some(Symbol::Column(index)) => Ok(self.graph.column(index)),
                    Some(Symbol::Param(index)) => Ok(self.graph.param(index)),
                    Some(Symbol::Constant(value)) => Ok(self.graph.constant(value)),
                    Some(Symbol::Node(id)) => Ok(id),
                    None => Err(syntax(position, format!("unknown name '{name}'"))),
                }
            }
            Token::Punct("(") => {
                self.at += 1;
                let inner = self.condition()?;
                self.expect(")")?;
                Ok(inner)
            }
            other => Err(syntax(position, format!("expected a number, a name or '(', found {}", describe(other)))),
        }
    }

    fn call(&mut self, name: &str, position: usize) -> Result<Id> {
        self.expect("(")?;
        match name {
            "root" => return self.root(position),
            "sum_over" => return self.sum_over(position),
            _ => {}
        }
        let mut arguments = vec![self.condition()?];
        while self.take(",") {
            arguments.push(self.condition()?);
        }
        self.expect(")")?;
        let wrong = |wanted: &str| {
            let found = arguments.len();
            Err(syntax(position, format!("{name}() takes {wanted}, not {found}")))
        };
        if let Some((_, op)) = FUNCTIONS.iter().find(|(known, _)| *known == name) {
            return match arguments[..] {
                [x] => Ok(self.graph.unary(*op, x)),
                _ => wrong("one argument"),
            };
        }
        match name {
            "ceil" => match arguments[..] {
                [x] => {
                    let minus = self.graph.unary(Unary::Neg, x);
                    let floor = self.graph.unary(Unary::Floor, minus);
                    Ok(self.graph.unary(Unary::Neg, floor))
                }
                _ => wrong("one argument"),
            },
            "min" | "max" => {
                let op = if name == "min" { Binary::Min } else { Binary::Max };
                let [first, rest @ ..] = &arguments[..] else { return wrong("two or more arguments") };
                if rest.is_empty() {
                    return wrong("two or more arguments");
                }
                Ok(rest.iter().fold(*first, |left, &right| self.graph.binary(op, left, right)))
            }
            "where" => match arguments[..] {
                [condition, yes, no] => Ok(self.graph.select(condition, yes, no)),
                _ => wrong("three arguments (condition, value if true, value if false)"),
            },
            _ => {
                let known: Vec<&str> = FUNCTIONS.iter().map(|(known, _)| *known).chain(FURTHER).collect();
                Err(syntax(position, format!("unknown function '{name}'; there are {}", known.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn value(text: &str) -> f64 {
        let mut graph = Graph::default();
        let root = parse(text, &mut graph, &mut |_| None).expect("the text is an expression");
        graph.constant_value(root).expect("only constants were given")
    }

    fn failure(text: &str) -> (String, usize) {
        match names(text) {
            Err(Error::Syntax { message, position }) => (message, position),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn precedence_is_that_of_python() {
        for (text, expected) in [
            ("1 + 2 * 3", 7.0),
            ("-2 ** 2", -4.0),
            ("2 ** -1", 0.5),
            ("2 ** 3 ** 2", 512.0),
            ("8 / 4 / 2", 1.0),
            ("5 - 3 - 1", 1.0),
            ("(1 + 2) * 3", 9.0),
            ("--3", 3.0),
            ("1e3 + 1_000 + .5", 2000.5),
            ("where(2 > 1, 10, 20)", 10.0),
            ("where(1 != 1, 10, 20)", 20.0),
            ("max(1, 5, 3) + min(4, 2)", 7.0),
            ("1 < 2 < 3", 1.0),
            ("1 < 3 < 2", 0.0),
            ("not 1 < 2 or 2 < 3 and 0", 0.0),
            ("not (1 < 2) or 2 < 3 and 5", 5.0),
            ("0 or 7", 7.0),
            ("4 and 0", 0.0),
            ("not not 3", 1.0),
            ("7 // 2 * 2 + 7 % 2", 7.0),
            ("-7 // 2", -4.0),
            ("-7 % 3", 2.0),
            ("7 % -3", -2.0),
            ("1 // 0.1", 9.0),
            ("floor(-1.5) + ceil(1.2)", 0.0),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn names_come_in_order_of_appearance() {
        assert_eq!(names("E + A / N**alpha + E").unwrap(), ["E", "A", "N", "alpha"]);
    }

    #[test]
    fn errors_point_at_the_character() {
        for (text, position, part) in [
            ("E + ", 4, "expected a number"),
            ("E + * A", 4, "expected a number"),
            ("E ^ 2", 2, "write **"),
            ("E + A)", 5, "closes nothing"),
            ("(E + A", 6, "expected ')'"),
            ("E A", 2, "expected an operator"),
            ("exp + 1", 0, "is a function"),
            ("exp(1, 2)", 0, "one argument"),
            ("where(a, b)", 0, "three arguments"),
            ("sin(x)", 0, "unknown function"),
            ("min(x)", 0, "two or more"),
            ("1e999", 0, "too large"),
            ("", 0, "expected a number"),
            ("a # b", 2, "unexpected character"),
            ("a & b", 2, "write and"),
            ("a = b", 2, "write =="),
            ("a and", 5, "expected a number"),
            ("a + not b", 4, "which is an operator"),
            ("or(a, b)", 0, "which is an operator"),
        ] {
            let (message, at) = failure(text);
            assert!(message.contains(part), "{text:?}: {message}");
            assert_eq!(at, position, "{text:?}: {message}");
        }
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let deep = "(".repeat(100_000);
        assert!(failure(&deep[..MAX_LENGTH]).0.contains("levels deep"));
        assert!(failure(&deep).0.contains("longer than"));
        assert!(failure(&format!("{}1", "-".repeat(5_000))).0.contains("levels deep"));
        assert!(failure(&"2**".repeat(4_000)).0.contains("levels deep"));
    }
}
