//! Fine-tuning keeps the model's knowledge, starts new characters at their frequency, and resumes bit-identically.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::{Frame, format};
use charlstm::data::{Dataset, DatasetConfig, ReplayConfig};
use charlstm::error::Error;
use charlstm::kernels::{Precision, softmax};
use charlstm::model::{CharLm, InferenceModel, InferenceSession, Input, ModelConfig};
use charlstm::run::{RunMetadata, state_hash};
use charlstm::score;
use charlstm::train::{TrainConfig, Trainer};

const NEW: &str = "αβγδεζηθικλμνξοπρστυ";

/// Random words.
fn words(seed: usize, chars: usize) -> Vec<char> {
    const WORDS: [&str; 8] = ["the ", "quick ", "fox ", "and ", "a ", "lazy ", "dog.\n", "jumps "];
    let next = |x: &usize| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed));
    let numbers = std::iter::successors(Some(seed), next).map(|x| x >> 40);
    numbers.flat_map(|x| WORDS[x % WORDS.len()].chars()).take(chars).collect()
}

/// Random words in which every tenth character is one of 20 new, equally frequent characters.
fn with_new(seed: usize, chars: usize) -> String {
    let new: Vec<char> = NEW.chars().collect();
    let text = words(seed, chars).into_iter().enumerate();
    text.map(|(i, c)| if i % 10 == 7 { new[i / 10 % new.len()] } else { c }).collect()
}

struct TestDir(tempfile::TempDir);

impl TestDir {
    fn new() -> Self {
        let dir = TestDir(tempfile::tempdir().unwrap());
        std::fs::write(dir.path("old.txt"), words(1, 6000).into_iter().collect::<String>()).unwrap();
        std::fs::write(dir.path("new.txt"), with_new(2, 3000)).unwrap();
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, name: &str) -> DatasetConfig {
        DatasetConfig { paths: vec![self.path(name)], ..DatasetConfig::default() }
    }

    /// The new text with a share of the old one.
    fn texts(&self, share: f64) -> Dataset {
        let texts = Dataset::open(&self.config("new.txt")).unwrap();
        if share == 0.0 {
            return texts;
        }
        texts.with_replay(&ReplayConfig { file: self.path("old.txt"), fraction: share }).unwrap()
    }

    /// A checkpoint of a run on the old text.
    fn old(&self, cell: &str, embed: usize) -> Frame {
        let shape = ModelConfig { cell: cell.into(), num_layers: 2, hidden_size: 24, embed_size: embed, vocab_size: 0 };
        let texts = Dataset::open(&self.config("old.txt")).unwrap();
        let mut trainer = Trainer::new(texts, &shape, TrainConfig { steps: Some(60), ..train() }).unwrap();
        run_to(&mut trainer, 60);
        checkpoint(&trainer)
    }

    fn tune(&self, old: &Frame, share: f64) -> Trainer {
        Trainer::fine_tune(old, "old-run".into(), self.texts(share), train()).unwrap()
    }
}

fn train() -> TrainConfig {
    TrainConfig { batch_size: 10, seq_len: 32, steps: Some(13), lr: 0.01, threads: Some(2), ..TrainConfig::default() }
}

fn checkpoint(trainer: &Trainer) -> Frame {
    let sections = trainer.sections().unwrap();
    Frame::parse(Path::new("x.ckpt"), format::encode_checkpoint(&sections)).unwrap()
}

fn run_to(trainer: &mut Trainer, step: u64) {
    while trainer.progress().step < step {
        trainer.step().unwrap();
    }
}

/// The ids of the characters that are new to the model.
fn new_ids(trainer: &Trainer) -> Vec<u32> {
    let new = &trainer.origin().unwrap().new_symbols;
    new.iter().map(|symbol| trainer.dataset().vocab().id(*symbol).unwrap()).collect()
}

/// The mean probability of each character in `of` over a text.
fn mean_probabilities(model: &CharLm<f32>, text: &[u32], of: &[u32]) -> Vec<f64> {
    let model = InferenceModel::new(model, Precision::F32);
    let mut session = InferenceSession::new(&model, 1, text.len());
    session.run(&text.iter().map(|id| Input::with_logits(*id)).collect::<Vec<_>>());
    let mut sums = vec![0.0; of.len()];
    session.for_each_logits(|_, row| {
        softmax::softmax(row);
        sums.iter_mut().zip(of).for_each(|(sum, id)| *sum += f64::from(row[*id as usize]) / text.len() as f64);
    });
    sums
}

