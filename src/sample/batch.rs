//! Generates many texts in parallel.

use rayon::prelude::*;

use super::config::SamplingConfig;
use super::generator::{PROMPT_STEPS, split_prompt};
use super::pattern::{Pattern, PatternState};
use super::sampler::{Sampler, Stream};
use crate::data::Vocab;
use crate::model::{InferenceModel, InferenceSession};

/// The maximum number of streams of a sampler: enough for the weights to be read for many streams at once.
const MAX_STREAMS: usize = 32;
/// Pieces of work per thread, so that faster threads can take over pieces from slower ones.
const PIECES_PER_THREAD: usize = 4;

/// When a text ends, and which characters it may contain.
#[derive(Clone, Copy, Debug)]
pub struct StopCriteria<'a> {
    /// The maximum length in characters.
    pub length: usize,
    /// The length before which a stop sequence does not end the text.
    pub min_length: usize,
    /// Sequences that end the text; they are part of it.
    pub stops: &'a [Vec<u32>],
    /// A pattern that the text must match up to a line end, with the state in which it starts. The line end should be one of the
    /// stops.
    pub pattern: Option<(&'a Pattern, PatternState)>,
}

impl StopCriteria<'_> {
    /// Whether a text of `length` characters ends here; of these, `end` must be as many of the last ones as the longest stop sequence.
    pub fn is_met(&self, length: usize, end: &[u32]) -> bool {
        let is_stopped = || self.stops.iter().any(|stop| end.ends_with(stop));
        length >= self.length || (length >= self.min_length && is_stopped())
    }
}

/// A generated text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    /// Its token ids.
    pub ids: Vec<u32>,
    /// Its loss in nats under the model's distribution, before temperature and filters.
    pub nats: f64,
}

/// Generates many texts that continue one prompt or several.
#[derive(Debug)]
pub struct Batch<'m> {
    model: &'m InferenceModel<'m>,
    vocab: &'m Vocab,
    config: &'m SamplingConfig,
    prompts: Vec<ReadPrompt>,
}

#[derive(Debug)]
struct ReadPrompt {
    /// The state after the prompt without its last character.
    state: Vec<f32>,
    last_id: u32,
}

impl<'m> Batch<'m> {
    /// Reads the prompt; an empty prompt is handled as in [`Generator`](super::Generator).
    pub fn new(model: &'m InferenceModel<'m>, vocab: &'m Vocab, prompt: &[u32], config: &'m SamplingConfig) -> Self {
        Batch::with_prompts(model, vocab, &[prompt], config)
    }

    /// Reads several prompts.
    pub fn with_prompts(
        model: &'m InferenceModel<'m>,
        vocab: &'m Vocab,
        prompts: &[&[u32]],
        config: &'m SamplingConfig,
    ) -> Self {
        let mut session = InferenceSession::new(model, 1, PROMPT_STEPS);
        let mut read = |prompt: &&[u32]| {
            let (before, last_id) = split_prompt(model, vocab, prompt);
            session.reset();
            session.read(before);
            ReadPrompt { state: session.state(0).to_vec(), last_id }
        };
        Batch { model, vocab, config, prompts: prompts.iter().map(&mut read).collect() }
    }

    /// Generates a text for each seed, on the threads of the current pool. Each text is the one that a
    /// [`Generator`](super::Generator) with that seed generates.
    pub fn generate(&self, seeds: &[u64], stop: StopCriteria<'_>) -> Vec<Generated> {
        self.generate_for_prompts(&seeds.iter().map(|seed| (0, *seed)).collect::<Vec<_>>(), stop)
    }

    /// Like [`generate`](Self::generate), for pairs of the index of a prompt and a seed.
    pub fn generate_for_prompts(&self, starts: &[(usize, u64)], stop: StopCriteria<'_>) -> Vec<Generated> {
        let per_thread = starts.len().div_ceil(rayon::current_num_threads());
        let piece = if per_thread <= MAX_STREAMS {
            per_thread
        } else {
            MAX_STREAMS.max(per_thread.div_ceil(PIECES_PER_THREAD))
        };
        starts.par_chunks(piece.max(1)).flat_map_iter(|starts| self.generate_on_one_thread(starts, stop)).collect()
    }

    /// A stream whose text has ended starts the next one.
    fn generate_on_one_thread<'p>(&self, starts: &[(usize, u64)], stop: StopCriteria<'p>) -> Vec<Generated> {
        let mut texts = vec![Generated::default(); starts.len()];
        if stop.length == 0 {
            return texts;
        }
        let session = InferenceSession::single_threaded(self.model, starts.len().min(MAX_STREAMS), 1);
        let mut sampler = Sampler::new(session, self.vocab, Stream::new(0, 0), true);
        let mut waiting = starts.iter().enumerate();
        let mut start_next = |sampler: &mut Sampler<'_>, i: usize| -> Option<ActiveText<'p>> {
            let (text, (prompt, seed)) = waiting.next()?;
            let ReadPrompt { state, last_id } = &self.prompts[*prompt];
            sampler.set_stream(i, Stream::new(*seed, *last_id), state);
            Some(ActiveText { text, pattern: stop.pattern })
        };
        let mut active: Vec<_> = (0..sampler.streams.len()).map(|i| start_next(&mut sampler, i)).collect();
        while active.iter().any(Option::is_some) {
            sampler.step(self.config, |i, logits| {
                if let Some(ActiveText { pattern: Some((pattern, state)), .. }) = active[i] {
                    pattern.restrict(state, logits);
                }
            });
            for (i, slot) in active.iter_mut().enumerate() {
                let Some(ActiveText { text, pattern }) = slot else { continue };
                let (text, stream) = (&mut texts[*text], &sampler.streams[i]);
                text.ids.push(stream.last_id);
                text.nats += stream.loss;
                *pattern =
                    pattern.and_then(|(pattern, state)| Some((pattern, pattern.advance(state, stream.last_id)?)));
                if stop.is_met(text.ids.len(), &text.ids) {
                    *slot = start_next(&mut sampler, i);
                }
            }
        }
        texts
    }
}

