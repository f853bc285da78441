//! Training on the records of a list.

use charlstm::checkpoint::{Frame, format};
use charlstm::data::{Corpus, Dataset, DatasetConfig, Encoding, RecordKind};
use charlstm::error::Error;
use charlstm::model::ModelConfig;
use charlstm::run::state_hash;
use charlstm::train::{TrainConfig, Trainer};

fn list() -> String {
    (0..120).map(|i: u32| format!("{}\n", &"abcdefghij"[..(i * i % 9 + 1) as usize])).collect()
}

fn dataset(text: &str) -> Dataset {
    let corpus = Corpus::from_text("list", text.to_owned().into_bytes(), Encoding::Utf8).unwrap();
    let config = DatasetConfig { records: Some(RecordKind::Line), val_frac: 0.3, ..DatasetConfig::default() };
    Dataset::with_config(corpus, None, &config).unwrap()
}

fn config() -> TrainConfig {
    TrainConfig { batch_size: 3, seq_len: 16, epochs: 2, warmup: 0, threads: Some(2), ..TrainConfig::default() }
}

fn begin() -> Trainer {
    let shape = ModelConfig { num_layers: 2, hidden_size: 5, embed_size: 3, ..ModelConfig::default() };
    Trainer::new(dataset(&list()), &shape, config()).unwrap()
}

fn checkpoint(trainer: &Trainer) -> Frame {
    Frame::parse("x.ckpt".as_ref(), format::encode_checkpoint(&trainer.sections().unwrap())).unwrap()
}

fn run_to(trainer: &mut Trainer, step: u64) {
    while trainer.progress().step < step {
        trainer.step().unwrap();
    }
}

#[test]
fn resume_is_bit_identical_at_every_step_of_two_epochs() {
    let mut whole = begin();
    let total = whole.total_steps();
    assert_eq!(total, 2 * whole.steps_per_epoch());
    assert!(whole.steps_per_epoch() > 5);
    run_to(&mut whole, total);
    let expected = state_hash(&checkpoint(&whole)).unwrap();
    let mut first = begin();
    for k in 0..=total {
        run_to(&mut first, k);
        let mut second = Trainer::resume(&checkpoint(&first), dataset(&list()), config(), false).unwrap();
        assert_eq!(state_hash(&checkpoint(&second)).unwrap(), state_hash(&checkpoint(&first)).unwrap(), "{k}");
        run_to(&mut second, total);
        assert_eq!(second.model().weights, whole.model().weights, "resumed at step {k}");
        assert_eq!(state_hash(&checkpoint(&second)).unwrap(), expected, "resumed at step {k}");
    }
}

#[test]
fn the_held_out_loss_does_not_depend_on_the_order_of_the_list() {
    let mut lines: Vec<String> = (0..90).map(|i: u32| format!("{:b}", i * i)).collect();
    lines.sort();
    let sorted = lines.join("\n");
    lines.reverse();
    let reversed = lines.join("\n");
    let losses = [sorted, reversed].map(|text| {
        let trainer = Trainer::new(
            dataset(&text),
            &ModelConfig { hidden_size: 5, ..ModelConfig::default() },
            TrainConfig { batch_size: 1, seq_len: 4, ..config() },
        );
        trainer.unwrap().evaluate().unwrap().unwrap()
    });
    assert_eq!(losses[0].chars, losses[1].chars);
    assert!((losses[0].nats() - losses[1].nats()).abs() < 1e-6, "{losses:?}");
}

#[test]
fn a_changed_list_needs_permission_and_starts_a_new_epoch() {
    let mut trainer = begin();
    run_to(&mut trainer, 3);
    let frame = checkpoint(&trainer);
    let other = list() + "cab\n";
    let refused = Trainer::resume(&frame, dataset(&other), config(), false);
    assert!(matches!(refused, Err(Error::CorpusMismatch { .. })));
    let mut changed = Trainer::resume(&frame, dataset(&other), config(), true).unwrap();
    changed.step().unwrap();
    assert_eq!(changed.progress().step, 4);
}

#[test]
fn records_exclude_replay() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "old text\n".repeat(9)).unwrap();
    let replay = charlstm::data::ReplayConfig { file: file.path().into(), fraction: 0.1 };
    assert!(matches!(dataset(&list()).with_replay(&replay), Err(Error::Inapplicable { .. })));
}
