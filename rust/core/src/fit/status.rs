//! How a fit ended. A batch never fails as a whole because one of its fits did not converge.

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Status {
    /// Gradient and predicted decrease vanish.
    Converged = 0,
    /// No further decrease is possible in floating point.
    Stalled = 1,
    /// The limit of iterations was reached.
    MaxIterations = 2,
    /// The objective or a derivative of it is not a finite number at the start.
    NonFiniteStart = 3,
    /// Fewer rows with weight than free parameters.
    TooFewRows = 4,
    /// The caller asked to stop before this fit was finished.
    Cancelled = 5,
    /// A positive parameter ran out of the range of numbers: what is shown instead is the best point met within it.
    OutOfRange = 6,
}

impl Status {
    /// Every status, in the order of its code.
    pub const ALL: [Self; 7] = [
        Self::Converged,
        Self::Stalled,
        Self::MaxIterations,
        Self::NonFiniteStart,
        Self::TooFewRows,
        Self::Cancelled,
        Self::OutOfRange,
    ];

    /// The name under which Python knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "CONVERGED",
            Self::Stalled => "STALLED",
            Self::MaxIterations => "MAX_ITERATIONS",
            Self::NonFiniteStart => "NON_FINITE_START",
            Self::TooFewRows => "TOO_FEW_ROWS",
            Self::Cancelled => "CANCELLED",
            Self::OutOfRange => "OUT_OF_RANGE",
        }
    }

    /// Whether the parameters are those of a minimum.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Converged | Self::Stalled)
    }

    /// One sentence for the user.
    pub fn message(self) -> &'static str {
        match self {
            Self::Converged => "converged: the gradient and the predicted decrease vanish",
            Self::Stalled => "converged to the limit of floating point: no step decreases the objective",
            Self::MaxIterations => "not converged: the limit of iterations was reached",
            Self::NonFiniteStart => {
                "not started: the objective or a derivative of it is not finite at the starting point"
            }
            Self::TooFewRows => "not started: fewer rows with weight than free parameters",
            Self::Cancelled => "not finished: the caller asked to stop",
            Self::OutOfRange => {
                "not converged: a positive parameter ran out of the range of numbers; bound an exponent"
            }
        }
    }
}
