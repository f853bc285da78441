//! The files of a run's folder: links, pipes and permissions, and the settings of a resumed run.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::harness::{RunningProgram, TestDir, prose, wait_until};

fn make_fifo(dir: &TestDir, name: &str) {
    let _ = std::fs::remove_file(dir.path(name));
    assert!(Command::new("mkfifo").arg(dir.path(name)).status().unwrap().success());
}

#[test]
fn temporary_files_do_not_follow_symbolic_links() {
    let dir = TestDir::with_run();
    for name in ["latest.ckpt.tmp", "best.ckpt.tmp", "config.toml.tmp", "metrics.jsonl.tmp", "loss.svg.tmp"] {
        let link = dir.path(&format!("checkpoints/run/{name}"));
        dir.write("victim.txt", "");
        let _ = std::fs::remove_file(&link);
        symlink("../../victim.txt", &link).unwrap();
        dir.run("train --resume run --steps 22").succeeds();
        assert!(!link.is_symlink(), "{name}: it stays");
        assert_eq!(dir.read("victim.txt"), "", "{name}");
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
    make_fifo(&dir, "checkpoints/run/metrics.jsonl");
    let ran = dir.run("train --resume run --steps 22");
    assert!(
        ran.code == Some(66) && ran.err.contains("run/metrics.jsonl: cannot be read: not a regular"),
        "{}",
        ran.err
    );
    make_fifo(&dir, "checkpoints/run/latest.ckpt");
    for command in ["train --resume run --steps 22", "info run"] {
        dir.run(command).fails(66, &["run/latest.ckpt", "not a regular file"]);
    }
    make_fifo(&dir, "checkpoints/run/best.ckpt");
    dir.run("sample run").fails(66, &["run/best.ckpt", "not a regular file"]);
}

#[test]
fn file_permissions_are_kept() {
    let dir = TestDir::with_run();
    let files = ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl", "loss.svg"];
    let paths = files.map(|name| dir.path(&format!("checkpoints/run/{name}")));
    paths.iter().for_each(|path| std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap());
    dir.run("train --resume run --steps 40 --eval-every 1").succeeds();
    for path in paths {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn rejects_configuration_that_is_not_utf8() {
    let dir = TestDir::with_run();
    dir.write("latin.toml", b"# caf\xe9\nlayers = 1\n");
    for file in ["latin.toml", "checkpoints/run/latest.ckpt"] {
        dir.run(&format!("train text.txt --name new --config {file}")).fails(2, &[file, "not UTF-8"]);
    }
}

#[test]
fn resume_cannot_switch_from_bytes() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name raw --steps 5 --bytes");
    dir.write("off.toml", "bytes = false\n");
    dir.run("train --resume raw --steps 9 --config off.toml").fails(2, &["Bytes", "Utf8"]);
    dir.run("train --resume raw --steps 9 --config checkpoints/raw/config.toml").succeeds();
    assert_eq!(dir.info("raw", "characters"), "bytes");
    // A flag wins, and needs no value.
    dir.train("--bytes text.txt --name flag --steps 5 --config off.toml");
    assert_eq!(dir.info("flag", "characters"), "bytes");
    dir.run("train text.txt --bytes=false").fails_with_usage(2, &["--bytes"]);
}

#[test]
fn directory_in_place_of_a_file_is_reported() {
    let dir = TestDir::with_run();
    dir.write("checkpoints/run/latest.ckpt.tmp/file", "");
    dir.run("train --resume run --steps 22").fails(74, &["run/latest.ckpt.tmp", "remove it"]);
}

#[test]
fn settings_of_a_resumed_run_survive_a_kill() {
    let dir = TestDir::with_run();
    let metrics = dir.path("checkpoints/run/metrics.jsonl");
    let before = metrics.metadata().unwrap().len();
    let command =
        dir.command("train --resume run --steps 1000000000 --lr 0.5 --save-every 0 --eval-every 0 -q").spawn();
    let running = RunningProgram(command.unwrap());
    wait_until("more records", || metrics.metadata().is_ok_and(|file| file.len() > before));
    assert_eq!(running.stop_with("KILL"), None);
    let (_, stderr) = dir.run("train --resume run --stop-at 30").succeeds();
    assert!(stderr.contains("Going on from step 20 of 1000000000"), "{stderr}");
    assert_eq!(dir.info("run", "step"), 30);
}
