//! Robust losses by stages, and starts that need help.
//!
//! A Huber loss with a small `delta` is nearly flat in curvature far from its minimum, and the absolute loss has none
//! at all. Both are approached through wider losses, from the size of the residuals at the start down to the `delta`
//! asked for (graduated non-convexity; Madsen and Nielsen, 1993, for the path). The solutions lie on a path along which the
//! rows inside `delta` change one by one, so `delta` falls slowly where a stage was hard and faster where it was easy,
//! and the first step of a stage still counts the rows of the old one as inside.

use super::judge::Next;
use super::{EXACT, Phase, Solver};
use crate::fit::status::Status;

/// Share of the largest term below which a term's amplitude is raised before the first step, and to where.
const ASLEEP: f64 = 1e-2;
const AWAKE: f64 = 0.1;
/// Each stage's `delta` relative to the stage before: at first, at its fastest and at its slowest.
pub(super) const FALL: f64 = 0.2;
const FASTEST: f64 = 1e-2;
const SLOWEST: f64 = 0.5;
/// Where the stages begin, relative to the size of the residuals; and where a second attempt's do.
const WIDE: f64 = 0.5;
const NEARBY: f64 = 1e-3;
/// Steps up to which a stage was easy, and from which it was hard.
const EASY: u32 = 2;
const HARD: u32 = 6;
/// Where losses with a kink end, relative to the mean absolute residual.
const KINK_DELTA: f64 = 1e-8;

