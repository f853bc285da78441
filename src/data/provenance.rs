//! The configuration and the identity of a run's texts, with which they can be opened again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dataset::{Dataset, DatasetConfig, DatasetIdentity};
use super::{corpus::CorpusIdentity, replay::ReplayIdentity};
use crate::error::{Error, Result};

/// The configuration of a run's dataset, and the identity of the texts when the run was saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetProvenance {
    /// Which texts are opened, and how they are split.
    pub config: DatasetConfig,
    /// Lengths and hashes of the texts.
    pub identity: DatasetIdentity,
    /// The old text that is replayed, if any.
    pub replay: Option<ReplayIdentity>,
}

impl DatasetProvenance {
    /// Opens the texts again and checks that they are the same.
    pub fn open(&self) -> Result<Dataset> {
        let dataset = Dataset::open(&self.config).map_err(|e| match e {
            Error::Input { path, .. } => Error::CorpusMissing { path },
            other => other,
        })?;
        let dataset = match &self.replay {
            Some(replay) => dataset.with_replay(&replay.config)?,
            None => dataset,
        };
        self.check_same_text(&dataset)?;
        Ok(dataset)
    }

    /// Checks that a dataset has the texts that the run was trained on and replayed.
    pub fn check_same_text(&self, dataset: &Dataset) -> Result<()> {
        let differs =
            |path: &Path, role, before, now| Err(Error::CorpusMismatch { path: path.into(), role, before, now });
        let [before, now] =
            [self.replay.as_ref(), dataset.replay()].map(|replay| replay.map(|replay| &replay.identity));
        if let Some(replay) = dataset.replay().or(self.replay.as_ref()).filter(|_| before != now) {
            return differs(&replay.config.file, "replays", describe(before), describe(now));
        }
        let (before, now) = (&self.identity, dataset.identity());
        let corpus = dataset.corpus();
        let role = "was trained on";
        if before.corpus != now.corpus {
            return differs(corpus.name(), role, describe(Some(&before.corpus)), describe(Some(&now.corpus)));
        }
        if before.held_out != now.held_out {
            let path = dataset.held_out().map_or(corpus.name(), |part| part.corpus().name());
            return differs(path, role, describe(before.held_out.as_ref()), describe(now.held_out.as_ref()));
        }
        if *before != now {
            let split =
                |of: &DatasetIdentity| format!("{} training characters, encoding {:?}", of.training_chars, of.encoding);
            return differs(corpus.name(), role, split(before), split(&now));
        }
        Ok(())
    }
}

fn describe(identity: Option<&CorpusIdentity>) -> String {
    identity.map_or("none".into(), |identity| format!("{} bytes, hash {:032x}", identity.bytes, identity.hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Corpus, Encoding, ReplayConfig};

    #[test]
    fn detects_a_replayed_text_that_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.txt");
        let open = |old: &str| {
            std::fs::write(&file, old).unwrap();
            let corpus = Corpus::from_text("test", &b"abcdefghijklmnopqrst"[..], Encoding::Utf8).unwrap();
            let replay = ReplayConfig { file: file.clone(), fraction: 0.5 };
            Dataset::new(corpus, None, 0.1).unwrap().with_replay(&replay).unwrap()
        };
        let dataset = open("ABCDEFGHIJKLMNOPQRST");
        let (identity, replay) = (dataset.identity(), dataset.replay().cloned());
        let saved = DatasetProvenance { config: DatasetConfig::default(), identity, replay };
        saved.check_same_text(&dataset).unwrap();
        let refused = saved.check_same_text(&open("ABCDEFGHIJKLMNOPQRSX")).unwrap_err().to_string();
        assert!(refused.starts_with(file.to_str().unwrap()) && refused.contains("replays"), "{refused}");
    }
}
