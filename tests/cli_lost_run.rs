//! What becomes of a run whose folder or lock is deleted, moved away or replaced.

// Without this feature there is no program to run.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;

use std::process::Command;

use cli::{ENDLESS, Place, Ran, Running, TINY, shown, steps_of, traced, wait_until};

/// Lets a process stand still while `meanwhile` happens.
fn standing_still<T>(running: &Running, meanwhile: impl FnOnce() -> T) -> T {
    running.send("STOP");
    let state = || Command::new("ps").args(["-o", "stat=", "-p", &running.pid()]).output().unwrap().stdout;
    wait_until("it to stand still", || state().starts_with(b"T"));
    let done = meanwhile();
    running.send("CONT");
    done
}

#[test]
fn a_trainer_whose_lock_was_deleted_gives_way_to_the_next() {
    let place = Place::with_text();
    let (lock, metrics) = (place.path("checkpoints/run/.lock"), place.path("checkpoints/run/metrics.jsonl"));
    let first = place.start_training("run", ENDLESS);
    let second = standing_still(&first, || {
        std::fs::remove_file(&lock).unwrap();
        std::fs::remove_file(&metrics).unwrap();
        let second = Running(place.command("train --resume run -q").spawn().unwrap());
        wait_until("the records of the second", || metrics.metadata().is_ok_and(|file| file.len() > 0));
        second
    });
    gives_way(&place, first, &format!("checkpoints/run/.lock: process {} took this run", second.pid()));
    assert_eq!(second.end_by("INT"), Some(130));
}

#[test]
fn a_trainer_whose_run_was_gone_on_with_leaves_that_alone() {
    let place = Place::with_text();
    let first = place.start_training("run", ENDLESS);
    let saved = standing_still(&first, || {
        std::fs::remove_file(place.path("checkpoints/run/.lock")).unwrap();
        place.run("train --resume run --stop-at 5").succeeds();
        place.bytes("checkpoints/run/latest.ckpt")
    });
    gives_way(&place, first, "took this run, or left a lock in a copy of one");
    assert!(place.bytes("checkpoints/run/latest.ckpt") == saved, "it was overwritten");
}

/// Fails where a trainer does not end so, with what it learned beside the folder.
fn gives_way(place: &Place, trainer: Running, why: &str) {
    assert_eq!(trainer.end(), Some(74), "{}", place.read("stderr.txt"));
    let said = place.read("stderr.txt");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert!(matches!(errors[..], [line] if line.contains(why)), "{said}");
    let step = cli::number_after(&said, "warning: step ") as u64;
    assert!(step > 0 && said.contains("go on with: charlstm train --resume checkpoints/run-2\n"), "{said}");
    let pace = "--steps 1000000000 --eval-every 0 --log-every 5";
    place.train(&format!("text.txt --name whole {pace} --stop-at {}", step + 5));
    place.run(&format!("train --resume checkpoints/run-2 --stop-at {}", step + 5)).succeeds();
    assert_eq!(place.fact("run-2", "state_hash"), place.fact("whole", "state_hash"));
}

/// The program under `strace`, which stops it; it goes on when something was done meanwhile. Its exit code, and what it said.
fn stopped(place: &Place, strace: &[&str], args: &str, meanwhile: impl FnOnce()) -> Option<(Option<i32>, String)> {
    let running = place.start(traced(place, &[&["-o", "trace.txt"], strace].concat(), args)?);
    let trace = || std::fs::read_to_string(place.path("trace.txt")).unwrap_or_default();
    wait_until("the stop", || trace().contains("stopped by SIGSTOP"));
    meanwhile();
    let stop = trace().lines().find(|line| line.contains("stopped by SIGSTOP")).map(String::from).unwrap();
    let pid = stop.split_whitespace().next().unwrap();
    assert!(Command::new("kill").args(["-CONT", pid]).status().unwrap().success());
    Some((running.end(), place.read("stderr.txt")))
}

