//! Reads the training records of a corpus as `B` parallel streams of (input, target) pairs.
//!
//! The records form one endless queue, with a new random order of the whole list in every epoch. A stream that has read a record takes
//! the next one from the queue, so no stream ever waits. A record is read as the boundary, before which the state is reset, and its
//! characters; its last target is the boundary again.

use serde::{Deserialize, Serialize};

use super::corpus::CorpusCursor;
use super::permutation::{Permutation, mix};
use super::records::RecordSpan;
use super::text_part::RecordSet;
use super::vocab::Vocab;
use crate::error::{Error, Result};

/// Where a loader is, from which a resumed run continues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordPosition {
    /// The next place in the queue.
    next: u64,
    /// For each stream, the place in the queue of its record and the number of predictions read from it.
    streams: Vec<(u64, u64)>,
}

/// Places in the queue beyond this are not from a real run.
const MAX_PLACE: u64 = 1 << 60;

#[derive(Clone, Debug)]
pub(crate) struct RecordLoader {
    seed: u64,
    boundary: u32,
    next: u64,
    streams: Vec<RecordStream>,
    /// The files that were read since the last check.
    files: Vec<usize>,
}

#[derive(Clone, Debug)]
struct RecordStream {
    place: u64,
    record: RecordSpan,
    cursor: CorpusCursor,
    /// Predictions read from the record.
    read: u64,
    /// The token id of the next input.
    input: u32,
}

impl RecordLoader {
    /// A loader of `batch` streams at the start of an epoch.
    pub fn new(set: RecordSet<'_>, vocab: &Vocab, batch: usize, seed: u64, epoch: u64) -> Result<Self> {
        let next = epoch.saturating_mul(set.index().count()).min(MAX_PLACE);
        let mut loader = Self::empty(vocab, seed, next)?;
        for _ in 0..batch {
            let stream = loader.take_record(set)?;
            loader.streams.push(stream);
        }
        Ok(loader)
    }

    /// A loader that continues at a saved position; `None` if the position is not one in these records.
    pub fn resume(
        set: RecordSet<'_>,
        vocab: &Vocab,
        batch: usize,
        seed: u64,
        position: &RecordPosition,
    ) -> Result<Option<Self>> {
        let RecordPosition { next, streams } = position;
        if *next >= MAX_PLACE || streams.len() != batch || streams.iter().any(|(place, _)| place >= next) {
            return Ok(None);
        }
        let mut loader = Self::empty(vocab, seed, *next)?;
        for &(place, read) in streams {
            let record = loader.locate(set, place)?;
            if !set.contains(&record) {
                return Ok(None);
            }
            let mut stream = RecordStream::new(place, record, loader.boundary);
            while stream.read < read {
                if stream.advance(set, vocab, loader.boundary)? == loader.boundary {
                    return Ok(None);
                }
            }
            loader.streams.push(stream);
        }
        Ok(Some(loader))
    }

    fn empty(vocab: &Vocab, seed: u64, next: u64) -> Result<Self> {
        let missing = || Error::Usage("the vocabulary has no record boundary".into());
        let boundary = vocab.record_boundary().ok_or_else(missing)?;
        Ok(RecordLoader { seed, boundary, next, streams: Vec::new(), files: Vec::new() })
    }

    /// The current position.
    pub fn position(&self) -> RecordPosition {
        let streams = self.streams.iter().map(|stream| (stream.place, stream.read));
        RecordPosition { next: self.next, streams: streams.collect() }
    }

    /// The number of epochs whose records have all been started.
    pub fn epoch(&self, set: RecordSet<'_>) -> u64 {
        self.next / set.index().count()
    }

