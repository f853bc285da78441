//! Where there is no room: full disks, the largest file that is allowed, folders that cannot be written, too little memory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Finished, TINY, TestDir, Tmpfs, prose, wait_until};

/// A run on a disk of its own, of which all but some KiB are taken: less than a checkpoint.
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
        let taken: u64 = ["latest.ckpt", "best.ckpt", "loss.svg"]
            .iter()
            .map(|file| self.dir.path(&format!("disk/run/{file}")).metadata().unwrap().len().next_multiple_of(4096))
            .sum();
        self.dir.write("disk/filler", vec![1; (1 << 20) - taken as usize - 5 * 4096]);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.dir.path("disk/filler")).unwrap();
    }

    /// Fails where the run is not what it would be had there always been room.
    fn is_as_undisturbed(&self, steps: u64) {
        let whole = TestDir::with_text();
        whole.train("text.txt --name run --steps 20 --eval-every 7");
        whole.run(&format!("train --resume run --steps {steps} -q")).succeeds();
        for (file, fact) in [("latest.ckpt", "state_hash"), ("best.ckpt", "weights_hash")] {
            let (ours, other) = (format!("disk/run/{file}"), format!("checkpoints/run/{file}"));
            assert_eq!(self.dir.info(&ours, fact), whole.info(&other, fact), "{file}");
        }
    }

    fn nothing_half_written(&self) {
        for file in ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl"] {
            assert!(!self.dir.exists(&format!("disk/run/{file}.tmp")), "{file}.tmp was left");
        }
    }
}

#[test]
fn full_disk_error_gives_needed_and_free_bytes() {
    let Some(full) = FullDisk::with_run() else { return };
    let dir = &full.dir;
    let before = dir.bytes("disk/run/latest.ckpt");
    let ran = dir.run("train --resume disk/run --steps 40 -q");
    ran.fails(74, &["disk/run/", ".ckpt: No space left", "needed", "bytes", "are free", "free some space"]);
    assert!(before == dir.bytes("disk/run/latest.ckpt"), "the run was touched");
    full.nothing_half_written();
    full.make_room();
    dir.run("train --resume disk/run --steps 40").succeeds();
    full.is_as_undisturbed(40);
}

#[test]
fn keep_going_saves_once_there_is_space() {
    let Some(full) = FullDisk::with_run() else { return };
    let dir = &full.dir;
    let before = dir.bytes("disk/run/latest.ckpt");
    let steps = "--steps 1000000000 --save-every 20 --eval-every 0 --log-every 0 -q --keep-going";
    let running = dir.start(dir.command(&format!("train --resume disk/run {steps}")));
    wait_until("two warnings", || dir.read("stderr.txt").matches("warning:").count() > 1);
    assert!(before == dir.bytes("disk/run/latest.ckpt"), "the run was touched");
    full.make_room();
    wait_until("a checkpoint", || before != dir.bytes("disk/run/latest.ckpt"));
    assert_eq!(running.stop_with("INT"), Some(130));
    let stderr = dir.read("stderr.txt");
    assert!(stderr.contains("are free") && stderr.contains("the next save tries again"), "{stderr}");
    assert!(!stderr.contains("error:"), "{stderr}");
    full.nothing_half_written();
}

#[test]
fn keep_going_gives_the_same_result() {
    let Some(full) = FullDisk::with_run() else { return };
    let dir = &full.dir;
    // The last save is a save that must succeed.
    let go_on = "train --resume disk/run --steps 60 --keep-going -q";
    let ran = dir.run(go_on);
    assert_eq!(ran.code, Some(74), "{}", ran.err);
    assert!(ran.err.starts_with("warning: disk/run/latest.ckpt") && ran.err.contains("best.ckpt"), "{}", ran.err);
    assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    full.nothing_half_written();
    full.make_room();
    dir.run(go_on).succeeds();
    full.is_as_undisturbed(60);
}

#[test]
fn file_size_limit_is_reported_like_a_full_disk() {
    let dir = TestDir::with_run();
    let before = dir.bytes("checkpoints/run/latest.ckpt");
    // In blocks of 512 or 1024 bytes, as the shell has it; either is less than a checkpoint and more than anything else.
    let limit = "ulimit -f 20";
    assert!(before.len() > 20 * 1024, "the checkpoint is smaller than the limit");
    let ran = Finished::run(dir.command_in_shell(limit, "train --resume run --steps 40 -q"));
    ran.fails(74, &["checkpoints/run/", "File too large", "needed", "are free"]);
    assert!(before == dir.bytes("checkpoints/run/latest.ckpt"), "the run was touched");
    assert!(!dir.exists("checkpoints/run/latest.ckpt.tmp"));
    Finished::run(dir.command_in_shell(limit, &format!("train text.txt --name other {TINY} --steps 5 -q")))
        .fails(74, &["needed"]);
    assert!(!dir.exists("checkpoints/other/latest.ckpt") && !dir.exists("checkpoints/other/latest.ckpt.tmp"));
    dir.resume_to("run", 40);
    let whole = TestDir::with_run();
    whole.resume_to("run", 40);
    assert_eq!(dir.info("run", "state_hash"), whole.info("run", "state_hash"));
}

