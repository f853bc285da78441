//! Hints for errors of the library that name flags and commands of this program.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::disk::folder_of;
use charlstm::error::Error;
use charlstm::run::RunFolder;
use clap::CommandFactory;

use super::args::Args;
use super::terminal::quoted;

pub fn message(error: &Error, command: &str) -> String {
    hint(error, command).map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}

fn hint(error: &Error, command: &str) -> Option<String> {
    match error {
        Error::OutOfRange { setting, .. } => flag(setting, command).map(|flag| format!("change {flag}")),
        Error::Inapplicable { setting, .. } => flag(setting, command).map(|flag| format!("omit {flag}")),
        Error::FixedSetting { setting, .. } => {
            let omit = flag(setting, command).map_or(String::new(), |flag| format!("omit {flag}, or "));
            Some(format!("{omit}start a new run"))
        }
        Error::UnknownCharacter(_) if command == "sample" => Some("remove it, or skip it with --skip-unknown".into()),
        Error::EncodingMismatch { model_reads_bytes: true, .. } => Some("add --bytes".into()),
        Error::EncodingMismatch { model_reads_bytes: false, .. } => Some("omit --bytes".into()),
        Error::NotUtf8 { .. } if command == "novelty" => {
            Some("convert it to UTF-8, or compare bytes with --against and --bytes".into())
        }
        Error::NotUtf8 { .. } => Some("convert it to UTF-8, or use --bytes to train on raw bytes".into()),
        Error::NoTextFiles { .. } => Some("name a file, or use --bytes to read every file".into()),
        Error::TextTooShort { .. } => Some("use a longer text, or a smaller --batch or --seq-len".into()),
        Error::CorpusMismatch { .. } | Error::CorpusMissing { .. } => Some(match command {
            "train" => "restore it, or resume on the modified text with --allow-corpus-change".into(),
            "sample" => "restore it, or replace --novel with --novel-against FILE".into(),
            "novelty" => "restore it, or name a corpus with --against".into(),
            _ => "restore it, or name a text with --text".into(),
        }),
        Error::NoRuns { .. } => Some("start one with: charlstm train".into()),
        Error::Changed { .. } if command == "train" => Some(
            "restore the text, then continue with --resume (or on the modified text with --allow-corpus-change)".into(),
        ),
        Error::Diverged(_) => Some("try a lower --lr".into()),
        Error::RunExists { .. } => {
            Some("continue it with --resume, replace it with --overwrite, or choose another --name".into())
        }
        Error::Busy { .. } => Some("wait for it to finish, or choose another --name".into()),
        Error::Checkpoint { path, .. } => {
            sibling(path).map(|sibling| format!("the other checkpoint of this run is {}", quoted(&sibling)))
        }
        _ => None,
    }
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
