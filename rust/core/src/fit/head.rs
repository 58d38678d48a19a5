//! The objective on a block of points: from predictions to the coefficients of gradient and curvature.

use super::kernel::{LANES, Lanes, POINTS};
use super::objective::{Loss, Objective, Space};
use super::pieces::Pinned;
use crate::expr::Block;
use crate::simd::math;

/// Per-row quantities of one block, and its contribution to the sums that need no derivative of the law.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) c1: Box<Rows>,
    pub(crate) c2: Box<Rows>,
    pub(crate) majorant: Box<Rows>,
    residual: Box<Rows>,
    rho: Box<Rows>,
}

/// One number per point and lane.
pub(super) type Rows = Block<POINTS>;

/// The sums that every objective has, per lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    /// What the solver minimises.
    pub(crate) merit: Lanes,
    /// `Σ w |r|`, for quantiles the pinball loss itself; only for losses that go through stages.
    pub(crate) absolute: Lanes,
    pub(crate) c1: Lanes,
    pub(crate) c2: Lanes,
    pub(crate) majorant: Lanes,
}

impl Sums {
    pub(crate) const ZERO: Self =
        Self { merit: Block::ZERO, absolute: Block::ZERO, c1: Block::ZERO, c2: Block::ZERO, majorant: Block::ZERO };
}

impl Sums {
    pub(crate) fn all_mut(&mut self) -> [&mut Lanes; 5] {
        [&mut self.merit, &mut self.absolute, &mut self.c1, &mut self.c2, &mut self.majorant]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        add_lanes(&mut self.merit, &other.merit);
        add_lanes(&mut self.absolute, &other.absolute);
        add_lanes(&mut self.c1, &other.c1);
        add_lanes(&mut self.c2, &other.c2);
        add_lanes(&mut self.majorant, &other.majorant);
    }
}

/// Lane by lane.
#[inline(always)]
pub(crate) fn add_lanes(to: &mut Lanes, from: &Lanes) {
    for lane in 0..LANES {
        to.0[lane] += from.0[lane];
    }
}

/// Adds the first `M` numbers of blocks to a sum per lane for each, one after the other: the sum then does not depend on
/// where blocks begin.
#[inline(always)]
fn add_points<const K: usize, const M: usize>(sums: [&mut Lanes; K], blocks: [&Rows; K]) {
    let mut totals = [Lanes::ZERO; K];
    for k in 0..K {
        totals[k] = *sums[k];
    }
    for at in (0..M).step_by(LANES) {
        for k in 0..K {
            for lane in 0..LANES {
                totals[k].0[lane] += blocks[k].0[at + lane];
            }
        }
    }
    for (sum, total) in sums.into_iter().zip(totals) {
        *sum = total;
    }
}

/// The space of the residuals, as a constant of the loops.
pub(super) const RAW: u8 = 0;
pub(super) const LOG: u8 = 1;
pub(super) const LOGIT: u8 = 2;

impl Head {
    pub(crate) fn new() -> Self {
        let zero = || Box::new(Block::ZERO);
        Self { c1: zero(), c2: zero(), majorant: zero(), residual: zero(), rho: zero() }
    }

