//! Old text that is mixed into the training text of a fine-tuned run, so that the model does not forget it.

use std::{ops::Range, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, CorpusIdentity};
use super::encoding::Encoding;
use crate::error::{Error, Result};

/// The fraction of the old text, from its beginning, that may be trained on; the rest is held out.
const TRAINING_FRACTION: f64 = 0.9;

/// Which old text is replayed, and how much of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayConfig {
    /// The file with the old text.
    pub file: PathBuf,
    /// The fraction of the training text that is old text.
    pub fraction: f64,
}

/// The part of an old text that is replayed, as recorded in a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayIdentity {
    /// The configuration.
    pub config: ReplayConfig,
    /// Length and hash of the whole file.
    pub identity: CorpusIdentity,
    /// Characters at its beginning that are trained on.
    pub chars: u64,
}

impl ReplayConfig {
    /// The default fraction.
    pub const DEFAULT_FRACTION: f64 = 0.1;

    /// Checks that the fraction is between 0 and 1.
    pub fn validate(&self) -> Result<()> {
        if self.fraction > 0.0 && self.fraction < 1.0 {
            return Ok(());
        }
        Err(Error::out_of_range("replay_frac", self.fraction, "above 0 and below 1"))
    }

    /// Opens the old text and computes how many characters to replay: the configured fraction, but none that are held out.
    pub(super) fn open(&self, training_chars: usize, encoding: Encoding) -> Result<(ReplayIdentity, Corpus)> {
        self.validate()?;
        let corpus = Corpus::open(std::slice::from_ref(&self.file), encoding)?;
        let expected = (training_chars as f64 * self.fraction / (1.0 - self.fraction)).round() as usize;
        let chars = expected.max(1).min(held_out_range(&corpus).start);
        if chars == 0 {
            return Err(Error::corpus(&self.file, "too short to replay; use a longer text"));
        }
        let identity = corpus.identity().clone();
        Ok((ReplayIdentity { config: self.clone(), identity, chars: chars as u64 }, corpus))
    }
}

/// The end of an old text, which is never trained on.
pub(super) fn held_out_range(corpus: &Corpus) -> Range<usize> {
    (corpus.chars() as f64 * TRAINING_FRACTION) as usize..corpus.chars()
}
