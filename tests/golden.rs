//! Agreement with PyTorch on the same network, in f64 and f32. `tests/golden/make.py` generated the numbers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use charlstm::cells::CellReal;
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel, InferenceSession, Input, ModelConfig, Window};
use charlstm::optim::{Optimizer, UpdateParams, clip_scale};
use charlstm::train::Step;
use serde::Deserialize;

/// The cells that PyTorch implements.
const CELLS: [&str; 3] = ["lstm", "gru", "rnn"];

#[derive(Deserialize)]
struct Golden {
    #[serde(skip)]
    cell: String,
    vocab: usize,
    embed: usize,
    hidden: usize,
    layers: usize,
    seq_len: usize,
    batch: usize,
    params: BTreeMap<String, Vec<f64>>,
    grads: BTreeMap<String, Vec<f64>>,
    inputs: Vec<u32>,
    targets: Vec<u32>,
    state0: Vec<f64>,
    state1: Vec<f64>,
    logits: Vec<f64>,
    loss: f64,
    grad_state0: Vec<f64>,
    grad_norm: f64,
    adamw: Losses,
    sgd: Losses,
    rmsprop: Losses,
}

#[derive(Deserialize)]
struct Losses {
    lr: f64,
    #[serde(default)]
    weight_decay: f64,
    #[serde(default)]
    clip: f64,
    losses: Vec<f64>,
}

impl Golden {
    fn of(cell: &str) -> Golden {
        let text = match cell {
            "lstm" => include_str!("golden/lstm.json"),
            "gru" => include_str!("golden/gru.json"),
            "rnn" => include_str!("golden/rnn.json"),
            _ => panic!("PyTorch has no {cell}"),
        };
        Golden { cell: cell.into(), ..serde_json::from_str(text).unwrap() }
    }

    fn model<R: CellReal>(&self) -> CharLm<R> {
        let config = ModelConfig {
            cell: self.cell.clone(),
            num_layers: self.layers,
            hidden_size: self.hidden,
            embed_size: self.embed,
            vocab_size: self.vocab,
        };
        let mut model = CharLm::<R>::zeros(&config).unwrap();
        let layout = model.layout().clone();
        assert_eq!(layout.spans().len(), self.params.len());
        for (id, span) in layout.ids() {
            let expected = self.params[&span.name].iter().map(|&x| R::from_f64(x));
            layout.slice_mut(&mut model.weights, id).iter_mut().zip(expected).for_each(|(w, x)| *w = x);
        }
        model
    }

    fn window(&self) -> Window {
        Window::new(self.seq_len, self.batch, self.inputs.clone(), self.targets.clone())
    }

    /// Reorders a state from PyTorch's `(L, B, states * H)` to `(B, L, states * H)`.
    fn by_stream(&self, state: &[f64]) -> Vec<f64> {
        let width = self.state0.len() / (self.layers * self.batch);
        let at = |b: usize, l: usize| &state[(l * self.batch + b) * width..][..width];
        (0..self.batch).flat_map(|b| (0..self.layers).flat_map(move |l| at(b, l).to_vec())).collect()
    }

    fn set_state<R: CellReal>(&self, step: &mut Step<R>) {
        let mut values = self.by_stream(&self.state0).into_iter();
        for state in step.states_mut() {
            state.iter_mut().for_each(|x| *x = R::from_f64(values.next().unwrap()));
        }
    }
}

/// Fails if an error is larger than `tolerance` times the largest element of `expected`.
fn close<R: CellReal>(what: &str, got: impl IntoIterator<Item = R>, expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    let got: Vec<f64> = got.into_iter().map(R::to_f64).collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(expected).enumerate() {
        assert!((g - w).abs() <= tolerance * largest, "{what}[{i}]: {g} instead of {w}");
    }
}

fn forward_and_backward<R: CellReal>(cell: &str, tolerance: f64) {
    let golden = Golden::of(cell);
    let (model, window) = (golden.model::<R>(), golden.window());

    let inference_model = InferenceModel::new(&model, Precision::F32);
    let mut session = InferenceSession::single_threaded(&inference_model, golden.batch, golden.seq_len);
    let state0 = golden.by_stream(&golden.state0);
    for (stream, state) in state0.chunks_exact(model.state_len()).enumerate() {
        session.state_mut(stream).iter_mut().zip(state).for_each(|(s, x)| *s = R::from_f64(*x));
    }
    session.run(&golden.inputs.iter().map(|id| Input::with_logits(*id)).collect::<Vec<_>>());
    let mut logits = Vec::new();
    session.for_each_logits(|_, row| logits.extend_from_slice(row));
    close("logits", logits, &golden.logits, tolerance);
    let state = (0..golden.batch).flat_map(|stream| session.state(stream)).copied();
    close("state", state, &golden.by_stream(&golden.state1), tolerance);

    let mut step = Step::new(&model, golden.batch, golden.seq_len);
    golden.set_state(&mut step);
    let loss = step.run(&model, &window, None);
    close::<f64>("loss", [loss], &[golden.loss], tolerance);
    for (id, span) in model.layout().ids() {
        let got = model.layout().slice(&step.grads, id).iter().copied();
        close(&span.name, got, &golden.grads[&span.name], tolerance);
    }
    close::<f64>("norm", [step.norm()], &[golden.grad_norm], tolerance);
    let d_state: Vec<R> = (0..golden.layers).flat_map(|l| step.d_initial_states(l)).collect();
    close("initial state", d_state, &golden.grad_state0, tolerance);
}

fn ten_steps<R: CellReal>(golden: &Golden, optimizer: Optimizer, expected: &Losses, tolerance: f64) {
    let (mut model, window) = (golden.model::<R>(), golden.window());
    let mut step = Step::new(&model, golden.batch, golden.seq_len);
    let mut moments = vec![vec![R::ZERO; model.layout().len()]; optimizer.moments()];
    let losses: Vec<f64> = (1..=expected.losses.len() as u64)
        .map(|number| {
            golden.set_state(&mut step);
            let loss = step.run(&model, &window, None);
            let grad_scale = clip_scale(step.norm(), expected.clip);
            let update =
                UpdateParams { lr: expected.lr, weight_decay: expected.weight_decay, grad_scale, step: number };
            step.update(&mut model, &mut moments, optimizer, update);
            loss
        })
        .collect();
    close::<f64>(&format!("losses of {optimizer:?}"), losses, &expected.losses, tolerance);
}

#[test]
fn forward_and_backward_match_pytorch_in_f64() {
    CELLS.iter().for_each(|cell| forward_and_backward::<f64>(cell, 1e-9));
}

#[test]
fn forward_and_backward_match_pytorch_in_f32() {
    CELLS.iter().for_each(|cell| forward_and_backward::<f32>(cell, 1e-4));
}

#[test]
fn ten_steps_of_every_optimizer_match_pytorch() {
    for golden in CELLS.map(Golden::of) {
        for (optimizer, expected) in
            [(Optimizer::Adamw, &golden.adamw), (Optimizer::Sgd, &golden.sgd), (Optimizer::Rmsprop, &golden.rmsprop)]
        {
            ten_steps::<f64>(&golden, optimizer, expected, 1e-9);
            ten_steps::<f32>(&golden, optimizer, expected, 1e-4);
        }
    }
}
