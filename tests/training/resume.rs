//! Resuming is bit-identical at every step and for any number of threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fixtures::{STEPS_PER_EPOCH, TEXT_LEN, begin, config, letter, policy, text};
use charlstm::checkpoint::model::weights_hash;
use charlstm::checkpoint::{Frame, SectionValue, format};
use charlstm::data::{Corpus, Dataset, Encoding, LossMask};
use charlstm::error::Error;
use charlstm::model::ModelConfig;
use charlstm::optim::Optimizer;
use charlstm::run::{Metrics, Record, RunFolder, RunMetadata, state_hash};
use charlstm::train::{Event, Observer, Outcome, TrainConfig, Trainer, fit};

fn checkpoint(trainer: &Trainer) -> Frame {
    let sections = trainer.sections().unwrap();
    Frame::parse("x.ckpt".as_ref(), format::encode_checkpoint(&sections)).unwrap()
}

/// A checkpoint of `trainer` with the given metadata.
fn with_metadata(trainer: &Trainer, metadata: &RunMetadata) -> Frame {
    let mut sections = trainer.sections().unwrap();
    *sections.iter_mut().find(|(name, _)| *name == RunMetadata::NAME).unwrap() = metadata.to_section().unwrap();
    Frame::parse("x.ckpt".as_ref(), format::encode_checkpoint(&sections)).unwrap()
}

fn run_to(trainer: &mut Trainer, step: u64) {
    while trainer.progress().step < step {
        trainer.step().unwrap();
        // An evaluation changes only the recorded held-out loss.
        if trainer.progress().step.is_multiple_of(4) {
            let loss = trainer.evaluate().unwrap().unwrap();
            trainer.record_evaluation(loss.nats());
        }
    }
}

fn hash(trainer: &Trainer) -> u128 {
    state_hash(&checkpoint(trainer)).unwrap()
}

#[test]
fn resume_is_bit_identical_at_every_step() {
    for optimizer in [Optimizer::Adamw, Optimizer::Sgd, Optimizer::Rmsprop] {
        let config = TrainConfig { optimizer, ..config() };
        let total = config.steps.unwrap();
        let mut whole = begin(&config);
        assert_eq!(whole.steps_per_epoch(), STEPS_PER_EPOCH, "resuming crosses the end of an epoch");
        run_to(&mut whole, total);
        for k in 0..=total {
            let mut first = begin(&config);
            run_to(&mut first, k);
            let mut second = Trainer::resume(&checkpoint(&first), text(false), config.clone(), false).unwrap();
            assert_eq!(hash(&first), hash(&second), "{optimizer:?}: saved at step {k}");
            run_to(&mut second, total);
            assert_eq!(second.model().weights, whole.model().weights, "{optimizer:?}: resumed at step {k}");
            assert_eq!(hash(&second), hash(&whole), "{optimizer:?}: resumed at step {k}");
        }
    }
}

#[test]
fn results_do_not_depend_on_thread_count() {
    // Large enough to be split in every parallel region: shards, tiles, blocks, chunks of weights, and clipping.
    let base = TrainConfig { batch_size: 35, seq_len: 4, clip: 0.05, ..config() };
    let shape = ModelConfig { num_layers: 2, hidden_size: 150, embed_size: 80, ..ModelConfig::default() };
    let hashes = [1, 2, 3, 8].map(|threads| {
        let config = TrainConfig { threads: Some(threads), ..base.clone() };
        let mut trainer = Trainer::new(text(false), &shape, config).unwrap();
        run_to(&mut trainer, 6);
        hash(&trainer)
    });
    assert_eq!(hashes, [hashes[0]; 4]);
}

