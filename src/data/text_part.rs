//! A part of a dataset, such as the held-out part: running text or records.

use std::ops::Range;

use super::corpus::{Corpus, CorpusCursor};
use super::records::{RecordCounts, RecordIndex, RecordPart, RecordSpan, records};
use super::token_counts::count_tokens;
use super::unknown_symbol::unknown_symbol;
use super::vocab::{RECORD_BOUNDARY, Vocab};
use crate::error::Result;

/// A part of a text.
#[derive(Clone, Debug)]
pub enum TextPart<'a> {
    /// A range of characters of running text.
    Running(&'a Corpus, Range<usize>),
    /// Records of a list-like text.
    Records(RecordSet<'a>),
}

impl<'a> TextPart<'a> {
    /// The text.
    pub fn corpus(&self) -> &'a Corpus {
        match self {
            TextPart::Running(corpus, _) => corpus,
            TextPart::Records(records) => records.corpus,
        }
    }

    /// The number of characters; each record also has its end.
    pub fn chars(&self) -> usize {
        match self {
            TextPart::Running(_, range) => range.len(),
            TextPart::Records(records) => records.counts().predictions as usize,
        }
    }

    /// Its symbols in order; each record ends with the boundary.
    pub fn symbols(&self) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self.clone() {
            TextPart::Running(corpus, range) => {
                let mut cursor = corpus.cursor(range.start);
                Box::new(range.map_while(move |_| cursor.next(corpus)))
            }
            TextPart::Records(set) => Box::new(set.iter().flat_map(move |record| {
                let mut cursor = record.cursor();
                let content = std::iter::from_fn(move || set.next_symbol(&record, &mut cursor));
                content.chain([RECORD_BOUNDARY])
            })),
        }
    }

    /// Counts each token of `vocab`. Skips characters that the vocabulary lacks.
    pub(crate) fn count_tokens(&self, vocab: &Vocab) -> Vec<u64> {
        if let TextPart::Running(corpus, range) = self {
            return count_tokens(corpus, range.clone(), vocab);
        }
        let mut counts = vec![0; vocab.len()];
        self.symbols().filter_map(|symbol| vocab.id(symbol)).for_each(|id| counts[id as usize] += 1);
        counts
    }
}

/// The records of a corpus that are trained on, or those that are held out.
#[derive(Clone, Copy, Debug)]
pub struct RecordSet<'a> {
    corpus: &'a Corpus,
    index: &'a RecordIndex,
    part: RecordPart,
}

impl<'a> RecordSet<'a> {
    pub(super) fn new(corpus: &'a Corpus, index: &'a RecordIndex, part: RecordPart) -> Self {
        RecordSet { corpus, index, part }
    }

    /// The text.
    pub fn corpus(&self) -> &'a Corpus {
        self.corpus
    }

    /// Its records and the predictions in them.
    pub fn counts(&self) -> RecordCounts {
        self.index.counts(self.part)
    }

    /// All records of the text, in every part.
    pub(super) fn index(&self) -> &'a RecordIndex {
        self.index
    }

    /// The records in the order of the text.
    pub(crate) fn iter(self) -> impl Iterator<Item = RecordSpan> + use<'a> {
        let all = records(self.corpus, self.index.kind());
        all.filter(move |(_, content)| self.index.is_in(self.part, content)).map(|(record, _)| record)
    }

    pub(super) fn contains(&self, record: &RecordSpan) -> bool {
        let content = self.corpus.file_bytes(record.file).get(record.bytes.clone());
        content.is_some_and(|content| self.index.is_in(self.part, content))
    }

    /// The next symbol of a record; `None` at its end.
    #[inline]
    pub(crate) fn next_symbol(&self, record: &RecordSpan, cursor: &mut CorpusCursor) -> Option<u32> {
        if record.is_read(*cursor) { None } else { cursor.next(self.corpus) }
    }

    /// The token id of the next symbol of a record, or `boundary` at its end.
    #[inline]
    pub(crate) fn next_token(
        &self,
        vocab: &Vocab,
        boundary: u32,
        record: &RecordSpan,
        cursor: &mut CorpusCursor,
    ) -> Result<u32> {
        let Some(symbol) = self.next_symbol(record, cursor) else { return Ok(boundary) };
        vocab.id(symbol).ok_or_else(|| unknown_symbol(self.corpus, vocab, Some(symbol), None))
    }
}
