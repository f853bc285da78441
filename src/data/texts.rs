//! What a run learns from and what it is judged by.

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BUILT_IN, BUILT_IN_NAME, Corpus, Encoding, Identity, Marks, Vocab};
use crate::error::{Error, Result};

/// Where the texts of a run are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    /// Files and folders, one after another; none: the built-in text.
    pub texts: Vec<PathBuf>,
    /// What a character is.
    pub encoding: Encoding,
    /// The share of the text that is held out, from its end.
    pub val_frac: f64,
    /// A held-out text of its own, in place of that share.
    pub val_file: Option<PathBuf>,
}

impl Default for TextConfig {
    fn default() -> Self {
        TextConfig { texts: Vec::new(), encoding: Encoding::Utf8, val_frac: 0.1, val_file: None }
    }
}

/// What the texts of a run are known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextIdentity {
    /// The text.
    pub text: Identity,
    /// The held-out text, where it is one of its own.
    pub held_out: Option<Identity>,
    /// Characters that are trained on.
    pub training: u64,
    /// What a character is.
    pub encoding: Encoding,
}

/// The texts of a run: what it trains on, what is held out, and the characters of both.
#[derive(Debug)]
pub struct Texts {
    corpus: Corpus,
    /// Characters that are trained on.
    training: usize,
    held_out: Option<Corpus>,
    vocab: Vocab,
    marks: Option<Marks>,
}

impl Texts {
    /// Opens the texts.
    ///
    /// # Errors
    /// As [`Corpus::open`]; [`Error::Usage`] for a share that is out of range.
    pub fn open(config: &TextConfig) -> Result<Self> {
        let corpus = if config.texts.is_empty() {
            Corpus::from_text(BUILT_IN_NAME, BUILT_IN.as_bytes(), config.encoding)?
        } else {
            Corpus::open(&config.texts, config.encoding)?
        };
        let held_out = config.val_file.as_ref().map(|path| Corpus::open(std::slice::from_ref(path), config.encoding));
        Self::new(corpus, held_out.transpose()?, config.val_frac)
    }

    /// A text, and a held-out text of its own or the share of the first that is held out, from its end.
    ///
    /// # Errors
    /// [`Error::Usage`] for a share outside `0..1`, [`Error::Corpus`] for a text that teaches nothing.
    pub fn new(corpus: Corpus, held_out: Option<Corpus>, val_frac: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&val_frac) {
            return Err(Error::Usage(format!("--val-frac must be 0 up to 1 (not included), not {val_frac}")));
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
        Ok(Texts { corpus, training, held_out, vocab, marks: None })
    }

    /// The same texts, the one that is trained on with a mark for each of its characters. Marks are not part of the texts' identity
    /// and of no checkpoint: who resumes a run brings them along.
    ///
    /// # Errors
    /// As [`Marks::must_fit`].
    pub fn with_marks(self, marks: Marks) -> Result<Self> {
        marks.must_fit(self.corpus.chars())?;
        Ok(Texts { marks: Some(marks), ..self })
    }

    /// What training makes of each character; `None`: every one counts alike, and nothing is reset.
    pub fn marks(&self) -> Option<&Marks> {
        self.marks.as_ref()
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
    pub fn adopt(&mut self, vocab: &Vocab) -> Result<()> {
        if let Some(&missing) = self.vocab.symbols().iter().find(|symbol| vocab.id(**symbol).is_none()) {
            let problem = format!("the model has never seen {}", self.vocab.describe(missing));
            return Err(Error::corpus(self.corpus.name(), problem));
        }
        self.vocab = vocab.clone();
        Ok(())
    }

    /// Lengths and hashes.
    pub fn identity(&self) -> TextIdentity {
        TextIdentity {
            text: self.corpus.identity().clone(),
            held_out: self.held_out.as_ref().map(|text| text.identity().clone()),
            training: self.training as u64,
            encoding: self.corpus.encoding(),
        }
    }

    /// Checks that these are the texts that a run was trained on; `remedy` ends the message if not.
    ///
    /// # Errors
    /// [`Error::Corpus`] naming the text that is another, and both lengths and hashes.
    pub fn must_be(&self, saved: &TextIdentity, remedy: &str) -> Result<()> {
        let found = self.identity();
        if found == *saved {
            return Ok(());
        }
        let name = |identity: &Identity| format!("{} bytes, hash {:032x}", identity.bytes, identity.hash);
        let named = |identity: &Option<Identity>| identity.as_ref().map_or("none".into(), name);
        let (corpus, before, now) = if found.text != saved.text {
            (&self.corpus, name(&saved.text), name(&found.text))
        } else if found.held_out != saved.held_out {
            (self.held_out.as_ref().unwrap_or(&self.corpus), named(&saved.held_out), named(&found.held_out))
        } else {
            let split = |identity: &TextIdentity| format!("{} {:?} to train on", identity.training, identity.encoding);
            (&self.corpus, split(saved), split(&found))
        };
        let problem = format!("the text is not the one this run was trained on ({before}; now {now}); {remedy}");
        Err(Error::corpus(corpus.name(), problem))
    }

    /// What a user should know about the texts: one line each.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.corpus.notes().iter().chain(self.held_out.iter().flat_map(|text| text.notes())).map(String::as_str)
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
        let texts = Texts::new(text("abcdefghij"), None, 0.3).unwrap();
        assert_eq!((texts.training().1, texts.held_out().unwrap().1), (0..7, 7..10));
        assert!(Texts::new(text("abcdefghij"), None, 0.0).unwrap().held_out().is_none());
        assert!(Texts::new(text("abc"), None, 1.0).is_err());
        assert!(Texts::new(text("abc"), None, f64::NAN).is_err());
    }

    #[test]
    fn a_held_out_file_brings_its_characters_along() {
        let texts = Texts::new(text("abab"), Some(text("xyz")), 0.5).unwrap();
        assert_eq!(texts.training().1, 0..4);
        assert_eq!(texts.vocab().len(), 5);
        assert_eq!(texts.held_out().unwrap().1, 0..3);
    }

    #[test]
    fn a_text_of_one_symbol_is_refused() {
        let message = Texts::new(text("aaaa"), None, 0.1).unwrap_err().to_string();
        assert!(message.contains("only character"), "{message}");
    }

    #[test]
    fn another_vocabulary_is_taken_over_if_it_has_every_character() {
        let mut texts = Texts::new(text("abab"), None, 0.0).unwrap();
        texts.adopt(&Vocab::new(Encoding::Utf8, [97, 98, 99])).unwrap();
        assert_eq!(texts.vocab().len(), 3);
        assert!(texts.adopt(&Vocab::new(Encoding::Utf8, [97, 99])).unwrap_err().to_string().contains("'b'"));
    }
}
