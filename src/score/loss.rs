//! The loss of a model over a part of a corpus.

use std::ops::Range;

use super::stream_scorer::{StreamScorer, Transition};
use super::surprisal::bits;
use crate::data::{ContextStart, Corpus, CorpusCursor, PairReader, RecordSet, RecordSpan, TextPart, Vocab};
use crate::error::{Error, Result};
use crate::kernels::{Precision, softmax};
use crate::model::{CharLm, InferenceModel, InferenceSession};

/// Characters per window; the state is carried from one window to the next.
const STEPS: usize = 32;
/// The number of characters that warm up each stream of [`held_out_loss`]; they are not scored.
pub const WARM_UP: usize = 512;
/// The maximum number of characters that [`held_out_loss`] scores.
pub const MAX_HELD_OUT: usize = 1_000_000;
const MIN_STREAM: usize = 4096;
const MIN_RECORD_STREAM: usize = 256;
const MAX_STREAMS: usize = 64;

/// The loss over the characters of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextLoss {
    /// The sum over all characters, in nats.
    pub total_nats: f64,
    /// The number of scored characters.
    pub chars: u64,
    /// Those of them that the model reads as [`UNKNOWN`](crate::data::UNKNOWN).
    pub unknown: u64,
    /// The part of `total_nats` that is theirs.
    pub unknown_nats: f64,
}

/// The loss of one character, and whether the model reads it as unknown.
#[derive(Clone, Copy, Debug)]
struct CharLoss {
    nats: f64,
    is_unknown: bool,
}

impl TextLoss {
    /// Nats per character.
    pub fn nats(&self) -> f64 {
        self.total_nats / self.chars as f64
    }

    /// Bits per character.
    pub fn bits(&self) -> f64 {
        bits(self.nats())
    }

    /// Nats per character of the vocabulary, without the unknown characters; `None` if all are unknown.
    pub fn known_nats(&self) -> Option<f64> {
        let chars = self.chars - self.unknown;
        (chars > 0).then(|| (self.total_nats - self.unknown_nats) / chars as f64)
    }

    /// Adds losses and the streams that they belong to. They are summed per stream first, so that the result does not depend on how
    /// streams are divided among threads.
    fn add(&mut self, losses: &[(usize, CharLoss)], streams: usize) {
        let (mut sums, mut unknown_sums) = (vec![0.0; streams], vec![0.0; streams]);
        for (stream, loss) in losses {
            sums[*stream] += loss.nats;
            if loss.is_unknown {
                unknown_sums[*stream] += loss.nats;
                self.unknown += 1;
            }
        }
        self.total_nats += sums.iter().sum::<f64>();
        self.unknown_nats += unknown_sums.iter().sum::<f64>();
        self.chars += losses.len() as u64;
    }
}

/// The exact loss over a part of a corpus: one stream, with the state carried from the start of the part, which follows `start`.
///
/// # Errors
/// [`Error::Corpus`] if the part is too short or contains a character that is not in the vocabulary.
pub fn carried_loss(
    model: &InferenceModel<'_>,
    corpus: &Corpus,
    vocab: &Vocab,
    part: Range<usize>,
    start: ContextStart,
) -> Result<TextLoss> {
    check_length(corpus, &part)?;
    let follows = vocab.context_start(start);
    let span = ScoredSpan { follows, start: part.start, scored_from: part.start, end: part.end - 1 };
    let loss = score_spans(model, corpus, vocab, std::iter::once(span), 1, &|| false);
    loss.map(Option::unwrap_or_default)
}

/// The loss over windows of `window` predictions, each from the zero state; every character but the first is scored.
///
/// # Errors
/// Those of [`carried_loss`]; [`Error::OutOfRange`] if `window` is 0.
pub fn windowed_loss(
    model: &InferenceModel<'_>,
    corpus: &Corpus,
    vocab: &Vocab,
    part: Range<usize>,
    window: usize,
) -> Result<TextLoss> {
    check_length(corpus, &part)?;
    if window == 0 {
        return Err(Error::out_of_range("window", 0, "at least 1"));
    }
    let end = part.end - 1;
    let span = |start: usize| {
        let end = end.min(start.saturating_add(window));
        ScoredSpan { follows: None, start, scored_from: start, end }
    };
    let count = (end - part.start).div_ceil(window);
    let spans = (part.start..end).step_by(window).map(span);
    let loss = score_spans(model, corpus, vocab, spans, count.min(MAX_STREAMS), &|| false);
    loss.map(Option::unwrap_or_default)
}

/// The loss over records, each from the zero state; the end of a record counts as a character.
///
/// # Errors
/// [`Error::Corpus`] if a record contains a character that the model does not know, [`Error::Usage`] for a model of running text.
pub fn records_loss(model: &InferenceModel<'_>, set: RecordSet<'_>, vocab: &Vocab) -> Result<TextLoss> {
    score_records(model, set, vocab, u64::MAX, &|| false).map(Option::unwrap_or_default)
}

