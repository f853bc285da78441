//! Memory-mapped corpora, vocabularies, and how they are read for training. Independent of the model.
//!
//! - [`Corpus`]: one or several files as one text, memory-mapped
//! - [`Vocab`]: symbols and their token ids
//! - [`Dataset`]: a training text and a held-out text, optionally with a [`LossMask`] and replayed old text
//! - [`TextPart`]: a part of a dataset, running text or the records of a [`RecordIndex`]
//! - `BatchLoader`, `RecordLoader`: running text and records as parallel streams

mod batch_loader;
mod corpus;
mod corpus_file;
mod dataset;
mod encoding;
mod list_like;
mod loss_mask;
mod map;
mod permutation;
mod provenance;
mod record_hashes;
mod record_loader;
mod records;
mod replay;
mod scan;
mod segments;
mod text_format;
mod text_part;
mod token_counts;
mod unknown_symbol;
mod vocab;

pub(crate) use batch_loader::{BatchLoader, PairReader};
pub use corpus::{Corpus, CorpusCursor, CorpusIdentity};
pub use dataset::{BUILT_IN, BUILT_IN_NAME, Dataset, DatasetConfig, DatasetIdentity};
pub use encoding::Encoding;
pub(crate) use encoding::is_continuation_byte;
pub use list_like::ListLike;
pub use loss_mask::LossMask;
pub use provenance::DatasetProvenance;
pub use record_hashes::RecordHashes;
pub(crate) use record_loader::{RecordLoader, RecordPosition};
pub(crate) use records::RecordSpan;
pub use records::{RecordCounts, RecordIndex, RecordKind, RecordPart};
pub use replay::{ReplayConfig, ReplayIdentity};
pub use segments::{Segment, split_lines, split_paragraphs};
pub use text_format::check_text;
pub use text_part::{RecordSet, TextPart};
pub use vocab::{ContextStart, RECORD_BOUNDARY, UNKNOWN, Vocab};
