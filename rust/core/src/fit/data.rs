//! What a law's rewriting asks of the data: means of columns, and whether they are positive.
//!
//! In a panel every curve is asked by itself. Its columns are centred at means of its own, and where curves answer
//! differently whether something is positive, each kind gets a program of its own: what a curve's fit is, bit for
//! bit, then does not depend on the curves beside it.

use std::collections::HashMap;

use crate::error::Result;
use crate::expr::{Binary, Columns, Expression, Graph, Id, Mean, Node, Tape, evaluate_tape};

/// The rows at hand, and whose they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Each over all rows.
    pub(crate) columns: &'a [&'a [f64]],
    pub(crate) count: usize,
    /// Panels: problem `b` owns the rows from `offsets[b]` to `offsets[b + 1]`. Without, all problems share all rows.
    pub(crate) offsets: Option<&'a [usize]>,
    /// The problems of a panel that are asked, where it is not all of them.
    pub(crate) members: Option<&'a [usize]>,
}

impl Rows<'_> {
    /// The stretches of rows that are asked, each by itself.
    fn stretches(&self) -> Vec<(usize, usize)> {
        let of = |offsets: &[usize], b: usize| (offsets[b], offsets[b + 1]);
        match (self.offsets, self.members) {
            (None, _) => vec![(0, self.count)],
            (Some(offsets), None) => (0..offsets.len() - 1).map(|b| of(offsets, b)).collect(),
            (Some(offsets), Some(members)) => members.iter().map(|&b| of(offsets, b)).collect(),
        }
    }
}

/// A law's data, and what was found out about them.
pub(crate) struct Data<'a> {
    law: &'a Expression,
    rows: Rows<'a>,
    stretches: Vec<(usize, usize)>,
    means: HashMap<Id, Option<Mean>>,
    /// Means that each problem has for itself, by problem; zero where there is none.
    own: Vec<Vec<f64>>,
    /// The same, by row.
    spread: Vec<Vec<f64>>,
    /// Of the stretches asked, those that answered yes to the first question that not all answered alike.
    split: Option<Vec<bool>>,
}

impl<'a> Data<'a> {
    pub(crate) fn new(law: &'a Expression, rows: Rows<'a>) -> Self {
        let stretches = rows.stretches();
        Self { law, rows, stretches, means: HashMap::new(), own: Vec::new(), spread: Vec::new(), split: None }
    }

    /// The columns with the means by row after them.
    fn columns(&self) -> Vec<&[f64]> {
        self.rows.columns.iter().copied().chain(self.spread.iter().map(Vec::as_slice)).collect()
    }

    /// Values of a node made of columns, over all rows.
    fn values(&self, graph: &Graph, id: Id) -> Option<Vec<f64>> {
        self.evaluate(graph, &[id]).ok().map(|mut values| values.swap_remove(0))
    }

    /// The values of nodes made of columns, each over all rows.
    pub(crate) fn evaluate(&self, graph: &Graph, nodes: &[Id]) -> Result<Vec<Vec<f64>>> {
        let leaf = |id| matches!(graph.node(id), Node::Column(_));
        let tape = Tape::build(graph, nodes, leaf, false);
        evaluate_tape(graph, &tape, &self.columns(), &[], self.rows.count)
    }

    /// The points of an inner table that each stretch of rows sums any of; of all stretches, whoever is asked.
    fn points(&self, graph: &Graph, scope: u32, stretches: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let table = graph.table(scope);
        let end = |what: &str| {
            let name = format!("{}.{what}", table.name);
            self.law.variables().iter().position(|known| *known == name).map(|at| self.rows.columns[at])
        };
        let (Some(first), Some(last)) = (end("first"), end("last")) else {
            return vec![(0, table.len()); stretches.len()];
        };
        let range = |&(from, to): &(usize, usize)| {
            let low = first[from..to].iter().fold(f64::INFINITY, |a, &b| a.min(b));
            let high = last[from..to].iter().fold(0.0, |a: f64, &b| a.max(b));
            if low < high { (low as usize, high as usize) } else { (0, 0) }
        };
        stretches.iter().map(range).collect()
    }

