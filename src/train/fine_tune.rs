//! Fine-tuning: a run that starts from the weights of another.
//!
//! The vocabulary is extended by the new text's characters. Known characters keep their weights. The logit of a new character does
//! not depend on the context, and its bias is chosen so that its probability equals its frequency in the new text (see
//! [`CharLm::remap_vocab`]).

use std::path::{Path, PathBuf};

use super::trainer::{Trainer, check};
use crate::checkpoint::{Frame, model};
use crate::data::{Dataset, DatasetProvenance, Encoding, TextPart, Vocab};
use crate::error::{Error, Result};
use crate::kernels::{Precision, softmax};
use crate::model::{CharLm, InferenceModel, InferenceSession, Input, SymbolSource};
use crate::run::{FineTuneOrigin, HeldOutLosses, RunMetadata, TrainConfig};
use crate::score;

/// Characters of the new text used to estimate the mean log-sum-exp of the logits.
const SAMPLE_CHARS: usize = 4096;
const STEPS: usize = 128;
/// The biases of new characters converge within this many iterations, even if these characters make up most of the text.
const ITERATIONS: usize = 100;

impl Trainer {
    /// A new run that starts from the weights of a checkpoint of `run`. The optimizer starts from scratch.
    ///
    /// # Errors
    /// Like [`Trainer::new`]; [`Error::Checkpoint`] if the model cannot be read, [`Error::EncodingMismatch`] if its encoding is not
    /// that of the dataset.
    pub fn fine_tune(frame: &Frame, run: PathBuf, mut dataset: Dataset, config: TrainConfig) -> Result<Self> {
        let (model, vocab) = model::read(frame)?;
        check_encoding(&run, vocab.encoding(), dataset.vocab().encoding())?;
        check(&dataset, &config)?;
        let RunMetadata { init, dataset: old_dataset, .. } = RunMetadata::read(frame)?;
        let symbols = dataset.vocab().symbols().iter().copied();
        let new_symbols: Vec<u32> = symbols.filter(|symbol| vocab.known_id(*symbol).is_none()).collect();
        dataset
            .set_vocab(&Vocab::new(dataset.vocab().encoding(), vocab.symbols().iter().chain(&new_symbols).copied()))?;
        let model = model.remap_vocab(&origins(&model, &vocab, &dataset, &new_symbols), init, config.seed)?;
        let mut trainer = Trainer::with_model(dataset, model, init, config)?;
        let before = trainer.held_out_losses(&old_dataset, &trainer.model);
        trainer.origin = Some(FineTuneOrigin { run, dataset: old_dataset, new_symbols, before });
        Ok(trainer)
    }

    /// The losses of a model on the old and the new text of a fine-tuned run, to compare with those before the first step. `None`
    /// for any other run.
    pub fn fine_tune_losses(&self, model: &CharLm<f32>) -> Option<HeldOutLosses> {
        self.origin.as_ref().map(|origin| self.held_out_losses(&origin.dataset, model))
    }

    fn held_out_losses(&self, old_dataset: &DatasetProvenance, model: &CharLm<f32>) -> HeldOutLosses {
        let text = |loss: Result<f64>| loss.map_err(|e| e.to_string());
        HeldOutLosses {
            old: text(self.loss_on_old_text(old_dataset, model)),
            new: text(self.loss_on(model, self.dataset.held_out())),
        }
    }

    fn loss_on_old_text(&self, old_dataset: &DatasetProvenance, model: &CharLm<f32>) -> Result<f64> {
        if self.dataset.replay().is_some() {
            return self.loss_on(model, self.dataset.replay_held_out());
        }
        self.loss_on(model, old_dataset.open()?.held_out())
    }

    fn loss_on(&self, model: &CharLm<f32>, part: Option<TextPart<'_>>) -> Result<f64> {
        let part = part.ok_or_else(|| Error::Missing("the dataset has no held-out text".into()))?;
        self.install(|| score::held_out_loss(model, &part, self.dataset.vocab())).map(|loss| loss.nats())
    }
}

