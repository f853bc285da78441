//! Where the texts of a run come from, so that they can be opened again.

use serde::{Deserialize, Serialize};

use super::{Replayed, TextConfig, TextIdentity, Texts};
use crate::error::{Error, Result};

/// Where the texts of a run are, and what they are known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// Where they are.
    pub texts: TextConfig,
    /// What they are known by.
    pub identity: TextIdentity,
    /// The old text that is replayed, if any.
    pub replayed: Option<Replayed>,
}

impl Sources {
    /// Opens the texts again; `remedy` ends the message where they are others now.
    ///
    /// # Errors
    /// As [`Texts::open`], [`Texts::with_replay`] and [`Texts::must_be`].
    pub fn open(&self, remedy: &str) -> Result<Texts> {
        let texts = Texts::open(&self.texts).map_err(|e| match e {
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