    /// Whether zero and a node compare so at each row, or at each inner point of each row, and the node is finite:
    /// of every stretch asked.
    fn each(&self, graph: &Graph, id: Id, compare: Binary) -> Vec<bool> {
        let good = |&v: &f64| compare.apply(0.0, v) == 1.0 && v.is_finite();
        let judge = |values: &[f64], stretches: &[(usize, usize)]| -> Vec<bool> {
            stretches.iter().map(|&(first, last)| values[first..last].iter().all(good)).collect()
        };
        let none = || vec![false; self.stretches.len()];
        if let Some(scope) = graph.scope_of(id) {
            let values = graph.table_values(id, scope);
            return if values.is_empty() {
                none()
            } else {
                judge(&values, &self.points(graph, scope, &self.stretches))
            };
        }
        if !graph.is_local(id) {
            return self.values(graph, id).map_or_else(none, |values| judge(&values, &self.stretches));
        }
        // Counted with the sum that the law itself would take.
        let Some((scope, first, last)) = graph.pairs_of(id) else { return none() };
        let mut graph = graph.clone();
        let (zero, one, most) = (graph.constant(0.0), graph.constant(1.0), graph.constant(f64::MAX));
        let good = graph.binary(compare, zero, id);
        let finite = graph.binary(Binary::Le, id, most);
        let bad = graph.select(finite, zero, one);
        let bad = graph.select(good, bad, one);
        let count = graph.sum(scope, bad, first, last);
        self.values(&graph, count).map_or_else(none, |counts| {
            self.stretches.iter().map(|&(first, last)| counts[first..last].iter().all(|&count| count == 0.0)).collect()
        })
    }

    /// Whether all stretches answer yes. If some do and some do not, the program at hand is of no use.
    fn all(&mut self, graph: &Graph, id: Id, compare: Binary) -> bool {
        let answers = self.each(graph, id, compare);
        let all = answers.iter().all(|&yes| yes);
        if !all && answers.contains(&true) && self.split.is_none() {
            self.split = Some(answers);
        }
        all
    }

    /// If the problems must be taken apart: which of those asked answered yes.
    pub(crate) fn split(&mut self) -> Option<Vec<bool>> {
        self.split.take()
    }

    /// The means that each problem has for itself, by problem.
    pub(crate) fn into_own(self) -> Vec<Vec<f64>> {
        self.own
    }

    fn find_mean(&mut self, graph: &Graph, id: Id) -> Option<Mean> {
        let scope = graph.scope_of(id);
        let values = match scope {
            Some(scope) => Some(graph.table_values(id, scope).to_vec()).filter(|values| !values.is_empty()),
            None if graph.is_local(id) => None,
            None => self.values(graph, id),
        }?;
        let owners = Rows { members: None, ..self.rows }.stretches();
        let stretches = scope.map_or_else(|| owners.clone(), |scope| self.points(graph, scope, &owners));
        let means = stretches.iter().map(|&(first, last)| {
            let mean = values[first..last].iter().sum::<f64>() / (last - first) as f64;
            if mean.is_finite() { mean } else { 0.0 }
        });
        let means: Vec<f64> = means.collect();
        if self.rows.offsets.is_none() || scope.is_some_and(|scope| graph.table(scope).whole) {
            return Some(Mean::Shared(means.first().copied().unwrap_or(0.0)));
        }
        // The same numbers are one mean, whichever pass asks.
        let at = self.own.iter().position(|known| *known == means).unwrap_or_else(|| {
            let mut rows = vec![0.0; self.rows.count];
            for (&(first, last), &mean) in owners.iter().zip(&means) {
                rows[first..last].fill(mean);
            }
            self.spread.push(rows);
            self.own.push(means);
            self.own.len() - 1
        });
        let (columns, parameters) = (self.law.variables().len(), self.law.parameters().len());
        Some(Mean::Own { column: (columns + at) as u32, parameter: (parameters + at) as u32 })
    }
}

impl Columns for Data<'_> {
    fn new_graph(&mut self) {
        self.means.clear();
    }

    fn mean(&mut self, graph: &Graph, id: Id) -> Option<Mean> {
        if let Some(&known) = self.means.get(&id) {
            return known;
        }
        let mean = self.find_mean(graph, id);
        self.means.insert(id, mean);
        mean
    }

    fn positive(&mut self, graph: &Graph, id: Id) -> bool {
        self.all(graph, id, Binary::Lt)
    }

    fn not_negative(&mut self, graph: &Graph, id: Id) -> bool {
        self.all(graph, id, Binary::Le)
    }
}
