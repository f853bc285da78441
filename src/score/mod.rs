//! What a model makes of a text: its loss in nats per character, the surprise of every character, word and line, and what its units
//! hold while it reads.
//!
//! The first character of a text is not scored, since nothing predicts it.
//!
//! - [`SurprisalScorer`]: every character with its [`Surprisal`], as it comes; [`Unit`] and [`Sum`] take them together
//! - [`NGram`]: the baseline that counts; [`paired`]: how sure a difference is
//! - [`activity`]: states and gates after each character
//! - [`property`]: what is simply to be seen of a character, as a number
//! - [`correlation`]: the units that go with a property

pub mod activity;
mod bootstrap;
pub mod correlation;
mod lanes;
mod ngram;
pub mod property;
mod surprisal;
mod surprisal_scorer;
mod units;

pub use bootstrap::{Interval, paired};
pub use lanes::Loss;
pub use ngram::NGram;
pub use surprisal::{ESCAPE_BITS, Prediction, Surprisal};
pub use surprisal_scorer::SurprisalScorer;
pub use units::{Sum, Unit};

use std::ops::Range;

use crate::data::{Corpus, Vocab};
use crate::error::{Error, Result};
use crate::kernels::Precision;
use crate::model::{CharLm, InferenceModel};
use lanes::Lane;

/// Uncounted characters on which each stream of [`held_out`] is warmed.
pub const WARM_UP: usize = 512;
/// At most this many characters are scored by [`held_out`].
pub const MOST_HELD_OUT: usize = 1_000_000;
/// Characters of a stream of [`held_out`] at least.
const LEAST_STREAM: usize = 4096;
/// Streams side by side.
const MOST_STREAMS: usize = 64;

/// The exact loss over a part of a corpus: one stream, the state carried from its beginning.
///
/// # Errors
/// [`Error::Corpus`] where the text is too short or has a character that the model has never seen.
pub fn carried(ready: &InferenceModel<'_>, corpus: &Corpus, vocab: &Vocab, part: Range<usize>) -> Result<Loss> {
    check(corpus, &part)?;
    let lane = Lane { from: part.start, scored: part.start, end: part.end - 1 };
    lanes::score(ready, corpus, vocab, std::iter::once(lane), 1, &never).map(Option::unwrap_or_default)
}

/// The loss over windows of `window` predictions, each from a zero state; every character but the first is scored.
///
/// # Errors
/// As [`carried`]; [`Error::OutOfRange`] for a window of 0.
pub fn windows(
    ready: &InferenceModel<'_>,
    corpus: &Corpus,
    vocab: &Vocab,
    part: Range<usize>,
    window: usize,
) -> Result<Loss> {
    check(corpus, &part)?;
    if window == 0 {
        return Err(Error::out_of_range("window", 0, "at least 1"));
    }
    let end = part.end - 1;
    let lane = |from: usize| Lane { from, scored: from, end: end.min(from.saturating_add(window)) };
    let count = (end - part.start).div_ceil(window);
    let lanes = (part.start..end).step_by(window).map(lane);
    lanes::score(ready, corpus, vocab, lanes, count.min(MOST_STREAMS), &never).map(Option::unwrap_or_default)
}

/// The loss over held-out text as training reports it: parallel streams, each warmed on [`WARM_UP`] characters before its part,
/// at most [`MOST_HELD_OUT`] characters. A close estimate of [`carried`], many times as fast.
///
/// # Errors
/// As [`carried`].
pub fn held_out(model: &CharLm<f32>, corpus: &Corpus, vocab: &Vocab, part: Range<usize>) -> Result<Loss> {
    held_out_unless(&never, model, corpus, vocab, part).map(Option::unwrap_or_default)
}

/// As [`held_out`]; `None` where it was broken off, since `stop` said so, which is asked all the while.
///
/// # Errors
/// As [`carried`].
pub fn held_out_unless(
    stop: &dyn Fn() -> bool,
    model: &CharLm<f32>,
    corpus: &Corpus,
    vocab: &Vocab,
    part: Range<usize>,
) -> Result<Option<Loss>> {
    check(corpus, &part)?;
    let predictions = (part.len() - 1).min(MOST_HELD_OUT);
    let streams = streams(predictions);
    let lane = |i: usize| {
        let (scored, end) = (i * predictions / streams, (i + 1) * predictions / streams);
        let from = part.start + scored.saturating_sub(WARM_UP);
        Lane { from, scored: part.start + scored, end: part.start + end }
    };
    lanes::score(&InferenceModel::new(model, Precision::F32), corpus, vocab, (0..streams).map(lane), streams, stop)
}

