//! Simple properties of the characters of a text, to be compared with the units of a model, after Karpathy, Johnson & Fei-Fei,
//! "Visualizing and Understanding Recurrent Networks" (2015).

/// A numeric property of each character of a text: 0 or 1, or a count.
#[derive(Debug)]
pub struct TextProperty {
    /// The name.
    pub name: &'static str,
    /// A short description: when the property is 1, or what it counts.
    pub meaning: &'static str,
    of: fn(&[char]) -> Vec<f64>,
}

/// All properties.
pub static TEXT_PROPERTIES: &[TextProperty] = &[
    TextProperty { name: "inside quotes", meaning: "between double quotes", of: quoted },
    TextProperty { name: "place in line", meaning: "characters of the line so far", of: position_in_line },
    TextProperty { name: "line end", meaning: "the next character begins a new line", of: before_newline },
    TextProperty { name: "newline", meaning: "the character begins a new line", of: |text| each(text, |c| c == '\n') },
    TextProperty { name: "space", meaning: "a space", of: |text| each(text, |c| c == ' ') },
    TextProperty { name: "capital", meaning: "a capital letter", of: |text| each(text, char::is_uppercase) },
    TextProperty { name: "vowel", meaning: "a, e, i, o or u, upper or lower case", of: |text| each(text, is_vowel) },
    TextProperty { name: "digit", meaning: "0 to 9", of: |text| each(text, |c| c.is_ascii_digit()) },
];

impl TextProperty {
    /// The property of each character of a text, `(T)`.
    pub fn of(&self, text: &[char]) -> Vec<f64> {
        (self.of)(text)
    }
}

fn each(text: &[char], holds: impl Fn(char) -> bool) -> Vec<f64> {
    text.iter().map(|c| f64::from(u8::from(holds(*c)))).collect()
}

fn is_vowel(c: char) -> bool {
    "aeiouAEIOU".contains(c)
}

/// The opening quote counts as inside, the closing quote does not. An unclosed quote ends with its paragraph, so that an unpaired
/// quote does not invert the rest of the text.
fn quoted(text: &[char]) -> Vec<f64> {
    let (mut inside, mut last) = (false, ' ');
    let after = |c: &char| {
        inside = match *c {
            '"' => !inside,
            '\u{201c}' => true,
            '\u{201d}' => false,
            '\n' if last == '\n' => false,
            _ => inside,
        };
        last = *c;
        f64::from(u8::from(inside))
    };
    text.iter().map(after).collect()
}

fn position_in_line(text: &[char]) -> Vec<f64> {
    let mut place = 0.0;
    let after = |c: &char| {
        place = if *c == '\n' { 0.0 } else { place + 1.0 };
        place
    };
    text.iter().map(after).collect()
}

fn before_newline(text: &[char]) -> Vec<f64> {
    let next = text.iter().skip(1).chain([&' ']);
    next.map(|c| f64::from(u8::from(*c == '\n'))).take(text.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The property with that name, as digits.
    fn of(name: &str, text: &str) -> String {
        let text: Vec<char> = text.chars().collect();
        let property = TEXT_PROPERTIES.iter().find(|property| property.name == name).unwrap();
        property.of(&text).iter().map(|x| x.to_string()).collect()
    }

    #[test]
    fn properties_of_a_short_text() {
        let text = "A \"b 7\" u.\nE";
        assert_eq!(of("inside quotes", text), "001111000000");
        assert_eq!(of("place in line", text), "1234567891001");
        assert_eq!(of("line end", text), "000000000100");
        assert_eq!(of("newline", text), "000000000010");
        assert_eq!(of("space", text), "010010010000");
        assert_eq!(of("capital", text), "100000000001");
        assert_eq!(of("vowel", text), "100000001001");
        assert_eq!(of("digit", text), "000001000000");
        assert!(TEXT_PROPERTIES.iter().all(|property| property.of(&[]).is_empty()));
    }

    #[test]
    fn an_unclosed_quote_ends_with_its_paragraph() {
        assert_eq!(of("inside quotes", "\"a\nb\n\nc\"d\""), "1111100110");
        assert_eq!(of("inside quotes", "\u{201c}a\u{201d}\u{201c}"), "1101");
    }
}
