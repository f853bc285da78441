//! Scoring of texts: the loss in nats per character, and the surprisal of every character, word and line.
//!
//! The first character of a text is not scored, since nothing predicts it.
//!
//! - [`carried`], [`windows`], [`held_out`]: the [`TextLoss`] of a part of a corpus
//! - [`SurprisalScorer`]: the [`Surprisal`] of every character; [`SurprisalUnit`] and [`SurprisalSum`] combine them
//! - [`NGram`]: the n-gram baseline
//! - [`paired_bootstrap`]: the confidence interval for the difference between two models

mod bootstrap;
mod loss;
mod ngram;
mod stream_scorer;
mod surprisal;
mod surprisal_scorer;
mod units;

pub use bootstrap::{Interval, paired_bootstrap};
pub use loss::{
    MAX_HELD_OUT, TextLoss, WARM_UP, carried, held_out, held_out_unless, positions_at_once, records, windows,
};
pub use ngram::NGram;
pub use surprisal::{ESCAPE_BITS, Prediction, Surprisal, bits};
pub use surprisal_scorer::SurprisalScorer;
pub use units::{SurprisalSum, SurprisalUnit};
