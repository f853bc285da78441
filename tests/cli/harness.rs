//! The harness of the end-to-end tests: a temporary directory, the program to run in it, texts, and runs that take milliseconds.

// Each test binary compiles this module and uses a part of it.
#![allow(dead_code)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// A model and windows for which a step takes a fraction of a millisecond.
pub const TINY: &str = "--layers 1 --hidden 16 --batch 2 --seq-len 8 --threads 1";
/// Trains until it is stopped, without evaluations or saves.
pub const ENDLESS: &str = "--steps 1000000000 --eval-every 0 --save-every 0 --log-every 50";

/// A temporary directory in which the program runs.
pub struct TestDir(TempDir);

impl TestDir {
    pub fn empty() -> Self {
        TestDir(tempfile::tempdir().unwrap())
    }

    /// Creates a directory with `text.txt` of 2000 characters.
    pub fn with_text() -> Self {
        let dir = TestDir::empty();
        dir.write("text.txt", prose(2000));
        dir
    }

    /// Creates a directory with `text.txt` and a run `run`, trained on it for 20 steps.
    pub fn with_run() -> Self {
        let dir = TestDir::with_text();
        dir.train("text.txt --name run --steps 20");
        dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Writes a file, and creates its directory.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// Sets the modification time of a run's checkpoints to `seconds` ago.
    pub fn set_age(&self, run: &str, seconds: u64) {
        for name in ["latest.ckpt", "best.ckpt"] {
            if let Ok(file) = File::options().write(true).open(self.path(&format!("checkpoints/{run}/{name}"))) {
                file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
            }
        }
    }

    pub fn make_fifo(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path(name)).status().unwrap().success());
    }

    /// The program with arguments that contain no spaces.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("charlstm"));
        command.current_dir(self.0.path()).args(args.split_whitespace()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command
    }

    /// The program, started by a shell after a command such as `ulimit -f 20`.
    pub fn command_in_shell(&self, setup: &str, args: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")]).arg(assert_cmd::cargo::cargo_bin!("charlstm"));
        command.current_dir(self.0.path()).args(args.split_whitespace()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &str) -> Finished {
        Finished::run(self.command(args))
    }

    /// Trains a tiny model; returns stderr.
    pub fn train(&self, args: &str) -> String {
        self.run(&format!("train {TINY} {args}")).succeeds().1
    }

    pub fn resume_to(&self, run: &str, step: u64) {
        self.run(&format!("train --resume {run} --steps {step}")).succeeds();
        assert_eq!(self.info(run, "step"), step);
    }

    /// Stdout of a command that succeeds and prints nothing to stderr.
    pub fn stdout(&self, args: &str) -> String {
        let (out, err) = self.run(args).succeeds();
        assert_eq!(err, "", "{args}: stderr");
        out
    }

    pub fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.stdout(&format!("{args} --json"))).unwrap()
    }

    /// A field of `info --json`.
    pub fn info(&self, run: &str, name: &str) -> Value {
        let facts = self.json(&format!("info {run}"));
        assert!(!facts[name].is_null(), "{run} has no {name}: {facts}");
        facts[name].clone()
    }

    pub fn assert_same_run(&self, run: &str, other: &str) {
        for fact in ["step", "state_hash", "weights_hash"] {
            assert_eq!(self.info(run, fact), self.info(other, fact), "{fact} of {run} and {other}");
        }
    }

    /// Checks that `run`, resumed for a few steps, equals a run on `text.txt` that was never interrupted; returns the step at which
    /// it was resumed.
    pub fn assert_resumes_identically(&self, run: &str, args: &str) -> u64 {
        let step = self.info(run, "step").as_u64().unwrap();
        self.run(&format!("train --resume {run} --stop-at {}", step + 5)).succeeds();
        self.train(&format!("text.txt --name uninterrupted --overwrite {args} --stop-at {}", step + 5));
        self.assert_same_run(run, "uninterrupted");
        step
    }

    /// The records of `metrics.jsonl`.
    pub fn metrics(&self, run: &str) -> Vec<Value> {
        let text = self.read(&format!("checkpoints/{run}/metrics.jsonl"));
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is incomplete");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn metrics_lines(&self, run: &str) -> usize {
        self.bytes(&format!("checkpoints/{run}/metrics.jsonl")).iter().filter(|byte| **byte == b'\n').count()
    }

    /// Starts to train a tiny model on `text.txt` and waits for the first record.
    pub fn start_training(&self, name: &str, args: &str) -> RunningProgram {
        self.start_until_first_record(name, self.command(&format!("train text.txt --name {name} {TINY} {args}")))
    }

    /// Starts to train the run `name` and waits for its first record.
    pub fn start_until_first_record(&self, name: &str, command: Command) -> RunningProgram {
        let running = self.start(command);
        let metrics = self.path(&format!("checkpoints/{name}/metrics.jsonl"));
        wait_until("the first record", || metrics.metadata().is_ok_and(|file| file.len() > 0));
        running
    }

    /// Starts a program that writes stderr to `stderr.txt`.
    pub fn start(&self, mut command: Command) -> RunningProgram {
        let stderr = File::create(self.path("stderr.txt")).unwrap();
        RunningProgram(command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap())
    }
}

