//! A checkpoint on disk is always complete: a trainer is killed at random moments while it saves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use charlstm::checkpoint::{Frame, model};
use charlstm::run::{Progress, state_hash};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const KILLS: usize = 200;

/// A trainer that saves after every step.
fn trainer(run: &Path, text: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_charlstm"));
    let shape = ["--layers", "2", "--hidden", "48", "--batch", "2", "--seq-len", "4", "--threads", "1"];
    let pace = ["--steps", "1000000", "--save-every", "1", "--eval-every", "3", "--val-frac", "0.05", "--quiet"];
    command.arg("train").arg(text).args(shape).args(pace).arg("--out").arg(run);
    if run.join("latest.ckpt").exists() {
        command.arg("--resume");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn killed_trainer_always_leaves_a_complete_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.txt");
    std::fs::write(&text, (0..600).map(|i| char::from(b'a' + (i * i % 13) as u8)).collect::<String>()).unwrap();
    let run = dir.path().join("run");
    let [latest, best] = ["latest.ckpt", "best.ckpt"].map(|name| run.join(name));
    let is_saving = || run.join("latest.ckpt.tmp").exists() || run.join("best.ckpt.tmp").exists();
    let modified = || latest.metadata().and_then(|file| file.modified()).ok();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut last_step, mut kills_while_saving) = (0, 0);
    for kill in 0..KILLS {
        let saved_before = modified();
        let mut child = trainer(&run, &text).spawn().unwrap();
        while modified() == saved_before {
            assert!(child.try_wait().unwrap().is_none(), "kill {kill}: the trainer exited before it was killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..30_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        kills_while_saving += usize::from(is_saving());
        let frame = Frame::read(&latest).unwrap_or_else(|e| panic!("kill {kill}: {e}"));
        model::read(&frame).unwrap();
        state_hash(&frame).unwrap();
        let step = Progress::read(&frame).unwrap().step;
        assert!(step >= last_step, "kill {kill}: step {step} is older than the saved step {last_step}");
        assert!(!best.exists() || model::load(&best).is_ok(), "kill {kill}: best.ckpt is damaged");
        last_step = step;
    }
    let hash_at = |run: &Path, step: u64| {
        assert!(trainer(run, &text).arg("--stop-at").arg(step.to_string()).status().unwrap().success());
        state_hash(&Frame::read(&run.join("latest.ckpt")).unwrap()).unwrap()
    };
    assert_eq!(hash_at(&run, last_step + 5), hash_at(&dir.path().join("uninterrupted"), last_step + 5));
    assert!(!is_saving(), "temporary files were left behind");
    println!("{KILLS} kills, {kills_while_saving} of them during a save, {last_step} steps");
    assert!(kills_while_saving > 0 && last_step > 0);
}
