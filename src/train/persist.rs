//! The training state in a checkpoint.
//!
//! | section | holds | in `state_hash` |
//! |---|---|---|
//! | `model`, `weights` | see [`checkpoint::model`](crate::checkpoint::model) | weights |
//! | `progress` | [`Progress`] in bincode | yes |
//! | `run` | [`Saved`] in bincode: configuration, texts, clock | what decides the next steps |
//! | `init` | [`Init`] in bincode: how the weights began | no |
//! | `beginning` | [`Beginning`] in bincode, of a fine-tuned run only | no |
//! | `replayed` | [`ReplayIdentity`](crate::data::Replayed) in bincode, where old text is replayed | no |
//! | `brake` | [`Brake`] in bincode, once a step was skipped | yes |
//! | `owed` | nothing; it is there where an evaluation was due and is still to come | yes |
//! | `moments.0`, `moments.1` | the optimizer's arenas | yes |
//! | `state` | the carried states `(B, layers * states * H)` | yes |

use bytemuck::allocation::try_zeroed_vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::brake::Brake;
use super::config::TrainConfig;
use super::memory::{self, Given};
use super::trainer::{Progress, Trainer, check};
use super::tune::Beginning;
use crate::checkpoint::format::Section;
use crate::checkpoint::{Frame, format, model};
use crate::data::{Dataset, DatasetConfig, DatasetIdentity, DatasetProvenance};
use crate::error::{Error, Result};
use crate::kernels::vector;
use crate::model::Init;

pub(super) const PROGRESS: &str = "progress";
const RUN: &str = "run";
const INIT: &str = "init";
const BEGINNING: &str = "beginning";
const REPLAYED: &str = "replayed";
pub(super) const BRAKE: &str = "brake";
pub(super) const OWED: &str = "owed";
pub(super) const MOMENTS: [&str; 2] = ["moments.0", "moments.1"];
pub(super) const STATE: &str = "state";

/// How a run was set up, and its clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// How it trains.
    pub train: TrainConfig,
    /// Where its texts are.
    pub texts: DatasetConfig,
    /// What they are known by.
    pub identity: DatasetIdentity,
    /// Seconds it has trained.
    pub elapsed_s: f64,
}

impl Saved {
    /// The set-up of the run that a checkpoint belongs to.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn read(frame: &Frame) -> Result<Self> {
        frame.value(RUN)
    }
}

impl Beginning {
    /// What the run that a checkpoint belongs to began with; `None` where that was fresh weights.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn read(frame: &Frame) -> Result<Option<Self>> {
        optional(frame, BEGINNING)
    }
}

impl DatasetProvenance {
    /// Where the texts are of the run that a checkpoint belongs to.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn read(frame: &Frame) -> Result<Self> {
        let Saved { texts, identity, .. } = Saved::read(frame)?;
        Ok(DatasetProvenance { config: texts, identity, replay: optional(frame, REPLAYED)? })
    }
}

impl Progress {
    /// How far the run had come when a checkpoint was written.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn read(frame: &Frame) -> Result<Self> {
        frame.value(PROGRESS)
    }

    /// Whether it can be counted on from: no run comes near that many steps.
    fn is_valid(&self) -> bool {
        let Progress { step, epoch, position, updates, skipped, skipped_in_a_row, since_best, .. } = *self;
        let best = self.best.is_none_or(|(loss, step)| loss.is_finite() && step < 1 << 60);
        best && [step, epoch, position, updates, skipped, skipped_in_a_row, since_best]
            .iter()
            .all(|count| *count < 1 << 60)
    }
}

