//! Curved valleys: steps that rise first.
//!
//! Along a curved valley, such as that of an offset and an amplitude that take each other's place while an exponent goes
//! to zero, a Newton step of useful length lands on the slope, above where it began, though the next step from
//! there leads down to the floor, farther along. A solver that insists on a decrease takes hundreds of short steps
//! instead. So a step that fails near the minimum is taken on approval, and a few more from where it led; if none comes
//! below the point that was left, that point is gone back to, with more damping (the watchdog of Chamberlain, Powell,
//! Lemarechal and Pedersen, 1982, against what Maratos, 1978, found of steps along curved constraints).
//!
//! A robust loss has kinks in its slope, and off the floor of the valley rows leave the pieces of the loss that they
//! are on: its curvature there knows nothing of the valley. So where a loss has pieces, an excursion is led by the
//! smooth function that holds every row on the piece where it was ([pieces](crate::fit)); the value that decides is the
//! loss's own.

use super::judge::Next;
use super::{ACCEPTED, LANES, Lanes, Phase, Solver};
use crate::expr::Block;
use crate::fit::kernel::Model;

/// Steps astray after the first.
const STEPS: u8 = 4;
/// So many excursions in vain, one after the other, and there are no more.
const VAIN: u8 = 3;
/// Steps before the first excursion: a fit that needs fewer does not crawl, and steps that fail there met a kink.
const PATIENCE: u32 = 16;
/// The same for losses with stages, which take a few steps each; those with a kink have a path not to be left.
const STAGED_PATIENCE: u32 = 24;
/// Relative predicted decrease below which a step may lead astray.
const NEAR: f64 = 0.03;
/// The same below which it is left to damping: rounding would soon have its say.
const FAINT: f64 = 1e-12;

/// The points that lanes have left.
#[derive(Debug)]
pub(super) struct Kept {
    theta: Vec<Lanes>,
    model: Model,
    lambda: [f64; LANES],
    grow: [f64; LANES],
    /// The decrease below it that ends an excursion well.
    wanted: [f64; LANES],
}

impl Kept {
    pub(super) fn new(parameters: usize, free: usize) -> Self {
        Self {
            theta: vec![Block::ZERO; parameters],
            model: Model::new(free),
            lambda: [0.0; LANES],
            grow: [2.0; LANES],
            wanted: [0.0; LANES],
        }
    }
}

impl Solver<'_> {
    /// Whether the current point is above the one kept.
    #[inline(always)]
    pub(super) fn is_astray(&self, lane: usize) -> bool {
        self.astray[lane] > 0
    }

    /// What to do about a trial that failed, if an excursion has prospects: where the loss has pieces, first to note on
    /// which each row is, else to take the trial on approval.
    #[inline(always)]
    pub(super) fn stray(&mut self, lane: usize) -> Option<(bool, Next)> {
        let old = self.current.value.0[lane];
        let near = self.predicted[lane] <= NEAR * old && self.predicted[lane] > FAINT * old;
        let near = near && !self.settings.convex[lane];
        let loss = self.program.objective.loss;
        let patience = if loss.is_staged() && !loss.has_kink() { STAGED_PATIENCE } else { PATIENCE };
        let early = self.iterations[lane] < self.first[lane] + patience;
        if !near || early || self.barred[lane] || self.vain[lane] == VAIN || self.loose[lane] {
            return None;
        }
        if self.program.objective.loss.has_pieces() && self.freezes {
            for (trial, theta) in self.trial.iter_mut().zip(&self.theta) {
                trial.0[lane] = theta.0[lane];
            }
            self.settings.noting[lane] = true;
            self.phase[lane] = Phase::Noting;
            return Some((false, Next::Again));
        }
        if !self.sound[lane] || self.is_numb(lane) {
            return None;
        }
        self.leave(lane);
        Some((true, Next::Step))
    }

    /// Keeps the current point and begins an excursion.
    #[inline(always)]
    pub(super) fn leave(&mut self, lane: usize) {
        self.kept.model.copy_lane(&self.current, lane);
        for (to, from) in self.kept.theta.iter_mut().zip(&self.theta) {
            to.0[lane] = from.0[lane];
        }
        self.kept.lambda[lane] = self.lambda[lane];
        self.kept.grow[lane] = self.grow[lane];
        self.kept.wanted[lane] = ACCEPTED * self.predicted[lane];
        self.astray[lane] = STEPS;
        self.left[lane] = self.iterations[lane];
        self.behind[lane] = 0.0;
        if std::mem::take(&mut self.settings.noting[lane]) {
            self.settings.frozen[lane] = true;
            self.astray[lane] += 1;
        }
    }

    /// Judges a trial made astray. None if it came out below the point kept, and is judged as any other.
    #[inline(always)]
    pub(super) fn follow(&mut self, lane: usize) -> Option<(bool, Next)> {
        let (value, kept) = (self.fresh.value.0[lane], self.kept.model.value.0[lane]);
        let sound = self.sound[lane] && !self.is_numb(lane);
        if sound && value < kept - self.kept.wanted[lane] {
            self.astray[lane] = 0;
            self.vain[lane] = 0;
            self.forget(lane);
            if !std::mem::take(&mut self.settings.frozen[lane]) {
                return None;
            }
            // The value is the loss's own; its derivatives are still to come.
            self.copy_lane(lane);
            self.lambda[lane] *= 0.1;
            self.grow[lane] = 2.0;
            self.barred[lane] = false;
            if self.iterations[lane] >= self.max_iterations {
                return Some((false, self.give_up(lane, false)));
            }
            self.phase[lane] = Phase::Restart;
            return Some((false, Next::Again));
        }
        self.astray[lane] -= 1;
        let tired = self.iterations[lane] >= self.max_iterations;
        let moving = self.predicted[lane] > self.kept.wanted[lane];
        if sound && self.astray[lane] > 0 && !tired && moving {
            return Some((true, Next::Step));
        }
        // In vain: back, with more damping.
        self.astray[lane] = 0;
        self.forget(lane);
        self.vain[lane] += 1;
        self.barred[lane] = true;
        self.settings.frozen[lane] = false;
        self.current.copy_lane(&self.kept.model, lane);
        for (to, from) in self.theta.iter_mut().zip(&self.kept.theta) {
            to.0[lane] = from.0[lane];
        }
        self.settings.convex[lane] = false;
        self.grow[lane] = 2.0 * self.kept.grow[lane];
        self.lambda[lane] = self.kept.lambda[lane] * self.kept.grow[lane];
        if tired {
            return Some((false, self.give_up(lane, false)));
        }
        Some((false, Next::Step))
    }

    /// Steps astray do not count for how hard a stage was: they fought the valley, not the kinks.
    #[inline(always)]
    fn forget(&mut self, lane: usize) {
        self.stage_start[lane] += self.iterations[lane] - self.left[lane];
    }
}
