//! Generates one text, character by character.

use super::config::SamplingConfig;
use super::sampler::{Sampler, Stream};
use crate::data::{ContextStart, Vocab};
use crate::model::{InferenceModel, InferenceSession};

pub(super) const PROMPT_STEPS: usize = 128;

/// An endless iterator of token ids. With a large model every step is divided among the threads of the pool in which the
/// generator was created, so it is best used in that pool; the ids are the same for any number of threads. Allocates nothing per
/// character.
#[derive(Debug)]
pub struct Generator<'m> {
    sampler: Sampler<'m>,
    /// How characters are drawn; may be changed between characters.
    pub config: SamplingConfig,
}

impl<'m> Generator<'m> {
    /// A generator that starts in the zero state and reads `prompt`, which should begin with the
    /// [start of a context](Vocab::context_start). An empty prompt stands for that start, or for the first character of the
    /// vocabulary if it has none.
    ///
    /// # Panics
    /// If `vocab` is not the model's vocabulary.
    pub fn new(
        model: &'m InferenceModel<'m>,
        vocab: &Vocab,
        prompt: &[u32],
        config: SamplingConfig,
        seed: u64,
    ) -> Self {
        let (before, last_id) = split_prompt(model, vocab, prompt);
        let mut session = InferenceSession::new(model, 1, PROMPT_STEPS);
        session.read(before);
        Generator { sampler: Sampler::new(session, vocab, Stream::new(seed, last_id), false), config }
    }

    /// Reads characters of the same record as if they had been generated.
    pub fn read(&mut self, ids: &[u32]) {
        let Some((last_id, before)) = ids.split_last() else { return };
        let stream = &mut self.sampler.streams[0];
        let unread = std::mem::replace(&mut stream.last_id, *last_id);
        if self.sampler.starts_record(unread) {
            self.sampler.session.reset();
        }
        self.sampler.session.read(&[&[unread], before].concat());
    }

    /// The current state of the model and of the random number generator.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { state: self.sampler.session.state(0).to_vec(), stream: self.sampler.streams[0].clone() }
    }

    /// Continues from a snapshot.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.sampler.set_stream(0, snapshot.stream.clone(), &snapshot.state);
    }
}

/// A saved state of a [`Generator`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Vec<f32>,
    stream: Stream,
}

impl Iterator for Generator<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.sampler.step(&self.config, |_, _| ());
        Some(self.sampler.streams[0].last_id)
    }
}

/// Splits a prompt into the characters to read in advance and the last one, which is read by the first draw.
pub(super) fn split_prompt<'p>(model: &InferenceModel<'_>, vocab: &Vocab, prompt: &'p [u32]) -> (&'p [u32], u32) {
    assert_eq!(vocab.len(), model.config().vocab_size, "the vocabulary belongs to another model");
    match prompt.split_last() {
        Some((last_id, before)) => (before, *last_id),
        None => (&[], vocab.context_start(ContextStart::Newline).unwrap_or(0)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::kernels::Precision;
    use crate::model::{CharLm, ModelConfig};

    pub fn sample() -> (CharLm<f32>, Vocab) {
        let config = ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 16, embed_size: 8, vocab_size: 5 };
        let mut model = CharLm::init(&config, 3).unwrap();
        model.weights.iter_mut().for_each(|w| *w *= 2.0);
        (model, Vocab::new(Encoding::Utf8, [10, 97, 98, 99, 100]))
    }

    #[test]
    fn text_depends_on_the_seed_unless_the_temperature_is_zero() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let text = |temperature, seed| {
            let config = SamplingConfig { temperature, ..SamplingConfig::default() };
            Generator::new(&model, &vocab, &[1, 2], config, seed).take(60).collect::<Vec<_>>()
        };
        assert_eq!(text(1.0, 1), text(1.0, 1));
        assert_ne!(text(1.0, 1), text(1.0, 2));
        assert_eq!(text(0.0, 1), text(0.0, 2));
    }

    #[test]
    fn reading_a_prompt_at_once_or_in_pieces_gives_the_same_state() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let prompt: Vec<u32> = (0..300).map(|i| (i * i % 5) as u32).collect();
        let whole = Generator::new(&model, &vocab, &prompt, SamplingConfig::default(), 1).snapshot();
        let mut pieces = Generator::new(&model, &vocab, &prompt[..1], SamplingConfig::default(), 1);
        for &id in &prompt[1..] {
            pieces.read(&[id]);
        }
        assert!(whole.state.iter().any(|x| *x != 0.0));
        assert_eq!(whole.state, pieces.snapshot().state);
    }

    #[test]
    fn a_restored_generator_repeats_its_text() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let mut generator = Generator::new(&model, &vocab, &[1, 2], SamplingConfig::default(), 4);
        let before = generator.snapshot();
        let first: Vec<u32> = generator.by_ref().take(30).collect();
        generator.read(&[3, 3]);
        let _ = generator.by_ref().take(5).count();
        generator.restore(&before);
        assert_eq!(generator.take(30).collect::<Vec<_>>(), first);
    }
}
