//! Texts read character by character, as they come: every character with its surprise.

use rayon::prelude::*;

use super::surprisal::{Escape, Prediction, Surprisal, judge};
use crate::data::Vocab;
use crate::model::{InferenceModel, Purpose, Shard, Window, cut};

/// Characters of a window.
const STEPS: usize = 64;
/// Streams side by side of lines that are read apart.
const STREAMS: usize = 64;

/// Reads texts. One stream carries the state on; lines that are read apart, each from a zero state, go side by side.
#[derive(Debug)]
pub struct SurprisalScorer<'r, 'm> {
    ready: &'r InferenceModel<'m>,
    vocab: &'r Vocab,
    escape: Escape,
    top: usize,
    streams: usize,
    parts: Vec<Part>,
    window: Window,
    /// The character that the carried stream has not read yet: it predicts the next.
    last: Option<u32>,
    begun: bool,
}

/// Some streams, on one thread.
#[derive(Debug)]
struct Part {
    shard: Shard<f32>,
    logits: Vec<f32>,
    scratch: Vec<f32>,
    judged: Vec<(f64, Prediction)>,
}

/// A character that is read, and the one that comes next.
#[derive(Clone, Copy, Debug)]
struct Step {
    input: u32,
    target: u32,
    reset: bool,
}

impl<'r, 'm> SurprisalScorer<'r, 'm> {
    /// A reader of one text, from the zero state on. Predictions name the `top` most likely characters.
    pub fn carried(ready: &'r InferenceModel<'m>, vocab: &'r Vocab, top: usize) -> Self {
        let mut tracer = Self::new(ready, vocab, top, 1);
        let tasks = ready.tasks_per_stream(rayon::current_num_threads());
        tracer.parts.iter_mut().for_each(|part| part.shard.share(tasks));
        tracer
    }

    /// A reader of lines, each from the zero state on.
    pub fn apart(ready: &'r InferenceModel<'m>, vocab: &'r Vocab, top: usize) -> Self {
        Self::new(ready, vocab, top, 1)
    }

    fn new(ready: &'r InferenceModel<'m>, vocab: &'r Vocab, top: usize, streams: usize) -> Self {
        assert_eq!(vocab.len(), ready.model.config().vocab, "the vocabulary is another model's");
        let (window, escape) = (Window::default(), Escape::new(vocab));
        let mut tracer = SurprisalScorer {
            ready,
            vocab,
            escape,
            top,
            streams: 0,
            parts: Vec::new(),
            window,
            last: None,
            begun: false,
        };
        tracer.make(streams);
        tracer
    }

    /// Makes room for that many streams side by side.
    fn make(&mut self, streams: usize) {
        let model = self.ready.model;
        let part = |(first, streams)| Part {
            shard: Shard::new(model, first, streams, STEPS, Purpose::Inference),
            logits: Vec::new(),
            scratch: Vec::new(),
            judged: Vec::new(),
        };
        if self.streams != streams {
            self.parts = cut(model, streams, rayon::current_num_threads()).map(part).collect();
            self.streams = streams;
        }
    }

    /// Reads the next characters (code points or bytes) of a text on which the state is carried. The first of all is predicted by
    /// nothing.
    pub fn read(&mut self, symbols: &[u32]) -> Vec<Surprisal> {
        let mut steps = Vec::with_capacity(symbols.len());
        let mut surprises = Vec::with_capacity(symbols.len());
        for &symbol in symbols {
            let id = self.vocab.id(symbol);
            surprises.push(match (id, self.last) {
                (None, _) if self.begun => Surprisal::unknown(symbol, self.escape),
                // Its prediction is put in below.
                (Some(target), Some(input)) => {
                    steps.push(Step { input, target, reset: false });
                    Surprisal::first(symbol, true)
                }
                (id, _) => Surprisal::first(symbol, id.is_some()),
            });
            self.last = id.or(self.last);
            self.begun = true;
        }
        let first = usize::from(steps.len() < surprises.iter().filter(|surprise| surprise.known).count());
        let known = surprises.iter_mut().filter(|surprise| surprise.known).skip(first);
        let judged = self.run(&[steps]).into_iter().flatten();
        let escape = self.escape;
        known.zip(judged).for_each(|(to, judged)| *to = Surprisal::predicted(to.symbol, judged, escape));
        surprises
    }

