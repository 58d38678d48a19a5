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

use super::kernel::POINTS;
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
    pub(crate) c1: Box<Block<POINTS>>,
    pub(crate) c2: Box<Block<POINTS>>,
    pub(crate) majorant: Box<Block<POINTS>>,
    residual: Box<Block<POINTS>>,
    slope: Box<Block<POINTS>>,
    bend: Box<Block<POINTS>>,
}

/// The sums that every objective has, per lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    /// What the solver minimises.
    pub(crate) merit: [f64; 8],
    /// `Σ w |r|`
    pub(crate) absolute: [f64; 8],
    pub(crate) c1: [f64; 8],
    pub(crate) c2: [f64; 8],
    pub(crate) majorant: [f64; 8],
}

impl Sums {
    pub(crate) const ZERO: Self =
        Self { merit: [0.0; 8], absolute: [0.0; 8], c1: [0.0; 8], c2: [0.0; 8], majorant: [0.0; 8] };
}

impl Head {
    pub(crate) fn new() -> Self {
        let zero = || Box::new(Block::ZERO);
        Self { c1: zero(), c2: zero(), majorant: zero(), residual: zero(), slope: zero(), bend: zero() }
    }

    /// Fills the coefficients of one block. `convex` is 1 in lanes that want the majorant in place of the curvature.
    #[inline(always)]
    pub(crate) fn run(
        &mut self,
        objective: Objective,
        prediction: &Block<POINTS>,
        target: &Block<POINTS>,
        weight: &Block<POINTS>,
        delta: &[f64; 8],
        convex: &[f64; 8],
        sums: &mut Sums,
    ) {
        self.transform(objective.space, prediction, target);
        macro_rules! rows {
            (|$r:ident, $delta:ident| $value:expr) => {
                for k in 0..POINTS / 8 {
                    for lane in 0..8 {
                        let i = 8 * k + lane;
                        let $r = self.residual.0[i];
                        let $delta = delta[lane];
                        let w = weight.0[i];
                        let (rho, psi, curvature, reweight): (f64, f64, f64, f64) = $value;
                        let (t1, t2) = (self.slope.0[i], self.bend.0[i]);
                        let t1_squared = t1 * t1;
                        let majorant = w * reweight * t1_squared;
                        let exact = w * (curvature.mul_add(t1_squared, psi * t2));
                        let c1 = if convex[lane] == 0.0 { exact } else { majorant };
                        let c2 = w * psi * t1;
                        self.c1.0[i] = c1;
                        self.c2.0[i] = c2;
                        self.majorant.0[i] = majorant;
                        sums.merit[lane] = w.mul_add(rho, sums.merit[lane]);
                        sums.absolute[lane] = w.mul_add($r.abs(), sums.absolute[lane]);
                        sums.c1[lane] += c1;
                        sums.c2[lane] += c2;
                        sums.majorant[lane] += majorant;
                    }
                }
            };
        }
        match objective.loss {
            Loss::Squared => rows!(|r, _delta| (r * r, 2.0 * r, 2.0, 2.0)),
            Loss::Huber { .. } => rows!(|r, delta| {
                let size = r.abs();
                let inside = size <= delta;
                (
                    if inside { 0.5 * r * r } else { delta * (-0.5f64).mul_add(delta, size) },
                    if inside { r } else { delta.copysign(r) },
                    if inside { 1.0 } else { 0.0 },
                    if inside { 1.0 } else { delta / size },
                )
            }),
            Loss::Absolute => rows!(|r, delta| {
                let size = r.abs();
                let inside = size <= delta;
                let inverse = 1.0 / delta;
                (
                    if inside { 0.5 * r * r * inverse } else { (-0.5f64).mul_add(delta, size) },
                    if inside { r * inverse } else { 1f64.copysign(r) },
                    if inside { inverse } else { 0.0 },
                    if inside { inverse } else { 1.0 / size },
                )
            }),
        }
    }

    #[inline(always)]
    fn transform(&mut self, space: Space, prediction: &Block<POINTS>, target: &Block<POINTS>) {
        match space {
            Space::Raw => {
                for i in 0..POINTS {
                    self.residual.0[i] = prediction.0[i] - target.0[i];
                    self.slope.0[i] = 1.0;
                    self.bend.0[i] = 0.0;
                }
            }
            Space::Log => {
                for i in 0..POINTS {
                    let inverse = 1.0 / prediction.0[i];
                    self.residual.0[i] = math::ln(prediction.0[i]) - target.0[i];
                    self.slope.0[i] = inverse;
                    self.bend.0[i] = -inverse * inverse;
                }
            }
            Space::Logit => {
                for i in 0..POINTS {
                    let m = prediction.0[i];
                    let inverse = 1.0 / (m * (1.0 - m));
                    self.residual.0[i] = math::ln(m) - math::log1p(-m) - target.0[i];
                    self.slope.0[i] = inverse;
                    self.bend.0[i] = (2.0 * m - 1.0) * inverse * inverse;
                }
            }
        }
    }
}
