//! A text coloured by how surprising each character is, in the terminal or as a page.

use std::path::Path;

use charlstm::data::Vocab;
use charlstm::error::Result;
use charlstm::score::Surprisal;
use serde::Serialize;

use super::paint::{self, Meaning, Palette};
use super::{files, page};

/// Characters of a page at most: a browser keeps an element for each.
pub const MOST: usize = 100_000;
/// What was expected, of each character.
pub const TOP: usize = 5;

const TEMPLATE: &str = include_str!("score.html");

/// A line on the colours of its characters.
pub fn colored(line: &[Surprisal], vocab: &Vocab) -> String {
    let bits = |nats: f64| (nats / std::f64::consts::LN_2) as f32;
    let values = line.iter().map(|surprise| (surprise.symbol, surprise.nats.map_or(0.0, bits)));
    paint::colored(vocab, values, Palette::new(Meaning::Bits))
}

/// What the page shows. Lists have an element for each character.
#[derive(Debug, Default, Serialize)]
pub struct Page {
    about: String,
    chars: Vec<String>,
    bits: Vec<Option<f64>>,
    ranks: Vec<Option<u32>>,
    /// The most likely characters and their probabilities.
    expected: Vec<Vec<(String, f64)>>,
    /// The places of those that the model does not know.
    unknown: Vec<usize>,
    /// Whether there were more.
    #[serde(skip)]
    cut: bool,
}

impl Page {
    /// Takes in some characters, as long as there is room.
    pub fn add(&mut self, surprises: &[Surprisal], vocab: &Vocab) {
        self.cut |= surprises.len() > MOST - self.chars.len();
        let rounded = |x: f64, digits: i32| (x * 10f64.powi(digits)).round() / 10f64.powi(digits);
        for surprise in surprises.iter().take(MOST - self.chars.len()) {
            if !surprise.known {
                self.unknown.push(self.chars.len());
            }
            self.chars.push(vocab.display_char(surprise.symbol).into());
            self.bits.push(surprise.nats.map(|nats| rounded(nats / std::f64::consts::LN_2, 3)));
            let prediction = surprise.prediction.as_ref();
            self.ranks.push(prediction.map(|prediction| prediction.rank));
            let likely = |&(id, p): &(u32, f32)| (vocab.display_char(vocab.symbol(id)).into(), rounded(p.into(), 6));
            self.expected.push(prediction.map_or(Vec::new(), |prediction| prediction.top.iter().map(likely).collect()));
        }
    }

    /// Writes the page; `about` stands under its title.
    pub fn write(mut self, about: String, path: &Path) -> Result<()> {
        let cut = if self.cut { format!(" (the first {MOST} characters are shown)") } else { String::new() };
        self.about = about + &cut;
        files::write(path, page::fill(TEMPLATE, &self)?.as_bytes())
    }
}
