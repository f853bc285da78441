//! From logits to a character.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::error::{Error, Result};
use crate::kernels::softmax;

/// How a distribution is shaped before a character is drawn from it. Applied in this order: ban, top-k, top-p, min-p, temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingConfig {
    /// Characters (ids) that never come.
    pub ban: Vec<u32>,
    /// What logits are divided by; 0: always the most likely character.
    pub temperature: f32,
    /// Only the `k` most likely characters.
    pub top_k: Option<usize>,
    /// Only the most likely characters that together have this probability (Holtzman et al. 2020).
    pub top_p: Option<f32>,
    /// Only characters with at least this share of the most likely one's probability.
    pub min_p: Option<f32>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        SamplingConfig { ban: Vec::new(), temperature: 0.8, top_k: None, top_p: None, min_p: None }
    }
}

/// A temperature below this one is taken as 0: it could pick no other character.
const COLD: f32 = 1e-6;
/// A probability below this one never comes up: draws are made in steps of 2^-24.
const NEVER: f32 = 1e-30;

impl SamplingConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Error::out_of_range("temperature", self.temperature, "a finite number, 0 or more"));
        }
        if self.top_k == Some(0) {
            return Err(Error::out_of_range("top_k", 0, "at least 1"));
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(Error::out_of_range("top_p", p, "above 0 and at most 1"));
        }
        if let Some(p) = self.min_p.filter(|p| !(0.0..=1.0).contains(p)) {
            return Err(Error::out_of_range("min_p", p, "0 to 1"));
        }
        Ok(())
    }

    /// Turns logits into the weights that [`draw`](Self::draw) draws by; what is cut off gets 0. A logit of minus infinity stands for
    /// a character that is ruled out, but not all may be. `order` is scratch.
    pub fn weights(&self, logits: &mut [f32], order: &mut Vec<u32>) {
        self.ban.iter().for_each(|&id| logits[id as usize] = f32::NEG_INFINITY);
        if self.temperature < COLD {
            // The first of equals.
            let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
            logits.iter_mut().enumerate().for_each(|(i, p)| *p = if i == best { 1.0 } else { 0.0 });
            return;
        }
        let keep = self.keep(logits, order);
        logits.iter_mut().for_each(|x| *x /= self.temperature);
        softmax::softmax(logits);
        // What is ruled out has the least exponential, not none.
        logits.iter_mut().filter(|p| **p < NEVER).for_each(|p| *p = 0.0);
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
pub(super) mod tests {
    use super::*;
    use rand::SeedableRng;

    const LOGITS: [f32; 5] = [0.0, 3.0, 1.0, 2.0, -4.0];

    fn weights(shaping: &SamplingConfig) -> Vec<f32> {
        shaping.validate().unwrap();
        let mut logits = LOGITS.to_vec();
        shaping.weights(&mut logits, &mut Vec::new());
        logits
    }

    fn kept(shaping: SamplingConfig) -> Vec<usize> {
        weights(&shaping).iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(i, _)| i).collect()
    }

    fn shaping(temperature: f32) -> SamplingConfig {
        SamplingConfig { temperature, ..SamplingConfig::default() }
    }

    #[test]
    fn cuts_keep_the_most_likely() {
        assert_eq!(kept(SamplingConfig { top_k: Some(2), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { top_k: Some(99), ..shaping(1.0) }), [0, 1, 2, 3, 4]);
        // The probabilities are about 0.64, 0.24, 0.09, 0.03, 0.0006.
        assert_eq!(kept(SamplingConfig { top_p: Some(0.6), ..shaping(1.0) }), [1]);
        assert_eq!(kept(SamplingConfig { top_p: Some(0.8), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { top_p: Some(0.9), ..shaping(2.0) }), [1, 2, 3], "temperature comes last");
        assert_eq!(kept(SamplingConfig { min_p: Some(0.2), ..shaping(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { ban: vec![1], top_k: Some(2), ..shaping(1.0) }), [2, 3], "a ban comes first");
        assert_eq!(kept(SamplingConfig { ban: vec![1], ..shaping(0.0) }), [3]);
        assert_eq!(kept(shaping(0.0)), [1]);
        assert_eq!(kept(shaping(1e-30)), [1]);
    }

    /// The distribution by its definition, in `f64`: cut by top-k, top-p of what is left, min-p, then the temperature.
    pub fn distribution(logits: &[f32], shaping: &SamplingConfig) -> Vec<f64> {
        let exp = |id: &usize, t: f64| (f64::from(logits[*id]) / t).exp();
        let mut ids: Vec<usize> = (0..logits.len()).filter(|id| !shaping.ban.contains(&(*id as u32))).collect();
        ids.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        ids.truncate(shaping.top_k.unwrap_or(ids.len()));
        let (all, mut sum) = (ids.iter().map(|id| exp(id, 1.0)).sum::<f64>(), 0.0);
        ids.retain(|id| {
            let before = sum / all;
            sum += exp(id, 1.0);
            before < f64::from(shaping.top_p.unwrap_or(1.0))
        });
        let best = exp(&ids[0], 1.0);
        ids.retain(|id| exp(id, 1.0) >= best * f64::from(shaping.min_p.unwrap_or(0.0)));
        let total: f64 = ids.iter().map(|id| exp(id, shaping.temperature.into())).sum();
        (0..logits.len())
            .map(|id| if ids.contains(&id) { exp(&id, shaping.temperature.into()) / total } else { 0.0 })
            .collect()
    }

    /// Pearson's test: whether draws may come from a distribution; what it gives no chance must not have come at all.
    pub fn agree(counts: &[f64], wanted: &[f64]) -> bool {
        // The 99.9th percentiles of chi-square with 1 to 4 degrees of freedom.
        const PERCENTILES: [f64; 5] = [0.0, 10.828, 13.816, 16.266, 18.467];
        let draws: f64 = counts.iter().sum();
        let possible: Vec<(f64, f64)> =
            counts.iter().copied().zip(wanted.iter().copied()).filter(|(_, p)| *p > 0.0).collect();
        let chi_square: f64 = possible.iter().map(|(n, p)| (n - p * draws).powi(2) / (p * draws)).sum();
        let impossible = counts.iter().zip(wanted).any(|(n, p)| *p == 0.0 && *n > 0.0);
        !impossible && chi_square <= PERCENTILES[possible.len() - 1]
    }

    /// Every way of shaping, at three temperatures.
    pub fn grid() -> Vec<SamplingConfig> {
        let ways = [
            SamplingConfig::default(),
            SamplingConfig { top_k: Some(3), ..SamplingConfig::default() },
            SamplingConfig { top_p: Some(0.9), ..SamplingConfig::default() },
            SamplingConfig { min_p: Some(0.1), ..SamplingConfig::default() },
            SamplingConfig {
                top_k: Some(4),
                top_p: Some(0.95),
                min_p: Some(0.05),
                ban: vec![1],
                ..SamplingConfig::default()
            },
        ];
        let at = |temperature| ways.iter().map(move |way| SamplingConfig { temperature, ..way.clone() });
        [0.5, 1.0, 2.0].into_iter().flat_map(at).collect()
    }

    #[test]
    fn draws_follow_the_distribution_at_every_temperature() {
        for (seed, shaping) in grid().into_iter().enumerate() {
            let (weights, wanted) = (weights(&shaping), distribution(&LOGITS, &shaping));
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed as u64);
            let mut counts = [0.0; 5];
            (0..100_000).for_each(|_| counts[SamplingConfig::draw(&weights, &mut rng) as usize] += 1.0);
            assert!(agree(&counts, &wanted), "{shaping:?}: {counts:?} {wanted:?}");
            // The test itself tells a distribution from one that is a little warmer.
            let warmer = SamplingConfig { temperature: 1.1 * shaping.temperature, ..shaping.clone() };
            assert!(!agree(&counts, &distribution(&LOGITS, &warmer)), "{shaping:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for bad in [
            shaping(f32::NAN),
            shaping(-1.0),
            shaping(f32::INFINITY),
            SamplingConfig { top_k: Some(0), ..shaping(1.0) },
            SamplingConfig { top_p: Some(0.0), ..shaping(1.0) },
            SamplingConfig { min_p: Some(1.5), ..shaping(1.0) },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
