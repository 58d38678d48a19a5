//! What a fit minimises: a sum over rows of `weight · rho(T(prediction) - T(target))`.
//!
//! The transform `T` is the *space* of the residual; `rho` is the *loss*. For the solver each row gives, with
//! `m` the prediction, `r` the residual, `T'` and `T''` the derivatives of the transform,
//!
//! ```text
//! gradient  = Σ c2 ∂m                 c2 = w rho'(r) T'
//! curvature = Σ c1 ∂m ∂mᵀ + c2 ∂²m    c1 = w (rho''(r) T'² + rho'(r) T'')
//! majorant  = Σ cg ∂m ∂mᵀ             cg = w rho'(r)/r T'²
//! ```
//!
//! The curvature is the true one, robust losses included (Huber, 1964): outside `delta` the row contributes only what
//! the bending of the law contributes. The majorant (reweighted least squares) is positive semidefinite and sets
//! the scale of the damping.
//!
//! The absolute loss has no curvature, so it is approached through Huber losses of falling `delta`, divided by
//! `delta`; at the last `delta`, a billionth of the residuals' size, the rows inside it are the ones that an exact
//! least-absolute-deviation fit interpolates (Madsen and Nielsen, 1993), and `r / delta` are their multipliers.

use super::kernel::{LANES, Lanes, POINTS};
use crate::expr::Block;
use crate::simd::math;

/// How a residual `r` (prediction minus target, in its [`Space`]) is penalised. Every smooth loss is `r²/2` near zero
/// except [`Loss::Squared`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// `r²`: the residual sum of squares, not halved.
    Squared,
    /// `r²/2` inside `delta`, `delta (|r| - delta/2)` beyond.
    Huber {
        /// Where the quadratic part ends, in units of the residual.
        delta: f64,
    },
    /// `|r|`.
    Absolute,
    /// `delta² (sqrt(1 + (r/delta)²) - 1)`.
    SoftL1 {
        /// Where the loss turns from quadratic to linear.
        delta: f64,
    },
    /// `delta²/2 ln(1 + (r/delta)²)`: redescending, so far rows lose their say.
    Cauchy {
        /// Where the loss starts to flatten.
        delta: f64,
    },
    /// `delta² ln cosh(r/delta)`.
    LogCosh {
        /// Where the loss turns from quadratic to linear.
        delta: f64,
    },
    /// Huber's loss, `over` times as high where the law predicts too much.
    AsymmetricHuber {
        /// Where the quadratic part ends.
        delta: f64,
        /// What over-prediction costs, relative to under-prediction.
        over: f64,
    },
    /// `r²/2`, `over` times as high where the law predicts too much.
    Expectile {
        /// What over-prediction costs, relative to under-prediction.
        over: f64,
    },
    /// `max((1 - tau) r, -tau r)`: the law follows the quantile `tau` of the targets.
    Quantile {
        /// The quantile, between 0 and 1.
        tau: f64,
    },
    /// Half the deviance of pass counts: targets are fractions passed, weights are trials.
    Binomial,
}

/// In which space residuals are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// `prediction - target`
    Raw,
    /// `ln prediction - ln target`
    Log,
    /// `logit prediction - logit target`
    Logit,
}

/// A loss in a space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// The loss.
    pub loss: Loss,
    /// The space of its residuals.
    pub space: Space,
}

impl Space {
    /// The transform of a target.
    pub fn transform(self, x: f64) -> f64 {
        match self {
            Self::Raw => x,
            Self::Log => math::ln(x),
            Self::Logit => math::ln(x) - math::log1p(-x),
        }
    }
}

impl Loss {
    /// The `delta` that the fit ends with, where the loss has one.
    pub(crate) fn delta(self) -> f64 {
        match self {
            Self::Huber { delta }
            | Self::SoftL1 { delta }
            | Self::Cauchy { delta }
            | Self::LogCosh { delta }
            | Self::AsymmetricHuber { delta, .. } => delta,
            Self::Squared | Self::Expectile { .. } | Self::Binomial | Self::Absolute | Self::Quantile { .. } => 0.0,
        }
    }

