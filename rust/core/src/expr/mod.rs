//! Laws as expressions: text, graph, exact derivatives, straight-line programs.
//!
//! [`Expression`] is a parsed law. It can be evaluated and differentiated in the user's own parameters with the
//! rounding of its text; [`crate::fit`] rewrites it into coordinates fit for a solver first.

mod derive;
mod explain;
mod graph;
mod parse;
mod part;
mod rewrite;
mod run;
mod scope;
mod stable;
mod tape;

pub(crate) use derive::{By, Deriver};
pub(crate) use explain::{Labels, Names, counts, infix, listing};
pub(crate) use graph::{Binary, Graph, Id, Node, Rate, Unary, maximum, minimum};
pub use parse::{MAX_BOUND, MAX_CHAIN, MAX_DEPTH, MAX_LENGTH, MAX_NODES, MAX_PARAMETERS, MAX_ROOTS, names};
pub(crate) use parse::{Symbol, parse};
use scope::{Scope, Table};

pub(crate) use rewrite::{Columns, Coordinates, Mean, Rewritten, Shift, rewrite};
pub(crate) use run::{Inputs, Registers, run, run_first};
pub(crate) use tape::{Block, Instr, Src, Tape};

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::job::{Control, Job};
use crate::simd::{self, Level};

/// Elements per block of a column program.
pub(crate) const WIDE: usize = 128;
/// Values that one thread computes before it asks for more.
const PIECE: usize = 8192;

/// A parsed law: `text` with every name resolved to a column, a constant or a parameter.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    variables: Vec<String>,
    parameters: Vec<String>,
    linear: Vec<bool>,
    pub(crate) graph: Graph,
    pub(crate) root: Id,
    /// The root with its logarithms in stable form; what is evaluated.
    stable: Id,
}

/// Columns of points that the sums of a law run over.
#[derive(Debug, Clone, Default)]
pub struct InnerTable {
    /// What the text calls it.
    pub name: String,
    /// Its columns, all of one length.
    pub columns: Vec<(String, Vec<f64>)>,
}

impl InnerTable {
    /// The columns of these names.
    fn columns(&self, names: &[String]) -> Result<Vec<Arc<[f64]>>> {
        let length = self.columns.first().map_or(0, |(_, values)| values.len());
        for (name, values) in &self.columns {
            shape(&format!("{}.{name}", self.name), values.len(), length)?;
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                let reason = "the points of an inner table are finite numbers";
                return Err(Error::Value {
                    what: format!("{}.{name}", self.name),
                    value: values[index],
                    index,
                    reason,
                });
            }
        }
        let find = |name: &String| {
            if let Some((_, values)) = self.columns.iter().find(|(known, _)| known == name) {
                return Ok(values.as_slice().into());
            }
            let known: Vec<&str> = self.columns.iter().map(|(known, _)| known.as_str()).collect();
            let known = known.join(", ");
            Err(Error::Option(format!("the inner table '{}' has no column '{name}'; it has {known}", self.name)))
        };
        names.iter().map(find).collect()
    }

    /// Makes the table known to a graph, as one that every row sums whole.
    fn declare(&self, graph: &mut Graph) -> Result<()> {
        let columns: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let data = Some(self.columns(&columns)?);
        let table = Table { name: self.name.clone(), columns, whole: true, data };
        let _ = graph.scope(&self.name, || Scope::Table(table));
        Ok(())
    }
}

/// A table of which each row sums a stretch.
fn ranged(scope: &Scope) -> Option<&Table> {
    match scope {
        Scope::Table(table) if !table.whole => Some(table),
        _ => None,
    }
}

/// A law with its program.
pub(crate) struct Evaluator<'a> {
    law: &'a Expression,
    tape: Tape,
}

impl Evaluator<'_> {
    /// The law at so many rows of columns that were checked before.
    pub(crate) fn evaluate(&self, columns: &[&[f64]], parameters: &[f64], rows: usize) -> Result<Vec<f64>> {
        Ok(evaluate_tape(&self.law.graph, &self.tape, columns, parameters, rows)?.swap_remove(0))
    }
}

/// Values, gradients (`n × p`) and Hessians (`n × p × p`) at `n` points, row-major.
pub type Derivatives = (Vec<f64>, Vec<f64>, Vec<f64>);

