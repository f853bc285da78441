//! Training texts made of the strings of a task.

use super::setup::Setup;
use super::task::{Task, TextLayout, rng};
use crate::data::LossMask;

/// Fills a window after its string.
const PADDING: char = '.';

/// The maximum length of a text; longer training repeats it.
const MAX_CHARS: usize = 40_000_000;

/// Generates the text that a model is trained on, and its loss mask.
pub fn training_text(name: &str, task: &dyn Task, setup: &Setup, seed: u64) -> (String, LossMask) {
    let batch_chars = setup.batch * setup.seq_len;
    let chars = (setup.steps as usize).saturating_mul(batch_chars).min(MAX_CHARS).next_multiple_of(batch_chars);
    let (mut text, mut mask) = (String::new(), LossMask::default());
    let mut push = |mask: &mut LossMask, c, weight, reset| {
        text.push(c);
        mask.push(weight, reset);
    };
    let (mut rng, layout) = (rng(&format!("{name} train"), seed), task.layout());
    while mask.len() < chars {
        let example = task.draw(&mut rng);
        if task.is_held_out(&example) {
            continue;
        }
        for (i, c) in example.chars.iter().enumerate() {
            push(&mut mask, *c, example.loss_weight(i), i == 0 && layout != TextLayout::Stream);
        }
        if layout == TextLayout::Windows {
            (example.chars.len()..setup.seq_len).for_each(|_| push(&mut mask, PADDING, 0.0, false));
        }
    }
    // The last character is only a target. With it, the streams divide into whole windows.
    push(&mut mask, PADDING, 0.0, false);
    (text, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::{Example, Kind, TaskOptions, find};

    #[test]
    fn held_out_strings_are_not_in_the_training_text() {
        for name in ["arithmetic", "parity", "timing"] {
            let Kind::Task { task, setup } = find(name).unwrap().kind else { panic!() };
            let (task, setup) = (task(&TaskOptions::default()).unwrap(), setup(&TaskOptions::default()));
            let setup = Setup { steps: 60_000 / (setup.batch * setup.seq_len) as u64, ..setup };
            let (text, mask) = training_text(name, task.as_ref(), &setup, 1);
            let text: Vec<char> = text.chars().collect();
            assert_eq!(text.len(), mask.len());
            let strings: Vec<Vec<char>> = if task.layout() == TextLayout::Windows {
                let windows = text.chunks_exact(setup.seq_len);
                windows.map(|window| window.iter().copied().filter(|c| *c != PADDING).collect()).collect()
            } else {
                text.split_inclusive(|c| *c == '\n').map(<[char]>::to_vec).collect()
            };
            let (_, complete) = strings.split_last().unwrap();
            let is_held_out =
                |chars: &Vec<char>| task.is_held_out(&Example { chars: chars.clone(), allowed: Vec::new() });
            assert!(complete.len() > 100 && !complete.iter().any(is_held_out), "{name}");
        }
    }
}
