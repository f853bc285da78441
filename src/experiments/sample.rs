//! Strings, and texts made of them.

use xxhash_rust::xxh3::xxh3_64;

use super::{Rng, Task};
use crate::data::LossMask;

/// What stands behind a string where its window is longer.
const PADDING: char = '.';

/// A string of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its characters.
    pub chars: Vec<char>,
    /// For each of them, the characters that could stand there as well; empty where nothing is asked.
    pub allowed: Vec<String>,
}

impl Sample {
    /// Whether it is one of the fifth of all strings that a hash chooses.
    pub fn is_of_a_fifth(&self) -> bool {
        let text: String = self.chars.iter().collect();
        xxh3_64(text.as_bytes()).is_multiple_of(5)
    }

    /// How much the prediction of a character counts: only what is asked for is learned.
    pub fn weight(&self, at: usize) -> f32 {
        if self.allowed[at].is_empty() { 0.0 } else { 1.0 }
    }

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
pub fn text(task: &dyn Task, rng: &mut Rng, chars: usize, seq_len: usize) -> (String, LossMask) {
    let (mut text, mut marks) = (String::new(), LossMask::default());
    let mut push = |marks: &mut LossMask, c, weight, reset| {
        text.push(c);
        marks.push(weight, reset);
    };
    let how = task.training();
    // Streams are cut at equal lengths, so whole windows stay whole; the last character is predicted only.
    while marks.len() < chars {
        let sample = task.draw(rng);
        if task.is_kept_back(&sample) {
            continue;
        }
        for (i, c) in sample.chars.iter().enumerate() {
            push(&mut marks, *c, sample.weight(i), i == 0 && how != Training::Stream);
        }
        if how == Training::Windows {
            (sample.chars.len()..seq_len).for_each(|_| push(&mut marks, PADDING, 0.0, false));
        }
    }
    push(&mut marks, PADDING, 0.0, false);
    (text, marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::{EXPERIMENTS, Kind, Variant, rng};

    #[test]
    fn texts_have_nothing_that_is_kept_back() {
        for name in ["arithmetic", "parity", "timing"] {
            let Kind::Task { task, setup } = EXPERIMENTS.iter().find(|e| e.name == name).unwrap().kind else {
                panic!()
            };
            let (task, seq_len) = (task(&Variant::default()).unwrap(), setup(&Variant::default()).seq_len);
            let (text, marks) = text(task.as_ref(), &mut rng(name, 1), 50_000, seq_len);
            let text: Vec<char> = text.chars().collect();
            assert_eq!(text.len(), marks.len());
            let strings: Vec<Vec<char>> = if task.training() == Training::Windows {
                text.chunks_exact(seq_len).map(|s| s.iter().copied().filter(|c| *c != PADDING).collect()).collect()
            } else {
                text.split_inclusive(|c| *c == '\n').map(<[char]>::to_vec).collect()
            };
            let (_, whole) = strings.split_last().unwrap();
            let is_kept_back =
                |chars: &Vec<char>| task.is_kept_back(&Sample { chars: chars.clone(), allowed: Vec::new() });
            assert!(whole.len() > 100 && !whole.iter().any(is_kept_back), "{name}");
        }
    }
}