impl Trainer {
    /// The sections of `best.ckpt`: the model and how it came about.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a number is not finite: that is never written.
    pub fn weights_sections(&self, texts: &DatasetConfig, elapsed_s: f64) -> Result<Vec<Section<'_>>> {
        if let Some(name) = self.model.layout().first_invalid(&self.model.weights) {
            return Err(diverged(name));
        }
        let saved =
            Saved { train: self.config.clone(), texts: texts.clone(), identity: self.texts.identity(), elapsed_s };
        let mut sections = model::sections(&self.model, self.texts.vocab())?;
        sections.push((PROGRESS, format::value(&self.progress)?));
        sections.push((RUN, format::value(&saved)?));
        sections.push((INIT, format::value(&self.init)?));
        if let Some(beginning) = &self.beginning {
            sections.push((BEGINNING, format::value(beginning)?));
        }
        if let Some(replayed) = self.texts.replay() {
            sections.push((REPLAYED, format::value(replayed)?));
        }
        Ok(sections)
    }

    /// The sections of `latest.ckpt`: everything needed to go on.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a number is not finite: that is never written.
    pub fn sections(&self, texts: &DatasetConfig, elapsed_s: f64) -> Result<Vec<Section<'_>>> {
        let mut sections = self.weights_sections(texts, elapsed_s)?;
        for (name, moments) in MOMENTS.into_iter().zip(&self.moments) {
            if !all_finite(moments) {
                return Err(diverged(name));
            }
            sections.push((name, format::floats(moments)));
        }
        if self.brake != Brake::default() {
            sections.push((BRAKE, format::value(&self.brake)?));
        }
        if self.owes_evaluation {
            sections.push((OWED, Vec::new().into()));
        }
        let states: Vec<f32> = self.step.states().flatten().copied().collect();
        if !all_finite(&states) {
            return Err(diverged(STATE));
        }
        sections.push((STATE, format::floats(&states).into_owned().into()));
        Ok(sections)
    }

    /// A run as a checkpoint left it. `config` may differ from the saved one in what may change; `texts` must be the same text,
    /// unless `allow_change`: then the epoch at hand begins anew.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the checkpoint is not complete, [`Error::CorpusMismatch`] where the text is another,
    /// [`Error::FixedSetting`] where `config` changes what cannot change.
    pub fn resume(frame: &Frame, mut texts: Dataset, config: TrainConfig, allow_change: bool) -> Result<Self> {
        if !frame.has(STATE) {
            return Err(frame.error("it holds weights only; a run resumes from its latest.ckpt"));
        }
        let (model, vocab) = model::read(frame)?;
        let (saved, mut progress) = (Saved::read(frame)?, Progress::read(frame)?);
        if !progress.is_valid() || !saved.elapsed_s.is_finite() {
            return Err(frame.error("its progress is beyond all bounds"));
        }
        saved.train.validate().map_err(|e| frame.error(e.to_string()))?;
        same_shape(frame, &saved.train, &config)?;
        let unchanged = DatasetProvenance::read(frame)?.check_same_text(&texts);
        let same_text = unchanged.is_ok();
        if !allow_change {
            unchanged?;
        }
        texts.set_vocab(&vocab)?;
        if !same_text {
            // Losses on another text do not compare.
            progress = Progress { position: 0, held_out: None, best: None, since_best: 0, ..progress };
        }
        config.validate()?;
        let pool = memory::threads(model.config(), &config, Given::of(&texts, true))?;
        let weights = Some(model.layout().len());
        let moments = MOMENTS.into_iter().take(config.optimizer.moments());
        let moments = moments.map(|name| read_finite(frame, name, weights)).collect::<Result<_>>()?;
        let states = read_finite(frame, STATE, model.state_len().checked_mul(config.batch))?;
        // Another learning rate is taken as it is, and the steps that the old one skipped are no longer counted.
        let same_rate = config.lr == saved.train.lr;
        let brake = if same_rate { optional(frame, BRAKE)? } else { None };
        if !same_rate {
            progress.skipped_in_a_row = 0;
        }
        check(&texts, &config)?;
        let mut trainer = Trainer::with(texts, model, moments, config, progress, pool);
        (trainer.init, trainer.beginning) = (read_init(frame)?, Beginning::read(frame)?);
        trainer.brake = brake.unwrap_or_default();
        trainer.owes_evaluation =
            frame.has(OWED) && trainer.texts.held_out().is_some() && trainer.config.eval_every != Some(0);
        if trainer.progress.position > trainer.streams.len() as u64 {
            return Err(frame.error("its position is beyond the end of the text"));
        }
        if same_text {
            let mut rest = &states[..];
            for state in trainer.step.states_mut() {
                let (these, others) = rest.split_at(state.len());
                state.copy_from_slice(these);
                rest = others;
            }
        }
        Ok(trainer)
    }
}