impl Expression {
    /// Parses `text`. Names in `variables` are columns, names in `constants` are numbers, every other name is a
    /// parameter, in order of first appearance. Variables that the text does not use are left out.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the position of the offending character.
    pub fn parse(text: &str, variables: &[&str], constants: &[(&str, f64)]) -> Result<Self> {
        Self::parse_with(text, variables, constants, &[])
    }

    /// As [`Expression::parse`], with inner tables of which every row sums all points. Of any other inner table `k` each
    /// row sums a stretch, which two further columns give: `k.first` and `k.last`, after the other variables.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the position of the offending character; [`Error::Shape`] or [`Error::Value`] for a
    /// table that cannot be used.
    pub fn parse_with(
        text: &str,
        variables: &[&str],
        constants: &[(&str, f64)],
        tables: &[InnerTable],
    ) -> Result<Self> {
        let (used, named) = parse::scan(text)?;
        let mut variables: Vec<String> =
            variables.iter().filter(|v| used.iter().any(|u| u == *v)).map(|v| (*v).to_owned()).collect();
        let mut parameters: Vec<String> = Vec::new();
        let mut graph = Graph::default();
        let whole = |name: &str| tables.iter().find(|table| table.name == name);
        for Table { name, .. } in &named {
            match whole(name) {
                Some(table) => table.declare(&mut graph)?,
                None => variables.extend(parse::RANGE.map(|end| format!("{name}.{end}"))),
            }
        }
        let root = parse(text, &mut graph, &mut |name| {
            if let Some(index) = variables.iter().position(|v| v == name) {
                return Some(Symbol::Column(index as u32));
            }
            if let Some((_, end)) = name.split_once('.') {
                return Some(Symbol::Constant(if end == parse::RANGE[0] { 0.0 } else { f64::INFINITY }));
            }
            if let Some((_, value)) = constants.iter().find(|(constant, _)| *constant == name) {
                return Some(Symbol::Constant(*value));
            }
            let index = parameters.iter().position(|p| p == name).unwrap_or_else(|| {
                parameters.push(name.to_owned());
                parameters.len() - 1
            });
            Some(Symbol::Param(index as u32))
        })?;
        if let Some(name) = parameters.get(MAX_PARAMETERS) {
            let position = parse::position_of(text, name);
            return Err(Error::Syntax {
                message: format!("'{name}' is one of more than {MAX_PARAMETERS} parameters"),
                position,
            });
        }
        let stable = stable::stabilised(&mut graph, root);
        let linear = jointly_linear(&mut graph, root, parameters.len() as u32);
        Ok(Self { text: text.to_owned(), variables, parameters, linear, graph, root, stable })
    }

    /// The inner tables of which each row sums a stretch, with the columns that the text uses.
    pub fn inner(&self) -> Vec<(&str, &[String])> {
        self.graph.scopes.iter().filter_map(ranged).map(|table| (table.name.as_str(), &table.columns[..])).collect()
    }

    /// The same law with data for its inner tables.
    ///
    /// # Errors
    /// [`Error::Option`] naming a table or column that is missing; [`Error::Shape`] or [`Error::Value`] for columns that
    /// cannot be used.
    pub fn with_inner(&self, tables: &[InnerTable]) -> Result<Self> {
        let mut made = self.clone();
        for scope in &mut made.graph.scopes {
            if let Scope::Table(table) = scope
                && !table.whole
            {
                let name = &table.name;
                let Some(given) = tables.iter().find(|given| given.name == *name) else {
                    return Err(Error::Option(format!("the inner table '{name}' has no data")));
                };
                table.data = Some(given.columns(&table.columns)?);
            }
        }
        Ok(made)
    }

