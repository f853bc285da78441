//! Checkpoints of every format version keep loading, and mean the same wherever they were made. `tests/golden/v1.ckpt` was made, on
//! the built-in text, by
//! `charlstm train --layers 1 --hidden 4 --embed 3 --batch 2 --seq-len 8 --steps 5 --dropout 0.1 --eval-every 5`;
//! `v1-tuned.ckpt` is of a run that was fine-tuned with old text replayed, three steps of which were skipped.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "cli")]
mod cli;

use std::path::{Path, PathBuf};

use charlstm::checkpoint::{Frame, model};
use charlstm::data::{Corpus, Dataset, DatasetConfig, DatasetProvenance, Encoding, ReplayConfig};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::score;
use charlstm::train::{Beginning, Progress, Saved, Trainer, state_hash};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn version_1_loads_and_means_the_same() {
    let frame = Frame::read(&golden("v1.ckpt")).unwrap();
    let (model, vocab) = model::read(&frame).unwrap();
    assert_eq!((model.config().hidden, model.config().embed, vocab.len()), (4, 3, 63));
    assert_eq!(Progress::read(&frame).unwrap().step, 5);
    assert_eq!(Saved::read(&frame).unwrap().train.dropout, 0.1);
    assert_eq!(format!("{:032x}", model::weights_hash(&frame).unwrap()), "9d07095e055e0de95edf2fc4217a03b0");
    assert_eq!(format!("{:032x}", state_hash(&frame).unwrap()), "1aa2b3074f9e401494cc6e3a1f10f8b4");
    let text = "THE FOX AND THE WELL\n\nA fox came to a well.\n";
    let corpus = Corpus::from_text("text", text.as_bytes(), Encoding::Utf8).unwrap();
    let loss =
        score::carried(&InferenceModel::new(&model, Precision::F32), &corpus, &vocab, 0..corpus.chars()).unwrap();
    assert!((loss.nats() - 4.167986751692166).abs() < 1e-5, "{}", loss.nats());
}

#[test]
fn version_1_of_a_run_that_was_tuned_loads_and_goes_on() {
    let frame = Frame::read(&golden("v1-tuned.ckpt")).unwrap();
    let beginning = Beginning::read(&frame).unwrap().unwrap();
    assert_eq!((beginning.run, beginning.new), ("checkpoints/old".into(), vec![0x2d, 0x6e, 0xe9, 0xfc]));
    let replayed = DatasetProvenance::read(&frame).unwrap().replay.unwrap();
    assert_eq!((replayed.chars, replayed.identity.bytes), (207, 860));
    assert_eq!(Progress::read(&frame).unwrap().skipped, 3);
    assert_eq!(format!("{:032x}", state_hash(&frame).unwrap()), "7cb19d447f525c981687de5ac34ab4f8");
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old.txt", "new.txt"].map(|name| folder.path().join(name));
    std::fs::write(&old, "the old text of a fable: a crow met a fox.\n".repeat(20)).unwrap();
    std::fs::write(&new, "a newer text: an owl met a \u{fc}ber-\u{e9}lan at dawn.\n".repeat(20)).unwrap();
    let texts = DatasetConfig { paths: vec![new], ..DatasetConfig::default() };
    let texts = Dataset::open(&texts).unwrap().with_replay(&ReplayConfig { file: old, fraction: 0.2 }).unwrap();
    let mut trainer = Trainer::resume(&frame, texts, Saved::read(&frame).unwrap().train, false).unwrap();
    assert_eq!(trainer.step().unwrap().lr, 0.005, "two skipped steps had halved the learning rate");
}

/// Trains by every instruction set that this machine has, with one thread and with two, and evaluates each net by every other.
#[cfg(feature = "cli")]
#[test]
fn a_checkpoint_means_the_same_by_every_instruction_set_and_number_of_threads() {
    let place = cli::Place::with_text();
    let with = |simd: &str, threads: &str, args: &str| {
        let mut command = place.command(args);
        command.env("CHARLSTM_SIMD", simd).env("RAYON_NUM_THREADS", threads);
        cli::Ran::of(command)
    };
    let shape = "--layers 2 --hidden 24 --batch 4 --seq-len 16 --steps 40 --eval-every 0 -q";
    let all = ["portable", "avx2", "avx512"];
    let is_here = |simd: &&str| {
        let ran = with(simd, "1", &format!("sample {} --length 1", golden("v1.ckpt").display()));
        assert!(ran.code == Some(0) || ran.err.contains("this machine does not have it"), "{simd}: {}", ran.err);
        ran.code == Some(0)
    };
    let here = || all.into_iter().filter(is_here);
    println!("{:?}", here().collect::<Vec<_>>());
    for (made_by, threads) in here().flat_map(|simd| [(simd, "1"), (simd, "2")]) {
        let run = format!("{made_by}-{threads}");
        with(made_by, threads, &format!("train text.txt --name {run} {shape} --threads {threads}")).succeeds();
        let loss = |simd: &str, threads: &str| {
            let ran = with(simd, threads, &format!("eval {run} --json"));
            ran.json()["loss"].as_f64().unwrap()
        };
        let at_home = loss(made_by, threads);
        for (simd, threads) in here().flat_map(|simd| [(simd, "1"), (simd, "2")]) {
            let there = loss(simd, threads);
            assert!(
                (there - at_home).abs() < 1e-5,
                "made by {run}: {at_home}; by {simd} and {threads} threads: {there}"
            );
        }
    }
}