/// How the weights of a run began; of one that did not yet say so, as they all did.
///
/// # Errors
/// [`Error::Checkpoint`].
pub fn read_init(frame: &Frame) -> Result<Init> {
    optional(frame, INIT).map(Option::unwrap_or_default)
}

/// The value of a section that not every checkpoint has.
fn optional<T: DeserializeOwned>(frame: &Frame, name: &str) -> Result<Option<T>> {
    if frame.has(name) { frame.value(name).map(Some) } else { Ok(None) }
}

fn diverged(name: &str) -> Error {
    Error::Diverged(format!(
        "training diverged: {name} is beyond all bounds, so it is not saved; try a lower learning rate"
    ))
}

fn all_finite(values: &[f32]) -> bool {
    vector::all_within(values, f32::MAX)
}

/// The numbers of a section that must have `len` of them; its length is checked before they are allocated.
fn read_finite(frame: &Frame, name: &str, len: Option<usize>) -> Result<Vec<f32>> {
    let found = usize::try_from(frame.len(name)? / 4).unwrap_or(usize::MAX);
    let len =
        len.filter(|len| *len == found).ok_or_else(|| frame.error(format!("section \"{name}\" has another length")))?;
    let none = |()| frame.error(format!("section \"{name}\" does not fit into memory"));
    let mut values = try_zeroed_vec(len).map_err(none)?;
    frame.floats(name, &mut values)?;
    if all_finite(&values) {
        Ok(values)
    } else {
        Err(frame.error(format!("section \"{name}\" has a number that is not finite")))
    }
}

