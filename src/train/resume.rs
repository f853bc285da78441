//! Saves a run to a checkpoint, and resumes it.
//!
//! | section | contents | in `state_hash` |
//! |---|---|---|
//! | `model` | configuration and vocabulary | no |
//! | `weights` | all weights | yes |
//! | `progress` | [`Progress`] | yes |
//! | `run` | [`RunMetadata`]: settings, texts, elapsed time | only settings that affect the next steps |
//! | `moments.0`, `moments.1` | the optimizer state | yes |
//! | `state` | the carried states, `(B, layers * states * H)` | yes |
//! | `records` | [`RecordPosition`], if the text is a list of records | yes |
//!
//! `best.ckpt` has neither moments nor states nor a position. A new section also belongs in `run/state_hash.rs`, in `train/memory.rs` and at the end of
//! `NAMES` in `fuzz/src/sections.rs`.

use super::memory::check as check_memory;
use super::trainer::{Trainer, check};
use crate::checkpoint::format::{self, Section, SectionValue};
use crate::checkpoint::{Frame, model};
use crate::data::{Dataset, DatasetProvenance, RecordPosition};
use crate::error::{Error, Result};
use crate::kernels::vector;
use crate::model::memory;
use crate::run::{MOMENTS, Progress, RunMetadata, STATE, TrainConfig};
use crate::simd::Isa;

impl Trainer {
    /// The sections of `best.ckpt`: the model and how it was trained.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a weight is not finite.
    pub fn weights_sections(&self) -> Result<Vec<Section<'_>>> {
        if let Some(name) = self.model.layout().first_invalid(&self.model.weights) {
            return Err(diverged(name));
        }
        let mut sections = model::sections(&self.model, self.dataset.vocab())?;
        sections.push(self.progress.to_section()?);
        sections.push(self.metadata().to_section()?);
        Ok(sections)
    }

    /// The sections of `latest.ckpt`: the whole state.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a number is not finite.
    pub fn sections(&self) -> Result<Vec<Section<'_>>> {
        let mut sections = self.weights_sections()?;
        let states: Vec<f32> = self.step.states().flatten().copied().collect();
        let arenas = MOMENTS.into_iter().zip(&self.moments).chain([(STATE, &states)]);
        if let Some((name, _)) = arenas.clone().find(|(_, values)| !all_finite(values)) {
            return Err(diverged(name));
        }
        sections
            .extend(MOMENTS.into_iter().zip(&self.moments).map(|(name, values)| (name, format::encode_floats(values))));
        sections.push((STATE, format::encode_floats(&states).into_owned().into()));
        sections.extend(self.loader.record_position().map(|position| position.to_section()).transpose()?);
        Ok(sections)
    }

    /// The run metadata that a checkpoint stores, without the model and the progress.
    pub fn metadata(&self) -> RunMetadata {
        RunMetadata {
            train: self.config.clone(),
            init: self.init,
            dataset: DatasetProvenance {
                config: self.dataset.config().clone(),
                identity: self.dataset.identity(),
                replay: self.dataset.replay().cloned(),
            },
            origin: self.origin.clone(),
            total_steps: self.total_steps(),
            instruction_set: Isa::active().name().into(),
            elapsed_s: self.elapsed_s(),
        }
    }

    /// Resumes a run. `config` may differ from the saved one in settings that can change during a run. `dataset` must be the same
    /// text unless `allow_change` is set; on a different text, the current epoch restarts and the best loss is reset.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the checkpoint is incomplete or damaged, [`Error::CorpusMismatch`] if the text differs,
    /// [`Error::FixedSetting`] if `config` changes a setting that cannot change.
    pub fn resume(frame: &Frame, mut dataset: Dataset, config: TrainConfig, allow_change: bool) -> Result<Self> {
        if !frame.has(STATE) {
            return Err(frame.error("contains only weights; resume from latest.ckpt"));
        }
        let (model, vocab) = model::read(frame)?;
        let (saved, mut progress) = (RunMetadata::read(frame)?, Progress::read(frame)?);
        if !saved.elapsed_s.is_finite() {
            return Err(frame.error("the saved training time is not finite"));
        }
        saved.train.validate().map_err(|e| frame.error(e.to_string()))?;
        check_fixed_settings(frame, &saved.train, &config)?;
        let unchanged = saved.dataset.check_same_text(&dataset);
        let is_same_text = unchanged.is_ok();
        // Reported first: a text with other characters cannot be resumed on at all.
        dataset.set_vocab(&vocab)?;
        if !allow_change {
            unchanged?;
        }
        if !is_same_text {
            // Losses on different texts are not comparable.
            progress = Progress { position: 0, held_out: None, best: None, evaluations_since_best: 0, ..progress };
        }
        if config.lr != saved.train.lr {
            progress.consecutive_skips = 0;
        }
        let parameters = Some(model.layout().len());
        let moments = MOMENTS.into_iter().take(config.optimizer.moments());
        let moments = moments.map(|name| read_finite(frame, name, parameters)).collect::<Result<_>>()?;
        let states = read_finite(frame, STATE, model.state_len().checked_mul(config.batch_size))?;
        check(&dataset, &config)?;
        check_memory(model.config(), &config, &dataset)?;
        let mut trainer = Trainer::assemble(dataset, model, moments, saved.init, config, progress)?;
        (trainer.origin, trainer.elapsed_before_s) = (saved.origin, saved.elapsed_s);
        if !trainer.loader.is_in_range(trainer.progress.position) {
            return Err(frame.error("the saved position is beyond the end of the text"));
        }
        if is_same_text {
            if trainer.dataset.training_records().is_some() {
                let position: RecordPosition = frame.value()?;
                if !trainer.loader.restore(&trainer.dataset, &trainer.config, &position)? {
                    return Err(frame.error("its position is not one in the records of the text"));
                }
            }
            let mut rest = &states[..];
            for state in trainer.step.states_mut() {
                let (this, others) = rest.split_at(state.len());
                state.copy_from_slice(this);
                rest = others;
            }
        }
        Ok(trainer)
    }
}

