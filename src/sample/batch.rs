//! Many texts at once.

use rayon::prelude::*;

use super::config::SamplingConfig;
use super::generator::{STEPS, beginning};
use super::pattern::{Pattern, Place};
use super::writer::{Stream, Writer};
use crate::data::Vocab;
use crate::model::InferenceModel;

/// Streams of a writer at most: enough for the weights to be read for many at once.
const MOST_STREAMS: usize = 32;
/// Pieces of the work for each thread, so that one that gets less of a busy core leaves pieces to the others.
const PIECES: usize = 4;

/// Where a text ends, and what may stand in it.
#[derive(Clone, Copy, Debug)]
pub struct StopCriteria<'a> {
    /// Characters at most.
    pub length: usize,
    /// Texts that end it, themselves included.
    pub stops: &'a [Vec<u32>],
    /// A line that it must become, from a place of it on: it ends with the line end. The stops should say so.
    pub pattern: Option<(&'a Pattern, Place)>,
}

impl StopCriteria<'_> {
    fn is_end(&self, text: &[u32]) -> bool {
        text.len() >= self.length || self.stops.iter().any(|stop| text.ends_with(stop))
    }
}

/// A text that was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generated {
    /// Its characters.
    pub ids: Vec<u32>,
    /// What the model makes of them, in nats: by its own distribution, not as it was shaped.
    pub nats: f64,
}

/// Writes texts side by side that all go on from one beginning.
#[derive(Debug)]
pub struct Batch<'r, 'm> {
    ready: &'r InferenceModel<'m>,
    shaping: &'r SamplingConfig,
    /// The state after all of the beginning but its last character.
    state: Vec<f32>,
    last: u32,
}

impl<'r, 'm> Batch<'r, 'm> {
    /// Reads the beginning. Where it is empty, texts begin as a [`Generator`](super::Generator)'s.
    pub fn new(ready: &'r InferenceModel<'m>, vocab: &Vocab, prompt: &[u32], shaping: &'r SamplingConfig) -> Self {
        let (before, last) = beginning(ready.model, vocab, prompt);
        let mut reader = Writer::new(ready.model, 1, last, STEPS);
        reader.read(ready, before, STEPS);
        Batch { ready, shaping, state: reader.state().to_vec(), last }
    }

    /// A text for each seed, on the threads at hand: each the one that a [`Generator`](super::Generator) with that seed writes.
    pub fn write(&self, seeds: &[u64], until: StopCriteria<'_>) -> Vec<Generated> {
        let threads = rayon::current_num_threads();
        let at_once = seeds.len().div_ceil(threads);
        let piece = if at_once <= MOST_STREAMS { at_once } else { MOST_STREAMS.max(at_once.div_ceil(PIECES)) };
        seeds.par_chunks(piece.max(1)).flat_map_iter(|seeds| self.piece(seeds, until)).collect()
    }

    /// Texts on one thread. A stream whose text has ended begins another.
    fn piece(&self, seeds: &[u64], until: StopCriteria<'_>) -> Vec<Generated> {
        let mut texts = vec![Generated::default(); seeds.len()];
        if until.length == 0 {
            return texts;
        }
        let streams = seeds.len().min(MOST_STREAMS);
        let mut writer = Writer::new(self.ready.model, streams, self.last, 1);
        writer.count_nats();
        let mut waiting = seeds.iter().enumerate();
        let mut open: Vec<Option<Open>> =
            (0..streams).map(|i| self.open(&mut writer, i, waiting.next(), until)).collect();
        while open.iter().any(Option::is_some) {
            let drawn = writer.advance(self.ready, self.shaping, |i, logits| {
                if let Some(Open { place: Some((pattern, place)), .. }) = open[i] {
                    pattern.restrict(place, logits);
                }
            });
            let mut ended = Vec::new();
            for (i, (open, Stream { last, nats, .. })) in open.iter_mut().zip(drawn).enumerate() {
                let Some(Open { text, place }) = open else { continue };
                let text = &mut texts[*text];
                text.ids.push(*last);
                text.nats += nats;
                *place = place.and_then(|(pattern, place)| Some((pattern, pattern.follow(place, *last)?)));
                if until.is_end(&text.ids) {
                    ended.push(i);
                }
            }
            for i in ended {
                open[i] = self.open(&mut writer, i, waiting.next(), until);
            }
        }
        texts
    }

    /// Begins the next text that waits, if there is one.
    fn open<'p>(
        &self,
        writer: &mut Writer,
        stream: usize,
        next: Option<(usize, &u64)>,
        until: StopCriteria<'p>,
    ) -> Option<Open<'p>> {
        let (text, seed) = next?;
        writer.begin(stream, Stream::new(*seed, self.last), &self.state);
        Some(Open { text, place: until.pattern })
    }
}

/// A text that is being written: which one it is, and where in the pattern.
struct Open<'p> {
    text: usize,
    place: Option<(&'p Pattern, Place)>,
}