impl Solver<'_> {
    /// Raises the amplitudes whose terms are too small to be felt: in logarithms their slope vanishes with them.
    #[inline(always)]
    pub(super) fn wake(&mut self, lane: usize) -> bool {
        let program = self.program;
        let curvature = |j: usize| self.fresh.hessian[j * (j + 3) / 2].0[lane];
        let amplitudes: Vec<usize> = (0..program.free.len()).filter(|&j| program.amplitude[j]).collect();
        let largest = amplitudes.iter().fold(0f64, |m, &j| m.max(curvature(j)));
        for &j in &amplitudes {
            let share = curvature(j) / largest;
            if share < ASLEEP * ASLEEP {
                let parameter = program.free[j];
                let raise = 0.5 * (AWAKE * AWAKE / share.max(1e-300)).ln();
                let value = (self.trial[parameter].0[lane] + raise).min(self.upper[j]);
                self.theta[parameter].0[lane] = value;
                self.trial[parameter].0[lane] = value;
                self.woken[lane] = true;
            }
        }
        self.woken[lane]
    }

    /// A robust loss is approached through wider ones, from the size of the residuals at the start.
    #[inline(always)]
    pub(super) fn begin_stages(&mut self, lane: usize) -> (bool, Next) {
        let size = self.fresh.absolute.0[lane] / self.weight[lane];
        if size == 0.0 {
            return (true, Next::End(Status::Converged));
        }
        if self.program.objective.loss.has_kink() {
            self.final_delta[lane] = self.kink_delta(lane, size);
        }
        // A second attempt stays near its start.
        let size = size * if self.attempt[lane] == 0 { WIDE } else { NEARBY };
        if FALL * size <= self.final_delta[lane] {
            return (true, Next::Step);
        }
        self.settings.delta[lane] = size;
        self.settings.reach[lane] = size;
        // Evaluated again at the same point, under the wider loss.
        self.phase[lane] = Phase::Restart;
        (false, Next::Again)
    }

    /// Whether `delta` is still where the stages began.
    #[inline(always)]
    pub(super) fn in_first_stage(&self, lane: usize) -> bool {
        self.stage[lane] == 0
    }

    /// Where a loss with a kink ends: far below the residuals, but not below the rounding of the targets.
    #[inline(always)]
    fn kink_delta(&self, lane: usize, size: f64) -> f64 {
        let rounding = 4.0 * EXACT * (self.target[lane] / self.weight[lane]).sqrt();
        (KINK_DELTA * size).max(rounding)
    }

    /// A stage is over: on to the next `delta`, or the end.
    #[inline(always)]
    pub(super) fn stage_end(&mut self, lane: usize, better: bool, status: Status) -> Next {
        if self.in_last_stage(lane) {
            if better || !std::mem::take(&mut self.loose[lane]) {
                return Next::End(status);
            }
            // The value at hand is not the objective's.
            for j in 0..self.theta.len() {
                self.trial[j].0[lane] = self.theta[j].0[lane];
            }
            self.phase[lane] = Phase::Restart;
            return Next::Again;
        }
        if better {
            self.copy_lane(lane);
        }
        self.fall_on(lane);
        for j in 0..self.theta.len() {
            self.trial[j].0[lane] = self.theta[j].0[lane];
        }
        self.phase[lane] = Phase::Restart;
        Next::Again
    }

    /// Goes on to the next stage with the step just planned: it gains next to nothing, so that it need not be judged by
    /// the stage it ends.
    #[inline(always)]
    pub(super) fn pass_on(&mut self, lane: usize) {
        self.fall_on(lane);
        self.phase[lane] = Phase::Onward;
    }

    /// Sets the next stage's `delta`.
    #[inline(always)]
    fn fall_on(&mut self, lane: usize) {
        let delta = self.settings.delta[lane];
        let size = self.current.absolute.0[lane] / self.weight[lane];
        if self.program.objective.loss.has_kink() {
            self.final_delta[lane] = self.kink_delta(lane, size);
        }
        // The first step of the new stage keeps the rows of the old one inside: the solutions lie on a path along
        // which the rows inside rarely change, and this step follows it.
        self.settings.reach[lane] = delta;
        // Slowly where the stage was hard, faster where it was easy: the rows inside delta should change one by one.
        self.stage[lane] += 1;
        let effort = self.iterations[lane] - self.stage_start[lane];
        self.stage_start[lane] = self.iterations[lane];
        let fall = self.fall[lane];
        self.fall[lane] = match effort {
            0..=EASY => (fall * fall).max(FASTEST),
            HARD.. => fall.sqrt().min(SLOWEST),
            _ => fall,
        };
        self.settings.delta[lane] = (self.fall[lane] * delta.min(size)).max(self.final_delta[lane]);
        self.behind[lane] = 0.0;
        self.vain[lane] = 0;
        self.barred[lane] = false;
        self.lambda[lane] *= 0.1;
        self.grow[lane] = 2.0;
    }

    #[inline(always)]
    pub(super) fn in_last_stage(&self, lane: usize) -> bool {
        !self.program.objective.loss.is_staged() || self.settings.delta[lane] <= self.final_delta[lane]
    }

    /// Out of iterations: what is reported is the objective itself, not that of an early stage.
    #[inline(always)]
    pub(super) fn give_up(&mut self, lane: usize, better: bool) -> Next {
        if self.in_last_stage(lane) || self.program.objective.loss.has_kink() {
            return Next::End(Status::MaxIterations);
        }
        if better {
            self.copy_lane(lane);
        }
        for j in 0..self.theta.len() {
            self.trial[j].0[lane] = self.theta[j].0[lane];
        }
        self.settings.delta[lane] = self.final_delta[lane];
        self.settings.reach[lane] = self.final_delta[lane];
        self.phase[lane] = Phase::GivenUp;
        Next::Again
    }

    /// The wider losses led out of the basin of a start that was better: once more, close to it.
    #[inline(always)]
    pub(super) fn begin_again(&mut self, lane: usize) {
        for j in 0..self.theta.len() {
            let value = self.origin[j].0[lane];
            self.theta[j].0[lane] = value;
            self.trial[j].0[lane] = value;
        }
        let (iterations, weight) = (self.iterations[lane], self.weight[lane]);
        self.reset(lane, weight);
        self.iterations[lane] = iterations;
        self.stage_start[lane] = iterations;
        self.first[lane] = iterations;
        self.attempt[lane] = 1;
    }
}