#[test]
fn state_hash_covers_exactly_the_training_state() {
    let mut trainer = begin(&config());
    run_to(&mut trainer, 3);
    let before = hash(&trainer);
    let mut moved = RunMetadata::read(&checkpoint(&trainer)).unwrap();
    (moved.dataset.config.paths, moved.elapsed_s) = (vec!["/elsewhere".into()], 99.0);
    assert_eq!(state_hash(&with_metadata(&trainer, &moved)).unwrap(), before);
    for other in [
        TrainConfig { threads: Some(1), steps: Some(99), eval_every: Some(3), ..config() },
        TrainConfig { epochs: 7, log_every: 1, ..config() },
    ] {
        assert_eq!(hash(&Trainer::resume(&checkpoint(&trainer), text(false), other, false).unwrap()), before);
    }
    for other in [TrainConfig { lr: 0.01, ..config() }, TrainConfig { dropout: 0.2, ..config() }] {
        assert_ne!(hash(&Trainer::resume(&checkpoint(&trainer), text(false), other, false).unwrap()), before);
    }
    trainer.step().unwrap();
    assert_ne!(hash(&trainer), before);
}

#[test]
fn rejects_another_corpus_unless_allowed() {
    let mut trainer = begin(&config());
    run_to(&mut trainer, 3);
    let saved = checkpoint(&trainer);
    let refused = Trainer::resume(&saved, text(true), config(), false);
    assert!(matches!(refused, Err(Error::CorpusMismatch { .. })), "{refused:?}");
    let mut expected = Trainer::resume(&saved, text(true), config(), true).unwrap();
    assert_eq!((expected.progress().position, expected.progress().step), (0, 3));
    run_to(&mut expected, 15);
}

#[test]
fn rejects_hostile_batch_sizes_without_allocating() {
    let trainer = begin(&config());
    let saved = RunMetadata::read(&checkpoint(&trainer)).unwrap();
    for batch in [0, 5, 1 << 19, 1 << 40, 1 << 58, usize::MAX] {
        let train = TrainConfig { batch_size: batch, ..saved.train.clone() };
        let frame = with_metadata(&trainer, &RunMetadata { train: train.clone(), ..saved.clone() });
        let refused = Trainer::resume(&frame, text(false), train, false);
        assert!(matches!(refused, Err(Error::Checkpoint { .. })), "{batch}: {refused:?}");
    }
}

#[test]
fn rejects_another_split_or_held_out_text() {
    let saved = checkpoint(&begin(&config()));
    let corpus = |name, text: String| Corpus::from_text(name, text.into_bytes(), Encoding::Utf8).unwrap();
    let letters: String = (0..TEXT_LEN).map(letter).collect();
    let split = Dataset::new(corpus("test", letters.clone()), None, 0.2).unwrap();
    let held_out = Dataset::new(corpus("test", letters), Some(corpus("other", "abcabc".into())), 0.1).unwrap();
    for (texts, name) in [(split, "test"), (held_out, "other")] {
        let refused = Trainer::resume(&saved, texts, config(), false).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{name}: ")), "{refused}");
    }
}

#[test]
fn diverged_run_is_not_saved() {
    let config =
        TrainConfig { optimizer: Optimizer::Sgd, lr: 1e6, clip: 0.0, warmup: 0, steps: Some(1000), ..config() };
    let mut trainer = begin(&config);
    let error = (0..1000).find_map(|_| trainer.step().err()).unwrap();
    assert!(matches!(error, Error::Diverged(_)), "{error}");
    let progress = trainer.progress();
    assert_eq!((progress.consecutive_skips, progress.skipped >= 5), (5, true));
    let refused = trainer.sections();
    assert!(matches!(refused, Err(Error::Diverged(_))));
}

/// A dataset with a loss mask: some characters have no loss weight, others reset the state.
fn marked() -> Dataset {
    let texts = text(false);
    let mut marks = LossMask::default();
    for i in 0..texts.corpus().chars() {
        marks.push(if i % 7 < 4 { 0.0 } else { 0.5 + (i % 3) as f32 }, i % 11 == 5);
    }
    texts.with_loss_mask(marks).unwrap()
}

