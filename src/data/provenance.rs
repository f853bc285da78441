//! Where the texts of a run come from, so that they can be opened again.

use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetConfig, DatasetIdentity, Replayed};
use crate::error::{Error, Result};

/// Where the texts of a run are, and what they are known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetProvenance {
    /// Where they are.
    pub texts: DatasetConfig,
    /// What they are known by.
    pub identity: DatasetIdentity,
    /// The old text that is replayed, if any.
    pub replayed: Option<Replayed>,
}

impl DatasetProvenance {
    /// Opens the texts again; `remedy` ends the message where they are others now.
    ///
    /// # Errors
    /// As [`Dataset::open`], [`Dataset::with_replay`] and [`Dataset::must_be`].
    pub fn open(&self, remedy: &str) -> Result<Dataset> {
        let texts = Dataset::open(&self.texts).map_err(|e| match e {
            Error::Input { path, .. } => {
                Error::Missing(format!("{}: the text is no longer there; {remedy}", path.display()))
            }
            other => other,
        })?;
        let texts = match &self.replayed {
            Some(replayed) => texts.with_replay(&replayed.replay)?,
            None => texts,
        };
        texts.must_be(self, remedy)?;
        Ok(texts)
    }
}
