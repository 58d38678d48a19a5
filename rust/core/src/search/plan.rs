//! From expressions and axes to stages: every node is computed once on the grid of the axes it depends on.
//!
//! A node's *set* is the axes that its columns move along. Nodes of one set make a stage, whose results are tables over
//! that set. A stage that does not depend on all outer loops and fits in memory is computed before the search begins;
//! the others are computed for an outer cell over their inner loops only, and again when an outer loop that they depend
//! on has moved. What depends on the whole sheet is never tabulated: the last tape computes it block by block.

use std::collections::HashMap;

use super::axes::{Layout, Set};
use super::chain::{Chain, spine};
use crate::error::Result;
use crate::expr::{Graph, Id, Node, Symbol, Tape, parse};

/// Most numbers of a table that is computed before the search.
const TABLE: usize = 1 << 21;
/// Most numbers of all such tables together.
const TABLES: usize = 1 << 23;

/// A named expression over columns, numbers and the definitions before it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What other expressions call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Names that are numbers in this text only.
    pub constants: Vec<(String, f64)>,
    /// Names that stand for another in this text only.
    pub aliases: Vec<(String, String)>,
}

/// How the grid over a stage's set finds its place in a table.
#[derive(Debug, Clone)]
pub(crate) enum Map {
    /// The table has one number.
    Scalar,
    /// Cell by cell.
    Same,
    /// By index.
    Index(Vec<u32>),
}

impl Map {
    pub(crate) fn new(layout: &Layout, grid: Set, part: Set) -> Self {
        if part == 0 {
            Self::Scalar
        } else if part == grid {
            Self::Same
        } else {
            Self::Index(layout.project(grid, part))
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> usize {
        match self {
            Self::Scalar => 0,
            Self::Same => index,
            Self::Index(map) => map[index] as usize,
        }
    }
}

/// A number, or a place in a table.
#[derive(Debug, Clone)]
pub(crate) enum Feed {
    Number(f64),
    Slot(usize, Map),
}

/// Where a table comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Slot {
    pub(crate) set: Set,
    /// Computed before the search, over the whole set; else for an outer cell, over the inner part.
    pub(crate) global: bool,
}

/// The nodes of one set.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) set: Set,
    pub(crate) global: bool,
    pub(crate) tape: Tape,
    pub(crate) feeds: Vec<Feed>,
    /// First of the slots it fills, one for each output of the tape.
    pub(crate) first: usize,
}

/// How the last tape's inputs move along a row.
#[derive(Debug, Clone)]
pub(crate) enum Along {
    Number(f64),
    /// One number for each row.
    Row(usize, Map),
    /// A stretch for each row, at `length · map[row]`.
    Cells(usize, Map),
}

/// A search, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    /// The condition is false whatever the axes say.
    pub(crate) never: bool,
    pub(crate) slots: Vec<Slot>,
    /// Values of the columns in use: the first slots.
    pub(crate) columns: Vec<usize>,
    pub(crate) stages: Vec<Stage>,
    /// Conditions that hold or fail for a whole sheet, and for a whole row.
    pub(crate) sheet_terms: Vec<usize>,
    pub(crate) row_terms: Vec<(usize, Map)>,
    /// The value, the second value if there is one, then what holds cell by cell if anything does.
    pub(crate) last: Tape,
    pub(crate) last_feeds: Vec<Along>,
    pub(crate) values: usize,
    pub(crate) masked: bool,
    /// How the value of a row follows from the values along it, where that is monotone.
    pub(crate) chain: Option<Chain>,
}

struct Builder<'a> {
    graph: &'a Graph,
    layout: Layout,
    sets: HashMap<Id, Set>,
    slots: Vec<Slot>,
    place: HashMap<Id, usize>,
    /// Nodes that get no table, since a chain leads through them.
    spine: Vec<Id>,
}

impl Plan {
    /// `values` are the texts of one or two expressions; `condition` holds where a cell counts.
    pub(crate) fn new(
        layout: Layout,
        definitions: &[Definition],
        values: &[&str],
        condition: Option<&str>,
    ) -> Result<Self> {
        let names: Vec<&str> = layout.columns.iter().map(|column| column.name.as_str()).collect();
        let mut reader = Reader::new(&names, definitions)?;
        let roots = values.iter().map(|text| reader.read(text)).collect::<Result<Vec<Id>>>()?;
        let mut terms = Vec::new();
        if let Some(text) = condition {
            let root = reader.read(text)?;
            split(&reader.graph, root, &mut terms);
        }
        let graph = reader.graph;
        Ok(Self::assemble(graph, layout, &roots, &terms))
    }

