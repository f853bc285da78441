//! The text that `charlstm inspect` lets a model read, and the units that correlate with its properties.

use std::ops::Range;
use std::path::Path;

use charlstm::analysis::{TEXT_PROPERTIES, TextProperty, pearson, strongest};
use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::ModelConfig;

use super::terminal::Terminal;
use super::{files, load};

pub struct InspectedText {
    pub source: String,
    pub ids: Vec<u32>,
    pub chars: Vec<char>,
}

impl InspectedText {
    /// Reads at most `max_chars` characters of a file, or of the held-out text of the run.
    pub fn open(
        path: Option<&Path>,
        skip_unknown: bool,
        frame: &Frame,
        vocab: &Vocab,
        max_chars: usize,
        terminal: &Terminal,
    ) -> Result<Self> {
        let (source, ids, skipped) = match path {
            Some(path) => {
                let corpus = if files::is_stdin(path) {
                    let (name, bytes) = files::read(path)?;
                    Corpus::from_text(&name.display().to_string(), bytes, vocab.encoding())?
                } else {
                    Corpus::open(&[path.into()], vocab.encoding())?
                };
                let (ids, skipped) = read_ids(&corpus, 0..corpus.chars(), vocab, max_chars, skip_unknown)?;
                (corpus.name().display().to_string(), ids, skipped)
            }
            None => {
                let dataset = load::open_dataset(frame)?;
                let (corpus, range) = load::held_out(&dataset)?;
                let (ids, skipped) = read_ids(corpus, range, vocab, max_chars, skip_unknown)?;
                (format!("the held-out text of {}", corpus.name().display()), ids, skipped)
            }
        };
        if skipped > 0 {
            terminal.say(&format!("Skipped {skipped} characters that are not in the model's vocabulary"));
        }
        let chars = ids.iter().map(|id| vocab.display_char(vocab.symbol(*id))).collect();
        Ok(InspectedText { source, ids, chars })
    }

    /// For each property of the text, the `max` units of `units` that correlate most with it, with their correlations; none if the
    /// text does not vary in that property.
    ///
    /// `values` has shape (T, layers * H).
    pub fn rank_units(
        &self,
        values: &[f32],
        shape: &ModelConfig,
        units: Range<usize>,
        max: usize,
    ) -> Vec<(&'static TextProperty, Vec<(usize, f64)>)> {
        let rank = |property: &'static TextProperty| {
            let r = pearson(values, shape.num_layers * shape.hidden_size, &property.of(&self.chars));
            let best = strongest(&r[units.clone()], max).into_iter().map(|unit| unit + units.start);
            (property, best.map(|unit| (unit, r[unit])).collect())
        };
        TEXT_PROPERTIES.iter().map(rank).collect()
    }
}

/// The ids of at most `max_chars` characters, and the number of characters that were skipped.
fn read_ids(
    corpus: &Corpus,
    range: Range<usize>,
    vocab: &Vocab,
    max_chars: usize,
    skip_unknown: bool,
) -> Result<(Vec<u32>, usize)> {
    let (mut cursor, mut ids, mut skipped) = (corpus.cursor(range.start), Vec::new(), 0);
    for at in range {
        let Some(symbol) = cursor.next(corpus).filter(|_| ids.len() < max_chars) else { break };
        match vocab.id(symbol) {
            Some(id) => ids.push(id),
            None if skip_unknown => skipped += 1,
            None => {
                let (what, which) = (vocab.describe(symbol), at + 1);
                let problem =
                    format!("the model does not know {what}, at character {which}; skip it with --skip-unknown");
                return Err(Error::corpus(corpus.name(), problem));
            }
        }
    }
    corpus.check_not_truncated()?;
    if ids.is_empty() {
        return Err(Error::corpus(corpus.name(), "the model knows none of its characters; choose another text"));
    }
    Ok((ids, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use charlstm::data::Encoding;

    // On other systems, a memory-mapped file cannot be truncated.
    #[cfg(unix)]
    #[test]
    fn rejects_a_text_that_is_truncated_while_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let corpus = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        let read = || read_ids(&corpus, 0..300, &vocab, 1000, false);
        assert_eq!(read().unwrap().0.len(), 300);
        file.as_file().set_len(290).unwrap();
        assert!(matches!(read(), Err(Error::Changed { .. })));
    }
}
