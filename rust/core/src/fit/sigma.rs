//! How wide the residuals of many fits are spread: what a width taken from the data goes by.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::batch::Batch;
use crate::error::Result;
use crate::job::{Control, Job};

/// One over the 3/4 quantile of the normal distribution: of normal errors, the median size times this is sigma.
const TO_SIGMA: f64 = 1.482_602_218_505_602;

/// The spread of residuals, and of the targets alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sigmas {
    /// 1.4826 times the median absolute deviation of the residuals from their median; NaN where there is none.
    pub residual: Vec<f64>,
    /// The same of the targets; if that is zero, their range, their largest size, or one.
    pub target: Vec<f64>,
}

impl Batch<'_> {
    /// The spread of the residuals of every problem, its start taken for its fit. A row of weight two counts twice, one
    /// of weight zero is absent.
    ///
    /// # Errors
    /// As [`Batch::run`].
    pub fn sigmas(&self, job: &Job, control: &Control<'_>) -> Result<Sigmas> {
        let (problems, rows) = self.check()?;
        let space = self.objective.space;
        let targets: Vec<f64> = self.targets.iter().map(|&y| space.transform(y)).collect();
        let p = self.law.parameters().len();
        let law = self.law.evaluator();
        let next = AtomicUsize::new(0);
        let one = |problem: usize| -> Result<(f64, f64)> {
            let (first, last) = self.range(problem, rows);
            let columns: Vec<&[f64]> = self.columns.iter().map(|column| &column[first..last]).collect();
            let predicted = law.evaluate(&columns, &self.starts[problem * p..(problem + 1) * p], last - first)?;
            let targets = &self.targets_of(&targets, problem, rows)[first..last];
            let weights = self.weights_of(problem, rows).map(|weights| &weights[first..last]);
            let residuals = predicted.iter().zip(targets).map(|(&m, y)| space.transform(m) - y);
            Ok((sigma(weighted(residuals, weights)), spread(weighted(targets.iter().copied(), weights))))
        };
        let work = problems * self.columns.first().map_or(1, |column| column.len() / problems.max(1)).max(1);
        let parts = job.run(control, problems, work, |control| {
            let mut found = Vec::new();
            while !control.is_cancelled() {
                let problem = next.fetch_add(1, Ordering::Relaxed);
                if problem >= problems {
                    break;
                }
                found.push((problem, one(problem)?));
                control.add(1);
            }
            Ok(found)
        })?;
        let mut sigmas = Sigmas { residual: vec![f64::NAN; problems], target: vec![1.0; problems] };
        for part in parts.into_iter().collect::<Result<Vec<_>>>()? {
            for (problem, (residual, target)) in part {
                (sigmas.residual[problem], sigmas.target[problem]) = (residual, target);
            }
        }
        Ok(sigmas)
    }
}

/// Values with their weights; those without weight left out.
fn weighted(values: impl Iterator<Item = f64>, weights: Option<&[f64]>) -> Vec<(f64, f64)> {
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    values.enumerate().map(|(row, value)| (value, weight(row))).filter(|&(_, weight)| weight > 0.0).collect()
}

/// The median of values that count as often as their weights say; their order changes.
fn median(values: &mut [(f64, f64)]) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|&(_, weight)| weight).sum::<f64>();
    let mut reached = 0.0;
    for (at, &(value, weight)) in values.iter().enumerate() {
        reached += weight;
        if reached >= half {
            let after = if reached == half { values.get(at + 1).map_or(value, |next| next.0) } else { value };
            return 0.5 * (value + after);
        }
    }
    f64::NAN
}

/// 1.4826 times the median absolute deviation from the median.
fn sigma(mut values: Vec<(f64, f64)>) -> f64 {
    if values.iter().any(|(value, _)| !value.is_finite()) {
        return f64::NAN;
    }
    let middle = median(&mut values);
    for (value, _) in &mut values {
        *value = (*value - middle).abs();
    }
    TO_SIGMA * median(&mut values)
}

/// A size that is never zero.
fn spread(values: Vec<(f64, f64)>) -> f64 {
    let bounds =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &(v, _)| (low.min(v), high.max(v)));
    let largest = bounds.0.abs().max(bounds.1.abs());
    [sigma(values), bounds.1 - bounds.0, largest]
        .into_iter()
        .find(|&size| size > 0.0 && size.is_finite())
        .unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_count_like_rows() {
        let values = [3.0, -1.0, 7.0, 0.5, 2.0];
        let weights = [2.0, 1.0, 0.0, 3.0, 1.0];
        let rows = values.iter().zip(weights).flat_map(|(&v, w)| std::iter::repeat_n(v, w as usize));
        let repeated = sigma(weighted(rows, None));
        let found = sigma(weighted(values.into_iter(), Some(&weights)));
        assert_eq!(found, repeated);
        // The median of -1, .5, .5, .5, 2, 3, 3 is .5, that of the distances 0, 0, 0, 1.5, 1.5, 2.5, 2.5 is 1.5.
        assert_eq!(found, TO_SIGMA * 1.5);
    }

    #[test]
    fn an_even_number_has_its_median_between_two() {
        assert_eq!(median(&mut weighted([4.0, 1.0, 3.0, 2.0].into_iter(), None)), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn a_spread_is_never_zero() {
        for (values, expected) in
            [(vec![2.0, 2.0, 2.0, 5.0], 3.0), (vec![-2.0, -2.0], 2.0), (vec![0.0], 1.0), (vec![], 1.0)]
        {
            assert_eq!(spread(weighted(values.into_iter(), None)), expected);
        }
    }
}
