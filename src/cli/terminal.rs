//! Terminal output: requested output goes to stdout, messages go to stderr. Control characters from files, arguments or models are
//! escaped.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::str::Utf8Chunk;

use anstream::{AutoStream, ColorChoice};
use charlstm::error::{Error, Result};
use owo_colors::OwoColorize;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct OutputArgs {
    /// Print only the requested output, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more details
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to use colors; auto respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
}

#[derive(Clone)]
pub struct Terminal {
    color: ColorChoice,
    quiet: bool,
    verbose: bool,
    out_is_terminal: bool,
}

impl Terminal {
    pub fn new(args: &OutputArgs) -> Self {
        let color = match args.color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        Terminal { color, quiet: args.quiet, verbose: args.verbose, out_is_terminal: io::stdout().is_terminal() }
    }

    pub fn shows_progress_bar(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub fn colors_out(&self) -> bool {
        let choice = if self.color == ColorChoice::Auto { AutoStream::choice(&io::stdout()) } else { self.color };
        choice != ColorChoice::Never
    }

    pub fn out(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
    }

    /// Writes generated text. On a terminal, control characters are replaced.
    pub fn out_text(&self, bytes: &[u8]) -> Result<()> {
        if self.out_is_terminal { self.out(&replace_controls(bytes)) } else { self.out(bytes) }
    }

    pub fn json(&self, facts: &serde_json::Value) -> Result<()> {
        self.out(format!("{facts:#}\n").as_bytes())
    }

    /// Prints a one-line message, unless `--quiet`. Errors when writing to stderr are ignored.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.write(&escape_controls(line));
        }
    }

    /// Prints generated text as an indented block, unless `--quiet`.
    pub fn say_text(&self, text: &[u8]) {
        if !self.quiet {
            let text = replace_controls(text);
            let indented: String =
                String::from_utf8_lossy(&text).trim().lines().map(|line| format!("    {line}\n")).collect();
            self.write(&format!("\n{indented}"));
        }
    }

    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.write(&escape_controls(line));
        }
    }

    /// Prints a warning, even with `--quiet`.
    pub fn warn(&self, line: &str) {
        self.write(&format!("{} {}", "warning:".yellow().bold(), escape_controls(line)));
    }

    pub fn error(&self, line: &str) {
        self.write(&format!("{} {}", "error:".red().bold(), escape_controls(line)));
    }

    fn write(&self, line: &str) {
        let _ = writeln!(AutoStream::new(io::stderr(), self.color), "{line}");
    }
}

/// Whether the reader of standard output closed it, as `head` does when it has read enough.
pub fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}

/// Omits carriage returns and replaces other control characters except line feeds and tabs with U+FFFD. Invalid UTF-8 is kept, because a byte
/// model prints a character one byte at a time.
fn replace_controls(text: &[u8]) -> Vec<u8> {
    let is_replaced = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    // A carriage return would let the rest of the line overwrite its beginning.
    let safe = |text: &str| text.replace('\r', "").replace(is_replaced, "\u{fffd}");
    let chunk = |chunk: Utf8Chunk<'_>| [safe(chunk.valid()).as_bytes(), chunk.invalid()].concat();
    text.utf8_chunks().flat_map(chunk).collect()
}

pub fn escape_controls(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    // A leading dash would be parsed as an option.
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
    fn control_characters_are_escaped() {
        assert_eq!(escape_controls("caf\u{e9}: no \"a\nb\u{1b}[2J\""), "caf\u{e9}: no \"a\\nb\\u{1b}[2J\"");
    }

    #[test]
    fn control_characters_of_generated_text_are_replaced() {
        assert_eq!(replace_controls("a\tb\n\u{e9}".as_bytes()), "a\tb\n\u{e9}".as_bytes());
        let shown = "\u{fffd}]0;x\u{fffd}\u{fffd}2J";
        assert_eq!(replace_controls(b"\x1b]0;x\x07\xc2\x9b2J\r\xc3"), [shown.as_bytes(), b"\xc3"].concat());
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("checkpoints/my-run_1.2")), "checkpoints/my-run_1.2");
        assert_eq!(quoted(Path::new("my book's")), r"'my book'\''s'");
        assert_eq!(quoted(Path::new("-y")), "./-y");
        assert_eq!(quoted(Path::new("a\nb'c\u{9b}\\")), r"$'a\x0ab\'c\xc2\x9b\\'");
    }
}
