//! Random resets of the carried state.
//!
//! Training carries the state from window to window, but generation and scoring start from the zero state. With a small probability
//! per window (Melis et al. 2018), a stream is therefore reset before the first line end of the window, where generation starts, or
//! before its first character if it has no line end.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::model::Window;

/// Marks the resets of a window. They are a function of the seed and the step, so a resumed run draws the same ones.
pub(super) fn draw(window: &mut Window, probability: f64, seed: u64, step: u64, line_end: Option<u32>) {
    if probability == 0.0 {
        return;
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.rotate_left(32) ^ step);
    window.resets.resize(window.inputs.len(), false);
    for stream in 0..window.streams {
        if rng.random::<f64>() < probability {
            let mut positions = (stream..window.inputs.len()).step_by(window.streams);
            let at = positions.find(|position| Some(window.inputs[*position]) == line_end).unwrap_or(stream);
            window.resets[at] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Token 0 is the line end. The first stream has one at step 2, the second has none.
    fn window() -> Window {
        let inputs = vec![1, 1, 2, 2, 0, 3, 0, 1];
        Window::new(4, 2, inputs.clone(), inputs)
    }

    #[test]
    fn streams_are_reset_before_their_first_line_end() {
        let mut window = window();
        draw(&mut window, 1.0, 1, 7, Some(0));
        let at: Vec<usize> = (0..8).filter(|position| window.resets[*position]).collect();
        assert_eq!(at, [1, 4]);
    }

    #[test]
    fn resets_occur_with_the_given_probability() {
        let resets = |probability, seed| -> Vec<bool> {
            let draw = |step| {
                let mut window = window();
                draw(&mut window, probability, seed, step, None);
                window.resets.contains(&true)
            };
            (0..5000).map(draw).collect()
        };
        assert!(!resets(0.0, 1).contains(&true));
        let count = resets(0.1, 1).into_iter().filter(|reset| *reset).count();
        assert!((850..1050).contains(&count), "one of two streams: 19 % of 5,000 windows, not {count}");
        assert_ne!(resets(0.1, 1), resets(0.1, 2));
    }
}
