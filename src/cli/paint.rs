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

/// How values become colours.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// The values go from 0 to 1, white to green; otherwise from blue by way of white to red, squashed by tanh.
    pub opens: bool,
    /// The terminal knows more than 256 colours.
    pub truecolor: bool,
}

impl Palette {
    /// The colours of a character with that value.
    fn style(self, value: f32) -> Style {
        let (color, strength) = match value {
            value if self.opens => (GREEN, value.clamp(0.0, 1.0)),
            value if value < 0.0 => (BLUE, -value.tanh()),
            value => (RED, value.tanh()),
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

/// The text with each character on the colour of its value. Lines end where they do; other control characters are written out.
pub fn colored(vocab: &Vocab, ids: &[u32], values: &[f32], palette: Palette) -> String {
    let mut text = String::new();
    for (id, value) in ids.iter().zip(values) {
        match vocab.symbol(*id) {
            0x0a => text.push('\n'),
            _ => text += &escaped(vocab, *id).style(palette.style(*value)).to_string(),
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A line for each character: itself and its value, a tab between them.
pub fn table(vocab: &Vocab, ids: &[u32], values: &[f32]) -> String {
    ids.iter().zip(values).map(|(id, value)| format!("{}\t{value:.6}\n", escaped(vocab, *id))).collect()
}

/// The character, or what it is written as where it would do something to a terminal or a table.
fn escaped(vocab: &Vocab, id: u32) -> String {
    match shown(vocab, id) {
        '\\' => "\\\\".into(),
        c if c.is_control() => c.escape_default().to_string(),
        char::REPLACEMENT_CHARACTER if vocab.encoding() == Encoding::Bytes => format!("\\x{:02x}", vocab.symbol(id)),
        c => c.into(),
    }
}

/// The character of an id; of a byte that is none by itself, the replacement character.
pub fn shown(vocab: &Vocab, id: u32) -> char {
    let symbol = vocab.symbol(id);
    let is_character = vocab.encoding() == Encoding::Utf8 || symbol < 0x80;
    char::from_u32(symbol).filter(|_| is_character).unwrap_or(char::REPLACEMENT_CHARACTER)
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
        let palette = Palette { opens: false, truecolor: true };
        let shown = colored(&text, &ids, &[9.0, -9.0, 1.0, 0.0], palette);
        let wanted = "\u{1b}[38;2;255;255;255;48;2;196;30;40ma\u{1b}[0m\u{1b}[38;2;255;255;255;48;2;33;86;190mb\u{1b}[0m\n\
                      \u{1b}[38;2;0;0;0;48;2;255;255;255mc\u{1b}[0m\n";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn few_colours_are_the_nearest_of_the_cube() {
        let (text, ids) = vocab("ab");
        let palette = Palette { opens: true, truecolor: false };
        let shown = colored(&text, &ids, &[0.0, 1.0], palette);
        assert_eq!(shown, "\u{1b}[38;5;16;48;5;231ma\u{1b}[0m\u{1b}[38;5;231;48;5;29mb\u{1b}[0m\n");
    }
}
