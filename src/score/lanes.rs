//! Pieces of a text scored side by side.

use rayon::prelude::*;

use crate::data::{Corpus, Cursor, Vocab};
use crate::error::{Error, Result};
use crate::model::{CharLm, Prepared, Purpose, Shard, Window};

/// Characters of a window: the state is carried from one to the next.
const STEPS: usize = 128;
/// Streams of a shard at most.
const SHARD_STREAMS: usize = 16;

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

/// Scores lanes, `most` of them side by side, on the threads at hand.
pub(super) fn score(model: &CharLm<f32>, corpus: &Corpus, vocab: &Vocab, lanes: &[Lane], most: usize) -> Result<Loss> {
    let prepared = Prepared::whole(model);
    let width = most.min(lanes.len());
    let mut shards: Vec<Shard<f32>> = (0..width)
        .step_by(SHARD_STREAMS)
        .map(|first| Shard::new(model, first, SHARD_STREAMS.min(width - first), STEPS, Purpose::Inference))
        .collect();
    let (mut window, mut loss) = (Window::default(), Loss::default());
    for group in lanes.chunks(width) {
        let mut readers: Vec<Reader> = group.iter().map(|&lane| Reader::new(corpus, lane)).collect();
        shards.iter_mut().for_each(|shard| shard.state.fill(0.0));
        let longest = group.iter().map(|lane| lane.end - lane.from).max().unwrap_or(0);
        for start in (0..longest).step_by(STEPS) {
            let steps = STEPS.min(longest - start);
            window.clear(steps, width);
            for (stream, reader) in readers.iter_mut().enumerate() {
                reader.read(corpus, vocab, &mut window, stream)?;
            }
            shards.par_iter_mut().for_each(|shard| {
                shard.forward(model, &prepared, &window, None);
                shard.score(&window, 1.0);
            });
            loss.total_nats += shards.iter().flat_map(|shard| &shard.losses).sum::<f64>();
            loss.chars += window.scored() as u64;
        }
    }
    Ok(loss)
}

/// Reads one lane.
struct Reader {
    lane: Lane,
    cursor: Cursor,
    last: u32,
    at: usize,
}

impl Reader {
    fn new(corpus: &Corpus, lane: Lane) -> Self {
        let mut cursor = corpus.cursor(lane.from);
        let last = cursor.next(corpus).unwrap_or(u32::MAX);
        Reader { lane, cursor, last, at: lane.from }
    }

    /// Fills a window's column; what is behind the lane's end keeps its weight of 0.
    fn read(&mut self, corpus: &Corpus, vocab: &Vocab, window: &mut Window, stream: usize) -> Result<()> {
        let id = |symbol: u32, at: usize| {
            vocab.id(symbol).ok_or_else(|| {
                let character = vocab.describe(symbol);
                Error::corpus(
                    corpus.name(),
                    format!("the model has never seen {character}, which is character {}", at + 1),
                )
            })
        };
        for at in (stream..window.inputs.len()).step_by(window.streams) {
            if self.at >= self.lane.end {
                break;
            }
            window.inputs[at] = id(self.last, self.at)?;
            self.last = self.cursor.next(corpus).unwrap_or(u32::MAX);
            window.targets[at] = id(self.last, self.at + 1)?;
            window.weights[at] = if self.at >= self.lane.scored { 1.0 } else { 0.0 };
            self.at += 1;
        }
        Ok(())
    }
}
