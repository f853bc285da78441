//! Checkpoints can be used on other instruction sets.

use crate::harness::{Finished, TestDir};
use charlstm::simd::Isa;

fn run(dir: &TestDir, isa: Isa, threads: &str, args: &str) -> Finished {
    let mut command = dir.command(args);
    command.env("CHARLSTM_SIMD", isa.name()).env("RAYON_NUM_THREADS", threads);
    Finished::run(command)
}

fn all_settings() -> impl Iterator<Item = (Isa, &'static str)> {
    Isa::available().flat_map(|isa| [(isa, "1"), (isa, "2")])
}

#[test]
fn checkpoint_has_the_same_loss_on_every_instruction_set_and_thread_count() {
    let dir = TestDir::with_text();
    let shape = "--layers 2 --hidden 24 --batch 4 --seq-len 16 --steps 40 --eval-every 0 -q";
    for (trained_with, threads) in all_settings() {
        let name = format!("{}-{threads}", trained_with.name());
        run(&dir, trained_with, threads, &format!("train text.txt --name {name} {shape} --threads {threads}"))
            .succeeds();
        let loss =
            |isa, threads| run(&dir, isa, threads, &format!("eval {name} --json")).json()["loss"].as_f64().unwrap();
        let expected = loss(trained_with, threads);
        for (isa, threads) in all_settings() {
            let found = loss(isa, threads);
            assert!((found - expected).abs() < 1e-5, "{name}: {expected}; {isa:?}, {threads} threads: {found}");
        }
    }
}

#[test]
fn resuming_on_another_instruction_set_prints_a_note() {
    let dir = TestDir::with_run();
    let trained_with = dir.info("run", "instruction_set");
    for isa in Isa::available() {
        let (_, stderr) = run(&dir, isa, "1", "train --resume run --steps 30 --stop-at 21").succeeds();
        assert_eq!(stderr.contains("bit-identical"), trained_with != isa.name(), "{isa:?}: {stderr}");
        dir.train("text.txt --name run --steps 20 --overwrite");
    }
}
