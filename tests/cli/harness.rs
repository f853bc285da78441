//! What the tests of the command line share: a folder for each test, texts, and runs so small that they take no time.

// Every test file compiles this module for itself and uses its own part of it.
#![allow(dead_code)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A model and windows that make a step take a fraction of a millisecond.
pub const TINY: &str = "--layers 1 --hidden 16 --batch 2 --seq-len 8 --threads 1";
/// More steps than anyone waits for, and nothing between them but a record now and then.
pub const ENDLESS: &str = "--steps 1000000000 --eval-every 0 --save-every 0 --log-every 50";

/// A folder that the program runs in; it goes away with the test.
pub struct TestDir(TempDir);

impl TestDir {
    /// An empty folder.
    pub fn empty() -> Self {
        TestDir(tempfile::tempdir().unwrap())
    }

    /// A folder with `text.txt`, a text of 2000 characters.
    pub fn with_text() -> Self {
        let dir = TestDir::empty();
        dir.write("text.txt", prose(2000));
        dir
    }

    /// A folder with `text.txt` and a run named `run`, trained on it for 20 steps.
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

    /// Writes a file, and the folders above it.
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

    /// The program, about to run in this folder with arguments that have no spaces in them.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("charlstm"));
        command.current_dir(self.0.path()).args(args.split_whitespace()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command
    }

    /// The same, begun by a shell after a line of its own such as `ulimit -v 1000`.
    pub fn command_in_shell(&self, line: &str, args: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{line}; exec \"$0\" \"$@\"")]).arg(assert_cmd::cargo::cargo_bin!("charlstm"));
        command.current_dir(self.0.path()).args(args.split_whitespace()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &str) -> Finished {
        Finished::run(self.command(args))
    }

    /// What a run that succeeds leaves on stderr.
    pub fn train(&self, args: &str) -> String {
        self.run(&format!("train {TINY} {args}")).succeeds().1
    }

    /// Makes a run go on up to `step`, with all its settings as they were.
    pub fn resume_to(&self, run: &str, step: u64) {
        self.run(&format!("train --resume {run} --steps {step}")).succeeds();
        assert_eq!(self.info(run, "step"), step);
    }

    /// What is on stdout where that must succeed, and stderr empty.
    pub fn stdout(&self, args: &str) -> String {
        let (out, err) = self.run(args).succeeds();
        assert_eq!(err, "", "{args}: stderr");
        out
    }

    pub fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.stdout(&format!("{args} --json"))).unwrap()
    }

    /// A fact of `info --json`.
    pub fn info(&self, run: &str, name: &str) -> Value {
        let facts = self.json(&format!("info {run}"));
        assert!(!facts[name].is_null(), "{run} has no {name}: {facts}");
        facts[name].clone()
    }

    /// Fails where two runs do not have the same bits.
    pub fn assert_same_run(&self, run: &str, other: &str) {
        for fact in ["step", "state_hash", "weights_hash"] {
            assert_eq!(self.info(run, fact), self.info(other, fact), "{fact} of {run} and {other}");
        }
    }

    /// The records of `metrics.jsonl`; every line must be one.
    pub fn metrics(&self, run: &str) -> Vec<Value> {
        let text = self.read(&format!("checkpoints/{run}/metrics.jsonl"));
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts `train` on `text.txt` as the run `name`, its stderr in `stderr.txt`, and waits for the first record.
    pub fn start_training(&self, name: &str, args: &str) -> RunningProgram {
        self.start_until_first_record(name, self.command(&format!("train text.txt --name {name} {TINY} {args}")))
    }

    /// Starts what trains the run `name`, and waits for its first record.
    pub fn start_until_first_record(&self, name: &str, command: Command) -> RunningProgram {
        let running = self.start(command);
        let metrics = self.path(&format!("checkpoints/{name}/metrics.jsonl"));
        wait_until("the first record", || metrics.metadata().is_ok_and(|file| file.len() > 0));
        running
    }

    /// Starts a program, its stderr in `stderr.txt`.
    pub fn start(&self, mut command: Command) -> RunningProgram {
        let stderr = File::create(self.path("stderr.txt")).unwrap();
        RunningProgram(command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap())
    }
}

