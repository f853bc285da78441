//! A text and a value for each of its characters: in colours, or as a table.

use charlstm::data::{Encoding, Vocab};
use owo_colors::{DynColors, OwoColorize, Style, XtermColors};

/// What nothing, a gate that is closed or a value of 0, is coloured with: paper, so that colours mean the same on every terminal.
const PAPER: [f32; 3] = [255.0, 255.0, 255.0];
const BLUE: [f32; 3] = [33.0, 86.0, 190.0];
const RED: [f32; 3] = [196.0, 30.0, 40.0];
const GREEN: [f32; 3] = [0.0, 122.0, 61.0];

/// The levels of each colour in the cube of 256 colours, and the number of its first colour.
const LEVELS: [f32; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
const CUBE: usize = 16;

/// What values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A state: from blue by way of white to red, squashed by tanh.
    State,
    /// A gate, from 0 to 1: white to green.
    Gate,
    /// Bits of surprise, from 0 to 8 and more: white to red.
    Bits,
}

/// How values become colours.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    meaning: Meaning,
    /// The terminal knows more than 256 colours.
    truecolor: bool,
}

impl Palette {
    /// The colours that this terminal has.
    pub fn new(meaning: Meaning) -> Self {
        let truecolor = std::env::var("COLORTERM").is_ok_and(|known| ["truecolor", "24bit"].contains(&known.as_str()));
        Palette { meaning, truecolor }
    }

    /// The colours of a character with that value.
    fn style(self, value: f32) -> Style {
        let (color, strength) = match self.meaning {
            Meaning::Gate => (GREEN, value.clamp(0.0, 1.0)),
            Meaning::Bits => (RED, (value / 8.0).clamp(0.0, 1.0)),
            Meaning::State if value < 0.0 => (BLUE, -value.tanh()),
            Meaning::State => (RED, value.tanh()),
        };
        let [r, g, b]: [f32; 3] = std::array::from_fn(|i| PAPER[i] + (color[i] - PAPER[i]) * strength);
        let letters = if 0.3 * r + 0.59 * g + 0.11 * b < 128.0 { [255.0; 3] } else { [0.0; 3] };
        Style::new().color(self.color(letters)).on_color(self.color([r, g, b]))
    }

    /// The colour itself, or the nearest in the cube.
    fn color(self, rgb: [f32; 3]) -> DynColors {
        if self.truecolor {
            let [r, g, b] = rgb.map(|x| x.round() as u8);
            return DynColors::Rgb(r, g, b);
        }
        let [r, g, b] = rgb.map(|x| {
            let off = |level: &usize| (LEVELS[*level] - x).abs();
            (0..LEVELS.len()).min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or(0)
        });
        DynColors::Xterm(XtermColors::from((CUBE + 36 * r + 6 * g + b) as u8))
    }
}

/// Characters (code points or bytes), each on the colour of its value. Lines end where they do; other control characters are
/// written out.
pub fn colored(vocab: &Vocab, values: impl Iterator<Item = (u32, f32)>, palette: Palette) -> String {
    let mut text = String::new();
    for (symbol, value) in values {
        match symbol {
            0x0a => text.push('\n'),
            _ => text += &escaped(vocab, symbol).style(palette.style(value)).to_string(),
        }
    }
    text
}

/// A line for each character: itself and its value, a tab between them.
pub fn table(vocab: &Vocab, ids: &[u32], values: &[f32]) -> String {
    let line = |(id, value): (&u32, &f32)| format!("{}\t{value:.6}\n", escaped(vocab, vocab.symbol(*id)));
    ids.iter().zip(values).map(line).collect()
}

/// The character, or what it is written as where it would do something to a terminal or a table.
pub fn escaped(vocab: &Vocab, symbol: u32) -> String {
    match vocab.display_char(symbol) {
        '\\' => "\\\\".into(),
        c if c.is_control() => c.escape_default().to_string(),
        char::REPLACEMENT_CHARACTER if vocab.encoding() == Encoding::Bytes => format!("\\x{symbol:02x}"),
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocab(text: &str) -> (Vocab, Vec<u32>) {
        let vocab = Vocab::new(Encoding::Utf8, text.chars().map(u32::from));
        let ids = vocab.encode(text.as_bytes()).unwrap();
        (vocab, ids)
    }

    #[test]
    fn a_table_has_a_line_for_each_character() {
        let (text, ids) = vocab("a\n\t\\\u{e9}\u{1b}");
        let lines = table(&text, &ids, &[0.5, -1.0, 0.0, 2.0, 3.25, 4.0]);
        let wanted =
            "a\t0.500000\n\\n\t-1.000000\n\\t\t0.000000\n\\\\\t2.000000\n\u{e9}\t3.250000\n\\u{1b}\t4.000000\n";
        assert_eq!(lines, wanted);
        let bytes = Vocab::new(Encoding::Bytes, [0x41, 0xc3]);
        assert_eq!(table(&bytes, &[0, 1], &[1.0, 1.0]), "A\t1.000000\n\\xc3\t1.000000\n");
    }

    #[test]
    fn signs_have_colours_and_lines_end_where_they_do() {
        let (text, ids) = vocab("ab\nc");
        let palette = Palette { meaning: Meaning::State, truecolor: true };
        let values = ids.iter().map(|id| text.symbol(*id)).zip([9.0, -9.0, 1.0, 0.0]);
        let shown = colored(&text, values, palette);
        let wanted = "\u{1b}[38;2;255;255;255;48;2;196;30;40ma\u{1b}[0m\u{1b}[38;2;255;255;255;48;2;33;86;190mb\u{1b}[0m\n\
                      \u{1b}[38;2;0;0;0;48;2;255;255;255mc\u{1b}[0m";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn few_colours_are_the_nearest_of_the_cube() {
        let (text, _) = vocab("ab");
        let shown = |meaning, values: [f32; 2]| {
            let palette = Palette { meaning, truecolor: false };
            colored(&text, "ab".chars().map(u32::from).zip(values), palette)
        };
        let wanted = "\u{1b}[38;5;16;48;5;231ma\u{1b}[0m\u{1b}[38;5;231;48;5;29mb\u{1b}[0m";
        assert_eq!(shown(Meaning::Gate, [0.0, 1.0]), wanted);
        assert_eq!(shown(Meaning::Bits, [0.0, 44.0]), shown(Meaning::State, [0.0, 9.0]), "nothing and very much");
    }
}
