//! Losses made of pieces, with every row held on one.
//!
//! Huber's loss and the absolute loss on its way are quadratic inside `delta` and straight on either side. With each row
//! held on the piece where it was, the objective is a smooth function, which Newton's steps follow along a curved
//! valley; between kinks it is the objective itself. The solver's excursions are led by it.

use super::head::{LOG, LOGIT, RAW, Rows, chain};
use super::kernel::LANES;
use super::objective::{Loss, Objective, Space};

/// The rows of one block, and which lanes note or keep their pieces: zero inside `delta`, else the side.
pub(crate) struct Pinned<'a> {
    pub(crate) flags: ([bool; LANES], [bool; LANES]),
    pub(crate) pieces: &'a mut [f64],
}

impl Pinned<'_> {
    /// Puts the coefficients of the pieces held in place of those of the loss; the value stays the loss's own.
    #[inline(always)]
    pub(crate) fn run<const M: usize>(
        self,
        objective: Objective,
        rows: (&Rows, &Rows, &Rows),
        limits: (&Rows, &Rows),
        coefficients: (&mut Rows, &mut Rows),
    ) {
        match objective.space {
            Space::Raw => self.run_in::<M, RAW>(objective.loss, rows, limits, coefficients),
            Space::Log => self.run_in::<M, LOG>(objective.loss, rows, limits, coefficients),
            Space::Logit => self.run_in::<M, LOGIT>(objective.loss, rows, limits, coefficients),
        }
    }

    #[inline(always)]
    fn run_in<const M: usize, const SPACE: u8>(
        self,
        loss: Loss,
        (prediction, residual, weight): (&Rows, &Rows, &Rows),
        (delta, reach): (&Rows, &Rows),
        (c1, c2): (&mut Rows, &mut Rows),
    ) {
        let Self { flags: (noting, frozen), pieces } = self;
        let (over, under) = loss.sides();
        let kink = loss.has_kink();
        for i in 0..M {
            let (r, w, delta) = (residual.0[i], weight.0[i], delta.0[i]);
            if noting[i % LANES] {
                pieces[i] = if r.abs() <= reach.0[i] { 0.0 } else { 1f64.copysign(r) };
            }
            if !frozen[i % LANES] {
                continue;
            }
            let piece = pieces[i];
            let side = if piece > 0.0 || (piece == 0.0 && r > 0.0) { over } else { under };
            // Slope and curvature of the loss by the residual; with a kink the loss is divided by delta.
            let scale = w * side * if kink { 1.0 / delta } else { 1.0 };
            let (psi, curvature) = if piece == 0.0 { (scale * r, scale) } else { (scale * delta * piece, 0.0) };
            let (psi, curvature, _) = chain::<SPACE>(prediction.0[i], (psi, curvature, 0.0));
            c2.0[i] = psi;
            c1.0[i] = curvature;
        }
    }
}
