//! Fine-tuning: a run that begins with the weights of another.
//!
//! The vocabulary becomes that of both. What the model knows follows its characters; a new character has a logit that does not
//! depend on what was read, and that makes it as likely as it is frequent (see [`CharLm::remap_vocab`]).

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::persist::read_init;
use super::trainer::{Trainer, check};
use crate::checkpoint::{Frame, model};
use crate::data::{Corpus, Dataset, DatasetProvenance, Encoding, Vocab, count_tokens};
use crate::error::{Error, Result};
use crate::kernels::softmax;
use crate::model::{CharLm, Origin, PackedWeights, Purpose, Shard, Window};
use crate::score;

/// Characters of the new text over which the model's logits are looked at.
const LOOK: usize = 4096;
/// Characters that are read at once; the state is carried on.
const STEPS: usize = 128;
/// Rounds in which the new characters' biases settle: a few where they are rare, more where they are most of the text.
const ROUNDS: usize = 100;

/// What a fine-tuned run began with; its checkpoints keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// The run that had the weights: its folder or a checkpoint file.
    pub run: PathBuf,
    /// The texts of that run.
    pub sources: DatasetProvenance,
    /// Characters (code points or bytes) that it did not know.
    pub new: Vec<u32>,
    /// The losses before the first step.
    pub before: Losses,
}

/// Held-out losses in nats per character, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Of the end of the text that is replayed, or else of the held-out text of the run that it began with.
    pub old: Result<f64, String>,
    /// Of the held-out text of the run.
    pub new: Result<f64, String>,
}

impl Trainer {
    /// A run at its beginning with the weights of a checkpoint, whose run is remembered as `run`. The optimizer begins anew.
    ///
    /// # Errors
    /// As [`Trainer::new`]; [`Error::Checkpoint`] where there is no model to be had, [`Error::Usage`] where it reads characters
    /// of another kind than the texts.
    pub fn tune(frame: &Frame, run: PathBuf, mut texts: Dataset, config: TrainConfig) -> Result<Self> {
        let (model, vocab) = model::read(frame)?;
        same_encoding(&run, vocab.encoding(), texts.vocab().encoding())?;
        check(&texts, &config)?;
        let (sources, init) = (DatasetProvenance::read(frame)?, read_init(frame)?);
        let new: Vec<u32> = texts.vocab().symbols().iter().copied().filter(|s| vocab.id(*s).is_none()).collect();
        texts.set_vocab(&Vocab::new(vocab.encoding(), vocab.symbols().iter().chain(&new).copied()))?;
        let model = model.remap_vocab(&origins(&model, &vocab, &texts, &new), init, config.seed)?;
        let mut trainer = Trainer::with_model(texts, model, init, config)?;
        let before = trainer.measure(&sources, &trainer.model);
        trainer.beginning = Some(Beginning { run, sources, new, before });
        Ok(trainer)
    }

    /// What a fine-tuned run began with; `None` for one that began with fresh weights.
    pub fn beginning(&self) -> Option<&Beginning> {
        self.beginning.as_ref()
    }

    /// The losses of a model of a fine-tuned run, to be compared with those before the first step; `None` for another run.
    pub fn losses(&self, model: &CharLm<f32>) -> Option<Losses> {
        self.beginning.as_ref().map(|beginning| self.measure(&beginning.sources, model))
    }

    fn measure(&self, sources: &DatasetProvenance, model: &CharLm<f32>) -> Losses {
        let text = |loss: Result<f64>| loss.map_err(|e| e.to_string());
        Losses { old: text(self.loss_of_old(sources, model)), new: text(self.loss_of(model, self.texts.held_out())) }
    }

    fn loss_of_old(&self, sources: &DatasetProvenance, model: &CharLm<f32>) -> Result<f64> {
        if self.texts.replay().is_some() {
            return self.loss_of(model, self.texts.replay_held_out());
        }
        let texts = sources.open()?;
        self.loss_of(model, texts.held_out())
    }

    fn loss_of(&self, model: &CharLm<f32>, text: Option<(&Corpus, Range<usize>)>) -> Result<f64> {
        let (corpus, part) = text.ok_or_else(|| Error::Missing("nothing is held out".into()))?;
        self.install(|| score::held_out(model, corpus, self.texts.vocab(), part)).map(|loss| loss.nats())
    }
}

