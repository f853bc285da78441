//! `metrics.jsonl`: a record a line.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{LockedRun, disk};
use crate::data::same_file;
use crate::error::{Error, Result};

/// The training loss over the steps since the record before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRecord {
    /// Steps so far.
    pub step: u64,
    /// Epochs so far.
    pub epoch: f64,
    /// The mean loss, in nats per character; none where every step was skipped.
    pub loss: Option<f64>,
    /// The learning rate of the last step.
    pub lr: f64,
    /// The global norm of the last step's gradients, before clipping.
    pub grad_norm: Option<f64>,
    /// Characters per second; evaluation and saving left out.
    pub chars_per_s: f64,
    /// Seconds since the run began, all its parts added up.
    pub elapsed_s: f64,
}

/// A held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// Steps so far.
    pub step: u64,
    /// Epochs so far.
    pub epoch: f64,
    /// The loss in nats per character; none where it is not finite.
    pub loss: Option<f64>,
    /// The same in bits.
    pub bpc: Option<f64>,
    /// Whether it is the lowest so far.
    pub best: bool,
    /// Seconds since the run began, all its parts added up.
    pub elapsed_s: f64,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A training loss.
    Train(TrainRecord),
    /// A held-out loss.
    Eval(EvalRecord),
}

/// More bytes than a record has: what is longer was not written by a run, and is not read into memory.
const LONGEST_LINE: u64 = 1 << 16;

/// The file, open for more records.
#[derive(Debug)]
pub struct Metrics<'a> {
    run: &'a LockedRun,
    file: File,
    /// Bytes that are written.
    len: u64,
    /// Lines that are not.
    pending: Vec<u8>,
}

impl<'a> Metrics<'a> {
    /// Opens the file and drops what is in it beyond `step`: all of it for a run at its beginning. An evaluation of that very step
    /// goes too where it is `owed`, and so will be made again.
    ///
    /// # Errors
    /// As [`LockedRun::replace`].
    pub fn open(run: &'a LockedRun, step: u64, owed: bool) -> Result<Self> {
        let mut kept = Vec::new();
        if step > 0 {
            let stays = |record: &Record| match record {
                Record::Train(record) => record.step <= step,
                Record::Eval(record) => record.step < step || (record.step == step && !owed),
            };
            for record in Self::read(&run.metrics())?.iter().filter(|record| stays(record)) {
                push_line(&mut kept, record)?;
            }
        }
        let file = run.replace_and_open(&run.metrics(), &kept)?;
        Ok(Metrics { run, file, len: kept.len() as u64, pending: Vec::new() })
    }

    /// Adds a record. One that cannot be written is kept, and so is what follows it, until [`flush`](Self::flush) succeeds.
    ///
    /// # Errors
    /// [`Error::NoRoom`] where the disk is full, else [`Error::Io`].
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let waits = !self.pending.is_empty();
        push_line(&mut self.pending, record)?;
        if waits { Ok(()) } else { self.flush() }
    }

    /// Writes the records that could not be written before; all of them where the file was deleted or replaced meanwhile.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn flush(&mut self) -> Result<()> {
        let path = self.run.metrics();
        let (ours, now) = (self.file.metadata(), path.symlink_metadata());
        if ours.is_ok_and(|ours| !now.is_ok_and(|now| same_file(&ours, &now))) {
            let mut records = Vec::new();
            let read = self.file.rewind().and_then(|()| self.file.read_to_end(&mut records));
            read.map_err(|e| Error::io(&path, e))?;
            self.file = self.run.replace_and_open(&path, &records)?;
        }
        let pending = self.pending.len() as u64;
        if let Err(e) = self.file.write_all(&self.pending) {
            // Half a line would spoil the next one. The first error is the one to tell.
            let _ = self.file.set_len(self.len);
            // A limit is one of the whole file, a disk's room is for what is new.
            let before = if e.kind() == ErrorKind::FileTooLarge { self.len } else { 0 };
            return Err(disk::unwritten(&path, before + pending, e));
        }
        self.len += pending;
        self.pending.clear();
        Ok(())
    }

    /// The records of a file; a line that is none, such as one that a crash cut, is passed over. No file: no records.
    ///
    /// # Errors
    /// [`Error::Input`] where it cannot be opened or is no regular file, [`Error::Io`] where reading fails.
    pub fn read(path: &Path) -> Result<Vec<Record>> {
        let file = match disk::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| Error::input(path, e))?,
        };
        Self::parse(BufReader::new(file)).map_err(|e| Error::io(path, e))
    }

    /// The records of lines, as [`read`](Self::read) finds them in a file.
    ///
    /// # Errors
    /// What the reader says.
    pub fn parse(mut lines: impl BufRead) -> std::io::Result<Vec<Record>> {
        let (mut records, mut line) = (Vec::new(), Vec::new());
        while lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
            if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
                lines.skip_until(b'\n')?;
            }
            records.extend(serde_json::from_slice::<Record>(&line).ok());
            line.clear();
        }
        Ok(records)
    }
}