#[test]
fn new_characters_start_at_their_frequency() {
    let dir = TestDir::new();
    for (cell, embed) in [("lstm", 24), ("gru", 0)] {
        let trainer = dir.tune(&dir.old(cell, embed), 0.0);
        let (ids, vocab) = (new_ids(&trainer), trainer.dataset().vocab());
        assert_eq!(ids.len(), 20);
        let text = vocab.encode(&std::fs::read(dir.path("new.txt")).unwrap()).unwrap();
        let means = mean_probabilities(trainer.model(), &text, &ids);
        let sum: f64 = means.iter().sum();
        println!("{cell}: {sum:.4} in all, {means:.4?}");
        assert!((sum - 0.1).abs() < 0.01, "{cell}: {sum}");
        assert!(means.iter().all(|mean| (mean - 0.005).abs() < 0.0008), "{cell}: {means:?}");
    }
}

#[test]
fn old_text_loses_probability_only_to_new_characters() {
    let dir = TestDir::new();
    for (cell, embed) in [("lstm", 24), ("lstm", 0), ("gru", 7)] {
        let old = dir.old(cell, embed);
        let (model, vocab) = charlstm::checkpoint::model::read(&old).unwrap();
        let texts = RunMetadata::read(&old).unwrap().dataset.open().unwrap();
        let part = texts.held_out().unwrap();
        let before = score::held_out_loss(&model, &part, &vocab).unwrap().nats();
        let trainer = dir.tune(&old, 0.0);
        let ids = new_ids(&trainer);
        let mut masked = trainer.model().clone();
        let (layout, head_b) = (masked.layout().clone(), masked.head_b());
        ids.iter().for_each(|id| layout.slice_mut(&mut masked.weights, head_b)[*id as usize] = -1e9);
        let after = score::held_out_loss(&masked, &part, trainer.dataset().vocab()).unwrap().nats();
        println!("{cell}, --embed {embed}: {before} {after}");
        assert!((before - after).abs() < 1e-6, "{cell}, --embed {embed}: {before} {after}");
        // Unmasked, the new characters take a tenth of the probability: ln(1 / 0.9) = 0.105 nats.
        let losses = &trainer.origin().unwrap().before;
        let lost = losses.old.clone().unwrap() - before;
        assert!(lost > 0.02 && lost < 0.3, "{cell}, --embed {embed}: {lost}");
        assert!(*losses.new.as_ref().unwrap() > before, "{losses:?}");
    }
}

#[test]
fn fine_tuned_run_resumes_bit_identically_at_every_step() {
    let dir = TestDir::new();
    let old = dir.old("lstm", 0);
    let hash = |trainer: &Trainer| state_hash(&checkpoint(trainer)).unwrap();
    for share in [0.0, 0.3] {
        let mut whole = dir.tune(&old, share);
        assert_eq!(whole.steps_per_epoch(), if share > 0.0 { 13 } else { 9 });
        run_to(&mut whole, 13);
        for k in 0..=13 {
            let mut first = dir.tune(&old, share);
            run_to(&mut first, k);
            let saved = checkpoint(&first);
            let mut second = Trainer::resume(&saved, dir.texts(share), train(), false).unwrap();
            assert_eq!((second.origin(), hash(&second)), (first.origin(), hash(&first)), "saved at {k}");
            run_to(&mut second, 13);
            assert_eq!(hash(&second), hash(&whole), "resumed at {k}, replaying {share}");
        }
    }
}

#[test]
fn rejects_changed_replay_text_anywhere() {
    let dir = TestDir::new();
    let mut trainer = dir.tune(&dir.old("lstm", 0), 0.2);
    run_to(&mut trainer, 3);
    let saved = checkpoint(&trainer);
    assert_eq!(RunMetadata::read(&saved).unwrap().origin.unwrap().run, Path::new("old-run"));
    RunMetadata::read(&saved).unwrap().dataset.open().unwrap();
    let text = std::fs::read(dir.path("old.txt")).unwrap();
    for at in [5, 3000, 5999] {
        let mut changed = text.clone();
        changed[at] ^= 1;
        std::fs::write(dir.path("old.txt"), changed).unwrap();
        let refused = Trainer::resume(&saved, dir.texts(0.2), train(), false);
        assert!(
            matches!(&refused, Err(Error::CorpusMismatch { path, .. } | Error::UnknownInCorpus { path, .. }) if *path == dir.path("old.txt")),
            "{refused:?}"
        );
    }
    let refused = Trainer::resume(&saved, dir.texts(0.0), train(), false);
    assert!(matches!(&refused, Err(Error::CorpusMismatch { .. })), "{refused:?}");
}
