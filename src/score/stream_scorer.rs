//! The loop shared by losses and surprisals: reads parallel streams in which each character predicts the next.

use crate::model::{InferenceSession, Input};

/// An input character and its target, the next character.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition {
    pub input: u32,
    pub target: u32,
    /// Whether the state is set to zero before the character is read.
    pub reset: bool,
    /// Whether the prediction is scored; if not, the character only updates the state.
    pub is_scored: bool,
}

#[derive(Debug)]
pub(super) struct StreamScorer<'m> {
    pub session: InferenceSession<'m>,
    inputs: Vec<Input>,
    targets: Vec<u32>,
}

impl<'m> StreamScorer<'m> {
    pub fn new(session: InferenceSession<'m>) -> Self {
        StreamScorer { session, inputs: Vec::new(), targets: Vec::new() }
    }

    /// Reads up to `steps` transitions of every stream; `next` returns the next one of a stream, or `None` at its end. Returns the
    /// stream and the score of each prediction, those of a stream in order. `score` computes it, in parallel, from a scratch
    /// buffer, the logits `V` and the target.
    pub fn score_window<T: Send, E>(
        &mut self,
        steps: usize,
        mut next: impl FnMut(usize) -> Result<Option<Transition>, E>,
        score: impl Fn(&mut Vec<f32>, &mut [f32], u32) -> T + Sync,
    ) -> Result<Vec<(usize, T)>, E> {
        let streams = self.session.streams();
        self.inputs.clear();
        self.inputs.resize(steps * streams, Input::default());
        self.targets.resize(steps * streams, 0);
        for stream in 0..streams {
            for position in (stream..steps * streams).step_by(streams) {
                let Some(Transition { input, target, reset, is_scored }) = next(stream)? else { break };
                self.inputs[position] = Input { id: input, reset, needs_logits: is_scored };
                self.targets[position] = target;
            }
        }
        let targets = &self.targets;
        let score = |scratch: &mut Vec<f32>, position: usize, logits: &mut [f32]| {
            (position % streams, score(scratch, logits, targets[position]))
        };
        Ok(self.session.run_and_map(&self.inputs, Vec::new, score))
    }
}
