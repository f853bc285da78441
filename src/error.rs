//! The library's error type: one variant per kind of failure, with the details that a caller needs to handle or explain it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error. Its message is one line: the location, the problem and, if the library knows one, a remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the variants and their messages explain the fields")]
pub enum Error {
    /// An argument is not allowed, or arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// An operation needs more memory than is available, both in bytes.
    #[error("{what} needs {} MiB of memory, {}", needed.div_ceil(1 << 20), available_memory(*available))]
    OutOfMemory { what: String, needed: u64, available: Option<u64> },
    /// A setting has a value outside its range. `setting` is the name of a configuration field.
    #[error("{setting} must be {allowed}, not {value}")]
    OutOfRange { setting: &'static str, value: String, allowed: String },
    /// A setting has no effect together with the other settings.
    #[error("{setting} does not apply: {reason}")]
    Inapplicable { setting: &'static str, reason: String },
    /// A name is not in a list of choices.
    #[error("unknown {kind} \"{name}\"; choose from: {}", choices.join(", "))]
    UnknownName { kind: String, name: String, choices: Vec<String> },
    /// A run cannot be resumed with a different value of this setting.
    #[error("{}: {setting} is {saved} in this run and cannot be changed to {requested}", run.display())]
    FixedSetting { run: PathBuf, setting: &'static str, saved: String, requested: String },
    /// A model of bytes cannot be used with a text that was opened as characters, or the reverse.
    #[error("{}: the model reads {}, but the text was opened as {}", run.display(), unit(*model_reads_bytes), unit(!*model_reads_bytes))]
    EncodingMismatch { run: PathBuf, model_reads_bytes: bool },
    /// A corpus cannot be used as it is.
    #[error("{}: {problem}", path.display())]
    Corpus { path: PathBuf, problem: String },
    /// A text is not valid UTF-8. `byte` is the offset of the first invalid byte.
    #[error("{}: not valid UTF-8 at byte {byte}", path.display())]
    NotUtf8 { path: PathBuf, byte: usize },
    /// A text is encoded as UTF-16.
    #[error("{p}: this is {encoding} text; convert it to UTF-8: iconv -f {encoding} -t UTF-8 {p} > utf8.txt", p = path.display())]
    Utf16 { path: PathBuf, encoding: &'static str },
    /// A file has many NUL bytes.
    #[error("{}: more than a tenth of its bytes are NUL, so it is not text", path.display())]
    NotText { path: PathBuf },
    /// A folder contains no text files.
    #[error("{}: no text files in this folder (subfolders are not searched)", folder.display())]
    NoTextFiles { folder: PathBuf },
    /// A text has too few characters for the batch size and the window length.
    #[error(
        "{}: {chars} characters to train on ({held_out} are held out), but {batch_size} streams of {seq_len} characters need at least {}",
        path.display(), batch_size * seq_len + 1
    )]
    TextTooShort { path: PathBuf, chars: usize, held_out: usize, batch_size: usize, seq_len: usize },
    /// The corpus differs from the one that a run used. `role` says how the run used it, such as `was trained on`.
    #[error("{}: the text differs from the one that this run {role} (then {before}; now {now})", path.display())]
    CorpusMismatch { path: PathBuf, role: &'static str, before: String, now: String },
    /// The corpus that a run was trained on no longer exists.
    #[error("{}: the text that this run was trained on no longer exists", path.display())]
    CorpusMissing { path: PathBuf },
    /// A checkpoint is damaged, or the file is not a checkpoint.
    #[error("{}: {problem}", path.display())]
    Checkpoint { path: PathBuf, problem: String },
    /// A text contains a character that is not in the model's vocabulary.
    #[error("not in the model's vocabulary: {0}")]
    UnknownCharacter(String),
    /// A corpus contains a character that is not in the model's vocabulary.
    #[error("{}: {character} is not in the model's vocabulary", path.display())]
    UnknownInCorpus { path: PathBuf, character: String },
    /// A file or folder does not exist or cannot be opened.
    #[error("{}: {}", path.display(), unreadable(source))]
    Input { path: PathBuf, source: std::io::Error },
    /// Something that was requested does not exist, such as a run to resume or a held-out text.
    #[error("{0}")]
    Missing(String),
    /// A folder contains no runs.
    #[error("{}: no runs in this folder", folder.display())]
    NoRuns { folder: PathBuf },
    /// A new run would replace an existing one.
    #[error("{}: this folder already contains a run", folder.display())]
    RunExists { folder: PathBuf },
    /// A file or folder cannot be created.
    #[error("{}: {problem}", path.display())]
    CannotCreate { path: PathBuf, problem: String },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A text was modified while it was in use.
    #[error("{}: {problem}", path.display())]
    Changed { path: PathBuf, problem: String },
    /// A file of this many bytes does not fit on the disk, or exceeds the limit on file sizes. The previous file is intact.
    #[error("{}: {source}: {needed} bytes are needed{}; free some space and try again", path.display(), free_space(*free))]
    InsufficientSpace { path: PathBuf, needed: u64, free: Option<u64>, source: std::io::Error },
    /// Another process is training the same run.
    #[error("{}: another process is training this run", path.display())]
    Busy { path: PathBuf },
    /// A loss, a gradient, an activation or a weight is no longer finite.
    #[error("{0}")]
    Diverged(String),
    /// A bug in this crate.
    #[error("internal error: {0}")]
    Internal(String),
}

fn unreadable(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder; check the name".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied; check the permissions".into(),
        _ => format!("cannot be read: {source}"),
    }
}

fn available_memory(bytes: Option<u64>) -> String {
    bytes.map_or("which cannot be allocated".into(), |bytes| format!("but {} MiB are available", bytes >> 20))
}

fn free_space(free: Option<u64>) -> String {
    free.map_or(String::new(), |free| format!(", {free} are free"))
}

fn unit(bytes: bool) -> &'static str {
    if bytes { "bytes" } else { "UTF-8 characters" }
}

impl Error {
    /// An [`Error::OutOfRange`].
    pub fn out_of_range(setting: &'static str, value: impl Debug, allowed: impl Into<String>) -> Self {
        Error::OutOfRange { setting, value: format!("{value:?}"), allowed: allowed.into() }
    }

    /// An [`Error::UnknownName`].
    pub fn unknown_name(kind: impl Into<String>, name: &str, choices: &[&str]) -> Self {
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        Error::UnknownName { kind: kind.into(), name: name.into(), choices }
    }

    /// An [`Error::Corpus`].
    pub fn corpus(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Error::Corpus { path: path.as_ref().into(), problem: problem.into() }
    }

    /// An [`Error::Checkpoint`].
    pub fn checkpoint(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Error::Checkpoint { path: path.as_ref().into(), problem: problem.into() }
    }

    /// An [`Error::Input`].
    pub fn input(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Input { path: path.as_ref().into(), source }
    }

    /// An [`Error::Io`].
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().into(), source }
    }

    /// An [`Error::CannotCreate`].
    pub fn cannot_create(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Error::CannotCreate { path: path.as_ref().into(), problem: problem.into() }
    }

    /// Whether a file could not be written, so that trying again later may succeed.
    pub fn is_unwritten(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::InsufficientSpace { .. })
    }
}
