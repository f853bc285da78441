//! The training text and the held-out text of a run.

use std::{ops::Range, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, CorpusIdentity};
use super::records::{RecordIndex, RecordKind, RecordPart};
use super::replay::{ReplayConfig, ReplayIdentity, held_out_range};
use super::text_part::{RecordSet, TextPart};
use super::vocab::{RECORD_BOUNDARY, UNKNOWN, Vocab};
use super::{encoding::Encoding, loss_mask::LossMask};
use crate::error::{Error, Result};

/// The built-in text: short fables, each with a title, a tale and a moral.
pub const BUILT_IN: &str = include_str!("../../data/fables.txt");

/// The name of the built-in text.
pub const BUILT_IN_NAME: &str = "fables";

/// Which texts a run uses, and how they are split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetConfig {
    /// Files and folders that form one text, in order; empty: the built-in text.
    pub paths: Vec<PathBuf>,
    /// The unit that counts as a character.
    pub encoding: Encoding,
    /// The fraction that is held out: the end of running text, or random records.
    pub val_frac: f64,
    /// A separate held-out text, used instead of that fraction.
    pub val_file: Option<PathBuf>,
    /// Characters that occur less often in the training part are not in the vocabulary, but read as an unknown character.
    pub min_count: u64,
    /// What a record is in a list-like text; `None` for running text.
    pub records: Option<RecordKind>,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        DatasetConfig {
            paths: Vec::new(),
            encoding: Encoding::Utf8,
            val_frac: 0.1,
            val_file: None,
            min_count: 0,
            records: None,
        }
    }
}

/// Lengths and hashes of a dataset, by which a resumed run recognizes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetIdentity {
    pub(super) corpus: CorpusIdentity,
    pub(super) held_out: Option<CorpusIdentity>,
    pub(super) training_chars: u64,
    pub(super) encoding: Encoding,
    pub(super) records: Option<RecordKind>,
}

/// A training text, a held-out text and their vocabulary. With replay, the training text starts with a part of an old text.
#[derive(Debug)]
pub struct Dataset {
    config: DatasetConfig,
    corpus: Corpus,
    training_chars: usize,
    held_out: Option<Corpus>,
    /// The records of the text and of the held-out text, if it is a list.
    records: Option<(RecordIndex, Option<RecordIndex>)>,
    vocab: Vocab,
    loss_mask: Option<LossMask>,
    /// The replayed part, and the whole old text.
    replay: Option<(ReplayIdentity, Corpus)>,
}

impl Dataset {
    /// Opens the texts.
    pub fn open(config: &DatasetConfig) -> Result<Self> {
        let corpus = if config.paths.is_empty() {
            Corpus::from_text(BUILT_IN_NAME, BUILT_IN.as_bytes(), config.encoding)?
        } else {
            Corpus::open(&config.paths, config.encoding)?
        };
        let held_out = config.val_file.as_ref().map(|path| Corpus::open(std::slice::from_ref(path), config.encoding));
        Self::with_config(corpus, held_out.transpose()?, config)
    }

    /// A dataset of running text and, if there is no separate held-out text, the fraction of it to hold out from its end.
    pub fn new(corpus: Corpus, held_out: Option<Corpus>, val_frac: f64) -> Result<Self> {
        let config = DatasetConfig { encoding: corpus.encoding(), val_frac, ..DatasetConfig::default() };
        Self::with_config(corpus, held_out, &config)
    }

