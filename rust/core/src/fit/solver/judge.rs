//! Judging what was tried: to take it or not, how damping follows, and when a fit has ended.

use super::{ACCEPTED, EXACT, Ending, FIRST_DAMPING, NUMB, Phase, Solver};
use crate::fit::kernel::{LANES, Lanes};
use crate::fit::status::Status;
use crate::simd::Level;

/// Relative predicted decrease below which a fit has converged.
const TOLERANCE: f64 = 1e-10;
/// The same for the stages on the way to the final `delta`, which need only lead into its basin.
const STAGE_TOLERANCE: f64 = 0.1;
/// The same for losses with a kink, whose path cannot be found again once it is lost.
const KINK_TOLERANCE: f64 = 1e-6;
/// Predicted relative decrease that rounding hides.
const ROUNDING: f64 = 1e-15;
/// How far the objective may be off, relatively, after a last step that is taken on trust: what the rounding of a
/// few hundred residuals adds up to.
const TRUSTED: f64 = 1e-14;
/// Length of a last step that is taken on trust, relative to the one before.
const SHORT: f64 = 0.1;
/// Relative decrease below which a step counts as near the minimum, where the true curvature leads.
const NEAR: f64 = 0.03;
/// The same for a fit whose first step showed that it started near.
const NEARER: f64 = 0.1;
/// Of such a fit, the relative decrease foretold below which the trial is evaluated with the true curvature at once.
const FORETOLD: f64 = 0.01;
/// After a step that failed, damping shortens the next one at least so much, relative to what stops it.
const BITE: f64 = 0.3;
/// The same for each multiple of the step's rightful length that it was too long by.
const BITE_OVER: f64 = 0.5;
/// The least share of a failed step that the parabola through it is believed to call for.
const LEAST_SHARE: f64 = 0.1;

