//! Checks the contract of every registered cell: gradients, windows, rows, precision, checkpoints.
//!
//! Errors are relative to the largest element of the tensor.

#![allow(clippy::unwrap_used)]

use charlstm::cells::{CELLS, RegisteredCell};
use charlstm::checkpoint::{Frame, format, model};
use charlstm::data::{Encoding, Vocab};
use charlstm::kernels::Precision;
use charlstm::layers::dropout::Dropout;
use charlstm::model::{CharLm, InferenceModel, InferenceSession, Input, ModelConfig, Window};
use charlstm::params::Span;
use charlstm::train::Step;
use rayon::prelude::*;

const VOCAB: usize = 7;
const HIDDEN: usize = 5;

/// A deterministic sequence of numbers in -1 to 1.
fn number(i: usize) -> f64 {
    (i as f64 * 1.618 + 0.3).sin()
}

fn random_model(cell: &RegisteredCell, layers: usize, embed: usize) -> CharLm<f64> {
    let config = ModelConfig {
        cell: cell.spec.name.into(),
        num_layers: layers,
        hidden_size: HIDDEN,
        embed_size: embed,
        vocab_size: VOCAB,
    };
    let mut model = CharLm::zeros(&config).unwrap();
    model.weights.iter_mut().enumerate().for_each(|(i, w)| *w = number(i) * 0.7);
    let layout = model.layout().clone();
    for span in layout.spans() {
        for i in (0..span.range.len()).filter(|i| is_always_zero(cell, span, *i)) {
            model.weights[span.range.start + i] = 0.0;
        }
    }
    model
}

/// Whether an element of a recurrent matrix belongs to a zero block of the cell.
fn is_always_zero(cell: &RegisteredCell, span: &Span, i: usize) -> bool {
    let (row, col) = (i / span.cols, i % span.cols);
    span.name.ends_with("w_hh") && cell.spec.zero_blocks.contains(&(row / HIDDEN, col / HIDDEN))
}

fn window(steps: usize, streams: usize) -> Window {
    let id = |i: usize| (i * i * 5 + i / 3) as u32 % VOCAB as u32;
    Window::new(steps, streams, (0..steps * streams).map(id).collect(), (1..=steps * streams).map(id).collect())
}

/// A window with loss weights, some of them 0, and resets.
fn weighted_window_with_resets() -> Window {
    let mut window = window(6, 3);
    window.weights = (0..18).map(|i| [1.0, 0.0, 0.5, 2.0][i % 4]).collect();
    window.resets = (0..18).map(|i| matches!(i, 1 | 7 | 8 | 15)).collect();
    window
}

/// A loss as a function of the weights and the initial states.
struct Problem {
    model: CharLm<f64>,
    window: Window,
    dropout: Option<Dropout>,
    states: Vec<f64>,
}

impl Problem {
    fn new(cell: &RegisteredCell, layers: usize, embed: usize, window: Window, dropout: Option<Dropout>) -> Self {
        let model = random_model(cell, layers, embed);
        let states = (0..window.streams * model.state_len()).map(|i| number(i + 77) * 0.5).collect();
        Problem { model, window, dropout, states }
    }

    fn run(&self) -> (f64, Step<f64>) {
        let mut step = Step::new(&self.model, self.window.streams, self.window.steps);
        let mut states = self.states.iter();
        step.states_mut().flatten().for_each(|x| *x = *states.next().unwrap());
        (step.run(&self.model, &self.window, self.dropout), step)
    }

    /// The derivative of the loss with respect to one number, by a fourth-order central difference whose error is far below the
    /// smallest gradient of a deep network.
    fn difference(&mut self, at: impl Fn(&mut Self) -> &mut f64) -> f64 {
        const H: f64 = 1e-3;
        let before = *at(self);
        let loss_at = |problem: &mut Self, x: f64| {
            *at(problem) = x;
            problem.run().0
        };
        let mut across = |h: f64| loss_at(self, before + h) - loss_at(self, before - h);
        let slope = (8.0 * across(H) - across(2.0 * H)) / (12.0 * H);
        *at(self) = before;
        slope
    }

