//! Surroundings that are not as usual: no environment, closed outputs, wrong clocks, folders that cannot be written.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::harness::{Finished, TINY, TestDir};

/// The program with these arguments as a shell starts it, with something of a shell's behind them.
fn by_shell(dir: &TestDir, args: &str, behind: &str) -> Finished {
    let program = dir.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" {args} {behind}")).arg(program).current_dir(dir.path(""));
    shell.env_remove("RUST_BACKTRACE");
    Finished::run(shell)
}

#[test]
fn results_do_not_depend_on_environment_variables() {
    let dir = TestDir::with_text();
    let settings = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name");
    type Change = fn(&mut Command) -> &mut Command;
    let all: [(&str, Change); 8] = [
        ("usual", |command| command),
        ("empty", |command| command.env_clear()),
        ("no-home", |command| command.env_remove("HOME")),
        ("no-term", |command| command.env_remove("TERM")),
        ("dumb", |command| command.env("TERM", "dumb")),
        ("locale", |command| command.env("LC_ALL", "C")),
        ("west", |command| command.env("TZ", "America/Los_Angeles")),
        ("nowhere", |command| command.env("TZ", "No/Such/Zone")),
    ];
    let hash = |(name, change): &(&str, Change)| {
        let there = |args: &str| {
            let mut command = dir.command(args);
            change(&mut command);
            Finished::run(command).succeeds()
        };
        there(&format!("{settings} {name}"));
        let (out, err) = there(&format!("sample {name} --seed 1 --length 50"));
        assert_eq!((out.len() >= 50, err.as_str()), (true, ""), "{name}");
        (dir.info(name, "state_hash"), out)
    };
    let usual = hash(&all[0]);
    for other in &all[1..] {
        assert_eq!(hash(other), usual, "{}", other.0);
    }
}

#[test]
fn non_ascii_names_are_printed_in_any_locale() {
    let dir = TestDir::with_text();
    std::fs::rename(dir.path("text.txt"), dir.path("m\u{e4}rchen.txt")).unwrap();
    let mut command = dir.command(&format!("train m\u{e4}rchen.txt {TINY} --steps 3"));
    command.env("LC_ALL", "C");
    let (_, err) = Finished::run(command).succeeds();
    assert!(err.contains("checkpoints/m\u{e4}rchen"), "{err}");
}

#[test]
fn resumes_with_any_file_times() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name whole --steps 20 --stop-at 14");
    dir.train("text.txt --name run --steps 20 --stop-at 8");
    let far = Duration::from_secs(20 * 365 * 86400);
    // As if the clock had been set back since, and as if it had not been set at all.
    for (time, stop) in [(SystemTime::now() + far, 11), (SystemTime::UNIX_EPOCH, 14)] {
        for name in
            ["text.txt", "checkpoints/run/latest.ckpt", "checkpoints/run/metrics.jsonl", "checkpoints/run/.lock"]
        {
            let file = File::options().write(true).open(dir.path(name)).unwrap();
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
        }
        dir.run(&format!("train --resume run --stop-at {stop}")).succeeds();
    }
    assert_eq!(dir.info("run", "state_hash"), dir.info("whole", "state_hash"));
    let clock: Vec<f64> = dir.metrics("run").iter().map(|record| record["elapsed_s"].as_f64().unwrap()).collect();
    assert!(clock[0] > 0.0 && clock.is_sorted(), "{clock:?}");
}

#[test]
fn trains_with_closed_standard_streams() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name whole --steps 12 --eval-every 5");
    for (name, behind) in [("out", ">&-"), ("err", "2>&-"), ("both", ">&- 2>&-"), ("all", "<&- >&- 2>&-")] {
        let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name {name}");
        assert_eq!(by_shell(&dir, &args, behind).code, Some(0), "{behind}");
        assert_eq!(dir.info(name, "state_hash"), dir.info("whole", "state_hash"), "{behind}");
        // Nothing that the program opens may come to stand where an output was: what it says would be written into it.
        for file in ["latest.ckpt", "best.ckpt"] {
            dir.json(&format!("eval checkpoints/{name}/{file}"));
        }
        assert_eq!(by_shell(&dir, "sample whole --length 20", behind).code, Some(0), "{behind}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn trains_when_stderr_cannot_be_written() {
    let dir = TestDir::with_text();
    let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name full");
    assert_eq!(by_shell(&dir, &args, "2>/dev/full").code, Some(0));
    assert_eq!(dir.info("full", "step"), 12);
    assert_eq!(by_shell(&dir, "train absent.txt", "2>/dev/full").code, Some(66));
}

#[cfg(target_os = "linux")]
#[test]
fn works_in_a_read_only_current_directory() {
    let dir = TestDir::with_text();
    // Not even root can write there.
    let folder = Path::new("/proc");
    let out = dir.path("elsewhere/run");
    let there = |args: &str| {
        let mut command = dir.command(args);
        command.current_dir(folder).stdin(Stdio::null());
        Finished::run(command)
    };
    let text = crate::harness::display(&dir.path("text.txt"));
    let settings = format!("train {text} {TINY} --steps 12 --eval-every 5");
    there(&format!("{settings} --out {}", out.display())).succeeds();
    there(&format!("train --resume {} --steps 15", out.display())).succeeds();
    assert!(there(&format!("sample {} --length 20", out.display())).succeeds().0.len() >= 20);
    there(&settings).fails_with_usage(73, &["checkpoints/text", "choose another folder"]);
}
