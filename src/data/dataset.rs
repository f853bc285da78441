//! What a run learns from and what it is judged by.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    BUILT_IN, BUILT_IN_NAME, Corpus, CorpusIdentity, DatasetProvenance, Encoding, LossMask, ReplayConfig,
    ReplayIdentity, Vocab, replay,
};
use crate::error::{Error, Result};

/// Where the texts of a run are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetConfig {
    /// Files and folders, one after another; none: the built-in text.
    pub paths: Vec<PathBuf>,
    /// What a character is.
    pub encoding: Encoding,
    /// The share of the text that is held out, from its end.
    pub val_frac: f64,
    /// A held-out text of its own, in place of that share.
    pub val_file: Option<PathBuf>,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        DatasetConfig { paths: Vec::new(), encoding: Encoding::Utf8, val_frac: 0.1, val_file: None }
    }
}

/// What the texts of a run are known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetIdentity {
    /// The text.
    pub text: CorpusIdentity,
    /// The held-out text, where it is one of its own.
    pub held_out: Option<CorpusIdentity>,
    /// Characters that are trained on.
    pub training: u64,
    /// What a character is.
    pub encoding: Encoding,
}

/// The texts of a run: what it trains on, what is held out, and the characters of both.
#[derive(Debug)]
pub struct Dataset {
    corpus: Corpus,
    /// Characters that are trained on.
    training: usize,
    held_out: Option<Corpus>,
    vocab: Vocab,
    loss_mask: Option<LossMask>,
    /// What stands at the beginning of `corpus`, and the whole text that it is of.
    old: Option<(ReplayIdentity, Corpus)>,
}

impl Dataset {
    /// Opens the texts.
    ///
    /// # Errors
    /// As [`Corpus::open`]; [`Error::OutOfRange`] for the share.
    pub fn open(config: &DatasetConfig) -> Result<Self> {
        let corpus = if config.paths.is_empty() {
            Corpus::from_text(BUILT_IN_NAME, BUILT_IN.as_bytes(), config.encoding)?
        } else {
            Corpus::open(&config.paths, config.encoding)?
        };
        let held_out = config.val_file.as_ref().map(|path| Corpus::open(std::slice::from_ref(path), config.encoding));
        Self::new(corpus, held_out.transpose()?, config.val_frac)
    }

