//! The prompts of `charlstm sample`.

use std::path::PathBuf;

use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use serde_json::Value;

use super::files;
use super::terminal::Terminal;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// Text to continue; it is printed before the generated text
    ///
    /// A line end is written as $'\\n' in most shells, or as \\n with --escapes.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub prompt: String,
    /// Read the prompt from a file; -: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// Read several prompts from a file, one per line; -: standard input
    ///
    /// A line may also be a JSON string, or an object with the key "prompt". Each prompt is continued in turn.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "prompt_file"])]
    pub prompts_file: Option<PathBuf>,
    /// Interpret \\n, \\t, \\\\ and \\u{...} in --prompt and --stop
    #[arg(long)]
    pub escapes: bool,
    /// Do not print the prompt
    #[arg(long)]
    pub no_echo: bool,
    /// Skip characters of the prompt that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
}

impl PromptArgs {
    /// The prompts as token ids, in order; one empty prompt if none is given.
    pub fn read(&self, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<Vec<u32>>> {
        if let Some(file) = &self.prompts_file {
            let (name, text) = files::read_text(file, vocab.encoding())?;
            let text = text.strip_suffix(b"\n").unwrap_or(&text);
            let prompt = |(number, line): (usize, &[u8])| {
                let at = |e: Error| Error::corpus(name, format!("line {number}: {}", with_hint(&e)));
                self.encode(&prompt_of_line(line).map_err(at)?, vocab, terminal).map_err(at)
            };
            return (1..).zip(text.split(|byte| *byte == b'\n')).map(prompt).collect();
        }
        let prompt = match &self.prompt_file {
            Some(file) => {
                let (name, text) = files::read_text(file, vocab.encoding())?;
                self.encode(&text, vocab, terminal).map_err(|e| Error::corpus(name, with_hint(&e)))?
            }
            None if self.escapes => self.encode(unescaped(&self.prompt)?.as_bytes(), vocab, terminal)?,
            None => self.encode(self.prompt.as_bytes(), vocab, terminal)?,
        };
        Ok(vec![prompt])
    }

    /// A prompt as token ids; unknown characters are rejected, or skipped with `--skip-unknown`.
    fn encode(&self, text: &[u8], vocab: &Vocab, terminal: &Terminal) -> Result<Vec<u32>> {
        if !self.skip_unknown {
            return vocab.encode(text);
        }
        let (known, mut unknown): (Vec<u32>, Vec<u32>) =
            vocab.to_symbols(text).into_iter().partition(|symbol| vocab.id(*symbol).is_some());
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

/// The prompt in a line: JSON if the line starts like a JSON string or object, otherwise the line itself.
fn prompt_of_line(line: &[u8]) -> Result<Vec<u8>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !line.starts_with(b"\"") && !line.starts_with(b"{") {
        return Ok(line.to_vec());
    }
    let value: Value = serde_json::from_slice(line).map_err(|e| Error::Usage(format!("not valid JSON: {e}")))?;
    let prompt = value.as_str().or_else(|| value.get("prompt")?.as_str());
    let missing = || Error::Usage("expected a JSON string, or an object with the key \"prompt\"".into());
    prompt.map(|prompt| prompt.as_bytes().to_vec()).ok_or_else(missing)
}

/// A text with its escape sequences replaced.
pub fn unescaped(text: &str) -> Result<String> {
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
    fn a_line_is_a_prompt_or_json() {
        for (line, expected) in
            [("plain \"text\"", "plain \"text\""), ("\"a\\nb\"", "a\nb"), ("{\"prompt\": \"x\"}", "x"), ("", "")]
        {
            assert_eq!(prompt_of_line(line.as_bytes()).unwrap(), expected.as_bytes());
        }
        for bad in ["{\"text\": 1}", "{", "\"open"] {
            assert!(prompt_of_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
