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
//! `delta`; at the last `delta`, a hundred-millionth of the residuals' size, the rows inside it are the ones that an exact
//! least-absolute-deviation fit interpolates (Madsen and Nielsen, 1993), and `r / delta` are their multipliers.

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

    /// What a residual costs on either side, over and under, relative to the loss that treats them alike.
    pub(crate) fn sides(self) -> (f64, f64) {
        match self {
            Self::Quantile { tau } => (1.0 - tau, tau),
            Self::AsymmetricHuber { over, .. } | Self::Expectile { over } => (over, 1.0),
            _ => (1.0, 1.0),
        }
    }

    /// Whether the loss is quadratic inside `delta` and straight beyond.
    pub(crate) fn has_pieces(self) -> bool {
        self.is_staged() && self.jumps()
    }

    /// Whether the second derivative jumps somewhere.
    pub(crate) fn jumps(self) -> bool {
        matches!(self, Self::Huber { .. } | Self::AsymmetricHuber { .. } | Self::Expectile { .. }) || self.has_kink()
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
