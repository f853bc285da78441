//! Old text that is learned again beside the new, so that it is not forgotten.

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Corpus, CorpusIdentity, Encoding};
use crate::error::{Error, Result};

/// The share of a text, from its beginning, that can be replayed; what is behind it stays unseen.
const SEEN: f64 = 0.9;

/// Where the old text is, and how much of it is mixed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayConfig {
    /// Its file.
    pub file: PathBuf,
    /// Its share of all characters that are trained on.
    pub fraction: f64,
}

/// What is mixed in of an old text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayIdentity {
    /// What was asked for.
    pub config: ReplayConfig,
    /// What the whole file is known by.
    pub identity: CorpusIdentity,
    /// Characters from its beginning that are trained on.
    pub chars: u64,
}

impl ReplayConfig {
    /// The share that is mixed in unless another is chosen.
    pub const DEFAULT_FRACTION: f64 = 0.1;

    /// Checks the share.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a share outside `0..1`, or of 0.
    pub fn validate(&self) -> Result<()> {
        if self.fraction > 0.0 && self.fraction < 1.0 {
            return Ok(());
        }
        Err(Error::out_of_range("replay_frac", self.fraction, "above 0 and below 1"))
    }

    /// Opens the old text, and takes what goes with `training` characters of the new: as much as its first nine tenths have.
    pub(super) fn open(&self, training: usize, encoding: Encoding) -> Result<(ReplayIdentity, Corpus)> {
        self.validate()?;
        let corpus = Corpus::open(std::slice::from_ref(&self.file), encoding)?;
        let wanted = (training as f64 * self.fraction / (1.0 - self.fraction)).round() as usize;
        let chars = wanted.max(1).min(seen(&corpus));
        if chars == 0 {
            return Err(Error::corpus(&self.file, "too short to replay; use a longer text"));
        }
        Ok((ReplayIdentity { config: self.clone(), identity: corpus.identity().clone(), chars: chars as u64 }, corpus))
    }
}

/// Characters of an old text that can be replayed.
fn seen(corpus: &Corpus) -> usize {
    (corpus.chars() as f64 * SEEN) as usize
}

/// The end of an old text, of which nothing is replayed.
pub(super) fn unseen(corpus: &Corpus) -> Range<usize> {
    seen(corpus)..corpus.chars()
}
