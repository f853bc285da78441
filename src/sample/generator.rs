//! One stream of generated characters.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::shaping::Shaping;
use crate::data::Vocab;
use crate::model::{CharLm, Prepared, Purpose, Shard, Window};

/// Characters of a prompt that are read at once.
const STEPS: usize = 128;

/// An endless iterator of characters (ids). It allocates nothing per character.
#[derive(Debug)]
pub struct Generator<'m> {
    model: &'m CharLm<f32>,
    prepared: Prepared<f32>,
    shard: Shard<f32>,
    window: Window,
    shaping: Shaping,
    rng: Xoshiro256PlusPlus,
    logits: Vec<f32>,
    order: Vec<u32>,
    /// The character that is read before the next one is drawn.
    last: u32,
}

impl<'m> Generator<'m> {
    /// A generator in the zero state that has read `prompt`. Where that is empty it begins as after a line end, or after the first
    /// character of the vocabulary if there is no line end in it. `vocab` must be the model's.
    pub fn new(model: &'m CharLm<f32>, vocab: &Vocab, prompt: &[u32], shaping: Shaping, seed: u64) -> Self {
        assert_eq!(vocab.len(), model.config().vocab, "the vocabulary is another model's");
        let first = vocab.id(u32::from('\n')).unwrap_or(0);
        let mut generator = Generator {
            model,
            prepared: Prepared::whole(model),
            shard: Shard::new(model, 0, 1, STEPS, Purpose::Inference),
            window: Window::default(),
            shaping,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            logits: Vec::with_capacity(vocab.len()),
            order: Vec::with_capacity(vocab.len()),
            last: prompt.last().copied().unwrap_or(first),
        };
        generator.read(&prompt[..prompt.len().saturating_sub(1)]);
        generator
    }

    /// Reads characters without predicting.
    fn read(&mut self, ids: &[u32]) {
        for ids in ids.chunks(STEPS) {
            self.window.clear(ids.len(), 1);
            self.window.inputs.copy_from_slice(ids);
            self.shard.forward(self.model, &self.prepared, &self.window, None);
        }
    }
}

impl Iterator for Generator<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.window.clear(1, 1);
        self.window.inputs[0] = self.last;
        self.window.weights[0] = 1.0;
        self.shard.forward(self.model, &self.prepared, &self.window, None);
        self.shard.logits(&mut self.logits);
        self.shaping.weights(&mut self.logits, &mut self.order);
        self.last = Shaping::draw(&self.logits, &mut self.rng);
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::model::ModelConfig;

    fn sample() -> (CharLm<f32>, Vocab) {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 16, embed: 8, vocab: 5 };
        let mut model = CharLm::init(&config, 3).unwrap();
        model.weights.iter_mut().for_each(|w| *w *= 2.0);
        (model, Vocab::new(Encoding::Utf8, [10, 97, 98, 99, 100]))
    }

    #[test]
    fn the_seed_decides_and_greed_needs_none() {
        let (model, vocab) = sample();
        let text = |temperature, seed| {
            let shaping = Shaping { temperature, ..Shaping::default() };
            Generator::new(&model, &vocab, &[1, 2], shaping, seed).take(60).collect::<Vec<_>>()
        };
        assert_eq!(text(1.0, 1), text(1.0, 1));
        assert_ne!(text(1.0, 1), text(1.0, 2));
        assert_eq!(text(0.0, 1), text(0.0, 2));
    }

    #[test]
    fn a_long_prompt_is_read_as_if_character_by_character() {
        let (model, vocab) = sample();
        let prompt: Vec<u32> = (0..300).map(|i| (i * i % 5) as u32).collect();
        let whole = Generator::new(&model, &vocab, &prompt, Shaping::default(), 1);
        let mut stepped = Generator::new(&model, &vocab, &prompt[..1], Shaping::default(), 1);
        for &id in &prompt[..299] {
            stepped.read(&[id]);
        }
        for (a, b) in whole.shard.state.iter().zip(&stepped.shard.state) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
