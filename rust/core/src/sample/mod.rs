//! Resampling weights from counter-based random streams.
//!
//! Draw `b` of seed `s` is a function of `(s, b)` alone (Philox 4×32-10: Salmon, Moraes, Dror and Shaw, "Parallel
//! random numbers: as easy as 1, 2, 3", SC 2011), so results depend neither on threads nor on how many draws are
//! made, and they stay the same from release to release.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::job::{Control, Job};

/// Clusters drawn between two looks at whether to stop.
const LOOK: usize = 1 << 20;

/// Ten rounds of Philox 4×32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// A stream of random 32-bit words, named by seed and number.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    number: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The stream with this number under this seed.
    pub fn new(seed: u64, number: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], number, block: 0, words: [0; 4], used: 4 }
    }

    /// The next word.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let counter =
                [self.block as u32, (self.block >> 32) as u32, self.number as u32, (self.number >> 32) as u32];
            self.words = philox(counter, self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A whole number below `bound`, every one equally likely (Lemire, 2019: multiply, and redraw the few biased).
    pub fn below(&mut self, bound: u32) -> u32 {
        let mut wide = u64::from(self.next_u32()) * u64::from(bound);
        if (wide as u32) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (wide as u32) < threshold {
                wide = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (wide >> 32) as u32
    }
}

/// Bootstrap weights: `draws × rows` counts. Each draw takes as many clusters as there are, with replacement, and
/// gives every row the count of its cluster.
///
/// `cluster[row]` is below `count`.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) when `control` was told to stop,
/// [`Error::Option`](crate::Error::Option) when the weights do not fit in memory.
pub fn resample_counts(
    seed: u64,
    draws: usize,
    cluster: &[usize],
    count: usize,
    job: Job,
    control: &Control<'_>,
) -> Result<Vec<f64>> {
    let rows = cluster.len();
    let mut weights = crate::error::zeros("the resampling weights", draws, rows)?;
    let lines = Mutex::new(weights.chunks_mut(rows.max(1)).enumerate());
    job.run(control, draws, draws.saturating_mul(rows + count), |control| {
        let mut hits = vec![0u32; count];
        while !control.is_cancelled() {
            let Some((draw, line)) = lines.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
            hits.fill(0);
            let mut stream = Stream::new(seed, draw as u64);
            for at in 0..count {
                // One draw of very many clusters is long work by itself.
                if at % LOOK == LOOK - 1 && control.is_cancelled() {
                    return;
                }
                hits[stream.below(count as u32) as usize] += 1;
            }
            for (weight, &c) in line.iter_mut().zip(cluster) {
                *weight = f64::from(hits[c]);
            }
            control.add(1);
        }
    })?;
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_vectors() {
        // Known answers distributed with Random123 for philox4x32-10.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn words_that_would_favour_some_numbers_are_redrawn() {
        // Below 3/4 of 2^32, multiplying alone gives every third number twice as often as the others.
        let bound = 3 << 30;
        let mut stream = Stream::new(11, 0);
        let n = 30_000;
        let thirds = (0..n).filter(|_| stream.below(bound).is_multiple_of(3)).count();
        assert!((thirds as f64 / f64::from(n) - 1.0 / 3.0).abs() < 0.02, "{thirds} of {n}");
    }

    fn counts(threads: usize, seed: u64, draws: usize, cluster: &[usize], count: usize) -> Vec<f64> {
        resample_counts(seed, draws, cluster, count, Job::new(threads).unwrap(), &Control::silent()).unwrap()
    }

    #[test]
    fn a_draw_does_not_depend_on_how_many_are_made() {
        let cluster: Vec<usize> = (0..50).collect();
        let many = counts(1, 7, 2000, &cluster, 50);
        let few = counts(1, 7, 3, &cluster, 50);
        assert_eq!(counts(3, 7, 2000, &cluster, 50), many);
        assert_eq!(many[..150], few);
        assert!(many.chunks(50).all(|draw| draw.iter().sum::<f64>() == 50.0));
        assert_ne!(many[..50], many[50..100]);
    }

    #[test]
    fn rows_of_a_cluster_share_their_count() {
        let weights = counts(1, 1, 100, &[0, 0, 1, 2, 2], 3);
        assert!(weights.chunks(5).all(|w| w[0] == w[1] && w[3] == w[4] && w[0] + w[2] + w[3] == 3.0));
    }

    #[test]
    fn every_number_below_the_bound_is_equally_likely() {
        let mut stream = Stream::new(3, 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Six degrees of freedom: chi-square above 27.9 has a chance of one in ten thousand.
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 27.9, "{counts:?}");
    }
}
