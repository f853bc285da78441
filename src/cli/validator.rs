//! An external program that decides which records are kept.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use charlstm::error::{Error, Result};
use serde::Deserialize;
use serde_json::json;

/// A running validator. It reads a line `{"text": ...}` for each record, and answers with a line `{"ok": true}` or `{"ok": false}`.
pub struct Validator {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<std::io::Result<String>>,
    timeout: Duration,
    pub checked: u64,
    pub accepted: u64,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
}

/// How long the program may take to exit once its input has ended.
const EXIT_TIME: Duration = Duration::from_secs(1);
const MAX_QUOTED: usize = 80;

impl Validator {
    /// Starts a shell command.
    pub fn start(command: &str, timeout: Duration) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            shell.spawn().map_err(|e| Error::Usage(format!("--check {command:?}: cannot be started: {e}")))?;
        let (sender, answers) = channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || BufReader::new(stdout).lines().try_for_each(|line| sender.send(line)));
        }
        let stdin = child.stdin.take();
        Ok(Validator { command: command.into(), child, stdin, answers, timeout, checked: 0, accepted: 0 })
    }

    /// Whether the program accepts a record.
    pub fn accepts(&mut self, text: &str) -> Result<bool> {
        let question = format!("{}\n", json!({ "text": text }));
        let sent = self.stdin.as_mut().map(|stdin| stdin.write_all(question.as_bytes()).and_then(|()| stdin.flush()));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.ended());
        }
        let answer = match self.answers.recv_timeout(self.timeout) {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => return Err(self.error(&format!("its answer cannot be read: {e}"))),
            Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.timeout.as_secs();
                return Err(self.error(&format!(
                    "no answer within {seconds} s; the program must flush its output after each line, or raise --check-timeout"
                )));
            }
        };
        let Ok(Answer { ok }) = serde_json::from_str(&answer) else {
            let quoted: String = answer.chars().take(MAX_QUOTED).collect();
            return Err(self.error(&format!("answered {quoted:?} instead of {{\"ok\": true}} or {{\"ok\": false}}")));
        };
        self.checked += 1;
        self.accepted += u64::from(ok);
        Ok(ok)
    }

    fn error(&self, problem: &str) -> Error {
        Error::Usage(format!("--check {:?}: {problem}", self.command))
    }

    fn ended(&mut self) -> Error {
        self.stdin = None;
        let status = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        self.error(&format!("the program ended before it answered ({status})"))
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        self.stdin = None;
        // The channel is closed when the program closes its output.
        while self.answers.recv_timeout(EXIT_TIME).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
