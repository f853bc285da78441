//! A model for other characters than those it has learned.

use super::char_lm::CharLm;
use super::config::ModelConfig;
use super::init::Init;
use crate::error::Result;

/// Where a character of a grafted model comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// The model had it, as this id.
    Known(u32),
    /// It is new, and its logit begins as this bias, whatever was read.
    New(f32),
}

impl CharLm<f32> {
    /// This model for the characters of `origins`, in their order. What it knows stays as it is: the row of the embedding (of
    /// `rnn.0.w_ih` where the input is one-hot) and the column of the output layer go with their character. The row of a new
    /// character is drawn as [`with_init`](Self::with_init) draws it, its column is zero but for the bias. So among the
    /// characters that it knows, after any text of these, the distribution is the one it was.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when there are too many characters, or `init` does not fit the cell.
    pub fn remap_vocab(&self, origins: &[Origin], init: Init, seed: u64) -> Result<Self> {
        let config = ModelConfig { vocab: origins.len(), ..self.config().clone() };
        let mut model = CharLm::with_init(&config, init, seed)?;
        let (to, from) = (model.layout().clone(), self.layout());
        let by_row = self.embed().unwrap_or(self.rnn(0).w_ih);
        for (id, span) in from.ids() {
            let (old, new) = (from.of(&self.weights, id), to.of_mut(&mut model.weights, id));
            if id == by_row {
                let rows = origins.iter().zip(new.chunks_exact_mut(span.cols));
                for (origin, row) in rows {
                    if let Origin::Known(old_id) = origin {
                        row.copy_from_slice(&old[*old_id as usize * span.cols..][..span.cols]);
                    }
                }
            } else if id == self.head_w() || id == self.head_b() {
                let of_new = |bias: f32| if id == self.head_b() { bias } else { 0.0 };
                let rows = old.chunks_exact(span.cols).zip(new.chunks_exact_mut(origins.len()));
                for (old, new) in rows {
                    for (origin, to) in origins.iter().zip(new) {
                        *to = match origin {
                            Origin::Known(old_id) => old[*old_id as usize],
                            Origin::New(bias) => of_new(*bias),
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
    use crate::kernels::softmax;
    use crate::model::{PackedWeights, Purpose, Shard, Window};

    /// Known characters with new ones before, between and behind them, and out of order.
    const ORIGINS: [Origin; 9] = [
        Origin::New(0.5),
        Origin::Known(0),
        Origin::Known(1),
        Origin::New(-3.0),
        Origin::Known(4),
        Origin::Known(2),
        Origin::New(2.0),
        Origin::Known(3),
        Origin::New(0.0),
    ];

    fn id_now(id: u32) -> u32 {
        ORIGINS.iter().position(|origin| *origin == Origin::Known(id)).unwrap() as u32
    }

    fn model(cell: &str, embed: usize) -> CharLm<f32> {
        let config = ModelConfig { cell: cell.into(), layers: 2, hidden: 9, embed, vocab: 5 };
        let mut model = CharLm::init(&config, 3).unwrap();
        let layout = model.layout().clone();
        layout.of_mut(&mut model.weights, layout.ids().last().unwrap().0).iter_mut().zip(1..).for_each(|(b, i)| {
            *b = i as f32 / 7.0;
        });
        model
    }

    /// The logits after each character of a text.
    fn logits(model: &CharLm<f32>, text: Vec<u32>) -> Vec<f32> {
        let mut shard = Shard::new(model, 0, 1, text.len(), Purpose::Inference);
        let window = Window::new(text.len(), 1, text.clone(), text);
        shard.forward(model, &PackedWeights::whole(model), &window, None);
        let mut logits = Vec::new();
        shard.logits(&mut logits);
        logits
    }

    #[test]
    fn the_distribution_among_known_characters_stays_as_it_was() {
        let text: Vec<u32> = (0..60).map(|i| (i * i / 3 + i) % 5).collect();
        for cell in ["lstm", "gru", "rnn", "peephole", "fgr", "indylstm", "cifg"] {
            for embed in [0, 6] {
                let old = model(cell, embed);
                let new = old.remap_vocab(&ORIGINS, Init::default(), 8).unwrap();
                assert_eq!(new.config(), &ModelConfig { vocab: 9, ..old.config().clone() });
                let before = logits(&old, text.clone());
                let now = logits(&new, text.iter().map(|id| id_now(*id)).collect());
                for (before, now) in before.chunks_exact(5).zip(now.chunks_exact(9)) {
                    let mut masked: Vec<f32> = (0..5).map(|id| now[id_now(id) as usize]).collect();
                    let mut before = before.to_vec();
                    softmax::softmax(&mut masked);
                    softmax::softmax(&mut before);
                    let off = before.iter().zip(&masked).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(off < 1e-6, "{cell}, --embed {embed}: off by {off}");
                    for (origin, logit) in ORIGINS.iter().zip(now) {
                        assert!(!matches!(origin, Origin::New(bias) if bias != logit), "{cell}: {origin:?} {logit}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_new_characters_are_drawn() {
        for embed in [0, 6] {
            let new = model("lstm", embed).remap_vocab(&ORIGINS, Init::default(), 8).unwrap();
            let rows = new.matrix(new.embed().unwrap_or(new.rnn(0).w_ih));
            let fresh = CharLm::init(new.config(), 8).unwrap();
            let drawn = fresh.matrix(fresh.embed().unwrap_or(fresh.rnn(0).w_ih));
            for (i, origin) in ORIGINS.iter().enumerate() {
                assert_eq!(rows.row(i) == drawn.row(i), matches!(origin, Origin::New(_)), "--embed {embed}, {i}");
            }
        }
    }
}
