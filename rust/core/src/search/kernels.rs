//! The inner loops over the cells of a row, compiled for each instruction set.
//!
//! Cells that do not count hold NaN, which every comparison here passes over.

use crate::expr::{Binary, maximum, minimum};
use crate::simd::math;

/// Chains of lanes that run beside each other.
const LANES: usize = 32;

/// Counts of a row: cells that count, and cells that would if their value were finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) feasible: u64,
    pub(crate) nonfinite: u64,
}

impl Counts {
    /// Adds those of other cells.
    pub(crate) fn add(&mut self, other: Self) {
        self.feasible += other.feasible;
        self.nonfinite += other.nonfinite;
    }
}

/// The least of some lanes, by halves.
#[inline(always)]
fn least_lane<const N: usize>(mut lanes: [f64; N]) -> f64 {
    let mut n = N;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            lanes[i] = if lanes[i + n] < lanes[i] { lanes[i + n] } else { lanes[i] };
        }
    }
    lanes[0]
}

/// The least of the values, infinity without any.
#[inline(always)]
fn least(values: &[f64]) -> f64 {
    let mut best = [f64::INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            best[i] = if block[i] < best[i] { block[i] } else { best[i] };
        }
    }
    rest.iter().fold(least_lane(best), |best, &x| if x < best { x } else { best })
}

/// The least and the largest of the values; infinity and its negative without any.
#[inline(always)]
fn extent(values: &[f64]) -> (f64, f64) {
    let mut low = [f64::INFINITY; LANES];
    // Negated, so that one reduction serves both.
    let mut high = [f64::INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            low[i] = if block[i] < low[i] { block[i] } else { low[i] };
            high[i] = if -block[i] < high[i] { -block[i] } else { high[i] };
        }
    }
    let (mut low, mut high) = (least_lane(low), least_lane(high));
    for &x in rest {
        low = if x < low { x } else { low };
        high = if -x < high { -x } else { high };
    }
    (low, -high)
}

/// For each place, the lesser of two places `reach` apart, and the larger likewise: one step of a table of ranges.
#[inline(always)]
fn widen(low: &[f64], high: &[f64], reach: usize, lower: &mut [f64], higher: &mut [f64]) {
    let n = lower.len();
    let (a, b) = (&low[..n], &low[reach..reach + n]);
    for i in 0..n {
        lower[i] = if b[i] < a[i] { b[i] } else { a[i] };
    }
    let (a, b, higher) = (&high[..n], &high[reach..reach + n], &mut higher[..n]);
    for i in 0..n {
        higher[i] = if b[i] > a[i] { b[i] } else { a[i] };
    }
}

/// Rows that are summed at once, and the lanes of each.
pub(crate) const ABREAST: usize = 4;
const EACH: usize = 8;
/// Lanes that look for the first and last of the cells within a limit.
const LOOKS: usize = 16;

/// The least of `offset + values[j]` for each of a few offsets: what is read once serves all of them.
#[inline(always)]
fn least_sums(offsets: [f64; ABREAST], values: &[f64]) -> [f64; ABREAST] {
    // One array for each row: a loop over an array of arrays would not become vector code.
    let mut best = [f64::INFINITY; EACH];
    let (mut second, mut third, mut fourth) = (best, best, best);
    let (blocks, rest) = values.as_chunks::<EACH>();
    macro_rules! lower {
        ($best:ident, $k:literal, $block:ident) => {
            for i in 0..EACH {
                let x = offsets[$k] + $block[i];
                $best[i] = if x < $best[i] { x } else { $best[i] };
            }
        };
    }
    for block in blocks {
        lower!(best, 0, block);
        lower!(second, 1, block);
        lower!(third, 2, block);
        lower!(fourth, 3, block);
    }
    let mut last = [f64::NAN; EACH];
    last[..rest.len()].copy_from_slice(rest);
    lower!(best, 0, last);
    lower!(second, 1, last);
    lower!(third, 2, last);
    lower!(fourth, 3, last);
    [least_lane(best), least_lane(second), least_lane(third), least_lane(fourth)]
}

