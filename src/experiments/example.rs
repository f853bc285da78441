//! The strings of tasks.

use xxhash_rust::xxh3::xxh3_64;

/// A string of a task, with the characters that are correct predictions at each position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    /// The characters.
    pub chars: Vec<char>,
    /// For each character, those that could stand in its place; empty where the prediction is neither trained nor tested.
    pub allowed: Vec<String>,
}

impl Example {
    /// Whether it belongs to a fifth of all strings, chosen by a hash.
    pub fn is_in_hashed_fifth(&self) -> bool {
        let text: String = self.chars.iter().collect();
        xxh3_64(text.as_bytes()).is_multiple_of(5)
    }

    /// The loss weight of the prediction of character `at`: 1 if it is tested, else 0.
    pub fn loss_weight(&self, at: usize) -> f32 {
        if self.allowed[at].is_empty() { 0.0 } else { 1.0 }
    }

    /// The number of tested predictions.
    pub fn tested_chars(&self) -> usize {
        self.allowed.iter().filter(|allowed| !allowed.is_empty()).count()
    }

    /// Appends a character whose prediction is not tested.
    pub fn push_untested(&mut self, c: char) {
        self.chars.push(c);
        self.allowed.push(String::new());
    }

    /// Appends a character in whose place any of `allowed` would be correct.
    pub fn push_one_of(&mut self, c: char, allowed: &str) {
        self.chars.push(c);
        self.allowed.push(allowed.into());
    }

    /// Appends characters that are determined by those before them.
    pub fn push_determined(&mut self, text: &str) {
        text.chars().for_each(|c| self.push_one_of(c, &c.to_string()));
    }
}
