//! Where text goes: what was asked for to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use charlstm::error::{Error, Result};
use owo_colors::OwoColorize;

use super::args::{Common, When};

/// The two outputs and how much is said.
pub struct Terminal {
    color: ColorChoice,
    quiet: bool,
    verbose: bool,
}

impl Terminal {
    pub fn new(common: &Common) -> Self {
        let color = match common.color {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::Always,
            When::Never => ColorChoice::Never,
        };
        Terminal { color, quiet: common.quiet, verbose: common.verbose }
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

    /// Writes facts as JSON.
    pub fn json(&self, facts: &serde_json::Value) -> Result<()> {
        self.out(format!("{facts:#}\n").as_bytes())
    }

    /// Says something, unless told to be quiet. A stderr that is closed is no reason to stop.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.write(line);
        }
    }

    /// Says something that only those want to know who ask for more.
    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.write(line);
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

/// A text with its line ends and what else would steer a terminal as escapes.
fn in_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A path as it can be pasted into a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
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
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("checkpoints/my-run_1.2")), "checkpoints/my-run_1.2");
        assert_eq!(quoted(Path::new("my book's")), r"'my book'\''s'");
    }
}