#[test]
fn unwritable_metrics_do_not_lose_the_checkpoint() {
    let dir = TestDir::with_text();
    let settings = format!("train text.txt {TINY} --steps 5000 --log-every 1 --save-every 0 --eval-every 0 -q --name");
    // More than a checkpoint has, and fewer than the records of all steps.
    let ran = Finished::run(dir.command_in_shell("ulimit -f 100", &format!("{settings} run")));
    let figure = |before: &str| crate::harness::number_after(&ran.err, before);
    assert!(figure("(os error 27): ") > figure("are needed, "), "{}", ran.err);
    ran.fails(74, &["checkpoints/run/metrics.jsonl: File too large"]);
    let step = dir.info("run", "step").as_u64().unwrap();
    assert!(step > 200, "the steps up to {step} alone are saved");
    dir.run(&format!("train --resume run --stop-at {} -q", step + 5)).succeeds();
    dir.run(&format!("{settings} whole --stop-at {}", step + 5)).succeeds();
    assert_eq!(dir.info("run", "state_hash"), dir.info("whole", "state_hash"));
    assert_eq!(dir.metrics("run").len() + 1, dir.metrics("whole").len(), "the one that could not be written");
}

#[test]
fn unwritable_directory_is_reported_before_training() {
    let dir = TestDir::with_text();
    let train = format!("train text.txt --out shut/run {TINY} --steps 5");
    std::fs::create_dir(dir.path("shut")).unwrap();
    std::fs::set_permissions(dir.path("shut"), Permissions::from_mode(0o555)).unwrap();
    let is_root = std::fs::write(dir.path("shut/probe"), "").is_ok();
    // Root may write everything but what is mounted for reading.
    let disk = if is_root { Tmpfs::at(dir.path("shut"), "ro") } else { None };
    if is_root && disk.is_none() {
        return;
    }
    dir.run(&train).fails(73, &["shut/run", "choose another folder"]);
    dir.run(&format!("train text.txt --out shut {TINY} --steps 5")).fails(73, &["shut"]);
    std::fs::set_permissions(dir.path("shut"), Permissions::from_mode(0o755)).ok();
}

#[test]
fn run_exceeding_memory_is_rejected_before_training() {
    let dir = TestDir::with_text();
    dir.write("large.txt", prose(5_000_000));
    // 200 GB of weights and moments, then terabytes of activations.
    for settings in ["--layers 2 --hidden 22000", "--layers 2 --hidden 8192 --batch 4000 --seq-len 1000"] {
        let ran = dir.run(&format!("train large.txt --steps 2 -q {settings}"));
        ran.fails(2, &["training this model needs", "MiB of memory", "are available"]);
    }
    dir.run("train text.txt --steps 2 -q --hidden 1000000").fails(2, &["parameters"]);
    assert!(!dir.exists("checkpoints"), "a run was created");
}

#[test]
fn unwritable_metrics_are_reported_once() {
    let dir = TestDir::with_text();
    let settings = "--steps 3000 --log-every 1 --save-every 0 --eval-every 0 -q --keep-going";
    let ran =
        Finished::run(dir.command_in_shell("ulimit -f 100", &format!("train text.txt --name run {TINY} {settings}")));
    assert_eq!((ran.code, ran.err.matches("warning:").count()), (Some(74), 1), "{}", ran.err);
    assert!(
        ran.err.trim_end().lines().last().unwrap().starts_with("error: checkpoints/run/metrics.jsonl: File too large")
    );
    assert_eq!(dir.info("run", "step"), 3000, "the checkpoint can be written");
}

#[test]
fn metrics_are_read_in_constant_memory() {
    let dir = TestDir::with_run();
    let metrics = std::fs::File::options().append(true).open(dir.path("checkpoints/run/metrics.jsonl")).unwrap();
    metrics.set_len(1 << 30).unwrap();
    Finished::run(dir.command_in_shell("ulimit -v 1048576", "train --resume run --steps 22")).succeeds();
    assert!(dir.bytes("checkpoints/run/metrics.jsonl").len() < 10_000, "what is no record goes");
}
