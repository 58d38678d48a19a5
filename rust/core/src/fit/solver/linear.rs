//! Variable projection: the parameters that the residuals are linear in follow the others.
//!
//! Linear in the solver's coordinates, that is: a positive amplitude, solved as a logarithm, is not among them.
//!
//! For a sum of squares the best values of such parameters, the others given, take one linear solve, and the gradient
//! and curvature of the point at hand hold all it needs. A trial step is judged with them at their best: the valley
//! that the others run in is then straight where it was curved (Golub and Pereyra, 1973). Newton's step already treats
//! both kinds together near the minimum, so this costs one evaluation more only where it gains something.

use super::{ACCEPTED, Phase, Solver, WORTH};
use crate::fit::kernel::Model;
use crate::fit::objective::{Loss, Space};
use crate::fit::program::Program;

/// Share of its own curvature that a direction must keep, once the directions before it are taken out, to be used.
const DEPENDENT: f64 = 1e-6;

/// The free parameters that enter jointly linearly, and room to solve for them.
#[derive(Debug)]
pub(crate) struct Linear {
    /// Which of the free parameters.
    pub(crate) members: Vec<usize>,
    /// The way to their best values, as `solve` left it.
    pub(crate) step: Vec<f64>,
    /// Unit lower triangle, with the pivots on the diagonal; zero for a pivot that is not used.
    factor: Vec<f64>,
}

/// Place in a packed lower triangle.
fn at(j: usize, k: usize) -> usize {
    j * (j + 1) / 2 + k
}

impl Linear {
    /// None where the objective is not a sum of squares of the prediction itself.
    pub(crate) fn new(program: &Program) -> Self {
        let mut members: Vec<usize> = Vec::new();
        if program.objective.loss == Loss::Squared && program.objective.space == Space::Raw {
            for j in 0..program.free.len() {
                if members.iter().chain([&j]).all(|&k| !program.code.curved[at(j, k)]) {
                    members.push(j);
                }
            }
        }
        let m = members.len();
        Self { members, step: vec![0.0; m], factor: vec![0.0; m * (m + 1) / 2] }
    }

    /// Solves for the members at the point that `model` describes; gives the decrease of the objective.
    pub(crate) fn solve(&mut self, model: &Model, lane: usize) -> f64 {
        let Self { members, step, factor } = self;
        let mut decrease = 0.0;
        for (a, &j) in members.iter().enumerate() {
            let whole = model.hessian[at(j, j)].0[lane];
            let mut pivot = whole;
            let mut slope = -model.gradient[j].0[lane];
            for b in 0..a {
                let mut sum = model.hessian[at(j, members[b])].0[lane];
                for c in 0..b {
                    sum -= factor[at(a, c)] * factor[at(b, c)] * factor[at(c, c)];
                }
                let d = factor[at(b, b)];
                let l = if d > 0.0 { sum / d } else { 0.0 };
                factor[at(a, b)] = l;
                pivot -= l * l * d;
                slope -= l * step[b];
            }
            let used = pivot > DEPENDENT * whole;
            factor[at(a, a)] = if used { pivot } else { 0.0 };
            step[a] = if used { slope } else { 0.0 };
            decrease += if used { 0.5 * slope * slope / pivot } else { 0.0 };
        }
        for a in (0..members.len()).rev() {
            let pivot = factor[at(a, a)];
            if pivot > 0.0 {
                step[a] = (a + 1..members.len()).fold(step[a] / pivot, |sum, b| sum - factor[at(b, a)] * step[b]);
            }
        }
        decrease
    }
}

impl Solver<'_> {
    /// Whether the trial took a parameter to where the law hardly depends on it: a saturated curve, a dead
    /// exponential, a peak between the points. The objective may be lower there, but no gradient leads back.
    #[inline(always)]
    pub(super) fn is_numb(&self, lane: usize) -> bool {
        self.numb[lane] && !self.lenient[lane]
    }

    /// Takes the trial to the best values of its linear parameters, to be evaluated there, if the step is then good
    /// and much of that is their doing.
    #[inline(always)]
    pub(super) fn project(&mut self, lane: usize, old: f64, value: f64) -> bool {
        if self.linear.members.is_empty() || !value.is_finite() || self.is_numb(lane) {
            return false;
        }
        let gain = self.linear.solve(&self.fresh, lane);
        if !(gain > WORTH * (old - value).abs() && old - (value - gain) > ACCEPTED * self.predicted[lane]) {
            return false;
        }
        let inside = self.linear.members.iter().zip(&self.linear.step).all(|(&j, step)| {
            let to = self.trial[self.program.free[j]].0[lane] + step;
            to >= self.lower[j] && to <= self.upper[j]
        });
        if inside {
            for (&j, step) in self.linear.members.iter().zip(&self.linear.step) {
                self.trial[self.program.free[j]].0[lane] += step;
            }
            self.phase[lane] = Phase::Projected;
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, DVector};

    use super::*;

    /// A model of five parameters in which those asked for are coupled with each other and with the rest.
    fn model(lane: usize) -> Model {
        let mut model = Model::new(5);
        for j in 0..5 {
            model.gradient[j].0[lane] = [0.7, -1.3, 2.1, 0.4, -0.9][j];
            for k in 0..=j {
                model.hessian[at(j, k)].0[lane] =
                    if j == k { 3.0 + j as f64 } else { 0.3 + 0.25 * j as f64 - 0.4 * k as f64 };
            }
        }
        model
    }

    fn linear(members: &[usize]) -> Linear {
        let m = members.len();
        Linear { members: members.to_vec(), step: vec![9.0; m], factor: vec![9.0; m * (m + 1) / 2] }
    }

    #[test]
    fn the_members_go_to_the_minimum_of_the_model_and_the_decrease_is_what_that_gains() {
        let model = model(3);
        let mut found = linear(&[0, 2, 3, 4]);
        let decrease = found.solve(&model, 3);
        let entry = |a: usize, b: usize| {
            let (j, k) = (found.members[a], found.members[b]);
            model.hessian[at(j.max(k), j.min(k))].0[3]
        };
        let (hessian, gradient) =
            (DMatrix::from_fn(4, 4, entry), DVector::from_fn(4, |a, _| model.gradient[found.members[a]].0[3]));
        let step = hessian.cholesky().unwrap().solve(&(-&gradient));
        for (a, &step) in step.iter().enumerate() {
            assert!((found.step[a] - step).abs() < 1e-14, "{a}: {} {step}", found.step[a]);
        }
        let gain = -0.5 * gradient.dot(&step);
        assert!((decrease / gain - 1.0).abs() < 1e-14, "{decrease} {gain}");
    }

    #[test]
    fn a_member_that_the_ones_before_it_can_stand_for_stays_where_it_is() {
        let mut model = model(0);
        // The second is twice the first, in curvature and in slope.
        model.hessian[at(1, 0)].0[0] = 2.0 * model.hessian[at(0, 0)].0[0];
        model.hessian[at(1, 1)].0[0] = 4.0 * model.hessian[at(0, 0)].0[0];
        model.gradient[1].0[0] = 2.0 * model.gradient[0].0[0];
        let mut found = linear(&[0, 1]);
        let decrease = found.solve(&model, 0);
        let mut alone = linear(&[0]);
        assert_eq!(decrease, alone.solve(&model, 0));
        assert_eq!(found.step, [alone.step[0], 0.0]);
    }
}
