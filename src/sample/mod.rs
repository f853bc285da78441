//! Generation: logits to a character, a prompt to characters.
//!
//! - [`Shaping`]: how a distribution is shaped before a character is drawn
//! - [`Generator`]: one text, character by character
//! - [`Batch`]: many texts at once, up to a length or a stop
//! - [`Pattern`]: lines that match a regular expression
//! - [`lines`]: whole lines, as many as are wanted

mod batch;
mod explorer;
mod generator;
mod lines;
mod pattern;
mod shaping;
mod writer;

pub use batch::{Batch, Until, Written};
pub use generator::{Generator, Snapshot};
pub use lines::{By, Ended, Line, MOST_CHARS_IN_VAIN, MOST_IN_VAIN, Tally, Wanted, lines};
pub use pattern::{Pattern, Place};
pub use shaping::Shaping;
