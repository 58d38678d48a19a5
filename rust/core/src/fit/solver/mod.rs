//! Levenberg–Marquardt on the true curvature, eight problems to a vector.
//!
//! Each lane is a problem with its own damping `λ`, `delta` and progress; the lanes only share the instruction stream.
//! A trial step solves
//!
//! ```text
//! (H + λ D) s = -g
//! ```
//!
//! with `H` the Hessian of the objective itself (Moré, 1978, for the frame; Dennis, Gay and Welsch, 1981, for why
//! the second-order part matters when residuals do not vanish). Far from the minimum, where the Hessian of a robust
//! loss says little, `H` is the majorant of reweighted least squares instead, which is never indefinite. `λ` grows
//! until the factorisation is positive definite. `D` has one common scale for parameters without unit (logarithms,
//! exponents of centred ratios), the largest curvature among them, and for each other parameter its own
//! diagonal of the majorant, so units never matter.
//!
//! Every judgement is relative: a step is taken by the ratio of actual to predicted decrease; a fit has converged
//! when the predicted decrease is a 1e-10th of the objective with damping no longer in play, and then the last,
//! quadratically convergent step is still taken. Bounds are an active set: a parameter at its bound whose gradient
//! points outward rests, any other step is cut at the bound and judged by what the model says of the cut step.
//!
//! Parameters that the residuals are linear in, as the solver sees them, are taken to their best values before a trial
//! is judged, where that gains something (`linear`).
//!
//! `step` makes the steps, `stages` leads robust losses to their `delta`; this file judges and keeps the books.

mod linear;
mod stages;
mod step;

use self::linear::Linear;
use self::stages::FALL;
use crate::expr::Block;
use crate::fit::kernel::{LANES, Lanes, Model, Settings};
use crate::fit::program::Program;
use crate::fit::status::Status;
use crate::simd::Level;

/// Relative predicted decrease below which a fit has converged.
const TOLERANCE: f64 = 1e-10;
/// The same for the stages on the way to the final `delta`.
const STAGE_TOLERANCE: f64 = 1e-3;
/// The same for losses with a kink, whose path cannot be found again once it is lost.
const KINK_TOLERANCE: f64 = 1e-8;
/// Predicted relative decrease that rounding hides.
const ROUNDING: f64 = 1e-15;
/// Residuals up to this share of their targets are rounding.
const EXACT: f64 = 4.0 * f64::EPSILON;
/// Ratio of actual to predicted decrease above which a step is taken.
const ACCEPTED: f64 = 1e-4;
/// First damping, relative to the curvature.
const FIRST_DAMPING: f64 = 1e-3;
/// Relative decrease below which a step counts as near the minimum, where the true curvature leads.
const NEAR: f64 = 0.03;
/// A step after which a parameter has less than this share of its curvature was too long.
const NUMB: f64 = 1e-8;
/// After a step that failed, damping shortens the next one at least so much, relative to what stops it.
const BITE: f64 = 0.3;
/// Gain from the linear parameters, relative to the change of the objective, that is worth another evaluation.
const WORTH: f64 = 0.1;

/// What a lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing: its values are ignored.
    Idle,
    /// The evaluation under way is at the starting point.
    Start,
    /// The evaluation under way is at the current point, under a new `delta`.
    Restart,
    /// The evaluation under way is at a trial point.
    Trial,
    /// As `Trial`, and the step is the last of its stage.
    Closing,
    /// As `Trial`, with the linear parameters at their best.
    Projected,
    /// The evaluation under way is of a point given up in an early stage, under the final `delta`.
    GivenUp,
}

/// The end of one problem.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) value: f64,
    pub(crate) iterations: u32,
    pub(crate) gradient: f64,
}

/// Eight problems in progress.
#[derive(Debug)]
pub(crate) struct Solver<'p> {
    program: &'p Program,
    max_iterations: u32,
    lower: Vec<f64>,
    upper: Vec<f64>,
    phase: [Phase; LANES],
    /// All parameters, internal: the best so far and the trial.
    pub(crate) theta: Vec<Lanes>,
    pub(crate) trial: Vec<Lanes>,
    pub(crate) settings: Settings,
    current: Model,
    pub(crate) fresh: Model,
    step: Vec<Lanes>,
    /// The diagonal of `D`.
    damping: Vec<Lanes>,
    /// One for a parameter that rests at its bound, else zero.
    resting: Vec<Lanes>,
    /// `L` and the pivots of the damped curvature, packed lower triangle.
    factor: Vec<Lanes>,
    lambda: [f64; LANES],
    /// What `λ` is multiplied with when the next step fails.
    grow: [f64; LANES],
    /// Amplitudes of the start were raised.
    woken: [bool; LANES],
    /// The majorant is kept for so many more small steps.
    hold: [u8; LANES],
    /// The first step is still to show whether the start is near or far.
    probing: [bool; LANES],
    /// Where the lane started, the objective there, and whether this is its second attempt.
    origin: Vec<Lanes>,
    origin_value: [f64; LANES],
    attempt: [u8; LANES],
    /// How fast delta falls, and when the present stage began.
    fall: [f64; LANES],
    /// How many stages are behind.
    stage: [u32; LANES],
    stage_start: [u32; LANES],
    /// The point is evaluated again, for the majorant.
    restart: [bool; LANES],
    /// How often the step was shortened, how much of it is left, and what the model says of the whole.
    cuts: [u8; LANES],
    length: [f64; LANES],
    whole: [f64; LANES],
    /// `gᵀ s` of the step planned.
    slope: [f64; LANES],
    /// The decrease that the model foretells for the trial.
    predicted: [f64; LANES],
    /// `sᵀ D s` of the step planned; times `λ` it says how much of the step the damping decided.
    extent: [f64; LANES],
    linear: Linear,
    /// Steps that would leave a parameter numb: one was refused since the last that was taken; they are let pass.
    refused: [bool; LANES],
    lenient: [bool; LANES],
    weight: [f64; LANES],
    /// `Σ w t²`, `t` the size of a target: what rounding is measured against.
    target: [f64; LANES],
    final_delta: [f64; LANES],
    iterations: [u32; LANES],
}