    /// A dataset of texts that are already open; the paths of the configuration are not used.
    pub fn with_config(corpus: Corpus, held_out: Option<Corpus>, config: &DatasetConfig) -> Result<Self> {
        let val_frac = config.val_frac;
        if !(0.0..1.0).contains(&val_frac) {
            return Err(Error::out_of_range("val_frac", val_frac, "at least 0 and below 1"));
        }
        let fraction = if held_out.is_some() { 0.0 } else { val_frac };
        let index = |kind| {
            let all_held_out = |text| RecordIndex::new(text, kind, 1.0);
            Ok::<_, Error>((
                RecordIndex::new(&corpus, kind, fraction)?,
                held_out.as_ref().map(all_held_out).transpose()?,
            ))
        };
        let records = config.records.map(index).transpose()?;
        let vocab = vocab(&corpus, held_out.as_ref(), records.as_ref());
        if let [only] = corpus.symbols() {
            let problem = format!("{} is its only character, so there is nothing to learn", vocab.describe(*only));
            return Err(Error::corpus(corpus.name(), problem));
        }
        if let Some(text) = held_out.as_ref().filter(|text| text.chars() < 2) {
            return Err(Error::corpus(text.name(), "a held-out text needs at least two characters"));
        }
        let training_chars = (corpus.chars() as f64 * (1.0 - fraction)) as usize;
        let dataset = Dataset {
            config: config.clone(),
            corpus,
            training_chars,
            held_out,
            records,
            vocab,
            loss_mask: None,
            replay: None,
        };
        Ok(dataset.without_rare_characters())
    }

    fn without_rare_characters(self) -> Self {
        if self.config.min_count < 2 {
            return self;
        }
        let counts = self.training().count_tokens(&self.vocab);
        let symbols = self.vocab.symbols().iter().zip(counts);
        let frequent = symbols
            .filter(|(symbol, count)| **symbol == RECORD_BOUNDARY || *count >= self.config.min_count)
            .map(|(symbol, _)| *symbol);
        let vocab = Vocab::new(self.vocab.encoding(), frequent.chain([UNKNOWN]));
        Dataset { vocab, ..self }
    }

    /// Adds a loss mask for the text. A mask is not saved in checkpoints: to resume a run, add it again.
    pub fn with_loss_mask(self, mask: LossMask) -> Result<Self> {
        self.check_running_text("a loss mask")?;
        mask.validate(self.corpus.chars())?;
        Ok(Dataset { loss_mask: Some(mask), ..self })
    }

    /// Adds old text before the training text. The end of the old text is held out; all its characters are added to the vocabulary.
    pub fn with_replay(self, config: &ReplayConfig) -> Result<Self> {
        self.check_running_text("replay")?;
        let (replay, old) = config.open(self.training_chars, self.corpus.encoding())?;
        let chars = replay.chars as usize;
        let corpus = self.corpus.with_prefix(&old, chars)?;
        if let Some(mask) = &self.loss_mask {
            mask.validate(corpus.chars())?;
        }
        let symbols = self.vocab.symbols().iter().chain(old.symbols());
        let vocab = Vocab::new(corpus.encoding(), symbols.copied());
        let training_chars = chars + self.training_chars;
        Ok(Dataset { corpus, training_chars, vocab, replay: Some((replay, old)), ..self })
    }

    fn check_running_text(&self, what: &str) -> Result<()> {
        match self.records {
            Some(_) => {
                Err(Error::Inapplicable { setting: "records", reason: format!("{what} is for running text only") })
            }
            None => Ok(()),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &DatasetConfig {
        &self.config
    }

    /// The old text at the beginning of the training text.
    pub fn replay(&self) -> Option<&ReplayIdentity> {
        self.replay.as_ref().map(|(identity, _)| identity)
    }

    /// The part of the training text that is not replayed.
    pub fn new_text_range(&self) -> Range<usize> {
        self.replay().map_or(0, |replay| replay.chars as usize)..self.training_chars
    }

    /// The old text and its held-out range, if that is long enough to score.
    pub(crate) fn replay_held_out(&self) -> Option<TextPart<'_>> {
        let (_, text) = self.replay.as_ref()?;
        Some(TextPart::Running(text, held_out_range(text))).filter(|part| part.chars() >= 2)
    }

    /// Loss weights and state resets; without them every character has weight 1 and the state is carried.
    pub(crate) fn loss_mask(&self) -> Option<&LossMask> {
        self.loss_mask.as_ref()
    }

    /// The text that is trained on, held-out parts included.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The part that is trained on.
    pub fn training(&self) -> TextPart<'_> {
        match &self.records {
            Some((index, _)) => TextPart::Records(RecordSet::new(&self.corpus, index, RecordPart::Training)),
            None => TextPart::Running(&self.corpus, 0..self.training_chars),
        }
    }