/// Writes NaN where the mask is zero or the value is not finite, and counts.
#[inline(always)]
fn clean(values: &mut [f64], mask: Option<&[f64]>) -> Counts {
    let mut feasible = [0.0; LANES];
    let mut allowed = [0.0; LANES];
    match mask {
        None => {
            let (blocks, rest) = values.as_chunks_mut::<LANES>();
            for block in blocks {
                for i in 0..LANES {
                    let finite = block[i].is_finite();
                    block[i] = if finite { block[i] } else { f64::NAN };
                    feasible[i] += if finite { 1.0 } else { 0.0 };
                }
            }
            for x in rest {
                let finite = x.is_finite();
                *x = if finite { *x } else { f64::NAN };
                feasible[0] += if finite { 1.0 } else { 0.0 };
            }
            allowed[0] = values.len() as f64;
        }
        Some(mask) => {
            let n = values.len().min(mask.len());
            let (blocks, rest) = values[..n].as_chunks_mut::<LANES>();
            let (masks, others) = mask[..n].as_chunks::<LANES>();
            for (block, mask) in blocks.iter_mut().zip(masks) {
                for i in 0..LANES {
                    let held = mask[i] != 0.0;
                    let good = held & block[i].is_finite();
                    block[i] = if good { block[i] } else { f64::NAN };
                    feasible[i] += if good { 1.0 } else { 0.0 };
                    allowed[i] += if held { 1.0 } else { 0.0 };
                }
            }
            for (x, mask) in rest.iter_mut().zip(others) {
                let held = *mask != 0.0;
                let good = held & x.is_finite();
                *x = if good { *x } else { f64::NAN };
                feasible[0] += if good { 1.0 } else { 0.0 };
                allowed[0] += if held { 1.0 } else { 0.0 };
            }
        }
    }
    let (mut good, mut held) = (0.0, 0.0);
    for i in 0..LANES {
        good += feasible[i];
        held += allowed[i];
    }
    Counts { feasible: good as u64, nonfinite: (held - good) as u64 }
}

/// Writes NaN where the other value is NaN; the number of cells that have both.
#[inline(always)]
fn join(values: &mut [f64], others: &[f64]) -> u64 {
    let mut count = 0;
    for (x, other) in values.iter_mut().zip(others) {
        *x = if other.is_nan() { f64::NAN } else { *x };
        count += u64::from(!x.is_nan());
    }
    count
}

/// How many of `offset + values[j]` are at most `limit`, the first of them, and one past the last.
#[inline(always)]
fn spread(offset: f64, values: &[f64], limit: f64) -> (usize, usize, usize) {
    let mut count = [0.0; LOOKS];
    let mut first = [f64::INFINITY; LOOKS];
    let mut last = [f64::INFINITY; LOOKS];
    let mut at = 0.0;
    let (blocks, rest) = values.as_chunks::<LOOKS>();
    macro_rules! look {
        ($block:ident) => {
            for i in 0..LOOKS {
                let hit = offset + $block[i] <= limit;
                count[i] += if hit { 1.0 } else { 0.0 };
                // The number of the block, since lanes keep their place; of the last one its negative.
                first[i] = if hit & (at < first[i]) { at } else { first[i] };
                last[i] = if hit { -at } else { last[i] };
            }
        };
    }
    for block in blocks {
        look!(block);
        at += 1.0;
    }
    let mut end = [f64::NAN; LOOKS];
    end[..rest.len()].copy_from_slice(rest);
    look!(end);
    let mut place = 0.0;
    for i in 0..LOOKS {
        first[i] = first[i] * LOOKS as f64 + place;
        last[i] = last[i] * LOOKS as f64 - place;
        place += 1.0;
    }
    let mut n = LOOKS;
    while n > 1 {
        n /= 2;
        for i in 0..n {
            count[i] += count[i + n];
        }
    }
    if count[0] == 0.0 {
        return (0, 0, 0);
    }
    (count[0] as usize, least_lane(first) as usize, 1 + (-least_lane(last)) as usize)
}

