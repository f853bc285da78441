//! What can go wrong, sorted by what the user can do about it.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error; its text is one line that says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that is not allowed, or options contradict each other.
    #[error("{0}")]
    Usage(String),
    /// Something needs more memory than is available.
    #[error("{what} needs {} MiB of memory{}", mebibytes(*needed), available_memory(*available))]
    OutOfMemory {
        /// What needs it.
        what: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are available, where that is known.
        available: Option<u64>,
    },
    /// A corpus cannot be used as it is.
    #[error("{}: {problem}", path.display())]
    Corpus {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A checkpoint is damaged, or is no checkpoint.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A text has a character that the model has never seen.
    #[error("the model has never seen {0}; leave it out, or train on a text that has it")]
    UnknownCharacter(String),
    /// A file or folder is not there, or may not be read.
    #[error("{}: {}", path.display(), unreadable(source))]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot be opened.
        source: std::io::Error,
    },
    /// There is nothing of what was asked for (no run to resume, no run to sample from).
    #[error("{0}")]
    Missing(String),
    /// A run's folder cannot be created, or holds a run already.
    #[error("{}: {problem}", path.display())]
    CannotCreate {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// Reading or writing failed half-way.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text was changed while it was in use.
    #[error("{}: {problem}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What was changed.
        problem: String,
    },
    /// A file does not fit on the disk, or is larger than a process may make one. What was there before stands.
    #[error("{}: {source}: it needs {needed} bytes{}; make room, then try again", path.display(), free_room(*free))]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Bytes that it would have had.
        needed: u64,
        /// Bytes that there is room for, where that can be known.
        free: Option<u64>,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process is training in the same run.
    #[error("{}: another process (pid {}) is training here; wait for it, or choose another --name", path.display(), known(pid))]
    Busy {
        /// The run's folder.
        path: PathBuf,
        /// The process that holds it, as it wrote itself down; empty where it did not yet.
        pid: String,
    },
    /// Training cannot go on: its losses or weights are no longer finite.
    #[error("{0}")]
    Diverged(String),
    /// Something that should not happen did.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why something cannot be read, and what to do.
fn unreadable(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder; check the name".into(),
        std::io::ErrorKind::PermissionDenied => "it may not be read; check its permissions".into(),
        _ => format!("it cannot be read: {source}"),
    }
}

fn known(pid: &str) -> &str {
    if pid.is_empty() { "unknown" } else { pid }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn available_memory(bytes: Option<u64>) -> String {
    bytes.map_or(", which cannot be allocated".into(), |bytes| format!(", and {} MiB are available", bytes >> 20))
}

fn free_room(free: Option<u64>) -> String {
    free.map_or(String::new(), |free| format!(", and {free} are free"))
}

impl Error {
    /// A name that nothing has; `names` are those there are.
    pub fn no_such(what: &str, name: &str, names: &[&str]) -> Self {
        Error::Usage(format!("there is no {what} \"{name}\"; choose from: {}", names.join(", ")))
    }

    /// The exit code that the command line documents for this error (after BSD's `sysexits.h`).
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::OutOfMemory { .. } | Error::UnknownCharacter(_) => 2,
            Error::Corpus { .. } | Error::Checkpoint { .. } => 65,
            Error::Input { .. } | Error::Missing(_) => 66,
            Error::Diverged(_) | Error::Internal(_) => 70,
            Error::CannotCreate { .. } => 73,
            Error::Io { .. } | Error::Changed { .. } | Error::NoRoom { .. } => 74,
            Error::Busy { .. } => 75,
        }
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

    /// Whether a file could not be written, which may pass.
    pub fn is_unwritten(&self) -> bool {
        matches!(self, Error::Io { .. } | Error::NoRoom { .. })
    }

    /// An [`Error::CannotCreate`].
    pub fn cannot_create(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Error::CannotCreate { path: path.as_ref().into(), problem: problem.into() }
    }
}
