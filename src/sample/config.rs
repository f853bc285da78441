//! How the next character is drawn from the logits.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::error::{Error, Result};
use crate::kernels::softmax;

/// How the next character is drawn. The settings apply in this order: ban, repetition penalty, top-k, top-p, min-p, temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingConfig {
    /// Token ids that are never drawn.
    pub ban: Vec<u32>,
    /// How much a logit is lowered for every character by which drawing it would extend a repetition; 0 allows all repetitions. See
    /// [`repetition`](super::repetition).
    pub repetition_penalty: f32,
    /// The divisor of the logits; 0 always gives the most likely character.
    pub temperature: f32,
    /// Keep only the `k` most likely characters.
    pub top_k: Option<usize>,
    /// Keep only the most likely characters until their total probability reaches this (Holtzman et al. 2020).
    pub top_p: Option<f32>,
    /// Keep only characters with at least this fraction of the highest probability.
    pub min_p: Option<f32>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        SamplingConfig {
            ban: Vec::new(),
            repetition_penalty: 0.0,
            temperature: 0.8,
            top_k: None,
            top_p: None,
            min_p: None,
        }
    }
}

/// Lower temperatures are treated as 0.
const MIN_TEMPERATURE: f32 = 1e-6;
/// Lower probabilities are treated as 0: draws have a resolution of 2^-24.
const MIN_PROBABILITY: f32 = 1e-30;