impl Solver<'_> {
    /// Judges the trial that was just evaluated into `fresh`, and sets up the next. Says which lanes have ended: how is
    /// in `endings`.
    pub(crate) fn advance(&mut self, level: Level) -> [bool; LANES] {
        advance(level, self)
    }

    #[inline(always)]
    fn advance_inline(&mut self) -> [bool; LANES] {
        self.examine();
        let mut ended = [false; LANES];
        let mut accepted = [false; LANES];
        let mut stepping = [false; LANES];
        for lane in 0..LANES {
            let (take, next) = self.judge(lane);
            accepted[lane] = take;
            stepping[lane] = matches!(next, Next::Step);
            if let Next::End(status) = next {
                if take {
                    self.copy_lane(lane);
                    accepted[lane] = false;
                }
                ended[lane] = self.end(lane, status);
            }
        }
        self.accept(accepted);
        self.solve(stepping);
        for lane in 0..LANES {
            if stepping[lane] {
                self.plan(lane);
                if self.phase[lane] == Phase::Closing && self.is_certain(lane) {
                    ended[lane] = self.take_on_trust(lane);
                }
            }
        }
        ended
    }

    /// What is judged for all lanes at once.
    #[inline(always)]
    fn examine(&mut self) {
        // Zero times a number is zero, unless it is not finite.
        let mut unsound = Lanes::ZERO;
        let model = &self.fresh;
        for values in [std::slice::from_ref(&model.value), &model.gradient, &model.hessian] {
            for value in values {
                for lane in 0..LANES {
                    unsound.0[lane] += 0.0 * value.0[lane];
                }
            }
        }
        let mut numb = Lanes::ZERO;
        if self.has_units {
            for (fresh, current) in self.fresh.diagonal.iter().zip(&self.current.diagonal) {
                for lane in 0..LANES {
                    let here = fresh.0[lane] < NUMB * current.0[lane];
                    numb.0[lane] = if here { 1.0 } else { numb.0[lane] };
                }
            }
        }
        for lane in 0..LANES {
            self.sound[lane] = unsound.0[lane] == 0.0;
            self.numb[lane] = numb.0[lane] != 0.0;
        }
    }

    #[inline(always)]
    fn judge(&mut self, lane: usize) -> (bool, Next) {
        let value = self.fresh.value.0[lane];
        let old = self.current.value.0[lane];
        match self.phase[lane] {
            Phase::Idle => (false, Next::Idle),
            Phase::Start => {
                if !self.sound[lane] {
                    if self.woken[lane] && self.attempt[lane] == 0 {
                        // Waking went too far: the start as it was given.
                        self.begin_again(lane);
                        return (false, Next::Again);
                    }
                    return (true, Next::End(Status::NonFiniteStart));
                }
                if self.program.free.is_empty() {
                    return (true, Next::End(Status::Converged));
                }
                if self.attempt[lane] == 0 && !self.woken[lane] {
                    // With delta still at its end this is the value that the fit must not exceed.
                    let kink = self.program.objective.loss.has_kink();
                    self.origin_value[lane] = if kink { self.fresh.absolute.0[lane] } else { value };
                }
                if self.attempt[lane] == 0 && !self.woken[lane] && self.wake(lane) {
                    return (false, Next::Again);
                }
                if !self.program.objective.loss.is_staged() {
                    return (true, Next::Step);
                }
                self.begin_stages(lane)
            }
            Phase::Restart => {
                self.loose[lane] = self.settings.reach[lane] > self.settings.delta[lane];
                (true, Next::Step)
            }
            Phase::Onward => {
                self.iterations[lane] += 1;
                // A smaller delta makes no loss larger: above the old value, the step led up.
                if self.sound[lane] && value <= old {
                    self.loose[lane] = self.settings.reach[lane] > self.settings.delta[lane];
                    return (true, Next::Step);
                }
                for j in 0..self.theta.len() {
                    self.trial[j].0[lane] = self.theta[j].0[lane];
                }
                self.phase[lane] = Phase::Restart;
                (false, Next::Again)
            }
            Phase::Noting => {
                self.leave(lane);
                (true, Next::Step)
            }
            Phase::GivenUp => (true, Next::End(Status::MaxIterations)),
            Phase::Trial | Phase::Closing | Phase::Projected => {
                if self.phase[lane] == Phase::Trial && self.project(lane, old, value) {
                    return (false, Next::Again);
                }
                self.iterations[lane] += 1;
                if self.is_astray(lane)
                    && let Some(next) = self.follow(lane)
                {
                    return next;
                }
                let decrease = old - value;
                let ratio = decrease / self.predicted[lane];
                let closing = self.phase[lane] == Phase::Closing;
                // NaN and infinity fail this test and are rejected. The last step gains less than rounding shows, which
                // is that of the targets where the residuals nearly vanish.
                let slack = 4.0 * ROUNDING * old + 10.0 * self.predicted[lane];
                let lower = self.sound[lane] && (value < old || (closing && value - old <= slack));
                let numb = lower && !self.program.objective.loss.is_staged() && self.is_numb(lane);
                self.refused[lane] = numb || (!lower && self.refused[lane]);
                let better = lower && !numb;
                if better && self.is_exact(lane) {
                    return (true, Next::End(Status::Converged));
                }
                if closing && !self.in_last_stage(lane) && self.iterations[lane] >= self.max_iterations {
                    return (better, self.give_up(lane, better));
                }
                if closing {
                    return (better, self.stage_end(lane, better, Status::Converged));
                }
                if !better || !(ratio > ACCEPTED) {
                    if self.iterations[lane] < self.max_iterations {
                        if let Some(next) = self.stray(lane) {
                            return next;
                        }
                        if self.shorten(lane, decrease) {
                            return (false, Next::Again);
                        }
                    }
                    self.lambda[lane] = (self.lambda[lane] * self.grow[lane]).max(self.bite(lane, decrease));
                    self.grow[lane] *= 2.0;
                    if self.predicted[lane] <= ROUNDING * old || self.grow[lane] > 1e30 {
                        if self.refused[lane] {
                            // Whatever moves at all leaves it numb: then so be it.
                            self.refused[lane] = false;
                            self.lenient[lane] = true;
                            self.lambda[lane] = FIRST_DAMPING;
                            self.grow[lane] = 2.0;
                            return (false, Next::Step);
                        }
                        return (false, self.stage_end(lane, false, Status::Stalled));
                    }
                } else {
                    self.grow[lane] = 2.0;
                    self.barred[lane] = false;
                    let exact = !self.settings.convex[lane] && self.phase[lane] == Phase::Trial;
                    let off = (decrease - self.predicted[lane]).abs();
                    let length = self.length[lane] * self.extent[lane].sqrt();
                    self.behind[lane] = if exact { length } else { 0.0 };
                    self.doubt[lane] = off / (length * length * length);
                    self.loose[lane] = false;
                    let near = if self.near[lane] { NEARER } else { NEAR };
                    if decrease < near * old {
                        self.hold[lane] = self.hold[lane].saturating_sub(1);
                        self.settings.convex[lane] = self.hold[lane] > 0;
                    }
                    let bend = 2.0 * ratio - 1.0;
                    let shrink = (1.0 - bend * bend * bend).clamp(0.1, 2.0);
                    self.lambda[lane] *= shrink;
                    if self.lambda[lane] < 1e-14 {
                        self.lambda[lane] = 0.0;
                    }
                }
                if self.iterations[lane] >= self.max_iterations {
                    return (better, self.give_up(lane, better));
                }
                (better, Next::Step)
            }
        }
    }

    /// Writes down how a lane ended. False where it begins again instead, since it had started lower.
    #[inline(always)]
    fn end(&mut self, lane: usize, mut status: Status) -> bool {
        let kink = self.program.objective.loss.has_kink();
        let mut value = if kink { self.current.absolute.0[lane] } else { self.current.value.0[lane] };
        if value > (1.0 + 4.0 * ROUNDING) * self.origin_value[lane] {
            if self.attempt[lane] == 0 && status.is_success() {
                self.begin_again(lane);
                return false;
            }
            for j in 0..self.theta.len() {
                self.theta[j].0[lane] = self.origin[j].0[lane];
            }
            (value, status) = (self.origin_value[lane], Status::MaxIterations);
        }
        self.endings[lane] = Ending { status, value, iterations: self.iterations[lane] };
        true
    }

    /// The damping that a step which failed calls for. `whole / extent` is that at which the model's own curvature along
    /// the step would double; how much of the step was right, the parabola through the old value, its slope and the
    /// value just found says.
    #[inline(always)]
    fn bite(&self, lane: usize, decrease: f64) -> f64 {
        let slope = -self.slope[lane] * self.length[lane];
        let share = 0.5 * slope / (slope - decrease);
        // A value that is not finite says that the step was far too long.
        let share = if share > LEAST_SHARE { share } else { LEAST_SHARE };
        // With units a long step may be one along parameters that enter linearly, which is right.
        let bite = if self.has_units { BITE } else { BITE.max(BITE_OVER * (1.0 / share - 1.0)) };
        bite * self.whole[lane] / self.extent[lane]
    }

    /// How far the model may be off at the end of the step at hand, relative to what it predicts. It leaves out the third
    /// order of the objective, which is as large as the step before has shown; and what damping is left holds the
    /// step back.
    #[inline(always)]
    fn error(&self, lane: usize) -> f64 {
        let (predicted, extent) = (self.predicted[lane], self.extent[lane]);
        // A row may cross the jump of its second derivative at the last moment, and what the step before has shown may
        // have been small by chance.
        let least = if self.program.objective.loss.jumps() { 1e-2 } else { 1e-3 };
        let third = self.doubt[lane] * extent * extent.sqrt();
        ((third + self.lambda[lane] * extent) / predicted).max(least)
    }

    /// Whether the last step need not be evaluated: the model foretells its outcome to rounding, or nearly. Only of a
    /// step much shorter than the one before, which knows nothing of the third order farther off: along a valley
    /// without curvature a step of next to no gain is long.
    #[inline(always)]
    fn is_certain(&self, lane: usize) -> bool {
        let smooth = self.smooth && !self.program.objective.loss.has_kink();
        let short = self.extent[lane].sqrt() <= SHORT * self.behind[lane];
        let error = self.error(lane) * self.predicted[lane];
        short && smooth && self.in_last_stage(lane) && error <= TRUSTED * self.current.value.0[lane]
    }

    /// Takes the last step as the model sees it.
    #[inline(always)]
    fn take_on_trust(&mut self, lane: usize) -> bool {
        self.iterations[lane] += 1;
        self.current.value.0[lane] -= self.predicted[lane];
        for j in 0..self.theta.len() {
            self.theta[j].0[lane] = self.trial[j].0[lane];
        }
        self.end(lane, Status::Converged)
    }

    /// Takes the trial of one lane at once.
    #[inline(always)]
    pub(super) fn copy_lane(&mut self, lane: usize) {
        self.current.copy_lane(&self.fresh, lane);
        for (to, from) in self.theta.iter_mut().zip(&self.trial) {
            to.0[lane] = from.0[lane];
        }
    }

    #[inline(always)]
    fn accept(&mut self, accepted: [bool; LANES]) {
        macro_rules! take {
            ($to:expr, $from:expr) => {
                for lane in 0..LANES {
                    $to.0[lane] = if accepted[lane] { $from.0[lane] } else { $to.0[lane] };
                }
            };
        }
        take!(self.current.value, self.fresh.value);
        take!(self.current.absolute, self.fresh.absolute);
        for j in 0..self.theta.len() {
            take!(self.theta[j], self.trial[j]);
        }
        for j in 0..self.current.gradient.len() {
            take!(self.current.gradient[j], self.fresh.gradient[j]);
            take!(self.current.diagonal[j], self.fresh.diagonal[j]);
        }
        for j in 0..self.current.hessian.len() {
            take!(self.current.hessian[j], self.fresh.hessian[j]);
        }
    }

    /// Decides whether the step just planned is the last of its stage.
    #[inline(always)]
    fn plan(&mut self, lane: usize) {
        // A model that counted rows beyond delta as inside cannot tell whether this is the minimum.
        let loose = self.settings.reach[lane] > self.settings.delta[lane];
        self.settings.reach[lane] = self.settings.delta[lane];
        self.cuts[lane] = 0;
        self.length[lane] = 1.0;
        if std::mem::take(&mut self.restart[lane]) {
            for j in 0..self.theta.len() {
                self.trial[j].0[lane] = self.theta[j].0[lane];
            }
            self.phase[lane] = Phase::Restart;
            return;
        }
        let foretold = self.predicted[lane] / self.current.value.0[lane];
        if self.near[lane] && self.hold[lane] == 0 && foretold < FORETOLD {
            self.settings.convex[lane] = false;
        }
        let closing = !loose && !self.is_astray(lane) && self.is_closing(lane);
        if closing && !self.in_last_stage(lane) && !self.program.objective.loss.has_kink() {
            self.pass_on(lane);
            return;
        }
        self.phase[lane] = if closing { Phase::Closing } else { Phase::Trial };
    }

    /// Whether the residuals just evaluated are no more than rounding of the targets.
    #[inline(always)]
    fn is_exact(&self, lane: usize) -> bool {
        let noise = EXACT * EXACT * self.target[lane];
        if self.program.objective.loss.has_kink() {
            self.fresh.absolute.0[lane] <= (noise * self.weight[lane]).sqrt()
        } else {
            self.fresh.value.0[lane] <= noise
        }
    }

    /// Whether the step at hand gains next to nothing, and not because of damping.
    #[inline(always)]
    pub(super) fn is_closing(&self, lane: usize) -> bool {
        let value = self.current.value.0[lane];
        let tolerance = if self.in_last_stage(lane) {
            TOLERANCE
        } else {
            // A stage is worth solving as far as its delta makes a difference.
            let size = self.current.absolute.0[lane] / self.weight[lane];
            let tolerance = if self.program.objective.loss.has_kink() { KINK_TOLERANCE } else { STAGE_TOLERANCE };
            tolerance * (self.settings.delta[lane] / size).min(1.0)
        };
        let predicted = self.predicted[lane];
        predicted <= tolerance * value && self.lambda[lane] * self.extent[lane] <= 0.01 * predicted
    }
}

crate::dispatch! {
    fn advance<'a, 'p>(solver: &'a mut Solver<'p>) -> [bool; LANES] = Solver::advance_inline;
}

/// What follows a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Idle,
    /// A new step from the current point.
    Step,
    /// Another evaluation at the same point.
    Again,
    End(Status),
}
