//! The library's error type: one variant per kind of failure, with the facts that a caller needs to react or to explain it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error. Its text is one line: where, what is wrong and, where the library knows it, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is not allowed, or arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// An operation needs more memory than is available.
    #[error("{what} needs {} MiB of memory, {}", needed.div_ceil(1 << 20), available_memory(*available))]
    OutOfMemory {
        /// The operation that needs the memory.
        what: String,
        /// The bytes that it needs.
        needed: u64,
        /// The bytes that are available, if known.
        available: Option<u64>,
    },
    /// A setting has a value outside its range.
    #[error("{setting} must be {allowed}, not {value}")]
    OutOfRange {
        /// The setting, as the field of the configuration is called.
        setting: &'static str,
        /// The value.
        value: String,
        /// The range, such as `1 to 1024`.
        allowed: String,
    },
    /// A setting has no effect together with the other settings.
    #[error("{setting} does not apply: {reason}")]
    Inapplicable {
        /// The setting, as the field of the configuration is called.
        setting: &'static str,
        /// Why it has no effect.
        reason: String,
    },
    /// A name is not in a list of choices.
    #[error("unknown {kind} \"{name}\"; choose from: {}", choices.join(", "))]
    UnknownName {
        /// The kind of name, such as `cell`.
        kind: String,
        /// The name.
        name: String,
        /// The names that exist.
        choices: Vec<String>,
    },
    /// A run cannot be resumed with another value of this setting.
    #[error("{}: {setting} is {saved} in this run and cannot be changed to {requested}", run.display())]
    FixedSetting {
        /// The checkpoint or the run.
        run: PathBuf,
        /// The setting, as the field of the configuration is called.
        setting: &'static str,
        /// The value that the run has.
        saved: String,
        /// The value that was asked for.
        requested: String,
    },
    /// A model of bytes cannot be used with a text that was opened as characters, or the reverse.
    #[error("{}: the model reads {}, but the text was opened as {}", run.display(), unit(*model_reads_bytes), unit(!*model_reads_bytes))]
    EncodingMismatch {
        /// The model's run.
        run: PathBuf,
        /// Whether the model reads bytes.
        model_reads_bytes: bool,
    },
    /// A corpus cannot be used as it is.
    #[error("{}: {problem}", path.display())]
    Corpus {
        /// The file or folder.
        path: PathBuf,
        /// The problem, and what to do.
        problem: String,
    },
    /// A text is not valid UTF-8.
    #[error("{}: not valid UTF-8 at byte {byte}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that is not valid, counted from 0.
        byte: usize,
    },
    /// A folder contains no text files.
    #[error("{}: no text files in this folder (subfolders are not searched)", folder.display())]
    NoTextFiles {
        /// The folder.
        folder: PathBuf,
    },
    /// A text is too short for the batch size and the window length.
    #[error(
        "{}: {chars} characters to train on, but {batch_size} streams of {seq_len} characters need at least {}",
        path.display(), batch_size * seq_len + 1
    )]
    TextTooShort {
        /// The file.
        path: PathBuf,
        /// The characters to train on.
        chars: usize,
        /// The number of streams.
        batch_size: usize,
        /// The characters in a window.
        seq_len: usize,
    },
    /// The corpus is not the one that a run was trained on.
    #[error("{}: the text differs from the one that this run {role} (then {before}; now {now})", path.display())]
    CorpusMismatch {
        /// The file.
        path: PathBuf,
        /// The role of the file, such as `was trained on`.
        role: &'static str,
        /// Length and hash at that time.
        before: String,
        /// Length and hash now.
        now: String,
    },
    /// The corpus that a run was trained on no longer exists.
    #[error("{}: the text that this run was trained on no longer exists", path.display())]
    CorpusMissing {
        /// The file or folder.
        path: PathBuf,
    },
    /// A checkpoint is damaged, or the file is not a checkpoint.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A text contains a character that is not in the model's vocabulary.
    #[error("the model does not know {0}")]
    UnknownCharacter(String),
    /// A file or folder does not exist or cannot be opened.
    #[error("{}: {}", path.display(), unreadable(source))]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot be opened.
        source: std::io::Error,
    },
    /// The requested item does not exist (no run to resume, no held-out text).
    #[error("{0}")]
    Missing(String),
    /// A folder contains no runs.
    #[error("{}: no runs in this folder", folder.display())]
    NoRuns {
        /// The folder.
        folder: PathBuf,
    },
    /// A new run would replace an existing one.
    #[error("{}: this folder already contains a run", folder.display())]
    RunExists {
        /// The run's folder.
        folder: PathBuf,
    },
    /// A file or folder cannot be created.
    #[error("{}: {problem}", path.display())]
    CannotCreate {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A text was modified while it was in use.
    #[error("{}: {problem}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The modification.
        problem: String,
    },
    /// A file does not fit on the disk, or exceeds the limit on file sizes. The previous file is intact.
    #[error("{}: {source}: {needed} bytes are needed{}; free some space and try again", path.display(), free_space(*free))]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// The size that the file would have had, in bytes.
        needed: u64,
        /// Free space in bytes, if known.
        free: Option<u64>,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process is training the same run.
    #[error("{}: another process is training this run", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// A loss, a gradient, an activation or a weight is no longer finite.
    #[error("{0}")]
    Diverged(String),
    /// A defect in this crate.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why something cannot be read, and what to do.
fn unreadable(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder; check the name".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied; check its permissions".into(),
        _ => format!("cannot be read: {source}"),
    }
}

fn available_memory(bytes: Option<u64>) -> String {
    bytes.map_or("which cannot be allocated".into(), |bytes| format!("and {} MiB are available", bytes >> 20))
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
        matches!(self, Error::Io { .. } | Error::NoRoom { .. })
    }
}
