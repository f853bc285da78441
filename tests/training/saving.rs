//! When a run is saved, and what happens if a file cannot be written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use charlstm::checkpoint::model::weights_hash;
use charlstm::checkpoint::{Frame, disk};
use charlstm::error::{Error, Result};
use charlstm::run::{LockedRun, Metrics, Progress, Record, RunFolder, state_hash};
use charlstm::train::{CheckpointPolicy, Event, Observer, TrainConfig, Trainer, fit};

use crate::fixtures::{STEPS_PER_EPOCH, begin, config, policy};

#[test]
fn saves_by_time_without_a_save_interval() {
    struct CountSaves(usize);
    impl Observer for CountSaves {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            self.0 += usize::from(matches!(event, Event::Saved(path) if path.ends_with("latest.ckpt")));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (save_every, max_interval, saves) in [
        (None, Duration::MAX, 1),
        (None, Duration::ZERO, 6),
        (Some(0), Duration::ZERO, 1),
        (Some(2), Duration::ZERO, 3),
    ] {
        let config = TrainConfig { steps: Some(6), save_every, eval_every: Some(0), ..config() };
        let (mut trainer, mut count) = (begin(&config), CountSaves(0));
        assert!(trainer.steps_per_epoch() > 6);
        let run = RunFolder::new(dir.path().join("run")).lock().unwrap();
        fit(&mut trainer, Some(CheckpointPolicy { max_interval, ..policy(&run) }), None, &mut count).unwrap();
        assert_eq!(count.0, saves, "{save_every:?}, {max_interval:?}");
    }
}

#[test]
fn latest_and_best_checkpoints_agree() {
    /// Reads the checkpoints that would remain if the process were killed.
    struct ReadBest<'a>(&'a LockedRun, Vec<Option<u64>>);
    impl Observer for ReadBest<'_> {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            let best_step = |frame: Frame| Progress::read(&frame).unwrap().best.map(|(_, step)| step);
            if let Event::Step(_) | Event::Evaluated(_) = event {
                let [latest, best] =
                    [self.0.latest(), self.0.best()].map(|path| Frame::read(&path).ok().and_then(best_step));
                assert_eq!(latest, best);
                self.1.push(best);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::new(dir.path()).lock().unwrap();
    let config = TrainConfig { steps: Some(6), save_every: Some(0), eval_every: Some(2), ..config() };
    let mut read = ReadBest(&run, Vec::new());
    fit(&mut begin(&config), Some(policy(&run)), None, &mut read).unwrap();
    assert_eq!(read.1, [0, 0, 2, 2, 2, 4, 4, 4, 6].map(|step| Some(step).filter(|step| *step > 0)));
}

/// Makes a file unwritable until `failures` saves have failed, with a directory in place of its temporary file.
struct FailingSaves {
    folder: PathBuf,
    failures: usize,
    saved: Vec<PathBuf>,
}

impl Observer for FailingSaves {
    fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
        match event {
            Event::Saved(path) => self.saved.push(path.into()),
            Event::SaveFailed(e) => {
                assert!(matches!(e, Error::Io { .. } | Error::InsufficientSpace { .. }), "{e}");
                self.failures -= 1;
                if self.failures == 0 {
                    std::fs::remove_dir(&self.folder).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// Trains while `failures` saves of a file of the run fail.
fn train(folder: &RunFolder, file: &Path, failures: usize, keep_going: bool) -> Result<FailingSaves> {
    // Training continues between an evaluation and the next save, so the best weights must be kept until then.
    let config = TrainConfig { steps: Some(9), eval_every: Some(5), save_every: Some(2), ..config() };
    let run = folder.lock().unwrap();
    let mut obstacle = FailingSaves { folder: disk::temporary(file), failures, saved: Vec::new() };
    if failures > 0 {
        std::fs::create_dir_all(&obstacle.folder).unwrap();
    }
    let policy = CheckpointPolicy { keep_going, ..policy(&run) };
    fit(&mut begin(&config), Some(policy), None, &mut obstacle)?;
    Ok(obstacle)
}

#[test]
fn keep_going_produces_identical_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let hashes = |run: &RunFolder| {
        let [latest, best] = [run.latest(), run.best()].map(|path| Frame::read(&path).unwrap());
        (state_hash(&latest).unwrap(), weights_hash(&best).unwrap(), Metrics::read(&run.metrics()).unwrap().len())
    };
    let whole = RunFolder::new(dir.path().join("whole"));
    let uninterrupted = train(&whole, &whole.latest(), 0, false).unwrap();
    let best_saves = |seen: &FailingSaves| seen.saved.iter().filter(|path| path.ends_with("best.ckpt")).count();
    for (name, failures) in [("latest.ckpt", 2), ("best.ckpt", 1), ("best.ckpt", 2)] {
        let run = RunFolder::new(dir.path().join(format!("{name}-{failures}")));
        let seen = train(&run, &run.path().join(name), failures, true).unwrap();
        assert_eq!((seen.failures, best_saves(&seen)), (0, best_saves(&uninterrupted)), "{name}");
        assert!(seen.saved.ends_with(&[run.latest()]));
        assert_eq!(hashes(&run), hashes(&whole), "{name}, {failures} times");
    }
}

#[test]
fn failed_save_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::new(dir.path().join("run"));
    // The last save must succeed even with `keep_going`.
    for keep_going in [false, true] {
        assert!(matches!(train(&run, &run.latest(), 9, keep_going), Err(Error::Io { .. })));
        assert!(!run.latest().exists());
        std::fs::remove_dir(disk::temporary(&run.latest())).unwrap();
    }
}

#[test]
fn recorded_loss_is_the_mean_over_characters() {
    struct Losses(Vec<(f64, u64)>);
    impl Observer for Losses {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            if let Event::Step(report) = event {
                self.0.push((report.loss, report.chars));
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::new(dir.path()).lock().unwrap();
    // The last window of an epoch is shorter than the others.
    let config = TrainConfig { steps: Some(STEPS_PER_EPOCH), log_every: STEPS_PER_EPOCH, ..config() };
    let mut losses = Losses(Vec::new());
    fit(&mut begin(&config), Some(policy(&run)), None, &mut losses).unwrap();
    let (nats, chars) = losses.0.iter().fold((0.0, 0), |(nats, chars), (loss, n)| (nats + loss * *n as f64, chars + n));
    let steps: f64 = losses.0.iter().map(|(loss, _)| loss).sum();
    let Record::Train(record) = &Metrics::read(&run.metrics()).unwrap()[0] else { panic!("no training record") };
    let (recorded, mean) = (record.loss.unwrap(), nats / chars as f64);
    assert!(
        (recorded - mean).abs() < 1e-12 && (recorded - steps / STEPS_PER_EPOCH as f64).abs() > 1e-6,
        "{recorded} {mean}"
    );
}
