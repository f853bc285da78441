//! Signals: the first one saves and ends a run, a second one ends it immediately, SIGUSR1 saves it.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::harness::{ENDLESS, TINY, TestDir, prose, steps_of, wait_until};

const SIGHUP: u32 = 1;

/// Whether this process and its children ignore SIGHUP, as under `nohup`.
fn ignores_sighup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(mask.trim(), 16).unwrap() >> (SIGHUP - 1) & 1 == 1;
    if ignored {
        eprintln!("SKIPPED: SIGHUP is ignored");
    }
    ignored
}

#[test]
fn first_signal_saves_and_exits() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        if signal == "HUP" && ignores_sighup() {
            continue;
        }
        let dir = TestDir::with_text();
        let running = dir.start_training("long", ENDLESS);
        assert_eq!(dir.info("long", "step"), 0, "a new run must be saved immediately");
        assert_eq!(running.stop_with(signal), Some(code));
        let step = dir.info("long", "step");
        assert_eq!(steps_of(&dir.metrics("long"), "train").last().copied(), step.as_u64());
        let stderr = dir.read("stderr.txt");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains(&step.to_string()), "{stderr}");
        let resume = last.split_once("charlstm ").unwrap().1;
        assert_eq!(resume, "train --resume checkpoints/long");
        assert!(dir.assert_resumes_identically("checkpoints/long", ENDLESS) >= 50, "{stderr}");
    }
}

#[test]
fn nohup_ignores_sighup() {
    let dir = TestDir::with_text();
    let program = dir.command(&format!("train text.txt --name long {TINY} {ENDLESS}"));
    let mut command = Command::new("nohup");
    command.arg(program.get_program()).args(program.get_args()).current_dir(dir.path("")).stdin(Stdio::null());
    let running = dir.start_until_first_record("long", command);
    running.send("HUP");
    let before = dir.metrics_lines("long");
    wait_until("more records", || dir.metrics_lines("long") > before + 2);
    assert_eq!(running.stop_with("TERM"), Some(143));
}

#[test]
fn sigusr1_saves_and_training_continues() {
    let dir = TestDir::with_text();
    let running = dir.start_training("long", ENDLESS);
    running.send("USR1");
    wait_until("a checkpoint", || dir.read("stderr.txt").contains("checkpoints/long/latest.ckpt"));
    assert!(dir.info("long", "step").as_u64().unwrap() > 0);
    let before = dir.metrics_lines("long");
    wait_until("more records", || dir.metrics_lines("long") > before + 2);
    assert_eq!(running.stop_with("KILL"), None);
    dir.assert_resumes_identically("long", ENDLESS);
}

#[test]
fn repeated_signals_within_moments_count_once() {
    // The shell and the system both report a closed terminal; `timeout` signals the process and then its group.
    for (signal, code) in [("HUP", 129), ("TERM", 143)] {
        if signal == "HUP" && ignores_sighup() {
            continue;
        }
        let dir = TestDir::with_text();
        let running = dir.start_training("long", ENDLESS);
        let three = format!("kill -{signal} {0}; kill -{signal} {0}; kill -{signal} {0}", running.pid());
        Command::new("sh").args(["-c", &three]).stderr(Stdio::null()).status().unwrap();
        assert_eq!(running.wait(), Some(code));
        assert!(dir.info("long", "step").as_u64().unwrap() > 0);
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
    wait_until("the announcement", || dir.read("stderr.txt").contains("again to quit without saving"));
    // Signals within half a second count as one.
    sleep(Duration::from_millis(600));
    assert!(running.is_running(), "the first signal must wait for the current step");
    assert_eq!(running.stop_with("INT"), Some(130));
    assert_eq!(dir.info("slow", "step"), 0);
}

#[test]
fn interrupted_evaluation_is_repeated_on_resume() {
    let dir = TestDir::with_text();
    dir.write("held.txt", prose(300_000));
    let settings = "--val-file held.txt --save-every 0 --log-every 1";
    let mut interrupted = 0;
    for (name, steps) in [("last", "--steps 3 --eval-every 3"), ("first", "--steps 9 --eval-every 3 --patience 2")] {
        let running = dir.start_training(name, &format!("{settings} {steps}"));
        wait_until("the evaluation", || dir.metrics_lines(name) == 3);
        let code = running.stop_with("INT");
        // The last evaluation may have ended before the signal arrived.
        assert!(code == Some(130) || (code == Some(0) && name == "last"), "{code:?}");
        let metrics = dir.metrics(name);
        interrupted += usize::from(steps_of(&metrics, "train").len() == 3 && steps_of(&metrics, "eval").is_empty());
        dir.run(&format!("train --resume {name}")).succeeds();
        let whole = format!("whole-{name}");
        dir.train(&format!("text.txt --name {whole} {settings} {steps}"));
        dir.assert_same_run(name, &whole);
        let best = |run: &str| dir.info(&format!("checkpoints/{run}/best.ckpt"), "weights_hash");
        assert_eq!(best(name), best(&whole));
        assert_eq!(steps_of(&dir.metrics(name), "eval"), steps_of(&dir.metrics(&whole), "eval"));
    }
    assert!(interrupted > 0, "no signal arrived during an evaluation");
}
