//! What signals do to a run: the first one saves and ends it, the next one ends it at once, SIGUSR1 saves it.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::harness::{ENDLESS, RunningProgram, TINY, TestDir, number_after, prose, steps_of, wait_until};

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
fn assert_saves_and_exits(signal: &str, code: i32) {
    let dir = TestDir::with_text();
    let running = dir.start_training("long", ENDLESS);
    assert_eq!(dir.info("long", "step"), 0, "a run stands from its beginning on, and nothing more is due");
    assert_eq!(running.stop_with(signal), Some(code));
    let stderr = dir.read("stderr.txt");
    let (saved, resume) =
        stderr.trim_end().rsplit_once(". Go on with: charlstm ").unwrap_or_else(|| panic!("{stderr}"));
    assert!(!resume.contains('\n') && resume.ends_with("--resume checkpoints/long"), "{resume}");
    let step = dir.info("long", "step").as_u64().unwrap();
    assert!(saved.ends_with(&format!("Saved at step {step}")) && step >= 50, "{step}: {stderr}");
    assert_eq!(steps_of(&dir.metrics("long"), "train").last(), Some(&step));
    dir.run(&format!("{resume} --stop-at {}", step + 5)).succeeds();
    assert_eq!(dir.info("long", "step"), step + 5);
    dir.train(&format!("text.txt --name whole {ENDLESS} --stop-at {}", step + 5));
    assert_eq!(dir.info("long", "state_hash"), dir.info("whole", "state_hash"));
}

#[test]
fn sigint_saves_and_exits() {
    assert_saves_and_exits("INT", 130);
}

#[test]
fn sigterm_saves_and_exits() {
    assert_saves_and_exits("TERM", 143);
}

#[test]
fn sighup_saves_and_exits() {
    if !hang_ups_are_ignored() {
        assert_saves_and_exits("HUP", 129);
    }
}

