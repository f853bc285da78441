//! Many texts at once.

use rayon::prelude::*;

use super::generator::{STEPS, beginning};
use super::shaping::Shaping;
use super::writer::Writer;
use crate::data::Vocab;
use crate::model::Ready;

/// Streams of a writer at most: enough for the weights to be read for many at once.
const MOST_STREAMS: usize = 32;

/// Writes a text for each seed, side by side on the threads at hand: each the one that a [`Generator`](super::Generator) with
/// that seed writes. A text ends at `length` characters, or where `ended` says so of what has been written.
pub fn batch(
    ready: &Ready<'_>,
    vocab: &Vocab,
    prompt: &[u32],
    shaping: Shaping,
    seeds: &[u64],
    length: usize,
    ended: impl Fn(&[u32]) -> bool + Sync,
) -> Vec<Vec<u32>> {
    let (before, last) = beginning(ready.model, vocab, prompt);
    // All begin alike, so the beginning is read once.
    let mut reader = Writer::new(ready.model, shaping, &[0], last, STEPS);
    reader.read(ready, before, STEPS);
    let state = &*reader.state();
    let streams = seeds.len().div_ceil(rayon::current_num_threads()).clamp(1, MOST_STREAMS);
    let texts = seeds.par_chunks(streams).flat_map_iter(|seeds| {
        let mut writer = Writer::new(ready.model, shaping, seeds, last, 1);
        writer.state().chunks_exact_mut(state.len()).for_each(|stream| stream.copy_from_slice(state));
        let mut texts = vec![Vec::new(); seeds.len()];
        let mut open = vec![length > 0; seeds.len()];
        while open.contains(&true) {
            let next = writer.advance(ready);
            for ((text, id), open) in texts.iter_mut().zip(next).zip(&mut open).filter(|(_, open)| **open) {
                text.push(*id);
                *open = text.len() < length && !ended(text);
            }
        }
        texts
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Generator;
    use super::super::generator::tests::sample;
    use super::*;
    use crate::kernels::Precision;
    use crate::model::{CharLm, ModelConfig};
    use rayon::ThreadPoolBuilder;

    #[test]
    fn every_text_is_the_one_that_its_seed_gives_alone() {
        let (model, vocab) = sample();
        let ready = Ready::new(&model, Precision::F32);
        let seeds: Vec<u64> = (0..70).collect();
        for prompt in [&[][..], &[1, 2, 3, 1]] {
            let shaping = Shaping { temperature: 1.0, ..Shaping::default() };
            let texts = batch(&ready, &vocab, prompt, shaping, &seeds, 40, |_| false);
            for (seed, text) in seeds.iter().zip(&texts) {
                let alone: Vec<_> = Generator::new(&model, &vocab, prompt, shaping, *seed).take(40).collect();
                assert_eq!(*text, alone, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_step_that_is_divided_among_threads_writes_the_same() {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 200, embed: 8, vocab: 5 };
        let (model, vocab) = (CharLm::init(&config, 3).unwrap(), sample().1);
        let ready = || Ready::new(&model, Precision::F32);
        assert!(ready().tasks_of_a_stream(3) == 3 && ready().tasks_of_a_stream(1) == 1);
        let texts = [1, 2, 3].map(|threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let shaping = Shaping { temperature: 1.0, ..Shaping::default() };
            pool.install(|| Generator::with(ready(), &vocab, &[1, 2], shaping, 5).take(200).collect::<Vec<_>>())
        });
        assert!(texts[0] == texts[1] && texts[1] == texts[2]);
    }

    #[test]
    fn a_text_ends_where_it_is_said_to_and_the_others_go_on() {
        let (model, vocab) = sample();
        let ready = Ready::new(&model, Precision::F32);
        let shaping = Shaping { temperature: 1.0, ..Shaping::default() };
        let texts = batch(&ready, &vocab, &[], shaping, &[1, 2, 3, 4, 5], 30, |text| text.ends_with(&[2]));
        for text in &texts {
            let end = text.iter().position(|id| *id == 2).map_or(30, |at| at + 1);
            assert_eq!(text.len(), end);
        }
        assert!(texts.iter().any(|text| text.len() != texts[0].len()), "{texts:?}");
        assert!(batch(&ready, &vocab, &[], shaping, &[1, 2], 0, |_| false).iter().all(Vec::is_empty));
    }
}