    /// Fills the coefficients of the first `M` numbers of a block. `convex` has all bits set where the majorant is wanted
    /// in place of the curvature, else none; `summed` if its coefficient's own sum is wanted, too. `reach` is where the quadratic part ends when that is not `delta`: see the
    /// solver's stages.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // one argument per operand of the inner loop
    pub(crate) fn run<const M: usize, const MAJORANT: bool>(
        &mut self,
        objective: Objective,
        prediction: &Rows,
        target: &Rows,
        weight: &Rows,
        limits: (&Rows, &Rows),
        convex: &Rows,
        summed: bool,
        pinned: Option<Pinned<'_>>,
        sums: &mut Sums,
    ) {
        let residual = &mut *self.residual;
        match objective.space {
            Space::Raw => {
                raw::<M>(prediction, target, residual);
                self.weigh::<M, MAJORANT, RAW>(objective.loss, prediction, target, weight, limits, convex);
            }
            Space::Log => {
                log::<M>(prediction, target, residual);
                self.weigh::<M, MAJORANT, LOG>(objective.loss, prediction, target, weight, limits, convex);
            }
            Space::Logit => {
                logit::<M>(prediction, target, residual);
                self.weigh::<M, MAJORANT, LOGIT>(objective.loss, prediction, target, weight, limits, convex);
            }
        }
        let Self { c1, c2, majorant, residual, rho } = self;
        if let Some(pinned) = pinned {
            pinned.run::<M>(objective, (prediction, residual, weight), limits, (c1, c2));
        }
        if objective.loss.is_staged() {
            let sides = match objective.loss {
                Loss::Quantile { tau } => (1.0 - tau, tau),
                _ => (1.0, 1.0),
            };
            add_sizes::<M>(&mut sums.absolute, residual, weight, sides);
        }
        add_points::<3, M>([&mut sums.merit, &mut sums.c1, &mut sums.c2], [&**rho, &**c1, &**c2]);
        if MAJORANT && summed {
            add_points::<1, M>([&mut sums.majorant], [&**majorant]);
        }
    }

    /// From residuals to the coefficients.
    #[inline(always)]
    fn weigh<const M: usize, const MAJORANT: bool, const SPACE: u8>(
        &mut self,
        loss: Loss,
        prediction: &Rows,
        target: &Rows,
        weight: &Rows,
        (delta, reach): (&Rows, &Rows),
        convex: &Rows,
    ) {
        let Self { c1, c2, majorant, residual, rho } = self;
        let at = At { residual, weight, prediction, convex };
        let out = Out { rho, psi: c2, curvature: c1, reweight: majorant };
        let limits = (delta, reach);
        match loss {
            Loss::Squared => squared::<M, MAJORANT, SPACE>(at, out),
            Loss::Huber { .. } => huber::<M, MAJORANT, SPACE>(at, limits, 1.0, out),
            Loss::AsymmetricHuber { over, .. } => huber::<M, MAJORANT, SPACE>(at, limits, over, out),
            Loss::Absolute => absolute::<M, MAJORANT, SPACE>(at, limits, (1.0, 1.0), out),
            Loss::Quantile { tau } => absolute::<M, MAJORANT, SPACE>(at, limits, (1.0 - tau, tau), out),
            Loss::SoftL1 { .. } => soft_l1::<M, MAJORANT, SPACE>(at, delta, out),
            Loss::Cauchy { .. } => cauchy::<M, MAJORANT, SPACE>(at, delta, out),
            Loss::LogCosh { .. } => log_cosh::<M, MAJORANT, SPACE>(at, delta, out),
            Loss::Expectile { over } => expectile::<M, MAJORANT, SPACE>(at, over, out),
            Loss::Binomial => binomial::<M, MAJORANT, SPACE>(at, target, out),
        }
    }
}

// The loops stand in functions of their own because arguments are known not to overlap, which lets them vectorise.

#[inline(always)]
fn raw<const M: usize>(prediction: &Rows, target: &Rows, residual: &mut Rows) {
    for i in 0..M {
        residual.0[i] = prediction.0[i] - target.0[i];
    }
}

#[inline(always)]
fn log<const M: usize>(prediction: &Rows, target: &Rows, residual: &mut Rows) {
    logarithms::<M>(prediction, residual);
    for i in 0..M {
        residual.0[i] -= target.0[i];
    }
}

/// The logarithms of the first `M` numbers.
#[inline(always)]
fn logarithms<const M: usize>(from: &Rows, to: &mut Rows) {
    let (from, to) = (from.0.first_chunk::<M>(), to.0.first_chunk_mut::<M>());
    let room = "a block has more numbers than a part of it";
    math::ln_each(from.expect(room), to.expect(room));
}

