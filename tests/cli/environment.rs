//! Unusual environments: no variables, closed outputs, wrong clocks, read-only directories.

use std::fs::{File, FileTimes};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::harness::{Finished, TINY, TestDir, display};

/// Runs the program from a shell, with redirections.
fn run_redirected(dir: &TestDir, args: &str, redirections: &str) -> Finished {
    let program = dir.command("").get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" {args} {redirections}")).arg(program).current_dir(dir.path(""));
    shell.env_remove("RUST_BACKTRACE");
    Finished::run(shell)
}

#[test]
fn results_do_not_depend_on_environment_variables() {
    let dir = TestDir::with_text();
    std::fs::rename(dir.path("text.txt"), dir.path("m\u{e4}rchen.txt")).unwrap();
    type Change = fn(&mut Command) -> &mut Command;
    let changes: [(&str, Change); 8] = [
        ("usual", |command| command),
        ("empty", |command| command.env_clear()),
        ("no-home", |command| command.env_remove("HOME")),
        ("no-term", |command| command.env_remove("TERM")),
        ("dumb", |command| command.env("TERM", "dumb")),
        ("locale", |command| command.env("LC_ALL", "C")),
        ("west", |command| command.env("TZ", "America/Los_Angeles")),
        ("nowhere", |command| command.env("TZ", "No/Such/Zone")),
    ];
    let results = changes.map(|(name, change)| {
        let run = |args: &str| {
            let mut command = dir.command(args);
            change(&mut command);
            Finished::run(command).succeeds()
        };
        let (_, err) = run(&format!("train m\u{e4}rchen.txt {TINY} --steps 12 --eval-every 5 --name {name}"));
        assert!(err.contains("m\u{e4}rchen.txt"), "{name}: {err}");
        let (out, err) = run(&format!("sample {name} --seed 1 --length 50"));
        assert_eq!((out.len() >= 50, err.as_str()), (true, ""), "{name}");
        (dir.info(name, "state_hash"), out)
    });
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[test]
fn resumes_with_any_file_times() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name run --steps 20 --stop-at 8");
    let years = Duration::from_secs(20 * 365 * 86400);
    for (time, stop) in [(SystemTime::now() + years, 11), (SystemTime::UNIX_EPOCH, 14)] {
        for name in ["text.txt", "checkpoints/run/latest.ckpt", "checkpoints/run/metrics.jsonl"] {
            let file = File::options().write(true).open(dir.path(name)).unwrap();
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
        }
        dir.run(&format!("train --resume run --stop-at {stop}")).succeeds();
    }
    dir.assert_resumes_identically("run", "--steps 20");
    let elapsed: Vec<f64> = dir.metrics("run").iter().map(|record| record["elapsed_s"].as_f64().unwrap()).collect();
    assert!(elapsed[0] > 0.0 && elapsed.is_sorted(), "{elapsed:?}");
}

#[test]
fn trains_with_closed_standard_streams() {
    let dir = TestDir::with_text();
    dir.train("text.txt --name whole --steps 12 --eval-every 5");
    for (name, redirections) in
        [("out", ">&-"), ("err", "2>&-"), ("both", ">&- 2>&-"), ("all", "<&- >&- 2>&-"), ("full", "2>/dev/full")]
    {
        let args = format!("train text.txt {TINY} --steps 12 --eval-every 5 --name {name}");
        assert_eq!(run_redirected(&dir, &args, redirections).code, Some(0), "{redirections}");
        // No file may be opened in place of a closed stream: messages would be written to it.
        dir.assert_same_run(name, "whole");
        dir.json(&format!("eval checkpoints/{name}/best.ckpt"));
        assert_eq!(run_redirected(&dir, "sample whole --length 20", redirections).code, Some(0), "{redirections}");
    }
    assert_eq!(run_redirected(&dir, "train absent.txt", "2>/dev/full").code, Some(66));
}

#[cfg(target_os = "linux")]
#[test]
fn works_in_a_read_only_current_directory() {
    let dir = TestDir::with_text();
    // Not even root can write in /proc.
    let in_proc = |args: &str| {
        let mut command = dir.command(args);
        command.current_dir("/proc").stdin(Stdio::null());
        Finished::run(command)
    };
    let [text, out] = ["text.txt", "elsewhere/run"].map(|name| display(&dir.path(name)));
    let settings = format!("train {text} {TINY} --steps 12 --eval-every 5");
    in_proc(&format!("{settings} --out {out}")).succeeds();
    in_proc(&format!("train --resume {out} --steps 15")).succeeds();
    assert!(in_proc(&format!("sample {out} --length 20")).succeeds().0.len() >= 20);
    in_proc(&settings).fails_with_usage(73, &["checkpoints/text"]);
}