#[test]
fn nohup_ignores_sighup() {
    let dir = TestDir::with_text();
    let program = dir.command(&format!("train text.txt --name long {TINY} {ENDLESS}"));
    let mut command = Command::new("nohup");
    command.arg(program.get_program()).args(program.get_args()).current_dir(dir.path("")).stdin(Stdio::null());
    let running = RunningProgram(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let records = || std::fs::read(dir.path("checkpoints/long/metrics.jsonl")).map_or(0, |text| text.len());
    wait_until("the first record", || records() > 0);
    running.send("HUP");
    let before = records();
    wait_until("more records", || records() > before + 300);
    assert_eq!(running.stop_with("TERM"), Some(143));
}

#[test]
fn sigusr1_saves_and_training_continues() {
    let dir = TestDir::with_text();
    let running = dir.start_training("long", ENDLESS);
    assert_eq!(dir.info("long", "step"), 0);
    running.send("USR1");
    wait_until("what was saved", || dir.read("stderr.txt").contains("Saved at step"));
    let stderr = dir.read("stderr.txt");
    let step = number_after(&stderr, "Saved at step ");
    assert!(stderr.contains(&format!("Saved at step {step}: checkpoints/long/latest.ckpt\n")), "{stderr}");
    assert_eq!(dir.info("long", "step"), step);
    assert_eq!(stderr.matches("Saved").count(), 1);
    let lines = || dir.bytes("checkpoints/long/metrics.jsonl").iter().filter(|byte| **byte == b'\n').count();
    let before = lines();
    wait_until("more records", || lines() > before + 2);
    assert_eq!(running.stop_with("KILL"), None);
    let stop = step + 5;
    dir.run(&format!("train --resume long --stop-at {stop}")).succeeds();
    dir.train(&format!("text.txt --name whole {ENDLESS} --stop-at {stop}"));
    assert_eq!(dir.info("long", "state_hash"), dir.info("whole", "state_hash"));
}

#[test]
fn repeated_signals_within_moments_count_once() {
    // A shell and the system both tell that a terminal is gone; `timeout` tells the process and then its group.
    for (signal, code) in [("HUP", 129), ("TERM", 143)] {
        if signal == "HUP" && hang_ups_are_ignored() {
            continue;
        }
        let dir = TestDir::with_text();
        let running = dir.start_training("long", ENDLESS);
        let thrice = format!("kill -{signal} {0}; kill -{signal} {0}; kill -{signal} {0}", running.pid());
        Command::new("sh").args(["-c", &thrice]).stderr(Stdio::null()).status().unwrap();
        assert_eq!(running.wait(), Some(code));
        let step = dir.info("long", "step").as_u64().unwrap();
        assert!(step > 0 && dir.read("stderr.txt").contains(&format!("Saved at step {step}")), "{step}");
    }
}

#[test]
fn second_signal_exits_immediately() {
    let dir = TestDir::empty();
    dir.write("text.txt", prose(40_000));
    // A step takes many seconds.
    let slow = "--layers 1 --hidden 384 --batch 32 --seq-len 1024 --threads 1 --val-frac 0 --steps 9";
    let mut command = dir.command(&format!("train text.txt --name slow {slow}"));
    command.env("CHARLSTM_SIMD", "portable");
    let mut running = dir.start(command);
    wait_until("the first step", || dir.exists("checkpoints/slow/metrics.jsonl"));
    sleep(Duration::from_millis(200));
    running.send("INT");
    // As fast as a key may be pressed.
    sleep(Duration::from_millis(200));
    assert!(running.is_running(), "the first one is to wait for the step");
    assert_eq!(running.stop_with("INT"), Some(130));
    assert!(!dir.read("stderr.txt").contains("Saved"), "it ended by itself");
    assert_eq!(dir.info("slow", "step"), 0);
}

#[test]
fn interrupted_evaluation_is_repeated_on_resume() {
    let dir = TestDir::with_text();
    dir.write("held.txt", prose(300_000));
    let settings = "--val-file held.txt --save-every 0 --log-every 1";
    let mut broken_off = 0;
    for (name, steps) in [("last", "--steps 3 --eval-every 3"), ("first", "--steps 9 --eval-every 3 --patience 2")] {
        let running = dir.start_training(name, &format!("{settings} {steps}"));
        wait_until("the evaluation", || dir.bytes(&format!("checkpoints/{name}/metrics.jsonl")).len() > 400);
        let code = running.stop_with("INT");
        // The last evaluation may have been done before the signal came.
        assert!(code == Some(130) || (code == Some(0) && name == "last"), "{code:?}");
        let metrics = dir.metrics(name);
        assert_eq!(dir.info(name, "step"), *steps_of(&metrics, "train").last().unwrap());
        broken_off += usize::from(steps_of(&metrics, "train").len() == 3 && steps_of(&metrics, "eval").is_empty());
        dir.run(&format!("train --resume {name}")).succeeds();
        let whole = format!("whole-{name}");
        dir.train(&format!("text.txt --name {whole} {settings} {steps}"));
        dir.assert_same_run(name, &whole);
        let best = |run: &str| dir.info(&format!("checkpoints/{run}/best.ckpt"), "weights_hash");
        assert_eq!(best(name), best(&whole));
        assert_eq!(steps_of(&dir.metrics(name), "eval"), steps_of(&dir.metrics(&whole), "eval"));
        let (_, stderr) = dir.run(&format!("train --resume {name}")).succeeds();
        assert!(stderr.contains("steps are made already"), "{stderr}");
    }
    assert!(broken_off > 0, "no signal came during an evaluation");
}

#[test]
fn sigusr1_before_the_first_step_saves_step_zero() {
    let dir = TestDir::with_text();
    assert!(Command::new("mkfifo").arg(dir.path("config.toml")).status().unwrap().success());
    let args = format!("train text.txt --name run {TINY} --config config.toml {ENDLESS}");
    let running = dir.start(dir.command(&args));
    wait_until("it listens", || has(&running.pid(), "SigCgt", SIGUSR1));
    running.send("USR1");
    dir.write("config.toml", "seed = 5\n");
    wait_until("what was saved", || dir.read("stderr.txt").contains("Saved at step 0: checkpoints/run/latest.ckpt"));
    assert_eq!(running.stop_with("INT"), Some(130));
    assert_eq!(dir.info("run", "seed"), 5, "a configuration may come from a pipe");
}
