//! The page of `charlstm score --html`: a text colored by surprisal, and the model's predictions for each character.

use charlstm::data::Vocab;
use charlstm::error::Result;
use charlstm::score::{Surprisal, bits};
use serde::Serialize;

use super::html_page;

/// Maximum number of characters in a page: a browser needs an element for each.
const MAX_CHARS: usize = 100_000;
pub const PREDICTIONS: usize = 5;

const TEMPLATE: &str = include_str!("score.html");

/// The data of the page. Lists have one element per character.
#[derive(Debug, Default, Serialize)]
pub struct ScorePage {
    summary: String,
    chars: Vec<String>,
    bits: Vec<Option<f64>>,
    ranks: Vec<Option<u32>>,
    /// The most likely characters and their probabilities.
    predictions: Vec<Vec<(String, f64)>>,
    /// Positions of the characters that are not in the vocabulary.
    unknown: Vec<usize>,
    #[serde(skip)]
    is_truncated: bool,
}

impl ScorePage {
    /// Appends characters up to the maximum length.
    pub fn add(&mut self, surprisals: &[Surprisal], vocab: &Vocab) {
        let room = MAX_CHARS - self.chars.len();
        self.is_truncated |= surprisals.len() > room;
        for surprisal in surprisals.iter().take(room) {
            if !surprisal.known {
                self.unknown.push(self.chars.len());
            }
            self.chars.push(vocab.display_char(surprisal.symbol).into());
            self.bits.push(surprisal.nats.map(|nats| round(bits(nats), 3)));
            let prediction = surprisal.prediction.as_ref();
            self.ranks.push(prediction.map(|prediction| prediction.rank));
            let likely = |&(id, p): &(u32, f32)| (vocab.display_char(vocab.symbol(id)).into(), round(p.into(), 6));
            self.predictions
                .push(prediction.map_or(Vec::new(), |prediction| prediction.top.iter().map(likely).collect()));
        }
    }

    /// Renders the page; `summary` is shown below the title.
    pub fn render(mut self, summary: String) -> Result<String> {
        self.summary = summary;
        if self.is_truncated {
            self.summary += &format!(" (only the first {MAX_CHARS} characters are shown)");
        }
        html_page::fill(TEMPLATE, &self)
    }
}

fn round(x: f64, digits: i32) -> f64 {
    (x * 10f64.powi(digits)).round() / 10f64.powi(digits)
}
