//! Random expression trees, their text, and a naive evaluator that walks them.

use isoloss_core::simd::math;
use proptest::prelude::*;

/// An expression as a person would draw it.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Number(f64),
    /// A column, by index into [`COLUMNS`].
    Column(usize),
    /// A parameter, by index into [`PARAMETERS`].
    Parameter(usize),
    Negative(Box<Tree>),
    /// An operator between two operands, one of [`OPERATORS`].
    Operator(&'static str, Box<Tree>, Box<Tree>),
    /// A comparison, one of [`COMPARISONS`].
    Comparison(&'static str, Box<Tree>, Box<Tree>),
    /// A function of one argument, one of [`FUNCTIONS`].
    Call(&'static str, Box<Tree>),
    Extreme(&'static str, Vec<Tree>),
    Where(Box<Tree>, Box<Tree>, Box<Tree>),
}

pub(crate) const COLUMNS: [&str; 2] = ["x", "y"];
pub(crate) const PARAMETERS: [&str; 3] = ["a", "b", "c"];
pub(crate) const OPERATORS: [&str; 5] = ["+", "-", "*", "/", "**"];
pub(crate) const COMPARISONS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
pub(crate) const FUNCTIONS: [&str; 13] =
    ["softplus", "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "tanh", "expit", "erf", "abs", "square"];

/// What the leaves stand for.
pub(crate) struct Point<'a> {
    pub(crate) columns: &'a [f64],
    pub(crate) parameters: &'a [f64],
}

/// Trees with the given functions of one argument; `kinks` allows comparisons, extremes and choices.
pub(crate) fn trees(functions: &'static [&'static str], kinks: bool) -> impl Strategy<Value = Tree> {
    let number = prop_oneof![
        4 => (1u32..100).prop_map(|n| f64::from(n) / 10.0),
        1 => prop::sample::select(vec![0.0, 1.0, 2.0, 0.5, 1e-3, 3e5])
    ];
    let leaf = prop_oneof![
        2 => number.prop_map(Tree::Number),
        3 => (0..COLUMNS.len()).prop_map(Tree::Column),
        4 => (0..PARAMETERS.len()).prop_map(Tree::Parameter)
    ];
    leaf.prop_recursive(5, 24, 3, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let smooth = prop_oneof![
            1 => boxed().prop_map(Tree::Negative),
            6 => (prop::sample::select(&OPERATORS[..]), boxed(), boxed()).prop_map(|(op, a, b)| Tree::Operator(op, a, b)),
            4 => (prop::sample::select(functions), boxed()).prop_map(|(f, a)| Tree::Call(f, a))
        ];
        if !kinks {
            return smooth.boxed();
        }
        let extreme = prop::sample::select(vec!["min", "max"]);
        prop_oneof![
            8 => smooth,
            1 => (prop::sample::select(&COMPARISONS[..]), boxed(), boxed())
                .prop_map(|(op, a, b)| Tree::Comparison(op, a, b)),
            1 => (extreme, prop::collection::vec(inner.clone(), 2..4)).prop_map(|(f, of)| Tree::Extreme(f, of)),
            1 => (boxed(), boxed(), boxed()).prop_map(|(a, b, c)| Tree::Where(a, b, c))
        ]
        .boxed()
    })
}

impl Tree {
    /// The text, with brackets only where the grammar needs them.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(value) => format!("{value}"),
            Self::Column(c) => COLUMNS[*c].to_owned(),
            Self::Parameter(p) => PARAMETERS[*p].to_owned(),
            Self::Negative(a) => format!("-{}", a.text_above(3)),
            Self::Operator(op, a, b) => {
                let (left, right) = match *op {
                    "+" | "-" => (1, 2),
                    "*" | "/" => (2, 3),
                    // The exponent may carry a sign or be a power itself, the base may not.
                    _ => (5, 3),
                };
                let space = if *op == "**" { "" } else { " " };
                format!("{}{space}{op}{space}{}", a.text_above(left), b.text_above(right))
            }
            Self::Comparison(op, a, b) => format!("{} {op} {}", a.text_above(1), b.text_above(1)),
            Self::Call(f, a) => format!("{f}({})", a.text()),
            Self::Extreme(f, of) => format!("{f}({})", of.iter().map(Self::text).collect::<Vec<_>>().join(", ")),
            Self::Where(a, b, c) => format!("where({}, {}, {})", a.text(), b.text(), c.text()),
        }
    }

    fn text_above(&self, level: u8) -> String {
        if self.level() >= level { self.text() } else { format!("({})", self.text()) }
    }

    /// How tightly the outermost operation binds: comparison, sum, product, sign, power, atom.
    fn level(&self) -> u8 {
        match self {
            Self::Comparison(..) => 0,
            Self::Operator("+" | "-", ..) => 1,
            Self::Operator("*" | "/", ..) => 2,
            Self::Negative(_) => 3,
            Self::Operator(..) => 4,
            _ => 5,
        }
    }

    /// The value, operation by operation. `at` gives the elementary functions.
    pub(crate) fn value(&self, at: &Point<'_>) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Column(c) => at.columns[*c],
            Self::Parameter(p) => at.parameters[*p],
            Self::Negative(a) => -a.value(at),
            Self::Operator(op, a, b) => {
                let (x, y) = (a.value(at), b.value(at));
                match *op {
                    "+" => x + y,
                    "-" => x - y,
                    "*" => x * y,
                    "/" => x / y,
                    // Documented: these two powers are a product and a quotient.
                    _ if b.constant() == Some(2.0) => x * x,
                    _ if b.constant() == Some(-1.0) => 1.0 / x,
                    _ => math::pow(x, y),
                }
            }
            Self::Comparison(op, a, b) => {
                let (x, y) = (a.value(at), b.value(at));
                f64::from(u8::from(match *op {
                    "<" => x < y,
                    "<=" => x <= y,
                    ">" => x > y,
                    ">=" => x >= y,
                    "==" => x == y,
                    _ => x != y,
                }))
            }
            Self::Call(f, a) => function(f, a.value(at)),
            Self::Extreme(f, of) => {
                let values: Vec<f64> = of.iter().map(|tree| tree.value(at)).collect();
                let pick = if *f == "min" { f64::min } else { f64::max };
                if values.iter().any(|v| v.is_nan()) {
                    return f64::NAN;
                }
                values.iter().copied().reduce(pick).unwrap()
            }
            Self::Where(a, b, c) => {
                if a.value(at) == 0.0 {
                    c.value(at)
                } else {
                    b.value(at)
                }
            }
        }
    }

    /// The value if no name has a say in it.
    fn constant(&self) -> Option<f64> {
        let constant = match self {
            Self::Number(_) => true,
            Self::Column(_) | Self::Parameter(_) => false,
            Self::Negative(a) | Self::Call(_, a) => a.constant().is_some(),
            Self::Operator(_, a, b) | Self::Comparison(_, a, b) => a.constant().is_some() && b.constant().is_some(),
            Self::Extreme(_, of) => of.iter().all(|tree| tree.constant().is_some()),
            Self::Where(condition, yes, no) => {
                let (yes, no) = (yes.constant(), no.constant());
                return match condition.constant() {
                    Some(0.0) => no,
                    Some(_) => yes,
                    None => yes.filter(|y| no.is_some_and(|n| n.to_bits() == y.to_bits())),
                };
            }
        };
        constant.then(|| self.value(&Point { columns: &[], parameters: &[] }))
    }
}

pub(crate) fn function(name: &str, x: f64) -> f64 {
    match name {
        "exp" => math::exp(x),
        "log" => math::ln(x),
        "log2" => math::log2(x),
        "log10" => math::log10(x),
        "log1p" => math::log1p(x),
        "expm1" => math::expm1(x),
        "sqrt" => x.sqrt(),
        "tanh" => math::tanh(x),
        "expit" => math::expit(x),
        "softplus" => math::softplus(x),
        "erf" => math::erf(x),
        "abs" => x.abs(),
        "square" => x * x,
        other => panic!("no function {other}"),
    }
}
