//! What signals do to a run: the first one saves and ends it, the next one ends it at once, SIGUSR1 saves it.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::harness::{ENDLESS, Place, Running, TINY, number_after, prose, steps_of, wait_until};

const SIGHUP: u32 = 1;
const SIGUSR1: u32 = 10;

/// Whether a process has a signal in one of its masks, such as `SigIgn`.
fn has(pid: &str, mask: &str, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix(mask)?.strip_prefix(':')).unwrap();
    u64::from_str_radix(bits.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

/// Whether this process, and so what it starts, ignores SIGHUP, as under `nohup`; says so.
fn hang_ups_are_ignored() -> bool {
    let ignored = has("self", "SigIgn", SIGHUP);
    if ignored {
        eprintln!("SKIPPED: SIGHUP is ignored here");
    }
    ignored
}

/// A run that a signal stops is saved, ends with `code`, and the command that it prints goes on with it.
fn a_signal_stops(signal: &str, code: i32) {
    let place = Place::with_text();
    let running = place.start_training("long", ENDLESS);
    assert_eq!(place.fact("long", "step"), 0, "a run stands from its beginning on, and nothing more is due");
    assert_eq!(running.end_by(signal), Some(code));
    let said = place.read("stderr.txt");
    let (saved, resume) = said.trim_end().rsplit_once(". Go on with: charlstm ").unwrap_or_else(|| panic!("{said}"));
    assert!(!resume.contains('\n') && resume.ends_with("--resume checkpoints/long"), "{resume}");
    let step = place.fact("long", "step").as_u64().unwrap();
    assert!(saved.ends_with(&format!("Saved at step {step}")) && step >= 50, "{step}: {said}");
    assert_eq!(steps_of(&place.metrics("long"), "train").last(), Some(&step));
    place.run(&format!("{resume} --stop-at {}", step + 5)).succeeds();
    assert_eq!(place.fact("long", "step"), step + 5);
    place.train(&format!("text.txt --name whole {ENDLESS} --stop-at {}", step + 5));
    assert_eq!(place.fact("long", "state_hash"), place.fact("whole", "state_hash"));
}

#[test]
fn an_interrupt_saves_and_ends() {
    a_signal_stops("INT", 130);
}

#[test]
fn a_request_to_terminate_saves_and_ends() {
    a_signal_stops("TERM", 143);
}

#[test]
fn a_terminal_that_goes_away_saves_and_ends() {
    if !hang_ups_are_ignored() {
        a_signal_stops("HUP", 129);
    }
}

#[test]
fn under_nohup_a_terminal_that_goes_away_changes_nothing() {
    let place = Place::with_text();
    let program = place.command(&format!("train text.txt --name long {TINY} {ENDLESS}"));
    let mut command = Command::new("nohup");
    command.arg(program.get_program()).args(program.get_args()).current_dir(place.path("")).stdin(Stdio::null());
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let records = || std::fs::read(place.path("checkpoints/long/metrics.jsonl")).map_or(0, |text| text.len());
    wait_until("the first record", || records() > 0);
    running.send("HUP");
    let before = records();
    wait_until("more records", || records() > before + 300);
    assert_eq!(running.end_by("TERM"), Some(143));
}

#[test]
fn a_checkpoint_that_is_asked_for_is_saved_and_the_run_goes_on() {
    let place = Place::with_text();
    let running = place.start_training("long", ENDLESS);
    assert_eq!(place.fact("long", "step"), 0);
    running.send("USR1");
    wait_until("what was saved", || place.read("stderr.txt").contains("Saved at step"));
    let said = place.read("stderr.txt");
    let step = number_after(&said, "Saved at step ");
    assert!(said.contains(&format!("Saved at step {step}: checkpoints/long/latest.ckpt\n")), "{said}");
    assert_eq!(place.fact("long", "step"), step);
    assert_eq!(said.matches("Saved").count(), 1);
    let lines = || place.bytes("checkpoints/long/metrics.jsonl").iter().filter(|byte| **byte == b'\n').count();
    let before = lines();
    wait_until("more records", || lines() > before + 2);
    assert_eq!(running.end_by("KILL"), None);
    let stop = step + 5;
    place.run(&format!("train --resume long --stop-at {stop}")).succeeds();
    place.train(&format!("text.txt --name whole {ENDLESS} --stop-at {stop}"));
    assert_eq!(place.fact("long", "state_hash"), place.fact("whole", "state_hash"));
}

#[test]
fn what_follows_a_signal_at_once_is_the_same_wish() {
    // A shell and the system both tell that a terminal is gone; `timeout` tells the process and then its group.
    for (signal, code) in [("HUP", 129), ("TERM", 143)] {
        if signal == "HUP" && hang_ups_are_ignored() {
            continue;
        }
        let place = Place::with_text();
        let running = place.start_training("long", ENDLESS);
        let thrice = format!("kill -{signal} {0}; kill -{signal} {0}; kill -{signal} {0}", running.pid());
        Command::new("sh").args(["-c", &thrice]).stderr(Stdio::null()).status().unwrap();
        assert_eq!(running.end(), Some(code));
        let step = place.fact("long", "step").as_u64().unwrap();
        assert!(step > 0 && place.read("stderr.txt").contains(&format!("Saved at step {step}")), "{step}");
    }
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let place = Place::empty();
    place.write("text.txt", prose(40_000));
    // A step takes many seconds.
    let slow = "--layers 1 --hidden 384 --batch 32 --seq-len 1024 --threads 1 --val-frac 0 --steps 9";
    let mut command = place.command(&format!("train text.txt --name slow {slow}"));
    command.env("CHARLSTM_SIMD", "portable");
    let mut running = place.start(command);
    wait_until("the first step", || place.has("checkpoints/slow/metrics.jsonl"));
    sleep(Duration::from_millis(200));
    running.send("INT");
    // As fast as a key may be pressed.
    sleep(Duration::from_millis(200));
    assert!(running.goes_on(), "the first one is to wait for the step");
    assert_eq!(running.end_by("INT"), Some(130));
    assert!(!place.read("stderr.txt").contains("Saved"), "it ended by itself");
    assert_eq!(place.fact("slow", "step"), 0);
}

#[test]
fn an_evaluation_is_broken_off_and_made_up_for() {
    let place = Place::with_text();
    place.write("held.txt", prose(300_000));
    let settings = "--val-file held.txt --save-every 0 --log-every 1";
    let mut broken_off = 0;
    for (name, steps) in [("last", "--steps 3 --eval-every 3"), ("first", "--steps 9 --eval-every 3 --patience 2")] {
        let running = place.start_training(name, &format!("{settings} {steps}"));
        wait_until("the evaluation", || place.bytes(&format!("checkpoints/{name}/metrics.jsonl")).len() > 400);
        let code = running.end_by("INT");
        // The last evaluation may have been done before the signal came.
        assert!(code == Some(130) || (code == Some(0) && name == "last"), "{code:?}");
        let metrics = place.metrics(name);
        assert_eq!(place.fact(name, "step"), *steps_of(&metrics, "train").last().unwrap());
        broken_off += usize::from(steps_of(&metrics, "train").len() == 3 && steps_of(&metrics, "eval").is_empty());
        place.run(&format!("train --resume {name}")).succeeds();
        let whole = format!("whole-{name}");
        place.train(&format!("text.txt --name {whole} {settings} {steps}"));
        place.are_the_same(name, &whole);
        let best = |run: &str| place.fact(&format!("checkpoints/{run}/best.ckpt"), "weights_hash");
        assert_eq!(best(name), best(&whole));
        assert_eq!(steps_of(&place.metrics(name), "eval"), steps_of(&place.metrics(&whole), "eval"));
        let (_, said) = place.run(&format!("train --resume {name}")).succeeds();
        assert!(said.contains("steps are made already"), "{said}");
    }
    assert!(broken_off > 0, "no signal came during an evaluation");
}

#[test]
fn a_checkpoint_may_be_asked_for_before_the_first_step() {
    let place = Place::with_text();
    assert!(Command::new("mkfifo").arg(place.path("config.toml")).status().unwrap().success());
    let args = format!("train text.txt --name run {TINY} --config config.toml {ENDLESS}");
    let running = place.start(place.command(&args));
    wait_until("it listens", || has(&running.pid(), "SigCgt", SIGUSR1));
    running.send("USR1");
    place.write("config.toml", "seed = 5\n");
    wait_until("what was saved", || place.read("stderr.txt").contains("Saved at step 0: checkpoints/run/latest.ckpt"));
    assert_eq!(running.end_by("INT"), Some(130));
    assert_eq!(place.fact("run", "seed"), 5, "a configuration may come from a pipe");
}
