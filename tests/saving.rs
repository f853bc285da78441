//! When a run is saved and where, whatever becomes of its folder.

#![allow(clippy::unwrap_used, clippy::panic)]

mod runs;

use std::time::Duration;

use charlstm::checkpoint::model::weights_hash;
use charlstm::checkpoint::{Frame, LockedRun, RunFolder};
use charlstm::data::DatasetConfig;
use charlstm::train::{BEST, Event, Keep, Observer, Progress, Silent, TrainConfig, Trainer, fit, state_hash};
use runs::{begin, config, keep};

#[test]
fn a_run_without_a_pace_is_saved_by_the_clock() {
    struct Saves(usize);
    impl Observer for Saves {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            self.0 += usize::from(matches!(event, Event::Saved(path) if path.ends_with("latest.ckpt")));
        }
    }
    let place = tempfile::tempdir().unwrap();
    for (save_every, save_after, saves) in [
        (None, Duration::MAX, 1),
        (None, Duration::ZERO, 6),
        (Some(0), Duration::ZERO, 1),
        (Some(2), Duration::ZERO, 3),
    ] {
        let config = TrainConfig { steps: Some(6), save_every, eval_every: Some(0), ..config() };
        let (mut trainer, mut seen) = (begin(&config), Saves(0));
        assert!(trainer.steps_per_epoch() > 6);
        let folder = RunFolder::new(place.path().join("run")).lock().unwrap();
        let texts = DatasetConfig::default();
        let keep = Keep { save_after, ..keep(&folder, &texts) };
        fit(&mut trainer, Some(keep), None, &mut seen).unwrap();
        assert_eq!(seen.0, saves, "{save_every:?}, {save_after:?}");
    }
}

#[test]
fn a_latest_checkpoint_knows_of_the_best_one_beside_it() {
    /// Looks at what a kill would leave.
    struct Watches<'a>(&'a LockedRun, Vec<Option<u64>>);
    impl Observer for Watches<'_> {
        fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
            let best_of = |frame: Frame| Progress::read(&frame).unwrap().best.map(|(_, step)| step);
            // An evaluation that is told of is shown, which may take any time.
            if let Event::Step(_) | Event::Evaluated(_) = event {
                let [latest, best] =
                    [self.0.latest(), self.0.best()].map(|path| Frame::read(&path).ok().and_then(best_of));
                assert_eq!(latest, best);
                self.1.push(best);
            }
        }
    }
    let (place, texts) = (tempfile::tempdir().unwrap(), DatasetConfig::default());
    let folder = RunFolder::new(place.path()).lock().unwrap();
    let config = TrainConfig { steps: Some(6), save_every: Some(0), eval_every: Some(2), ..config() };
    let mut watches = Watches(&folder, Vec::new());
    fit(&mut begin(&config), Some(keep(&folder, &texts)), None, &mut watches).unwrap();
    assert_eq!(watches.1, [0, 0, 2, 2, 2, 4, 4, 4, 6].map(|step| Some(step).filter(|step| *step > 0)));
}

#[test]
fn a_run_that_lost_its_folder_ends_and_is_saved_beside_it_with_its_best() {
    /// Puts something else in the place of the folder while the first step is made.
    struct Replaces<'a>(&'a LockedRun, Option<RunFolder>);
    impl Observer for Replaces<'_> {
        fn on_event(&mut self, trainer: &Trainer, event: Event<'_>) {
            match event {
                Event::Step(_) if trainer.progress().step == 1 => {
                    std::fs::remove_dir_all(self.0.path()).unwrap();
                    std::fs::create_dir(self.0.path()).unwrap();
                    std::fs::write(self.0.latest(), "mine").unwrap();
                }
                Event::SavedBeside { saved, without_best } => {
                    assert!(!without_best);
                    self.1 = Some(RunFolder::new(saved.unwrap()));
                }
                Event::NotSaved(error) => panic!("it goes on: {error}"),
                _ => {}
            }
        }
    }
    let (place, texts) = (tempfile::tempdir().unwrap(), DatasetConfig::default());
    let held = |name: &str| RunFolder::new(place.path().join(name)).lock().unwrap();
    let config = TrainConfig { steps: Some(6), eval_every: Some(5), ..config() };
    let [run, whole] = [held("run"), held("whole")];
    let mut replaces = Replaces(&run, None);
    let keep_going = Keep { keep_going: true, ..keep(&run, &texts) };
    assert!(fit(&mut begin(&config), Some(keep_going), None, &mut replaces).unwrap_err().is_unwritten());
    fit(&mut begin(&config), Some(keep(&whole, &texts)), Some(5), &mut Silent).unwrap();
    let beside = replaces.1.unwrap();
    assert_eq!((beside.name(), std::fs::read(run.latest()).unwrap()), ("run-2".into(), b"mine".to_vec()));
    let saved = Frame::read(&beside.latest()).unwrap();
    assert_eq!(state_hash(&saved).unwrap(), state_hash(&Frame::read(&whole.latest()).unwrap()).unwrap());
    let best = Frame::parse(&beside.latest(), saved.section(BEST).unwrap()).unwrap();
    let whole_best = Frame::read(&whole.best()).unwrap();
    assert_eq!(weights_hash(&best).unwrap(), weights_hash(&whole_best).unwrap());
}