fn push_line(to: &mut Vec<u8>, record: &Record) -> Result<()> {
    serde_json::to_writer(&mut *to, record).map_err(|e| Error::Internal(format!("a record cannot be written: {e}")))?;
    to.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::RunFolder;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let train = any::<(u64, f64, Option<f64>, f64, Option<f64>, f64, f64)>().prop_map(
            |(step, epoch, loss, lr, grad_norm, chars_per_s, elapsed_s)| {
                Record::Train(TrainRecord { step, epoch, loss, lr, grad_norm, chars_per_s, elapsed_s })
            },
        );
        let eval = any::<(u64, f64, Option<f64>, Option<f64>, bool, f64)>().prop_map(
            |(step, epoch, loss, bpc, best, elapsed_s)| {
                Record::Eval(EvalRecord { step, epoch, loss, bpc, best, elapsed_s })
            },
        );
        prop_oneof![train, eval]
    }

    proptest! {
        #[test]
        fn records_come_back_to_the_bit_and_a_cut_costs_the_last_at_most(
            records in proptest::collection::vec(any_record(), 0..9), cut in any::<prop::sample::Index>(),
        ) {
            let mut lines = Vec::new();
            records.iter().for_each(|record| push_line(&mut lines, record).unwrap());
            prop_assert_eq!(&Metrics::parse(&lines[..]).unwrap(), &records);
            let cut = &lines[..cut.index(lines.len() + 1)];
            let whole = cut.iter().filter(|byte| **byte == b'\n').count();
            let found = Metrics::parse(cut).unwrap();
            prop_assert!(found.len() - whole < 2 && found[..] == records[..found.len()]);
        }
    }

    fn record(step: u64) -> Record {
        Record::Eval(EvalRecord { step, epoch: 0.5, loss: Some(1.5), bpc: None, best: true, elapsed_s: 1.0 })
    }

    #[test]
    fn records_beyond_the_checkpoint_and_half_a_line_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path()).lock().unwrap();
        let mut metrics = Metrics::open(&run, 0, false).unwrap();
        (1..=5).for_each(|step| metrics.push(&record(step)).unwrap());
        metrics.file.write_all(b"{\"kind\":\"ev").unwrap();
        let mut metrics = Metrics::open(&run, 3, false).unwrap();
        metrics.push(&record(4)).unwrap();
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), (1..=4).map(record).collect::<Vec<_>>());
        std::fs::remove_file(run.metrics()).unwrap();
        metrics.push(&record(5)).unwrap();
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), (1..=5).map(record).collect::<Vec<_>>(), "all come back");
        Metrics::open(&run, 4, true).unwrap();
        let made_again = "the evaluation of step 4 comes again";
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), (1..=3).map(record).collect::<Vec<_>>(), "{made_again}");
        Metrics::open(&run, 0, false).unwrap();
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), []);
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_not_kept() {
        let mut lines = vec![b' '; 3 << 20];
        lines.push(b'\n');
        push_line(&mut lines, &record(7)).unwrap();
        assert_eq!(Metrics::parse(&lines[..]).unwrap(), [record(7)]);
        let endless = BufReader::new(std::io::repeat(0).take(3 << 20));
        assert_eq!(Metrics::parse(endless).unwrap(), []);
    }

    #[test]
    fn a_line_is_as_documented() {
        let mut line = Vec::new();
        push_line(&mut line, &record(7)).unwrap();
        let wanted = r#"{"kind":"eval","step":7,"epoch":0.5,"loss":1.5,"bpc":null,"best":true,"elapsed_s":1.0}"#;
        assert_eq!(String::from_utf8(line).unwrap().trim_end(), wanted);
    }
}