/// A text that a stream is generating: its index and its state in the pattern.
struct ActiveText<'p> {
    text: usize,
    pattern: Option<(&'p Pattern, PatternState)>,
}

#[cfg(test)]
mod tests {
    use super::super::Generator;
    use super::super::config::tests::{CONFIG, agree, distribution, grid};
    use super::super::generator::tests::sample;
    use super::*;
    use crate::kernels::{Precision, softmax};
    use crate::model::Input;

    fn stop(length: usize, stops: &[Vec<u32>]) -> StopCriteria<'_> {
        StopCriteria { length, min_length: 0, stops, pattern: None }
    }

    #[test]
    fn each_text_equals_that_of_a_generator_with_the_same_seed() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let seeds: Vec<u64> = (0..170).collect();
        for prompt in [&[][..], &[1, 2, 3, 1]] {
            // Texts end at different lengths, so that streams start further texts.
            let batch = Batch::new(&model, &vocab, prompt, &CONFIG);
            let texts = batch.generate(&seeds, stop(40, &[vec![2, 2]]));
            for (seed, text) in seeds.iter().zip(&texts) {
                let generator = Generator::new(&model, &vocab, prompt, CONFIG.clone(), *seed);
                let mut expected: Vec<_> = generator.take(40).collect();
                let stop = expected.windows(2).position(|pair| pair == [2, 2]);
                expected.truncate(stop.map_or(40, |at| at + 2));
                assert_eq!(text.ids, expected, "seed {seed}");
            }
            assert!(texts.iter().any(|text| text.ids.len() != texts[0].ids.len()));
            assert!(batch.generate(&seeds, stop(0, &[])).iter().all(|text| text.ids.is_empty()));
        }
    }

    #[test]
    fn several_prompts_are_continued_independently() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let prompts = [&[1, 2, 3, 1][..], &[], &[4; 300]];
        let starts: Vec<(usize, u64)> = (0..99).map(|i| (i % 3, i as u64 / 2)).collect();
        let batch = Batch::with_prompts(&model, &vocab, &prompts, &CONFIG);
        let texts = batch.generate_for_prompts(&starts, stop(30, &[]));
        for ((prompt, seed), text) in starts.iter().zip(&texts) {
            let alone = Batch::new(&model, &vocab, prompts[*prompt], &CONFIG).generate(&[*seed], stop(30, &[]));
            assert_eq!(text.ids, alone[0].ids, "prompt {prompt}, seed {seed}");
        }
    }

    #[test]
    fn nats_are_those_of_the_unfiltered_distribution() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let config = SamplingConfig { temperature: 0.3, top_k: Some(3), ban: vec![4], ..SamplingConfig::default() };
        let text = &Batch::new(&model, &vocab, &[1, 2], &config).generate(&[7], stop(20, &[]))[0];
        assert!(!text.ids.contains(&4));
        let read: Vec<Input> = [1, 2].iter().chain(&text.ids).map(|id| Input::with_logits(*id)).collect();
        let mut session = InferenceSession::new(&model, 1, 22);
        session.run(&read);
        let mut expected = 0.0;
        session.for_each_logits(|at, logits| {
            if let Some(id) = (at + 1).checked_sub(2).and_then(|next| text.ids.get(next)) {
                expected += softmax::cross_entropy(logits, *id as usize, 1.0);
            }
        });
        assert!((text.nats - expected).abs() < 1e-4, "{} {expected}", text.nats);
    }

    #[test]
    fn characters_follow_the_filtered_distribution() {
        let (char_lm, vocab) = sample();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let mut session = InferenceSession::new(&model, 1, 2);
        session.run(&[Input::without_logits(1), Input::with_logits(2)]);
        let mut logits = Vec::new();
        session.for_each_logits(|_, row| logits.extend_from_slice(row));
        for (first, config) in grid().into_iter().enumerate() {
            let seeds: Vec<u64> = (0..100_000).map(|i| ((first as u64) << 32) + i).collect();
            let mut counts = [0.0; 5];
            let texts = Batch::new(&model, &vocab, &[1, 2], &config).generate(&seeds, stop(1, &[]));
            texts.iter().for_each(|text| counts[text.ids[0] as usize] += 1.0);
            let expected = distribution(&logits, &config);
            assert!(agree(&counts, &expected), "{config:?}: {counts:?} {expected:?}");
        }
    }
}
