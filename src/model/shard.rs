//! The forward and backward passes of a shard of the batch.
//!
//! Each layer runs over the whole window before the next one, so that its weights stay in the cache. Within a layer, the input
//! product (or in the backward pass the gradient from the layer above) and the scan alternate in chunks of steps, so that the
//! results of the product are still in the cache when the scan reads them.

use std::ops::Range;

use super::char_lm::CharLm;
use super::packed_weights::{InputTable, PackedWeights};
use super::window::Window;
use crate::cells::{CellReal, CellSpec};
use crate::kernels::{AccumulatorInit, PanelBuffer, PanelView, RowLayout, softmax};
use crate::layers::dropout::{Dropout, DropoutLayer};
use crate::layers::linear;
use crate::layers::recurrent::{LayerActivations, Resets};

/// The purpose of a shard. Inference needs no buffers for the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Training,
    Inference,
}

/// Rows of the product of a chunk: enough to amortize reading the weights.
const ROWS_PER_CHUNK: usize = 128;

/// The carried states of some streams of a batch, and their activations over a window. `b` is the number of streams. Buffers are
/// allocated once.
#[derive(Debug)]
pub struct Shard<R> {
    spec: &'static CellSpec,
    first: usize,
    streams: usize,
    steps: usize,
    dropout: Option<Dropout>,
    chunk_steps: usize,
    tasks: usize,
    /// The state of every stream, `(b, layers * states * H)`, carried from window to window.
    pub state: Vec<R>,
    layers: Vec<LayerActivations<R>>,
    /// The outputs of every layer after dropout; empty without dropout.
    dropped: Vec<DropoutLayer<R>>,
    /// `(T, b, states * H)` of every layer: the state before each step, with resets applied; empty until a state is reset.
    previous: Vec<PanelBuffer<R>>,
    /// `(T, b)`: whether the state is reset before a step; empty in a window without resets.
    resets: Vec<bool>,
    /// `(T, b)`: the row of the input table for each character.
    slots: Vec<u32>,
    /// `(T, b)`: the weight of each prediction in the loss.
    loss_weights: Vec<f32>,
    /// `(T)`: whether any prediction of the batch, in this shard or another, has a weight.
    scored: Vec<bool>,
    /// `(T, b, V)`: logits, later their gradients; not computed at steps without weights.
    logits: PanelBuffer<R>,
    row: Vec<R>,
    /// `(chunk_steps, b, H)`: the gradient of a layer's outputs.
    dy: PanelBuffer<R>,
    /// The weighted sum of the losses of each stream, in nats.
    pub losses: Vec<f64>,
}

impl<R: CellReal> Shard<R> {
    /// Streams `first..first + streams` of a batch, in windows of up to `steps` characters.
    pub fn new(model: &CharLm<R>, first: usize, streams: usize, steps: usize, purpose: Purpose) -> Self {
        let config = model.config();
        let chunk_steps = (ROWS_PER_CHUNK / streams.max(1)).clamp(1, steps.max(1));
        let back = if purpose == Purpose::Training { chunk_steps } else { 0 };
        Shard {
            spec: model.cell().spec,
            first,
            streams,
            steps: 0,
            dropout: None,
            chunk_steps,
            tasks: 1,
            state: vec![R::ZERO; streams * model.state_len()],
            layers: (0..config.num_layers)
                .map(|_| LayerActivations::new(model.cell(), config.hidden_size, steps, streams))
                .collect(),
            dropped: Vec::new(),
            previous: Vec::new(),
            resets: Vec::new(),
            slots: Vec::with_capacity(steps * streams),
            loss_weights: Vec::with_capacity(steps * streams),
            scored: Vec::with_capacity(steps),
            logits: PanelBuffer::new(RowLayout::single(config.vocab_size), steps, streams),
            row: vec![R::ZERO; config.vocab_size],
            dy: PanelBuffer::new(RowLayout::single(config.hidden_size), back, streams),
            losses: vec![0.0; streams],
        }
    }