/// The loss over held-out text as training reports it. For running text it is a close and much faster estimate of [`carried_loss`]:
/// parallel streams, each warmed up on the [`WARM_UP`] characters before it. At most [`MAX_HELD_OUT`] characters are scored.
pub fn held_out_loss(model: &CharLm<f32>, part: &TextPart<'_>, vocab: &Vocab) -> Result<TextLoss> {
    held_out_loss_unless(&|| false, model, part, vocab).map(Option::unwrap_or_default)
}

/// Like [`held_out_loss`], but returns `None` as soon as `stop`, which is called before each window, returns true.
pub fn held_out_loss_unless(
    stop: &dyn Fn() -> bool,
    model: &CharLm<f32>,
    part: &TextPart<'_>,
    vocab: &Vocab,
) -> Result<Option<TextLoss>> {
    let model = InferenceModel::new(model, Precision::F32);
    let (corpus, part) = match part {
        TextPart::Running(corpus, range) => (*corpus, range),
        TextPart::Records(set) => return score_records(&model, *set, vocab, MAX_HELD_OUT as u64, stop),
    };
    check_length(corpus, part)?;
    let predictions = (part.len() - 1).min(MAX_HELD_OUT);
    let streams = held_out_streams(predictions);
    let span = |i: usize| {
        let (scored_from, end) = (i * predictions / streams, (i + 1) * predictions / streams);
        let start = part.start + scored_from.saturating_sub(WARM_UP);
        ScoredSpan { follows: None, start, scored_from: part.start + scored_from, end: part.start + end }
    };
    score_spans(&model, corpus, vocab, (0..streams).map(span), streams, stop)
}

fn held_out_streams(predictions: usize) -> usize {
    (predictions / MIN_STREAM).clamp(1, MAX_STREAMS)
}

fn record_streams(predictions: usize) -> usize {
    (predictions / MIN_RECORD_STREAM).clamp(1, MAX_STREAMS)
}

/// The number of positions for which [`held_out_loss`] stores activations, for a text of `chars` characters.
pub fn held_out_positions(chars: usize) -> usize {
    record_streams(chars.min(MAX_HELD_OUT)) * (STEPS + 1)
}

fn check_length(corpus: &Corpus, part: &Range<usize>) -> Result<()> {
    if part.len() < 2 {
        return Err(Error::corpus(corpus.name(), "the text to score needs at least two characters"));
    }
    Ok(())
}

/// A span of a text that is read from the zero state. A position is the index of an input character, which predicts the next.
#[derive(Clone, Copy, Debug)]
struct ScoredSpan {
    /// The token id that is read first, if any; it predicts the first character.
    follows: Option<u32>,
    start: usize,
    /// The first character whose prediction is scored.
    scored_from: usize,
    end: usize,
}

