//! Nodes with a program of their own: roots of equations and sums over inner tables.
//!
//! Either binds something inside its body: a root its unknown, a sum the columns of its table. A *scope* is that
//! unknown or that table; the graph knows of every node which scopes it depends on. What a body takes from outside (its
//! *captured* nodes) is computed once per point, the body once per step or per inner point.
//!
//! With `r(p)` the root of `F(r, p) = 0`, the implicit function theorem gives `∂r/∂p = -F_p / F_r` at `r`, an ordinary
//! expression in the node `r` itself, so that second derivatives need no rule of their own. The derivative of a sum is
//! the sum of the derivatives. Of the points over which a sum runs the largest can be had, too, which
//! [`stable`](super::stable) takes out of sums of exponentials.

use std::collections::HashMap;
use std::sync::Arc;

use super::derive::{By, Deriver, product};
use super::graph::{Binary, Fold, Graph, Id, Node, Unary};
use super::tape::Tape;

/// Most unknowns and tables of one law: each is a bit.
pub(crate) const MAX_SCOPES: usize = 60;

/// What a root or a sum binds.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// The unknown of a root, by its name.
    Unknown(String),
    /// An inner table.
    Table(Table),
}

impl Scope {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            Self::Table(table) => &table.name,
        }
    }
}

/// Columns of points that sums run over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Those that the text uses, in order of appearance.
    pub(crate) columns: Vec<String>,
    /// Every row sums all of it; else the row says which stretch.
    pub(crate) whole: bool,
    /// The values of the columns, if they are known yet.
    pub(crate) data: Option<Vec<Arc<[f64]>>>,
}

impl Table {
    /// How many points it has; zero as long as it has no data.
    pub(crate) fn len(&self) -> usize {
        self.data.as_ref().and_then(|data| data.first()).map_or(0, |column| column.len())
    }
}

/// The bit of a scope in the dependencies of a node; the first two are parameters and columns.
pub(crate) fn bit(scope: u32) -> u64 {
    4 << scope
}

impl Graph {
    /// An empty graph with the same scopes.
    pub(crate) fn like(&self) -> Self {
        let mut graph = Self::default();
        graph.scopes.clone_from(&self.scopes);
        graph
    }

    /// The scope of an unknown or table, a new one if there is none of that name; none if there are too many.
    pub(crate) fn scope(&mut self, name: &str, make: impl FnOnce() -> Scope) -> Option<u32> {
        let known = self.scopes.iter().position(|scope| scope.name() == name);
        if known.is_none() && self.scopes.len() == MAX_SCOPES {
            return None;
        }
        let index = known.unwrap_or_else(|| {
            self.scopes.push(make());
            self.scopes.len() - 1
        });
        Some(index as u32)
    }

    pub(crate) fn table(&self, scope: u32) -> &Table {
        match &self.scopes[scope as usize] {
            Scope::Table(table) => table,
            Scope::Unknown(_) => unreachable!("only tables have columns"),
        }
    }

    /// The node of a table's column; the column is added to those in use.
    pub(crate) fn inner(&mut self, scope: u32, column: &str) -> Id {
        let Scope::Table(table) = &mut self.scopes[scope as usize] else { unreachable!("only tables have columns") };
        let index = table.columns.iter().position(|known| known == column).unwrap_or_else(|| {
            table.columns.push(column.to_owned());
            table.columns.len() - 1
        });
        self.intern(Node::Inner(scope, index as u32))
    }

    pub(crate) fn unknown(&mut self, scope: u32) -> Id {
        self.intern(Node::Unknown(scope))
    }

    /// Whether a node depends on the unknown or table.
    pub(crate) fn within(&self, id: Id, scope: u32) -> bool {
        self.deps(id) & bit(scope) != 0
    }

    /// Whether a node depends on any unknown or table that is not bound yet.
    pub(crate) fn is_local(&self, id: Id) -> bool {
        self.deps(id) >= 4
    }

    /// The table whose columns alone a node is made of.
    pub(crate) fn scope_of(&self, id: Id) -> Option<u32> {
        let deps = self.deps(id);
        let scope = deps.trailing_zeros().checked_sub(2)?;
        (deps == bit(scope) && matches!(self.scopes[scope as usize], Scope::Table(_))).then_some(scope)
    }

    /// The table and its stretch for a node made of columns of rows and of one table.
    pub(crate) fn pairs_of(&self, id: Id) -> Option<(u32, Id, Id)> {
        let scope = (self.deps(id) & !3).trailing_zeros().checked_sub(2).filter(|&scope| scope < MAX_SCOPES as u32)?;
        if self.deps(id) & !3 != bit(scope) || self.has_parameters(id) {
            return None;
        }
        (0..self.len() as u32).find_map(|id| match self.node(Id(id)) {
            Node::Over { scope: own, first, last, .. } if own == scope => Some((own, first, last)),
            _ => None,
        })
    }