    /// Divides the units of each step among `tasks` tasks of the current thread pool. This only pays off for a single stream.
    pub fn set_tasks(&mut self, tasks: usize) {
        self.tasks = tasks;
    }

    /// The streams of the batch that this shard runs.
    pub fn streams(&self) -> Range<usize> {
        self.first..self.first + self.streams
    }

    /// Runs all layers over a window, updates the carried states, and computes the logits of every position with a weight.
    pub fn forward(&mut self, model: &CharLm<R>, packed: &PackedWeights<R>, window: &Window, dropout: Option<Dropout>) {
        self.begin(window, &packed.table, model.config().hidden_size, dropout);
        let (len, width) = (model.layer_state_len(), model.state_len());
        for layer in 0..self.layers.len() {
            self.layers[layer].set_diagonal_weights(model.diagonal_weights(layer));
            for (stream, state) in self.state.chunks_exact(width).enumerate() {
                self.layers[layer].write_initial_state(stream, &state[layer * len..][..len]);
            }
            for steps in self.chunks() {
                self.scan(packed, layer, steps.clone());
                if let Some(dropout) = self.dropout {
                    self.dropped[layer].forward(dropout, steps.clone(), self.layers[layer].outputs(steps));
                }
            }
            for (stream, state) in self.state.chunks_exact_mut(width).enumerate() {
                self.layers[layer].read_state(self.steps, stream, &mut state[layer * len..][..len]);
            }
        }
        for steps in self.chunks() {
            if self.has_loss_weights(&steps) {
                let top = outputs(&self.layers, &self.dropped, self.layers.len() - 1, steps.clone());
                linear::forward(&mut self.logits, 0..1, steps, top, packed.head_w(), packed.head_b());
            }
        }
    }

    /// Computes the losses, and replaces the logits by their gradients; weights are divided by `total_weight`.
    pub fn score(&mut self, window: &Window, total_weight: f64) {
        self.losses.fill(0.0);
        for steps in self.chunks() {
            // Gradients of steps without weights are never read.
            if self.has_loss_weights(&steps) {
                steps.for_each(|t| self.score_step(window, total_weight, t));
            }
        }
    }

    fn score_step(&mut self, window: &Window, total_weight: f64, t: usize) {
        for stream in 0..self.streams {
            let weight = f64::from(self.loss_weights[t * self.streams + stream]);
            if weight == 0.0 {
                self.row.fill(R::ZERO);
            } else {
                self.logits.read(t, stream, &mut self.row);
                let target = window.targets[t * window.streams + self.first + stream] as usize;
                let loss = softmax::cross_entropy(&mut self.row, target, R::from_f64(weight / total_weight));
                self.losses[stream] += weight * loss;
            }
            self.logits.write(t, stream, &self.row);
        }
    }

    /// Backpropagates from the gradients of the logits to those of the pre-activations of every layer.
    pub fn backward(&mut self, packed: &PackedWeights<R>) {
        for layer in (0..self.layers.len()).rev() {
            self.layers[layer].begin_backward();
            for steps in self.chunks().rev() {
                self.gradient_from_above(packed, layer, steps.clone());
                if let Some(dropout) = self.dropout {
                    let d = self.dy.steps_mut(0..steps.len());
                    self.dropped[layer].backward(dropout, steps.clone(), d);
                }
                let resets = some_resets(&self.resets);
                self.layers[layer].backward(packed.w_hh_t(layer), &self.dy, steps, self.steps, resets);
            }
        }
        if !self.resets.is_empty() {
            self.compute_previous_states();
        }
    }