    /// Whether the loss is only the limit of losses with a falling `delta`.
    pub(crate) fn has_kink(self) -> bool {
        matches!(self, Self::Absolute | Self::Quantile { .. })
    }

    /// Whether the fit goes through wider losses first.
    pub(crate) fn is_staged(self) -> bool {
        self.has_kink() || self.delta() > 0.0
    }

    /// Why the constants of the loss cannot be used, if so.
    pub(crate) fn fault(self) -> Option<String> {
        let positive = |name: &str, value: f64| {
            (!(value > 0.0 && value.is_finite())).then(|| format!("{name} is {value}: it must be positive and finite"))
        };
        match self {
            Self::Squared | Self::Absolute | Self::Binomial => None,
            Self::Huber { delta } | Self::SoftL1 { delta } | Self::Cauchy { delta } | Self::LogCosh { delta } => {
                positive("delta", delta)
            }
            Self::AsymmetricHuber { delta, over } => {
                positive("delta", delta).or_else(|| positive("the cost of over-prediction", over))
            }
            Self::Expectile { over } => positive("the cost of over-prediction", over),
            Self::Quantile { tau } => {
                (!(tau > 0.0 && tau < 1.0)).then(|| format!("tau is {tau}: it lies between 0 and 1"))
            }
        }
    }
}

/// Per-row quantities of one block, and its contribution to the sums that need no derivative of the law.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) c1: Box<Rows>,
    pub(crate) c2: Box<Rows>,
    pub(crate) majorant: Box<Rows>,
    residual: Box<Rows>,
    slope: Box<Rows>,
    bend: Box<Rows>,
    rho: Box<Rows>,
}

/// One number per point and lane.
type Rows = Block<POINTS>;

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

/// Additions that run beside each other in a sum, so that none waits for the one before.
const CHAINS: usize = 4;

/// Lane by lane.
#[inline(always)]
pub(crate) fn add_lanes(to: &mut Lanes, from: &Lanes) {
    for lane in 0..LANES {
        to.0[lane] += from.0[lane];
    }
}

/// Adds the points of a block to a sum per lane.
#[inline(always)]
pub(crate) fn add_points(sum: &mut Lanes, block: &Rows) {
    let mut totals = [0.0; LANES * CHAINS];
    for step in 0..POINTS / (LANES * CHAINS) {
        for j in 0..LANES * CHAINS {
            totals[j] += block.0[LANES * CHAINS * step + j];
        }
    }
    for j in 0..LANES * CHAINS {
        sum.0[j % LANES] += totals[j];
    }
}

impl Head {
    pub(crate) fn new() -> Self {
        let zero = || Box::new(Block::ZERO);
        Self { c1: zero(), c2: zero(), majorant: zero(), residual: zero(), slope: zero(), bend: zero(), rho: zero() }
    }