    /// The nodes that a body takes from outside of a scope, constants left out; each once.
    pub(crate) fn captured(&self, bodies: &[Id], scope: u32) -> Vec<Id> {
        let mut seen = vec![false; self.len()];
        let mut stack: Vec<Id> = bodies.iter().rev().copied().collect();
        let mut found = Vec::new();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) || matches!(self.node(id), Node::Const(_)) {
                continue;
            }
            if self.within(id, scope) {
                stack.extend(self.operands(id).into_iter().rev());
            } else {
                found.push(id);
            }
        }
        found
    }

    /// The largest parts of bodies that are made of a table's columns alone.
    pub(crate) fn derived(&self, bodies: &[Id], scope: u32) -> Vec<Id> {
        let mut seen = vec![false; self.len()];
        let mut stack: Vec<Id> = bodies.iter().rev().copied().collect();
        let mut found = Vec::new();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) || !self.within(id, scope) {
                continue;
            }
            if self.deps(id) == bit(scope) {
                found.push(id);
            } else {
                stack.extend(self.operands(id).into_iter().rev());
            }
        }
        found
    }

    /// A node made of a table's columns alone, at every point; empty as long as there are no data.
    pub(crate) fn table_values(&self, id: Id, scope: u32) -> Arc<[f64]> {
        let table = self.table(scope);
        let tape = Tape::build(self, &[id], |id| matches!(self.node(id), Node::Inner(..)), false);
        match &table.data {
            None => Arc::new([]),
            Some(_) => super::evaluate_tape(self, &tape, &[], &[], table.len())
                .map_or_else(|_| Arc::new([]) as Arc<[f64]>, |mut values| values.swap_remove(0).into()),
        }
    }

    /// The node of an unknown.
    pub(crate) fn find_unknown(&self, scope: u32) -> Id {
        self.find(Node::Unknown(scope)).expect("the unknown of a root is made before it")
    }

    /// The sum of `body` over the points of a table from `first` up to, not including, `last`.
    pub(crate) fn sum(&mut self, scope: u32, body: Id, first: Id, last: Id) -> Id {
        if self.is(body, 0.0) {
            return body;
        }
        // What does not change from point to point stands outside, so that sums that differ in it alone are one.
        match self.node(body) {
            Node::Unary(Unary::Neg, a) => {
                let inner = self.sum(scope, a, first, last);
                return self.neg(inner);
            }
            Node::Binary(Binary::Mul, a, b) if !self.within(a, scope) => {
                let inner = self.sum(scope, b, first, last);
                return product(self, a, inner);
            }
            Node::Binary(Binary::Mul, a, b) if !self.within(b, scope) => {
                let inner = self.sum(scope, a, first, last);
                return product(self, inner, b);
            }
            Node::Binary(Binary::Div, a, b) if !self.within(b, scope) => {
                let inner = self.sum(scope, a, first, last);
                return self.div(inner, b);
            }
            _ => {}
        }
        if !self.within(body, scope) && !self.is(body, 1.0) {
            let one = self.constant(1.0);
            let count = self.sum(scope, one, first, last);
            return product(self, body, count);
        }
        let id = self.intern(Node::Over { fold: Fold::Sum, scope, body, first, last });
        self.folded(id)
    }

    /// The largest `body` among the points of a table from `first` up to, not including, `last`.
    pub(crate) fn most(&mut self, scope: u32, body: Id, first: Id, last: Id) -> Id {
        let id = self.intern(Node::Over { fold: Fold::Most, scope, body, first, last });
        self.folded(id)
    }

    pub(crate) fn over(&mut self, fold: Fold, scope: u32, body: Id, first: Id, last: Id) -> Id {
        match fold {
            Fold::Sum => self.sum(scope, body, first, last),
            Fold::Most => self.most(scope, body, first, last),
        }
    }

    /// Whether two nodes make the same of the points of one table in one range.
    pub(crate) fn same_range(&self, a: Id, b: Id) -> bool {
        let range = |id| match self.node(id) {
            Node::Over { fold, scope, first, last, .. } => Some((fold, scope, first, last)),
            _ => None,
        };
        range(a).is_some() && range(a) == range(b)
    }

    /// The value of the unknown between `low` and `high` at which `body` changes sign.
    pub(crate) fn root(&mut self, scope: u32, body: Id, low: Id, high: Id) -> Id {
        self.unknown(scope);
        let slope = Deriver::default().derive(self, body, By::Unknown(scope));
        let id = self.intern(Node::Root { scope, body, slope, low, high });
        self.folded(id)
    }

    /// A constant in place of a node that depends on nothing, if its tables have data.
    fn folded(&mut self, id: Id) -> Id {
        if self.deps(id) != 0
            || self
                .reach(vec![id])
                .any(|next| matches!(self.node(next), Node::Inner(scope, _) if self.table(scope).data.is_none()))
        {
            return id;
        }
        let tape = Tape::build(self, &[id], |_| false, false);
        match super::evaluate_tape(self, &tape, &[], &[], 1) {
            Ok(values) => self.constant(values[0][0]),
            Err(_) => id,
        }
    }

    /// `id` with `with` in place of the unknown of a scope.
    pub(crate) fn replace(&mut self, id: Id, scope: u32, with: Id, known: &mut HashMap<Id, Id>) -> Id {
        if !self.within(id, scope) {
            return id;
        }
        if let Some(&done) = known.get(&id) {
            return done;
        }
        let result = match self.node(id) {
            Node::Const(_) | Node::Param(_) | Node::Column(_) | Node::Inner(..) => id,
            Node::Unknown(_) => with,
            Node::Unary(op, a) => {
                let a = self.replace(a, scope, with, known);
                self.unary(op, a)
            }
            Node::Binary(op, a, b) => {
                let [a, b] = [a, b].map(|id| self.replace(id, scope, with, known));
                self.binary(op, a, b)
            }
            Node::Select(a, b, c) => {
                let [a, b, c] = [a, b, c].map(|id| self.replace(id, scope, with, known));
                self.select(a, b, c)
            }
            Node::Over { fold, scope: table, body, first, last } => {
                let body = self.replace(body, scope, with, known);
                self.over(fold, table, body, first, last)
            }
            Node::Root { scope: own, body, low, high, .. } => {
                let [body, low, high] = [body, low, high].map(|id| self.replace(id, scope, with, known));
                self.root(own, body, low, high)
            }
        };
        known.insert(id, result);
        result
    }
}