/// A file system in memory; it goes away with the test.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one on `path`, which is made, with options such as `size=64k`; `None`, and a word about it, where that may not be done.
    pub fn at(path: PathBuf, options: &str) -> Option<Tmpfs> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).stderr(Stdio::null()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Tmpfs(path));
        }
        eprintln!("SKIPPED: nothing can be mounted here");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// How the program ended and what it wrote.
pub struct Finished {
    what: String,
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Finished {
    /// What was written, as JSON, however it ended.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap()
    }

    pub fn run(command: Command) -> Finished {
        Finished::run_with_stdin(command, "")
    }

    /// With that on its standard input.
    pub fn run_with_stdin(command: Command, input: &str) -> Finished {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let mut command = assert_cmd::Command::from_std(command);
        let output = command.write_stdin(input).timeout(Duration::from_secs(120)).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("panicked"), "{what}: {err}");
        Finished { what, code: output.status.code(), out: output.stdout, err }
    }

    /// Exit code 0; stdout and stderr.
    pub fn succeeds(self) -> (String, String) {
        let Finished { what, code, out, err } = self;
        assert_eq!(code, Some(0), "{what}: {err}");
        (String::from_utf8(out).unwrap(), err)
    }

    /// That exit code, nothing on stdout, and one line on stderr: it begins with `error:` and has all of `parts` in it.
    pub fn fails(self, code: i32, parts: &[&str]) {
        let lines: Vec<&str> = self.err.lines().collect();
        assert!(lines.len() == 1 && self.err.ends_with('\n'), "{}: not one line: {}", self.what, self.err);
        self.fails_with_usage(code, parts);
    }

    /// As [`Finished::fails`], but more lines may follow: a mistake in the arguments brings a hint how to use them.
    pub fn fails_with_usage(self, code: i32, parts: &[&str]) {
        let Finished { what, code: got, out, err } = self;
        assert_eq!(got, Some(code), "{what}: {err}");
        assert_eq!(String::from_utf8_lossy(&out), "", "{what}: stdout");
        assert!(err.starts_with("error: ") && err.matches("error:").count() == 1, "{what}: {err}");
        for part in parts {
            assert!(err.contains(part), "{what}: {part:?} is not in {err}");
        }
    }
}

/// A program that runs on beside the test, and no longer than it.
pub struct RunningProgram(pub Child);

impl RunningProgram {
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.pid()]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether it has yet to end.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Sends a signal; the exit code that follows, if it was not the signal that ended it.
    pub fn stop_with(self, signal: &str) -> Option<i32> {
        self.send(signal);
        self.wait()
    }

    /// Waits for the end; the exit code, if it was not a signal that ended it.
    pub fn wait(mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the end of the program", || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Numbers that look random and are always the same.
pub fn pseudo_random(seed: u64) -> impl Iterator<Item = usize> {
    let next = |x: &u64| Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(next(&seed), next).map(|x| (x >> 33) as usize)
}

/// Words in lines, `chars` ASCII characters.
pub fn prose(chars: usize) -> String {
    const WORDS: [&str; 12] =
        ["the ", "fox ", "and ", "a ", "crow ", "met ", "under ", "old ", "trees. ", "why?\n", "cheese ", "said "];
    let text: String = pseudo_random(1).take(chars).map(|n| WORDS[n % WORDS.len()]).collect();
    text[..chars].to_owned()
}

/// Characters of `alphabet` in no order.
pub fn noise(alphabet: &str, chars: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    pseudo_random(7).take(chars).map(|n| alphabet[n % alphabet.len()]).collect()
}

/// The steps of the records of one kind.
pub fn steps_of(metrics: &[Value], kind: &str) -> Vec<u64> {
    let of_kind = metrics.iter().filter(|record| record["kind"] == kind);
    of_kind.map(|record| record["step"].as_u64().unwrap()).collect()
}

/// The number after `before` in what a run said.
pub fn number_after(stderr: &str, before: &str) -> usize {
    let rest = stderr.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in {stderr}")).1;
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// The path as the program prints it.
pub fn display(path: &Path) -> String {
    path.display().to_string()
}