fn check_encoding(run: &Path, model: Encoding, text: Encoding) -> Result<()> {
    if model.is_utf8() == text.is_utf8() {
        return Ok(());
    }
    Err(Error::EncodingMismatch { run: run.into(), model_reads_bytes: model == Encoding::Bytes })
}

/// The source of each character of the dataset. The bias of a new character with frequency `f` in the new text is
/// `ln f + bias_offset`, see [`bias_offset`].
fn origins(model: &CharLm<f32>, vocab: &Vocab, dataset: &Dataset, new: &[u32]) -> Vec<SymbolSource> {
    let new = Vocab::new(vocab.encoding(), new.iter().copied());
    let part = match dataset.training() {
        TextPart::Running(corpus, _) => TextPart::Running(corpus, dataset.new_text_range()),
        records @ TextPart::Records(_) => records,
    };
    // A character that occurs only in the held-out or the old text counts as if it occurred once.
    let shares = part.count_tokens(&new).into_iter().map(|count| count.max(1) as f64 / part.chars() as f64);
    let shares: Vec<f64> = shares.collect();
    let bias_offset = if new.is_empty() {
        0.0
    } else {
        bias_offset(&log_sum_exps(model, &first_known(&part, vocab)), shares.iter().sum())
    };
    let origin = |symbol: &u32| match new.known_id(*symbol) {
        Some(id) => SymbolSource::New((shares[id as usize].ln() + bias_offset) as f32),
        None => SymbolSource::Known(vocab.id(*symbol).unwrap_or(0)),
    };
    dataset.vocab().symbols().iter().map(origin).collect()
}

/// The offset of the biases of new characters: the mean of the old model's `ln sum exp(logits)`, adjusted until the mean
/// probability of all new characters is `share`. This maximizes the likelihood.
fn bias_offset(log_sum_exps: &[f64], share: f64) -> f64 {
    let count = log_sum_exps.len() as f64;
    let mean = log_sum_exps.iter().sum::<f64>() / count;
    (0..ITERATIONS).fold(mean, |bias_offset, _| {
        let probability = |lse: &f64| 1.0 / (1.0 + (lse - bias_offset - share.ln()).exp());
        bias_offset + (share * count / log_sum_exps.iter().map(probability).sum::<f64>()).ln()
    })
}

/// The first known characters of a text; the whole vocabulary if there are none.
fn first_known(part: &TextPart<'_>, vocab: &Vocab) -> Vec<u32> {
    let ids: Vec<u32> = part.symbols().filter_map(|symbol| vocab.id(symbol)).take(SAMPLE_CHARS).collect();
    if ids.is_empty() { (0..vocab.len() as u32).collect() } else { ids }
}

fn log_sum_exps(model: &CharLm<f32>, ids: &[u32]) -> Vec<f64> {
    let model = InferenceModel::new(model, Precision::F32);
    let mut session = InferenceSession::single_threaded(&model, 1, STEPS);
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(STEPS) {
        session.run(&ids.iter().map(|id| Input::with_logits(*id)).collect::<Vec<_>>());
        session.for_each_logits(|_, row| found.push(f64::from(row[0]) + softmax::cross_entropy(row, 0, 0.0)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_probability_of_new_characters_is_their_share() {
        let sums: Vec<f64> = (0..500).map(|i| 7.0 + 3.0 * f64::from(i).sin()).collect();
        for share in [1e-6, 0.01, 0.1, 0.5, 0.9] {
            let new = share * bias_offset(&sums, share).exp();
            let mean = sums.iter().map(|sum| new / (new + sum.exp())).sum::<f64>() / sums.len() as f64;
            assert!((mean / share - 1.0).abs() < 0.01, "{share}: {mean}");
        }
        assert!(bias_offset(&sums, 1.0).is_finite());
    }
}
