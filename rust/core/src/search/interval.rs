//! Intervals that hold every value an operation can take: what proofs about the space between cells are made of.
//!
//! Ends are rounded outward by more than the error of each operation (see [`crate::simd::math`]), so that an interval holds
//! the exact value and the computed one at every point of its box (R. E. Moore, R. B. Kearfott and M. J. Cloud,
//! *Introduction to Interval Analysis*, SIAM 2009). An operation may have no value at some points, such as a logarithm
//! below zero; the interval is then of the others, and says so.

use crate::expr::{Binary, Unary};
use crate::simd::math;

/// All numbers from `low` to `high`; none at all where `low` is above `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether there may be points without a value.
    pub(crate) gaps: bool,
}

/// Units of the last place by which the ends of elementary functions are moved: twice their largest error, and some.
const SLACK: f64 = 8.0;

fn down(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { x } else { x.next_down() }
}

fn up(x: f64) -> f64 {
    if x == f64::INFINITY { x } else { x.next_up() }
}

impl Interval {
    pub(crate) const ZERO: Self = Self::point(0.0);
    pub(crate) const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, gaps: false };
    /// No value anywhere.
    const NOTHING: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY, gaps: true };

    pub(crate) const fn point(x: f64) -> Self {
        Self { low: x, high: x, gaps: false }
    }

    pub(crate) fn new(low: f64, high: f64) -> Self {
        Self { low, high, gaps: false }
    }

    fn or_gaps(self, gaps: bool) -> Self {
        Self { gaps: self.gaps | gaps, ..self }
    }

    /// Ends moved outward by a few units of the last place.
    fn loose(low: f64, high: f64) -> Self {
        let by = |x: f64| SLACK * f64::EPSILON * x.abs();
        let (low, high) =
            (low - if low.is_finite() { by(low) } else { 0.0 }, high + if high.is_finite() { by(high) } else { 0.0 });
        Self::new(down(low), up(high))
    }

    pub(crate) fn is_nothing(self) -> bool {
        !(self.low <= self.high)
    }

    pub(crate) fn is(self, x: f64) -> bool {
        self.low == x && self.high == x && !self.gaps
    }

    pub(crate) fn holds(self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    pub(crate) fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    pub(crate) fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), gaps: self.gaps | other.gaps }
    }

    pub(crate) fn negate(self) -> Self {
        Self { low: -self.high, high: -self.low, gaps: self.gaps }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        if self.is(0.0) {
            return other;
        }
        if other.is(0.0) {
            return self;
        }
        // Infinities of both signs have no sum.
        let clash = |a: f64, b: f64| a.is_infinite() && b == -a;
        let gaps = self.gaps | other.gaps | clash(self.low, other.high) | clash(self.high, other.low);
        if self.is_nothing() || other.is_nothing() {
            return Self::NOTHING;
        }
        let (low, high) = (self.low + other.low, self.high + other.high);
        let low = if low.is_nan() { f64::NEG_INFINITY } else { down(low) };
        let high = if high.is_nan() { f64::INFINITY } else { up(high) };
        Self { low, high, gaps }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(other.negate())
    }

    pub(crate) fn times(self, other: Self) -> Self {
        if self.is(0.0) && other.is_finite() || other.is(0.0) && self.is_finite() {
            return Self::ZERO.or_gaps(self.gaps | other.gaps);
        }
        if self.is_nothing() || other.is_nothing() {
            return Self::NOTHING;
        }
        let endless = |x: Self| !x.is_finite();
        let gaps = self.gaps | other.gaps | (self.holds(0.0) && endless(other)) | (other.holds(0.0) && endless(self));
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let all = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { low: down(low), high: up(high), gaps }
    }

    pub(crate) fn over(self, other: Self) -> Self {
        if self.is_nothing() || other.is_nothing() {
            return Self::NOTHING;
        }
        if self.is(0.0) && !other.holds(0.0) {
            return Self::ZERO.or_gaps(other.gaps);
        }
        if other.holds(0.0) || !other.is_finite() {
            return Self::ALL.or_gaps(true);
        }
        // Of a divisor without zero the reciprocal has its ends at the ends.
        let all = [self.low / other.low, self.low / other.high, self.high / other.low, self.high / other.high];
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { low: down(low), high: up(high), gaps: self.gaps | other.gaps }
    }

    pub(crate) fn square(self) -> Self {
        let size = self.size();
        if size.is_nothing() {
            return Self::NOTHING;
        }
        Self { low: down(size.low * size.low).max(0.0), high: up(size.high * size.high), gaps: self.gaps }
    }

    /// Absolute values.
    pub(crate) fn size(self) -> Self {
        if self.low >= 0.0 || self.is_nothing() {
            self
        } else if self.high <= 0.0 {
            self.negate()
        } else {
            Self { low: 0.0, high: self.high.max(-self.low), gaps: self.gaps }
        }
    }

    /// A rising function, without a value below `from`.
    fn rising(self, op: Unary, from: f64) -> Self {
        if self.is_nothing() || self.high < from {
            return Self::NOTHING;
        }
        let (low, high) = (op.apply(self.low.max(from)), op.apply(self.high));
        if low.is_nan() || high.is_nan() {
            return Self::ALL.or_gaps(true);
        }
        Self::loose(low, high).or_gaps(self.low < from)
    }

    pub(crate) fn unary(self, op: Unary) -> Self {
        match op {
            Unary::Neg => self.negate(),
            Unary::Hold => self,
            Unary::Abs => self.size(),
            Unary::Square => self.square(),
            Unary::Floor if self.is_nothing() => self,
            Unary::Floor => Self { low: self.low.floor(), high: self.high.floor(), gaps: self.gaps },
            Unary::Log | Unary::Log2 | Unary::Log10 => self.rising(op, 0.0),
            Unary::Sqrt => {
                let made = self.rising(op, 0.0);
                Self { low: made.low.max(0.0), ..made }
            }
            Unary::Log1p => self.rising(op, -1.0),
            Unary::Exp => {
                let made = self.rising(op, f64::NEG_INFINITY);
                Self { low: made.low.max(0.0), ..made }
            }
            Unary::Expm1 | Unary::Tanh | Unary::Expit | Unary::Erf | Unary::Softplus => {
                self.rising(op, f64::NEG_INFINITY)
            }
        }
    }

    pub(crate) fn binary(op: Binary, a: Self, b: Self) -> Self {
        let gaps = a.gaps | b.gaps;
        if matches!(op, Binary::Lt | Binary::Le | Binary::Eq) {
            return Self::compared(op, a, b);
        }
        if a.is_nothing() || b.is_nothing() {
            return Self::NOTHING;
        }
        match op {
            Binary::Add => a.plus(b),
            Binary::Sub => a.minus(b),
            Binary::Mul => a.times(b),
            Binary::Div => a.over(b),
            Binary::Min => Self { low: a.low.min(b.low), high: a.high.min(b.high), gaps },
            Binary::Max => Self { low: a.low.max(b.low), high: a.high.max(b.high), gaps },
            Binary::Mod => a.modulo(b),
            Binary::Pow => a.power(b),
            Binary::Lt | Binary::Le | Binary::Eq => Self::compared(op, a, b),
        }
    }

    /// What has no value compares as false.
    fn compared(op: Binary, a: Self, b: Self) -> Self {
        if a.is_nothing() || b.is_nothing() {
            return Self::ZERO;
        }
        let (always, never) = match op {
            Binary::Lt => (a.high < b.low, a.low >= b.high),
            Binary::Le => (a.high <= b.low, a.low > b.high),
            _ => (a.low == b.high && a.high == b.low, a.high < b.low || b.high < a.low),
        };
        if never {
            Self::ZERO
        } else if always && !a.gaps && !b.gaps {
            Self::point(1.0)
        } else {
            Self::new(0.0, 1.0)
        }
    }

    fn modulo(self, b: Self) -> Self {
        if b.holds(0.0) || !b.is_finite() || !self.is_finite() {
            return Self::ALL.or_gaps(true);
        }
        let gaps = self.gaps | b.gaps;
        let (one, other) = (self.low / b.low, self.high / b.low);
        let (one, other) = (down(one.min(other)).floor(), up(one.max(other)).floor());
        if b.low == b.high && one == other && one.abs() < 1e9 {
            // Between two multiples the remainder rises.
            return Self::loose(math::modulo(self.low, b.low), math::modulo(self.high, b.low)).or_gaps(gaps);
        }
        if b.low > 0.0 { Self { low: 0.0, high: b.high, gaps } } else { Self { low: b.low, high: 0.0, gaps } }
    }

    fn power(self, b: Self) -> Self {
        let gaps = self.gaps | b.gaps;
        if self.low < 0.0 {
            if b.low == b.high && b.low.floor() == b.low && b.low.abs() < 1e15 {
                let even = (0.5 * b.low).floor() == 0.5 * b.low;
                if even {
                    return self.size().power(b);
                }
                if b.low > 0.0 || self.high < 0.0 {
                    let ends = [math::pow(self.low, b.low), math::pow(self.high, b.low)];
                    return Self::loose(ends[0].min(ends[1]), ends[0].max(ends[1])).or_gaps(gaps);
                }
                return Self::ALL.or_gaps(true);
            }
            return Self::ALL.or_gaps(true);
        }
        if self.holds(0.0) && b.low < 0.0 {
            return Self::ALL.or_gaps(true);
        }
        let (low, high) = self.corners(b);
        if low.is_nan() || high.is_nan() {
            return Self::ALL.or_gaps(true);
        }
        let made = Self::loose(low, high);
        Self { low: made.low.max(0.0), high: made.high, gaps }
    }

    /// A power of what is not below zero is monotone in its base for each exponent, and in its exponent for each base:
    /// its extremes are at corners.
    fn corners(self, b: Self) -> (f64, f64) {
        let all = [(self.low, b.low), (self.low, b.high), (self.high, b.low), (self.high, b.high)]
            .map(|(a, b)| math::pow(a, b));
        let nan = all.iter().any(|x| x.is_nan());
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if nan { (f64::NAN, f64::NAN) } else { (low, high) }
    }

    /// `yes` where the condition is not zero, else `no`. Without a value it is not zero.
    pub(crate) fn select(condition: Self, yes: Self, no: Self) -> Self {
        let may_fail = condition.holds(0.0);
        let may_hold = !condition.is(0.0);
        match (may_hold, may_fail) {
            (true, true) => yes.hull(no),
            (true, false) => yes,
            _ => no,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNARY: [Unary; 16] = [
        Unary::Neg,
        Unary::Exp,
        Unary::Log,
        Unary::Log2,
        Unary::Log10,
        Unary::Log1p,
        Unary::Expm1,
        Unary::Sqrt,
        Unary::Tanh,
        Unary::Expit,
        Unary::Erf,
        Unary::Abs,
        Unary::Square,
        Unary::Floor,
        Unary::Softplus,
        Unary::Hold,
    ];
    const BINARY: [Binary; 11] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Pow,
        Binary::Min,
        Binary::Max,
        Binary::Mod,
        Binary::Lt,
        Binary::Le,
        Binary::Eq,
    ];

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            -4.0..4.0f64,
            (-8i32..8).prop_map(|x| f64::from(x) * 0.5),
            -1e3..1e3f64,
            (any::<bool>(), -300.0..300.0f64).prop_map(|(minus, e)| if minus { -1.0 } else { 1.0 } * 10f64.powf(e)),
        ]
    }

    fn ends() -> impl Strategy<Value = (Interval, f64)> {
        (number(), number(), 0.0..=1.0f64).prop_map(|(a, b, t)| {
            let (low, high) = (a.min(b), a.max(b));
            (Interval::new(low, high), (low + t * (high - low)).clamp(low, high))
        })
    }

    fn same_point() -> impl Strategy<Value = (Interval, f64)> {
        number().prop_map(|x| (Interval::point(x), x))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn an_operation_on_intervals_holds_the_operation_on_points(
            (a, x) in prop_oneof![ends(), same_point()],
            (b, y) in prop_oneof![ends(), same_point()],
            (c, z) in ends(),
        ) {
            for op in UNARY {
                let (made, value) = (a.unary(op), op.apply(x));
                prop_assert!(made.holds(value) || (value.is_nan() && made.gaps), "{:?} {} {:?} {}", op, x, made, value);
            }
            for op in BINARY {
                let (made, value) = (Interval::binary(op, a, b), op.apply(x, y));
                let fine = made.holds(value) || (value.is_nan() && made.gaps);
                prop_assert!(fine, "{:?} {} {} in {:?} {:?}: {:?} {}", op, x, y, a, b, made, value);
            }
            for condition in [Interval::ZERO, Interval::point(1.0), Interval::new(0.0, 1.0)] {
                for told in [0.0, 1.0] {
                    if condition.holds(told) {
                        let made = Interval::select(condition, b, c);
                        let value = if told == 0.0 { z } else { y };
                        prop_assert!(made.holds(value));
                    }
                }
            }
            prop_assert!(!a.times(b).is_nothing());
        }
    }
}
