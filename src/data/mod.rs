//! Text: memory-mapped, never copied, decoded as it is read. Knows nothing of the model.
//!
//! - [`Corpus`]: files one after another as one text, and their identity
//! - [`Vocab`]: characters and their ids
//! - [`LossMask`]: a weight and a reset for each character
//! - [`ReplayConfig`]: old text that is mixed in
//! - [`BatchLoader`]: a part of a corpus read as `B` contiguous streams, side by side
//! - [`Novelty`]: what a text copies from a corpus

mod batch_loader;
mod corpus;
mod dataset;
mod files;
mod line_hashes;
mod loss_mask;
mod map;
mod novelty;
mod part;
mod provenance;
mod reader;
mod replay;
mod scan;
mod segments;
mod suffixes;
mod token_counts;
mod utf8;
mod vocab;

pub use batch_loader::BatchLoader;
pub use corpus::{Corpus, CorpusCursor, CorpusIdentity};
pub use dataset::{Dataset, DatasetConfig, DatasetIdentity};
pub use line_hashes::LineHashes;
pub use loss_mask::LossMask;
pub(crate) use map::same_file;
pub use novelty::{Copied, Novelty, Span};
pub use provenance::DatasetProvenance;
pub use reader::PairReader;
pub use replay::{ReplayConfig, ReplayIdentity};
pub use segments::{Segment, split_lines, split_paragraphs};
pub use token_counts::count_tokens;
pub use vocab::Vocab;

use serde::{Deserialize, Serialize};

/// What a character of a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// A Unicode scalar value; the text is UTF-8.
    #[default]
    Utf8,
    /// A byte.
    Bytes,
}

/// The built-in text: a book of short fables, each with a title, a tale and a moral.
pub const BUILT_IN: &str = include_str!("../../data/fables.txt");

/// The name of the built-in text, of its run by default.
pub const BUILT_IN_NAME: &str = "fables";