    fn assemble(mut graph: Graph, layout: Layout, roots: &[Id], terms: &[Id]) -> Self {
        let mut sets = HashMap::new();
        for &id in roots.iter().chain(terms) {
            set_of(&graph, &layout, &mut sets, id);
        }
        let (inner, row) = (layout.inner_set(), layout.row_set());
        // What holds cell by cell is one node, so that the last tape gives one mask.
        let along: Vec<Id> = terms.iter().copied().filter(|id| sets[id] & row != 0).collect();
        let mask = along.iter().copied().reduce(|left, right| graph.and(left, right));
        if let Some(mask) = mask {
            set_of(&graph, &layout, &mut sets, mask);
        }
        let rest: Vec<Id> = terms.iter().copied().filter(|id| sets[id] & row == 0).collect();
        let mut last: Vec<Id> = roots.to_vec();
        last.extend(mask);
        let path = match (roots, mask) {
            ([root], None) => spine(&graph, &layout, &sets, *root),
            ([root], Some(mask)) if [row, inner].contains(&(sets[&mask] & inner)) => {
                spine(&graph, &layout, &sets, *root)
            }
            _ => None,
        };
        let above = path.as_ref().map_or(Vec::new(), |path| path[..path.len() - 1].to_vec());
        let mut builder =
            Builder { graph: &graph, layout, sets, slots: Vec::new(), place: HashMap::new(), spine: above };
        let columns = builder.columns(last.iter().chain(&rest));
        let stages = builder.stages(&last, &rest);
        let known = builder.place.clone();
        let tape = Tape::build(&graph, &last, |id| known.contains_key(&id), false);
        let last_feeds = builder.along(&tape);
        let chain = path.and_then(|path| Chain::new(&graph, &builder.layout, &builder.slots, &known, &path, mask));
        let Builder { layout, slots, place, sets, .. } = builder;
        let mut never = false;
        let mut sheet_terms = Vec::new();
        let mut row_terms = Vec::new();
        let rows = inner & !row;
        for id in rest {
            let slot = if let Some(value) = graph.constant_value(id) {
                never |= value == 0.0;
                continue;
            } else {
                place[&id]
            };
            if sets[&id] & inner == 0 {
                sheet_terms.push(slot);
            } else {
                row_terms.push((slot, Map::new(&layout, rows, sets[&id] & inner)));
            }
        }
        Self {
            layout,
            never,
            slots,
            columns,
            stages,
            sheet_terms,
            row_terms,
            last: tape,
            last_feeds,
            values: roots.len(),
            masked: mask.is_some(),
            chain,
        }
    }
}