/// What is not to be broken off.
fn never() -> bool {
    false
}

/// Streams that [`held_out`] reads side by side.
fn streams(predictions: usize) -> usize {
    (predictions / LEAST_STREAM).clamp(1, MOST_STREAMS)
}

/// Positions that [`held_out`] has activations for, of so many characters.
pub fn positions_at_once(chars: usize) -> usize {
    streams(chars.min(MOST_HELD_OUT)) * (lanes::STEPS + 1)
}

fn check(corpus: &Corpus, part: &Range<usize>) -> Result<()> {
    if part.len() < 2 {
        return Err(Error::corpus(corpus.name(), "the text to score needs at least two characters"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::data::Encoding;
    use crate::model::ModelConfig;

    pub fn sample(chars: usize) -> (CharLm<f32>, Corpus, Vocab) {
        let text: String = (0..chars).map(|i| char::from(b'a' + (i * i / 7 % 11) as u8)).collect();
        let corpus = Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 12, embed: 6, vocab: vocab.len() };
        let mut model = CharLm::init(&config, 1).unwrap();
        model.weights.iter_mut().for_each(|w| *w *= 1.5);
        (model, corpus, vocab)
    }

    #[test]
    fn one_window_over_everything_is_the_carried_loss() {
        let (model, corpus, vocab) = sample(700);
        let ready = InferenceModel::new(&model, Precision::F32);
        let whole = carried(&ready, &corpus, &vocab, 3..700).unwrap();
        let window = windows(&ready, &corpus, &vocab, 3..700, 10_000).unwrap();
        assert_eq!((whole.chars, window.chars), (696, 696));
        assert!((whole.nats() - window.nats()).abs() < 1e-6);
    }

    #[test]
    fn windows_begin_at_zero_and_cover_every_character() {
        let (model, corpus, vocab) = sample(333);
        let ready = InferenceModel::new(&model, Precision::F32);
        let got = windows(&ready, &corpus, &vocab, 0..333, 10).unwrap();
        let mut sum = 0.0;
        for start in (0..332).step_by(10) {
            let end = (start + 11).min(333);
            sum += carried(&ready, &corpus, &vocab, start..end).unwrap().total_nats;
        }
        assert_eq!(got.chars, 332);
        assert!((got.total_nats - sum).abs() < 1e-3 * sum, "{} {sum}", got.total_nats);
        assert!((got.nats() - carried(&ready, &corpus, &vocab, 0..333).unwrap().nats()).abs() > 1e-4);
    }

    /// A text of sevens that is mapped, and its file.
    pub fn mapped(len: usize) -> (tempfile::NamedTempFile, Corpus) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, vec![7; len]).unwrap();
        let corpus = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        (file, corpus)
    }

    #[test]
    fn warmed_streams_come_close_to_the_carried_loss() {
        let (model, corpus, vocab) = sample(30_000);
        let ready = InferenceModel::new(&model, Precision::F32);
        let exact = carried(&ready, &corpus, &vocab, 100..30_000).unwrap();
        let streams = held_out(&model, &corpus, &vocab, 100..30_000).unwrap();
        assert_eq!(exact.chars, streams.chars);
        assert!((exact.nats() - streams.nats()).abs() < 1e-5, "{} {}", exact.nats(), streams.nats());
    }

    /// Elsewhere than on Unix a file that is mapped cannot be cut.
    #[cfg(unix)]
    #[test]
    fn zeros_in_the_place_of_what_was_cut_off_are_not_scored() {
        let (file, corpus) = mapped(300);
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        let config = ModelConfig { cell: "lstm".into(), layers: 1, hidden: 4, embed: 0, vocab: 2 };
        let model = CharLm::init(&config, 1).unwrap();
        let ready = InferenceModel::new(&model, Precision::F32);
        let score = || (carried(&ready, &corpus, &vocab, 0..300), held_out(&model, &corpus, &vocab, 0..300));
        assert!(matches!(score(), (Ok(_), Ok(_))));
        file.as_file().set_len(290).unwrap();
        assert!(matches!(score(), (Err(Error::Changed { .. }), Err(Error::Changed { .. }))));
    }

    #[test]
    fn too_short_a_text_is_refused() {
        let (model, corpus, vocab) = sample(50);
        let ready = InferenceModel::new(&model, Precision::F32);
        assert!(carried(&ready, &corpus, &vocab, 7..8).is_err());
        assert!(windows(&ready, &corpus, &vocab, 0..50, 0).is_err());
    }
}