#[test]
fn the_race_for_a_new_folder_is_told_as_what_it_is() {
    let place = Place::with_run();
    std::fs::rename(place.path("checkpoints/run"), place.path("other")).unwrap();
    // The text is opened after the folder was found free, and before it is taken.
    let (text, inject) = (shown(&place.path("text.txt")), "inject=openat:signal=STOP:when=1");
    let strace = ["-P", &text, "-e", "trace=openat", "-e", inject];
    let Some((code, said)) = stopped(&place, &strace, &format!("train text.txt --name run {TINY}"), || {
        std::fs::rename(place.path("other"), place.path("checkpoints/run")).unwrap();
    }) else {
        return;
    };
    assert_eq!(code, Some(73), "{said}");
    assert!(said.starts_with("error:") && said.contains("there is a run in it") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_folder_that_is_deleted_while_the_run_goes_on_is_made_again() {
    let place = Place::with_text();
    let pace = "--steps 1000000000 --eval-every 50 --save-every 50 --log-every 20";
    let mut running = place.start_training("run", pace);
    for times in 1..4 {
        // A save may come between.
        while std::fs::remove_dir_all(place.path("checkpoints")).is_err() {}
        wait_until("the folder", || {
            place.has("checkpoints/run/metrics.jsonl") && place.has("checkpoints/run/latest.ckpt")
        });
        wait_until("the word", || {
            place.read("stderr.txt").matches("checkpoints/run: the run's folder was deleted").count() >= times
        });
        assert!(running.goes_on(), "{}", place.read("stderr.txt"));
        place.run("train --resume run --stop-at 1").fails(75, &[&running.pid()]);
    }
    assert_eq!(running.end_by("INT"), Some(130), "{}", place.read("stderr.txt"));
    let step = place.fact("run", "step").as_u64().unwrap();
    let records = steps_of(&place.metrics("run"), "train").len() as u64;
    assert_eq!(records, step.div_ceil(20), "none is lost");
    place.run(&format!("train --resume run --stop-at {}", step + 1)).succeeds();
    place.train(&format!("text.txt --name whole {pace} --stop-at {}", step + 1));
    assert_eq!(place.fact("run", "state_hash"), place.fact("whole", "state_hash"));
}

#[test]
fn what_stands_in_the_place_of_a_deleted_run_is_not_replaced() {
    let place = Place::with_text();
    let pace = "--steps 1000000000 --eval-every 0 --save-every 0 --log-every 5 --keep-going";
    let running = place.start_training("run", pace);
    standing_still(&running, || {
        std::fs::remove_dir_all(place.path("checkpoints/run")).unwrap();
        place.write("checkpoints/run/latest.ckpt", "a backup");
    });
    gives_way(&place, running, "checkpoints/run/latest.ckpt: it stands in the place of");
    assert_eq!(place.read("checkpoints/run/latest.ckpt"), "a backup");
}

#[test]
fn what_can_be_saved_nowhere_leaves_nothing_half_made() {
    let place = Place::with_text();
    let strace = ["-o", "/dev/null", "-P", "checkpoints/run-2/latest.ckpt.tmp", "-e", "inject=openat:error=ENOSPC"];
    let args = format!("train text.txt --name run {TINY} {ENDLESS}");
    let Some(command) = traced(&place, &strace, &args) else { return };
    let running = place.first_record("run", command);
    place.write("mine/best.ckpt", "mine");
    std::fs::rename(place.path("checkpoints/run"), place.path("moved")).unwrap();
    std::fs::rename(place.path("mine"), place.path("checkpoints/run")).unwrap();
    let (code, said) = (running.end(), place.read("stderr.txt"));
    assert_eq!(code, Some(74), "{said}");
    assert!(said.contains("checkpoints/run/best.ckpt: it stands in the place of"), "{said}");
    assert!(said.contains("No checkpoint of this run is where it was"), "{said}");
    assert!(said.contains("could not be saved elsewhere either: checkpoints/run-2/latest.ckpt: "), "{said}");
    assert!(!place.has("checkpoints/run-2") && place.read("checkpoints/run/best.ckpt") == "mine");
}

#[test]
fn a_run_that_is_deleted_after_its_last_save_is_not_said_to_be_saved() {
    let place = Place::with_text();
    let args = |name| format!("train text.txt --name {name} {TINY} --eval-every 0 --save-every 0 --stop-at 3");
    let (text, run) = (shown(&place.path("text.txt")), place.path("checkpoints/run"));
    // Between its last save and the plot it looks at the text, and then never again.
    let strace = ["-o", "trace.txt", "-P", &text, "-e", "trace=statx"];
    let Some(command) = traced(&place, &strace, &args("whole")) else { return };
    Ran::of(command).succeeds();
    let inject = format!("inject=statx:signal=STOP:when={}", place.read("trace.txt").matches("statx(").count());
    let strace = ["-P", &text, "-e", "trace=statx", "-e", &inject];
    let (code, said) = stopped(&place, &strace, &args("run"), || std::fs::remove_dir_all(&run).unwrap()).unwrap();
    assert_eq!(code, Some(74), "{said}");
    let error = "error: checkpoints/run/latest.ckpt: it was saved, and then it was deleted or moved away";
    assert!(said.lines().last() == Some(error) && !said.contains("Saved at") && !run.exists(), "{said}");
}
