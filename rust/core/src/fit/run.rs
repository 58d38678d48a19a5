//! Running a batch: from checked input to what the workers share, and from their results to those of the batch.

use super::batch::{Batch, Fits};
use super::data::Rows;
use super::kernel;
use super::objective::Space;
use super::program::{Compiled, Program};
use super::worker::{SHARED_ROWS, Shared};
use crate::error::Result;
use crate::job::{Control, Job};
use crate::simd::math;

impl Batch<'_> {
    /// Fits every problem.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape), [`Error::Value`](crate::Error::Value) or
    /// [`Error::Option`](crate::Error::Option) for input that cannot be used, naming it;
    /// [`Error::Interrupted`](crate::Error::Interrupted) when `control` was told to stop and partial results were not
    /// asked for.
    pub fn run(&self, job: &Job, control: &Control<'_>) -> Result<Fits> {
        let (problems, rows) = self.check()?;
        let mut parts = Vec::new();
        // Curves of a panel that need different programs are taken apart.
        let mut classes: Vec<Option<Vec<usize>>> = vec![None];
        while let Some(members) = classes.pop() {
            let given = Rows { columns: self.columns, count: rows, offsets: self.offsets, members: members.as_deref() };
            let program = match Program::compile(self.law, given, self.constraints, self.objective)? {
                Compiled::Whole(program) => *program,
                Compiled::Split(answers) => {
                    let of = |place: usize| members.as_ref().map_or(place, |members| members[place]);
                    for kind in [false, true] {
                        let kind = answers.iter().enumerate().filter(|&(_, &yes)| yes == kind);
                        classes.push(Some(kind.map(|(place, _)| of(place)).collect()));
                    }
                    continue;
                }
            };
            let shared = self.share(program, (problems, rows), members)?;
            let work = shared.count() * shared.rows_per_problem();
            // Problems of very many rows first, each by all threads; then every other, each by one.
            if (0..shared.count()).any(|place| shared.size(shared.member(place)) >= SHARED_ROWS) {
                parts.push(job.run_one(control, problems, |progress| shared.largest(progress))?);
            }
            parts.extend(job.run(control, problems, work, |progress| shared.worker(progress))?);
        }
        Ok(Shared::collect(self, problems, parts))
    }

    fn share(&self, program: Program, shape: (usize, usize), members: Option<Vec<usize>>) -> Result<Shared<'_>> {
        let internal = |bounds: &[f64]| -> Vec<f64> {
            program
                .free
                .iter()
                .map(|&j| if self.constraints.log_scale[j] { math::ln(bounds[j].max(0.0)) } else { bounds[j] })
                .collect()
        };
        let space = self.objective.space;
        let bounds = (internal(&self.constraints.lower), internal(&self.constraints.upper));
        let level = kernel::level()?;
        let mut targets = self.targets.to_vec();
        transform_at(level, space, &mut targets);
        Ok(Shared::new(self, (program, level), targets, shape, bounds, members))
    }
}

#[inline(always)]
fn transform(space: Space, targets: &mut [f64]) {
    // The choice before the loop, which then vectorises.
    match space {
        Space::Raw => {}
        Space::Log => targets.iter_mut().for_each(|t| *t = math::ln(*t)),
        Space::Logit => targets.iter_mut().for_each(|t| *t = math::ln(*t) - math::log1p(-*t)),
    }
}

crate::dispatch! {
    fn transform_at<'a>(space: Space, targets: &'a mut [f64]) = transform;
}
