//! Inverted dropout (Srivastava et al. 2014; between layers only, after Zaremba et al. 2014).
//!
//! A mask is a function of seed, step, layer and stream. So a resumed run draws the same masks, whatever the number of threads,
//! and the backward pass draws them again rather than keeping them.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use crate::kernels::Real;

/// Dropout of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The share of units that are dropped, in `0..1`.
    pub rate: f64,
    /// The run's seed.
    pub seed: u64,
    /// The training step.
    pub step: u64,
}

impl Dropout {
    /// Multiplies the rows of one stream by its mask: `values` is `(T, b, hidden)`, `stream` is the row in it and `global` the
    /// stream's number in the whole batch.
    pub fn apply<R: Real>(
        &self,
        values: &mut [R],
        layer: usize,
        streams: usize,
        stream: usize,
        global: usize,
        hidden: usize,
    ) {
        let scale = R::from_f64(1.0 / (1.0 - self.rate));
        let threshold = (self.rate * 2f64.powi(32)) as u32;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix([self.seed, self.step, layer as u64, global as u64]));
        for row in values.chunks_exact_mut(hidden).skip(stream).step_by(streams) {
            for pair in row.chunks_mut(2) {
                let mut bits = rng.next_u64();
                for x in pair {
                    *x *= if (bits as u32) < threshold { R::ZERO } else { scale };
                    bits >>= 32;
                }
            }
        }
    }
}

/// One number from several, every bit of each counting (the finaliser of SplitMix64, Steele et al. 2014).
fn mix(parts: [u64; 4]) -> u64 {
    parts.into_iter().fold(0, |state: u64, part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(dropout: Dropout, layer: usize, global: usize) -> Vec<f32> {
        let mut values = vec![1.0f32; 50 * 64];
        dropout.apply(&mut values, layer, 1, 0, global, 64);
        values
    }

    #[test]
    fn drops_the_stated_share_and_keeps_the_mean() {
        let values = mask(Dropout { rate: 0.25, seed: 1, step: 2 }, 0, 0);
        let dropped = values.iter().filter(|x| **x == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.25).abs() < 0.03, "{dropped}");
        assert!(values.iter().all(|x| *x == 0.0 || (*x - 1.0 / 0.75).abs() < 1e-6));
    }

    #[test]
    fn a_mask_repeats_and_differs_by_seed_step_layer_and_stream() {
        let base = Dropout { rate: 0.5, seed: 1, step: 2 };
        assert_eq!(mask(base, 0, 0), mask(base, 0, 0));
        for other in [
            mask(Dropout { seed: 2, ..base }, 0, 0),
            mask(Dropout { step: 3, ..base }, 0, 0),
            mask(base, 1, 0),
            mask(base, 0, 1),
        ] {
            assert_ne!(mask(base, 0, 0), other);
        }
    }

    #[test]
    fn a_stream_has_the_same_mask_wherever_it_stands() {
        let dropout = Dropout { rate: 0.5, seed: 1, step: 2 };
        let mut pair = vec![1.0f32; 5 * 2 * 8];
        dropout.apply(&mut pair, 0, 2, 1, 7, 8);
        let mut alone = vec![1.0f32; 5 * 8];
        dropout.apply(&mut alone, 0, 1, 0, 7, 8);
        for t in 0..5 {
            assert_eq!(pair[(t * 2 + 1) * 8..][..8], alone[t * 8..][..8]);
            assert_eq!(pair[t * 2 * 8..][..8], [1.0; 8], "the other stream is left alone");
        }
    }
}