impl<'p> Solver<'p> {
    /// `lower` and `upper` are the internal bounds of the free parameters.
    pub(crate) fn new(program: &'p Program, lower: Vec<f64>, upper: Vec<f64>, max_iterations: u32) -> Self {
        let (p, free) = (program.parameters, program.free.len());
        let zero = |n: usize| vec![Block::ZERO; n];
        Self {
            program,
            max_iterations,
            lower,
            upper,
            phase: [Phase::Idle; LANES],
            theta: zero(p),
            trial: zero(p),
            settings: Settings { delta: [1.0; LANES], reach: [1.0; LANES], convex: [false; LANES] },
            current: Model::new(free),
            fresh: Model::new(free),
            step: zero(free),
            damping: zero(free),
            resting: zero(free),
            factor: zero(free * (free + 1) / 2),
            lambda: [0.0; LANES],
            grow: [2.0; LANES],
            woken: [false; LANES],
            hold: [0; LANES],
            probing: [false; LANES],
            origin: zero(p),
            origin_value: [f64::INFINITY; LANES],
            attempt: [0; LANES],
            fall: [FALL; LANES],
            stage: [0; LANES],
            stage_start: [0; LANES],
            restart: [false; LANES],
            cuts: [0; LANES],
            length: [1.0; LANES],
            whole: [0.0; LANES],
            slope: [0.0; LANES],
            predicted: [0.0; LANES],
            extent: [0.0; LANES],
            linear: Linear::new(program),
            refused: [false; LANES],
            lenient: [false; LANES],
            weight: [1.0; LANES],
            target: [1.0; LANES],
            final_delta: [0.0; LANES],
            iterations: [0; LANES],
        }
    }

    /// Puts a problem into a lane. `start` is internal and within bounds; `weight` is the sum of its weights.
    pub(crate) fn load(&mut self, lane: usize, start: &[f64], (weight, target): (f64, f64)) {
        self.target[lane] = target;
        for (j, &value) in start.iter().enumerate() {
            self.theta[j].0[lane] = value;
            self.trial[j].0[lane] = value;
        }
        for (origin, trial) in self.origin.iter_mut().zip(&self.trial) {
            origin.0[lane] = trial.0[lane];
        }
        self.attempt[lane] = 0;
        self.origin_value[lane] = f64::INFINITY;
        self.reset(lane, weight);
    }

    fn reset(&mut self, lane: usize, weight: f64) {
        self.phase[lane] = Phase::Start;
        self.weight[lane] = weight;
        self.iterations[lane] = 0;
        self.lambda[lane] = FIRST_DAMPING;
        self.grow[lane] = 2.0;
        self.woken[lane] = false;
        self.hold[lane] = 0;
        self.fall[lane] = FALL;
        self.stage[lane] = 0;
        self.stage_start[lane] = 0;
        for damping in &mut self.damping {
            damping.0[lane] = 0.0;
        }
        self.settings.convex[lane] = true;
        self.probing[lane] = true;
        self.refused[lane] = false;
        self.lenient[lane] = false;
        self.final_delta[lane] = self.program.objective.loss.delta();
        let loss = self.program.objective.loss;
        self.settings.delta[lane] = if loss.delta() > 0.0 { loss.delta() } else { 1.0 };
        self.settings.reach[lane] = self.settings.delta[lane];
    }

    /// Frees a lane: it is still computed along with the others, and ignored.
    pub(crate) fn rest(&mut self, lane: usize) {
        self.phase[lane] = Phase::Idle;
    }

    pub(crate) fn is_idle(&self, lane: usize) -> bool {
        self.phase[lane] == Phase::Idle
    }

    /// The internal parameters that a lane ended with.
    pub(crate) fn solution(&self, lane: usize) -> impl Iterator<Item = f64> {
        self.theta.iter().map(move |value| value.0[lane])
    }

    /// Where the free parameters ended: -1 at the lower bound, 1 at the upper, else 0.
    pub(crate) fn at_bound(&self, lane: usize, free: usize) -> i8 {
        let value = self.theta[self.program.free[free]].0[lane];
        i8::from(value >= self.upper[free]) - i8::from(value <= self.lower[free])
    }

