//! One stream of generated characters.

use super::config::SamplingConfig;
use super::writer::{Stream, Writer};
use crate::data::Vocab;
use crate::kernels::Precision;
use crate::model::{CharLm, InferenceModel};

/// Characters of a prompt that are read at once.
pub(super) const STEPS: usize = 128;

/// An endless iterator of characters (ids). Large models divide every step among as many threads as the pool has that it is made
/// in, and are best used in it; the characters are the same with any number. It allocates nothing per character.
#[derive(Debug)]
pub struct Generator<'m> {
    ready: InferenceModel<'m>,
    writer: Writer,
    /// How distributions are shaped.
    pub shaping: SamplingConfig,
}

impl<'m> Generator<'m> {
    /// A generator in the zero state that has read `prompt`. Where that is empty it begins as after a line end, or after the first
    /// character of the vocabulary if there is no line end in it. `vocab` must be the model's.
    pub fn new(model: &'m CharLm<f32>, vocab: &Vocab, prompt: &[u32], shaping: SamplingConfig, seed: u64) -> Self {
        Self::with(InferenceModel::new(model, Precision::F32), vocab, prompt, shaping, seed)
    }

    /// The same with a model that has been made ready, at whatever precision.
    pub fn with(ready: InferenceModel<'m>, vocab: &Vocab, prompt: &[u32], shaping: SamplingConfig, seed: u64) -> Self {
        let (before, last) = beginning(ready.model, vocab, prompt);
        let mut writer = Writer::new(ready.model, 1, last, STEPS);
        *writer.stream(0) = Stream::new(seed, last);
        writer.share(ready.tasks_per_stream(rayon::current_num_threads()));
        writer.read(&ready, before, STEPS);
        Generator { ready, writer, shaping }
    }
}

/// Where a generator stood.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Vec<f32>,
    stream: Stream,
}

impl Generator<'_> {
    /// Reads characters, as if it had written them itself.
    pub fn read(&mut self, ids: &[u32]) {
        let Some((last, before)) = ids.split_last() else { return };
        let unread = self.writer.stream(0).last;
        self.writer.read(&self.ready, &[&[unread], before].concat(), STEPS);
        self.writer.stream(0).last = *last;
    }

    /// Where it stands: state and random numbers.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot { state: self.writer.state().to_vec(), stream: self.writer.stream(0).clone() }
    }

    /// Goes back to where it stood.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.writer.begin(0, snapshot.stream.clone(), &snapshot.state);
    }
}

impl Iterator for Generator<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.writer.advance(&self.ready, &self.shaping, |_, _| ()).first().map(|stream| stream.last)
    }
}

/// What is read before the first character is drawn: all but the last character, and the last.
pub(super) fn beginning<'p>(model: &CharLm<f32>, vocab: &Vocab, prompt: &'p [u32]) -> (&'p [u32], u32) {
    assert_eq!(vocab.len(), model.config().vocab, "the vocabulary is another model's");
    match prompt.split_last() {
        Some((last, before)) => (before, *last),
        None => (&[], vocab.id(u32::from('\n')).unwrap_or(0)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::model::ModelConfig;

    pub fn sample() -> (CharLm<f32>, Vocab) {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 16, embed: 8, vocab: 5 };
        let mut model = CharLm::init(&config, 3).unwrap();
        model.weights.iter_mut().for_each(|w| *w *= 2.0);
        (model, Vocab::new(Encoding::Utf8, [10, 97, 98, 99, 100]))
    }

    #[test]
    fn the_seed_decides_and_greed_needs_none() {
        let (model, vocab) = sample();
        let text = |temperature, seed| {
            let shaping = SamplingConfig { temperature, ..SamplingConfig::default() };
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
        let mut whole = Generator::new(&model, &vocab, &prompt, SamplingConfig::default(), 1);
        let mut stepped = Generator::new(&model, &vocab, &prompt[..1], SamplingConfig::default(), 1);
        for &id in &prompt[1..] {
            stepped.read(&[id]);
        }
        assert!(whole.writer.state().iter().any(|x| *x != 0.0));
        assert_eq!(whole.writer.state(), stepped.writer.state());
    }

    #[test]
    fn it_goes_back_to_where_it_stood() {
        let (model, vocab) = sample();
        let mut generator = Generator::new(&model, &vocab, &[1, 2], SamplingConfig::default(), 4);
        let before = generator.snapshot();
        let first: Vec<u32> = generator.by_ref().take(30).collect();
        generator.read(&[3, 3]);
        let _ = generator.by_ref().take(5).count();
        generator.restore(&before);
        assert_eq!(generator.take(30).collect::<Vec<_>>(), first);
    }
}