    /// Fills the coefficients of one block. `convex` has all bits set where the majorant is wanted in place of the
    /// curvature, else none. `reach` is where the quadratic part ends when that is not `delta`: see the solver's stages.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // one argument per operand of the inner loop
    pub(crate) fn run<const MAJORANT: bool>(
        &mut self,
        objective: Objective,
        prediction: &Rows,
        target: &Rows,
        weight: &Rows,
        (delta, reach): (&Rows, &Rows),
        convex: &Rows,
        sums: &mut Sums,
    ) {
        let Self { c1, c2, majorant, residual, slope, bend, rho } = self;
        match objective.space {
            Space::Raw => raw(prediction, target, residual),
            Space::Log => log(prediction, target, residual, slope, bend),
            Space::Logit => logit(prediction, target, residual, slope, bend),
        }
        let out = Out { rho, psi: c2, curvature: c1, reweight: majorant };
        match objective.loss {
            Loss::Squared => squared::<MAJORANT>(residual, weight, out),
            Loss::Huber { .. } => huber::<MAJORANT>(residual, weight, (delta, reach), 1.0, out),
            Loss::AsymmetricHuber { over, .. } => huber::<MAJORANT>(residual, weight, (delta, reach), over, out),
            Loss::Absolute => absolute::<MAJORANT>(residual, weight, (delta, reach), (1.0, 1.0), out),
            Loss::Quantile { tau } => absolute::<MAJORANT>(residual, weight, (delta, reach), (1.0 - tau, tau), out),
            Loss::SoftL1 { .. } => soft_l1::<MAJORANT>(residual, weight, delta, out),
            Loss::Cauchy { .. } => cauchy::<MAJORANT>(residual, weight, delta, out),
            Loss::LogCosh { .. } => log_cosh::<MAJORANT>(residual, weight, delta, out),
            Loss::Expectile { over } => expectile::<MAJORANT>(residual, weight, over, out),
            Loss::Binomial => binomial::<MAJORANT>(prediction, target, weight, out),
        }
        if objective.space != Space::Raw {
            chain::<MAJORANT>(slope, bend, c1, c2, majorant);
        }
        if MAJORANT {
            choose(convex, majorant, c1);
            add_points(&mut sums.majorant, majorant);
        }
        if objective.loss.is_staged() {
            let sides = match objective.loss {
                Loss::Quantile { tau } => (1.0 - tau, tau),
                _ => (1.0, 1.0),
            };
            add_sizes(&mut sums.absolute, residual, weight, sides);
        }
        add_points(&mut sums.merit, rho);
        add_points(&mut sums.c1, c1);
        add_points(&mut sums.c2, c2);
    }
}

// The loops stand in functions of their own because arguments are known not to overlap, which lets them vectorise.

#[inline(always)]
fn raw(prediction: &Rows, target: &Rows, residual: &mut Rows) {
    for i in 0..POINTS {
        residual.0[i] = prediction.0[i] - target.0[i];
    }
}

#[inline(always)]
fn log(prediction: &Rows, target: &Rows, residual: &mut Rows, slope: &mut Rows, bend: &mut Rows) {
    for i in 0..POINTS {
        residual.0[i] = math::ln(prediction.0[i]) - target.0[i];
    }
    for i in 0..POINTS {
        let inverse = 1.0 / prediction.0[i];
        slope.0[i] = inverse;
        bend.0[i] = -inverse * inverse;
    }
}

#[inline(always)]
fn logit(prediction: &Rows, target: &Rows, residual: &mut Rows, slope: &mut Rows, bend: &mut Rows) {
    for i in 0..POINTS {
        residual.0[i] = math::ln(prediction.0[i]) - target.0[i];
    }
    for i in 0..POINTS {
        residual.0[i] -= math::log1p(-prediction.0[i]);
    }
    for i in 0..POINTS {
        let m = prediction.0[i];
        let inverse = 1.0 / (m * (1.0 - m));
        slope.0[i] = inverse;
        bend.0[i] = (2.0 * m - 1.0) * inverse * inverse;
    }
}

/// Where a loss writes, each times the weight: `rho`, `rho'`, `rho''` and `rho'/r`.
struct Out<'a> {
    rho: &'a mut Rows,
    psi: &'a mut Rows,
    curvature: &'a mut Rows,
    reweight: &'a mut Rows,
}

/// One loop over the points of a block; the arguments of `write` do not overlap, which the caller's signature says.
macro_rules! each_row {
    ($r:ident, $w:ident, $out:ident, |$i:ident| $value:expr) => {{
        let Out { rho, psi, curvature, reweight } = $out;
        for $i in 0..POINTS {
            let ($r, $w) = ($r.0[$i], $w.0[$i]);
            let (a, b, c, d): (f64, f64, f64, f64) = $value;
            rho.0[$i] = a;
            psi.0[$i] = b;
            curvature.0[$i] = c;
            if MAJORANT {
                reweight.0[$i] = d;
            }
        }
    }};
}

