//! A small text, model and configuration.

// Each test binary compiles this module and uses a part of it.
#![allow(dead_code)]

use std::time::Duration;

use charlstm::data::{Corpus, Dataset, Encoding};
use charlstm::model::ModelConfig;
use charlstm::run::LockedRun;
use charlstm::train::{CheckpointPolicy, TrainConfig, Trainer};

/// The length of the text: an epoch has 9 steps, the last of which is shorter, and some streams end before others.
pub const TEXT_LEN: usize = 4 * 8 * 10 - 15;
pub const STEPS_PER_EPOCH: u64 = 9;

pub fn letter(i: usize) -> char {
    char::from(b'a' + ((i * i + i / 5) % 9) as u8)
}

pub fn text(changed: bool) -> Dataset {
    let mut text: String = (0..TEXT_LEN).map(letter).collect();
    if changed {
        text.replace_range(5..6, if text.as_bytes()[5] == b'a' { "b" } else { "a" });
    }
    Dataset::new(Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap(), None, 0.1).unwrap()
}

pub fn config() -> TrainConfig {
    TrainConfig {
        batch_size: 4,
        seq_len: 8,
        steps: Some(STEPS_PER_EPOCH + 6),
        dropout: 0.3,
        lr: 0.02,
        threads: Some(2),
        ..TrainConfig::default()
    }
}

pub fn begin(config: &TrainConfig) -> Trainer {
    let shape = ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 12, embed_size: 5, vocab_size: 0 };
    Trainer::new(text(false), &shape, config.clone()).unwrap()
}

pub fn policy(run: &LockedRun) -> CheckpointPolicy<'_> {
    CheckpointPolicy { run, max_interval: Duration::MAX, keep_going: false }
}
