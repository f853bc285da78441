//! Full disks, file size limits, unwritable directories, insufficient memory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Finished, TINY, TestDir, Tmpfs, assert_contains_all, numbers_in, prose, wait_until};

/// A run on a small disk with less free space than a checkpoint needs.
struct FullDisk {
    dir: TestDir,
    _disk: Tmpfs,
}

impl FullDisk {
    fn with_run() -> Option<Self> {
        let dir = TestDir::with_text();
        let disk = Tmpfs::at(dir.path("disk"), "size=1m")?;
        dir.train("text.txt --out disk/run --steps 20 --eval-every 7");
        let full = FullDisk { dir, _disk: disk };
        full.fill();
        Some(full)
    }

    fn fill(&self) {
        let used: u64 = ["latest.ckpt", "best.ckpt", "loss.svg"]
            .iter()
            .map(|file| self.dir.path(&format!("disk/run/{file}")).metadata().unwrap().len().next_multiple_of(4096))
            .sum();
        self.dir.write("disk/filler", vec![1; (1 << 20) - used as usize - 5 * 4096]);
    }

    fn free_space(&self) {
        std::fs::remove_file(self.dir.path("disk/filler")).unwrap();
    }

    fn assert_same_as_on_a_large_disk(&self, steps: u64) {
        let whole = TestDir::with_text();
        whole.train("text.txt --name run --steps 20 --eval-every 7");
        whole.run(&format!("train --resume run --steps {steps} -q")).succeeds();
        for (file, fact) in [("latest.ckpt", "state_hash"), ("best.ckpt", "weights_hash")] {
            let (ours, other) = (format!("disk/run/{file}"), format!("checkpoints/run/{file}"));
            assert_eq!(self.dir.info(&ours, fact), whole.info(&other, fact), "{file}");
        }
    }

    fn assert_no_temporary_files(&self) {
        for file in ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl"] {
            assert!(!self.dir.exists(&format!("disk/run/{file}.tmp")), "{file}.tmp was left behind");
        }
    }
}

#[test]
fn full_disk_error_gives_needed_and_free_bytes() {
    let Some(full) = FullDisk::with_run() else { return };
    let dir = &full.dir;
    let before = dir.bytes("disk/run/latest.ckpt");
    let ran = dir.run("train --resume disk/run --steps 40 -q");
    let figures = numbers_in(ran.err.split_once("(os error ").unwrap().1);
    assert!(figures.len() == 3 && figures[1] > figures[2], "{}", ran.err);
    ran.fails(74, &["disk/run/", ".ckpt: ", "No space left", "free"]);
    assert!(before == dir.bytes("disk/run/latest.ckpt"), "the checkpoint was changed");
    full.assert_no_temporary_files();
    full.free_space();
    dir.run("train --resume disk/run --steps 40").succeeds();
    full.assert_same_as_on_a_large_disk(40);
}

#[test]
fn keep_going_saves_when_space_is_freed() {
    let Some(full) = FullDisk::with_run() else { return };
    let dir = &full.dir;
    full.free_space();
    let settings = "--steps 1000000000 --save-every 20 --eval-every 0 --log-every 0";
    let running = dir.start(dir.command(&format!("train --resume disk/run {settings} -q --keep-going")));
    let before = dir.bytes("disk/run/latest.ckpt");
    wait_until("a checkpoint", || before != dir.bytes("disk/run/latest.ckpt"));
    full.fill();
    wait_until("two warnings", || dir.read("stderr.txt").matches("warning:").count() > 1);
    let before = dir.bytes("disk/run/latest.ckpt");
    full.free_space();
    wait_until("a checkpoint", || before != dir.bytes("disk/run/latest.ckpt"));
    assert_eq!(running.stop_with("INT"), Some(130));
    assert!(!dir.read("stderr.txt").contains("error:"), "{}", dir.read("stderr.txt"));
    full.assert_no_temporary_files();
}

