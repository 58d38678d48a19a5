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

/// How a residual is penalised.
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
    /// The `delta` that the fit ends with; absolute loss has none of its own.
    pub(crate) fn delta(self) -> f64 {
        match self {
            Self::Huber { delta } => delta,
            Self::Squared | Self::Absolute => 0.0,
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
    /// `Σ w |r|`
    pub(crate) absolute: Lanes,
    pub(crate) c1: Lanes,
    pub(crate) c2: Lanes,
    pub(crate) majorant: Lanes,
}

impl Sums {
    pub(crate) const ZERO: Self = Self {
        merit: Block::ZERO,
        absolute: Block::ZERO,
        c1: Block::ZERO,
        c2: Block::ZERO,
        majorant: Block::ZERO,
    };
}

/// Adds the points of a block to a sum per lane.
#[inline(always)]
pub(crate) fn add_points(sum: &mut Lanes, block: &Rows) {
    let mut total = *sum;
    for k in 0..POINTS / LANES {
        for lane in 0..LANES {
            total.0[lane] += block.0[LANES * k + lane];
        }
    }
    *sum = total;
}

impl Head {
    pub(crate) fn new() -> Self {
        let zero = || Box::new(Block::ZERO);
        Self {
            c1: zero(),
            c2: zero(),
            majorant: zero(),
            residual: zero(),
            slope: zero(),
            bend: zero(),
            rho: zero(),
        }
    }

    /// Fills the coefficients of one block. `convex` has all bits set where the majorant is wanted in place of the
    /// curvature, else none.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)] // one argument per operand of the inner loop
    pub(crate) fn run(
        &mut self,
        objective: Objective,
        prediction: &Rows,
        target: &Rows,
        weight: &Rows,
        delta: &Rows,
        convex: &Rows,
        sums: &mut Sums,
    ) {
        let Self { c1, c2, majorant, residual, slope, bend, rho } = self;
        match objective.space {
            Space::Raw => raw(prediction, target, residual),
            Space::Log => log(prediction, target, residual, slope, bend),
            Space::Logit => logit(prediction, target, residual, slope, bend),
        }
        match objective.loss {
            Loss::Squared => squared(residual, weight, rho, c2, c1, majorant),
            Loss::Huber { .. } => huber(residual, weight, delta, rho, c2, c1, majorant),
            Loss::Absolute => absolute(residual, weight, delta, rho, c2, c1, majorant),
        }
        add_points(&mut sums.merit, rho);
        if objective.space != Space::Raw {
            chain(slope, bend, c1, c2, majorant);
        }
        choose(convex, majorant, c1);
        if objective.loss != Loss::Squared {
            sizes(residual, weight, rho);
            add_points(&mut sums.absolute, rho);
        }
        add_points(&mut sums.c1, c1);
        add_points(&mut sums.c2, c2);
        add_points(&mut sums.majorant, majorant);
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

// Each loss writes w rho, w rho', w rho'' and w rho'/r.

#[inline(always)]
fn squared(r: &Rows, w: &Rows, rho: &mut Rows, psi: &mut Rows, curvature: &mut Rows, reweight: &mut Rows) {
    for i in 0..POINTS {
        let (r, w) = (r.0[i], w.0[i]);
        rho.0[i] = w * r * r;
        psi.0[i] = 2.0 * w * r;
        curvature.0[i] = 2.0 * w;
        reweight.0[i] = 2.0 * w;
    }
}

#[inline(always)]
fn huber(
    r: &Rows,
    w: &Rows,
    delta: &Rows,
    rho: &mut Rows,
    psi: &mut Rows,
    curvature: &mut Rows,
    reweight: &mut Rows,
) {
    for i in 0..POINTS {
        let (r, w, delta) = (r.0[i], w.0[i], delta.0[i]);
        let size = r.abs();
        let inside = size <= delta;
        rho.0[i] = w * if inside { 0.5 * r * r } else { delta * (-0.5f64).mul_add(delta, size) };
        psi.0[i] = w * if inside { r } else { delta.copysign(r) };
        curvature.0[i] = if inside { w } else { 0.0 };
        reweight.0[i] = if inside { w } else { w * delta / size };
    }
}

#[inline(always)]
fn absolute(
    r: &Rows,
    w: &Rows,
    delta: &Rows,
    rho: &mut Rows,
    psi: &mut Rows,
    curvature: &mut Rows,
    reweight: &mut Rows,
) {
    for i in 0..POINTS {
        let (r, w, delta) = (r.0[i], w.0[i], delta.0[i]);
        let size = r.abs();
        let inside = size <= delta;
        let steep = w / if inside { delta } else { size };
        rho.0[i] = if inside { 0.5 * r * r * steep } else { w * (-0.5f64).mul_add(delta, size) };
        psi.0[i] = if inside { r * steep } else { w.copysign(r) };
        curvature.0[i] = if inside { steep } else { 0.0 };
        reweight.0[i] = steep;
    }
}

/// From derivatives by the residual to derivatives by the prediction.
#[inline(always)]
fn chain(slope: &Rows, bend: &Rows, c1: &mut Rows, c2: &mut Rows, majorant: &mut Rows) {
    for i in 0..POINTS {
        let t1 = slope.0[i];
        let squared = t1 * t1;
        let psi = c2.0[i];
        c1.0[i] = c1.0[i].mul_add(squared, psi * bend.0[i]);
        c2.0[i] = psi * t1;
        majorant.0[i] *= squared;
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

#[inline(always)]
fn sizes(r: &Rows, w: &Rows, out: &mut Rows) {
    for i in 0..POINTS {
        out.0[i] = w.0[i] * r.0[i].abs();
    }
}
