//! Text generation.
//!
//! - [`SamplingConfig`]: how the next character is drawn from the logits
//! - [`Generator`]: one text, character by character
//! - [`Batch`]: many texts at once, up to a length or a stop sequence
//! - [`Pattern`]: lines that match a regular expression
//! - [`sample_lines`]: a requested number of whole lines

mod automaton;
mod batch;
mod config;
mod generator;
mod lines;
mod pattern;
pub mod repetition;
mod sampler;

pub use batch::{Batch, Generated, StopCriteria};
pub use config::SamplingConfig;
pub use generator::{Generator, Snapshot};
pub use lines::{Line, LineRequest, LineStats, MAX_MISSED_CHARS, MAX_MISSES, MatchMethod, StopReason, sample_lines};
pub use pattern::{Pattern, PatternState};
