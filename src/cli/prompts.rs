//! The prompts of `charlstm sample`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use charlstm::data::{ContextStart, Vocab};
use charlstm::error::{Error, Result};
use serde_json::Value;

use super::files;
use super::terminal::Terminal;
use super::values::context_starts;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// Text to continue; it is printed before the generated text
    ///
    /// A line end is written as $'\n' in most shells, or as \n with --escapes.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub prompt: String,
    /// Read the prompt from a file; -: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// Continue each line of a file; -: standard input
    ///
    /// If the first line is a JSON string or object, every line must be one; an object has the key "prompt". The texts are printed in
    /// the order of the lines, each after a line such as `--- prompt 2 ---`, or as JSON with --jsonl. All prompts use the same seed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_file"])]
    pub prompts_file: Option<PathBuf>,
    /// Interpret \n, \t, \\ and \u{...} in prompts, stop texts and --ban
    ///
    /// \u{e9} is the character U+00E9. This applies to --prompt, --stop, --ban, lines of --prompts-file that are not JSON, and the text
    /// typed with --interactive.
    #[arg(long, conflicts_with = "prompt_file")]
    pub escapes: bool,
    /// Do not print the prompt
    #[arg(long)]
    pub no_echo: bool,
    /// Skip characters of the prompt that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
    /// Context of the prompt; a text without a prompt follows a line end
    #[arg(long, value_name = "START", default_value = "newline", value_parser = context_starts())]
    pub context_start: ContextStart,
}

impl PromptArgs {
    /// The prompts as token ids, in order; one empty prompt if none is given.
    pub fn read(&self, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<Vec<u32>>> {
        let prompts = match &self.prompts_file {
            Some(file) => self.read_lines(file, vocab, terminal)?,
            None => vec![self.read_one(vocab, terminal)?],
        };
        if self.context_start == ContextStart::None && prompts.iter().any(Vec::is_empty) {
            return Err(Error::Usage(
                "--context-start none needs a prompt: the model predicts no first character".into(),
            ));
        }
        Ok(prompts)
    }

    fn read_one(&self, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<u32>> {
        match &self.prompt_file {
            Some(file) => {
                let (name, text) = files::read_text(file, vocab.encoding())?;
                self.encode(&text, vocab, terminal).map_err(|e| Error::corpus(name, with_hint(&e)))
            }
            None => self.encode(self.unescape(&self.prompt)?.as_bytes(), vocab, terminal),
        }
    }

    fn read_lines(&self, file: &Path, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<Vec<u32>>> {
        let (name, text) = files::read_text(file, vocab.encoding())?;
        if text.is_empty() {
            return Err(Error::corpus(name, "contains no prompts; write one per line"));
        }
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first: Option<Value> = lines.clone().next().and_then(|line| serde_json::from_slice(line).ok());
        let is_json = first.is_some_and(|value| value.is_string() || value.is_object());
        let prompt = |line: &[u8]| match std::str::from_utf8(line) {
            _ if is_json => self.encode(json_prompt(line)?.as_bytes(), vocab, terminal),
            Ok(line) => self.encode(self.unescape(line)?.as_bytes(), vocab, terminal),
            Err(_) => self.encode(line, vocab, terminal),
        };
        let at = |number: usize, e: Error| Error::corpus(name, format!("line {number}: {}", with_hint(&e)));
        (1..).zip(lines).map(|(number, line)| prompt(line).map_err(|e| at(number, e))).collect()
    }

    /// A text of the command line, with its escape sequences replaced if that is requested.
    pub fn unescape<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        if self.escapes { unescaped(text).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
    }

    /// A prompt as token ids; unknown characters are rejected, or skipped with `--skip-unknown`.
    fn encode(&self, text: &[u8], vocab: &Vocab, terminal: &Terminal) -> Result<Vec<u32>> {
        if !self.skip_unknown {
            let ids = vocab.encode(text)?;
            let unknown = ids.iter().filter(|id| Some(**id) == vocab.unknown()).count();
            if unknown > 0 {
                terminal
                    .warn(&format!("{unknown} of the prompt's characters are unknown to the model and not printed"));
            }
            return Ok(ids);
        }
        let (known, mut unknown): (Vec<u32>, Vec<u32>) =
            vocab.to_symbols(text).into_iter().partition(|symbol| vocab.known_id(*symbol).is_some());
        if !unknown.is_empty() {
            let count = unknown.len();
            unknown.sort_unstable();
            unknown.dedup();
            let named: Vec<String> = unknown.iter().take(20).map(|symbol| vocab.describe(*symbol)).collect();
            let more = if unknown.len() > named.len() { " and others" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            terminal
                .warn(&format!("skipped {count} unknown character{plural} of the prompt: {}{more}", named.join(", ")));
        }
        Ok(known.into_iter().filter_map(|symbol| vocab.id(symbol)).collect())
    }
}

fn with_hint(error: &Error) -> String {
    match error {
        Error::UnknownCharacter(_) => format!("{error}; remove it, or skip it with --skip-unknown"),
        other => other.to_string(),
    }
}

/// The prompt in a line of JSON.
fn json_prompt(line: &[u8]) -> Result<String> {
    let value: Value = serde_json::from_slice(line).map_err(|e| Error::Usage(format!("not valid JSON: {e}")))?;
    let prompt = value.as_str().or_else(|| value.get("prompt")?.as_str());
    let missing = || Error::Usage("expected a JSON string, or an object with the key \"prompt\"".into());
    prompt.map(str::to_owned).ok_or_else(missing)
}

fn unescaped(text: &str) -> Result<String> {
    let invalid = || Error::Usage(format!("{text:?}: invalid escape sequence; use \\n, \\t, \\\\ or \\u{{...}}"));
    let (mut plain, mut rest) = (String::new(), text.chars());
    while let Some(char) = rest.next() {
        plain.push(match (char, (char == '\\').then(|| rest.next()).flatten()) {
            ('\\', Some('n')) => '\n',
            ('\\', Some('t')) => '\t',
            ('\\', Some('\\')) => '\\',
            ('\\', Some('u')) => {
                let digits =
                    rest.as_str().strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(invalid)?;
                rest = digits.1.chars();
                u32::from_str_radix(digits.0, 16).ok().and_then(char::from_u32).ok_or_else(invalid)?
            }
            ('\\', _) => return Err(invalid()),
            (other, _) => other,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_replaced() {
        assert_eq!(unescaped(r"a\n\tb\\\u{e9}c").unwrap(), "a\n\tb\\\u{e9}c");
        for bad in ["\\", "\\x", "\\u", "\\u{d800}", "\\u{e9"] {
            assert!(unescaped(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prompt_in_json_is_a_string_or_a_key() {
        for (line, expected) in [(r#""a\nb""#, "a\nb"), (r#"{"prompt": "x"}"#, "x")] {
            assert_eq!(json_prompt(line.as_bytes()).unwrap(), expected);
        }
        for bad in [r#"{"text": 1}"#, "{", r#""open"#, "plain"] {
            assert!(json_prompt(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