/// Refuses a change of what cannot change while a run goes on.
fn same_shape(frame: &Frame, saved: &TrainConfig, wanted: &TrainConfig) -> Result<()> {
    let fixed: [(&'static str, String, String); 4] = [
        ("batch", saved.batch.to_string(), wanted.batch.to_string()),
        ("seq_len", saved.seq_len.to_string(), wanted.seq_len.to_string()),
        ("seed", saved.seed.to_string(), wanted.seed.to_string()),
        ("optimizer", format!("{:?}", saved.optimizer), format!("{:?}", wanted.optimizer)),
    ];
    match fixed.into_iter().find(|(_, a, b)| a != b) {
        None => Ok(()),
        Some((setting, saved, wanted)) => Err(Error::FixedSetting {
            run: frame.path().into(),
            setting,
            saved: saved.to_lowercase(),
            requested: wanted.to_lowercase(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CELLS;
    use crate::checkpoint::RunFolder;
    use crate::data::{Corpus, Encoding};
    use crate::model::{ModelConfig, Scheme};
    use crate::optim::{Optimizer, Schedule};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn texts(bytes: bool) -> Dataset {
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
            (ModelConfig { cell: cell.spec.name.into(), layers, hidden, embed, vocab: 0 }, Init { scheme, forget_bias })
        }
    }

    prop_compose! {
        fn configs()(
            (batch, seq_len, threads) in (1usize..5, 1usize..9, option::of(1usize..3)),
            (epochs, steps) in (1u64..1 << 40, option::of(1u64..1 << 50)),
            optimizer in select(&[Optimizer::Adamw, Optimizer::Sgd, Optimizer::Rmsprop]),
            schedule in select(&[Schedule::Cosine, Schedule::Linear, Schedule::Constant]),
            (lr, weight_decay, clip, dropout) in (1e-9f64..1.0, 0f64..1e6, 0f64..f64::MAX, 0f64..0.95),
            (warmup, log_every, seed) in any::<(u64, u64, u64)>(), (eval_every, save_every) in any::<(Option<u64>, Option<u64>)>(),
            patience in option::of(1u64..1 << 40),
        ) -> TrainConfig {
            let patience = patience.filter(|_| eval_every != Some(0));
            TrainConfig {
                batch, seq_len, epochs, steps, optimizer, lr, schedule, warmup, weight_decay, clip, dropout, eval_every,
                save_every, log_every, patience, seed, threads,
            }
        }
    }

    prop_compose! {
        fn places()(names in vec("\\PC{1,9}", 0..4), bytes: bool, val_frac: f64, val_file in option::of("\\PC{1,9}")) -> DatasetConfig {
            let encoding = if bytes { Encoding::Bytes } else { Encoding::Utf8 };
            let texts = names.into_iter().map(Into::into).collect();
            DatasetConfig { paths: texts, encoding, val_frac, val_file: val_file.map(Into::into) }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_run_comes_back_from_its_folder(
            (shape, init) in shapes(), config in configs(), places in places(), elapsed_s: f64, bytes: bool, stepped: bool,
        ) {
            let mut trainer = Trainer::with_init(texts(bytes), &shape, init, config.clone()).unwrap();
            if stepped {
                trainer.step().unwrap();
            }
            let folder = tempfile::tempdir().unwrap();
            let run = RunFolder::new(folder.path()).lock().unwrap();
            run.save(&run.latest(), &trainer.sections(&places, elapsed_s).unwrap()).unwrap();

            let frame = Frame::read(&run.latest()).unwrap();
            let identity = trainer.texts().identity();
            prop_assert_eq!(Saved::read(&frame).unwrap(), Saved { train: config.clone(), texts: places.clone(), identity, elapsed_s });
            prop_assert_eq!(model::shape(&frame).unwrap(), trainer.model().config().clone());
            let again = Trainer::resume(&frame, texts(bytes), config.clone(), false).unwrap();
            prop_assert_eq!((again.config(), again.init, again.progress()), (&config, init, trainer.progress()));
            let sections = again.sections(&places, elapsed_s).unwrap();
            prop_assert!(format::frame(&sections) == std::fs::read(run.latest()).unwrap());
        }
    }

    #[test]
    fn progress_that_cannot_be_counted_on_from_is_refused() {
        let config = TrainConfig { batch: 2, seq_len: 4, threads: Some(1), ..TrainConfig::default() };
        let shape = ModelConfig { layers: 1, hidden: 3, embed: 0, ..ModelConfig::default() };
        let trainer = Trainer::new(texts(false), &shape, config.clone()).unwrap();
        let resumed_after = |change: fn(&mut Progress), elapsed_s: f64| {
            let mut progress = trainer.progress().clone();
            change(&mut progress);
            let mut sections = trainer.sections(&DatasetConfig::default(), elapsed_s).unwrap();
            sections.iter_mut().find(|(name, _)| *name == PROGRESS).unwrap().1 = format::value(&progress).unwrap();
            let frame = Frame::parse("x.ckpt".as_ref(), format::frame(&sections)).unwrap();
            Trainer::resume(&frame, texts(false), config.clone(), true).map(drop)
        };
        let resumed = |change: fn(&mut Progress)| resumed_after(change, 0.0);
        resumed(|progress| progress.updates = 7).unwrap();
        assert!(resumed_after(|_| (), f64::NAN).unwrap_err().to_string().contains("beyond all bounds"));
        for change in [
            (|progress| progress.updates = u64::MAX) as fn(&mut Progress),
            |progress| progress.step = u64::MAX,
            |progress| progress.epoch = 1 << 60,
            |progress| progress.position = u64::MAX,
            |progress| progress.best = Some((f64::NAN, 1)),
            |progress| progress.best = Some((1.0, u64::MAX)),
        ] {
            let message = resumed(change).unwrap_err().to_string();
            assert!(message.contains("progress is beyond all bounds"), "{message}");
        }
    }

    #[test]
    fn a_state_that_is_not_finite_is_not_saved() {
        let config = TrainConfig { batch: 2, seq_len: 4, threads: Some(1), ..TrainConfig::default() };
        let shape = ModelConfig { layers: 1, hidden: 3, embed: 0, ..ModelConfig::default() };
        let mut trainer = Trainer::new(texts(false), &shape, config).unwrap();
        trainer.step.states_mut().for_each(|state| state[0] = f32::INFINITY);
        let refused = trainer.sections(&DatasetConfig::default(), 0.0).unwrap_err().to_string();
        assert!(refused.contains("state is beyond all bounds"), "{refused}");
    }
}