impl Builder<'_> {
    /// The columns that any of the nodes reads, each in a slot.
    fn columns<'b>(&mut self, roots: impl Iterator<Item = &'b Id>) -> Vec<usize> {
        let mut used: Vec<(u32, Id)> = self
            .graph
            .needed(roots.copied().collect())
            .filter_map(|id| match self.graph.node(id) {
                Node::Column(c) => Some((c, id)),
                _ => None,
            })
            .collect();
        used.sort_unstable();
        for &(_, id) in &used {
            self.place.insert(id, self.slots.len());
            self.slots.push(Slot { set: self.sets[&id], global: true });
        }
        used.into_iter().map(|(c, _)| c as usize).collect()
    }

    fn stages(&mut self, last: &[Id], rest: &[Id]) -> Vec<Stage> {
        let inner = self.layout.inner_set();
        let mut reached: Vec<Id> = self.graph.needed(last.iter().chain(rest).copied().collect()).collect();
        reached.sort_unstable();
        let global = self.globals(&reached);
        // Nodes of the whole sheet belong to the last tape, unless they have a table.
        let tabulated = |id: Id, sets: &HashMap<Id, Set>| {
            let set = sets[&id];
            !matches!(self.graph.node(id), Node::Const(_) | Node::Column(_))
                && !self.spine.contains(&id)
                && (global.contains(&set) || inner == 0 || set & inner != inner)
        };
        // An output is what another stage, the last tape or a condition reads.
        let mut wanted: HashMap<Set, Vec<Id>> = HashMap::new();
        let mut want = |id: Id, sets: &HashMap<Id, Set>| {
            if tabulated(id, sets) {
                let list = wanted.entry(sets[&id]).or_default();
                if !list.contains(&id) {
                    list.push(id);
                }
            }
        };
        for &id in last.iter().chain(rest) {
            want(id, &self.sets);
        }
        for &id in &reached {
            for operand in self.graph.operands(id) {
                if self.sets[&operand] != self.sets[&id] || !tabulated(id, &self.sets) {
                    want(operand, &self.sets);
                }
            }
        }
        let mut order: Vec<Set> = wanted.keys().copied().collect();
        order.sort_unstable_by_key(|set| (set.count_ones(), *set));
        let mut stages = Vec::new();
        for set in order {
            let outputs = &wanted[&set];
            let known = &self.place;
            let tape = Tape::build(self.graph, outputs, |id| known.contains_key(&id), false);
            let is_global = global.contains(&set);
            let grid = if is_global { set } else { set & inner };
            let feeds = tape.inputs.iter().map(|&id| self.feed(id, grid, is_global)).collect();
            let first = self.slots.len();
            for &id in outputs {
                self.place.insert(id, self.slots.len());
                self.slots.push(Slot { set, global: is_global });
            }
            stages.push(Stage { set, global: is_global, tape, feeds, first });
        }
        stages
    }

    /// Sets whose tables are computed before the search: those that outer loops would compute again and again.
    fn globals(&self, reached: &[Id]) -> Vec<Set> {
        let mut sets: Vec<Set> = reached
            .iter()
            .filter(|id| !matches!(self.graph.node(**id), Node::Const(_) | Node::Column(_)))
            .map(|id| self.sets[id])
            .collect();
        sets.sort_unstable_by_key(|set| (set.count_ones(), *set));
        sets.dedup();
        let outer: Set = (0..self.layout.inner).map(|axis| self.layout.set_of(axis)).sum();
        let mut left = TABLES;
        let mut chosen: Vec<Set> = Vec::new();
        for set in sets {
            let size = self.layout.grid(set);
            // All that a table is made of must be there before it.
            if set & outer != outer && size <= TABLE.min(left) {
                left -= size;
                chosen.push(set);
            }
        }
        chosen
    }

    fn feed(&self, id: Id, grid: Set, global: bool) -> Feed {
        if let Some(value) = self.graph.constant_value(id) {
            return Feed::Number(value);
        }
        let slot = self.place[&id];
        let set = self.slots[slot].set;
        let part = if global { set } else { set & self.layout.inner_set() };
        Feed::Slot(slot, Map::new(&self.layout, grid, part))
    }

    fn along(&self, tape: &Tape) -> Vec<Along> {
        let (inner, row) = (self.layout.inner_set(), self.layout.row_set());
        tape.inputs
            .iter()
            .map(|&id| {
                if let Some(value) = self.graph.constant_value(id) {
                    return Along::Number(value);
                }
                let slot = self.place[&id];
                let part = self.slots[slot].set & inner;
                let map = Map::new(&self.layout, inner & !row, part & !row);
                if part & row == 0 { Along::Row(slot, map) } else { Along::Cells(slot, map) }
            })
            .collect()
    }
}

/// Texts over columns and definitions, as nodes of one graph.
pub(crate) struct Reader<'a> {
    pub(crate) graph: Graph,
    columns: &'a [&'a str],
    known: HashMap<String, Id>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(columns: &'a [&'a str], definitions: &[Definition]) -> Result<Self> {
        let mut made = Self { graph: Graph::default(), columns, known: HashMap::new() };
        for definition in definitions {
            let id = made.define(definition)?;
            made.known.insert(definition.name.clone(), id);
        }
        Ok(made)
    }

    pub(crate) fn read(&mut self, text: &str) -> Result<Id> {
        self.define(&Definition {
            name: String::new(),
            text: text.to_owned(),
            constants: Vec::new(),
            aliases: Vec::new(),
        })
    }

    fn define(&mut self, definition: &Definition) -> Result<Id> {
        let Self { graph, columns, known } = self;
        parse(&definition.text, graph, &mut |name| {
            if let Some((_, value)) = definition.constants.iter().find(|(constant, _)| constant == name) {
                return Some(Symbol::Constant(*value));
            }
            let alias = definition.aliases.iter().find(|(from, _)| from == name);
            let name = alias.map_or(name, |(_, to)| to.as_str());
            if let Some(c) = columns.iter().position(|column| *column == name) {
                return Some(Symbol::Column(c as u32));
            }
            known.get(name).map(|&id| Symbol::Node(id))
        })
    }
}

/// The conditions that a chain of `and` joins.
fn split(graph: &Graph, id: Id, terms: &mut Vec<Id>) {
    match graph.node(id) {
        Node::Select(condition, yes, no) if condition == no => {
            split(graph, condition, terms);
            split(graph, yes, terms);
        }
        _ => terms.push(id),
    }
}

fn set_of(graph: &Graph, layout: &Layout, sets: &mut HashMap<Id, Set>, id: Id) -> Set {
    if let Some(&set) = sets.get(&id) {
        return set;
    }
    let set = match graph.node(id) {
        Node::Column(c) => layout.set_of(layout.columns[c as usize].axis),
        _ => graph.operands(id).into_iter().fold(0, |set, operand| set | set_of(graph, layout, sets, operand)),
    };
    sets.insert(id, set);
    set
}
