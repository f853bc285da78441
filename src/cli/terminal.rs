//! Where text goes: what was asked for to stdout, everything else to stderr. What a file, an argument or a model has brought into it
//! does not steer the terminal.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::str::Utf8Chunk;

use anstream::{AutoStream, ColorChoice};
use charlstm::error::{Error, Result};
use owo_colors::OwoColorize;

use super::args::{ColorWhen, Common};

/// The two outputs and how much is said.
pub struct Terminal {
    color: ColorChoice,
    quiet: bool,
    verbose: bool,
    /// Whether what was asked for is shown as it comes.
    shows: bool,
}

impl Terminal {
    pub fn new(common: &Common) -> Self {
        let color = match common.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        Terminal { color, quiet: common.quiet, verbose: common.verbose, shows: io::stdout().is_terminal() }
    }

    /// Whether a live line makes sense.
    pub fn is_live(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether what was asked for is to be coloured.
    pub fn colors_out(&self) -> bool {
        let choice = if self.color == ColorChoice::Auto { AutoStream::choice(&io::stdout()) } else { self.color };
        choice != ColorChoice::Never
    }

    /// Writes what was asked for.
    pub fn out(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
    }

    /// Writes what a model has written: on a terminal without what would steer it, elsewhere as it is.
    pub fn out_text(&self, bytes: &[u8]) -> Result<()> {
        if self.shows { self.out(&harmless(bytes)) } else { self.out(bytes) }
    }

    /// Writes facts as JSON.
    pub fn json(&self, facts: &serde_json::Value) -> Result<()> {
        self.out(format!("{facts:#}\n").as_bytes())
    }

    /// Says something in one line, unless told to be quiet. A stderr that is closed is no reason to stop.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.write(&in_one_line(line));
        }
    }

    /// Says something of a model's own on lines of its own, unless told to be quiet.
    pub fn say_text(&self, text: &[u8]) {
        if !self.quiet {
            let text = harmless(text);
            let indented: String =
                String::from_utf8_lossy(&text).trim().lines().map(|line| format!("    {line}\n")).collect();
            self.write(&format!("\n{indented}"));
        }
    }

    /// Says something that only those want to know who ask for more.
    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.write(&in_one_line(line));
        }
    }

    /// Says what a user should know even when quiet.
    pub fn warn(&self, line: &str) {
        self.write(&format!("{} {}", "warning:".yellow().bold(), in_one_line(line)));
    }

    /// Tells an error in one line, whatever a file or an argument has brought into it.
    pub fn error(&self, line: &str) {
        self.write(&format!("{} {}", "error:".red().bold(), in_one_line(line)));
    }

    fn write(&self, line: &str) {
        let _ = writeln!(AutoStream::new(io::stderr(), self.color), "{line}");
    }
}

/// Whether the reader of standard output has gone, as `head` does when it has enough.
pub fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}

/// A text in which every control character but line ends, carriage returns and tabs is U+FFFD. What is not UTF-8, such as a single
/// byte of a model of bytes, stays, so that characters come together again.
fn harmless(text: &[u8]) -> Vec<u8> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let chunk = |chunk: Utf8Chunk<'_>| [chunk.valid().replace(steers, "\u{fffd}").as_bytes(), chunk.invalid()].concat();
    text.utf8_chunks().flat_map(chunk).collect()
}

/// A text with its line ends and what else would steer a terminal as escapes.
pub fn in_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A path as it can be pasted into a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    // What begins with a dash would be taken for an option.
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else if text.contains(char::is_control) {
        let escaped = |c: char| match c {
            '\\' | '\'' => format!("\\{c}"),
            _ if c.is_control() => c.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
            _ => c.to_string(),
        };
        format!("$'{}'", text.chars().map(escaped).collect::<String>())
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_a_name_holds() {
        assert_eq!(in_one_line("caf\u{e9}: no \"a\nb\u{1b}[2J\""), "caf\u{e9}: no \"a\\nb\\u{1b}[2J\"");
    }

    #[test]
    fn what_a_model_writes_does_not_steer_a_terminal() {
        assert_eq!(harmless("a\tb\n\u{e9}".as_bytes()), "a\tb\n\u{e9}".as_bytes());
        let shown = "\u{fffd}]0;x\u{fffd}\u{fffd}2J\r";
        assert_eq!(harmless(b"\x1b]0;x\x07\xc2\x9b2J\r\xc3"), [shown.as_bytes(), b"\xc3"].concat());
    }

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("checkpoints/my-run_1.2")), "checkpoints/my-run_1.2");
        assert_eq!(quoted(Path::new("my book's")), r"'my book'\''s'");
        assert_eq!(quoted(Path::new("-y")), "./-y");
        assert_eq!(quoted(Path::new("a\nb'c\u{9b}\\")), r"$'a\x0ab\'c\xc2\x9b\\'");
    }
}