#[inline(always)]
fn squared<const MAJORANT: bool>(r: &Rows, w: &Rows, out: Out<'_>) {
    each_row!(r, w, out, |i| (w * r * r, 2.0 * w * r, 2.0 * w, 2.0 * w));
}

#[inline(always)]
fn expectile<const MAJORANT: bool>(r: &Rows, w: &Rows, over: f64, out: Out<'_>) {
    each_row!(r, w, out, |i| {
        let w = if r > 0.0 { over * w } else { w };
        (0.5 * w * r * r, w * r, w, w)
    });
}

#[inline(always)]
fn huber<const MAJORANT: bool>(r: &Rows, w: &Rows, (delta, reach): (&Rows, &Rows), over: f64, out: Out<'_>) {
    each_row!(r, w, out, |i| {
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
fn absolute<const MAJORANT: bool>(
    r: &Rows,
    w: &Rows,
    (delta, reach): (&Rows, &Rows),
    (over, under): (f64, f64),
    out: Out<'_>,
) {
    each_row!(r, w, out, |i| {
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
fn soft_l1<const MAJORANT: bool>(r: &Rows, w: &Rows, delta: &Rows, out: Out<'_>) {
    each_row!(r, w, out, |i| {
        let u = r / delta.0[i];
        let s = u.mul_add(u, 1.0).sqrt();
        // r² / (s + 1) is delta² (s - 1) without the cancellation.
        (w * r * r / (s + 1.0), w * r / s, w / (s * s * s), w / s)
    });
}

#[inline(always)]
fn cauchy<const MAJORANT: bool>(r: &Rows, w: &Rows, delta: &Rows, out: Out<'_>) {
    each_row!(r, w, out, |i| {
        let delta = delta.0[i];
        let u = r / delta;
        let squared = u * u;
        let shrink = 1.0 / (1.0 + squared);
        let rho = 0.5 * delta * delta * math::log1p(squared);
        (w * rho, w * r * shrink, w * (1.0 - squared) * shrink * shrink, w * shrink)
    });
}

#[inline(always)]
fn log_cosh<const MAJORANT: bool>(r: &Rows, w: &Rows, delta: &Rows, out: Out<'_>) {
    each_row!(r, w, out, |i| {
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
fn binomial<const MAJORANT: bool>(m: &Rows, y: &Rows, w: &Rows, out: Out<'_>) {
    each_row!(m, w, out, |i| {
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

/// From derivatives by the residual to derivatives by the prediction.
#[inline(always)]
fn chain<const MAJORANT: bool>(slope: &Rows, bend: &Rows, c1: &mut Rows, c2: &mut Rows, majorant: &mut Rows) {
    for i in 0..POINTS {
        let t1 = slope.0[i];
        let squared = t1 * t1;
        let psi = c2.0[i];
        c1.0[i] = c1.0[i].mul_add(squared, psi * bend.0[i]);
        c2.0[i] = psi * t1;
        if MAJORANT {
            majorant.0[i] *= squared;
        }
    }
}

#[inline(always)]
fn choose(convex: &Rows, majorant: &Rows, c1: &mut Rows) {
    // By bits: a choice between two loads turns into branches.
    for i in 0..POINTS {
        let mask = convex.0[i].to_bits();
        c1.0[i] = f64::from_bits((c1.0[i].to_bits() & !mask) | (majorant.0[i].to_bits() & mask));
    }
}

/// Adds `w |r|`, times a factor for either side.
#[inline(always)]
fn add_sizes(sum: &mut Lanes, r: &Rows, w: &Rows, (over, under): (f64, f64)) {
    let mut totals = [0.0; LANES * CHAINS];
    for step in 0..POINTS / (LANES * CHAINS) {
        for j in 0..LANES * CHAINS {
            let i = LANES * CHAINS * step + j;
            let side = if r.0[i] > 0.0 { over } else { under };
            totals[j] = (w.0[i] * side).mul_add(r.0[i].abs(), totals[j]);
        }
    }
    for j in 0..LANES * CHAINS {
        sum.0[j % LANES] += totals[j];
    }
}