#[test]
fn file_size_limit_is_reported_like_a_full_disk() {
    let dir = TestDir::with_run();
    let before = dir.bytes("checkpoints/run/latest.ckpt");
    // Blocks of 512 or 1024 bytes, depending on the shell: less than a checkpoint, more than any other file.
    let limit = "ulimit -f 20";
    assert!(before.len() > 20 * 1024);
    for (args, run) in [("--resume run --steps 40", "run"), (&format!("text.txt --name other {TINY}"), "other")] {
        let ran = Finished::run(dir.command_in_shell(limit, &format!("train {args} -q")));
        ran.fails(74, &[&format!("checkpoints/{run}/"), "File too large", "free"]);
        assert!(!dir.exists(&format!("checkpoints/{run}/latest.ckpt.tmp")));
    }
    assert!(before == dir.bytes("checkpoints/run/latest.ckpt"), "the checkpoint was changed");
    assert!(!dir.exists("checkpoints/other/latest.ckpt"));
    dir.assert_resumes_identically("run", "--steps 20");
}

#[test]
fn unwritable_metrics_do_not_lose_the_checkpoint() {
    let dir = TestDir::with_text();
    let settings = "--steps 5000 --log-every 1 --save-every 0 --eval-every 0 -q";
    // More than a checkpoint, less than the records of all steps.
    let train = |more: &str| format!("train text.txt {TINY} {settings} {more}");
    let ran = Finished::run(dir.command_in_shell("ulimit -f 100", &train("--name run")));
    ran.fails(74, &["checkpoints/run/metrics.jsonl: ", "File too large"]);
    assert!(dir.info("run", "step").as_u64().unwrap() > 200);
    let logged = dir.metrics_lines("run");
    dir.assert_resumes_identically("run", settings);
    assert_eq!(dir.metrics_lines("uninterrupted"), dir.info("run", "step").as_u64().unwrap() as usize);
    assert_eq!(dir.metrics_lines("run"), logged + 5, "only the record that could not be written may be missing");

    let ran = Finished::run(dir.command_in_shell("ulimit -f 100", &train("--name all --keep-going")));
    assert_eq!((ran.code, ran.err.matches("warning:").count()), (Some(74), 1), "{}", ran.err);
    assert_contains_all(ran.err.lines().last().unwrap(), &["error: ", "checkpoints/all/metrics.jsonl"]);
    assert_eq!(dir.info("all", "step"), 5000);
}

#[test]
fn unwritable_directory_is_reported_before_training() {
    let dir = TestDir::with_text();
    std::fs::create_dir(dir.path("shut")).unwrap();
    std::fs::set_permissions(dir.path("shut"), Permissions::from_mode(0o555)).unwrap();
    let is_root = std::fs::write(dir.path("shut/probe"), "").is_ok();
    // Root can write everywhere except on a read-only file system.
    let disk = if is_root { Tmpfs::at(dir.path("shut"), "ro") } else { None };
    if is_root && disk.is_none() {
        return;
    }
    for out in ["shut/run", "shut"] {
        dir.run(&format!("train text.txt --out {out} {TINY} --steps 5")).fails(73, &[out]);
    }
    std::fs::set_permissions(dir.path("shut"), Permissions::from_mode(0o755)).ok();
}

#[test]
fn run_exceeding_memory_is_rejected_before_training() {
    let dir = TestDir::with_text();
    dir.write("large.txt", prose(5_000_000));
    // 200 GB of weights and moments, then terabytes of activations.
    for settings in ["--layers 2 --hidden 22000", "--layers 2 --hidden 8192 --batch 4000 --seq-len 1000"] {
        let ran = dir.run(&format!("train large.txt --steps 2 -q {settings}"));
        assert!(numbers_in(&ran.err).len() >= 2, "{}", ran.err);
        ran.fails(2, &["memory", "MiB"]);
    }
    dir.run("train text.txt --steps 2 -q --hidden 1000000").fails(2, &["hidden"]);
    assert!(!dir.exists("checkpoints"), "a run was created");
}