    /// A text, and a held-out text of its own or the share of the first that is held out, from its end.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a share outside `0..1`, [`Error::Corpus`] for a text that teaches nothing.
    pub fn new(corpus: Corpus, held_out: Option<Corpus>, val_frac: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&val_frac) {
            return Err(Error::out_of_range("val_frac", val_frac, "at least 0 and below 1"));
        }
        let symbols = corpus.symbols().iter().chain(held_out.iter().flat_map(|text| text.symbols()));
        let vocab = Vocab::new(corpus.encoding(), symbols.copied());
        if corpus.symbols().len() < 2 {
            let only = vocab.describe(corpus.symbols()[0]);
            return Err(Error::corpus(
                corpus.name(),
                format!("{only} is its only character, so there is nothing to learn"),
            ));
        }
        let training = match held_out {
            Some(_) => corpus.chars(),
            None => (corpus.chars() as f64 * (1.0 - val_frac)) as usize,
        };
        if let Some(text) = held_out.as_ref().filter(|text| text.chars() < 2) {
            return Err(Error::corpus(text.name(), "a held-out text needs at least two characters"));
        }
        Ok(Dataset { corpus, training, held_out, vocab, loss_mask: None, old: None })
    }

    /// The same texts, the one that is trained on with a mark for each of its characters. Marks are not part of the texts' identity
    /// and of no checkpoint: who resumes a run brings them along.
    ///
    /// # Errors
    /// As [`LossMask::validate`].
    pub fn with_loss_mask(self, mask: LossMask) -> Result<Self> {
        mask.validate(self.corpus.chars())?;
        Ok(Dataset { loss_mask: Some(mask), ..self })
    }

    /// The same texts with old text before the one that is trained on: of streams side by side, about its share read old text. What
    /// is held out stays as it is, and the old text's end is not trained on. Its characters all join the vocabulary.
    ///
    /// # Errors
    /// As [`Corpus::open`]; [`Error::OutOfRange`] for the share, [`Error::Usage`] where there are marks for the text as it was.
    pub fn with_replay(self, replay: &ReplayConfig) -> Result<Self> {
        let (replayed, old) = replay.open(self.training, self.corpus.encoding())?;
        let chars = replayed.chars as usize;
        let corpus = self.corpus.with_prefix(&old, chars)?;
        if let Some(marks) = &self.loss_mask {
            marks.validate(corpus.chars())?;
        }
        let symbols = self.vocab.symbols().iter().chain(old.symbols());
        let vocab = Vocab::new(corpus.encoding(), symbols.copied());
        Ok(Dataset { corpus, training: chars + self.training, vocab, old: Some((replayed, old)), ..self })
    }

    /// What is replayed of an old text, at the beginning of the text that is trained on.
    pub fn replay(&self) -> Option<&ReplayIdentity> {
        self.old.as_ref().map(|(replayed, _)| replayed)
    }

    /// What of the text that is trained on is not replayed.
    pub fn new_text_range(&self) -> Range<usize> {
        self.replay().map_or(0, |replayed| replayed.chars as usize)..self.training
    }

    /// The old text and its end, of which nothing is replayed, where there is enough to score.
    pub fn replay_held_out(&self) -> Option<(&Corpus, Range<usize>)> {
        let (_, text) = self.old.as_ref()?;
        Some((text, replay::unseen(text))).filter(|(_, part)| part.len() >= 2)
    }

    /// What training makes of each character; `None`: every one counts alike, and nothing is reset.
    pub fn loss_mask(&self) -> Option<&LossMask> {
        self.loss_mask.as_ref()
    }

    /// The text that is trained on, and which characters of it.
    pub fn training(&self) -> (&Corpus, Range<usize>) {
        (&self.corpus, 0..self.training)
    }

    /// The held-out text and which characters of it, where there is enough to score.
    pub fn held_out(&self) -> Option<(&Corpus, Range<usize>)> {
        match &self.held_out {
            Some(text) => Some((text, 0..text.chars())),
            None => Some((&self.corpus, self.training..self.corpus.chars())).filter(|(_, part)| part.len() >= 2),
        }
    }

    /// The characters of all texts.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Replaces the vocabulary by that of a model.
    ///
    /// # Errors
    /// [`Error::Corpus`] naming a character that it lacks.
    pub fn set_vocab(&mut self, vocab: &Vocab) -> Result<()> {
        if let Some(&missing) = self.vocab.symbols().iter().find(|symbol| vocab.id(**symbol).is_none()) {
            let problem = format!("the model has never seen {}", self.vocab.describe(missing));
            let mut others = self.held_out.iter().chain(self.old.iter().map(|(_, text)| text));
            let text = others.find(|text| text.symbols().contains(&missing)).unwrap_or(&self.corpus);
            return Err(Error::corpus(text.name(), problem));
        }
        self.vocab = vocab.clone();
        Ok(())
    }

    /// Lengths and hashes.
    pub fn identity(&self) -> DatasetIdentity {
        DatasetIdentity {
            text: self.corpus.identity().clone(),
            held_out: self.held_out.as_ref().map(|text| text.identity().clone()),
            training: self.training as u64,
            encoding: self.corpus.encoding(),
        }
    }

    /// Checks that these are the texts that a run was trained on and the one that it replayed.
    ///
    /// # Errors
    /// [`Error::CorpusMismatch`] for the first file that differs.
    pub fn check_same_text(&self, sources: &DatasetProvenance) -> Result<()> {
        let (found, saved, replayed) = (self.identity(), &sources.identity, sources.replay.as_ref());
        let name = |identity: &CorpusIdentity| format!("{} bytes, hash {:032x}", identity.bytes, identity.hash);
        let named = |identity: Option<&CorpusIdentity>| identity.map_or("none".into(), name);
        let other = |path: &Path, role, before: String, now: String| {
            Err(Error::CorpusMismatch { path: path.into(), role, before, now })
        };
        let [before, now] = [replayed, self.replay()].map(|old| old.map(|old| &old.identity));
        if let Some(old) = self.replay().or(replayed).filter(|_| before != now) {
            return other(&old.config.file, "replays", named(before), named(now));
        }
        let trained = "was trained on";
        if found.text != saved.text {
            return other(self.corpus.name(), trained, name(&saved.text), name(&found.text));
        }
        if found.held_out != saved.held_out {
            let text = self.held_out.as_ref().unwrap_or(&self.corpus);
            return other(text.name(), trained, named(saved.held_out.as_ref()), named(found.held_out.as_ref()));
        }
        if found != *saved {
            let split =
                |identity: &DatasetIdentity| format!("{} {:?} to train on", identity.training, identity.encoding);
            return other(self.corpus.name(), trained, split(saved), split(&found));
        }
        Ok(())
    }

    /// Refuses texts of which a file was changed since they were opened; reads all of them. Returns the files that are no longer
    /// there, or are others: what they were is read on.
    ///
    /// # Errors
    /// [`Error::Changed`].
    pub fn check_unchanged(&self) -> Result<Vec<&Path>> {
        self.all().map(Corpus::check_unchanged).collect::<Result<Vec<_>>>().map(|files| files.concat())
    }

    /// What a user should know about the texts: one line each.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(|text| text.notes()).map(String::as_str)
    }

    fn all(&self) -> impl Iterator<Item = &Corpus> {
        let others = self.held_out.iter().chain(self.old.iter().map(|(_, text)| text));
        std::iter::once(&self.corpus).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Corpus {
        Corpus::from_text("test", text.as_bytes(), Encoding::Utf8).unwrap()
    }

    #[test]
    fn the_end_is_held_out_and_never_trained_on() {
        let texts = Dataset::new(text("abcdefghij"), None, 0.3).unwrap();
        assert_eq!((texts.training().1, texts.held_out().unwrap().1), (0..7, 7..10));
        assert!(Dataset::new(text("abcdefghij"), None, 0.0).unwrap().held_out().is_none());
        assert!(Dataset::new(text("abc"), None, 1.0).is_err());
        assert!(Dataset::new(text("abc"), None, f64::NAN).is_err());
    }

    #[test]
    fn a_held_out_file_brings_its_characters_along() {
        let texts = Dataset::new(text("abab"), Some(text("xyz")), 0.5).unwrap();
        assert_eq!(texts.training().1, 0..4);
        assert_eq!(texts.vocab().len(), 5);
        assert_eq!(texts.held_out().unwrap().1, 0..3);
    }

    #[test]
    fn old_text_is_mixed_in_by_its_share_and_its_end_stays_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.txt");
        std::fs::write(&file, "ABCDEFGHIJKLMNOPQRST").unwrap();
        let mixed = |share: f64| {
            let texts = Dataset::new(text("abcdefghijklmnopqrst"), None, 0.1).unwrap();
            texts.with_replay(&ReplayConfig { file: file.clone(), fraction: share })
        };
        for (share, old) in [(0.1, 2), (0.25, 6), (0.5, 18), (0.9, 18), (1e-9, 1)] {
            let texts = mixed(share).unwrap();
            assert_eq!((texts.training().1, texts.new_text_range()), (0..old + 18, old..old + 18), "{share}");
            assert_eq!((texts.replay().unwrap().chars, texts.vocab().len()), (old as u64, 40));
            let (corpus, part) = texts.held_out().unwrap();
            assert_eq!((corpus.chars(), part), (old + 20, old + 18..old + 20), "what is held out is of the new text");
            assert_eq!(texts.replay_held_out().unwrap().1, 18..20);
        }
        for bad in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(mixed(bad), Err(Error::OutOfRange { .. })), "{bad}");
        }
        let mut marks = LossMask::default();
        (0..20).for_each(|_| marks.push(1.0, false));
        let marked = Dataset::new(text("abcdefghijklmnopqrst"), None, 0.1).unwrap().with_loss_mask(marks).unwrap();
        let refused = marked.with_replay(&ReplayConfig { file: file.clone(), fraction: 0.1 });
        assert!(matches!(refused, Err(Error::Usage(_))), "marks are of the text that they came with");
        let texts = mixed(0.5).unwrap();
        let (identity, replayed) = (texts.identity(), texts.replay().cloned());
        let before = DatasetProvenance { config: DatasetConfig::default(), identity, replay: replayed };
        texts.check_same_text(&before).unwrap();
        std::fs::write(&file, "ABCDEFGHIJKLMNOPQRSX").unwrap();
        let refused = mixed(0.5).unwrap().check_same_text(&before).unwrap_err().to_string();
        assert!(refused.starts_with(file.to_str().unwrap()) && refused.contains("replays"), "{refused}");
    }

    #[test]
    fn a_text_of_one_symbol_is_refused() {
        let message = Dataset::new(text("aaaa"), None, 0.1).unwrap_err().to_string();
        assert!(message.contains("only character"), "{message}");
    }

    #[test]
    fn another_vocabulary_is_taken_over_if_it_has_every_character() {
        let mut texts = Dataset::new(text("abab"), None, 0.0).unwrap();
        texts.set_vocab(&Vocab::new(Encoding::Utf8, [97, 98, 99])).unwrap();
        assert_eq!(texts.vocab().len(), 3);
        assert!(texts.set_vocab(&Vocab::new(Encoding::Utf8, [97, 99])).unwrap_err().to_string().contains("'b'"));
    }
}
