//! Where there is no room: full disks, the largest file that is allowed, folders that cannot be written, too little memory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Mounted, Place, Ran, TINY, prose, wait_until};

/// A run on a disk of its own, of which all but some KiB are taken: less than a checkpoint.
struct FullDisk {
    place: Place,
    _disk: Mounted,
}

impl FullDisk {
    fn with_run() -> Option<Self> {
        let place = Place::with_text();
        let disk = Mounted::at(place.path("disk"), "size=1m")?;
        place.train("text.txt --out disk/run --steps 20 --eval-every 7");
        let full = FullDisk { place, _disk: disk };
        full.fill();
        Some(full)
    }

    fn fill(&self) {
        let taken: u64 = ["latest.ckpt", "best.ckpt", "loss.svg"]
            .iter()
            .map(|file| self.place.path(&format!("disk/run/{file}")).metadata().unwrap().len().next_multiple_of(4096))
            .sum();
        self.place.write("disk/filler", vec![1; (1 << 20) - taken as usize - 5 * 4096]);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.place.path("disk/filler")).unwrap();
    }

    /// Fails where the run is not what it would be had there always been room.
    fn is_as_undisturbed(&self, steps: u64) {
        let whole = Place::with_text();
        whole.train("text.txt --name run --steps 20 --eval-every 7");
        whole.run(&format!("train --resume run --steps {steps} -q")).succeeds();
        for (file, fact) in [("latest.ckpt", "state_hash"), ("best.ckpt", "weights_hash")] {
            let (ours, other) = (format!("disk/run/{file}"), format!("checkpoints/run/{file}"));
            assert_eq!(self.place.fact(&ours, fact), whole.fact(&other, fact), "{file}");
        }
    }

    fn nothing_half_written(&self) {
        for file in ["latest.ckpt", "best.ckpt", "config.toml", "metrics.jsonl"] {
            assert!(!self.place.has(&format!("disk/run/{file}.tmp")), "{file}.tmp was left");
        }
    }
}

#[test]
fn a_full_disk_is_told_with_what_is_needed_and_what_is_free_and_the_run_stands() {
    let Some(full) = FullDisk::with_run() else { return };
    let place = &full.place;
    let before = place.bytes("disk/run/latest.ckpt");
    let ran = place.run("train --resume disk/run --steps 40 -q");
    ran.fails(74, &["disk/run/", ".ckpt: No space left", "needs", "bytes", "are free", "make room"]);
    assert!(before == place.bytes("disk/run/latest.ckpt"), "the run was touched");
    full.nothing_half_written();
    full.make_room();
    place.run("train --resume disk/run --steps 40").succeeds();
    full.is_as_undisturbed(40);
}

#[test]
fn a_run_that_is_to_keep_going_saves_once_there_is_room() {
    let Some(full) = FullDisk::with_run() else { return };
    let place = &full.place;
    let before = place.bytes("disk/run/latest.ckpt");
    let steps = "--steps 1000000000 --save-every 20 --eval-every 0 --log-every 0 -q --keep-going";
    let running = place.start(place.command(&format!("train --resume disk/run {steps}")));
    wait_until("two warnings", || place.read("stderr.txt").matches("warning:").count() > 1);
    assert!(before == place.bytes("disk/run/latest.ckpt"), "the run was touched");
    full.make_room();
    wait_until("a checkpoint", || before != place.bytes("disk/run/latest.ckpt"));
    assert_eq!(running.end_by("INT"), Some(130));
    let said = place.read("stderr.txt");
    assert!(said.contains("are free") && said.contains("the next save tries again"), "{said}");
    assert!(!said.contains("error:"), "{said}");
    full.nothing_half_written();
}

#[test]
fn a_run_that_kept_going_is_the_one_that_nothing_came_between() {
    let Some(full) = FullDisk::with_run() else { return };
    let place = &full.place;
    // The last save is a save that must succeed.
    let go_on = "train --resume disk/run --steps 60 --keep-going -q";
    let ran = place.run(go_on);
    assert_eq!(ran.code, Some(74), "{}", ran.err);
    assert!(ran.err.starts_with("warning: disk/run/latest.ckpt") && ran.err.contains("best.ckpt"), "{}", ran.err);
    assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    full.nothing_half_written();
    full.make_room();
    place.run(go_on).succeeds();
    full.is_as_undisturbed(60);
}

