//! Scoring of texts: the loss in nats per character, and the surprisal of every character, word and line.
//!
//! The first character of a text is not scored, since nothing predicts it.
//!
//! - [`carried_loss`], [`windowed_loss`], [`records_loss`], [`held_out_loss`]: the [`TextLoss`] of a part of a corpus
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
    MAX_HELD_OUT, TextLoss, WARM_UP, carried_loss, held_out_loss, held_out_loss_unless, held_out_positions,
    records_loss, windowed_loss,
};
pub use ngram::NGram;
pub use surprisal::{ESCAPE_BITS, Prediction, Surprisal, bits, unknown_choice_bits};
pub use surprisal_scorer::SurprisalScorer;
pub use units::{SurprisalSum, SurprisalUnit};