#[test]
fn results_with_loss_mask_do_not_depend_on_thread_count() {
    for cell in ["rnn", "gru", "fgr", "indylstm", "vanilla"] {
        let shape =
            ModelConfig { cell: cell.into(), num_layers: 2, hidden_size: 40, embed_size: 24, ..ModelConfig::default() };
        let hashes = [1, 2, 3, 8].map(|threads| {
            let config = TrainConfig { batch_size: 35, seq_len: 4, threads: Some(threads), ..config() };
            let mut trainer = Trainer::new(marked(), &shape, config).unwrap();
            run_to(&mut trainer, 6);
            hash(&trainer)
        });
        assert_eq!(hashes, [hashes[0]; 4], "{cell}");
    }
}

#[test]
fn fully_masked_window_changes_no_weights() {
    let texts = text(false);
    let mut marks = LossMask::default();
    (0..texts.corpus().chars()).for_each(|_| marks.push(0.0, false));
    let shape = ModelConfig { num_layers: 1, hidden_size: 8, ..ModelConfig::default() };
    let mut trainer = Trainer::new(texts.with_loss_mask(marks).unwrap(), &shape, config()).unwrap();
    let weights = trainer.model().weights.clone();
    for _ in 0..6 {
        let report = trainer.step().unwrap();
        assert_eq!((report.skipped, report.chars, report.loss), (false, 0, 0.0));
    }
    assert_eq!((trainer.model().weights == weights, trainer.progress().updates), (true, 0));
}

/// Returns `true` from the `left`th call of `should_stop` on.
struct StopAtCall {
    left: AtomicUsize,
}

impl Observer for StopAtCall {
    fn on_event(&mut self, _: &Trainer, _: Event<'_>) {}

    fn should_stop(&self) -> bool {
        let less = |left: usize| Some(left.saturating_sub(1));
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok_and(|left| left <= 1)
    }
}

#[test]
fn run_stopped_at_any_moment_resumes_bit_identically() {
    let config = TrainConfig { steps: Some(6), eval_every: Some(3), threads: Some(1), patience: Some(1), ..config() };
    let dir = tempfile::tempdir().unwrap();
    let fit_until_stopped = |trainer: &mut Trainer, folder: &RunFolder, left: usize| {
        let held = folder.lock().unwrap();
        fit(trainer, Some(policy(&held)), None, &mut StopAtCall { left: left.into() }).unwrap()
    };
    let ends = |folder: &RunFolder| {
        let (latest, best) = (Frame::read(&folder.latest()).unwrap(), Frame::read(&folder.best()).unwrap());
        let records = Metrics::read(&folder.metrics()).unwrap().into_iter().filter_map(|record| match record {
            Record::Eval(record) => Some((record.step, record.loss, record.best)),
            Record::Train(_) => None,
        });
        (state_hash(&latest).unwrap(), weights_hash(&best).unwrap(), records.collect::<Vec<_>>())
    };
    let folder = |name: &str| RunFolder::new(dir.path().join(name));
    let whole = folder("whole");
    assert_eq!(fit_until_stopped(&mut begin(&config), &whole, usize::MAX), Outcome::Finished);
    let mut stops = 0;
    for moment in 1.. {
        let run = folder(&moment.to_string());
        let mut trainer = begin(&config);
        if fit_until_stopped(&mut trainer, &run, moment) != Outcome::Stopped {
            break;
        }
        stops += 1;
        let mut again =
            Trainer::resume(&Frame::read(&run.latest()).unwrap(), text(false), config.clone(), false).unwrap();
        assert_eq!(hash(&again), hash(&trainer));
        assert_ne!(fit_until_stopped(&mut again, &run, usize::MAX), Outcome::Stopped);
        assert_eq!(ends(&run), ends(&whole), "stopped at call {moment} of should_stop");
    }
    assert!(stops > 7, "{stops}");
}