    /// Reads lines (code points or bytes), each as if behind a line end in a zero state, so that its first character is
    /// predicted as well. Where the model knows no line end, nothing predicts it.
    pub fn lines(&mut self, lines: &[Vec<u32>]) -> Vec<Vec<Surprisal>> {
        let before = self.vocab.id(u32::from('\n'));
        // No more than are kept busy: what is idle is computed all the same.
        let (all, longest) =
            lines.iter().fold((0, 1), |(all, longest), line| (all + line.len(), line.len().max(longest)));
        self.make(all.div_ceil(longest).clamp(1, STREAMS));
        let mut queues: Vec<Vec<Step>> = vec![Vec::new(); self.streams];
        let mut places: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.streams];
        let mut surprises: Vec<Vec<Surprisal>> = Vec::with_capacity(lines.len());
        for (number, line) in lines.iter().enumerate() {
            // The stream with the least to do.
            let stream = (0..self.streams).min_by_key(|stream| queues[*stream].len()).unwrap_or(0);
            let (mut last, mut reset) = (before, true);
            let mut of_line = Vec::with_capacity(line.len());
            for (at, &symbol) in line.iter().enumerate() {
                let id = self.vocab.id(symbol);
                of_line.push(match (id, last) {
                    (None, _) if at > 0 || before.is_some() => Surprisal::unknown(symbol, self.escape),
                    (id, _) => Surprisal::first(symbol, id.is_some()),
                });
                if let (Some(target), Some(input)) = (id, last) {
                    queues[stream].push(Step { input, target, reset });
                    places[stream].push((number, at));
                    reset = false;
                }
                last = id.or(last);
            }
            surprises.push(of_line);
        }
        for (judged, places) in self.run(&queues).into_iter().zip(places) {
            for (judged, (line, at)) in judged.into_iter().zip(places) {
                let to = &mut surprises[line][at];
                *to = Surprisal::predicted(to.symbol, judged, self.escape);
            }
        }
        surprises
    }

    /// Runs every stream's steps; what is made of each target.
    fn run(&mut self, queues: &[Vec<Step>]) -> Vec<Vec<(f64, Prediction)>> {
        let longest = queues.iter().map(Vec::len).max().unwrap_or(0);
        let mut judged: Vec<Vec<(f64, Prediction)>> =
            queues.iter().map(|queue| Vec::with_capacity(queue.len())).collect();
        for start in (0..longest).step_by(STEPS) {
            self.window.clear(STEPS.min(longest - start), self.streams);
            self.window.resets.resize(self.window.inputs.len(), false);
            for (stream, queue) in queues.iter().enumerate() {
                let steps = queue[start.min(queue.len())..].iter().take(self.window.steps);
                for (t, step) in steps.enumerate() {
                    let place = t * self.streams + stream;
                    (self.window.inputs[place], self.window.targets[place]) = (step.input, step.target);
                    (self.window.weights[place], self.window.resets[place]) = (1.0, step.reset);
                }
            }
            let (ready, window, top) = (self.ready, &self.window, self.top);
            self.parts.par_iter_mut().for_each(|part| part.run(ready, window, top));
            for part in &mut self.parts {
                let places = places(window, part.shard.streams());
                part.judged.drain(..).zip(places).for_each(|(one, place)| judged[place % window.streams].push(one));
            }
        }
        judged
    }
}

impl Part {
    fn run(&mut self, ready: &InferenceModel<'_>, window: &Window, top: usize) {
        self.shard.forward(ready.model, &ready.prepared, window, None);
        self.shard.logits(&mut self.logits);
        let rows = self.logits.chunks_exact(ready.model.config().vocab);
        for (logits, place) in rows.zip(places(window, self.shard.streams())) {
            self.judged.push(judge(logits, window.targets[place], top, &mut self.scratch));
        }
    }
}