fn same_encoding(run: &Path, model: Encoding, texts: Encoding) -> Result<()> {
    if model == texts {
        return Ok(());
    }
    Err(Error::EncodingMismatch { run: run.into(), model_reads_bytes: model == Encoding::Bytes })
}

/// Where each character of `texts` comes from. A new one that makes up the share `f` of the new text begins with the bias
/// `b = ln f + level`, see [`level`].
fn origins(model: &CharLm<f32>, vocab: &Vocab, texts: &Dataset, new: &[u32]) -> Vec<Origin> {
    let new = Vocab::new(vocab.encoding(), new.iter().copied());
    let ((corpus, _), part) = (texts.training(), texts.new_text_range());
    // One that occurs elsewhere only, in a held-out text or an old one, begins as if it did once.
    let shares =
        count_tokens(corpus, part.clone(), &new).into_iter().map(|count| count.max(1) as f64 / part.len() as f64);
    let shares: Vec<f64> = shares.collect();
    let level = if new.is_empty() {
        0.0
    } else {
        level(&log_sum_exps(model, &beginning(corpus, part, vocab)), shares.iter().sum())
    };
    let origin = |symbol: &u32| match new.id(*symbol) {
        Some(id) => Origin::New((shares[id as usize].ln() + level) as f32),
        None => Origin::Known(vocab.id(*symbol).unwrap_or(0)),
    };
    texts.vocab().symbols().iter().map(origin).collect()
}

/// What the biases of new characters stand on: the mean of the old model's `ln sum exp(logits)`, moved until the new characters'
/// probability is `share` on average. (It is more without, where the sums differ much.) That is the bias of greatest likelihood.
fn level(log_sum_exps: &[f64], share: f64) -> f64 {
    let count = log_sum_exps.len() as f64;
    let mean = log_sum_exps.iter().sum::<f64>() / count;
    (0..ROUNDS).fold(mean, |level, _| {
        let probability = |lse: &f64| 1.0 / (1.0 + (lse - level - share.ln()).exp());
        level + (share * count / log_sum_exps.iter().map(probability).sum::<f64>()).ln()
    })
}

/// The first characters of a part that a model knows; where it knows none, all that it knows.
fn beginning(corpus: &Corpus, part: Range<usize>, vocab: &Vocab) -> Vec<u32> {
    let mut cursor = corpus.cursor(part.start);
    let ids = part.filter_map(|_| cursor.next(corpus).and_then(|symbol| vocab.id(symbol)));
    let ids: Vec<u32> = ids.take(LOOK).collect();
    if ids.is_empty() { (0..vocab.len() as u32).collect() } else { ids }
}

/// `ln sum exp(logits)` after each of some characters.
fn log_sum_exps(model: &CharLm<f32>, ids: &[u32]) -> Vec<f64> {
    let prepared = PackedWeights::whole(model);
    let mut shard = Shard::new(model, 0, 1, STEPS, Purpose::Inference);
    let (mut found, mut logits) = (Vec::with_capacity(ids.len()), Vec::new());
    for ids in ids.chunks(STEPS) {
        let window = Window::new(ids.len(), 1, ids.to_vec(), vec![0; ids.len()]);
        shard.forward(model, &prepared, &window, None);
        shard.logits(&mut logits);
        let of_row = |row: &mut [f32]| f64::from(row[0]) + softmax::cross_entropy(row, 0, 0.0);
        found.extend(logits.chunks_exact_mut(model.config().vocab).map(of_row));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_characters_get_their_share_on_average() {
        let sums: Vec<f64> = (0..500).map(|i| 7.0 + 3.0 * f64::from(i).sin()).collect();
        for share in [1e-6, 0.01, 0.1, 0.5, 0.9] {
            let new = share * level(&sums, share).exp();
            let mean = sums.iter().map(|sum| new / (new + sum.exp())).sum::<f64>() / sums.len() as f64;
            assert!((mean / share - 1.0).abs() < 0.01, "{share}: {mean}");
        }
        assert!(level(&sums, 1.0).is_finite());
    }
}