    /// The records that are trained on; `None` for running text.
    pub(crate) fn training_records(&self) -> Option<RecordSet<'_>> {
        match self.training() {
            TextPart::Records(records) => Some(records),
            TextPart::Running(..) => None,
        }
    }

    /// The range of the training text if it is read as running text.
    pub(crate) fn training_range(&self) -> Range<usize> {
        0..self.training_chars
    }

    /// The held-out part, if that is long enough to score.
    pub fn held_out(&self) -> Option<TextPart<'_>> {
        let part = match (&self.held_out, &self.records) {
            (Some(text), None) => TextPart::Running(text, 0..text.chars()),
            (None, None) => TextPart::Running(&self.corpus, self.training_chars..self.corpus.chars()),
            (text, Some((index, of_text))) => {
                let (text, index) = text.as_ref().zip(of_text.as_ref()).unwrap_or((&self.corpus, index));
                TextPart::Records(RecordSet::new(text, index, RecordPart::HeldOut))
            }
        };
        Some(part).filter(|part| part.chars() >= 2)
    }

    /// The characters of all texts.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Replaces the vocabulary, usually with that of a trained model.
    pub(crate) fn set_vocab(&mut self, vocab: &Vocab) -> Result<()> {
        if let Some(&missing) = self.vocab.symbols().iter().find(|symbol| vocab.id(**symbol).is_none()) {
            let text = self.corpora().find(|text| text.symbols().contains(&missing)).unwrap_or(&self.corpus);
            return Err(Error::UnknownInCorpus { path: text.name().into(), character: self.vocab.describe(missing) });
        }
        self.vocab = vocab.clone();
        Ok(())
    }

    /// Lengths and hashes.
    pub fn identity(&self) -> DatasetIdentity {
        DatasetIdentity {
            corpus: self.corpus.identity().clone(),
            held_out: self.held_out.as_ref().map(|text| text.identity().clone()),
            training_chars: self.training_chars as u64,
            encoding: self.corpus.encoding(),
            records: self.config.records,
        }
    }

    /// Like [`Corpus::check_unchanged`], for all texts.
    pub fn check_unchanged(&self) -> Result<()> {
        self.corpora().try_for_each(Corpus::check_unchanged)
    }

    /// Remarks for the user about the texts, one line each.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.corpora().flat_map(Corpus::notes).map(String::as_str)
    }

    /// All texts: held-out and old ones first, since the training text may contain a prefix of the old one.
    fn corpora(&self) -> impl Iterator<Item = &Corpus> {
        self.held_out.iter().chain(self.replay.iter().map(|(_, text)| text)).chain([&self.corpus])
    }
}

