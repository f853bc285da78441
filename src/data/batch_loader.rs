//! A part of a corpus read as `B` contiguous streams, side by side.
//!
//! The predictions of the part (every character but its first) are shared out among the streams, in order, as evenly as can be.
//! A window takes the next characters of every stream; in the last windows of an epoch the shorter streams have run out, and
//! their places do not count. So every character is predicted exactly once an epoch.

use std::ops::Range;

use super::corpus::Corpus;
use super::loss_mask::LossMask;
use super::reader::PairReader;
use super::vocab::Vocab;
use crate::error::Result;

/// The streams of a part of a corpus, at some position.
#[derive(Clone, Debug)]
pub struct BatchLoader {
    part: Range<usize>,
    readers: Vec<PairReader>,
    /// The number of the file that each reader stood in before the last window.
    files: Vec<usize>,
    /// Characters that every stream has given.
    position: usize,
}

impl BatchLoader {
    /// The characters `part` of a corpus as `batch` streams that begin at `position`.
    pub fn new(corpus: &Corpus, part: Range<usize>, batch: usize, position: usize) -> Self {
        let predictions = part.len().saturating_sub(1);
        let reader = |i: usize| {
            let (start, end) = (i * predictions / batch, (i + 1) * predictions / batch);
            let at = part.start + end.min(start.saturating_add(position));
            PairReader::new(corpus, corpus.cursor(at), at, part.start + end)
        };
        let readers: Vec<PairReader> = (0..batch).map(reader).collect();
        BatchLoader { files: readers.iter().map(PairReader::file).collect(), readers, part, position }
    }

    /// Marks the last `steps` characters that were read: weights, which are left 0 beyond a stream's end, and resets.
    pub fn apply_loss_mask(&self, marks: &LossMask, steps: usize, weights: &mut [f32], resets: &mut [bool]) {
        let (batch, predictions) = (self.readers.len(), self.part.len().saturating_sub(1));
        for s in 0..batch {
            let [start, end] = [s, s + 1].map(|i| self.part.start + i * predictions / batch);
            let first = start + self.position - steps;
            for (t, place) in (first..end.min(first + steps)).enumerate() {
                weights[t * batch + s] = marks.weight(place + 1);
                resets[t * batch + s] = marks.reset(place);
            }
        }
    }

    /// Characters that every stream has given in this epoch.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Predictions of the longest stream: the length of an epoch.
    pub fn len(&self) -> usize {
        self.part.len().saturating_sub(1).div_ceil(self.readers.len())
    }

    /// Whether there is nothing to predict.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Characters of the next window, at most `seq_len`; 0 at the end of the epoch.
    pub fn next_steps(&self, seq_len: usize) -> usize {
        seq_len.min(self.len() - self.position)
    }

    /// Goes back to the beginning, for the next epoch.
    pub fn rewind(&mut self, corpus: &Corpus) {
        *self = BatchLoader::new(corpus, self.part.clone(), self.readers.len(), 0);
    }

    /// Reads the next `steps` characters of every stream into time-major buffers `(steps, B)`. A place beyond a stream's end gets
    /// weight 0, the others weight 1.
    ///
    /// # Errors
    /// [`Error::Corpus`](crate::error::Error::Corpus) where the text has a character that is not in the vocabulary,
    /// [`Error::Changed`](crate::error::Error::Changed) where a file was cut short.
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
        for (s, reader) in self.readers.iter_mut().enumerate() {
            for at in (0..steps).map(|t| t * batch + s) {
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

    /// Refuses a file that was read in this window and is not whole. Each is asked once: a stream's files do not come before
    /// those of the stream before it.
    fn check_not_truncated(&mut self, corpus: &Corpus) -> Result<()> {
        let mut asked = 0;
        for (reader, from) in self.readers.iter().zip(&mut self.files) {
            let now = reader.file();
            corpus.check_range_not_truncated((*from).max(asked)..now + 1)?;
            (asked, *from) = (now + 1, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Encoding;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_character_is_predicted_exactly_once_from_the_one_before(
            text in "\\PC{2,300}", batch in 1usize..9, seq_len in 1usize..40, skip in 0usize..5, resume in 0usize..9,
        ) {
            let corpus = Corpus::from_text("test", text.clone().into_bytes(), Encoding::Utf8).unwrap();
            let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
            let part = skip.min(corpus.chars() - 1)..corpus.chars();
            let wanted: Vec<u32> = vocab.encode(text.as_bytes()).unwrap()[part.clone()].to_vec();
            let mut streams = BatchLoader::new(&corpus, part.clone(), batch, 0);
            let (mut by_stream, mut window) = (vec![Vec::new(); batch], 0);
            loop {
                let steps = streams.next_steps(seq_len);
                if steps == 0 {
                    break;
                }
                if window == resume {
                    streams = BatchLoader::new(&corpus, part.clone(), batch, streams.position());
                }
                let n = steps * batch;
                let (mut inputs, mut targets, mut weights) = (vec![9999; n], vec![9999; n], vec![9.0; n]);
                streams.read(&corpus, &vocab, steps, &mut inputs, &mut targets, &mut weights).unwrap();
                for at in (0..n).filter(|&at| weights[at] == 1.0) {
                    by_stream[at % batch].push((inputs[at], targets[at]));
                }
                prop_assert!(weights.iter().all(|w| *w == 0.0 || *w == 1.0));
                window += 1;
            }
            prop_assert_eq!(window, streams.len().div_ceil(seq_len));
            let pairs: Vec<(u32, u32)> = by_stream.concat();
            let all: Vec<(u32, u32)> = wanted.windows(2).map(|pair| (pair[0], pair[1])).collect();
            prop_assert_eq!(pairs, all);
        }
    }

    /// Elsewhere than on Unix a file that is mapped cannot be cut.
    #[cfg(unix)]
    #[test]
    fn every_file_of_a_window_must_be_whole_and_no_other() {
        use std::fs::File;
        // Two streams over four files of 15: the second begins at the last character of the second file.
        let folder = tempfile::tempdir().unwrap();
        let paths = ["0", "1", "2", "3"].map(|name| folder.path().join(name));
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        for (cut, windows) in [(0, 0), (1, 0), (2, 0), (3, 1)] {
            paths.iter().for_each(|path| std::fs::write(path, [7; 15]).unwrap());
            let corpus = Corpus::open(&paths, Encoding::Bytes).unwrap();
            let mut streams = BatchLoader::new(&corpus, 0..60, 2, 0);
            let mut read = || {
                let (mut inputs, mut targets, mut weights) = ([0; 20], [0; 20], [0.0; 20]);
                streams.read(&corpus, &vocab, 10, &mut inputs, &mut targets, &mut weights)
            };
            File::options().write(true).open(&paths[cut]).unwrap().set_len(14).unwrap();
            (0..windows).for_each(|_| read().unwrap());
            let message = read().unwrap_err().to_string();
            assert!(message.starts_with(&*paths[cut].to_string_lossy()), "{message}");
        }
    }

    #[test]
    fn the_next_epoch_is_the_same() {
        let corpus = Corpus::from_text("test", &b"abcdefgh"[..], Encoding::Utf8).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied());
        let mut streams = BatchLoader::new(&corpus, 0..8, 2, 0);
        let mut read = || {
            let (mut inputs, mut targets, mut weights) = ([0; 8], [0; 8], [0.0; 8]);
            streams.read(&corpus, &vocab, 4, &mut inputs, &mut targets, &mut weights).unwrap();
            streams.rewind(&corpus);
            (inputs, targets, weights)
        };
        assert_eq!(read(), read());
    }
}
