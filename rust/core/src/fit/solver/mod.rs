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
//! `judge` takes or refuses what was tried, `step` makes the next steps, `stages` leads robust losses to their
//! `delta`, `stray` follows curved valleys; this file keeps the books.

mod judge;
mod linear;
mod stages;
mod step;
mod stray;

use self::linear::Linear;
use self::stages::FALL;
use self::stray::Kept;
use crate::expr::Block;
use crate::fit::kernel::{LANES, Lanes, Model, Settings};
use crate::fit::program::Program;
use crate::fit::status::Status;

/// Residuals up to this share of their targets are rounding.
const EXACT: f64 = 4.0 * f64::EPSILON;
/// Ratio of actual to predicted decrease above which a step is taken.
const ACCEPTED: f64 = 1e-4;
/// First damping, relative to the curvature.
const FIRST_DAMPING: f64 = 1e-3;
/// The same for a start near a minimum, which is tried first where no parameter has a unit.
const NEAR_DAMPING: f64 = 1e-6;
/// A step after which a parameter has less than this share of its curvature was too long.
const NUMB: f64 = 1e-8;
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
    /// The evaluation under way is of the last step of a stage, which gains next to nothing, under the next `delta`.
    Onward,
    /// As `Trial`, with the linear parameters at their best.
    Projected,
    /// The evaluation under way is at the current point, to note on which piece of the loss each row is.
    Noting,
    /// The evaluation under way is of a point given up in an early stage, under the final `delta`.
    GivenUp,
}

/// The end of one problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) status: Status,
    pub(crate) value: f64,
    pub(crate) iterations: u32,
}

/// Eight problems in progress.
#[derive(Debug)]
pub(crate) struct Solver<'p> {
    program: &'p Program,
    max_iterations: u32,
    lower: Vec<f64>,
    upper: Vec<f64>,
    phase: [Phase; LANES],
    /// All parameters, internal, and the problem's own means: the best so far and the trial.
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
    /// It has shown that it is near.
    near: [bool; LANES],
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
    /// The `delta` asked for, zero without one; and where the stages end.
    asked_delta: [f64; LANES],
    final_delta: [f64; LANES],
    iterations: [u32; LANES],
    /// Some parameter has a unit.
    has_units: bool,
    /// The law has no kink.
    smooth: bool,
    /// What was just evaluated is finite: a point without derivatives leads nowhere.
    sound: [bool; LANES],
    /// It has left a parameter numb.
    numb: [bool; LANES],
    /// The length of the last step, by `D`, if the true curvature made it; and how far the model was off, over its cube.
    behind: [f64; LANES],
    doubt: [f64; LANES],
    /// The best point while a lane is astray, with its model and damping; how many steps astray are left (zero: it is not
    /// astray); and how often in a row going astray was in vain, after which it is barred until a step is taken.
    kept: Kept,
    /// The data's rows can be held on their pieces of the loss.
    pub(crate) freezes: bool,
    astray: [u8; LANES],
    barred: [bool; LANES],
    vain: [u8; LANES],
    /// The iterations done when a lane went astray, and when its attempt began.
    left: [u32; LANES],
    first: [u32; LANES],
    /// The current point was evaluated with rows beyond `delta` counted as inside.
    loose: [bool; LANES],
    pub(crate) endings: [Ending; LANES],
}

impl<'p> Solver<'p> {
    /// `lower` and `upper` are the internal bounds of the free parameters.
    pub(crate) fn new(program: &'p Program, lower: Vec<f64>, upper: Vec<f64>, max_iterations: u32) -> Self {
        let (p, free) = (program.held(), program.free.len());
        let zero = |n: usize| vec![Block::ZERO; n];
        Self {
            program,
            max_iterations,
            lower,
            upper,
            phase: [Phase::Idle; LANES],
            theta: zero(p),
            trial: zero(p),
            settings: Settings {
                delta: [1.0; LANES],
                reach: [1.0; LANES],
                convex: [false; LANES],
                noting: [false; LANES],
                frozen: [false; LANES],
            },
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
            near: [false; LANES],
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
            asked_delta: [0.0; LANES],
            final_delta: [0.0; LANES],
            iterations: [0; LANES],
            has_units: program.unitless.contains(&false),
            smooth: program.code.point.is_smooth() && program.code.lane.is_smooth(),
            sound: [false; LANES],
            numb: [false; LANES],
            behind: [0.0; LANES],
            doubt: [0.0; LANES],
            kept: Kept::new(p, free),
            freezes: false,
            astray: [0; LANES],
            barred: [false; LANES],
            vain: [0; LANES],
            left: [0; LANES],
            first: [0; LANES],
            loose: [false; LANES],
            endings: [Ending { status: Status::Cancelled, value: f64::NAN, iterations: 0 }; LANES],
        }
    }

    /// Puts a problem into a lane. `start` is internal and within bounds, the problem's own means after it; `weight` is the sum of its weights, `delta`
    /// the width of its loss.
    pub(crate) fn load(&mut self, lane: usize, start: &[f64], (weight, target): (f64, f64), delta: f64) {
        self.target[lane] = target;
        self.asked_delta[lane] = delta;
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
        self.lambda[lane] = if self.has_units { FIRST_DAMPING } else { NEAR_DAMPING };
        self.grow[lane] = 2.0;
        self.woken[lane] = false;
        self.hold[lane] = 0;
        self.fall[lane] = FALL;
        self.stage[lane] = 0;
        self.stage_start[lane] = 0;
        self.first[lane] = 0;
        for damping in &mut self.damping {
            damping.0[lane] = 0.0;
        }
        self.settings.convex[lane] = true;
        self.probing[lane] = true;
        self.near[lane] = false;
        self.behind[lane] = 0.0;
        self.loose[lane] = false;
        self.astray[lane] = 0;
        self.settings.noting[lane] = false;
        self.settings.frozen[lane] = false;
        self.barred[lane] = false;
        self.vain[lane] = 0;
        self.refused[lane] = false;
        self.lenient[lane] = false;
        let delta = self.asked_delta[lane];
        self.final_delta[lane] = delta;
        self.settings.delta[lane] = if delta > 0.0 { delta } else { 1.0 };
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
        self.theta[..self.program.parameters].iter().map(move |value| value.0[lane])
    }

    /// Where the free parameters ended: -1 at the lower bound, 1 at the upper, else 0.
    pub(crate) fn at_bound(&self, lane: usize, free: usize) -> i8 {
        let value = self.theta[self.program.free[free]].0[lane];
        i8::from(value >= self.upper[free]) - i8::from(value <= self.lower[free])
    }
}