/// The characters of all texts; of a list, those of its records, and the boundary between records.
fn vocab(corpus: &Corpus, held_out: Option<&Corpus>, records: Option<&(RecordIndex, Option<RecordIndex>)>) -> Vocab {
    let symbols = corpus.symbols().iter().chain(held_out.into_iter().flat_map(Corpus::symbols)).copied();
    let Some((of_corpus, of_held_out)) = records else { return Vocab::new(corpus.encoding(), symbols) };
    let occurs =
        |symbol: &u32| of_corpus.contains(*symbol) || of_held_out.as_ref().is_some_and(|index| index.contains(*symbol));
    Vocab::new(corpus.encoding(), symbols.filter(occurs).chain([RECORD_BOUNDARY]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Corpus {
        Corpus::from_text("test", text.as_bytes(), Encoding::Utf8).unwrap()
    }

    fn range(part: Option<TextPart<'_>>) -> Range<usize> {
        match part {
            Some(TextPart::Running(_, range)) => range,
            other => panic!("{other:?} is not running text"),
        }
    }

    #[test]
    fn holds_out_the_end_of_the_text() {
        let dataset = Dataset::new(text("abcdefghij"), None, 0.3).unwrap();
        assert_eq!((range(Some(dataset.training())), range(dataset.held_out())), (0..7, 7..10));
        assert!(Dataset::new(text("abcdefghij"), None, 0.0).unwrap().held_out().is_none());
        assert!(Dataset::new(text("abc"), None, 1.0).is_err());
        assert!(Dataset::new(text("abc"), None, f64::NAN).is_err());
    }

    #[test]
    fn a_held_out_file_extends_the_vocabulary() {
        let dataset = Dataset::new(text("abab"), Some(text("xyz")), 0.5).unwrap();
        assert_eq!(range(Some(dataset.training())), 0..4);
        assert_eq!(dataset.vocab().len(), 5);
        assert_eq!(range(dataset.held_out()), 0..3);
    }

    #[test]
    fn replay_prepends_a_fraction_of_the_old_text_and_holds_out_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.txt");
        std::fs::write(&file, "ABCDEFGHIJKLMNOPQRST").unwrap();
        let with_replay = |fraction: f64| {
            let dataset = Dataset::new(text("abcdefghijklmnopqrst"), None, 0.1).unwrap();
            dataset.with_replay(&ReplayConfig { file: file.clone(), fraction })
        };
        for (fraction, old) in [(0.1, 2), (0.25, 6), (0.5, 18), (0.9, 18), (1e-9, 1)] {
            let dataset = with_replay(fraction).unwrap();
            assert_eq!(
                (dataset.training_range(), dataset.new_text_range()),
                (0..old + 18, old..old + 18),
                "{fraction}"
            );
            assert_eq!((dataset.replay().unwrap().chars, dataset.vocab().len()), (old as u64, 40));
            let part = range(dataset.held_out());
            assert_eq!((dataset.corpus().chars(), part), (old + 20, old + 18..old + 20), "of the new text");
            assert_eq!(range(dataset.replay_held_out()), 18..20);
        }
        for bad in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(with_replay(bad), Err(Error::OutOfRange { .. })), "{bad}");
        }
        let mut mask = LossMask::default();
        (0..20).for_each(|_| mask.push(1.0, false));
        let masked = Dataset::new(text("abcdefghijklmnopqrst"), None, 0.1).unwrap().with_loss_mask(mask).unwrap();
        let refused = masked.with_replay(&ReplayConfig { file: file.clone(), fraction: 0.1 });
        assert!(matches!(refused, Err(Error::Usage(_))), "the mask no longer fits");
    }

    #[test]
    fn rare_characters_of_the_training_part_are_unknown() {
        let config = DatasetConfig { min_count: 3, val_frac: 0.2, ..DatasetConfig::default() };
        let dataset = Dataset::with_config(text("ababaabbcz"), None, &config).unwrap();
        assert_eq!(dataset.vocab().symbols(), [97, 98, UNKNOWN]);
        assert_eq!(dataset.training().count_tokens(dataset.vocab()), [4, 4, 0]);
        assert_eq!(dataset.held_out().unwrap().count_tokens(dataset.vocab()), [0, 0, 2]);
    }

    #[test]
    fn rejects_a_text_with_one_distinct_character() {
        let message = Dataset::new(text("aaaa"), None, 0.1).unwrap_err().to_string();
        assert!(message.contains("only character"), "{message}");
    }

    #[test]
    fn set_vocab_requires_every_character() {
        let mut dataset = Dataset::new(text("abab"), None, 0.0).unwrap();
        dataset.set_vocab(&Vocab::new(Encoding::Utf8, [97, 98, 99])).unwrap();
        assert_eq!(dataset.vocab().len(), 3);
        assert!(dataset.set_vocab(&Vocab::new(Encoding::Utf8, [97, 99])).unwrap_err().to_string().contains("'b'"));
    }
}
