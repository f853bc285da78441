//! The files of a run's directory: links, named pipes, and what a resumed run saves.

use std::os::unix::fs::symlink;

use crate::harness::{TestDir, prose, wait_until};

const FILES: [&str; 5] = ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl", "loss.svg"];

#[test]
fn temporary_files_do_not_follow_symbolic_links() {
    let dir = TestDir::with_run();
    for name in FILES.map(|name| format!("checkpoints/run/{name}.tmp")) {
        dir.write("victim.txt", "");
        symlink("../../victim.txt", dir.path(&name)).unwrap();
        dir.run("train --resume run --steps 22").succeeds();
        assert_eq!(dir.read("victim.txt"), "", "{name}");
        let _ = std::fs::remove_file(dir.path(&name));
    }
}

#[test]
fn corpus_change_discards_the_best_checkpoint() {
    let dir = TestDir::with_run();
    dir.write("text.txt", prose(2001));
    dir.run("train --resume run --steps 22 --eval-every 0 --allow-corpus-change").succeeds();
    assert!(!dir.exists("checkpoints/run/best.ckpt"));
}

#[test]
fn named_pipes_are_rejected_without_blocking() {
    let dir = TestDir::with_run();
    for (name, commands) in [
        ("metrics.jsonl", &["train --resume run --steps 22"][..]),
        ("best.ckpt", &["sample run"]),
        ("latest.ckpt", &["train --resume run --steps 22", "info run"]),
    ] {
        let path = format!("checkpoints/run/{name}");
        std::fs::remove_file(dir.path(&path)).unwrap();
        dir.make_fifo(&path);
        for command in commands {
            let ran = dir.run(command);
            assert!(ran.code == Some(66) && ran.err.contains(&path), "{command}: {}", ran.err);
        }
    }
}

#[test]
fn settings_of_a_resumed_run_survive_a_kill() {
    let dir = TestDir::with_run();
    let before = dir.metrics_lines("run");
    let running =
        dir.start(dir.command("train --resume run --steps 1000000000 --lr 0.5 --save-every 0 --eval-every 0"));
    wait_until("more records", || dir.metrics_lines("run") > before);
    assert_eq!(running.stop_with("KILL"), None);
    dir.run("train --resume run --stop-at 30").succeeds();
    assert!(dir.read("checkpoints/run/config.toml").contains("steps = 1000000000\n"));
    assert_eq!(dir.info("run", "step"), 30);
}

#[test]
fn resume_cannot_switch_from_bytes() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name raw --steps 5 --bytes");
    dir.write("off.toml", "bytes = false\n");
    dir.run("train --resume raw --steps 9 --config off.toml").fails(2, &["raw"]);
    dir.run("train --resume raw --steps 9 --config checkpoints/raw/config.toml").succeeds();
    assert_eq!(dir.info("raw", "characters"), "bytes");
    // A flag overrides the file.
    dir.train("--bytes text.txt --name flag --steps 5 --config off.toml");
    assert_eq!(dir.info("flag", "characters"), "bytes");
}

#[test]
fn run_name_takes_precedence_over_a_file_that_is_not_a_checkpoint() {
    let dir = TestDir::with_run();
    dir.write("run", prose(500));
    let of_run = dir.stdout("sample run --length 20 --seed 1");
    std::fs::copy(dir.path("checkpoints/run/best.ckpt"), dir.path("copy")).unwrap();
    assert_eq!(dir.stdout("sample copy --length 20 --seed 1"), of_run);
    dir.train("text.txt --name copy --steps 1");
    assert_eq!(
        dir.stdout("sample copy --length 20 --seed 1"),
        of_run,
        "a checkpoint file takes precedence over a run name"
    );
}
