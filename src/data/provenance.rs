//! Where the texts of a run come from, so that they can be opened again.

use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetConfig, DatasetIdentity, ReplayIdentity};
use crate::error::{Error, Result};

/// Where the texts of a run are, and what they are known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetProvenance {
    /// Where they are.
    pub config: DatasetConfig,
    /// What they are known by.
    pub identity: DatasetIdentity,
    /// The old text that is replayed, if any.
    pub replay: Option<ReplayIdentity>,
}

impl DatasetProvenance {
    /// Opens the texts again and checks that they are the same.
    ///
    /// # Errors
    /// [`Error::CorpusMissing`], and as [`Dataset::open`], [`Dataset::with_replay`] and [`Dataset::check_same_text`].
    pub fn open(&self) -> Result<Dataset> {
        let texts = Dataset::open(&self.config).map_err(|e| match e {
            Error::Input { path, .. } => Error::CorpusMissing { path },
            other => other,
        })?;
        let texts = match &self.replay {
            Some(replayed) => texts.with_replay(&replayed.config)?,
            None => texts,
        };
        texts.check_same_text(self)?;
        Ok(texts)
    }
}
