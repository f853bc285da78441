//! Messages and exit codes of errors, with hints that name flags and commands of this program.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::disk::folder_of;
use charlstm::error::Error;
use charlstm::run::RunFolder;
use clap::CommandFactory;

use super::args::Args;
use super::terminal::quoted;

// Exit codes, after BSD's `sysexits.h`. clap also uses 2.
pub const USAGE: u8 = 2;
const BAD_DATA: u8 = 65;
const NO_INPUT: u8 = 66;
const INTERNAL: u8 = 70;
const CANNOT_CREATE: u8 = 73;
const IO_ERROR: u8 = 74;
const BUSY: u8 = 75;

pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Usage(_)
        | Error::OutOfMemory { .. }
        | Error::OutOfRange { .. }
        | Error::Inapplicable { .. }
        | Error::UnknownName { .. }
        | Error::FixedSetting { .. }
        | Error::EncodingMismatch { .. }
        | Error::UnknownCharacter(_) => USAGE,
        Error::Corpus { .. }
        | Error::NotUtf8 { .. }
        | Error::NotText { .. }
        | Error::Utf16 { .. }
        | Error::NoTextFiles { .. }
        | Error::TextTooShort { .. }
        | Error::UnknownInCorpus { .. }
        | Error::CorpusMismatch { .. }
        | Error::Checkpoint { .. } => BAD_DATA,
        Error::Input { .. } | Error::CorpusMissing { .. } | Error::Missing(_) | Error::NoRuns { .. } => NO_INPUT,
        Error::CannotCreate { .. } | Error::RunExists { .. } => CANNOT_CREATE,
        Error::Io { .. } | Error::Changed { .. } | Error::InsufficientSpace { .. } => IO_ERROR,
        Error::Busy { .. } => BUSY,
        // `Diverged`, `Internal`, and variants that later versions of the library add.
        _ => INTERNAL,
    }
}

pub fn message(error: &Error, command: &str) -> String {
    hint(error, command).map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}

fn hint(error: &Error, command: &str) -> Option<String> {
    let hint = match error {
        Error::OutOfRange { setting, .. } => format!("change {}", flag(setting, command)?),
        Error::Inapplicable { setting, .. } => format!("omit {}", flag(setting, command)?),
        Error::FixedSetting { setting, .. } => {
            let omit = flag(setting, command).map_or(String::new(), |flag| format!("omit {flag}, or "));
            format!("{omit}start a new run")
        }
        Error::UnknownInCorpus { character, .. } if character.starts_with("U+000D") => {
            "the model was trained on line feeds: convert the CRLF line ends, or use charlstm score --newline lf".into()
        }
        Error::UnknownInCorpus { .. } => match command {
            "train" => "start a new run that extends the vocabulary, with --init-from RUN".into(),
            "eval" => "score the text with charlstm score, which reports such characters separately".into(),
            _ => return None,
        },
        Error::UnknownCharacter(_) if command == "sample" => "remove it, or skip it with --skip-unknown".into(),
        Error::EncodingMismatch { model_reads_bytes: true, .. } => "add --bytes".into(),
        Error::EncodingMismatch { model_reads_bytes: false, .. } => "omit --bytes".into(),
        Error::Input { path, .. } if path.ends_with("-") => {
            "a text that is memory-mapped cannot come from standard input: save it to a file first".into()
        }
        Error::NotUtf8 { .. } => match command {
            "novelty" => "convert it to UTF-8, or compare bytes with --against and --bytes".into(),
            _ => "convert it to UTF-8, or use --bytes to train on raw bytes".into(),
        },
        Error::NotText { .. } if command == "train" => "use --bytes to train on raw bytes".into(),
        Error::NoTextFiles { .. } => "specify a file, or use --bytes to read every file".into(),
        Error::TextTooShort { chars, held_out, .. } if held_out > chars => "hold out less with --val-frac".into(),
        Error::TextTooShort { .. } => "use a longer text, or a smaller --batch or --seq-len".into(),
        Error::CorpusMissing { .. } if command == "train" => {
            "restore it, or specify its new path: charlstm train PATH --resume RUN".into()
        }
        Error::CorpusMismatch { .. } | Error::CorpusMissing { .. } => match command {
            "train" => "restore it, or resume on the modified text with --allow-corpus-change".into(),
            "sample" => "restore it, or replace --novel with --novel-against FILE".into(),
            "novelty" => "restore it, or specify a corpus with --against".into(),
            _ => "restore it, or specify a text with --text".into(),
        },
        Error::NoRuns { .. } => "start one with: charlstm train".into(),
        Error::Changed { .. } if command == "train" => {
            "restore the text, then continue with --resume (or on the modified text with --allow-corpus-change)".into()
        }
        Error::Diverged(_) => "try a lower --lr".into(),
        Error::RunExists { .. } => {
            "continue it with --resume, replace it with --overwrite, or choose another --name".into()
        }
        Error::Busy { .. } => "wait for it to finish, or choose another --name".into(),
        Error::Checkpoint { path, .. } => format!("the other checkpoint of this run is {}", quoted(&sibling(path)?)),
        _ => return None,
    };
    Some(hint)
}

/// The flag that sets a setting of the library, if the subcommand has one.
fn flag(setting: &str, command: &str) -> Option<String> {
    let name = match setting {
        "temperature" => "temp".into(),
        "batch_size" => "batch".into(),
        other => other.replace('_', "-"),
    };
    let args = Args::command();
    let mut flags = args.find_subcommand(command)?.get_arguments();
    flags.any(|flag| flag.get_long() == Some(&name)).then(|| format!("--{name}"))
}

/// The other checkpoint in the folder of a run, if it exists.
fn sibling(checkpoint: &Path) -> Option<PathBuf> {
    let run = RunFolder::new(folder_of(checkpoint));
    let other = match checkpoint.file_name()?.to_str()? {
        "latest.ckpt" => run.best(),
        "best.ckpt" => run.latest(),
        _ => return None,
    };
    other.is_file().then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_flag_of_a_setting() {
        let error = Error::out_of_range("top_p", 2, "above 0 and at most 1");
        assert_eq!(message(&error, "sample"), "top_p must be above 0 and at most 1, not 2; change --top-p");
        let error = Error::out_of_range("vocabulary", 0, "1 or more");
        assert_eq!(message(&error, "sample"), "vocabulary must be 1 or more, not 0");
    }

    #[test]
    fn a_damaged_checkpoint_is_reported_with_its_sibling() {
        let folder = tempfile::tempdir().unwrap();
        let [latest, best] = ["latest.ckpt", "best.ckpt"].map(|name| folder.path().join(name));
        let damaged = Error::checkpoint(&latest, "damaged");
        assert_eq!(hint(&damaged, "sample"), None);
        std::fs::write(&best, "").unwrap();
        assert!(hint(&damaged, "sample").unwrap().ends_with(&best.display().to_string()));
    }
}
