//! The promise that a run which keeps going where something cannot be written ends as if nothing had happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use charlstm::checkpoint::model::weights_hash;
use charlstm::checkpoint::{Frame, disk};
use charlstm::data::{Corpus, Dataset, Encoding};
use charlstm::error::Error;
use charlstm::model::ModelConfig;
use charlstm::run::{Metrics, RunFolder, state_hash};
use charlstm::train::{CheckpointPolicy, Event, Observer, TrainConfig, Trainer, fit};

/// What stands in the way of a file until it could not be written `left` times.
struct InTheWay {
    folder: PathBuf,
    left: usize,
    saved: Vec<PathBuf>,
}

impl InTheWay {
    fn of(file: &Path, left: usize) -> Self {
        let folder = disk::temporary(file);
        if left > 0 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        InTheWay { folder, left, saved: Vec::new() }
    }
}

impl Observer for InTheWay {
    fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
        match event {
            Event::Saved(path) => self.saved.push(path.into()),
            Event::NotSaved(e) => {
                assert!(matches!(e, Error::Io { .. } | Error::NoRoom { .. }), "{e}");
                self.left -= 1;
                if self.left == 0 {
                    std::fs::remove_dir(&self.folder).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// Trains for 12 steps, `times` saves of a file of the run failing.
fn train(folder: &RunFolder, file: &Path, times: usize, keep_going: bool) -> Result<InTheWay, Error> {
    let text: String = (0..400usize).map(|i| char::from(b'a' + ((i * i + i / 5) % 9) as u8)).collect();
    let texts = Dataset::new(Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap(), None, 0.1).unwrap();
    let shape = ModelConfig { layers: 1, hidden: 12, embed: 5, ..ModelConfig::default() };
    let config = TrainConfig { batch: 4, seq_len: 8, steps: Some(9), threads: Some(1), ..TrainConfig::default() };
    // Between an evaluation and the next save there are more steps: the best weights are gone by then.
    let config = TrainConfig { eval_every: Some(5), save_every: Some(2), ..config };
    let held = folder.lock().unwrap();
    let mut way = InTheWay::of(file, times);
    let mut trainer = Trainer::new(texts, &shape, config)?;
    let policy = CheckpointPolicy { run: &held, max_interval: Duration::MAX, keep_going };
    fit(&mut trainer, Some(policy), None, &mut way)?;
    Ok(way)
}

fn hashes(run: &RunFolder) -> (u128, u128) {
    let frame = |path: PathBuf| Frame::read(&path).unwrap();
    (state_hash(&frame(run.latest())).unwrap(), weights_hash(&frame(run.best())).unwrap())
}

#[test]
fn keep_going_gives_the_same_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let whole = RunFolder::new(dir.path().join("whole"));
    let undisturbed = train(&whole, &whole.latest(), 0, false).unwrap();
    let best_ones = |way: &InTheWay| way.saved.iter().filter(|path| path.ends_with("best.ckpt")).count();
    for (name, times) in [("latest.ckpt", 2), ("best.ckpt", 1), ("best.ckpt", 2)] {
        let run = RunFolder::new(dir.path().join(format!("{name}-{times}")));
        let file = run.path().join(name);
        let way = train(&run, &file, times, true).unwrap();
        assert_eq!(way.left, 0, "{name} was in nobody's way");
        assert_eq!(best_ones(&way), best_ones(&undisturbed), "{name}: what could not be written was not tried again");
        assert!(way.saved.ends_with(&[run.latest()]));
        assert_eq!(hashes(&run), hashes(&whole), "{name}, {times} times");
        assert_eq!(Metrics::read(&run.metrics()).unwrap().len(), Metrics::read(&whole.metrics()).unwrap().len());
    }
}

#[test]
fn failed_save_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunFolder::new(dir.path().join("run"));
    assert!(matches!(train(&run, &run.latest(), 9, false), Err(Error::Io { .. })));
    assert!(!run.latest().exists());
    std::fs::remove_dir(disk::temporary(&run.latest())).unwrap();
    // Nor does the last checkpoint of a run pass for saved.
    assert!(matches!(train(&run, &run.latest(), 9, true), Err(Error::Io { .. })));
    assert!(!run.latest().exists());
}
