//! Pieces of a text scored side by side.

use rayon::prelude::*;

use crate::data::{Corpus, PairReader, Vocab};
use crate::error::Result;
use crate::model::{InferenceModel, Purpose, Shard, Window, cut};

/// Characters of a window: the state is carried from one to the next.
pub(super) const STEPS: usize = 32;

/// A loss over some characters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// The sum, in nats.
    pub total_nats: f64,
    /// Characters that were scored.
    pub chars: u64,
}

impl Loss {
    /// Nats per character.
    pub fn nats(&self) -> f64 {
        self.total_nats / self.chars as f64
    }

    /// Bits per character.
    pub fn bits(&self) -> f64 {
        self.nats() / std::f64::consts::LN_2
    }
}

/// A piece of a text, read from a zero state on. Positions are those of the character that is read; it predicts the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    /// The first character that is read.
    pub from: usize,
    /// The first whose prediction counts.
    pub scored: usize,
    /// Behind the last.
    pub end: usize,
}

/// Scores lanes, `most` of them side by side, on the threads at hand. Lanes come in the order of the text. `None` where `stop`, which
/// is asked before every window, said so.
pub(super) fn score(
    ready: &InferenceModel<'_>,
    corpus: &Corpus,
    vocab: &Vocab,
    mut lanes: impl Iterator<Item = Lane>,
    most: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Loss>> {
    let InferenceModel { model, prepared } = ready;
    let shard = |(first, streams)| Shard::new(model, first, streams, STEPS, Purpose::Inference);
    let mut shards: Vec<Shard<f32>> = cut(model, most, rayon::current_num_threads()).map(shard).collect();
    if most == 1 {
        shards.iter_mut().for_each(|shard| shard.share(ready.tasks_per_stream(rayon::current_num_threads())));
    }
    let (mut window, mut loss, mut readers) = (Window::default(), Loss::default(), Vec::with_capacity(most));
    let (mut cursor, mut at) = (corpus.cursor(0), 0);
    loop {
        readers.clear();
        for lane in lanes.by_ref().take(most) {
            cursor = corpus.advance(cursor, at, lane.from);
            at = lane.from;
            readers.push((lane, PairReader::new(corpus, cursor, lane.from, lane.end)));
        }
        let Some(longest) = readers.iter().map(|(lane, _)| lane.end - lane.from).max() else {
            return corpus.check_not_truncated().map(|()| Some(loss));
        };
        shards.iter_mut().for_each(|shard| shard.state.fill(0.0));
        for start in (0..longest).step_by(STEPS) {
            if stop() {
                return Ok(None);
            }
            window.clear(STEPS.min(longest - start), most);
            for (stream, (lane, reader)) in readers.iter_mut().enumerate() {
                fill(&mut window, stream, lane, reader, corpus, vocab)?;
            }
            shards.par_iter_mut().for_each(|shard| {
                shard.forward(model, prepared, &window, None);
                shard.score(&window, 1.0);
            });
            loss.total_nats += shards.iter().flat_map(|shard| &shard.losses).sum::<f64>();
            loss.chars += window.scored() as u64;
        }
    }
}

/// Fills a window's column; what is behind the lane's end keeps its weight of 0.
fn fill(
    window: &mut Window,
    stream: usize,
    lane: &Lane,
    reader: &mut PairReader,
    corpus: &Corpus,
    vocab: &Vocab,
) -> Result<()> {
    for place in (stream..window.inputs.len()).step_by(window.streams) {
        let counts = reader.position() >= lane.scored;
        let Some((input, target)) = reader.next(corpus, vocab)? else { break };
        (window.inputs[place], window.targets[place]) = (input, target);
        window.weights[place] = if counts { 1.0 } else { 0.0 };
    }
    Ok(())
}
