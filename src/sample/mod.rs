//! Generation: logits to a character, a prompt to characters.
//!
//! - [`SamplingConfig`]: how a distribution is shaped before a character is drawn
//! - [`Generator`]: one text, character by character
//! - [`Batch`]: many texts at once, up to a length or a stop
//! - [`Pattern`]: lines that match a regular expression
//! - [`lines`]: whole lines, as many as are wanted

mod batch;
mod config;
mod explorer;
mod generator;
mod lines;
mod pattern;
mod writer;

pub use batch::{Batch, Generated, StopCriteria};
pub use config::SamplingConfig;
pub use generator::{Generator, Snapshot};
pub use lines::{By, Ended, Line, LineStats, MOST_CHARS_IN_VAIN, MOST_IN_VAIN, Wanted, lines};
pub use pattern::{Pattern, Place};