/// Scores spans, given in text order, in `streams` parallel streams. Returns `None` when `stop` returns true.
fn score_spans(
    model: &InferenceModel<'_>,
    corpus: &Corpus,
    vocab: &Vocab,
    mut spans: impl Iterator<Item = ScoredSpan>,
    streams: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TextLoss>> {
    let mut scorer = StreamScorer::new(InferenceSession::new(model, streams, STEPS));
    let (mut loss, mut readers) = (TextLoss::default(), Vec::with_capacity(streams));
    let (mut cursor, mut at) = (corpus.cursor(0), 0);
    loop {
        readers.clear();
        for span in spans.by_ref().take(streams) {
            cursor = corpus.advance(cursor, at, span.start);
            at = span.start;
            readers.push((span, PairReader::new(corpus, cursor, span.start, span.end)));
        }
        let predictions = |span: &ScoredSpan| span.end - span.start + usize::from(span.follows.is_some());
        let Some(longest) = readers.iter().map(|(span, _)| predictions(span)).max() else {
            return corpus.check_not_truncated().map(|()| Some(loss));
        };
        scorer.session.reset();
        for start in (0..longest).step_by(STEPS) {
            if stop() {
                return Ok(None);
            }
            let next = |stream: usize| {
                let Some((span, reader)) = readers.get_mut(stream) else { return Ok(None) };
                if let Some(input) = span.follows.take() {
                    let target = reader.peek(corpus, vocab)?;
                    return Ok(Some(Transition { input, target, reset: false, is_scored: true }));
                }
                let is_scored = reader.position >= span.scored_from;
                let pair = reader.next(corpus, vocab)?;
                Ok::<_, Error>(pair.map(|(input, target)| Transition { input, target, reset: false, is_scored }))
            };
            loss.add(&scorer.score_window(STEPS.min(longest - start), next, cross_entropy(vocab))?, streams);
        }
    }
}

fn cross_entropy(vocab: &Vocab) -> impl Fn(&mut Vec<f32>, &mut [f32], u32) -> CharLoss + Sync {
    let unknown = vocab.unknown();
    move |_, logits, target| CharLoss {
        nats: softmax::cross_entropy(logits, target as usize, 1.0),
        is_unknown: Some(target) == unknown,
    }
}

/// Scores records, each from the zero state, until `max` characters have been read. A stream that has read a record takes the next
/// one. Returns `None` when `stop` returns true.
fn score_records(
    model: &InferenceModel<'_>,
    set: RecordSet<'_>,
    vocab: &Vocab,
    max: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Option<TextLoss>> {
    let no_records = || Error::Usage("the model was trained on running text, so it has no record boundary".into());
    let boundary = vocab.record_boundary().ok_or_else(no_records)?;
    let streams = record_streams(set.counts().predictions.min(max) as usize);
    let mut scorer = StreamScorer::new(InferenceSession::new(model, streams, STEPS));
    let mut open = vec![None; streams];
    let (mut records, mut loss, mut started) = (set.iter(), TextLoss::default(), 0);
    loop {
        if stop() {
            return Ok(None);
        }
        let next = |stream: usize| {
            let slot: &mut Option<(RecordSpan, CorpusCursor, u32)> = &mut open[stream];
            let reset = slot.is_none();
            if reset && started < max {
                *slot = records.next().map(|record| (record.clone(), record.cursor(), boundary));
            }
            let Some((record, cursor, input)) = slot else { return Ok(None) };
            started += 1;
            let target = set.next_token(vocab, boundary, record, cursor)?;
            let transition = Transition { input: *input, target, reset, is_scored: true };
            *input = target;
            if target == boundary {
                *slot = None;
            }
            Ok::<_, Error>(Some(transition))
        };
        let losses = scorer.score_window(STEPS, next, cross_entropy(vocab))?;
        if losses.is_empty() {
            return set.corpus().check_not_truncated().map(|()| Some(loss));
        }
        loss.add(&losses, streams);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::model::ModelConfig;

    pub fn sample(chars: usize) -> (CharLm<f32>, Corpus, Vocab) {
        let text: String = (0..chars).map(|i| char::from(b'a' + (i * i / 7 % 11) as u8)).collect();
        let corpus = Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
        let config =
            ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 12, embed_size: 6, vocab_size: vocab.len() };
        let mut model = CharLm::init(&config, 1).unwrap();
        model.weights.iter_mut().for_each(|w| *w *= 1.5);
        (model, corpus, vocab)
    }

    #[test]
    fn windows_start_from_the_zero_state_and_cover_every_character() {
        let (char_lm, corpus, vocab) = sample(333);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let carried = |part| carried_loss(&model, &corpus, &vocab, part, ContextStart::None).unwrap();
        let windows = |window| windowed_loss(&model, &corpus, &vocab, 0..333, window).unwrap();
        let sum: f64 = (0..332).step_by(10).map(|start| carried(start..(start + 11).min(333)).total_nats).sum();
        assert_eq!(windows(10).chars, 332);
        assert!((windows(10).total_nats - sum).abs() < 1e-3 * sum, "{} {sum}", windows(10).total_nats);
        let whole = carried(0..333);
        assert!((windows(10).nats() - whole.nats()).abs() > 1e-4);
        assert!((windows(10_000).nats() - whole.nats()).abs() < 1e-6 && whole.chars == 332);
    }

    #[test]
    fn the_held_out_estimate_is_close_to_the_carried_loss() {
        let (char_lm, corpus, vocab) = sample(30_000);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let exact = carried_loss(&model, &corpus, &vocab, 100..30_000, ContextStart::None).unwrap();
        let estimate = held_out_loss(&char_lm, &TextPart::Running(&corpus, 100..30_000), &vocab).unwrap();
        assert_eq!(exact.chars, estimate.chars);
        assert!((exact.nats() - estimate.nats()).abs() < 1e-5, "{} {}", exact.nats(), estimate.nats());
        assert_eq!(
            held_out_loss_unless(&|| true, &char_lm, &TextPart::Running(&corpus, 100..30_000), &vocab).unwrap(),
            None
        );
    }

    /// Only Unix allows a mapped file to be truncated.
    #[cfg(unix)]
    #[test]
    fn zeros_in_place_of_truncated_text_are_not_scored() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let corpus = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        let config = ModelConfig { cell: "lstm".into(), num_layers: 1, hidden_size: 4, embed_size: 0, vocab_size: 2 };
        let char_lm = CharLm::init(&config, 1).unwrap();
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let score = || {
            (
                carried_loss(&model, &corpus, &vocab, 0..300, ContextStart::None),
                held_out_loss(&char_lm, &TextPart::Running(&corpus, 0..300), &vocab),
            )
        };
        assert!(matches!(score(), (Ok(_), Ok(_))));
        file.as_file().set_len(290).unwrap();
        assert!(matches!(score(), (Err(Error::Changed { .. }), Err(Error::Changed { .. }))));
    }

    #[test]
    fn rejects_a_text_without_predictions_and_an_empty_window() {
        let (char_lm, corpus, vocab) = sample(50);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        assert!(carried_loss(&model, &corpus, &vocab, 7..8, ContextStart::None).is_err());
        assert!(windowed_loss(&model, &corpus, &vocab, 0..50, 0).is_err());
    }
}
