//! When a run is saved, and that its two checkpoints agree.

use std::time::Duration;

use crate::fixtures::{begin, config, policy};
use charlstm::checkpoint::Frame;
use charlstm::run::{LockedRun, Progress, RunFolder};
use charlstm::train::{CheckpointPolicy, Event, Observer, TrainConfig, Trainer, fit};

#[test]
fn saves_by_time_without_a_save_interval() {
    struct Saves(usize);
    impl Observer for Saves {
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
        let (mut trainer, mut seen) = (begin(&config), Saves(0));
        assert!(trainer.steps_per_epoch() > 6);
        let folder = RunFolder::new(dir.path().join("run")).lock().unwrap();
        let policy = CheckpointPolicy { max_interval, ..policy(&folder) };
        fit(&mut trainer, Some(policy), None, &mut seen).unwrap();
        assert_eq!(seen.0, saves, "{save_every:?}, {max_interval:?}");
    }
}

#[test]
fn latest_and_best_checkpoints_agree() {
    /// Looks at what a kill would leave.
    struct Watches<'a>(&'a LockedRun, Vec<Option<u64>>);
    impl Observer for Watches<'_> {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            let best_of = |frame: Frame| Progress::read(&frame).unwrap().best.map(|(_, step)| step);
            // An evaluation that is told of is display, which may take any time.
            if let Event::Step(_) | Event::Evaluated(_) = event {
                let [latest, best] =
                    [self.0.latest(), self.0.best()].map(|path| Frame::read(&path).ok().and_then(best_of));
                assert_eq!(latest, best);
                self.1.push(best);
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(dir.path()).lock().unwrap();
    let config = TrainConfig { steps: Some(6), save_every: Some(0), eval_every: Some(2), ..config() };
    let mut watches = Watches(&folder, Vec::new());
    fit(&mut begin(&config), Some(policy(&folder)), None, &mut watches).unwrap();
    assert_eq!(watches.1, [0, 0, 2, 2, 2, 4, 4, 4, 6].map(|step| Some(step).filter(|step| *step > 0)));
}