fn diverged(name: &str) -> Error {
    Error::Diverged(format!(
        "training diverged: {name} has values that are not finite or too large; the state was not saved"
    ))
}

fn all_finite(values: &[f32]) -> bool {
    vector::all_within(values, f32::MAX)
}

/// Reads a section of `len` numbers. The length is checked before anything is allocated.
fn read_finite(frame: &Frame, name: &str, len: Option<usize>) -> Result<Vec<f32>> {
    let found = usize::try_from(frame.len(name)? / 4).unwrap_or(usize::MAX);
    if len != Some(found) {
        return Err(frame.error(format!("section \"{name}\" has an unexpected length")));
    }
    let mut values = memory::try_zeroed(name, found)?;
    frame.read_floats(name, &mut values)?;
    if all_finite(&values) {
        Ok(values)
    } else {
        Err(frame.error(format!("section \"{name}\" contains a number that is not finite")))
    }
}

fn check_fixed_settings(frame: &Frame, saved: &TrainConfig, expected: &TrainConfig) -> Result<()> {
    let fixed: [(&'static str, String, String); 4] = [
        ("batch", saved.batch_size.to_string(), expected.batch_size.to_string()),
        ("seq_len", saved.seq_len.to_string(), expected.seq_len.to_string()),
        ("seed", saved.seed.to_string(), expected.seed.to_string()),
        ("optimizer", format!("{:?}", saved.optimizer), format!("{:?}", expected.optimizer)),
    ];
    match fixed.into_iter().find(|(_, saved, expected)| saved != expected) {
        None => Ok(()),
        Some((setting, saved, requested)) => Err(Error::FixedSetting {
            run: frame.path().into(),
            setting,
            saved: saved.to_lowercase(),
            requested: requested.to_lowercase(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CELLS;
    use crate::data::{Corpus, Encoding};
    use crate::model::Init;
    use crate::model::{ModelConfig, Scheme};
    use crate::optim::{Optimizer, Schedule};
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn dataset(bytes: bool) -> Dataset {
        let text = "a b\u{e9}c \u{1f600}d".repeat(12).into_bytes();
        let encoding = if bytes { Encoding::Bytes } else { Encoding::Utf8 };
        Dataset::new(Corpus::from_text("text", text, encoding).unwrap(), None, 0.1).unwrap()
    }

    prop_compose! {
        fn shapes()(
            cell in (0..CELLS.len()).prop_map(|i| &CELLS[i]), layers in 1usize..4, hidden in 1usize..9, embed in 0usize..7,
            scheme in select(&[Scheme::Orthogonal, Scheme::Uniform, Scheme::Xavier]), forget_bias in option::of(-9f64..9.0),
        ) -> (ModelConfig, Init) {
            let forget_bias = forget_bias.filter(|_| cell.spec.forget_gate.is_some());
            (ModelConfig { cell: cell.spec.name.into(), num_layers: layers, hidden_size: hidden, embed_size: embed, vocab_size: 0 }, Init { scheme, forget_bias })
        }
    }

    prop_compose! {
        fn configs()(
            (batch, seq_len, threads) in (1usize..5, 1usize..9, option::of(1usize..3)),
            (epochs, steps) in (1u64..1 << 40, option::of(1u64..1 << 50)),
            optimizer in select(&[Optimizer::Adamw, Optimizer::Sgd, Optimizer::Rmsprop]),
            schedule in select(&[Schedule::Cosine, Schedule::Linear, Schedule::Constant]),
            (lr, weight_decay, clip, dropout, reset_prob) in (1e-9f64..1.0, 0f64..1e6, 0f64..f64::MAX, 0f64..0.95, 0f64..=1.0),
            (warmup, log_every, seed) in any::<(u64, u64, u64)>(), (eval_every, save_every) in any::<(Option<u64>, Option<u64>)>(),
            patience in option::of(1u64..1 << 40),
        ) -> TrainConfig {
            let patience = patience.filter(|_| eval_every != Some(0));
            TrainConfig {
                batch_size: batch, seq_len, epochs, steps, optimizer, lr, schedule, warmup, weight_decay, clip, dropout, reset_prob, eval_every,
                save_every, log_every, patience, seed, threads,
            }
        }
    }

    fn checkpoint(sections: &[Section<'_>]) -> Frame {
        Frame::parse("x.ckpt".as_ref(), format::encode_checkpoint(sections)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_run_is_read_back_from_its_checkpoint(
            (shape, init) in shapes(), config in configs(), bytes: bool, stepped: bool,
        ) {
            let mut trainer = Trainer::with_init(dataset(bytes), &shape, init, config.clone()).unwrap();
            if stepped {
                trainer.step().unwrap();
            }
            let frame = checkpoint(&trainer.sections().unwrap());
            let saved = RunMetadata::read(&frame).unwrap();
            prop_assert_eq!(&saved, &RunMetadata { elapsed_s: saved.elapsed_s, ..trainer.metadata() });
            let again = Trainer::resume(&frame, dataset(bytes), config.clone(), false).unwrap();
            prop_assert_eq!((again.config(), again.init, again.progress()), (&config, init, trainer.progress()));
            prop_assert_eq!((again.model().config(), again.moments == trainer.moments), (trainer.model().config(), true));
            prop_assert!(again.model().weights == trainer.model().weights && again.step.states().eq(trainer.step.states()));
        }
    }

    fn small_trainer() -> Trainer {
        let config = TrainConfig { batch_size: 2, seq_len: 4, threads: Some(1), ..TrainConfig::default() };
        let shape = ModelConfig { num_layers: 1, hidden_size: 3, embed_size: 0, ..ModelConfig::default() };
        Trainer::new(dataset(false), &shape, config).unwrap()
    }

    #[test]
    fn rejects_progress_counters_out_of_range() {
        let trainer = small_trainer();
        let resume = |change: fn(&mut Progress)| {
            let mut progress = trainer.progress().clone();
            change(&mut progress);
            let mut sections = trainer.sections().unwrap();
            *sections.iter_mut().find(|(name, _)| *name == Progress::NAME).unwrap() = progress.to_section().unwrap();
            Trainer::resume(&checkpoint(&sections), dataset(false), trainer.config().clone(), true).map(drop)
        };
        resume(|progress| progress.updates = 7).unwrap();
        for change in [
            (|progress| progress.updates = u64::MAX) as fn(&mut Progress),
            |progress| progress.step = u64::MAX,
            |progress| progress.epoch = 1 << 60,
            |progress| progress.position = u64::MAX,
            |progress| progress.best = Some((f64::NAN, 1)),
            |progress| progress.best = Some((1.0, u64::MAX)),
        ] {
            let message = resume(change).unwrap_err().to_string();
            assert!(message.contains("out of range"), "{message}");
        }
    }

    #[test]
    fn a_state_that_is_not_finite_is_not_saved() {
        let mut trainer = small_trainer();
        trainer.step.states_mut().for_each(|state| state[0] = f32::INFINITY);
        assert!(matches!(trainer.sections(), Err(Error::Diverged(message)) if message.contains(STATE)));
    }
}
