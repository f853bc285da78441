//! `charlstm sample --interactive`: the user and the model take turns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::sample::{Generator, SamplingConfig, Snapshot};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::files;
use super::prompts::PromptArgs;
use super::signals::cannot_listen;
use super::terminal::{Terminal, is_broken_pipe};

pub const DEFAULT_LENGTH: u64 = 200;
const HELP: &str = "\
Type some text and press Enter: the model continues the whole text so far. Ctrl-C ends its turn, Ctrl-D quits.
A line that ends with a backslash is followed by a line end, and continues with the next line that you type.
/more [N]    continue for N characters (an empty line also continues)
/undo        undo the last turn
/temp T      set the sampling temperature; 0: always the most likely character
/save FILE   save the whole text to a file
/help        show this help
";

struct Session<'m, 't> {
    generator: Generator<'m>,
    vocab: &'t Vocab,
    text: Vec<u32>,
    /// The generator and the length of the text before each turn.
    turns: Vec<(Snapshot, usize)>,
    /// Characters per turn; 0: until interrupted.
    length: u64,
    interrupted: Arc<AtomicBool>,
    args: &'t PromptArgs,
    terminal: &'t Terminal,
}

pub fn run(
    generator: Generator<'_>,
    vocab: &Vocab,
    args: &PromptArgs,
    prompt: &[u32],
    length: u64,
    terminal: &Terminal,
) -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // The first Ctrl-C ends a turn; a second one ends the process.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&interrupted)).map_err(cannot_listen)?;
    flag::register(SIGINT, Arc::clone(&interrupted)).map_err(cannot_listen)?;
    let mut editor = DefaultEditor::new().map_err(|e| Error::Internal(format!("lines cannot be read: {e}")))?;
    let (text, turns) = (prompt.to_vec(), Vec::new());
    let mut session = Session { generator, vocab, text, turns, length, interrupted, args, terminal };
    terminal.say("Type some text for the model to continue; /help lists the commands, Ctrl-D quits");
    if !prompt.is_empty() {
        terminal.out_text(&vocab.decode(prompt.iter().copied()))?;
        session.turn(&[], length)?;
    }
    let mut typed = String::new();
    loop {
        match editor.readline(if typed.is_empty() { "> " } else { "... " }) {
            Ok(line) => {
                let _ = editor.add_history_entry(&line);
                typed.push_str(&line);
                if is_continued(&line) {
                    typed.pop();
                    typed.push('\n');
                    continue;
                }
                let line = std::mem::take(&mut typed);
                // An error in one turn must not lose the text.
                match session.handle_line(&line) {
                    Err(e) if !is_broken_pipe(&e) => terminal.error(&e.to_string()),
                    other => other?,
                }
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
            Err(ReadlineError::Io(e)) => return Err(Error::io("standard input", e)),
            Err(e) => return Err(Error::Internal(format!("lines cannot be read: {e}"))),
        }
    }
}

/// Whether a line ends with a backslash that is not itself escaped by another one.
fn is_continued(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

impl Session<'_, '_> {
    fn handle_line(&mut self, line: &str) -> Result<()> {
        if !line.starts_with('/') {
            return self.turn(&self.vocab.encode(self.args.unescape(line)?.as_bytes())?, self.length);
        }
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match command {
            "/more" if rest.is_empty() => self.turn(&[], self.length),
            "/more" => {
                let refuse = |_| Error::Usage(format!("/more expects a number of characters, not \"{rest}\""));
                self.turn(&[], rest.parse().map_err(refuse)?)
            }
            "/undo" => self.undo(),
            "/temp" => {
                let refuse = |_| Error::Usage(format!("/temp expects a number, such as 0.6, not \"{rest}\""));
                let config =
                    SamplingConfig { temperature: rest.parse().map_err(refuse)?, ..self.generator.config.clone() };
                config.validate()?;
                self.generator.config = config;
                Ok(())
            }
            "/save" if rest.is_empty() => Err(Error::Usage("/save expects a file name".into())),
            "/save" => {
                files::write(Path::new(rest), &self.vocab.decode(self.text.iter().copied()))?;
                self.terminal.say(&format!("{} characters saved to {rest}", self.text.len()));
                Ok(())
            }
            "/help" => self.terminal.out(HELP.as_bytes()),
            _ => Err(Error::Usage(format!("unknown command {command}; /help lists the commands"))),
        }
    }

    fn turn(&mut self, typed: &[u32], length: u64) -> Result<()> {
        self.turns.push((self.generator.snapshot(), self.text.len()));
        self.generator.read(typed);
        self.text.extend(typed);
        self.terminal.out_text(&self.vocab.decode(typed.iter().copied()))?;
        self.interrupted.store(false, Ordering::Relaxed);
        let mut written = 0;
        let mut bytes = Vec::new();
        while (length == 0 || written < length) && !self.interrupted.load(Ordering::Relaxed) {
            let Some(id) = self.generator.next() else { break };
            self.text.push(id);
            if Some(id) == self.vocab.record_boundary() {
                break;
            }
            bytes.clear();
            self.vocab.decode_into(id, &mut bytes);
            self.terminal.out_text(&bytes)?;
            written += 1;
        }
        self.interrupted.store(false, Ordering::Relaxed);
        self.terminal.out(b"\n")
    }

    /// Undoes the last turn and prints the last line of the remaining text.
    fn undo(&mut self) -> Result<()> {
        let nothing = || Error::Usage("there is nothing to undo".into());
        let (before, length) = self.turns.pop().ok_or_else(nothing)?;
        self.generator.restore(&before);
        self.text.truncate(length);
        let line = self.text.iter().rposition(|id| self.vocab.symbol(*id) == u32::from('\n')).map_or(0, |at| at + 1);
        self.terminal.out_text(&[&self.vocab.decode(self.text[line..].iter().copied())[..], b"\n"].concat())
    }
}