/// Where the predictions of some streams stand in a window, in the order in which a shard gives their logits.
fn places(window: &Window, streams: std::ops::Range<usize>) -> impl Iterator<Item = usize> {
    let of_step = move |t: usize| streams.clone().map(move |stream| t * window.streams + stream);
    (0..window.steps).flat_map(of_step).filter(|place| window.weights[*place] != 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Sum, carried, windows};
    use super::*;
    use crate::data::{Corpus, Encoding};
    use crate::kernels::Precision;

    fn text(corpus: &Corpus) -> Vec<u32> {
        let mut cursor = corpus.cursor(0);
        std::iter::from_fn(|| cursor.next(corpus)).collect()
    }

    #[test]
    fn a_text_costs_what_evaluation_says_however_it_is_handed_over() {
        let (model, corpus, vocab) = sample(700);
        let ready = InferenceModel::new(&model, Precision::F32);
        let wanted = carried(&ready, &corpus, &vocab, 0..700).unwrap();
        for piece in [1, 7, 64, 65, 700] {
            let mut tracer = SurprisalScorer::carried(&ready, &vocab, 0);
            let mut sum = Sum::default();
            text(&corpus).chunks(piece).for_each(|piece| sum.add(Sum::of(&tracer.read(piece))));
            assert_eq!(sum.chars, 699);
            assert!((sum.nats / 699.0 - wanted.nats()).abs() < 1e-6, "{piece}: {} {}", sum.nats, wanted.total_nats);
        }
    }

    #[test]
    fn lines_apart_cost_what_each_does_alone() {
        let (model, corpus, vocab) = sample(3000);
        // The tests' text has no line ends; one of its characters takes their place.
        let (end, others) = vocab.symbols().split_last().unwrap();
        let vocab = Vocab::new(Encoding::Utf8, others.iter().copied().chain([10]));
        let lines: Vec<Vec<u32>> = text(&corpus)
            .split(|symbol| symbol == end)
            .map(|line| line.iter().copied().chain([10]).collect())
            .collect();
        let ready = InferenceModel::new(&model, Precision::F32);
        let together = SurprisalScorer::apart(&ready, &vocab, 2).lines(&lines);
        assert!(lines.len() > 100 && together.len() == lines.len());
        for (line, got) in lines.iter().zip(&together) {
            // Read in one stream behind a line end; that itself is predicted by nothing.
            let alone = SurprisalScorer::carried(&ready, &vocab, 2).read(&[&[10], &line[..]].concat());
            for (got, alone) in got.iter().zip(&alone[1..]) {
                let off = got.nats.unwrap() - alone.nats.unwrap();
                assert!(got.symbol == alone.symbol && off.abs() < 1e-5, "{got:?} {alone:?}");
                let [got, alone] = [got, alone].map(|one| one.prediction.as_ref().unwrap());
                assert!(got.top[0].0 == alone.top[0].0 && got.top[1].0 == alone.top[1].0);
            }
        }
    }

    #[test]
    fn unknown_characters_cost_the_escape_and_are_passed_over() {
        let (model, corpus, vocab) = sample(300);
        let ready = InferenceModel::new(&model, Precision::F32);
        let plain = text(&corpus);
        let whole = SurprisalScorer::carried(&ready, &vocab, 0).read(&plain);
        let mut strange = plain.clone();
        for at in [299, 150, 64, 1, 0] {
            strange.insert(at, 0x3b1);
        }
        let got = SurprisalScorer::carried(&ready, &vocab, 0).read(&strange);
        let (unknown, known): (Vec<_>, Vec<_>) = got.into_iter().partition(|surprise| !surprise.known);
        assert_eq!(known, whole);
        assert_eq!((unknown.len(), unknown[0].nats), (5, None), "nothing predicts the first of all");
        assert!(unknown[1..].iter().all(|surprise| (43.0..45.0).contains(&(surprise.nats.unwrap() / 2f64.ln()))));
        let apart = SurprisalScorer::apart(&ready, &vocab, 0).lines(&[vec![], vec![0x3b1, 97], vec![97, 98]]);
        assert_eq!(apart.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2, 2]);
        // Without a line end to begin with, the first character is predicted by nothing.
        assert!(apart[2][0].nats.is_none() && apart[2][1].nats.is_some());
        let loss =
            windows(&ready, &Corpus::from_text("t", &b"ab"[..], Encoding::Utf8).unwrap(), &vocab, 0..2, 1).unwrap();
        assert!((apart[2][1].nats.unwrap() - loss.total_nats).abs() < 1e-6);
    }
}
