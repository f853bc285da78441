//! Changes the vocabulary of a model.

use super::char_lm::CharLm;
use super::config::ModelConfig;
use super::init::Init;
use crate::error::Result;

/// The source of the weights of a character in a remapped vocabulary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SymbolSource {
    /// The token id of the character in the old vocabulary.
    Known(u32),
    /// A new character; its initial logit is this bias in every context.
    New(f32),
}

impl CharLm<f32> {
    /// A copy of this model with the vocabulary of `sources`, in their order. A known character keeps its row of the embedding (of
    /// `rnn.0.w_ih` if the input is one-hot) and its column of the output layer. A new character gets a freshly initialized row
    /// (see [`with_init`](Self::with_init)), a zero column, and its bias. The distribution among known characters, after any text
    /// of known characters, is unchanged.
    pub fn remap_vocab(&self, sources: &[SymbolSource], init: Init, seed: u64) -> Result<Self> {
        let config = ModelConfig { vocab_size: sources.len(), ..self.config().clone() };
        let mut model = CharLm::with_init(&config, init, seed)?;
        let (to, from) = (model.layout().clone(), self.layout());
        let by_row = self.embed().unwrap_or(self.rnn(0).w_ih);
        for (id, span) in from.ids() {
            let (old, new) = (from.slice(&self.weights, id), to.slice_mut(&mut model.weights, id));
            if id == by_row {
                let rows = sources.iter().zip(new.chunks_exact_mut(span.cols));
                for (source, row) in rows {
                    if let SymbolSource::Known(old_id) = source {
                        row.copy_from_slice(&old[*old_id as usize * span.cols..][..span.cols]);
                    }
                }
            } else if id == self.head_w() || id == self.head_b() {
                let of_new = |bias: f32| if id == self.head_b() { bias } else { 0.0 };
                let rows = old.chunks_exact(span.cols).zip(new.chunks_exact_mut(sources.len()));
                for (old, new) in rows {
                    for (source, to) in sources.iter().zip(new) {
                        *to = match source {
                            SymbolSource::Known(old_id) => old[*old_id as usize],
                            SymbolSource::New(bias) => of_new(*bias),
                        };
                    }
                }
            } else {
                new.copy_from_slice(old);
            }
        }
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Precision, softmax};
    use crate::model::{InferenceModel, InferenceSession, Input};

    /// Known characters out of order, with new characters before, between and after them.
    const SOURCES: [SymbolSource; 9] = [
        SymbolSource::New(0.5),
        SymbolSource::Known(0),
        SymbolSource::Known(1),
        SymbolSource::New(-3.0),
        SymbolSource::Known(4),
        SymbolSource::Known(2),
        SymbolSource::New(2.0),
        SymbolSource::Known(3),
        SymbolSource::New(0.0),
    ];

    fn new_id(id: u32) -> u32 {
        SOURCES.iter().position(|source| *source == SymbolSource::Known(id)).unwrap() as u32
    }

    fn model(cell: &str, embed: usize) -> CharLm<f32> {
        let config = ModelConfig { cell: cell.into(), num_layers: 2, hidden_size: 9, embed_size: embed, vocab_size: 5 };
        let mut model = CharLm::init(&config, 3).unwrap();
        let layout = model.layout().clone();
        layout.slice_mut(&mut model.weights, layout.ids().last().unwrap().0).iter_mut().zip(1..).for_each(|(b, i)| {
            *b = i as f32 / 7.0;
        });
        model
    }

    /// The logits after each character of a text.
    fn logits(model: &CharLm<f32>, text: Vec<u32>) -> Vec<f32> {
        let model = InferenceModel::new(model, Precision::F32);
        let mut session = InferenceSession::new(&model, 1, text.len());
        session.run(&text.into_iter().map(Input::with_logits).collect::<Vec<_>>());
        let mut logits = Vec::new();
        session.for_each_logits(|_, row| logits.extend_from_slice(row));
        logits
    }

    #[test]
    fn the_distribution_among_known_characters_is_unchanged() {
        let text: Vec<u32> = (0..60).map(|i| (i * i / 3 + i) % 5).collect();
        for cell in ["lstm", "gru", "rnn", "peephole", "fgr", "indylstm", "cifg"] {
            for embed in [0, 6] {
                let old = model(cell, embed);
                let new = old.remap_vocab(&SOURCES, Init::default(), 8).unwrap();
                assert_eq!(new.config(), &ModelConfig { vocab_size: 9, ..old.config().clone() });
                let before = logits(&old, text.clone());
                let now = logits(&new, text.iter().map(|id| new_id(*id)).collect());
                for (before, now) in before.chunks_exact(5).zip(now.chunks_exact(9)) {
                    let mut masked: Vec<f32> = (0..5).map(|id| now[new_id(id) as usize]).collect();
                    let mut before = before.to_vec();
                    softmax::softmax(&mut masked);
                    softmax::softmax(&mut before);
                    let off = before.iter().zip(&masked).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off < 1e-6, "{cell}, embed {embed}: the difference is {off}");
                    for (source, logit) in SOURCES.iter().zip(now) {
                        assert!(
                            !matches!(source, SymbolSource::New(bias) if bias != logit),
                            "{cell}: {source:?} {logit}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_new_characters_are_initialized() {
        for embed in [0, 6] {
            let new = model("lstm", embed).remap_vocab(&SOURCES, Init::default(), 8).unwrap();
            let rows = new.matrix(new.embed().unwrap_or(new.rnn(0).w_ih));
            let fresh = CharLm::init(new.config(), 8).unwrap();
            let drawn = fresh.matrix(fresh.embed().unwrap_or(fresh.rnn(0).w_ih));
            for (i, source) in SOURCES.iter().enumerate() {
                assert_eq!(rows.row(i) == drawn.row(i), matches!(source, SymbolSource::New(_)), "embed {embed}, {i}");
            }
        }
    }
}
