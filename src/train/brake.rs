//! What steps without a finite loss and gradient do to the learning rate.

use serde::{Deserialize, Serialize};

/// A second step that is skipped within as many steps halves the learning rate.
pub const STEPS_BETWEEN_SKIPS: u64 = 100;

/// The share of the learning rate that is left after steps that were skipped. A checkpoint holds it and `state_hash` covers it,
/// where there was one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    halvings: u32,
    /// The last step that was skipped, of those since the last halving.
    skipped: Option<u64>,
}

impl Brake {
    /// What the learning rate is multiplied by: 1, 1/2, 1/4 ...
    pub fn share(&self) -> f64 {
        0.5f64.powi(self.halvings.min(1000) as i32)
    }

    /// Takes note of a step that was skipped; whether it is the second of two that halve the learning rate.
    pub(super) fn skip(&mut self, step: u64) -> bool {
        let second = self.skipped.is_some_and(|first| step.saturating_sub(first) <= STEPS_BETWEEN_SKIPS);
        self.halvings = self.halvings.saturating_add(u32::from(second));
        self.skipped = Some(step).filter(|_| !second);
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Frame, format};
    use crate::data::{Corpus, Dataset, DatasetConfig, Encoding};
    use crate::error::Error;
    use crate::model::ModelConfig;
    use crate::optim::Schedule;
    use crate::train::{StepReport, TrainConfig, Trainer, state_hash};

    fn texts() -> Dataset {
        let text: Vec<u8> = (0..400).map(|i| b'a' + (i * i % 7) as u8).collect();
        Dataset::new(Corpus::from_text("test", text, Encoding::Utf8).unwrap(), None, 0.1).unwrap()
    }

    fn config() -> TrainConfig {
        let base =
            TrainConfig { batch: 4, seq_len: 8, lr: 0.01, warmup: 0, threads: Some(1), ..TrainConfig::default() };
        TrainConfig { schedule: Schedule::Constant, steps: Some(1000), ..base }
    }

    fn begin() -> Trainer {
        let shape = ModelConfig { layers: 1, hidden: 8, ..ModelConfig::default() };
        Trainer::new(texts(), &shape, config()).unwrap()
    }

    /// A step with a weight (the last output bias) that is no number meanwhile.
    fn bad_step(trainer: &mut Trainer) -> Result<StepReport, Error> {
        let last = trainer.model.weights.len() - 1;
        let weight = std::mem::replace(&mut trainer.model.weights[last], f32::NAN);
        let report = trainer.step();
        trainer.model.weights[last] = weight;
        report
    }

    fn good_steps(trainer: &mut Trainer, steps: usize) -> f64 {
        (0..steps).map(|_| trainer.step().unwrap()).inspect(|report| assert!(!report.skipped)).last().unwrap().lr
    }

    fn checkpoint(trainer: &Trainer) -> Frame {
        let sections = trainer.sections(&DatasetConfig::default(), 0.0).unwrap();
        Frame::parse("x.ckpt".as_ref(), format::frame(&sections)).unwrap()
    }

    #[test]
    fn two_skips_within_a_hundred_steps_halve_the_rate_and_two_further_apart_do_not() {
        for (between, lr) in [(0, 0.005), (99, 0.005), (100, 0.01), (150, 0.01)] {
            let mut trainer = begin();
            let weights = trainer.model.weights.clone();
            let first = bad_step(&mut trainer).unwrap();
            assert_eq!((first.skipped, first.halved), (true, false));
            assert_eq!(trainer.model.weights, weights, "a step that is skipped teaches nothing");
            if between > 0 {
                assert_eq!(good_steps(&mut trainer, between), 0.01);
            }
            assert_eq!(bad_step(&mut trainer).unwrap().halved, lr < 0.01, "{between} steps between");
            assert_eq!(good_steps(&mut trainer, 3), lr, "{between} steps between");
        }
    }

    #[test]
    fn the_rate_is_halved_again_by_two_more() {
        let mut trainer = begin();
        for halved in [false, true, false, true] {
            assert_eq!(bad_step(&mut trainer).unwrap().halved, halved);
        }
        let refused = bad_step(&mut trainer);
        assert!(matches!(refused, Err(Error::Diverged(_))), "the fifth in a row ends the run: {refused:?}");
        assert_eq!((trainer.brake().share(), trainer.progress().skipped_in_a_row), (0.25, 5));
    }

    #[test]
    fn a_run_that_is_resumed_between_two_skips_or_behind_them_goes_on_to_the_bit() {
        let hash = |trainer: &Trainer| state_hash(&checkpoint(trainer)).unwrap();
        let bad = [5, 30];
        let step = |trainer: &mut Trainer| {
            let bad = bad.contains(&trainer.progress().step);
            if bad { bad_step(trainer) } else { trainer.step() }.unwrap()
        };
        let mut whole = begin();
        (0..40).for_each(|_| assert_eq!(step(&mut whole).halved, whole.progress().step == 31));
        for k in [4, 6, 20, 30, 31, 35] {
            let mut first = begin();
            (0..k).for_each(|_| assert!(step(&mut first).lr > 0.0));
            let mut second = Trainer::resume(&checkpoint(&first), texts(), config(), false).unwrap();
            assert_eq!(hash(&first), hash(&second));
            (k..40).for_each(|_| assert!(step(&mut second).lr > 0.0));
            assert_eq!(hash(&second), hash(&whole), "resumed at step {k}");
        }
        let saved = checkpoint(&whole);
        let anew = TrainConfig { lr: 0.002, ..config() };
        let mut anew = Trainer::resume(&saved, texts(), anew, false).unwrap();
        assert_eq!(good_steps(&mut anew, 1), 0.002, "another rate is taken as it is");
        // Four in a row were skipped: at another rate it takes five more to end the run, at the same one.
        let mut bad = begin();
        (0..4).for_each(|_| assert!(bad_step(&mut bad).unwrap().skipped));
        for (lr, more) in [(0.01, 1), (0.002, 5)] {
            let mut again = Trainer::resume(&checkpoint(&bad), texts(), TrainConfig { lr, ..config() }, false).unwrap();
            (1..more).for_each(|_| assert!(bad_step(&mut again).unwrap().skipped));
            assert!(matches!(bad_step(&mut again), Err(Error::Diverged(_))), "{lr}");
        }
    }

    #[test]
    fn a_run_without_skips_has_the_checkpoint_that_it_always_had() {
        let mut trainer = begin();
        good_steps(&mut trainer, 3);
        assert!(!checkpoint(&trainer).has("brake"));
        bad_step(&mut trainer).unwrap();
        assert!(checkpoint(&trainer).has("brake"));
    }

    #[test]
    fn a_strangers_brake_is_harmless() {
        let mut brake = Brake { halvings: u32::MAX, skipped: Some(u64::MAX) };
        assert!(brake.share() >= 0.0 && brake.share() < 1e-300);
        assert!(brake.skip(3) && brake.share() >= 0.0);
    }
}