#[cfg(test)]
mod tests {
    use super::super::Generator;
    use super::super::config::tests::{agree, distribution, grid};
    use super::super::generator::tests::sample;
    use super::*;
    use crate::kernels::{Precision, softmax};
    use crate::model::{CharLm, ModelConfig, Purpose, Shard, Window};
    use rayon::ThreadPoolBuilder;

    static WARM: SamplingConfig =
        SamplingConfig { ban: Vec::new(), temperature: 1.0, top_k: None, top_p: None, min_p: None };

    fn until(length: usize, stops: &[Vec<u32>]) -> StopCriteria<'_> {
        StopCriteria { length, stops, pattern: None }
    }

    #[test]
    fn every_text_is_the_one_that_its_seed_gives_alone() {
        let (model, vocab) = sample();
        let ready = InferenceModel::new(&model, Precision::F32);
        let seeds: Vec<u64> = (0..170).collect();
        for prompt in [&[][..], &[1, 2, 3, 1]] {
            // Stops make some streams begin others.
            let texts = Batch::new(&ready, &vocab, prompt, &WARM).write(&seeds, until(40, &[vec![2, 2]]));
            for (seed, text) in seeds.iter().zip(&texts) {
                let mut alone: Vec<_> = Generator::new(&model, &vocab, prompt, WARM.clone(), *seed).take(40).collect();
                let stop = alone.windows(2).position(|pair| pair == [2, 2]);
                alone.truncate(stop.map_or(40, |at| at + 2));
                assert_eq!(text.ids, alone, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_step_that_is_divided_among_threads_writes_the_same() {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 200, embed: 8, vocab: 5 };
        let (model, vocab) = (CharLm::init(&config, 3).unwrap(), sample().1);
        let ready = || InferenceModel::new(&model, Precision::F32);
        assert!(ready().tasks_per_stream(3) == 3 && ready().tasks_per_stream(1) == 1);
        let texts = [1, 2, 3].map(|threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Generator::with(ready(), &vocab, &[1, 2], WARM.clone(), 5).take(200).collect::<Vec<_>>())
        });
        assert!(texts[0] == texts[1] && texts[1] == texts[2]);
    }

    #[test]
    fn a_text_ends_where_it_is_said_to_and_the_others_go_on() {
        let (model, vocab) = sample();
        let ready = InferenceModel::new(&model, Precision::F32);
        let batch = Batch::new(&ready, &vocab, &[], &WARM);
        let texts = batch.write(&[1, 2, 3, 4, 5], until(30, &[vec![2]]));
        for text in &texts {
            let end = text.ids.iter().position(|id| *id == 2).map_or(30, |at| at + 1);
            assert_eq!(text.ids.len(), end);
        }
        assert!(texts.iter().any(|text| text.ids.len() != texts[0].ids.len()), "{texts:?}");
        assert!(batch.write(&[1, 2], until(0, &[])).iter().all(|text| text.ids.is_empty()));
    }

    #[test]
    fn nats_are_those_of_the_models_own_distribution() {
        let (model, vocab) = sample();
        let ready = InferenceModel::new(&model, Precision::F32);
        let cold = SamplingConfig { temperature: 0.3, top_k: Some(3), ban: vec![4], ..SamplingConfig::default() };
        let text = &Batch::new(&ready, &vocab, &[1, 2], &cold).write(&[7], until(20, &[]))[0];
        let whole: Vec<u32> = [1, 2].iter().chain(&text.ids).copied().collect();
        assert!(!text.ids.contains(&4));
        let mut shard = Shard::new(&model, 0, 1, 30, Purpose::Inference);
        let window = Window::new(21, 1, whole[..21].to_vec(), whole[1..].to_vec());
        shard.forward(&model, &ready.prepared, &window, None);
        let mut logits = Vec::new();
        shard.logits(&mut logits);
        let rows = logits.chunks_exact_mut(5).zip(&whole[1..]).skip(1);
        let wanted: f64 = rows.map(|(row, id)| softmax::cross_entropy(row, *id as usize, 1.0)).sum();
        assert!((text.nats - wanted).abs() < 1e-4, "{} {wanted}", text.nats);
    }

    #[test]
    fn the_next_character_follows_the_models_distribution_however_shaped() {
        let (model, vocab) = sample();
        let ready = InferenceModel::new(&model, Precision::F32);
        let mut shard = Shard::new(&model, 0, 1, 2, Purpose::Inference);
        let (mut window, mut logits) = (Window::new(2, 1, vec![1, 2], vec![0, 0]), Vec::new());
        window.weights[0] = 0.0;
        shard.forward(&model, &ready.prepared, &window, None);
        shard.logits(&mut logits);
        for (first, shaping) in grid().into_iter().enumerate() {
            let seeds: Vec<u64> = (0..100_000).map(|i| ((first as u64) << 32) + i).collect();
            let mut counts = [0.0; 5];
            let texts = Batch::new(&ready, &vocab, &[1, 2], &shaping).write(&seeds, until(1, &[]));
            texts.iter().for_each(|text| counts[text.ids[0] as usize] += 1.0);
            let wanted = distribution(&logits, &shaping);
            assert!(agree(&counts, &wanted), "{shaping:?}: {counts:?} {wanted:?}");
        }
    }
}