#[inline(always)]
fn logit<const M: usize>(prediction: &Rows, target: &Rows, residual: &mut Rows) {
    log::<M>(prediction, target, residual);
    for i in 0..M {
        residual.0[i] -= math::log1p(-prediction.0[i]);
    }
}

/// What a loss reads at each point.
struct At<'a> {
    residual: &'a Rows,
    weight: &'a Rows,
    prediction: &'a Rows,
    /// All bits where the majorant is wanted in place of the curvature.
    convex: &'a Rows,
}

/// Where a loss writes, each times the weight: `rho`, and the coefficients by the prediction that come of `rho'`,
/// `rho''` and `rho'/r`.
struct Out<'a> {
    rho: &'a mut Rows,
    psi: &'a mut Rows,
    curvature: &'a mut Rows,
    reweight: &'a mut Rows,
}

/// One loop over the points of a block; the arguments of `write` do not overlap, which the caller's signature says.
macro_rules! each_row {
    ($at:ident, $r:ident, $w:ident, $out:ident, |$i:ident| $value:expr) => {{
        let Out { rho, psi, curvature, reweight } = $out;
        let At { residual, weight, prediction, convex } = $at;
        for $i in 0..M {
            let ($r, $w) = (residual.0[$i], weight.0[$i]);
            let (a, b, c, d): (f64, f64, f64, f64) = $value;
            let (b, c, d) = chain::<SPACE>(prediction.0[$i], (b, c, d));
            rho.0[$i] = a;
            psi.0[$i] = b;
            curvature.0[$i] = c;
            if MAJORANT {
                // By bits: a choice between two numbers may turn into branches.
                let mask = convex.0[$i].to_bits();
                curvature.0[$i] = f64::from_bits((c.to_bits() & !mask) | (d.to_bits() & mask));
                reweight.0[$i] = d;
            }
        }
    }};
}

/// From derivatives by the residual, `rho'`, `rho''` and `rho'/r`, to derivatives by the prediction `m`.
#[inline(always)]
pub(super) fn chain<const SPACE: u8>(m: f64, (psi, curvature, reweight): (f64, f64, f64)) -> (f64, f64, f64) {
    if SPACE == RAW {
        return (psi, curvature, reweight);
    }
    let slope = if SPACE == LOG { 1.0 / m } else { 1.0 / (m * (1.0 - m)) };
    let squared = slope * slope;
    let bend = if SPACE == LOG { -squared } else { (2.0 * m - 1.0) * squared };
    (psi * slope, curvature.mul_add(squared, psi * bend), reweight * squared)
}

#[inline(always)]
fn squared<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, out: Out<'_>) {
    each_row!(at, r, w, out, |i| (w * r * r, 2.0 * w * r, 2.0 * w, 2.0 * w));
}

#[inline(always)]
fn expectile<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, over: f64, out: Out<'_>) {
    each_row!(at, r, w, out, |i| {
        let w = if r > 0.0 { over * w } else { w };
        (0.5 * w * r * r, w * r, w, w)
    });
}

#[inline(always)]
fn huber<const M: usize, const MAJORANT: bool, const SPACE: u8>(
    at: At<'_>,
    (delta, reach): (&Rows, &Rows),
    over: f64,
    out: Out<'_>,
) {
    each_row!(at, r, w, out, |i| {
        let delta = delta.0[i];
        let w = if r > 0.0 { over * w } else { w };
        let size = r.abs();
        let inside = size <= reach.0[i];
        (
            w * if inside { 0.5 * r * r } else { delta * (-0.5f64).mul_add(delta, size) },
            w * if inside { r } else { delta.copysign(r) },
            if inside { w } else { 0.0 },
            if inside { w } else { w * delta / size },
        )
    });
}