    fn check(&mut self, what: &str) {
        let (_, step) = self.run();
        let layout = self.model.layout().clone();
        for span in layout.spans() {
            let cell = self.model.cell();
            let numeric = span.range.clone().map(|i| match is_always_zero(cell, span, i - span.range.start) {
                true => 0.0,
                false => self.difference(|problem| &mut problem.model.weights[i]),
            });
            let numeric: Vec<f64> = numeric.collect();
            close(&format!("{what}: {}", span.name), &step.grads[span.range.clone()], &numeric, 1e-6);
        }
        let (len, layers) = (self.model.layer_state_len(), self.model.config().num_layers);
        for layer in 0..layers {
            let got: Vec<f64> = step.d_initial_states(layer);
            let places = (0..self.window.streams).flat_map(|s| (0..len).map(move |j| (s * layers + layer) * len + j));
            let numeric: Vec<f64> = places.map(|i| self.difference(|problem| &mut problem.states[i])).collect();
            close(&format!("{what}: initial state of layer {layer}"), &got, &numeric, 1e-6);
        }
    }
}

fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    assert!(largest > 1e-6, "{what}: nothing to compare");
    for (i, (g, w)) in got.iter().zip(expected).enumerate() {
        assert!((g - w).abs() <= tolerance * largest, "{what}[{i}]: {g} instead of {w}");
    }
}

/// Covers all parameters and the initial state; the gradient of the input is that of the embedding.
#[test]
fn gradients_match_central_differences() {
    let dropout = Some(Dropout { rate: 0.3, seed: 5, step: 2 });
    CELLS.par_iter().for_each(|cell| {
        for layers in [1, 3] {
            for (embed, window, dropout, what) in [
                (4, window(5, 3), None, "plain"),
                (0, window(5, 3), None, "one-hot"),
                (4, weighted_window_with_resets(), None, "weights and resets"),
                (4, weighted_window_with_resets(), dropout, "weights, resets and dropout"),
            ] {
                let what = format!("{} x {layers}, {what}", cell.spec.name);
                Problem::new(cell, layers, embed, window, dropout).check(&what);
            }
        }
    });
}

/// Runs consecutive windows from a zero state; returns the logits of all windows and the final state.
fn forward<R: charlstm::cells::CellReal>(model: &CharLm<R>, windows: &[Window]) -> (Vec<f64>, Vec<f64>) {
    let inference_model = InferenceModel::new(model, Precision::F32);
    let (streams, steps) = (windows[0].streams, windows.iter().map(|window| window.steps).max().unwrap());
    let mut session = InferenceSession::single_threaded(&inference_model, streams, steps);
    let mut logits = Vec::new();
    for window in windows {
        let reset = |position: usize| window.resets.get(position).is_some_and(|reset| *reset);
        let inputs = window.inputs.iter().enumerate();
        let inputs = inputs.map(|(position, id)| Input { id: *id, reset: reset(position), needs_logits: true });
        session.run(&inputs.collect::<Vec<_>>());
        session.for_each_logits(|_, row| logits.extend(row.iter().map(|x| x.to_f64())));
    }
    (logits, (0..streams).flat_map(|stream| session.state(stream)).map(|x| x.to_f64()).collect())
}

/// Steps `from..to` of a window, with its resets.
fn steps_of(window: &Window, from: usize, to: usize) -> Window {
    let range = from * window.streams..to * window.streams;
    let mut part = Window::new(
        to - from,
        window.streams,
        window.inputs[range.clone()].to_vec(),
        window.targets[range.clone()].to_vec(),
    );
    if !window.resets.is_empty() {
        part.resets = window.resets[range].to_vec();
    }
    part
}

