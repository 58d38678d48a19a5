//! Proven bounds on the least value between cells, by branch and bound over intervals.
//!
//! A box is judged by two intervals: of the expression itself, and of `f(c) + sum_i g_i (x_i - c_i)` with `c` its centre and
//! `g_i` an interval of the slope along axis `i` over the whole box (the mean value form), of which the excess falls with the
//! square of the box. Where a slope has one sign the box is reduced to its lower face. Boxes in which the condition holds
//! nowhere are left out. The box with the least bound is halved along the axis that moves the value most, until the bound is
//! close enough or as many boxes were judged as are allowed; the bound holds whenever one stops (E. Hansen and
//! G. W. Walster, *Global Optimization Using Interval Analysis*, 2nd ed. 2004, ch. 12).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering as Memory};

use super::interval::Interval;
use super::plan::{Definition, Reader};
use super::slope::slopes_of;
use crate::error::Result;
use crate::expr::{Binary, Graph, Id, Node, Unary};
use crate::job::{Control, Job};

/// Boxes of which the least value is to be bounded.
#[derive(Debug)]
pub struct Between<'a> {
    /// Named expressions, as for a search.
    pub definitions: &'a [Definition],
    /// The value.
    pub minimize: &'a str,
    /// Where a point counts; everywhere without.
    pub condition: Option<&'a str>,
    /// Columns that the texts may name.
    pub columns: &'a [&'a str],
    /// `groups × columns`: the least value of each column.
    pub low: &'a [f64],
    /// `groups × columns`: the largest value of each column.
    pub high: &'a [f64],
    /// A value that is reached in each group; groups where it is NaN are left out.
    pub reached: &'a [f64],
    /// A bound that is no further below what is reached is close enough.
    pub close: &'a [f64],
    /// Most boxes to judge for each group.
    pub most: usize,
}

/// One operation on the values before it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Number(f64),
    Column(usize),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Select(usize, usize, usize),
    /// Of which nothing is known: roots and sums.
    Unknown,
}

/// The texts as a list of operations.
struct Program {
    steps: Vec<Step>,
    value: usize,
    condition: Option<usize>,
    columns: usize,
}

impl Program {
    fn new(graph: &Graph, value: Id, condition: Option<Id>, columns: usize) -> Self {
        let mut order: Vec<Id> = graph.needed(std::iter::once(value).chain(condition).collect()).collect();
        order.sort_unstable(); // operands come before their users
        let place: HashMap<Id, usize> = order.iter().enumerate().map(|(k, &id)| (id, k)).collect();
        let steps = order
            .iter()
            .map(|&id| match graph.node(id) {
                Node::Const(bits) => Step::Number(f64::from_bits(bits)),
                Node::Column(c) => Step::Column(c as usize),
                Node::Unary(op, a) => Step::Unary(op, place[&a]),
                Node::Binary(op, a, b) => Step::Binary(op, place[&a], place[&b]),
                Node::Select(a, b, c) => Step::Select(place[&a], place[&b], place[&c]),
                _ => Step::Unknown,
            })
            .collect();
        Self { steps, value: place[&value], condition: condition.map(|id| place[&id]), columns }
    }
}

/// A box with what is known of it.
#[derive(Debug)]
struct Part {
    bound: f64,
    sides: Vec<Interval>,
    /// The axis to halve.
    widest: Option<usize>,
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Part {}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    /// The least bound is the first that a heap gives.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.total_cmp(&self.bound)
    }
}

/// What one thread works in.
struct Desk<'a> {
    program: &'a Program,
    values: Vec<Interval>,
    /// For each value one number for each side.
    slopes: Vec<Interval>,
}

