//! `metrics.jsonl`: one record per line.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lock::LockedRun;
use super::metadata::Progress;
use crate::checkpoint::disk;
use crate::error::{Error, Result};

/// The training loss since the previous record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRecord {
    /// Steps so far.
    pub step: u64,
    /// Epochs so far.
    pub epoch: f64,
    /// The mean over all characters, in nats; `None` if every step was skipped.
    pub loss: Option<f64>,
    /// The learning rate of the last step.
    pub lr: f64,
    /// The global norm of the last step's gradients, before clipping.
    pub grad_norm: Option<f64>,
    /// Characters per second, excluding evaluation and saving.
    pub chars_per_s: f64,
    /// Seconds of training so far, including the time before the run was resumed.
    pub elapsed_s: f64,
}

/// A held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// Steps so far.
    pub step: u64,
    /// Epochs so far.
    pub epoch: f64,
    /// The loss in nats per character; `None` if it is not finite.
    pub loss: Option<f64>,
    /// The loss in bits per character.
    pub bpc: Option<f64>,
    /// Whether it is the lowest so far.
    pub best: bool,
    /// Seconds of training so far, including the time before the run was resumed.
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

/// Longer lines are not records and are skipped without reading them into memory.
const MAX_LINE_LEN: u64 = 1 << 16;

/// The file, open for appending.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
    len: u64,
    /// Lines that could not be written yet.
    pending: Vec<u8>,
}

impl Metrics {
    /// Opens the file of a run and removes records that are newer than the checkpoint with this progress.
    pub fn open(run: &LockedRun, progress: &Progress) -> Result<Self> {
        let path = run.metrics();
        let is_known = |record: &Record| match record {
            Record::Train(record) => record.step <= progress.step,
            Record::Eval(record) => record.step <= progress.evaluated_at,
        };
        let mut known = Vec::new();
        for record in Self::read(&path)?.iter().filter(|record| is_known(record)) {
            push_line(&mut known, record)?;
        }
        run.replace(&path, &known)?;
        let file = File::options().append(true).open(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Metrics { path, file, len: known.len() as u64, pending: Vec::new() })
    }

    /// Appends a record. If it cannot be written, it and the following records are kept until [`flush`](Self::flush) succeeds.
    ///
    /// # Errors
    /// [`Error::InsufficientSpace`] if the disk is full, otherwise [`Error::Io`].
    pub fn push(&mut self, record: &Record) -> Result<()> {
        let has_pending = !self.pending.is_empty();
        push_line(&mut self.pending, record)?;
        if has_pending { Ok(()) } else { self.flush() }
    }

    /// Writes the records that could not be written before.
    pub fn flush(&mut self) -> Result<()> {
        if let Err(e) = self.file.write_all(&self.pending) {
            // A partial line would corrupt the next record.
            let _ = self.file.set_len(self.len);
            return Err(disk::write_error(&self.path, self.pending.len() as u64, e));
        }
        self.len += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// The records of a file, or none if there is no file. Lines that are not records, such as a line truncated by a crash, are
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be opened or is not a regular file, [`Error::Io`] if reading fails.
    pub fn read(path: &Path) -> Result<Vec<Record>> {
        let file = match disk::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| Error::input(path, e))?,
        };
        Self::parse(BufReader::new(file)).map_err(|e| Error::io(path, e))
    }

    /// Parses records as [`read`](Self::read) does.
    pub fn parse(mut lines: impl BufRead) -> std::io::Result<Vec<Record>> {
        let (mut records, mut line) = (Vec::new(), Vec::new());
        while lines.by_ref().take(MAX_LINE_LEN).read_until(b'\n', &mut line)? > 0 {
            if line.len() as u64 == MAX_LINE_LEN && !line.ends_with(b"\n") {
                lines.skip_until(b'\n')?;
            }
            records.extend(serde_json::from_slice::<Record>(&line).ok());
            line.clear();
        }
        Ok(records)
    }
}

fn push_line(to: &mut Vec<u8>, record: &Record) -> Result<()> {
    serde_json::to_writer(&mut *to, record)
        .map_err(|e| Error::Internal(format!("a record cannot be serialized: {e}")))?;
    to.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunFolder;
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
        fn truncation_loses_at_most_the_last_record(
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
    fn removes_records_newer_than_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path()).lock().unwrap();
        let open = |evaluated_at| Metrics::open(&run, &Progress { evaluated_at, ..Progress::default() }).unwrap();
        let mut metrics = open(0);
        (1..=5).for_each(|step| metrics.push(&record(step)).unwrap());
        metrics.file.write_all(b"{\"kind\":\"ev").unwrap();
        open(3).push(&record(4)).unwrap();
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), (1..=4).map(record).collect::<Vec<_>>());
        open(0);
        assert_eq!(Metrics::read(&run.metrics()).unwrap(), []);
    }

    #[test]
    fn skips_overlong_lines() {
        let mut lines = vec![b' '; 3 << 20];
        lines.push(b'\n');
        push_line(&mut lines, &record(7)).unwrap();
        assert_eq!(Metrics::parse(&lines[..]).unwrap(), [record(7)]);
        let endless = BufReader::new(std::io::repeat(0).take(3 << 20));
        assert_eq!(Metrics::parse(endless).unwrap(), []);
    }

    #[test]
    fn a_record_has_the_documented_format() {
        let mut line = Vec::new();
        push_line(&mut line, &record(7)).unwrap();
        let expected = r#"{"kind":"eval","step":7,"epoch":0.5,"loss":1.5,"bpc":null,"best":true,"elapsed_s":1.0}"#;
        assert_eq!(String::from_utf8(line).unwrap().trim_end(), expected);
    }
}