/// Huber's loss over `delta`, with a slope of its own on either side.
#[inline(always)]
fn absolute<const M: usize, const MAJORANT: bool, const SPACE: u8>(
    at: At<'_>,
    (delta, reach): (&Rows, &Rows),
    (over, under): (f64, f64),
    out: Out<'_>,
) {
    each_row!(at, r, w, out, |i| {
        let delta = delta.0[i];
        let w = w * if r > 0.0 { over } else { under };
        let size = r.abs();
        let inside = size <= reach.0[i];
        let steep = w / if inside { delta } else { size };
        (
            if inside { 0.5 * r * r * steep } else { w * (-0.5f64).mul_add(delta, size) },
            if inside { r * steep } else { w.copysign(r) },
            if inside { steep } else { 0.0 },
            steep,
        )
    });
}

#[inline(always)]
fn soft_l1<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, delta: &Rows, out: Out<'_>) {
    each_row!(at, r, w, out, |i| {
        let u = r / delta.0[i];
        let s = u.mul_add(u, 1.0).sqrt();
        // r² / (s + 1) is delta² (s - 1) without the cancellation.
        (w * r * r / (s + 1.0), w * r / s, w / (s * s * s), w / s)
    });
}

#[inline(always)]
fn cauchy<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, delta: &Rows, out: Out<'_>) {
    each_row!(at, r, w, out, |i| {
        let delta = delta.0[i];
        let u = r / delta;
        let squared = u * u;
        let shrink = 1.0 / (1.0 + squared);
        let rho = 0.5 * delta * delta * math::log1p(squared);
        (w * rho, w * r * shrink, w * (1.0 - squared) * shrink * shrink, w * shrink)
    });
}

#[inline(always)]
fn log_cosh<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, delta: &Rows, out: Out<'_>) {
    each_row!(at, r, w, out, |i| {
        let delta = delta.0[i];
        let u = r / delta;
        let (size, t) = (u.abs(), math::tanh(u));
        // Two forms of ln cosh: the first loses digits near zero, the second far from it.
        let far = size + math::log1p(math::exp(-2.0 * size)) - std::f64::consts::LN_2;
        let near = -0.5 * math::log1p(-t * t);
        let rho = delta * delta * if size < 1.0 { near } else { far };
        (w * rho, w * delta * t, w * (1.0 - t * t), if r == 0.0 { w } else { w * t / u })
    });
}

#[inline(always)]
fn binomial<const M: usize, const MAJORANT: bool, const SPACE: u8>(at: At<'_>, y: &Rows, out: Out<'_>) {
    // Where a residual stands for the others, this loss reads the prediction itself.
    let at = At { residual: at.prediction, ..at };
    each_row!(at, m, w, out, |i| {
        let (y, fail) = (y.0[i], 1.0 - m);
        let passed = if y > 0.0 { y * (math::ln(y) - math::ln(m)) } else { 0.0 };
        let failed = if y < 1.0 { (1.0 - y) * (math::log1p(-y) - math::log1p(-m)) } else { 0.0 };
        // A law outside (0, 1) has no likelihood.
        let possible = m > 0.0 && m < 1.0;
        (
            if possible { w * (passed + failed) } else { f64::NAN },
            w * ((1.0 - y) / fail - y / m),
            w * ((1.0 - y) / (fail * fail) + y / (m * m)),
            w / (m * fail),
        )
    });
}

/// Adds `w |r|`, times a factor for either side.
#[inline(always)]
fn add_sizes<const M: usize>(sum: &mut Lanes, r: &Rows, w: &Rows, (over, under): (f64, f64)) {
    let mut totals = *sum;
    for at in (0..M).step_by(LANES) {
        for lane in 0..LANES {
            let r = r.0[at + lane];
            let side = if r > 0.0 { over } else { under };
            totals.0[lane] = (w.0[at + lane] * side).mul_add(r.abs(), totals.0[lane]);
        }
    }
    *sum = totals;
}

#[cfg(test)]
mod tests;
