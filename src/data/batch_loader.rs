//! Reads a range of a corpus as `B` parallel streams of (input, target) pairs.
//!
//! The predictions of the range (every character but the first) are divided evenly into `B` contiguous streams. Each window takes
//! the next characters of every stream. In the last windows of an epoch the shorter streams have ended and get weight 0, so every
//! character is predicted exactly once per epoch.

use std::ops::Range;

use super::corpus::{Corpus, CorpusCursor};
use super::{loss_mask::LossMask, unknown_symbol::unknown_symbol, vocab::Vocab};
use crate::error::Result;

#[derive(Clone, Debug)]
pub struct BatchLoader {
    range: Range<usize>,
    readers: Vec<PairReader>,
    /// For each reader, the index of the file that it was in before the last window.
    files: Vec<usize>,
    /// Characters that each stream has read in this epoch.
    pub position: usize,
}

impl BatchLoader {
    /// Divides `range` of a corpus into `batch` streams, each starting at `position`.
    pub fn new(corpus: &Corpus, range: Range<usize>, batch: usize, position: usize) -> Self {
        let reader = |stream| {
            let stream = stream_range(&range, stream, batch);
            let at = stream.end.min(stream.start.saturating_add(position));
            PairReader::new(corpus, corpus.cursor(at), at, stream.end)
        };
        let readers: Vec<PairReader> = (0..batch).map(reader).collect();
        BatchLoader { files: readers.iter().map(|reader| reader.cursor.file).collect(), readers, range, position }
    }

    /// The length of an epoch: predictions of the longest stream.
    pub fn len(&self) -> usize {
        self.range.len().saturating_sub(1).div_ceil(self.readers.len())
    }

    /// The length of the next window, at most `seq_len`; 0 at the end of the epoch.
    pub fn next_window_len(&self, seq_len: usize) -> usize {
        seq_len.min(self.len() - self.position)
    }

    pub fn rewind(&mut self, corpus: &Corpus) {
        *self = BatchLoader::new(corpus, self.range.clone(), self.readers.len(), 0);
    }

    /// Reads the next characters of every stream into buffers of shape `(steps, B)`. Weights are 1, or 0 after a stream's end.
    pub fn read(
        &mut self,
        corpus: &Corpus,
        vocab: &Vocab,
        steps: usize,
        inputs: &mut [u32],
        targets: &mut [u32],
        weights: &mut [f32],
    ) -> Result<()> {
        let batch = self.readers.len();
        assert!(inputs.len() == steps * batch && targets.len() == inputs.len() && weights.len() == inputs.len());
        for (stream, reader) in self.readers.iter_mut().enumerate() {
            for at in (0..steps).map(|t| t * batch + stream) {
                (inputs[at], targets[at], weights[at]) = match reader.next(corpus, vocab)? {
                    Some((input, target)) => (input, target, 1.0),
                    None => (0, 0, 0.0),
                };
            }
        }
        self.check_not_truncated(corpus)?;
        self.position += steps;
        Ok(())
    }

    /// Checks the files that were read in the last window, each once: streams read files in order.
    fn check_not_truncated(&mut self, corpus: &Corpus) -> Result<()> {
        let mut checked = 0;
        for (reader, previous) in self.readers.iter().zip(&mut self.files) {
            let current = reader.cursor.file;
            corpus.check_range_not_truncated(checked.max(*previous)..current + 1)?;
            (checked, *previous) = (current + 1, current);
        }
        Ok(())
    }

    /// Writes the loss weights and state resets of the last `steps` characters, shape `(steps, B)`, up to each stream's end.
    pub fn apply_loss_mask(&self, mask: &LossMask, steps: usize, weights: &mut [f32], resets: &mut [bool]) {
        let batch = self.readers.len();
        for s in 0..batch {
            let stream = stream_range(&self.range, s, batch);
            let first = stream.start + self.position - steps;
            for (t, at) in (first..stream.end.min(first + steps)).enumerate() {
                weights[t * batch + s] = mask.weights[at + 1];
                resets[t * batch + s] = mask.resets[at];
            }
        }
    }
}

fn stream_range(range: &Range<usize>, stream: usize, batch: usize) -> Range<usize> {
    let predictions = range.len().saturating_sub(1);
    range.start + stream * predictions / batch..range.start + (stream + 1) * predictions / batch
}

/// Reads predictions `position..end` of a corpus: the input of prediction `p` is character `p`, its target character `p + 1`.
#[derive(Clone, Copy, Debug)]
pub struct PairReader {
    pub(super) cursor: CorpusCursor,
    /// The symbol of the next input; `None` at the end of the corpus.
    input: Option<u32>,
    /// The index of the next prediction.
    pub position: usize,
    end: usize,
}