    /// Calls `visit` for every position of the last window with a weight, in time order, with its index in a window of
    /// `batch_size` streams and its logits `V`. Must be called before [`score`](Self::score).
    pub fn for_each_logits(&mut self, batch_size: usize, visit: &mut impl FnMut(usize, &mut [R])) {
        for (i, _) in self.loss_weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let (t, stream) = (i / self.streams, i % self.streams);
            self.logits.read(t, stream, &mut self.row);
            visit(t * batch_size + self.first + stream, &mut self.row);
        }
    }

    /// Copies the state of a layer's stream after step `t` of the last window into `state`, `states * H` elements.
    pub fn read_state(&self, layer: usize, t: usize, stream: usize, state: &mut [R]) {
        self.layers[layer].read_state(t + 1, stream, state);
    }

    /// Copies the gates of a layer's stream at step `t` of the last window, after the forward pass of the cell, into `gates`, `gates * H`
    /// elements.
    pub fn read_gates(&self, layer: usize, t: usize, stream: usize, gates: &mut [R]) {
        self.layers[layer].gates.read(t, stream, gates);
    }

    /// The gradient `(b, states * H)` of a layer's state before the window.
    pub fn d_initial_state(&self, packed: &PackedWeights<R>, layer: usize) -> Vec<R> {
        self.layers[layer].d_initial_state(packed.w_hh_t(layer), some_resets(&self.resets))
    }

    /// The input of a layer above the first (or of the output layer) at a step: the outputs of the layer below.
    pub(super) fn layer_input(&self, layer: usize, t: usize) -> PanelView<'_, R> {
        outputs(&self.layers, &self.dropped, layer - 1, t..t + 1)
    }

    pub(super) fn state_before(&self, layer: usize, part: usize, t: usize) -> PanelView<'_, R> {
        if self.resets.is_empty() {
            self.layers[layer].states_before(part, t..t + 1)
        } else {
            self.previous[layer].parts(part..part + 1, t..t + 1)
        }
    }

    pub(super) fn state_after(&self, layer: usize, part: usize, t: usize) -> PanelView<'_, R> {
        self.layers[layer].states_after(part, t..t + 1)
    }

    pub(super) fn d_gates(&self, layer: usize, gates: Range<usize>, t: usize) -> PanelView<'_, R> {
        self.layers[layer].gates.parts(gates, t..t + 1)
    }

    pub(super) fn gates(&self) -> usize {
        self.spec.gates.len()
    }

    /// The gradients of the logits at a step; `None` if no prediction of the batch has a weight.
    pub(super) fn d_logits(&self, t: usize) -> Option<PanelView<'_, R>> {
        self.scored[t].then(|| self.logits.all(t..t + 1))
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn slots(&self, t: usize) -> &[u32] {
        &self.slots[t * self.streams..][..self.streams]
    }

    fn begin(&mut self, window: &Window, table: &InputTable<R>, hidden: usize, dropout: Option<Dropout>) {
        self.steps = window.steps;
        self.resets.clear();
        self.slots.clear();
        self.loss_weights.clear();
        self.scored.clear();
        let streams = self.streams();
        for t in 0..window.steps {
            let weights = &window.weights[t * window.streams..][..window.streams];
            self.scored.push(weights.iter().any(|weight| *weight != 0.0));
            let inputs = &window.inputs[t * window.streams..][streams.clone()];
            self.slots.extend(inputs.iter().map(|id| table.distinct.slot(*id)));
            self.loss_weights.extend_from_slice(&weights[streams.clone()]);
        }
        if window.resets.contains(&true) {
            for t in 0..window.steps {
                self.resets.extend_from_slice(&window.resets[t * window.streams..][streams.clone()]);
            }
        }
        self.dropout = dropout;
        let Some(dropout) = dropout else {
            self.dropped.clear();
            return;
        };
        let steps = self.logits.steps();
        self.dropped.resize_with(self.layers.len(), || DropoutLayer::new(hidden, steps, streams.len()));
        for (layer, dropped) in self.dropped.iter_mut().enumerate() {
            dropped.begin(dropout, layer, self.first);
        }
    }

    fn chunks(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + use<R> {
        let (steps, chunk_steps) = (self.steps, self.chunk_steps);
        (0..steps.div_ceil(chunk_steps)).map(move |i| i * chunk_steps..steps.min((i + 1) * chunk_steps))
    }

    fn has_loss_weights(&self, steps: &Range<usize>) -> bool {
        self.scored[steps.clone()].contains(&true)
    }

    /// Runs a layer over some steps. The input product of several steps is computed at once, that of a single step is computed
    /// block by block.
    fn scan(&mut self, packed: &PackedWeights<R>, layer: usize, steps: Range<usize>) {
        let (w_hh, resets, tasks) = (packed.w_hh(layer), some_resets(&self.resets), self.tasks);
        let (below, these) = self.layers.split_at_mut(layer);
        let (activations, parts) = (&mut these[0], self.spec.input_gates.clone());
        let shape = activations.gates.shape();
        if layer == 0 {
            let (table, slots, streams) = (&packed.table.panels, &self.slots, self.streams);
            let input = |t: usize, blocks: Range<usize>, gates: &mut [R]| {
                let start = AccumulatorInit::Gather { table, indices: &slots[t * streams..][..streams] };
                if self.spec.is_summed() {
                    return start;
                }
                start.write(shape.panels_of(blocks), gates, 0, (1, streams, shape.panel_width));
                AccumulatorInit::Output
            };
            activations.forward(w_hh, &input, steps, resets, tasks);
            return;
        }
        let x = outputs(below, &self.dropped, layer - 1, steps.clone());
        let (w_ih, bias) = (packed.w_ih(layer), packed.bias(layer));
        if steps.len() == 1 {
            let input = |_, blocks, gates: &mut [R]| {
                linear::multiply((shape, parts.clone(), blocks), gates, 0, x, w_ih, AccumulatorInit::Bias(bias));
                AccumulatorInit::Output
            };
            activations.forward(w_hh, &input, steps, resets, tasks);
        } else {
            linear::forward(&mut activations.gates, parts, steps.clone(), x, w_ih, bias);
            activations.forward(w_hh, &|_, _, _: &mut [R]| AccumulatorInit::Output, steps, resets, tasks);
        }
    }

    fn gradient_from_above(&mut self, packed: &PackedWeights<R>, layer: usize, steps: Range<usize>) {
        let has_loss_weights = self.has_loss_weights(&steps);
        let len = self.dy.shape().step_len();
        let dy = self.dy.steps_mut(0..steps.len());
        match self.layers.get(layer + 1) {
            Some(above) => {
                let w = packed.w_ih_t(layer + 1);
                let gates = above.gates.parts(self.spec.input_gates.clone(), steps);
                w.multiply(0..w.panels(), dy, len, gates, AccumulatorInit::Zero);
            }
            None if has_loss_weights => {
                let w = packed.head_w_t();
                w.multiply(0..w.panels(), dy, len, self.logits.all(steps), AccumulatorInit::Zero);
            }
            None => dy.fill(R::ZERO),
        }
    }

    /// Computes the states before each step with resets applied, which the weight gradients need.
    fn compute_previous_states(&mut self) {
        let (steps, streams) = (self.logits.steps(), self.streams);
        let row_layout = self.layers[0].state_shape().row_layout;
        self.previous.resize_with(self.layers.len(), || PanelBuffer::new(row_layout, steps, streams));
        for (previous, activations) in self.previous.iter_mut().zip(&self.layers) {
            activations.reset_states(previous, 0..self.steps, some_resets(&self.resets));
        }
    }
}

fn outputs<'a, R: CellReal>(
    layers: &'a [LayerActivations<R>],
    dropped: &'a [DropoutLayer<R>],
    layer: usize,
    steps: Range<usize>,
) -> PanelView<'a, R> {
    match dropped.get(layer) {
        Some(dropped) => dropped.outputs(steps),
        None => layers[layer].outputs(steps),
    }
}

fn some_resets(resets: &[bool]) -> Resets<'_> {
    Some(resets).filter(|resets| !resets.is_empty())
}