    /// Reads the next characters of every stream into buffers of shape `(T, B)`.
    pub fn read(
        &mut self,
        set: RecordSet<'_>,
        vocab: &Vocab,
        inputs: &mut [u32],
        targets: &mut [u32],
        resets: &mut [bool],
    ) -> Result<()> {
        let batch = self.streams.len();
        self.files.clear();
        self.files.extend(self.streams.iter().map(|stream| stream.record.file));
        for (at, ((input, target), reset)) in inputs.iter_mut().zip(targets).zip(resets).enumerate() {
            let stream = &mut self.streams[at % batch];
            (*input, *reset) = (stream.input, stream.read == 0);
            *target = stream.advance(set, vocab, self.boundary)?;
            if *target == self.boundary {
                let stream = self.take_record(set)?;
                self.files.push(stream.record.file);
                self.streams[at % batch] = stream;
            }
        }
        self.files.sort_unstable();
        self.files.dedup();
        self.files.iter().try_for_each(|file| set.corpus().check_range_not_truncated(*file..*file + 1))
    }

    /// The next training record of the queue.
    fn take_record(&mut self, set: RecordSet<'_>) -> Result<RecordStream> {
        for _ in 0..2 * set.index().count() {
            let place = self.next;
            self.next += 1;
            let record = self.locate(set, place)?;
            if set.contains(&record) {
                return Ok(RecordStream::new(place, record, self.boundary));
            }
        }
        Err(modified(set))
    }

    fn locate(&self, set: RecordSet<'_>, place: u64) -> Result<RecordSpan> {
        let count = set.index().count();
        let order = Permutation::new(count, mix(self.seed ^ mix(place / count)));
        set.index().locate(set.corpus(), order.at(place % count)).ok_or_else(|| modified(set))
    }
}

#[cold]
fn modified(set: RecordSet<'_>) -> Error {
    let problem = "a record is no longer there: the text was modified while it was in use";
    set.corpus().check_unchanged().err().unwrap_or_else(|| Error::corpus(set.corpus().name(), problem))
}

impl RecordStream {
    fn new(place: u64, record: RecordSpan, boundary: u32) -> Self {
        RecordStream { place, cursor: record.cursor(), record, read: 0, input: boundary }
    }

    /// Moves to the next input and returns it: it is the target of the current one.
    fn advance(&mut self, set: RecordSet<'_>, vocab: &Vocab, boundary: u32) -> Result<u32> {
        self.read += 1;
        self.input = set.next_token(vocab, boundary, &self.record, &mut self.cursor)?;
        Ok(self.input)
    }
}

#[cfg(test)]
mod tests {
    use super::super::corpus::Corpus;
    use super::super::records::{RecordIndex, RecordKind, RecordPart};
    use super::super::vocab::RECORD_BOUNDARY;
    use super::*;
    use crate::data::Encoding;
    use proptest::prelude::*;