/// One operation with the same other operand for all values.
#[inline(always)]
fn with_number(op: Binary, values: &mut [f64], other: f64, first: bool) {
    macro_rules! each {
        ($a:ident, $b:ident => $value:expr) => {
            if first {
                for x in values.iter_mut() {
                    let ($a, $b) = (*x, other);
                    *x = $value;
                }
            } else {
                for x in values.iter_mut() {
                    let ($a, $b) = (other, *x);
                    *x = $value;
                }
            }
        };
    }
    match op {
        Binary::Add => each!(a, b => a + b),
        Binary::Sub => each!(a, b => a - b),
        Binary::Mul => each!(a, b => a * b),
        Binary::Div => each!(a, b => a / b),
        Binary::Min => each!(a, b => minimum(a, b)),
        Binary::Max => each!(a, b => maximum(a, b)),
        _ => each!(a, b => op.apply(a, b)),
    }
}

/// One operation, each value with its own other operand.
#[inline(always)]
fn with_each(op: Binary, values: &mut [f64], others: &[f64], first: bool) {
    macro_rules! each {
        ($a:ident, $b:ident => $value:expr) => {
            if first {
                for (x, &other) in values.iter_mut().zip(others) {
                    let ($a, $b) = (*x, other);
                    *x = $value;
                }
            } else {
                for (x, &other) in values.iter_mut().zip(others) {
                    let ($a, $b) = (other, *x);
                    *x = $value;
                }
            }
        };
    }
    match op {
        Binary::Add => each!(a, b => a + b),
        Binary::Sub => each!(a, b => a - b),
        Binary::Mul => each!(a, b => a * b),
        Binary::Div => each!(a, b => a / b),
        Binary::Min => each!(a, b => minimum(a, b)),
        Binary::Max => each!(a, b => maximum(a, b)),
        _ => each!(a, b => op.apply(a, b)),
    }
}

#[inline(always)]
fn negate(values: &mut [f64]) {
    for x in values {
        *x = -*x;
    }
}

#[inline(always)]
fn root(values: &mut [f64]) {
    for x in values {
        *x = math::sqrt(*x);
    }
}

/// The lesser of two bounds for each row; NaN where either is not finite.
#[inline(always)]
fn lesser(low: &mut [f64], high: &[f64]) {
    for (low, &high) in low.iter_mut().zip(high) {
        let finite = low.is_finite() & high.is_finite();
        let pick = if high < *low { high } else { *low };
        *low = if finite { pick } else { f64::NAN };
    }
}

#[inline(always)]
fn add_one(counts: &mut [u32]) {
    for count in counts {
        *count += 1;
    }
}

crate::dispatch! {
    pub(crate) fn least_of<'a>(values: &'a [f64]) -> f64 = least;
}
crate::dispatch! {
    pub(crate) fn extent_of<'a>(values: &'a [f64]) -> (f64, f64) = extent;
}
crate::dispatch! {
    pub(crate) fn widen_ranges<'a, 'b>(
        low: &'a [f64], high: &'a [f64], reach: usize, lower: &'b mut [f64], higher: &'b mut [f64]
    ) = widen;
}
crate::dispatch! {
    pub(crate) fn least_of_sums<'a>(offsets: [f64; ABREAST], values: &'a [f64]) -> [f64; ABREAST] = least_sums;
}
crate::dispatch! {
    pub(crate) fn clean_row<'a, 'b>(values: &'a mut [f64], mask: Option<&'b [f64]>) -> Counts = clean;
}
crate::dispatch! {
    pub(crate) fn join_rows<'a, 'b>(values: &'a mut [f64], others: &'b [f64]) -> u64 = join;
}
crate::dispatch! {
    pub(crate) fn spread_of<'a>(offset: f64, values: &'a [f64], limit: f64) -> (usize, usize, usize) = spread;
}
crate::dispatch! {
    pub(crate) fn apply_number<'a>(op: Binary, values: &'a mut [f64], other: f64, first: bool) = with_number;
}
crate::dispatch! {
    pub(crate) fn apply_each<'a, 'b>(op: Binary, values: &'a mut [f64], others: &'b [f64], first: bool) = with_each;
}
crate::dispatch! {
    pub(crate) fn negate_each<'a>(values: &'a mut [f64]) = negate;
}
crate::dispatch! {
    pub(crate) fn root_each<'a>(values: &'a mut [f64]) = root;
}
crate::dispatch! {
    pub(crate) fn keep_lesser<'a, 'b>(low: &'a mut [f64], high: &'b [f64]) = lesser;
}
crate::dispatch! {
    pub(crate) fn tally<'a>(counts: &'a mut [u32]) = add_one;
}