    /// Refuses inner tables without data, and ranges that no table has.
    pub(crate) fn check_inner(&self, columns: &[&[f64]]) -> Result<()> {
        for table in self.graph.scopes.iter().filter_map(ranged) {
            let name = &table.name;
            if table.data.is_none() {
                return Err(Error::Option(format!("the inner table '{name}' has no data")));
            }
            let column = |end: &str| {
                let what = format!("{name}.{end}");
                let at = self.variables.iter().position(|v| *v == what);
                (what, columns[at.expect("ranges are variables of the law")])
            };
            let ((_, first), (what, last)) = (column(parse::RANGE[0]), column(parse::RANGE[1]));
            let most = table.len() as f64;
            let good = |a: f64, b: f64| a >= 0.0 && a <= b && b <= most && a.fract() == 0.0 && b.fract() == 0.0;
            if let Some(index) = first.iter().zip(last).position(|(&a, &b)| !good(a, b)) {
                let reason = "ranges are whole numbers, 0 <= first <= last <= the points of the inner table";
                return Err(Error::Value { what, value: last[index], index, reason });
            }
        }
        Ok(())
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that the law reads.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The parameters, in order of first appearance.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// For each parameter, whether it belongs to the set in which the law is jointly linear.
    pub fn linear(&self) -> &[bool] {
        &self.linear
    }

    /// The law at every row of `columns` for one set of parameters.
    ///
    /// # Errors
    /// [`Error::Shape`] when a column or the parameters have the wrong length.
    pub fn evaluate(&self, columns: &[&[f64]], parameters: &[f64]) -> Result<Vec<f64>> {
        let rows = self.check(columns, parameters)?;
        let tape = self.tape(&[self.stable]);
        let mut out = evaluate_tape(&self.graph, &tape, columns, parameters, rows)?;
        Ok(out.swap_remove(0))
    }

    /// The law at every row for many sets of parameters (`sets × p`, row-major), as `sets × rows`.
    ///
    /// # Errors
    /// [`Error::Shape`] when a column or the parameters have the wrong length; [`Error::Interrupted`] when `control`
    /// was told to stop.
    pub fn evaluate_many(
        &self,
        columns: &[&[f64]],
        parameters: &[f64],
        job: Job,
        control: &Control<'_>,
    ) -> Result<Vec<f64>> {
        let p = self.parameters.len().max(1);
        let several = parameters.len() > p && parameters.len().is_multiple_of(p);
        let sets = if several { parameters.len() / p } else { 1 };
        let rows = self.check(columns, if several { &parameters[..p] } else { parameters })?;
        let tape = self.tape(&[self.stable]);
        let mut out = crate::error::zeros("the values", sets, rows)?;
        // Pieces, taken in turn: some whole sets where rows are few, stretches of one set where they are many.
        let size = (PIECE / rows.max(1)).max(1);
        let span = if size > 1 { size * rows } else { PIECE };
        let pieces = out.chunks_mut((size * rows).max(1)).enumerate().flat_map(|(k, whole)| {
            whole.chunks_mut(span).enumerate().map(move |(j, piece)| (k * size, j * span, piece))
        });
        let pieces = Mutex::new(pieces);
        let parts = job.run(control, sets, sets * rows, |control| {
            while !control.is_cancelled() {
                let Some((set, from, piece)) = pieces.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                    break;
                };
                let width = rows.min(piece.len());
                let here: Vec<&[f64]> = columns.iter().map(|column| &column[from..from + width]).collect();
                for (k, values) in piece.chunks_mut(width).enumerate() {
                    let at = if several { &parameters[(set + k) * p..(set + k + 1) * p] } else { parameters };
                    values.copy_from_slice(&evaluate_tape(&self.graph, &tape, &here, at, width)?[0]);
                }
                control.add(piece.len() / rows);
            }
            Ok(())
        })?;
        parts.into_iter().collect::<Result<()>>()?;
        Ok(out)
    }

    /// The law ready to be evaluated many times, from several threads.
    pub(crate) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { law: self, tape: self.tape(&[self.stable]) }
    }

    /// Value, gradient and Hessian in the parameters at every row.
    ///
    /// # Errors
    /// [`Error::Shape`] when a column or the parameters have the wrong length.
    pub fn derivatives(&self, columns: &[&[f64]], parameters: &[f64]) -> Result<Derivatives> {
        let rows = self.check(columns, parameters)?;
        let p = self.parameters.len();
        let mut graph = self.graph.clone();
        let mut deriver = Deriver::default();
        let mut wanted = vec![self.stable];
        for j in 0..p as u32 {
            wanted.push(deriver.derive(&mut graph, self.stable, By::Param(j)));
        }
        for j in 0..p {
            for k in 0..p {
                let by = By::Param(j.max(k) as u32);
                wanted.push(deriver.derive(&mut graph, wanted[1 + j.min(k)], by));
            }
        }
        let tape = Tape::build(&graph, &wanted, is_leaf(&graph), false);
        let values = evaluate_tape(&graph, &tape, columns, parameters, rows)?;
        let interleave = |from: usize, count: usize| {
            let mut out = vec![0.0; rows * count];
            for (j, column) in values[from..from + count].iter().enumerate() {
                for (row, &value) in column.iter().enumerate() {
                    out[row * count + j] = value;
                }
            }
            out
        };
        Ok((values[0].clone(), interleave(1, p), interleave(1 + p, p * p)))
    }

    fn tape(&self, outputs: &[Id]) -> Tape {
        Tape::build(&self.graph, outputs, is_leaf(&self.graph), false)
    }

    fn check(&self, columns: &[&[f64]], parameters: &[f64]) -> Result<usize> {
        shape("the list of columns", columns.len(), self.variables.len())?;
        shape("the parameters", parameters.len(), self.parameters.len())?;
        let rows = columns.first().map_or(1, |column| column.len());
        for (name, column) in self.variables.iter().zip(columns) {
            shape(name, column.len(), rows)?;
        }
        self.check_inner(columns)?;
        Ok(rows)
    }
}