#[test]
fn the_largest_file_that_is_allowed_is_told_as_a_full_disk_is() {
    let place = Place::with_run();
    let before = place.bytes("checkpoints/run/latest.ckpt");
    // In blocks of 512 or 1024 bytes, as the shell has it; either is less than a checkpoint and more than anything else.
    let limit = "ulimit -f 20";
    assert!(before.len() > 20 * 1024, "the checkpoint is smaller than the limit");
    let ran = Ran::of(place.command_after(limit, "train --resume run --steps 40 -q"));
    ran.fails(74, &["checkpoints/run/", "File too large", "needs", "are free"]);
    assert!(before == place.bytes("checkpoints/run/latest.ckpt"), "the run was touched");
    assert!(!place.has("checkpoints/run/latest.ckpt.tmp"));
    Ran::of(place.command_after(limit, &format!("train text.txt --name other {TINY} --steps 5 -q")))
        .fails(74, &["needs"]);
    assert!(!place.has("checkpoints/other/latest.ckpt") && !place.has("checkpoints/other/latest.ckpt.tmp"));
    place.train_on("run", 40);
    let whole = Place::with_run();
    whole.train_on("run", 40);
    assert_eq!(place.fact("run", "state_hash"), whole.fact("run", "state_hash"));
}

#[test]
fn records_that_cannot_be_written_do_not_cost_the_checkpoint() {
    let place = Place::with_text();
    let settings = format!("train text.txt {TINY} --steps 5000 --log-every 1 --save-every 0 --eval-every 0 -q --name");
    // More than a checkpoint has, and fewer than the records of all steps.
    let ran = Ran::of(place.command_after("ulimit -f 100", &format!("{settings} run")));
    let figure = |before: &str| crate::harness::number_after(&ran.err, before);
    assert!(figure("it needs ") > figure("bytes, and "), "{}", ran.err);
    ran.fails(74, &["checkpoints/run/metrics.jsonl: File too large"]);
    let step = place.fact("run", "step").as_u64().unwrap();
    assert!(step > 200, "the steps up to {step} alone are saved");
    place.run(&format!("train --resume run --stop-at {} -q", step + 5)).succeeds();
    place.run(&format!("{settings} whole --stop-at {}", step + 5)).succeeds();
    assert_eq!(place.fact("run", "state_hash"), place.fact("whole", "state_hash"));
    assert_eq!(place.metrics("run").len() + 1, place.metrics("whole").len(), "the one that could not be written");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_training() {
    let place = Place::with_text();
    let train = format!("train text.txt --out shut/run {TINY} --steps 5");
    std::fs::create_dir(place.path("shut")).unwrap();
    std::fs::set_permissions(place.path("shut"), Permissions::from_mode(0o555)).unwrap();
    let is_root = std::fs::write(place.path("shut/probe"), "").is_ok();
    // Root may write everything but what is mounted for reading.
    let disk = if is_root { Mounted::at(place.path("shut"), "ro") } else { None };
    if is_root && disk.is_none() {
        return;
    }
    place.run(&train).fails(73, &["shut/run", "choose another folder"]);
    place.run(&format!("train text.txt --out shut {TINY} --steps 5")).fails(73, &["shut"]);
    std::fs::set_permissions(place.path("shut"), Permissions::from_mode(0o755)).ok();
}

#[test]
fn a_run_that_needs_more_memory_than_available_is_refused_before_training() {
    let place = Place::with_text();
    place.write("large.txt", prose(5_000_000));
    // 200 GB of weights and moments, then terabytes of activations.
    for settings in ["--layers 2 --hidden 22000", "--layers 2 --hidden 8192 --batch 4000 --seq-len 1000"] {
        let ran = place.run(&format!("train large.txt --steps 2 -q {settings}"));
        ran.fails(2, &["training this model needs", "MiB of memory", "are available"]);
    }
    place.run("train text.txt --steps 2 -q --hidden 1000000").fails(2, &["parameters"]);
    assert!(!place.has("checkpoints"), "a run was created");
}

#[test]
fn records_that_cannot_be_written_are_told_of_once() {
    let place = Place::with_text();
    let settings = "--steps 3000 --log-every 1 --save-every 0 --eval-every 0 -q --keep-going";
    let ran = Ran::of(place.command_after("ulimit -f 100", &format!("train text.txt --name run {TINY} {settings}")));
    assert_eq!((ran.code, ran.err.matches("warning:").count()), (Some(74), 1), "{}", ran.err);
    assert!(
        ran.err.trim_end().lines().last().unwrap().starts_with("error: checkpoints/run/metrics.jsonl: File too large")
    );
    assert_eq!(place.fact("run", "step"), 3000, "the checkpoint can be written");
}

#[test]
fn records_of_any_length_take_no_memory() {
    let place = Place::with_run();
    let metrics = std::fs::File::options().append(true).open(place.path("checkpoints/run/metrics.jsonl")).unwrap();
    metrics.set_len(1 << 30).unwrap();
    Ran::of(place.command_after("ulimit -v 1048576", "train --resume run --steps 22")).succeeds();
    assert!(place.bytes("checkpoints/run/metrics.jsonl").len() < 10_000, "what is no record goes");
}
