//! Draws the next characters of several streams in lockstep.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::config::SamplingConfig;
use super::repetition;
use crate::data::Vocab;
use crate::kernels::softmax;
use crate::model::{InferenceSession, Input};

/// Draws a character for every stream of a session at each step. Streams are independent of each other.
#[derive(Debug)]
pub(super) struct Sampler<'m> {
    pub session: InferenceSession<'m>,
    pub streams: Vec<Stream>,
    inputs: Vec<Input>,
    /// The logits of one stream before any filter; unused unless losses are needed.
    unfiltered: Vec<f32>,
    order: Vec<u32>,
    needs_losses: bool,
    /// The token of unknown characters, which is never drawn.
    unknown: Option<u32>,
    /// The token before which the state is reset, as in training.
    record_boundary: Option<u32>,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    rng: Xoshiro256PlusPlus,
    /// The last character, which has not been read yet.
    pub last_id: u32,
    /// The characters so far, if repetitions are penalized.
    history: Vec<u32>,
    /// The loss of that character in nats, under the model's distribution rather than the filtered one; 0 unless losses are
    /// needed.
    pub loss: f64,
}

impl Stream {
    pub fn new(seed: u64, last_id: u32) -> Self {
        Stream { rng: Xoshiro256PlusPlus::seed_from_u64(seed), last_id, history: Vec::new(), loss: 0.0 }
    }

    fn forget_old_history(&mut self) {
        if self.history.len() >= 2 * repetition::WINDOW {
            self.history.drain(..repetition::WINDOW);
        }
    }
}

impl<'m> Sampler<'m> {
    pub fn new(session: InferenceSession<'m>, vocab: &Vocab, stream: Stream, needs_losses: bool) -> Self {
        let streams = session.streams();
        Sampler {
            session,
            streams: vec![stream; streams],
            inputs: Vec::with_capacity(streams),
            unfiltered: Vec::with_capacity(vocab.len()),
            order: Vec::with_capacity(vocab.len()),
            needs_losses,
            unknown: vocab.unknown(),
            record_boundary: vocab.record_boundary(),
        }
    }

    /// Draws the next character of every stream. `restrict` may exclude characters of a stream first, by setting their logits to
    /// minus infinity. Allocates nothing, unless repetitions are penalized.
    pub fn step(&mut self, config: &SamplingConfig, mut restrict: impl FnMut(usize, &mut [f32])) {
        let Sampler { session, streams, inputs, unfiltered, order, needs_losses, unknown, record_boundary } = self;
        let input = |stream: &Stream| Input {
            reset: record_boundary.is_some_and(|boundary| stream.last_id == boundary),
            ..Input::with_logits(stream.last_id)
        };
        inputs.clear();
        inputs.extend(streams.iter().map(input));
        session.run(inputs);
        session.for_each_logits(|i, logits| {
            if *needs_losses {
                unfiltered.clear();
                unfiltered.extend_from_slice(logits);
            }
            unknown.iter().for_each(|id| logits[*id as usize] = f32::NEG_INFINITY);
            let stream = &mut streams[i];
            if config.repetition_penalty > 0.0 {
                stream.forget_old_history();
                stream.history.push(stream.last_id);
                repetition::penalize(logits, &stream.history, config.repetition_penalty);
            }
            restrict(i, logits);
            config.weights(logits, order);
            stream.last_id = SamplingConfig::draw(logits, &mut stream.rng);
            if *needs_losses {
                let drawn = f64::from(unfiltered[stream.last_id as usize]);
                stream.loss = softmax::log_sum_exp(unfiltered).0 - drawn;
            }
        });
    }

    /// Whether the state is reset before a token.
    pub fn starts_record(&self, id: u32) -> bool {
        Some(id) == self.record_boundary
    }

    /// Replaces a stream and its state, `(layers * states * H)`.
    pub fn set_stream(&mut self, i: usize, stream: Stream, state: &[f32]) {
        self.streams[i] = stream;
        self.session.state_mut(i).copy_from_slice(state);
    }
}
