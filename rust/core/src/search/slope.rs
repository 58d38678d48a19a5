//! Slopes over a box: for each value an interval of its derivative along each column, by the rules of differentiation.
//!
//! Where a value jumps, or has no value at some point of the box, nothing is known of its slope. A kink has all slopes
//! between those of its sides (F. H. Clarke, *Optimization and Nonsmooth Analysis*, SIAM 1990), for which the mean value
//! theorem holds.

use super::bound::Step;
use super::interval::Interval;
use crate::expr::{Binary, Unary};

const NO_SLOPE: Interval = Interval { gaps: true, ..Interval::ALL };

/// Fills `slopes`, a number for each column for each value, from the values over a box.
pub(super) fn slopes_of(steps: &[Step], values: &[Interval], slopes: &mut [Interval], sides: &[Interval]) {
    let columns = sides.len();
    for (k, step) in steps.iter().enumerate() {
        let (before, to) = slopes.split_at_mut(k * columns);
        for c in 0..columns {
            let of = |at: usize| before[at * columns + c];
            to[c] = match *step {
                Step::Number(_) => Interval::ZERO,
                Step::Column(own) => Interval::point(if own == c { 1.0 } else { 0.0 }),
                Step::Unknown => NO_SLOPE,
                Step::Unary(_, a) if of(a).is(0.0) => Interval::ZERO,
                Step::Unary(op, a) => unary(op, values[a], values[k]).times(of(a)),
                Step::Binary(_, a, b) if of(a).is(0.0) && of(b).is(0.0) => Interval::ZERO,
                Step::Binary(op, a, b) => binary(op, [values[a], values[b], values[k]], of(a), of(b)),
                Step::Select(a, b, c) => select(values[a], of(b), of(c)),
            };
            if values[k].gaps && !to[c].is(0.0) {
                to[c] = NO_SLOPE;
            }
        }
    }
}

/// The derivative of a function at `a`, where it has the value `made`.
fn unary(op: Unary, a: Interval, made: Interval) -> Interval {
    let one = Interval::point(1.0);
    match op {
        Unary::Neg => Interval::point(-1.0),
        Unary::Hold => one,
        Unary::Exp => made,
        Unary::Expm1 => a.unary(Unary::Exp),
        Unary::Log => one.over(a),
        Unary::Log2 => {
            one.over(a.times(Interval::new(std::f64::consts::LN_2.next_down(), std::f64::consts::LN_2.next_up())))
        }
        Unary::Log10 => {
            one.over(a.times(Interval::new(std::f64::consts::LN_10.next_down(), std::f64::consts::LN_10.next_up())))
        }
        Unary::Log1p => one.over(one.plus(a)),
        Unary::Sqrt => Interval::point(0.5).over(made),
        Unary::Tanh => one.minus(made.square()),
        Unary::Expit => made.times(one.minus(made)),
        Unary::Erf => {
            let factor = std::f64::consts::FRAC_2_SQRT_PI;
            a.square().negate().unary(Unary::Exp).times(Interval::new(factor.next_down(), factor.next_up()))
        }
        Unary::Abs if a.low >= 0.0 => one,
        Unary::Abs if a.high <= 0.0 => Interval::point(-1.0),
        Unary::Abs => Interval::new(-1.0, 1.0),
        Unary::Square => a.times(Interval::point(2.0)),
        Unary::Softplus => a.unary(Unary::Expit),
        Unary::Floor if made.low == made.high => Interval::ZERO,
        Unary::Floor => NO_SLOPE,
    }
}

/// The slope of a function of two values, of which the third is what it makes.
fn binary(op: Binary, [a, b, made]: [Interval; 3], x: Interval, y: Interval) -> Interval {
    match op {
        Binary::Add => x.plus(y),
        Binary::Sub => x.minus(y),
        Binary::Mul => x.times(b).plus(a.times(y)),
        Binary::Div => x.minus(made.times(y)).over(b),
        Binary::Pow if y.is(0.0) => {
            let less = b.minus(Interval::point(1.0));
            // Exact where it can be: a square has a linear slope.
            let less = if b.low == b.high && b.low.floor() == b.low { Interval::point(b.low - 1.0) } else { less };
            b.times(Interval::binary(Binary::Pow, a, less)).times(x)
        }
        Binary::Pow if a.low > 0.0 => made.times(y.times(a.unary(Unary::Log)).plus(b.times(x).over(a))),
        Binary::Min if a.high < b.low => x,
        Binary::Min if b.high < a.low => y,
        Binary::Max if a.low > b.high => x,
        Binary::Max if b.low > a.high => y,
        Binary::Min | Binary::Max => x.hull(y),
        Binary::Lt | Binary::Le | Binary::Eq if made.low == made.high => Interval::ZERO,
        Binary::Pow | Binary::Mod | Binary::Lt | Binary::Le | Binary::Eq => NO_SLOPE,
    }
}

fn select(condition: Interval, yes: Interval, no: Interval) -> Interval {
    if !condition.holds(0.0) {
        yes
    } else if condition.is(0.0) {
        no
    } else {
        NO_SLOPE // it may jump
    }
}