impl SamplingConfig {
    /// Checks that every setting is within its range.
    pub fn validate(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Error::out_of_range("temperature", self.temperature, "0 or more"));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty >= 0.0) {
            return Err(Error::out_of_range("repetition_penalty", self.repetition_penalty, "0 or more"));
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

    /// Turns logits into the probabilities for [`draw`](Self::draw), which are 0 for characters that are filtered out. A logit of
    /// minus infinity excludes a character; at least one must remain. `order` is a scratch buffer.
    pub fn weights(&self, logits: &mut [f32], order: &mut Vec<u32>) {
        self.ban.iter().for_each(|&id| logits[id as usize] = f32::NEG_INFINITY);
        if self.temperature < MIN_TEMPERATURE {
            // If several logits are the largest, the first one is chosen.
            let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
            logits.iter_mut().enumerate().for_each(|(i, p)| *p = if i == best { 1.0 } else { 0.0 });
            return;
        }
        let keep = self.filter(logits, order);
        logits.iter_mut().for_each(|x| *x /= self.temperature);
        softmax::softmax(logits);
        // The kernel's exponential of minus infinity is small, but not zero.
        logits.iter_mut().filter(|p| **p < MIN_PROBABILITY).for_each(|p| *p = 0.0);
        order[keep..].iter().for_each(|&id| logits[id as usize] = 0.0);
    }

    /// The number of kept characters; `order` lists all characters, the kept ones first. It is empty if there is no filter. Each filter
    /// shortens the prefix `order[..keep]`.
    fn filter(&self, logits: &[f32], order: &mut Vec<u32>) -> usize {
        order.clear();
        if self.top_k.is_none() && self.top_p.is_none() && self.min_p.is_none() {
            return 0;
        }
        order.extend(0..logits.len() as u32);
        let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |id: &u32| (logits[*id as usize] - max).exp();
        let mut keep = self.top_k.unwrap_or(order.len()).min(order.len());
        // With many characters, selecting is much faster than sorting.
        if keep < order.len() {
            order.select_nth_unstable_by(keep - 1, descending);
        }
        if let Some(p) = self.top_p {
            order[..keep].sort_unstable_by(descending);
            let enough = p * order[..keep].iter().map(weight).sum::<f32>();
            let mut sum = 0.0;
            let before = order[..keep].iter().map(weight).take_while(|weight| {
                sum += weight;
                sum < enough
            });
            keep = keep.min(before.count() + 1);
        }
        if let Some(p) = self.min_p {
            let mut kept = 0;
            for i in 0..keep {
                if weight(&order[i]) >= p {
                    order.swap(kept, i);
                    kept += 1;
                }
            }
            keep = kept;
        }
        keep.max(1)
    }

    /// Draws a character in proportion to `weights`.
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

    /// The distribution of the model.
    pub static CONFIG: SamplingConfig = SamplingConfig {
        ban: Vec::new(),
        repetition_penalty: 0.0,
        temperature: 1.0,
        top_k: None,
        top_p: None,
        min_p: None,
    };

    const LOGITS: [f32; 5] = [0.0, 3.0, 1.0, 2.0, -4.0];

    fn weights(config: &SamplingConfig) -> Vec<f32> {
        config.validate().unwrap();
        let mut logits = LOGITS.to_vec();
        config.weights(&mut logits, &mut Vec::new());
        logits
    }

    fn kept(config: SamplingConfig) -> Vec<usize> {
        weights(&config).iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(i, _)| i).collect()
    }

    fn at(temperature: f32) -> SamplingConfig {
        SamplingConfig { temperature, ..SamplingConfig::default() }
    }

    #[test]
    fn filters_keep_the_most_likely_characters() {
        assert_eq!(kept(SamplingConfig { top_k: Some(2), ..at(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { top_k: Some(99), ..at(1.0) }), [0, 1, 2, 3, 4]);
        // The probabilities are about 0.64, 0.24, 0.09, 0.03, 0.0006.
        assert_eq!(kept(SamplingConfig { top_p: Some(0.6), ..at(1.0) }), [1]);
        assert_eq!(kept(SamplingConfig { top_p: Some(0.8), ..at(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { top_p: Some(0.9), ..at(2.0) }), [1, 2, 3], "temperature comes last");
        assert_eq!(kept(SamplingConfig { min_p: Some(0.2), ..at(1.0) }), [1, 3]);
        assert_eq!(kept(SamplingConfig { ban: vec![1], top_k: Some(2), ..at(1.0) }), [2, 3], "a ban comes first");
        assert_eq!(kept(SamplingConfig { ban: vec![1], ..at(0.0) }), [3]);
        assert_eq!(kept(at(0.0)), [1]);
        assert_eq!(kept(at(1e-30)), [1]);
    }

    /// The distribution computed from its definition in `f64`: top-k, top-p of the rest, min-p, then the temperature.
    pub fn distribution(logits: &[f32], config: &SamplingConfig) -> Vec<f64> {
        let exp = |id: &usize, t: f64| (f64::from(logits[*id]) / t).exp();
        let mut ids: Vec<usize> = (0..logits.len()).filter(|id| !config.ban.contains(&(*id as u32))).collect();
        ids.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        ids.truncate(config.top_k.unwrap_or(ids.len()));
        let (all, mut sum) = (ids.iter().map(|id| exp(id, 1.0)).sum::<f64>(), 0.0);
        ids.retain(|id| {
            let before = sum / all;
            sum += exp(id, 1.0);
            before < f64::from(config.top_p.unwrap_or(1.0))
        });
        let best = exp(&ids[0], 1.0);
        ids.retain(|id| exp(id, 1.0) >= best * f64::from(config.min_p.unwrap_or(0.0)));
        let total: f64 = ids.iter().map(|id| exp(id, config.temperature.into())).sum();
        (0..logits.len())
            .map(|id| if ids.contains(&id) { exp(&id, config.temperature.into()) / total } else { 0.0 })
            .collect()
    }

    /// Pearson's chi-square test that draws follow a distribution; characters of probability 0 must not occur.
    pub fn agree(counts: &[f64], expected: &[f64]) -> bool {
        // The 99.9th percentiles of chi-square with 1 to 4 degrees of freedom.
        const PERCENTILES: [f64; 5] = [0.0, 10.828, 13.816, 16.266, 18.467];
        let draws: f64 = counts.iter().sum();
        let possible: Vec<(f64, f64)> =
            counts.iter().copied().zip(expected.iter().copied()).filter(|(_, p)| *p > 0.0).collect();
        let chi_square: f64 = possible.iter().map(|(n, p)| (n - p * draws).powi(2) / (p * draws)).sum();
        let impossible = counts.iter().zip(expected).any(|(n, p)| *p == 0.0 && *n > 0.0);
        !impossible && chi_square <= PERCENTILES[possible.len() - 1]
    }

    /// Every filter at three temperatures.
    pub fn grid() -> Vec<SamplingConfig> {
        let filters = [
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
        let at = |temperature| filters.iter().map(move |filter| SamplingConfig { temperature, ..filter.clone() });
        [0.5, 1.0, 2.0].into_iter().flat_map(at).collect()
    }

    /// Weights by sorting all characters, of which the first of several equal ones is the more likely one.
    fn sorted_weights(logits: &mut [f32], config: &SamplingConfig) {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
        let weight = |id: &usize| (logits[*id] - logits[order[0]]).exp();
        let mut keep = config.top_k.unwrap_or(order.len()).min(order.len());
        if let Some(p) = config.top_p {
            let enough = p * order[..keep].iter().map(weight).sum::<f32>();
            let sums = order[..keep].iter().scan(0.0, |sum, id| {
                *sum += weight(id);
                Some(*sum)
            });
            keep = keep.min(sums.take_while(|sum| *sum < enough).count() + 1);
        }
        let min = config.min_p.unwrap_or(0.0);
        keep = order[..keep].iter().take_while(|id| weight(id) >= min).count();
        logits.iter_mut().for_each(|x| *x /= config.temperature);
        softmax::softmax(logits);
        logits.iter_mut().filter(|p| **p < MIN_PROBABILITY).for_each(|p| *p = 0.0);
        order[keep..].iter().for_each(|&id| logits[id] = 0.0);
    }

    #[test]
    fn selecting_gives_the_same_bits_as_sorting() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let filters =
            [(Some(50), None, None), (None, Some(0.9), None), (None, None, Some(0.05)), (Some(1), None, None)];
        let all = (Some(200), Some(0.95), Some(0.01));
        for (top_k, top_p, min_p) in filters.into_iter().chain([all]) {
            let config = SamplingConfig { top_k, top_p, min_p, ..at(0.7) };
            // Rounded logits have many ties.
            for step in [0.0, 0.5] {
                let logit = |_| 4.0 * rng.random::<f32>() + 4.0 * rng.random::<f32>();
                let round = |x: f32| if step > 0.0 { (x / step).round() * step } else { x };
                let logits: Vec<f32> = (0..6000).map(logit).map(round).collect();
                let (mut selected, mut sorted) = (logits.clone(), logits);
                config.weights(&mut selected, &mut Vec::new());
                sorted_weights(&mut sorted, &config);
                assert_eq!(selected, sorted, "{config:?}");
            }
        }
    }

    #[test]
    fn draws_follow_the_distribution_at_every_temperature() {
        for (seed, config) in grid().into_iter().enumerate() {
            let (weights, expected) = (weights(&config), distribution(&LOGITS, &config));
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed as u64);
            let mut counts = [0.0; 5];
            (0..100_000).for_each(|_| counts[SamplingConfig::draw(&weights, &mut rng) as usize] += 1.0);
            assert!(agree(&counts, &expected), "{config:?}: {counts:?} {expected:?}");
            // The test has the power to reject a slightly higher temperature.
            let warmer = SamplingConfig { temperature: 1.1 * config.temperature, ..config.clone() };
            assert!(!agree(&counts, &distribution(&LOGITS, &warmer)), "{config:?}");
        }
    }

    #[test]
    fn rejects_settings_out_of_range() {
        for bad in [
            at(f32::NAN),
            at(-1.0),
            at(f32::INFINITY),
            SamplingConfig { top_k: Some(0), ..at(1.0) },
            SamplingConfig { top_p: Some(0.0), ..at(1.0) },
            SamplingConfig { min_p: Some(1.5), ..at(1.0) },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
