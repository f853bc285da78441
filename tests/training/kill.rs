//! The promise that a checkpoint on disk is always whole: a trainer is killed at random moments while it saves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use charlstm::checkpoint::{Frame, model};
use charlstm::run::{Progress, state_hash};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const KILLS: usize = 200;

/// A trainer that does nearly nothing but save.
fn trainer(folder: &Path, text: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_charlstm"));
    let shape = ["--layers", "2", "--hidden", "48", "--batch", "2", "--seq-len", "4", "--threads", "1"];
    let pace = ["--steps", "1000000", "--save-every", "1", "--eval-every", "3", "--val-frac", "0.05", "--quiet"];
    command.arg("train").arg(text).args(shape).args(pace).arg("--out").arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn killed_trainer_always_leaves_a_complete_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, (0..600).map(|i| char::from(b'a' + (i * i % 13) as u8)).collect::<String>()).unwrap();
    let run = folder.path().join("run");
    let latest = run.join("latest.ckpt");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut last_step, mut cut_while_saving) = (0, 0);
    for kill in 0..KILLS {
        let mut command = trainer(&run, &text);
        if latest.exists() {
            command.arg("--resume");
        }
        let modified = || latest.metadata().and_then(|file| file.modified()).ok();
        let (before, saved_before) = (last_step, modified());
        let mut child = command.spawn().unwrap();
        while modified() == saved_before {
            assert!(child.try_wait().unwrap().is_none(), "kill {kill}: the trainer ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        cut_while_saving += usize::from(run.join("latest.ckpt.tmp").exists() || run.join("best.ckpt.tmp").exists());
        let frame = Frame::read(&latest).unwrap_or_else(|e| panic!("kill {kill}: {e}"));
        model::read(&frame).unwrap();
        state_hash(&frame).unwrap();
        last_step = Progress::read(&frame).unwrap().step;
        assert!(last_step >= before, "kill {kill}: step {last_step} after step {before} had been saved");
        let best = run.join("best.ckpt");
        assert!(!best.exists() || model::load(&best).is_ok(), "kill {kill}: best.ckpt");
    }
    let hash_at = |folder: &Path, step: u64| {
        let mut command = trainer(folder, &text);
        command.arg("--stop-at").arg(step.to_string());
        if folder == run {
            command.arg("--resume");
        }
        assert!(command.status().unwrap().success());
        state_hash(&Frame::read(&folder.join("latest.ckpt")).unwrap()).unwrap()
    };
    let whole = folder.path().join("whole");
    assert_eq!(hash_at(&run, last_step + 5), hash_at(&whole, last_step + 5), "the kills changed what was learned");
    assert!(!run.join("latest.ckpt.tmp").exists() && !run.join("best.ckpt.tmp").exists(), "leftovers stay");
    println!("{KILLS} kills, {cut_while_saving} of them in the middle of a save, {last_step} steps");
    assert!(cut_while_saving > 0, "no kill hit a save: the test does not test what it should");
    assert!(last_step > 0, "no run ever went on");
}
