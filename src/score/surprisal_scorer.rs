//! The surprisal of every character of a text.

use std::convert::Infallible;

use super::stream_scorer::{StreamScorer, Transition};
use super::surprisal::{Escape, Surprisal, score_prediction};
use crate::data::{ContextStart, Vocab};
use crate::model::{InferenceModel, InferenceSession};

const STEPS: usize = 64;
const MAX_STREAMS: usize = 64;

/// Scores the characters of a text as it arrives, or of independent lines in parallel.
#[derive(Debug)]
pub struct SurprisalScorer<'m> {
    model: &'m InferenceModel<'m>,
    rules: ScoringSettings<'m>,
    /// A single stream, whose state is carried.
    text: StreamScorer<'m>,
    /// Before the text and before each line.
    start: Context,
    /// Before the next characters of the text.
    context: Context,
    /// Several streams, reset at each line; created when it is first needed.
    lines: Option<StreamScorer<'m>>,
}

impl<'m> SurprisalScorer<'m> {
    /// The text, or each line, follows `start`. Predictions list the `top` most likely characters.
    ///
    /// # Panics
    /// If `vocab` is not the model's vocabulary.
    pub fn new(model: &'m InferenceModel<'m>, vocab: &'m Vocab, start: ContextStart, top: usize) -> Self {
        assert_eq!(vocab.len(), model.config().vocab_size, "the vocabulary belongs to another model");
        let last_id = vocab.context_start(start);
        let start = Context { last_id, has_started: last_id.is_some() };
        SurprisalScorer {
            model,
            rules: ScoringSettings { vocab, escape: Escape::new(vocab), top },
            text: StreamScorer::new(InferenceSession::new(model, 1, STEPS)),
            start,
            context: start,
            lines: None,
        }
    }

    /// Scores the next characters (code points or bytes) of the text; the state is carried from the previous ones. Nothing
    /// predicts the very first character if the text follows nothing.
    pub fn score_text(&mut self, symbols: &[u32]) -> Vec<Surprisal> {
        let (mut surprisals, context) = self.rules.score(&mut self.text, &[symbols], self.context, false);
        self.context = context;
        surprisals.pop().unwrap_or_default()
    }

    /// Scores lines (code points or bytes), each from the zero state.
    pub fn score_lines(&mut self, lines: &[Vec<u32>]) -> Vec<Vec<Surprisal>> {
        // The longest line limits the number of useful streams; additional ones would be idle at the end.
        let (all, longest) =
            lines.iter().fold((0, 1), |(all, longest), line| (all + line.len(), line.len().max(longest)));
        let streams = all.div_ceil(longest).clamp(1, MAX_STREAMS);
        let scorer = match &mut self.lines {
            Some(scorer) if scorer.session.streams() == streams => scorer,
            lines => lines.insert(StreamScorer::new(InferenceSession::new(self.model, streams, STEPS))),
        };
        self.rules.score(scorer, lines, self.start, true).0
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Context {
    last_id: Option<u32>,
    /// Whether any character, known or unknown, comes before.
    has_started: bool,
}

/// A transition, and the line and the index of the character that it predicts.
#[derive(Clone, Copy, Debug)]
struct QueuedTransition {
    transition: Transition,
    line: usize,
    index: usize,
}

#[derive(Clone, Copy, Debug)]
struct ScoringSettings<'m> {
    vocab: &'m Vocab,
    escape: Escape,
    top: usize,
}

impl ScoringSettings<'_> {
    /// Scores lines that each follow `context`, from the zero state if `reset`; also returns the context after the last line.
    fn score(
        &self,
        scorer: &mut StreamScorer<'_>,
        lines: &[impl AsRef<[u32]>],
        context: Context,
        reset: bool,
    ) -> (Vec<Vec<Surprisal>>, Context) {
        let streams = scorer.session.streams();
        let mut queues: Vec<Vec<QueuedTransition>> = vec![Vec::new(); streams];
        let mut surprisals = Vec::with_capacity(lines.len());
        let mut after = context;
        for (number, line) in lines.iter().enumerate() {
            let shortest = (0..streams).min_by_key(|stream| queues[*stream].len()).unwrap_or(0);
            let (mut line_surprisals, mut reset) = (Vec::with_capacity(line.as_ref().len()), reset);
            after = context;
            for (i, &symbol) in line.as_ref().iter().enumerate() {
                let id = self.vocab.id(symbol);
                line_surprisals.push(match id {
                    None if after.has_started => Surprisal::unknown(symbol, self.escape),
                    _ => Surprisal::unpredicted(symbol, self.vocab.known_id(symbol).is_some()),
                });
                if let (Some(input), Some(target)) = (after.last_id, id) {
                    let starts_record = Some(input) == self.vocab.record_boundary();
                    let transition = Transition { input, target, reset: reset || starts_record, is_scored: true };
                    queues[shortest].push(QueuedTransition { transition, line: number, index: i });
                    reset = false;
                }
                after = Context { last_id: id.or(after.last_id), has_started: true };
            }
            surprisals.push(line_surprisals);
        }
        let longest = queues.iter().map(Vec::len).max().unwrap_or(0);
        let mut to_read: Vec<_> = queues.iter().map(|queue| queue.iter()).collect();
        let mut to_fill = to_read.clone();
        for start in (0..longest).step_by(STEPS) {
            let next = |stream: usize| Ok::<_, Infallible>(to_read[stream].next().map(|queued| queued.transition));
            let score =
                |scratch: &mut Vec<f32>, logits: &mut [f32], id| score_prediction(logits, id, self.top, scratch);
            let Ok(scores) = scorer.score_window(STEPS.min(longest - start), next, score);
            for (stream, score) in scores {
                if let Some(QueuedTransition { line, index, .. }) = to_fill[stream].next() {
                    let surprisal: &mut Surprisal = &mut surprisals[*line][*index];
                    *surprisal = Surprisal::predicted(surprisal.symbol, surprisal.known, score, self.escape);
                }
            }
        }
        (surprisals, after)
    }
}