/// A file system in memory, unmounted at the end of the test.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it at `path` with options such as `size=64k`, if the system permits that.
    pub fn at(path: PathBuf, options: &str) -> Option<Tmpfs> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Tmpfs(path));
        }
        eprintln!("SKIPPED: no permission to mount a tmpfs");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// The exit code and the output of a program.
pub struct Finished {
    args: String,
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Finished {
    pub fn run(command: Command) -> Finished {
        Finished::run_with_stdin(command, "")
    }

    pub fn run_with_stdin(command: Command, input: &str) -> Finished {
        let args = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let mut command = assert_cmd::Command::from_std(command);
        let output = command.write_stdin(input).timeout(Duration::from_secs(300)).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("panicked"), "{args}: {err}");
        Finished { args, code: output.status.code(), out: output.stdout, err }
    }

    /// Stdout as JSON, whatever the exit code.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }

    /// Checks for exit code 0; returns stdout and stderr.
    pub fn succeeds(self) -> (String, String) {
        let Finished { args, code, out, err } = self;
        assert_eq!(code, Some(0), "{args}: {err}");
        (String::from_utf8(out).unwrap(), err)
    }

    /// Checks the exit code, and that the only output is one line `error: ...` that contains all `parts`.
    pub fn fails(self, code: i32, parts: &[&str]) {
        assert!(self.err.lines().count() == 1 && self.err.ends_with('\n'), "{}: {}", self.args, self.err);
        self.fails_with_usage(code, parts);
    }

    /// Like [`Finished::fails`], but more lines may follow, such as the usage.
    pub fn fails_with_usage(self, code: i32, parts: &[&str]) {
        let Finished { args, code: actual, out, err } = self;
        assert_eq!(actual, Some(code), "{args}: {err}");
        assert_eq!(String::from_utf8_lossy(&out), "", "{args}: stdout");
        assert!(err.starts_with("error: ") && err.matches("error:").count() == 1, "{args}: {err}");
        assert_contains_all(&err, parts);
    }
}

pub fn assert_contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// A program that runs in the background; it is killed at the end of the test.
pub struct RunningProgram(pub Child);

impl RunningProgram {
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Sends a signal such as `INT`.
    pub fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.pid()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Sends a signal; returns the exit code, or `None` if the signal killed the program.
    pub fn stop_with(self, signal: &str) -> Option<i32> {
        self.send(signal);
        self.wait()
    }

    pub fn wait(mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the program to end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(120), "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A reproducible sequence of pseudo-random numbers.
pub fn pseudo_random(seed: u64) -> impl Iterator<Item = usize> {
    let next = |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(next(&seed), next).map(|x| (x >> 33) as usize)
}

/// Lines of random ASCII words.
pub fn prose(chars: usize) -> String {
    const WORDS: [&str; 12] =
        ["the ", "fox ", "and ", "a ", "crow ", "met ", "under ", "old ", "trees. ", "why?\n", "cheese ", "said "];
    let text: String = pseudo_random(1).take(chars).map(|n| WORDS[n % WORDS.len()]).collect();
    text[..chars].to_owned()
}

/// Random characters of `alphabet`.
pub fn noise(alphabet: &str, chars: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    pseudo_random(7).take(chars).map(|n| alphabet[n % alphabet.len()]).collect()
}

/// The steps of the records of one kind.
pub fn steps_of(metrics: &[Value], kind: &str) -> Vec<u64> {
    let of_kind = metrics.iter().filter(|record| record["kind"] == kind);
    of_kind.map(|record| record["step"].as_u64().unwrap()).collect()
}

/// The whole numbers in a text, in order.
pub fn numbers_in(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The path as the program prints it.
pub fn display(path: &Path) -> String {
    path.display().to_string()
}
