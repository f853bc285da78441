//! The text that the model reads in `charlstm inspect`, and the units that correlate with its properties.

use std::ops::Range;
use std::path::Path;

use charlstm::analysis::{TEXT_PROPERTIES, TextProperty, pearson, strongest};
use charlstm::checkpoint::Frame;
use charlstm::data::{TextPart, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::ModelConfig;

use super::load;
use super::terminal::Terminal;

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
                let corpus = load::open_text(path, vocab.encoding())?;
                let part = TextPart::Running(&corpus, 0..corpus.chars());
                let (ids, skipped) = read_ids(&part, vocab, max_chars, skip_unknown)?;
                (corpus.name().display().to_string(), ids, skipped)
            }
            None => {
                let dataset = load::open_dataset(frame)?;
                let part = load::held_out(&dataset)?;
                let (ids, skipped) = read_ids(&part, vocab, max_chars, skip_unknown)?;
                (format!("the held-out text of {}", part.corpus().name().display()), ids, skipped)
            }
        };
        if skipped > 0 {
            terminal.say(&format!("Skipped {skipped} characters that are not in the model's vocabulary"));
        }
        let chars = ids.iter().map(|id| vocab.display_char(vocab.symbol(*id))).collect();
        Ok(InspectedText { source, ids, chars })
    }

    /// For each property of the text, the `max` units in `units` that correlate most with it, and their correlations; none if the
    /// property is constant in the text.
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
fn read_ids(part: &TextPart<'_>, vocab: &Vocab, max_chars: usize, skip_unknown: bool) -> Result<(Vec<u32>, usize)> {
    let (corpus, mut ids, mut skipped) = (part.corpus(), Vec::new(), 0);
    for (at, symbol) in part.symbols().enumerate() {
        if ids.len() == max_chars {
            break;
        }
        match vocab.id(symbol) {
            Some(id) => ids.push(id),
            None if skip_unknown => skipped += 1,
            None => {
                let (what, which) = (vocab.describe(symbol), at + 1);
                let problem = format!(
                    "{what}, at character {which}, is not in the model's vocabulary; skip it with --skip-unknown"
                );
                return Err(Error::corpus(corpus.name(), problem));
            }
        }
    }
    corpus.check_not_truncated()?;
    if ids.is_empty() {
        return Err(Error::corpus(
            corpus.name(),
            "none of its characters is in the model's vocabulary; choose another text",
        ));
    }
    Ok((ids, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use charlstm::data::{Corpus, Encoding};

    // On other systems, a memory-mapped file cannot be truncated.
    #[cfg(unix)]
    #[test]
    fn rejects_a_text_that_is_truncated_while_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let corpus = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        let vocab = Vocab::new(Encoding::Bytes, [0, 7]);
        let read = || read_ids(&TextPart::Running(&corpus, 0..300), &vocab, 1000, false);
        assert_eq!(read().unwrap().0.len(), 300);
        file.as_file().set_len(290).unwrap();
        assert!(matches!(read(), Err(Error::Changed { .. })));
    }
}