#[cfg(test)]
mod tests {
    use super::super::loss::tests::sample;
    use super::super::{SurprisalSum, carried_loss, windowed_loss};
    use super::*;
    use crate::data::{Corpus, Encoding};
    use crate::kernels::Precision;

    fn text(corpus: &Corpus) -> Vec<u32> {
        let mut cursor = corpus.cursor(0);
        std::iter::from_fn(|| cursor.next(corpus)).collect()
    }

    #[test]
    fn surprisals_sum_to_the_loss_however_the_text_is_split() {
        let (char_lm, corpus, vocab) = sample(700);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let expected = carried_loss(&model, &corpus, &vocab, 0..700, ContextStart::None).unwrap();
        for piece in [1, 7, 64, 65, 700] {
            let mut scorer = SurprisalScorer::new(&model, &vocab, ContextStart::None, 0);
            let mut sum = SurprisalSum::default();
            text(&corpus).chunks(piece).for_each(|piece| sum.add(SurprisalSum::of(&scorer.score_text(piece))));
            assert_eq!(sum.chars, 699);
            assert!((sum.nats / 699.0 - expected.nats()).abs() < 1e-6, "{piece}: {} {}", sum.nats, expected.total_nats);
        }
    }

    #[test]
    fn parallel_lines_score_like_each_line_separately() {
        let (char_lm, corpus, vocab) = sample(3000);
        // The test text has no line ends; one of its characters takes their place.
        let (end, others) = vocab.symbols().split_last().unwrap();
        let vocab = Vocab::new(Encoding::Utf8, others.iter().copied().chain([10]));
        let lines: Vec<Vec<u32>> = text(&corpus)
            .split(|symbol| symbol == end)
            .map(|line| line.iter().copied().chain([10]).collect())
            .collect();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let parallel = SurprisalScorer::new(&model, &vocab, ContextStart::Newline, 2).score_lines(&lines);
        assert!(lines.len() > 100 && parallel.len() == lines.len());
        for (line, got) in lines.iter().zip(&parallel) {
            let separate = SurprisalScorer::new(&model, &vocab, ContextStart::Newline, 2).score_text(line);
            assert_eq!(*got, separate);
            // One stream that reads a line end first, which nothing predicts.
            let scored =
                SurprisalScorer::new(&model, &vocab, ContextStart::None, 2).score_text(&[&[10], &line[..]].concat());
            assert_eq!(separate[..], scored[1..]);
        }
    }

    #[test]
    fn unknown_characters_cost_the_escape_and_are_not_read() {
        let (char_lm, corpus, vocab) = sample(300);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let known_text = text(&corpus);
        let expected = SurprisalScorer::new(&model, &vocab, ContextStart::None, 0).score_text(&known_text);
        let mut with_unknown = known_text;
        for at in [299, 150, 64, 1, 0] {
            with_unknown.insert(at, 0x3b1);
        }
        let surprisals = SurprisalScorer::new(&model, &vocab, ContextStart::None, 0).score_text(&with_unknown);
        let (unknown, known): (Vec<_>, Vec<_>) = surprisals.into_iter().partition(|surprisal| !surprisal.known);
        assert_eq!(known, expected);
        assert_eq!((unknown.len(), unknown[0].nats), (5, None), "nothing predicts the very first character");
        assert!(unknown[1..].iter().all(|surprisal| (43.0..45.0).contains(&(surprisal.nats.unwrap() / 2f64.ln()))));
        let lines = SurprisalScorer::new(&model, &vocab, ContextStart::None, 0).score_lines(&[
            vec![],
            vec![0x3b1, 97],
            vec![97, 98],
        ]);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [0, 2, 2]);
        // Without a start, nothing predicts the first character of a line.
        assert!(lines[2][0].nats.is_none() && lines[2][1].nats.is_some());
        let corpus = Corpus::from_text("t", &b"ab"[..], Encoding::Utf8).unwrap();
        let loss = windowed_loss(&model, &corpus, &vocab, 0..2, 1).unwrap();
        assert!((lines[2][1].nats.unwrap() - loss.total_nats).abs() < 1e-6);
    }
}
