//! A text with a value per character, shown as background colors in the terminal or as a table.

use charlstm::data::{Encoding, Vocab};
use owo_colors::{DynColors, OwoColorize, Style, XtermColors};

/// The background color of 0, fixed so that colors have the same meaning on light and dark terminals.
const WHITE: [f32; 3] = [255.0, 255.0, 255.0];
const BLUE: [f32; 3] = [33.0, 86.0, 190.0];
const RED: [f32; 3] = [196.0, 30.0, 40.0];
const GREEN: [f32; 3] = [0.0, 122.0, 61.0];

/// The levels per channel of the 6 x 6 x 6 color cube of 256-color terminals, and the index of its first color.
const LEVELS: [f32; 6] = [0.0, 95.0, 135.0, 175.0, 215.0, 255.0];
const FIRST_CUBE_COLOR: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorScale {
    /// A state: blue (negative) to white to red (positive), through tanh.
    State,
    /// A gate: white (0) to green (1).
    Gate,
    /// Surprisal in bits: white (0) to red (8 or more).
    Surprisal,
}

#[derive(Clone, Copy, Debug)]
pub struct Palette {
    scale: ColorScale,
    truecolor: bool,
}

impl Palette {
    pub fn new(scale: ColorScale) -> Self {
        let truecolor = std::env::var("COLORTERM").is_ok_and(|value| ["truecolor", "24bit"].contains(&value.as_str()));
        Palette { scale, truecolor }
    }

    fn style(self, value: f32) -> Style {
        let (color, strength) = match self.scale {
            ColorScale::Gate => (GREEN, value.clamp(0.0, 1.0)),
            ColorScale::Surprisal => (RED, (value / 8.0).clamp(0.0, 1.0)),
            ColorScale::State if value < 0.0 => (BLUE, -value.tanh()),
            ColorScale::State => (RED, value.tanh()),
        };
        let [r, g, b]: [f32; 3] = std::array::from_fn(|i| WHITE[i] + (color[i] - WHITE[i]) * strength);
        let foreground = if 0.3 * r + 0.59 * g + 0.11 * b < 128.0 { [255.0; 3] } else { [0.0; 3] };
        Style::new().color(self.color(foreground)).on_color(self.color([r, g, b]))
    }

    /// The color, or the nearest one in the color cube.
    fn color(self, rgb: [f32; 3]) -> DynColors {
        if self.truecolor {
            let [r, g, b] = rgb.map(|x| x.round() as u8);
            return DynColors::Rgb(r, g, b);
        }
        let [r, g, b] = rgb.map(|x| {
            let distance = |level: &usize| (LEVELS[*level] - x).abs();
            (0..LEVELS.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
        });
        DynColors::Xterm(XtermColors::from((FIRST_CUBE_COLOR + 36 * r + 6 * g + b) as u8))
    }
}

/// Symbols (code points or bytes), each on a background that shows its value. Control characters other than line ends are escaped.
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

/// One line per character: the character and its value, separated by a tab.
pub fn table(vocab: &Vocab, ids: &[u32], values: &[f32]) -> String {
    let line = |(id, value): (&u32, &f32)| format!("{}\t{value:.6}\n", escaped(vocab, vocab.symbol(*id)));
    ids.iter().zip(values).map(line).collect()
}

/// The character, escaped if it is a control character, a backslash or a byte that is not ASCII.
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
    fn table_has_one_line_per_character() {
        let (text, ids) = vocab("a\n\t\\\u{e9}\u{1b}");
        let lines = table(&text, &ids, &[0.5, -1.0, 0.0, 2.0, 3.25, 4.0]);
        let expected =
            "a\t0.500000\n\\n\t-1.000000\n\\t\t0.000000\n\\\\\t2.000000\n\u{e9}\t3.250000\n\\u{1b}\t4.000000\n";
        assert_eq!(lines, expected);
        let bytes = Vocab::new(Encoding::Bytes, [0x41, 0xc3]);
        assert_eq!(table(&bytes, &[0, 1], &[1.0, 1.0]), "A\t1.000000\n\\xc3\t1.000000\n");
    }

    #[test]
    fn colors_depend_on_the_sign_and_line_ends_are_kept() {
        let (text, ids) = vocab("ab\nc");
        let palette = Palette { scale: ColorScale::State, truecolor: true };
        let values = ids.iter().map(|id| text.symbol(*id)).zip([9.0, -9.0, 1.0, 0.0]);
        let shown = colored(&text, values, palette);
        let expected = "\u{1b}[38;2;255;255;255;48;2;196;30;40ma\u{1b}[0m\u{1b}[38;2;255;255;255;48;2;33;86;190mb\u{1b}[0m\n\
                      \u{1b}[38;2;0;0;0;48;2;255;255;255mc\u{1b}[0m";
        assert_eq!(shown, expected);
    }

    #[test]
    fn without_truecolor_the_nearest_cube_color_is_used() {
        let (text, _) = vocab("ab");
        let shown = |scale, values: [f32; 2]| {
            let palette = Palette { scale, truecolor: false };
            colored(&text, "ab".chars().map(u32::from).zip(values), palette)
        };
        let expected = "\u{1b}[38;5;16;48;5;231ma\u{1b}[0m\u{1b}[38;5;231;48;5;29mb\u{1b}[0m";
        assert_eq!(shown(ColorScale::Gate, [0.0, 1.0]), expected);
        assert_eq!(shown(ColorScale::Surprisal, [0.0, 44.0]), shown(ColorScale::State, [0.0, 9.0]), "none and maximum");
    }
}