impl PairReader {
    /// A reader of predictions `position..end`; `cursor` must be at character `position`.
    pub fn new(corpus: &Corpus, mut cursor: CorpusCursor, position: usize, end: usize) -> Self {
        let input = if position < end { cursor.next(corpus) } else { None };
        PairReader { cursor, input, position, end }
    }

    /// The token ids of the next input and its target; `None` after the last prediction.
    #[inline]
    pub fn next(&mut self, corpus: &Corpus, vocab: &Vocab) -> Result<Option<(u32, u32)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let input = self.peek(corpus, vocab)?;
        self.input = self.cursor.next(corpus);
        self.position += 1;
        Ok(Some((input, self.peek(corpus, vocab)?)))
    }

    /// The token id of the next input.
    #[inline]
    pub fn peek(&self, corpus: &Corpus, vocab: &Vocab) -> Result<u32> {
        let id = self.input.and_then(|symbol| vocab.id(symbol));
        id.ok_or_else(|| unknown_symbol(corpus, vocab, self.input, Some(self.position)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_character_is_predicted_exactly_once_from_its_predecessor(
            text in "\\PC{2,300}", batch in 1usize..9, seq_len in 1usize..40, skip in 0usize..5, resume in 0usize..9,
        ) {
            let corpus = Corpus::from_text("test", text.clone().into_bytes(), Encoding::Utf8).unwrap();
            let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
            let range = skip.min(corpus.chars() - 1)..corpus.chars();
            let expected: Vec<u32> = vocab.encode(text.as_bytes()).unwrap()[range.clone()].to_vec();
            let mut loader = BatchLoader::new(&corpus, range.clone(), batch, 0);
            let (mut by_stream, mut window) = (vec![Vec::new(); batch], 0);
            loop {
                let steps = loader.next_window_len(seq_len);
                if steps == 0 {
                    break;
                }
                if window == resume {
                    loader = BatchLoader::new(&corpus, range.clone(), batch, loader.position);
                }
                let n = steps * batch;
                let (mut inputs, mut targets, mut weights) = (vec![9999; n], vec![9999; n], vec![9.0; n]);
                loader.read(&corpus, &vocab, steps, &mut inputs, &mut targets, &mut weights).unwrap();
                for at in (0..n).filter(|&at| weights[at] == 1.0) {
                    by_stream[at % batch].push((inputs[at], targets[at]));
                }
                prop_assert!(weights.iter().all(|w| *w == 0.0 || *w == 1.0));
                window += 1;
            }
            prop_assert_eq!(window, loader.len().div_ceil(seq_len));
            let pairs: Vec<(u32, u32)> = by_stream.concat();
            let all: Vec<(u32, u32)> = expected.windows(2).map(|pair| (pair[0], pair[1])).collect();
            prop_assert_eq!(pairs, all);
        }
    }

    #[cfg(unix)]
    #[test]
    fn detects_truncation_of_every_file_that_a_window_reads() {
        use std::fs::File;
        // Two streams over four files of 15: the second begins at the last character of the second file.
        let folder = tempfile::tempdir().unwrap();
        let paths = ["0", "1", "2", "3"].map(|name| folder.path().join(name));
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        for (truncated, windows) in [(0, 0), (1, 0), (2, 0), (3, 1)] {
            paths.iter().for_each(|path| std::fs::write(path, [7; 15]).unwrap());
            let corpus = Corpus::open(&paths, Encoding::Bytes).unwrap();
            let mut loader = BatchLoader::new(&corpus, 0..60, 2, 0);
            let mut read = || {
                let (mut inputs, mut targets, mut weights) = ([0; 20], [0; 20], [0.0; 20]);
                loader.read(&corpus, &vocab, 10, &mut inputs, &mut targets, &mut weights)
            };
            File::options().write(true).open(&paths[truncated]).unwrap().set_len(14).unwrap();
            (0..windows).for_each(|_| read().unwrap());
            let message = read().unwrap_err().to_string();
            assert!(message.starts_with(&*paths[truncated].to_string_lossy()), "{message}");
        }
    }

    #[test]
    fn every_epoch_reads_the_same_windows() {
        let corpus = Corpus::from_text("test", &b"abcdefgh"[..], Encoding::Utf8).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
        let mut loader = BatchLoader::new(&corpus, 0..8, 2, 0);
        let mut read = || {
            let (mut inputs, mut targets, mut weights) = ([0; 8], [0; 8], [0.0; 8]);
            loader.read(&corpus, &vocab, 4, &mut inputs, &mut targets, &mut weights).unwrap();
            loader.rewind(&corpus);
            (inputs, targets, weights)
        };
        assert_eq!(read(), read());
    }
}
