//! A trained model under test: what it predicts in fresh strings.

use rayon::prelude::*;

use super::Sample;
use crate::data::Vocab;
use crate::kernels::{Precision, softmax};
use crate::model::{CharLm, InferenceModel, InferenceSession, Input};

/// Strings that are read side by side.
const STREAMS: usize = 32;
/// Characters that are read at once; the state is carried on.
const STEPS: usize = 128;

/// A model that answers for every character of a string what it thinks comes next.
pub struct Subject<'m> {
    vocab: &'m Vocab,
    source: Source<'m>,
}

/// Where probabilities come from.
enum Source<'m> {
    Model(Box<InferenceModel<'m>>),
    /// For the tests of judges.
    #[cfg(test)]
    Answers(&'m Answers<'m>),
}

/// An answer to every question: the probabilities of some characters at a place of a string.
#[cfg(test)]
pub(super) type Answers<'a> = dyn Fn(&Sample, usize) -> Vec<(char, f32)> + Sync + 'a;

impl<'m> Subject<'m> {
    /// A model and its characters.
    pub fn new(model: &'m CharLm<f32>, vocab: &'m Vocab) -> Self {
        Subject { vocab, source: Source::Model(Box::new(InferenceModel::new(model, Precision::F32))) }
    }

    /// One that gives the probabilities of `answers` for the character at a place of a string.
    #[cfg(test)]
    pub(super) fn of_answers(answers: &'m Answers<'m>, vocab: &'m Vocab) -> Self {
        Subject { vocab, source: Source::Answers(answers) }
    }

    /// The probability of a character.
    pub fn of(&self, probabilities: &[f32], c: char) -> f32 {
        self.vocab.id(u32::from(c)).map_or(0.0, |id| probabilities[id as usize])
    }

    /// Whether the most likely character is one of `allowed`.
    pub fn is_right(&self, probabilities: &[f32], allowed: &str) -> bool {
        let best = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(id, _)| allowed.chars().any(|c| self.vocab.id(u32::from(c)) == Some(id as u32)))
    }

    /// Reads strings, each from a zero state, and shows `look` for every character that something is asked of: the string, the
    /// place of the character, and the probabilities before it. What `look` gathers comes back, string by string. Nothing is
    /// known before the first character, so it is not asked for.
    pub fn follow<A: Default + Send>(
        &self,
        samples: &[Sample],
        look: impl Fn(&mut A, &Sample, usize, &[f32]) + Sync,
    ) -> Vec<A> {
        match &self.source {
            Source::Model(model) => {
                let groups = samples.par_chunks(STREAMS);
                groups.flat_map_iter(|group| self.follow_group(model, group, &look)).collect()
            }
            #[cfg(test)]
            Source::Answers(answers) => samples.iter().map(|sample| self.ask(answers, sample, &look)).collect(),
        }
    }

    /// The share of strings in which the most likely character is allowed wherever something is asked.
    pub fn share_right(&self, samples: &[Sample]) -> f64 {
        let wrong = self.wrong(samples);
        wrong.iter().filter(|wrong| **wrong == 0).count() as f64 / samples.len().max(1) as f64
    }

    /// In how many places of each string the most likely character is not allowed.
    pub fn wrong(&self, samples: &[Sample]) -> Vec<usize> {
        self.follow(samples, |wrong: &mut usize, sample, at, probabilities| {
            let allowed = &sample.allowed[at];
            *wrong += usize::from(!self.is_right(probabilities, allowed));
        })
    }

    #[cfg(test)]
    fn ask<A: Default>(
        &self,
        answers: impl Fn(&Sample, usize) -> Vec<(char, f32)>,
        sample: &Sample,
        look: &impl Fn(&mut A, &Sample, usize, &[f32]),
    ) -> A {
        let mut gathered = A::default();
        for at in (1..sample.chars.len()).filter(|at| sample.weight(*at) != 0.0) {
            let mut row = vec![0.0; self.vocab.len()];
            for (c, probability) in answers(sample, at) {
                row[self.vocab.id(u32::from(c)).unwrap() as usize] = probability;
            }
            look(&mut gathered, sample, at, &row);
        }
        gathered
    }

    fn follow_group<A: Default>(
        &self,
        model: &InferenceModel<'_>,
        group: &[Sample],
        look: &impl Fn(&mut A, &Sample, usize, &[f32]),
    ) -> Vec<A> {
        let streams = group.len();
        let longest = group.iter().map(|sample| sample.chars.len()).max().unwrap_or(0);
        let mut session = InferenceSession::single_threaded(model, streams, STEPS.min(longest.max(1)));
        let mut gathered: Vec<A> = std::iter::repeat_with(A::default).take(streams).collect();
        for first in (0..longest.saturating_sub(1)).step_by(STEPS) {
            let steps = STEPS.min(longest - 1 - first);
            let input = |(at, sample): (usize, &Sample)| match sample.chars.get(at) {
                Some(c) if at + 1 < sample.chars.len() => Input {
                    id: self.vocab.id(u32::from(*c)).unwrap_or(0),
                    reset: false,
                    needs_logits: sample.weight(at + 1) != 0.0,
                },
                _ => Input::default(),
            };
            let inputs = (first..first + steps).flat_map(|at| group.iter().map(move |sample| (at, sample))).map(input);
            session.run(&inputs.collect::<Vec<_>>());
            session.for_each_logits(|position, row| {
                softmax::softmax(row);
                let stream = position % streams;
                look(&mut gathered[stream], &group[stream], first + position / streams + 1, row);
            });
        }
        gathered
    }
}