#[test]
fn splitting_a_window_does_not_change_results() {
    for cell in CELLS {
        let model = random_model(cell, 2, 4);
        let mut whole = window(12, 3);
        whole.resets = (0..36).map(|i| matches!(i, 4 | 13 | 30)).collect();
        let parts = [steps_of(&whole, 0, 5), steps_of(&whole, 5, 6), steps_of(&whole, 6, 12)];
        let (one, three) = (forward(&model, &[whole]), forward(&model, &parts));
        close("logits", &three.0, &one.0, 1e-12);
        close("state", &three.1, &one.1, 1e-12);
    }
}

#[test]
fn a_reset_starts_from_the_zero_state() {
    for cell in CELLS {
        let model = random_model(cell, 2, 4);
        let mut whole = window(8, 1);
        whole.resets = (0..8).map(|t| t == 5).collect();
        let (logits, state) = forward(&model, std::slice::from_ref(&whole));
        whole.resets.clear();
        let (fresh, fresh_state) = forward(&model, &[steps_of(&whole, 5, 8)]);
        close("logits", &logits[5 * VOCAB..], &fresh, 1e-12);
        close("state", &state, &fresh_state, 1e-12);
    }
}

#[test]
fn rows_of_a_batch_are_independent() {
    for cell in CELLS {
        let model = CharLm::init(
            &ModelConfig {
                cell: cell.spec.name.into(),
                num_layers: 2,
                hidden_size: 37,
                embed_size: 9,
                vocab_size: VOCAB,
            },
            4,
        )
        .unwrap();
        let window = window(6, 5);
        let (base, _) = forward(&model, std::slice::from_ref(&window));
        for changed in 0..5 {
            let mut other = window.clone();
            let column = (changed..30).step_by(5);
            column.for_each(|at| other.inputs[at] = (other.inputs[at] + 1) % VOCAB as u32);
            let (logits, _) = forward(&model, &[other]);
            for row in 0..30 {
                let (a, b) = (&base[row * VOCAB..][..VOCAB], &logits[row * VOCAB..][..VOCAB]);
                assert_eq!(a == b, row % 5 != changed, "{}: row {row}, stream {changed} changed", cell.spec.name);
            }
        }
    }
}

#[test]
fn f32_matches_f64() {
    for cell in CELLS {
        let config = ModelConfig {
            cell: cell.spec.name.into(),
            num_layers: 2,
            hidden_size: 70,
            embed_size: 33,
            vocab_size: VOCAB,
        };
        let narrow = CharLm::<f32>::init(&config, 2).unwrap();
        let mut wide = CharLm::<f64>::zeros(&config).unwrap();
        wide.weights.iter_mut().zip(&narrow.weights).for_each(|(w, x)| *w = f64::from(*x));
        let window = window(20, 19);
        let (a, b) = (forward(&narrow, std::slice::from_ref(&window)), forward(&wide, std::slice::from_ref(&window)));
        close("logits", &a.0, &b.0, 1e-5);
        let (mut step, mut reference) = (Step::new(&narrow, 19, 20), Step::new(&wide, 19, 20));
        let (loss, expected) = (step.run(&narrow, &window, None), reference.run(&wide, &window, None));
        assert!((loss - expected).abs() < 1e-5, "{loss} instead of {expected}");
        for span in wide.layout().spans() {
            let got: Vec<f64> = step.grads[span.range.clone()].iter().map(|x| f64::from(*x)).collect();
            close(&span.name, &got, &reference.grads[span.range.clone()], 1e-4);
        }
    }
}

#[test]
fn checkpoints_restore_models_of_every_cell() {
    for cell in CELLS {
        let config = ModelConfig {
            cell: cell.spec.name.into(),
            num_layers: 2,
            hidden_size: 6,
            embed_size: 0,
            vocab_size: VOCAB,
        };
        let saved = CharLm::init(&config, 9).unwrap();
        let vocab = Vocab::new(Encoding::Utf8, 97..97 + VOCAB as u32);
        let bytes = format::encode_checkpoint(&model::sections(&saved, &vocab).unwrap());
        let (loaded, known) = model::read(&Frame::parse("x.ckpt".as_ref(), bytes).unwrap()).unwrap();
        assert_eq!((loaded.config(), &loaded.weights, known), (saved.config(), &saved.weights, vocab));
    }
}
