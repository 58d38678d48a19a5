//! What binds a name: the unknown of a root, the inner table of a sum.

use super::tokens::{Token, syntax};
use super::{FUNCTIONS, FURTHER, MAX_BOUND, MAX_ROOTS, Parser, RANGE, Symbol, WORDS};
use crate::error::Result;
use crate::expr::graph::Id;
use crate::expr::scope::{MAX_SCOPES, Scope, Table};

impl Parser<'_> {
    /// A name that an enclosing root or sum binds.
    pub(super) fn local(&mut self, name: &str, position: usize) -> Result<Option<Id>> {
        let bound = |wanted: &str| self.bound.iter().find(|(known, _)| known == wanted).map(|&(_, scope)| scope);
        let Some((table, column)) = name.split_once('.') else {
            return match bound(name) {
                Some(scope) if matches!(self.graph.scopes[scope as usize], Scope::Table(_)) => {
                    Err(syntax(position, format!("'{name}' is an inner table: write {name}.column")))
                }
                scope => Ok(scope.map(|scope| self.graph.unknown(scope))),
            };
        };
        match bound(table) {
            Some(scope) if matches!(self.graph.scopes[scope as usize], Scope::Table(_)) => {
                if RANGE.contains(&column) {
                    return Err(syntax(
                        position,
                        format!("'{name}' says which points a row sums; no column of the table"),
                    ));
                }
                let Table { columns, data, .. } = self.graph.table(scope);
                if data.is_some() && !columns.iter().any(|known| known == column) {
                    let known = columns.join(", ");
                    return Err(syntax(
                        position,
                        format!("the table '{table}' has no column '{column}'; it has {known}"),
                    ));
                }
                Ok(Some(self.graph.inner(scope, column)))
            }
            _ => Err(syntax(
                position,
                format!("'{name}' is a column of an inner table: it stands inside sum_over({table}, ...)"),
            )),
        }
    }

    /// The first argument of a root or sum, and its scope.
    fn binder(&mut self, function: &str, make: impl FnOnce(String) -> Scope) -> Result<(String, u32)> {
        let position = self.position();
        let Token::Name(name) = self.peek() else {
            let wanted = if function == "root" { "the unknown" } else { "the inner table" };
            return Err(syntax(position, format!("{function}() begins with the name of {wanted}")));
        };
        let reserved = FUNCTIONS.iter().any(|(known, _)| known == name) || FURTHER.contains(&name.as_str());
        if reserved || WORDS.contains(&name.as_str()) || name.contains('.') {
            return Err(syntax(
                position,
                format!("'{name}' cannot be the first argument of {function}(): it has a meaning"),
            ));
        }
        if self.bound.iter().any(|(known, _)| known == name) {
            return Err(syntax(position, format!("'{name}' is bound by an enclosing root() or sum_over() already")));
        }
        if self.bound.len() == MAX_BOUND {
            return Err(syntax(position, format!("root() and sum_over() nested more than {MAX_BOUND} levels deep")));
        }
        let made = make(name.clone());
        let is_table = matches!(made, Scope::Table(_));
        let is_unknown = |&&(_, scope): &&(String, u32)| matches!(self.graph.scopes[scope as usize], Scope::Unknown(_));
        if !is_table && self.bound.iter().filter(is_unknown).count() == MAX_ROOTS {
            return Err(syntax(position, format!("root() nested more than {MAX_ROOTS} levels deep")));
        }
        let Some(scope) = self.graph.scope(name, || made) else {
            return Err(syntax(position, format!("more than {MAX_SCOPES} unknowns and inner tables")));
        };
        if matches!(self.graph.scopes[scope as usize], Scope::Table(_)) != is_table {
            return Err(syntax(position, format!("'{name}' is the unknown of a root and an inner table")));
        }
        self.at += 1;
        self.expect(",")?;
        Ok((name.clone(), scope))
    }

    fn body(&mut self, bound: (String, u32)) -> Result<Id> {
        self.bound.push(bound);
        let body = self.condition();
        self.bound.pop();
        body
    }

    pub(super) fn root(&mut self, position: usize) -> Result<Id> {
        let (name, scope) = self.binder("root", Scope::Unknown)?;
        let body = self.body((name.clone(), scope))?;
        if !self.graph.within(body, scope) {
            return Err(syntax(position, format!("root(): the equation does not hold its unknown '{name}'")));
        }
        self.expect(",")?;
        let low = self.condition()?;
        self.expect(",")?;
        let high = self.condition()?;
        self.expect(")")?;
        let id = self.graph.root(scope, body, low, high);
        self.check_chain(id)?;
        Ok(id)
    }

    pub(super) fn sum_over(&mut self, position: usize) -> Result<Id> {
        let table = |name| Scope::Table(Table { name, ..Table::default() });
        let (name, scope) = self.binder("sum_over", table)?;
        let mut range = [self.graph.constant(0.0); 2];
        for (end, which) in range.iter_mut().zip(RANGE) {
            *end = match (self.resolve)(&format!("{name}.{which}")) {
                Some(Symbol::Column(index)) => self.graph.column(index),
                Some(Symbol::Constant(value)) => self.graph.constant(value),
                _ => return Err(syntax(position, format!("there is no inner table '{name}' here"))),
            };
        }
        let [first, last] = range;
        let body = self.body((name.clone(), scope))?;
        if !self.graph.within(body, scope) {
            return Err(syntax(position, format!("sum_over(): the term holds no column of its table '{name}'")));
        }
        self.expect(")")?;
        let id = self.graph.sum(scope, body, first, last);
        self.check_chain(id)?;
        Ok(id)
    }
}
