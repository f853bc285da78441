//! The strings of tasks, and the evaluation of a model's predictions on them.

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::data::Vocab;
use crate::kernels::{Precision, softmax};
use crate::model::{CharLm, InferenceModel, InferenceSession, Input};

/// A string of a task, with the characters that are correct predictions at each position.
#[derive(Clone, Debug, Default)]
pub struct Example {
    pub chars: Vec<char>,
    /// The characters that are allowed at each position; empty if the prediction is neither trained nor tested.
    pub allowed: Vec<String>,
}

impl Example {
    pub fn is_in_held_out_fifth(&self) -> bool {
        let text: String = self.chars.iter().collect();
        xxh3_64(text.as_bytes()).is_multiple_of(5)
    }

    /// The loss weight of the prediction of character `at`: 1 if it is tested, else 0.
    pub fn loss_weight(&self, at: usize) -> f32 {
        if self.allowed[at].is_empty() { 0.0 } else { 1.0 }
    }

    pub fn push_untested(&mut self, c: char) {
        self.push_one_of(c, "");
    }

    pub fn push_one_of(&mut self, c: char, allowed: &str) {
        self.chars.push(c);
        self.allowed.push(allowed.into());
    }

    /// Appends characters that are determined by those before them.
    pub fn push_determined(&mut self, text: &str) {
        text.chars().for_each(|c| self.push_one_of(c, &c.to_string()));
    }
}

const STREAMS: usize = 32;
const STEPS: usize = 128;

pub struct Evaluator<'m> {
    vocab: &'m Vocab,
    source: Source<'m>,
}

enum Source<'m> {
    Model(Box<InferenceModel<'m>>),
    #[cfg(test)]
    Stub(&'m StubPredictions<'m>),
}

/// Predicts the probabilities of some characters at a position of a string.
#[cfg(test)]
pub(super) type StubPredictions<'a> = dyn Fn(&Example, usize) -> Vec<(char, f32)> + Sync + 'a;

impl<'m> Evaluator<'m> {
    pub fn new(model: &'m CharLm<f32>, vocab: &'m Vocab) -> Self {
        Evaluator { vocab, source: Source::Model(Box::new(InferenceModel::new(model, Precision::F32))) }
    }

    #[cfg(test)]
    pub(super) fn of_stub(stub: &'m StubPredictions<'m>, vocab: &'m Vocab) -> Self {
        Evaluator { vocab, source: Source::Stub(stub) }
    }

    pub fn probability(&self, probabilities: &[f32], c: char) -> f32 {
        self.vocab.id(u32::from(c)).map_or(0.0, |id| probabilities[id as usize])
    }

    pub fn is_correct(&self, probabilities: &[f32], allowed: &str) -> bool {
        let best = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(id, _)| allowed.chars().any(|c| self.vocab.id(u32::from(c)) == Some(id as u32)))
    }

    pub fn accuracy(&self, examples: &[Example]) -> f64 {
        let errors = self.count_errors(examples);
        errors.iter().filter(|errors| **errors == 0).count() as f64 / examples.len().max(1) as f64
    }

    /// For each string, the number of tested characters at which the most likely character is not allowed.
    pub fn count_errors(&self, examples: &[Example]) -> Vec<usize> {
        self.visit(examples, |errors: &mut usize, example, at, probabilities| {
            *errors += usize::from(!self.is_correct(probabilities, &example.allowed[at]));
        })
    }

    /// Reads each string from a zero state and calls `visit` for every tested character except the first, with an accumulator for
    /// the string, the string, the position and the predicted probabilities. Returns the accumulators in the order of the strings.
    pub fn visit<A: Default + Send>(
        &self,
        examples: &[Example],
        visit: impl Fn(&mut A, &Example, usize, &[f32]) + Sync,
    ) -> Vec<A> {
        match &self.source {
            Source::Model(model) => {
                let batches = examples.par_chunks(STREAMS);
                batches.flat_map_iter(|batch| self.visit_batch(model, batch, &visit)).collect()
            }
            #[cfg(test)]
            Source::Stub(stub) => examples.iter().map(|example| self.visit_stub(stub, example, &visit)).collect(),
        }
    }

    fn visit_batch<A: Default>(
        &self,
        model: &InferenceModel<'_>,
        batch: &[Example],
        visit: &impl Fn(&mut A, &Example, usize, &[f32]),
    ) -> Vec<A> {
        let streams = batch.len();
        let longest = batch.iter().map(|example| example.chars.len()).max().unwrap_or(0);
        let mut session = InferenceSession::single_threaded(model, streams, STEPS.min(longest.max(1)));
        let mut accumulators: Vec<A> = std::iter::repeat_with(A::default).take(streams).collect();
        for first in (0..longest.saturating_sub(1)).step_by(STEPS) {
            let steps = STEPS.min(longest - 1 - first);
            let input = |(at, example): (usize, &Example)| match example.chars.get(at) {
                Some(c) if at + 1 < example.chars.len() => Input {
                    id: self.vocab.id(u32::from(*c)).unwrap_or(0),
                    reset: false,
                    needs_logits: example.loss_weight(at + 1) != 0.0,
                },
                _ => Input::default(),
            };
            let inputs =
                (first..first + steps).flat_map(|at| batch.iter().map(move |example| (at, example))).map(input);
            session.run(&inputs.collect::<Vec<_>>());
            session.for_each_logits(|position, row| {
                softmax::softmax(row);
                let stream = position % streams;
                visit(&mut accumulators[stream], &batch[stream], first + position / streams + 1, row);
            });
        }
        accumulators
    }

    #[cfg(test)]
    fn visit_stub<A: Default>(
        &self,
        stub: &StubPredictions<'_>,
        example: &Example,
        visit: &impl Fn(&mut A, &Example, usize, &[f32]),
    ) -> A {
        let mut accumulator = A::default();
        for at in (1..example.chars.len()).filter(|at| example.loss_weight(*at) != 0.0) {
            let mut row = vec![0.0; self.vocab.len()];
            for (c, probability) in stub(example, at) {
                row[self.vocab.id(u32::from(c)).unwrap() as usize] = probability;
            }
            visit(&mut accumulator, example, at, &row);
        }
        accumulator
    }
}
