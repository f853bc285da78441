//! Simple properties of the characters of a text, to look for in the units of a net, as Karpathy, Johnson & Fei-Fei did in
//! "Visualizing and Understanding Recurrent Networks" (2015).

/// A property that each character of a text has as a number: 0 or 1, or a count.
#[derive(Debug)]
pub struct Property {
    /// What it is called.
    pub name: &'static str,
    /// One line for people: when it is 1, or what it counts.
    pub meaning: &'static str,
    of: fn(&[char]) -> Vec<f64>,
}

/// Every property there is.
pub static PROPERTIES: &[Property] = &[
    Property { name: "inside quotes", meaning: "between double quotes", of: quoted },
    Property { name: "place in line", meaning: "characters of the line so far", of: place_in_line },
    Property { name: "line end", meaning: "the next character begins a new line", of: before_newline },
    Property { name: "newline", meaning: "the character begins a new line", of: |text| each(text, |c| c == '\n') },
    Property { name: "space", meaning: "a space", of: |text| each(text, |c| c == ' ') },
    Property { name: "capital", meaning: "a capital letter", of: |text| each(text, char::is_uppercase) },
    Property { name: "vowel", meaning: "a, e, i, o or u, large or small", of: |text| each(text, is_vowel) },
    Property { name: "digit", meaning: "0 to 9", of: |text| each(text, |c| c.is_ascii_digit()) },
];

impl Property {
    /// The property after each character of a text, `(T)`.
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

/// An opening quote is inside, a closing one no longer. What is left open ends with its paragraph, so that one quote too many
/// does not turn the rest of a text inside out.
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

fn place_in_line(text: &[char]) -> Vec<f64> {
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

    /// The property of that name, as digits.
    fn of(name: &str, text: &str) -> String {
        let text: Vec<char> = text.chars().collect();
        let property = PROPERTIES.iter().find(|property| property.name == name).unwrap();
        property.of(&text).iter().map(|x| x.to_string()).collect()
    }

    #[test]
    fn are_what_they_are_called() {
        let text = "A \"b 7\" u.\nE";
        assert_eq!(of("inside quotes", text), "001111000000");
        assert_eq!(of("place in line", text), "1234567891001");
        assert_eq!(of("line end", text), "000000000100");
        assert_eq!(of("newline", text), "000000000010");
        assert_eq!(of("space", text), "010010010000");
        assert_eq!(of("capital", text), "100000000001");
        assert_eq!(of("vowel", text), "100000001001");
        assert_eq!(of("digit", text), "000001000000");
        assert!(PROPERTIES.iter().all(|property| property.of(&[]).is_empty()));
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_with_its_paragraph() {
        assert_eq!(of("inside quotes", "\"a\nb\n\nc\"d\""), "1111100110");
        assert_eq!(of("inside quotes", "\u{201c}a\u{201d}\u{201c}"), "1101");
    }
}