impl Desk<'_> {
    fn values(&mut self, sides: &[Interval]) {
        for (k, step) in self.program.steps.iter().enumerate() {
            let (before, to) = self.values.split_at_mut(k);
            to[0] = match *step {
                Step::Number(x) => Interval::point(x),
                Step::Column(c) => sides[c],
                Step::Unary(op, a) => before[a].unary(op),
                Step::Binary(op, a, b) => Interval::binary(op, before[a], before[b]),
                Step::Select(a, b, c) => Interval::select(before[a], before[b], before[c]),
                Step::Unknown => Interval { gaps: true, ..Interval::ALL },
            };
        }
    }

    /// A box, judged; none where no point of it counts.
    fn judge(&mut self, mut sides: Vec<Interval>, mut bound: f64) -> Option<Part> {
        let columns = self.program.columns;
        loop {
            self.values(&sides);
            let value = self.values[self.program.value];
            let condition = self.program.condition.map(|at| self.values[at]);
            if value.is_nothing() || condition.is_some_and(|holds| holds.is(0.0)) {
                return None;
            }
            bound = bound.max(value.low);
            slopes_of(&self.program.steps, &self.values, &mut self.slopes, &sides);
            let at = self.program.value * columns;
            let slopes: Vec<Interval> = self.slopes[at..at + columns].to_vec();
            let moving: Vec<usize> = (0..columns).filter(|&c| sides[c].low < sides[c].high).collect();
            let everywhere = !value.gaps && condition.is_none_or(|holds| !holds.holds(0.0));
            let mut reduced = false;
            for &c in moving.iter().filter(|_| everywhere) {
                let face = if slopes[c].gaps {
                    continue;
                } else if slopes[c].low > 0.0 {
                    sides[c].low
                } else if slopes[c].high < 0.0 {
                    sides[c].high
                } else {
                    continue;
                };
                sides[c] = Interval::point(face);
                reduced = true;
            }
            if reduced {
                continue;
            }
            let smooth = |&c: &usize| slopes[c].is_finite() && !slopes[c].gaps;
            if !value.gaps && !moving.is_empty() && moving.iter().all(smooth) {
                let centre: Vec<Interval> = sides.iter().map(|side| Interval::point(middle(*side))).collect();
                self.values(&centre);
                let mean = moving.iter().fold(self.values[self.program.value], |sum, &c| {
                    sum.plus(slopes[c].times(sides[c].minus(centre[c])))
                });
                if !mean.gaps && mean.low > bound {
                    bound = mean.low;
                }
            }
            let halves = |c: &usize| sides[*c].low < middle(sides[*c]) && middle(sides[*c]) < sides[*c].high;
            let reach = |c: usize| {
                let steep = slopes[c].size().high;
                // Of an unknown slope the relative width is all that can be compared.
                let scale = if steep.is_finite() { steep } else { 1.0 / sides[c].size().high.max(f64::MIN_POSITIVE) };
                (steep.is_infinite(), scale * (sides[c].high - sides[c].low))
            };
            let widest = moving.iter().copied().filter(halves).reduce(|a, b| {
                let later = reach(b).partial_cmp(&reach(a)) == Some(Ordering::Greater);
                if later { b } else { a }
            });
            return Some(Part { bound, sides, widest });
        }
    }

    /// A proven lower bound on the least value.
    fn least(&mut self, sides: Vec<Interval>, reached: f64, close: f64, most: usize) -> f64 {
        let enough = reached - close;
        let mut heap = BinaryHeap::new();
        heap.extend(self.judge(sides, f64::NEG_INFINITY));
        let mut judged = 1;
        while let Some(part) = heap.pop() {
            let (Some(c), true, true) = (part.widest, part.bound < enough, judged < most) else {
                return part.bound.min(reached);
            };
            let (side, half) = (part.sides[c], middle(part.sides[c]));
            for side in [Interval::new(side.low, half), Interval::new(half, side.high)] {
                let mut sides = part.sides.clone();
                sides[c] = side;
                heap.extend(self.judge(sides, part.bound));
                judged += 1;
            }
        }
        reached
    }
}

fn middle(side: Interval) -> f64 {
    if side.low == side.high { side.low } else { (0.5 * side.low + 0.5 * side.high).clamp(side.low, side.high) }
}

impl Between<'_> {
    /// For each group a number that no point of its box is below; minus infinity where none can be proven.
    ///
    /// # Errors
    /// [`crate::Error::Syntax`] for a text that cannot be read, [`crate::Error::Shape`] for arrays that do not fit, and
    /// [`crate::Error::Interrupted`].
    pub fn run(&self, job: Job, control: &Control<'_>) -> Result<Vec<f64>> {
        let (groups, columns) = (self.reached.len(), self.columns.len());
        for (what, values, size) in
            [("low", self.low, groups * columns), ("high", self.high, groups * columns), ("close", self.close, groups)]
        {
            crate::expr::shape(what, values.len(), size)?;
        }
        let mut reader = Reader::new(self.columns, self.definitions)?;
        let value = reader.read(self.minimize)?;
        let condition = self.condition.map(|text| reader.read(text)).transpose()?;
        let program = Program::new(&reader.graph, value, condition, columns);
        let next = AtomicUsize::new(0);
        let size = program.steps.len();
        let found = job.run(control, groups, groups * self.most * size, |control| {
            let mut desk = Desk {
                program: &program,
                values: vec![Interval::ZERO; size],
                slopes: vec![Interval::ZERO; size * columns],
            };
            let mut found = Vec::new();
            loop {
                let group = next.fetch_add(1, Memory::Relaxed);
                if group >= groups || control.is_cancelled() {
                    return found;
                }
                let row = group * columns..(group + 1) * columns;
                let sides = self.low[row.clone()].iter().zip(&self.high[row]);
                let sides: Vec<Interval> = sides.map(|(&low, &high)| Interval::new(low, high)).collect();
                if self.reached[group].is_finite() {
                    found.push((group, desk.least(sides, self.reached[group], self.close[group], self.most)));
                }
                control.add(1);
            }
        })?;
        let mut made = vec![f64::NEG_INFINITY; groups];
        for (group, bound) in found.into_iter().flatten() {
            made[group] = bound;
        }
        Ok(made)
    }
}
