//! Some streams that write side by side.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::shaping::Shaping;
use crate::model::{CharLm, Purpose, Ready, Shard, Window};

/// Streams in step with each other. What a stream writes does not depend on those beside it.
#[derive(Debug)]
pub(super) struct Writer {
    shard: Shard<f32>,
    window: Window,
    shaping: Shaping,
    rngs: Vec<Xoshiro256PlusPlus>,
    /// The character that each stream reads before the next one is drawn.
    last: Vec<u32>,
    logits: Vec<f32>,
    order: Vec<u32>,
}

impl Writer {
    /// Streams in the zero state, one for each seed, that read `first` next; prompts are read `steps` characters at once.
    pub fn new(model: &CharLm<f32>, shaping: Shaping, seeds: &[u64], first: u32, steps: usize) -> Self {
        let vocab = model.config().vocab;
        Writer {
            shard: Shard::new(model, 0, seeds.len(), steps, Purpose::Inference),
            window: Window::default(),
            shaping,
            rngs: seeds.iter().map(|seed| Xoshiro256PlusPlus::seed_from_u64(*seed)).collect(),
            last: vec![first; seeds.len()],
            logits: Vec::with_capacity(seeds.len() * vocab),
            order: Vec::with_capacity(vocab),
        }
    }

    /// Divides every step among that many threads.
    pub fn share(&mut self, tasks: usize) {
        self.shard.share(tasks);
    }

    /// Reads characters without predicting, every stream the same.
    pub fn read(&mut self, ready: &Ready<'_>, ids: &[u32], steps: usize) {
        let streams = self.last.len();
        for ids in ids.chunks(steps) {
            self.window.clear(ids.len(), streams);
            self.window.inputs.iter_mut().enumerate().for_each(|(i, input)| *input = ids[i / streams]);
            self.shard.forward(ready.model, &ready.prepared, &self.window, None);
        }
    }

    /// Draws the next character of every stream. It allocates nothing.
    pub fn advance(&mut self, ready: &Ready<'_>) -> &[u32] {
        self.window.clear(1, self.last.len());
        self.window.inputs.copy_from_slice(&self.last);
        self.window.weights.fill(1.0);
        self.shard.forward(ready.model, &ready.prepared, &self.window, None);
        self.shard.logits(&mut self.logits);
        let rows = self.logits.chunks_exact_mut(ready.model.config().vocab);
        for ((logits, last), rng) in rows.zip(&mut self.last).zip(&mut self.rngs) {
            self.shaping.weights(logits, &mut self.order);
            *last = Shaping::draw(logits, rng);
        }
        &self.last
    }

    /// The state of every stream, `(streams, layers * states * H)`.
    pub fn state(&mut self) -> &mut [f32] {
        &mut self.shard.state
    }
}
