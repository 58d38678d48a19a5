//! The step: damping, factorisation, bounds, and what the model says of it. All lanes at once.

use super::{FIRST_DAMPING, LANES, Phase, Solver};
use crate::expr::Block;
use crate::fit::kernel::Lanes;

/// Relative predicted decrease below which a start counts as near a minimum. Only where no parameter has a unit:
/// in logarithms and exponents a step that small is short, elsewhere it may lead anywhere.
const NEAR_START: f64 = 0.3;
/// Share of the damping in a predicted decrease that the last step bears.
const SPARED: f64 = 1e-4;
/// Small steps for which the majorant is kept once the curvature has failed.
const HOLD: u8 = 3;
/// How often a Newton step is shortened before damping rises.
const CUTS: u8 = 4;

impl Solver<'_> {
    /// Steps for the lanes that want one; `λ` rises until each can be factored and the model decreases.
    #[inline(always)]
    pub(super) fn solve(&mut self, mut wanted: [bool; LANES]) {
        self.measure(wanted);
        let mut spared = [0.0; LANES];
        for _ in 0..200 {
            let definite = self.factor_and_solve();
            self.cut_and_predict(wanted);
            let mut again = false;
            for lane in 0..LANES {
                if !wanted[lane] {
                    continue;
                }
                let descends = definite[lane] && self.predicted[lane] >= 0.0;
                let probing = std::mem::take(&mut self.probing[lane]) && self.lambda[lane] < FIRST_DAMPING;
                if probing {
                    self.near[lane] = descends && self.predicted[lane] <= NEAR_START * self.current.value.0[lane];
                }
                if probing && !self.near[lane] {
                    // The start is far from a minimum.
                    self.lambda[lane] = FIRST_DAMPING;
                    again = true;
                } else if descends {
                    // The last step does without damping that would keep it from converging quadratically.
                    wanted[lane] = spared[lane] == 0.0
                        && self.lambda[lane] * self.extent[lane] > SPARED * self.predicted[lane]
                        && self.in_last_stage(lane)
                        && self.is_closing(lane);
                    if wanted[lane] {
                        spared[lane] = std::mem::take(&mut self.lambda[lane]);
                        again = true;
                    }
                } else if spared[lane] > 0.0 {
                    self.lambda[lane] = spared[lane];
                    again = true;
                } else if self.program.objective.loss.is_staged()
                    && !self.settings.convex[lane]
                    && !self.is_astray(lane)
                    && self.in_first_stage(lane)
                {
                    // Robust losses are often flat in some direction: the majorant is not.
                    self.settings.convex[lane] = true;
                    self.hold[lane] = HOLD;
                    self.restart[lane] = true;
                    wanted[lane] = false;
                } else {
                    self.lambda[lane] = (4.0 * self.lambda[lane]).max(1e-11);
                    again = true;
                }
            }
            if !again {
                break;
            }
        }
    }

    /// The scale of the damping, and which parameters rest at their bound.
    #[inline(always)]
    fn measure(&mut self, wanted: [bool; LANES]) {
        let program = self.program;
        let mut common = Lanes::ZERO;
        for j in (0..program.free.len()).filter(|&j| program.unitless[j]) {
            let own = self.current.hessian[j * (j + 3) / 2];
            for lane in 0..LANES {
                let size = own.0[lane].abs();
                common.0[lane] = if size > common.0[lane] { size } else { common.0[lane] };
            }
        }
        for j in 0..program.free.len() {
            let (value, slope) = (self.theta[program.free[j]], self.current.gradient[j]);
            let (lower, upper) = (self.lower[j], self.upper[j]);
            let mut resting = self.resting[j];
            for lane in 0..LANES {
                let low = value.0[lane] <= lower && slope.0[lane] > 0.0;
                let high = value.0[lane] >= upper && slope.0[lane] < 0.0;
                let outward = if low || high { 1.0 } else { 0.0 };
                resting.0[lane] = if wanted[lane] { outward } else { resting.0[lane] };
            }
            self.resting[j] = resting;
            let mut scale = common;
            let mut damping = self.damping[j];
            if !program.unitless[j] {
                // Never measured by another parameter's, which has another unit.
                let own = self.current.diagonal[j];
                for lane in 0..LANES {
                    let faded = 0.1 * damping.0[lane];
                    scale.0[lane] = if own.0[lane] > faded { own.0[lane] } else { faded };
                }
            }
            for lane in 0..LANES {
                let size = if scale.0[lane] > 0.0 { scale.0[lane] } else { 1.0 };
                damping.0[lane] = if wanted[lane] { size } else { damping.0[lane] };
            }
            self.damping[j] = damping;
        }
    }

    /// `L D Lᵀ` of the damped curvature and the step from it, all lanes at once; says which were positive definite.
    ///
    /// Below the diagonal `factor` holds `L·D` until its row is reached, then `L`; on it, one over the pivots. A resting
    /// parameter has a unit pivot and no coupling.
    #[inline(always)]
    pub(super) fn factor_and_solve(&mut self) -> [bool; LANES] {
        let n = self.program.free.len();
        let at = |j: usize, k: usize| j * (j + 1) / 2 + k;
        let mut definite = [true; LANES];
        for j in 0..n {
            let mut damped = self.current.hessian[at(j, j)];
            for lane in 0..LANES {
                damped.0[lane] = self.lambda[lane].mul_add(self.damping[j].0[lane], damped.0[lane]);
            }
            let mut pivot = damped;
            for k in 0..j {
                let (mut l, d) = (self.factor[at(j, k)], self.factor[at(k, k)]);
                for lane in 0..LANES {
                    let ld = l.0[lane];
                    l.0[lane] = ld * d.0[lane];
                    pivot.0[lane] = (-ld).mul_add(l.0[lane], pivot.0[lane]);
                }
                self.factor[at(j, k)] = l;
            }
            let rests = self.resting[j];
            for lane in 0..LANES {
                let resting = rests.0[lane] != 0.0;
                definite[lane] &= resting | (pivot.0[lane] > 1e-14 * damped.0[lane].abs());
                pivot.0[lane] = 1.0 / if resting { 1.0 } else { pivot.0[lane] };
            }
            self.factor[at(j, j)] = pivot;
            for i in j + 1..n {
                let mut sum = self.current.hessian[at(i, j)];
                for k in 0..j {
                    let (a, b) = (self.factor[at(i, k)], self.factor[at(j, k)]);
                    for lane in 0..LANES {
                        sum.0[lane] = (-a.0[lane]).mul_add(b.0[lane], sum.0[lane]);
                    }
                }
                let other = self.resting[i];
                for lane in 0..LANES {
                    let coupled = (rests.0[lane] == 0.0) && (other.0[lane] == 0.0);
                    sum.0[lane] = if coupled { sum.0[lane] } else { 0.0 };
                }
                self.factor[at(i, j)] = sum;
            }
        }
        for j in 0..n {
            let (slope, rests) = (self.current.gradient[j], self.resting[j]);
            let mut sum = Block::ZERO;
            for lane in 0..LANES {
                sum.0[lane] = if rests.0[lane] == 0.0 { -slope.0[lane] } else { 0.0 };
            }
            for k in 0..j {
                let (l, s) = (self.factor[at(j, k)], self.step[k]);
                for lane in 0..LANES {
                    sum.0[lane] = (-l.0[lane]).mul_add(s.0[lane], sum.0[lane]);
                }
            }
            self.step[j] = sum;
        }
        for j in (0..n).rev() {
            let (mut sum, d) = (self.step[j], self.factor[at(j, j)]);
            for lane in 0..LANES {
                sum.0[lane] *= d.0[lane];
            }
            for i in j + 1..n {
                let (l, s) = (self.factor[at(i, j)], self.step[i]);
                for lane in 0..LANES {
                    sum.0[lane] = (-l.0[lane]).mul_add(s.0[lane], sum.0[lane]);
                }
            }
            self.step[j] = sum;
        }
        definite
    }

    /// Cuts the steps of the lanes in `wanted` at the bounds, writes their trials and predicts their decrease.
    #[inline(always)]
    pub(super) fn cut_and_predict(&mut self, wanted: [bool; LANES]) {
        let n = self.program.free.len();
        for j in 0..n {
            let parameter = self.program.free[j];
            let (from, mut trial, mut step) = (self.theta[parameter], self.trial[parameter], self.step[j]);
            let (lower, upper) = (self.lower[j], self.upper[j]);
            for lane in 0..LANES {
                let to = from.0[lane] + step.0[lane];
                let to = if to < lower { lower } else { to };
                let to = if to > upper { upper } else { to };
                trial.0[lane] = if wanted[lane] { to } else { trial.0[lane] };
                step.0[lane] = to - from.0[lane];
            }
            self.trial[parameter] = trial;
            self.step[j] = step;
        }
        let mut model = Block::<LANES>::ZERO;
        let mut extent = Block::<LANES>::ZERO;
        let mut slope = Block::<LANES>::ZERO;
        for j in 0..n {
            let (s, g, d) = (self.step[j], self.current.gradient[j], self.damping[j]);
            // Half the diagonal and the whole row before it: the symmetric form from its lower triangle.
            let mut row = self.current.hessian[j * (j + 3) / 2];
            for lane in 0..LANES {
                row.0[lane] = (0.5 * row.0[lane]).mul_add(s.0[lane], g.0[lane]);
            }
            for k in 0..j {
                let (h, t) = (self.current.hessian[j * (j + 1) / 2 + k], self.step[k]);
                for lane in 0..LANES {
                    row.0[lane] = h.0[lane].mul_add(t.0[lane], row.0[lane]);
                }
            }
            for lane in 0..LANES {
                model.0[lane] = row.0[lane].mul_add(s.0[lane], model.0[lane]);
                slope.0[lane] = g.0[lane].mul_add(s.0[lane], slope.0[lane]);
                extent.0[lane] = (d.0[lane] * s.0[lane]).mul_add(s.0[lane], extent.0[lane]);
            }
        }
        for lane in 0..LANES {
            if wanted[lane] {
                // Not the negative, which would make minus zero of zero.
                self.predicted[lane] = 0.0 - model.0[lane];
                self.whole[lane] = self.predicted[lane];
                self.slope[lane] = slope.0[lane];
                self.extent[lane] = extent.0[lane];
            }
        }
    }

    /// Tries less of the same step, where the step was Newton's own: a kink lies on the way, and more damping would
    /// turn the step from the valley that Newton sees. False when damping should rise instead.
    #[inline(always)]
    pub(super) fn shorten(&mut self, lane: usize, decrease: f64) -> bool {
        let newton = self.lambda[lane] * self.extent[lane] <= 0.1 * self.whole[lane];
        if !self.program.objective.loss.is_staged() || !newton || self.cuts[lane] == CUTS {
            return false;
        }
        self.cuts[lane] += 1;
        // The parabola through the value and slope at the start and the value just found.
        let length = self.length[lane];
        let slope = self.slope[lane] * length;
        let fit = -0.5 * slope / (-decrease - slope);
        let length = length * if fit > 0.1 { fit.min(0.5) } else { 0.1 };
        self.length[lane] = length;
        for j in 0..self.program.free.len() {
            let parameter = self.program.free[j];
            self.trial[parameter].0[lane] = length.mul_add(self.step[j].0[lane], self.theta[parameter].0[lane]);
        }
        // The model along the step: value and slope are known, and so is its whole decrease.
        let bend = -self.whole[lane] - self.slope[lane];
        self.predicted[lane] = -length * length.mul_add(bend, self.slope[lane]);
        self.phase[lane] = Phase::Trial;
        true
    }
}