    /// Judges the trial that was just evaluated into `fresh`, and sets up the next. The ended lanes are reported.
    pub(crate) fn advance(&mut self, level: Level) -> [Option<Ending>; LANES] {
        advance(level, self)
    }

    #[inline(always)]
    fn advance_inline(&mut self) -> [Option<Ending>; LANES] {
        let mut endings = [const { None }; LANES];
        let mut accepted = [false; LANES];
        let mut stepping = [false; LANES];
        for lane in 0..LANES {
            let (take, next) = self.judge(lane);
            accepted[lane] = take;
            stepping[lane] = matches!(next, Next::Step);
            endings[lane] = match next {
                Next::End(status) => {
                    if take {
                        self.copy_lane(lane);
                    }
                    let mut ending = self.ending(lane, status);
                    let worse = ending.value > (1.0 + 4.0 * ROUNDING) * self.origin_value[lane];
                    if worse {
                        accepted[lane] = false;
                    }
                    if worse && self.attempt[lane] == 0 && status.is_success() {
                        self.begin_again(lane);
                        None
                    } else {
                        if worse {
                            for j in 0..self.theta.len() {
                                self.theta[j].0[lane] = self.origin[j].0[lane];
                            }
                            ending.value = self.origin_value[lane];
                            ending.gradient = f64::NAN;
                            ending.status = Status::MaxIterations;
                        }
                        Some(ending)
                    }
                }
                Next::Idle | Next::Step | Next::Again => None,
            };
        }
        self.accept(accepted);
        self.solve(stepping);
        for lane in 0..LANES {
            if stepping[lane] {
                self.plan(lane);
            }
        }
        endings
    }

    #[inline(always)]
    fn judge(&mut self, lane: usize) -> (bool, Next) {
        let value = self.fresh.value.0[lane];
        let old = self.current.value.0[lane];
        match self.phase[lane] {
            Phase::Idle => (false, Next::Idle),
            Phase::Start => {
                if !self.is_sound(lane) {
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
            Phase::Restart => (true, Next::Step),
            Phase::GivenUp => (true, Next::End(Status::MaxIterations)),
            Phase::Trial | Phase::Closing | Phase::Projected => {
                if self.phase[lane] == Phase::Trial && self.project(lane, old, value) {
                    return (false, Next::Again);
                }
                self.iterations[lane] += 1;
                let decrease = old - value;
                let ratio = decrease / self.predicted[lane];
                let closing = self.phase[lane] == Phase::Closing;
                // NaN and infinity fail this test and are rejected. The last step gains less than rounding shows, which
                // is that of the targets where the residuals nearly vanish.
                let slack = 4.0 * ROUNDING * old + 10.0 * self.predicted[lane];
                let lower = self.is_sound(lane) && (value < old || (closing && value - old <= slack));
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
                    if self.iterations[lane] < self.max_iterations && self.shorten(lane, decrease) {
                        return (false, Next::Again);
                    }
                    // The ratio is the damping at which the model's own curvature along the step would double.
                    let bite = BITE * self.whole[lane] / self.extent[lane];
                    self.lambda[lane] = (self.lambda[lane] * self.grow[lane]).max(bite);
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
                    if decrease < NEAR * old {
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

    #[inline(always)]
    fn ending(&self, lane: usize, status: Status) -> Ending {
        let kink = self.program.objective.loss.has_kink();
        let value = if kink { self.current.absolute.0[lane] } else { self.current.value.0[lane] };
        let merit = self.current.value.0[lane];
        let mut gradient = 0f64;
        for j in 0..self.program.free.len() {
            let curvature = self.current.hessian[j * (j + 3) / 2].0[lane].abs();
            let slope = self.current.gradient[j].0[lane].abs();
            if slope > 0.0 && self.at_bound(lane, j) == 0 {
                gradient = gradient.max(slope / (curvature * merit).sqrt());
            }
        }
        Ending { status, value, iterations: self.iterations[lane], gradient }
    }

    /// Takes the trial of one lane at once.
    #[inline(always)]
    fn copy_lane(&mut self, lane: usize) {
        let mut only = [false; LANES];
        only[lane] = true;
        self.accept(only);
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
        self.phase[lane] = if !loose && self.is_closing(lane) { Phase::Closing } else { Phase::Trial };
    }

    /// Whether what was just evaluated is finite: a point without derivatives leads nowhere.
    #[inline(always)]
    fn is_sound(&self, lane: usize) -> bool {
        let n = self.program.free.len();
        let finite = |values: &[Lanes]| values.iter().all(|value| value.0[lane].is_finite());
        self.fresh.value.0[lane].is_finite()
            && finite(&self.fresh.gradient[..n])
            && finite(&self.fresh.hessian[..n * (n + 1) / 2])
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
    fn is_closing(&self, lane: usize) -> bool {
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
    fn advance<'a, 'p>(solver: &'a mut Solver<'p>) -> [Option<Ending>; LANES] = Solver::advance_inline;
}

/// What follows a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Idle,
    /// A new step from the current point.
    Step,
    /// Another evaluation at the same point.
    Again,
    End(Status),
}