pub(crate) fn shape(what: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { what: what.to_owned(), found, expected })
}

fn is_leaf(graph: &Graph) -> impl Fn(Id) -> bool + '_ {
    |id| matches!(graph.node(id), Node::Column(_) | Node::Param(_))
}

/// Greedily, in order: a parameter joins if the law has no curvature in it, alone or with those already in, and no
/// condition depends on it.
fn jointly_linear(graph: &mut Graph, root: Id, parameters: u32) -> Vec<bool> {
    let mut scratch = graph.clone();
    let mut deriver = Deriver::default();
    let mut linear = vec![false; parameters as usize];
    let switches = graph.params_of_conditions(root);
    for j in (0..parameters).filter(|j| !switches.contains(j)) {
        let slope = deriver.derive(&mut scratch, root, By::Param(j));
        let depends = scratch.params_of(slope);
        linear[j as usize] = !depends.iter().any(|&k| k == j || linear[k as usize]);
    }
    linear
}

/// Runs a tape whose inputs are columns, parameters and constants over all rows: one vector per output.
pub(crate) fn evaluate_tape(
    graph: &Graph,
    tape: &Tape,
    columns: &[&[f64]],
    parameters: &[f64],
    rows: usize,
) -> Result<Vec<Vec<f64>>> {
    let level = simd::level::active().map_err(Error::Option)?;
    let mut out = vec![vec![0.0; rows]; tape.outputs.len()];
    let mut inputs = vec![Block::<WIDE>::ZERO; tape.inputs.len()];
    for (input, &id) in inputs.iter_mut().zip(&tape.inputs) {
        match graph.node(id) {
            Node::Const(bits) => input.0 = [f64::from_bits(bits); WIDE],
            Node::Param(j) => input.0 = [parameters[j as usize]; WIDE],
            _ => {}
        }
    }
    let mut registers = Registers::of(tape);
    let mut start = 0;
    while start < rows {
        let count = WIDE.min(rows - start);
        for (input, &id) in inputs.iter_mut().zip(&tape.inputs) {
            match graph.node(id) {
                Node::Column(c) => input.0[..count].copy_from_slice(&columns[c as usize][start..start + count]),
                Node::Inner(scope, c) => {
                    let data = graph.table(scope).data.as_ref().expect("a table has data before it is summed over");
                    input.0[..count].copy_from_slice(&data[c as usize][start..start + count]);
                }
                _ => {}
            }
        }
        let view = Inputs { moving: &inputs, fixed: &[] };
        run_wide(level, &tape.instrs, &view, &mut registers);
        for (column, &src) in out.iter_mut().zip(&tape.outputs) {
            column[start..start + count].copy_from_slice(&registers.get(&view, src).0[..count]);
        }
        start += count;
    }
    Ok(out)
}

crate::dispatch! {
    /// One block of a column program at the chosen instruction set.
    pub(crate) fn run_wide<'a, 'b>(
        level_instrs: &'a [Instr], inputs: &'a Inputs<'b, WIDE>, registers: &'a mut Registers<WIDE>
    ) = run;
}

/// The instruction set in use.
///
/// # Errors
/// [`Error::Option`] when `ISOLOSS_SIMD` names a level that does not exist or that this machine lacks.
pub fn level() -> Result<Level> {
    simd::level::active().map_err(Error::Option)
}
