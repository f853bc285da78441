//! The folder of a run.

use std::path::{Path, PathBuf};

/// The folder that runs are created in by default.
pub const DEFAULT_RUNS_FOLDER: &str = "checkpoints";

/// The folder of a run, which may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A handle to the run in a folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        RunFolder { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last component of the folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// The checkpoint with the whole training state, from which a run resumes.
    pub fn latest(&self) -> PathBuf {
        self.path.join("latest.ckpt")
    }

    /// The weights with the lowest held-out loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.ckpt")
    }

    /// The settings of the run.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Training and held-out losses, one record per line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// The plot of the losses.
    pub fn plot(&self) -> PathBuf {
        self.path.join("loss.svg")
    }

    /// Every file that training writes.
    pub fn files(&self) -> [PathBuf; 5] {
        [self.latest(), self.best(), self.config(), self.metrics(), self.plot()]
    }

    /// Whether the folder contains a checkpoint.
    pub fn has_checkpoint(&self) -> bool {
        self.latest().exists() || self.best().exists()
    }

    /// The checkpoint to sample from or evaluate: the best weights if there are any, otherwise the latest.
    pub fn model(&self) -> PathBuf {
        if self.best().exists() { self.best() } else { self.latest() }
    }
}
