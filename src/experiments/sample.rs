//! Strings, and texts made of them.

use super::{Rng, Task};
use crate::data::Marks;

/// What stands behind a string where its window is longer.
const PADDING: char = '.';

/// A string of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its characters.
    pub chars: Vec<char>,
    /// For each of them, the characters that could stand there as well; empty where nothing is asked.
    pub allowed: Vec<String>,
    /// Whether every character is learned from, in place of only those that are asked for.
    pub whole: bool,
}

impl Sample {
    /// Adds a character that nothing is asked of.
    pub fn free(&mut self, c: char) {
        self.chars.push(c);
        self.allowed.push(String::new());
    }

    /// Adds a character in whose place any of `allowed` could stand.
    pub fn one_of(&mut self, c: char, allowed: &str) {
        self.chars.push(c);
        self.allowed.push(allowed.into());
    }

    /// Adds characters that are determined by what stands before them.
    pub fn determined(&mut self, text: &str) {
        text.chars().for_each(|c| self.one_of(c, &c.to_string()));
    }
}

/// How strings follow each other in the text that is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Training {
    /// One after another, the state being zero at the beginning of each.
    Lines,
    /// One after another without a break.
    Stream,
    /// Each at the beginning of a window of its own, from a zero state.
    Windows,
}

/// A text of about `chars` characters for a batch of windows of `seq_len`, and what training makes of its characters.
pub fn text(task: &dyn Task, rng: &mut Rng, chars: usize, seq_len: usize) -> (String, Marks) {
    let (mut text, mut marks, mut len) = (String::new(), Marks::default(), 0);
    let how = task.training();
    // Streams are cut at equal lengths, so whole windows stay whole; the last character is predicted only.
    while len < chars {
        let sample = task.draw(rng);
        for (i, (c, allowed)) in sample.chars.iter().zip(&sample.allowed).enumerate() {
            text.push(*c);
            let counts = sample.whole || !allowed.is_empty();
            marks.push(if counts { 1.0 } else { 0.0 }, i == 0 && how != Training::Stream);
        }
        len += sample.chars.len();
        if how == Training::Windows {
            let padding = seq_len.saturating_sub(sample.chars.len());
            for _ in 0..padding {
                text.push(PADDING);
                marks.push(0.0, false);
            }
            len += padding;
        }
    }
    text.push(PADDING);
    marks.push(0.0, false);
    (text, marks)
}