    fn open(list: &[String], fraction: f64) -> (Corpus, RecordIndex, Vocab) {
        let corpus = Corpus::from_text("test", list.join("\n").into_bytes(), Encoding::Utf8).unwrap();
        let index = RecordIndex::new(&corpus, RecordKind::Line, fraction).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, corpus.symbols().iter().copied().chain([RECORD_BOUNDARY]));
        (corpus, index, vocab)
    }

    /// The next window of `(steps, batch)` as (input, target, reset).
    fn window(
        loader: &mut RecordLoader,
        set: RecordSet<'_>,
        vocab: &Vocab,
        (steps, batch): (usize, usize),
    ) -> Vec<(u32, u32, bool)> {
        let n = steps * batch;
        let (mut inputs, mut targets, mut resets) = (vec![0; n], vec![0; n], vec![false; n]);
        loader.read(set, vocab, &mut inputs, &mut targets, &mut resets).unwrap();
        (0..n).map(|at| (inputs[at], targets[at], resets[at])).collect()
    }

    fn lists() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-d\u{e9}]{1,5}", 1..40)
    }

    proptest! {
        #[test]
        fn each_epoch_reads_each_training_record_once(list in lists(), batch in 1usize..6, steps in 1usize..9, seed: u64) {
            const EPOCHS: usize = 3;
            let (corpus, index, vocab) = open(&list, 0.3);
            let set = RecordSet::new(&corpus, &index, RecordPart::Training);
            let mut expected: Vec<String> = list.iter().filter(|line| index.is_in(RecordPart::Training, line.as_bytes())).cloned().collect();
            prop_assume!(!expected.is_empty());
            let mut loader = RecordLoader::new(set, &vocab, batch, seed, 0).unwrap();
            let boundary = vocab.record_boundary().unwrap();
            let mut open_records = vec![String::new(); batch];
            // Records in the order in which streams took them from the queue: by place.
            let mut places: Vec<u64> = loader.position().streams.iter().map(|(place, _)| *place).collect();
            let mut read: Vec<(u64, String)> = Vec::new();
            while loader.epoch(set) < EPOCHS as u64 + 1 {
                for _ in 0..steps {
                    for (stream, (input, target, reset)) in window(&mut loader, set, &vocab, (1, batch)).into_iter().enumerate() {
                        prop_assert_eq!(reset, input == boundary);
                        prop_assert_eq!(reset, open_records[stream].is_empty());
                        if target == boundary {
                            read.push((places[stream], std::mem::take(&mut open_records[stream])));
                            places[stream] = loader.position().streams[stream].0;
                        } else {
                            open_records[stream].push(char::from_u32(vocab.symbol(target)).unwrap());
                        }
                    }
                }
            }
            read.sort();
            expected.sort();
            for epoch in 0..EPOCHS as u64 {
                let places = epoch * index.count()..(epoch + 1) * index.count();
                let mut records: Vec<String> = read.iter().filter(|(place, _)| places.contains(place)).map(|(_, text)| text.clone()).collect();
                records.sort();
                // Streams that are still reading a record of an earlier epoch are rare, but possible.
                let unread: Vec<u64> = loader.streams.iter().map(|stream| stream.place).filter(|place| places.contains(place)).collect();
                if unread.is_empty() {
                    prop_assert_eq!(&records, &expected);
                }
            }
        }

        #[test]
        fn a_resumed_loader_continues_at_any_position(list in lists(), batch in 1usize..6, steps in 1usize..9, windows in 0usize..9) {
            let (corpus, index, vocab) = open(&list, 0.3);
            let set = RecordSet::new(&corpus, &index, RecordPart::Training);
            prop_assume!(index.counts(RecordPart::Training).records > 0);
            let mut loader = RecordLoader::new(set, &vocab, batch, 7, 0).unwrap();
            (0..windows).for_each(|_| _ = window(&mut loader, set, &vocab, (steps, batch)));
            let mut resumed = RecordLoader::resume(set, &vocab, batch, 7, &loader.position()).unwrap().unwrap();
            for _ in 0..20 {
                let expected = window(&mut loader, set, &vocab, (steps, batch));
                prop_assert_eq!(window(&mut resumed, set, &vocab, (steps, batch)), expected);
            }
            prop_assert_eq!(resumed.position(), loader.position());
        }
    }

    #[test]
    fn epochs_and_seeds_have_different_orders() {
        let list: Vec<String> = (0..50).map(|i| "ab".repeat(i % 7 + 1)).collect();
        let (corpus, index, vocab) = open(&list, 0.0);
        let set = RecordSet::new(&corpus, &index, RecordPart::Training);
        let order = |seed, epoch| {
            let loader = RecordLoader::new(set, &vocab, 50, seed, epoch).unwrap();
            loader.streams.iter().map(|stream| stream.record.clone()).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn rejects_positions_that_are_not_in_the_records() {
        let list: Vec<String> = (0..50).map(|i| format!("a{i}")).collect();
        let (corpus, index, vocab) = open(&list, 0.3);
        let set = RecordSet::new(&corpus, &index, RecordPart::Training);
        let good = RecordLoader::new(set, &vocab, 2, 1, 0).unwrap().position();
        let resume = |position| RecordLoader::resume(set, &vocab, 2, 1, &position).unwrap().is_some();
        assert!(resume(good.clone()));
        assert!(!resume(RecordPosition { next: u64::MAX, ..good.clone() }));
        assert!(!resume(RecordPosition { next: 0, ..good.clone() }));
        assert!(!resume(RecordPosition { streams: good.streams[..1].to_vec(), ..good.clone() }));
        assert!(!resume(RecordPosition { streams: vec![(0, 9), good.streams[1]], ..good.clone() }));
        let held_out = (0..50).any(|place| !resume(RecordPosition { next: 50, streams: vec![(place, 0), (place, 0)] }));
        assert!(held_out, "some places are held out");
    }
}
