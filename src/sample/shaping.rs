//! From logits to a character.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::error::{Error, Result};
use crate::kernels::softmax;

/// How a distribution is shaped before a character is drawn from it. Applied in this order: top-k, top-p, min-p, temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shaping {
    /// What logits are divided by; 0: always the most likely character.
    pub temperature: f32,
    /// Only the `k` most likely characters.
    pub top_k: Option<usize>,
    /// Only the most likely characters that together have this probability (Holtzman et al. 2020).
    pub top_p: Option<f32>,
    /// Only characters with at least this share of the most likely one's probability.
    pub min_p: Option<f32>,
}

impl Default for Shaping {
    fn default() -> Self {
        Shaping { temperature: 0.8, top_k: None, top_p: None, min_p: None }
    }
}

/// A temperature below this one is taken as 0: it could pick no other character.
const COLD: f32 = 1e-6;

impl Shaping {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Usage`] with the range that is allowed.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Usage(what.into()));
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return refuse("--temp must be 0 or more: 0 is the most likely character, 1 the model's own distribution");
        }
        if self.top_k == Some(0) {
            return refuse("--top-k must be at least 1");
        }
        if self.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return refuse("--top-p must be above 0 and at most 1");
        }
        if self.min_p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return refuse("--min-p must be 0 to 1");
        }
        Ok(())
    }

    /// Turns logits into the weights that [`draw`](Self::draw) draws by; what is cut off gets 0. `order` is scratch.
    pub fn weights(&self, logits: &mut [f32], order: &mut Vec<u32>) {
        if self.temperature < COLD {
            // The first of equals.
            let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
            logits.iter_mut().enumerate().for_each(|(i, p)| *p = if i == best { 1.0 } else { 0.0 });
            return;
        }
        let keep = self.keep(logits, order);
        logits.iter_mut().for_each(|x| *x /= self.temperature);
        softmax::softmax(logits);
        order[keep..].iter().for_each(|&id| logits[id as usize] = 0.0);
    }

    /// How many characters are kept; `order` lists all of them, the kept ones first. Empty where nothing is cut off.
    fn keep(&self, logits: &[f32], order: &mut Vec<u32>) -> usize {
        order.clear();
        if self.top_k.is_none() && self.top_p.is_none() && self.min_p.is_none() {
            return 0;
        }
        order.extend(0..logits.len() as u32);
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        let weight = |id: &u32| (logits[*id as usize] - logits[order[0] as usize]).exp();
        let mut keep = self.top_k.unwrap_or(order.len()).min(order.len());
        if let Some(p) = self.top_p {
            let enough = p * order[..keep].iter().map(weight).sum::<f32>();
            let mut sum = 0.0;
            let before = order[..keep].iter().map(weight).take_while(|weight| {
                sum += weight;
                sum < enough
            });
            keep = keep.min(before.count() + 1);
        }
        if let Some(p) = self.min_p {
            keep = order[..keep].iter().take_while(|id| weight(id) >= p).count();
        }
        keep.max(1)
    }

    /// Draws a character by weights, which need not sum to 1.
    pub fn draw(weights: &[f32], rng: &mut Xoshiro256PlusPlus) -> u32 {
        let mut left = rng.random::<f32>() * weights.iter().sum::<f32>();
        let mut last = 0;
        for (id, &p) in weights.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            last = id;
            left -= p;
            if left < 0.0 {
                break;
            }
        }
        last as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const LOGITS: [f32; 5] = [0.0, 3.0, 1.0, 2.0, -4.0];

    fn weights(shaping: Shaping) -> Vec<f32> {
        shaping.validate().unwrap();
        let mut logits = LOGITS.to_vec();
        shaping.weights(&mut logits, &mut Vec::new());
        logits
    }

    fn kept(shaping: Shaping) -> Vec<usize> {
        weights(shaping).iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(i, _)| i).collect()
    }

    fn shaping(temperature: f32) -> Shaping {
        Shaping { temperature, ..Shaping::default() }
    }

    #[test]
    fn cuts_keep_the_most_likely() {
        assert_eq!(kept(Shaping { top_k: Some(2), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(Shaping { top_k: Some(99), ..shaping(1.0) }), [0, 1, 2, 3, 4]);
        // The probabilities are about 0.64, 0.24, 0.09, 0.03, 0.0006.
        assert_eq!(kept(Shaping { top_p: Some(0.6), ..shaping(1.0) }), [1]);
        assert_eq!(kept(Shaping { top_p: Some(0.8), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(Shaping { top_p: Some(0.9), ..shaping(2.0) }), [1, 2, 3], "temperature comes last");
        assert_eq!(kept(Shaping { min_p: Some(0.2), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(shaping(0.0)), [1]);
        assert_eq!(kept(shaping(1e-30)), [1]);
    }

    #[test]
    fn draws_follow_the_distribution_at_every_temperature() {
        for (shaping, seed) in [
            (shaping(0.5), 1),
            (shaping(1.0), 2),
            (shaping(2.0), 3),
            (Shaping { top_k: Some(3), ..shaping(1.0) }, 4),
            (Shaping { min_p: Some(0.1), ..shaping(2.0) }, 5),
        ] {
            let weights = weights(shaping);
            let mut wanted: Vec<f64> = LOGITS.iter().map(|x| f64::from(x / shaping.temperature).exp()).collect();
            wanted.iter_mut().zip(&weights).filter(|(_, w)| **w == 0.0).for_each(|(x, _)| *x = 0.0);
            let total: f64 = wanted.iter().sum();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let draws = 100_000;
            let mut counts = [0.0; 5];
            (0..draws).for_each(|_| counts[Shaping::draw(&weights, &mut rng) as usize] += 1.0);
            let chi_square: f64 = (0..5)
                .filter(|&i| wanted[i] > 0.0)
                .map(|i| (wanted[i] / total * f64::from(draws), counts[i]))
                .map(|(expected, got)| (got - expected).powi(2) / expected)
                .sum();
            // The 99.9th percentile of a chi-square with 4 degrees of freedom.
            assert!(chi_square < 18.47, "{shaping:?}: {chi_square}");
            assert!((0..5).all(|i| wanted[i] > 0.0 || counts[i] == 0.0));
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for bad in [
            shaping(f32::NAN),
            shaping(-1.0),
            shaping(f32::INFINITY),
            Shaping { top_k: Some(0), ..shaping(1.0) },
            Shaping { top_p: Some(0.0), ..shaping(1.0) },
            Shaping { min_p: Some(1.5), ..shaping(1.0) },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
