//! Some streams that write side by side.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::config::SamplingConfig;
use crate::kernels::softmax;
use crate::model::{CharLm, InferenceModel, Purpose, Shard, Window};

/// Streams in step with each other. What a stream writes does not depend on those beside it.
#[derive(Debug)]
pub(super) struct Writer {
    shard: Shard<f32>,
    window: Window,
    streams: Vec<Stream>,
    logits: Vec<f32>,
    /// A row of logits as the model gave them.
    row: Vec<f32>,
    order: Vec<u32>,
    /// Whether nats are asked for.
    counts: bool,
}

/// What a stream draws by, beside its state.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    rng: Xoshiro256PlusPlus,
    /// The character that it reads before the next one is drawn; then that one.
    pub last: u32,
    /// What that one cost, in nats, where that is asked for: by the model's own distribution, not as it was shaped.
    pub nats: f64,
}

impl Stream {
    /// A stream that reads `last` next.
    pub fn new(seed: u64, last: u32) -> Self {
        Stream { rng: Xoshiro256PlusPlus::seed_from_u64(seed), last, nats: 0.0 }
    }
}

impl Writer {
    /// Streams in the zero state that read `first` next; prompts are read up to `steps` characters at once.
    pub fn new(model: &CharLm<f32>, streams: usize, first: u32, steps: usize) -> Self {
        let vocab = model.config().vocab;
        Writer {
            shard: Shard::new(model, 0, streams, steps, Purpose::Inference),
            window: Window::default(),
            streams: vec![Stream::new(0, first); streams],
            logits: Vec::with_capacity(streams * vocab),
            row: Vec::with_capacity(vocab),
            order: Vec::with_capacity(vocab),
            counts: false,
        }
    }

    /// Works out what every character costs.
    pub fn count_nats(&mut self) {
        self.counts = true;
    }

    /// Divides every step among that many threads.
    pub fn share(&mut self, tasks: usize) {
        self.shard.share(tasks);
    }

    /// Reads characters without predicting, every stream the same.
    pub fn read(&mut self, ready: &InferenceModel<'_>, ids: &[u32], steps: usize) {
        let streams = self.streams.len();
        for ids in ids.chunks(steps) {
            self.window.clear(ids.len(), streams);
            self.window.inputs.iter_mut().enumerate().for_each(|(i, input)| *input = ids[i / streams]);
            self.shard.forward(ready.model, &ready.prepared, &self.window, None);
        }
    }

    /// Draws the next character of every stream, after `restrict` has ruled out what may not come in it, by logits of minus
    /// infinity. It allocates nothing.
    pub fn advance(
        &mut self,
        ready: &InferenceModel<'_>,
        shaping: &SamplingConfig,
        mut restrict: impl FnMut(usize, &mut [f32]),
    ) -> &[Stream] {
        self.window.clear(1, self.streams.len());
        self.window.inputs.iter_mut().zip(&self.streams).for_each(|(input, stream)| *input = stream.last);
        self.window.weights.fill(1.0);
        self.shard.forward(ready.model, &ready.prepared, &self.window, None);
        self.shard.logits(&mut self.logits);
        let rows = self.logits.chunks_exact_mut(ready.model.config().vocab);
        for (i, (logits, stream)) in rows.zip(&mut self.streams).enumerate() {
            if self.counts {
                self.row.clear();
                self.row.extend_from_slice(logits);
            }
            restrict(i, logits);
            shaping.weights(logits, &mut self.order);
            stream.last = SamplingConfig::draw(logits, &mut stream.rng);
            if self.counts {
                let picked = f64::from(self.row[stream.last as usize]);
                stream.nats = softmax::log_sum_exp(&mut self.row).0 - picked;
            }
        }
        &self.streams
    }

    /// Begins a stream anew, in the state `(layers * states * H)`.
    pub fn begin(&mut self, stream: usize, begun: Stream, state: &[f32]) {
        self.streams[stream] = begun;
        self.state()[stream * state.len()..][..state.len()].copy_from_slice(state);
    }

    /// One of the streams.
    pub fn stream(&mut self, stream: usize) -> &mut Stream {
        &mut self.streams[stream]
    }

    /// The state of every stream, `(streams, layers * states * H)`.
    pub fn state(&mut self) -> &mut [f32] {
        &mut self.shard.state
    }
}