#[test]
fn a_folder_that_is_made_again_is_not_left_without_a_checkpoint() {
    /// Deletes the folder in the first step, or draws a plot after it where the folder was, and looks in the second.
    struct Deletes<'a>(&'a LockedRun, Vec<bool>);
    impl Observer for Deletes<'_> {
        fn on_event(&mut self, trainer: &Trainer, event: Event<'_>) {
            let delete = || std::fs::remove_dir_all(self.0.path()).unwrap();
            match event {
                Event::Step(_) if trainer.progress().step == 1 => delete(),
                Event::Step(_) => {
                    let latest = Frame::read(&self.0.latest()).unwrap();
                    assert_eq!(Progress::read(&latest).unwrap().step, 1);
                    assert!(self.0.metrics().metadata().unwrap().len() > 0);
                }
                Event::Evaluated(_) if trainer.progress().step == 1 => {
                    delete();
                    self.0.replace(&self.0.plot(), b"<svg/>").unwrap();
                }
                Event::MadeAgain { without_best, .. } => self.1.push(without_best),
                _ => {}
            }
        }
    }
    for (eval_every, told) in [(0, vec![false]), (1, vec![false, true])] {
        let (place, texts) = (tempfile::tempdir().unwrap(), DatasetConfig::default());
        let folder = RunFolder::new(place.path().join("run")).lock().unwrap();
        let eval_every = Some(eval_every);
        let config = TrainConfig { steps: Some(2), save_every: Some(0), eval_every, log_every: 1, ..config() };
        let mut deletes = Deletes(&folder, Vec::new());
        fit(&mut begin(&config), Some(keep(&folder, &texts)), None, &mut deletes).unwrap();
        assert_eq!(deletes.1, told);
    }
}

#[test]
fn a_better_loss_is_saved_at_once_also_where_its_checkpoint_cannot_be_written() {
    struct Watches<'a>(&'a LockedRun, usize);
    impl Observer for Watches<'_> {
        fn on_event(&mut self, trainer: &Trainer, event: Event<'_>) {
            if let Event::Evaluated(_) = event {
                let latest = Frame::read(&self.0.latest()).unwrap();
                let (step, best) = (trainer.progress().step, latest.section(BEST).unwrap());
                assert_eq!(Progress::read(&latest).unwrap().step, step);
                let best = Frame::parse(&self.0.latest(), best).unwrap();
                assert_eq!(weights_hash(&best).unwrap(), weights_hash(&latest).unwrap());
                self.1 += 1;
            }
        }
    }
    let (place, texts) = (tempfile::tempdir().unwrap(), DatasetConfig::default());
    let folder = RunFolder::new(place.path()).lock().unwrap();
    std::fs::create_dir(folder.best()).unwrap();
    let config = TrainConfig { steps: Some(6), save_every: Some(0), eval_every: Some(2), ..config() };
    let keep_going = Keep { keep_going: true, ..keep(&folder, &texts) };
    let mut watches = Watches(&folder, 0);
    assert!(fit(&mut begin(&config), Some(keep_going), None, &mut watches).unwrap_err().is_unwritten());
    assert_eq!(watches.1, 3);
}
