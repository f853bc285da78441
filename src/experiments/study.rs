//! What a study is asked, and the runs that it is made of.

use std::ops::Range;
use std::time::Instant;

use crate::cells::{self, CELLS, Entry};
use crate::data::{TextConfig, Texts};
use crate::error::{Error, Result};
use crate::model::{Init, ModelConfig, Scheme};
use crate::score;
use crate::train::{TrainConfig, Trainer};

/// Elements of a character's embedding.
const EMBED: usize = 64;

/// A loss of so many times that of even guessing is taken for divergence.
const FAR_WORSE: f64 = 4.0;

/// What can be asked of a study; what is left open is as the study needs it.
#[derive(Clone, Debug)]
pub struct Study {
    /// The texts.
    pub text: TextConfig,
    /// The cell.
    pub cell: Option<String>,
    /// Units of each layer.
    pub hidden: Option<usize>,
    /// Steps of training.
    pub steps: Option<u64>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// How the recurrent layer's weights are drawn.
    pub scheme: Option<Scheme>,
    /// Parameters of every net.
    pub parameters: Option<u64>,
    /// The seeds.
    pub seeds: Range<u64>,
}

/// How a run of a study ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// The held-out loss, in nats per character.
    pub held_out: f64,
    /// The loss of as much text that was trained on.
    pub training: f64,
    /// Seconds of training.
    pub seconds: f64,
}

impl Study {
    /// What the runs of a study share: small batches, no regularisation, nothing saved.
    pub(super) fn training(&self, steps: u64, lr: f64, seed: u64) -> TrainConfig {
        TrainConfig {
            batch: 32,
            seq_len: 64,
            steps: Some(self.steps.unwrap_or(steps)),
            lr: self.lr.unwrap_or(lr),
            dropout: 0.0,
            weight_decay: 0.0,
            eval_every: Some(0),
            seed,
            ..TrainConfig::default()
        }
    }

    /// A net of one layer.
    pub(super) fn shape(&self, cell: &str, hidden: usize, texts: &Texts) -> ModelConfig {
        ModelConfig { cell: cell.into(), layers: 1, hidden, embed: EMBED, vocab: texts.vocab().len() }
    }

    /// The cell that is asked for, or every one.
    pub(super) fn cells(&self) -> Result<Vec<&'static Entry>> {
        match &self.cell {
            Some(name) => Ok(vec![cells::find(name)?]),
            None => Ok(CELLS.iter().collect()),
        }
    }

    /// Opens the texts.
    pub(super) fn texts(&self) -> Result<Texts> {
        Texts::open(&self.text)
    }

    /// Trains a net to its end; `None` where training diverges: its loss is no number, or far worse than that of knowing nothing.
    pub(super) fn run(&self, shape: &ModelConfig, init: Init, config: TrainConfig) -> Result<Option<Run>> {
        let begun = Instant::now();
        let mut trainer = Trainer::with_init(self.texts()?, shape, init, config)?;
        let worst = FAR_WORSE * (trainer.texts().vocab().len() as f64).ln();
        while trainer.progress().step < trainer.total_steps() {
            match trainer.step() {
                Err(Error::Diverged(_)) => return Ok(None),
                Ok(step) if step.loss > worst => return Ok(None),
                step => step?,
            };
        }
        let seconds = begun.elapsed().as_secs_f64();
        let Some(held_out) = trainer.held_out()? else {
            let texts = trainer.texts().training().0.name();
            return Err(Error::corpus(texts, "the text is too short for a part of it to be held out"));
        };
        let (texts, model) = (trainer.texts(), trainer.model());
        let (corpus, part) = texts.training();
        let as_much = texts.held_out().map_or(0, |(_, part)| part.len()).min(part.len());
        let part = part.end - as_much..part.end;
        let training = trainer.install(|| score::held_out(model, corpus, texts.vocab(), part))?;
        let run = Run { held_out: held_out.nats(), training: training.nats(), seconds };
        Ok(Some(run).filter(|run| run.held_out < worst && run.training < worst))
    }
}

/// The mean and the standard deviation of numbers.
pub(super) fn spread(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}
