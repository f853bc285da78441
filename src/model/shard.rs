//! Some streams of a batch, run forward and back on one thread.

use super::char_lm::CharLm;
use super::prepared::Prepared;
use super::window::Window;
use crate::cells::CellReal;
use crate::kernels::{Mat, softmax};
use crate::layers::dropout::Dropout;
use crate::layers::linear;
use crate::layers::recurrent::{Resets, Tape};

/// What a shard is for: buffers of the backward pass are left out where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Forward and back.
    Training,
    /// Forward only.
    Inference,
}

/// Streams of a shard at most: enough rows for the recurrent product to run from cache, few enough to share out.
const MOST_STREAMS: usize = 16;

/// A batch cut into shards, as even as can be and two at least: the first stream and the number of streams of each. The cut
/// depends on the batch alone, so that sums taken over shards have the same bits whatever the number of threads.
pub fn cut(batch: usize) -> impl Iterator<Item = (usize, usize)> {
    let n = batch.div_ceil(MOST_STREAMS).max(batch.min(2));
    (0..n).map(move |i| (i * batch / n, (i + 1) * batch / n - i * batch / n))
}

/// Some streams of a batch: their carried state and their activations over a window. Allocated once.
#[derive(Debug)]
pub struct Shard<R> {
    first: usize,
    streams: usize,
    hidden: usize,
    vocab: usize,
    /// Characters of the window at hand.
    steps: usize,
    /// The state of every stream, `(b, layers * states * H)`, carried from window to window.
    pub state: Vec<R>,
    tapes: Vec<Tape<R>>,
    /// `(T, b, H)` of every layer: its outputs after dropout. Empty without dropout.
    dropped: Vec<Vec<R>>,
    /// `(T, b, H)` of every layer: the outputs before each step, resets applied. Empty until a state is reset.
    previous: Vec<Vec<R>>,
    /// `(T, b)`: where streams are reset. Empty in a window without resets.
    resets: Vec<bool>,
    /// Positions `t * b + stream` whose prediction counts.
    scored: Vec<usize>,
    /// `(scored, H)`: what the output layer reads, and its gradient.
    top: Vec<R>,
    d_top: Vec<R>,
    /// `(scored, V)`: logits, then their gradients.
    logits: Vec<R>,
    /// `(T, b, H)`: the gradient of a layer's outputs.
    dy: Vec<R>,
    /// The weighted sum of losses of every stream, in nats.
    pub losses: Vec<f64>,
}

impl<R: CellReal> Shard<R> {
    /// Streams `first..first + streams` of a batch, in windows of up to `steps` characters.
    pub fn new(model: &CharLm<R>, first: usize, streams: usize, steps: usize, purpose: Purpose) -> Self {
        let (config, rows) = (model.config(), steps * streams);
        let zeros = |n: usize| vec![R::ZERO; n];
        let back = if purpose == Purpose::Training { rows * config.hidden } else { 0 };
        Shard {
            first,
            streams,
            hidden: config.hidden,
            vocab: config.vocab,
            steps: 0,
            state: zeros(streams * model.state_len()),
            tapes: (0..config.layers).map(|_| Tape::new(model.cell(), config.hidden, steps, streams)).collect(),
            dropped: Vec::new(),
            previous: Vec::new(),
            resets: Vec::new(),
            scored: Vec::with_capacity(rows),
            top: zeros(rows * config.hidden),
            d_top: zeros(back),
            logits: zeros(rows * config.vocab),
            dy: zeros(back),
            losses: vec![0.0; streams],
        }
    }

    /// The streams of the batch that this shard runs.
    pub fn streams(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.streams
    }

    /// Runs the layers over a window, carries the state on, and leaves the logits of every position that counts.
    pub fn forward(&mut self, model: &CharLm<R>, prepared: &Prepared<R>, window: &Window, dropout: Option<Dropout>) {
        self.begin(window, dropout);
        for layer in 0..self.tapes.len() {
            self.input_product(model, prepared, window, layer);
            let (len, width) = (model.layer_state_len(), model.state_len());
            let tape = &mut self.tapes[layer];
            for (to, from) in tape.initial_state_mut().chunks_exact_mut(len).zip(self.state.chunks_exact(width)) {
                to.copy_from_slice(&from[layer * len..][..len]);
            }
            tape.forward(&prepared.packed[layer].w_hh, window.steps, some_resets(&self.resets));
            let last = tape.state(window.steps);
            for (to, from) in self.state.chunks_exact_mut(width).zip(last.chunks_exact(len)) {
                to[layer * len..][..len].copy_from_slice(from);
            }
            if let Some(dropout) = dropout {
                let dropped = &mut self.dropped[layer];
                tape.copy_outputs(window.steps, dropped);
                let rows = &mut dropped[..window.steps * self.streams * self.hidden];
                drop_streams(dropout, rows, layer, self.first, self.streams, self.hidden);
            }
        }
        self.gather_scored();
        let n = self.scored.len();
        let (w, b) = (model.matrix(model.head_w()), model.slice(model.head_b()));
        linear::forward(&mut self.logits[..n * self.vocab], Mat::new(&self.top, n, self.hidden), w, b);
    }

    /// Turns the logits into losses and their gradients; weights of the loss are divided by `total_weight`.
    pub fn score(&mut self, window: &Window, total_weight: f64) {
        self.losses.fill(0.0);
        for (logits, &position) in self.logits.chunks_exact_mut(self.vocab).zip(&self.scored) {
            let (t, stream) = (position / self.streams, position % self.streams);
            let at = t * window.streams + self.first + stream;
            let weight = f64::from(window.weights[at]);
            let target = window.targets[at] as usize;
            self.losses[stream] += weight * softmax::cross_entropy(logits, target, R::from_f64(weight / total_weight));
        }
    }

    /// From the gradients of the logits back to those of every layer's pre-activations.
    pub fn backward(&mut self, model: &CharLm<R>, prepared: &Prepared<R>, dropout: Option<Dropout>) {
        let (n, rows) = (self.scored.len(), self.steps * self.streams);
        let d_top = &mut self.d_top[..n * self.hidden];
        linear::backward(d_top, Mat::new(&self.logits, n, self.vocab), model.matrix(model.head_w()));
        let dy = &mut self.dy[..rows * self.hidden];
        dy.fill(R::ZERO);
        for (&position, row) in self.scored.iter().zip(d_top.chunks_exact(self.hidden)) {
            dy[position * self.hidden..][..self.hidden].copy_from_slice(row);
        }
        let resets = some_resets(&self.resets);
        for (layer, tape) in self.tapes.iter_mut().enumerate().rev() {
            if let Some(dropout) = dropout {
                drop_streams(dropout, dy, layer, self.first, self.streams, self.hidden);
            }
            tape.backward(&prepared.packed[layer].w_hh_t, dy, self.steps, resets);
            if layer > 0 {
                let d_gates = Mat::new(&tape.gates, rows, model.gates_len());
                linear::backward(dy, d_gates, model.matrix(model.rnn(layer).w_ih));
            }
        }
        if !self.resets.is_empty() {
            self.reset_previous();
        }
    }

    /// The logits `(scored, V)` of the last window, until [`score`](Self::score).
    pub fn logits(&mut self) -> &mut [R] {
        &mut self.logits[..self.scored.len() * self.vocab]
    }

    /// The gradient `(b, states * H)` of a layer's state before the window.
    pub fn d_initial_state(&self, layer: usize) -> &[R] {
        self.tapes[layer].d_initial_state()
    }

    /// What a layer above the first read at each position: the outputs of the one below, after dropout.
    pub(super) fn layer_input(&self, layer: usize) -> Mat<'_, R> {
        match self.dropped.get(layer - 1) {
            Some(dropped) => Mat::new(dropped, self.steps * self.streams, self.hidden),
            None => self.tapes[layer - 1].outputs(self.steps),
        }
    }

    /// The outputs of a layer before each step.
    pub(super) fn previous_outputs(&self, layer: usize) -> Mat<'_, R> {
        if self.resets.is_empty() {
            self.tapes[layer].previous_outputs(self.steps)
        } else {
            Mat::new(&self.previous[layer], self.steps * self.streams, self.hidden)
        }
    }

    /// The gradients of a layer's pre-activations, `(T * b, gates * H)`.
    pub(super) fn d_gates(&self, layer: usize) -> &[R] {
        let tape = &self.tapes[layer];
        &tape.gates[..self.steps * self.streams * tape.gates_len()]
    }

    /// What the output layer read, and the gradient of its logits.
    pub(super) fn head(&self) -> (Mat<'_, R>, &[R]) {
        let n = self.scored.len();
        (Mat::new(&self.top, n, self.hidden), &self.logits[..n * self.vocab])
    }

    /// The characters that were read, in the order of the rows of [`d_gates`](Self::d_gates).
    pub(super) fn inputs<'a>(&self, window: &'a Window) -> impl Iterator<Item = u32> + use<'a, R> {
        let streams = self.streams();
        window.inputs.chunks_exact(window.streams).flat_map(move |row| row[streams.clone()].iter().copied())
    }

    fn begin(&mut self, window: &Window, dropout: Option<Dropout>) {
        self.steps = window.steps;
        self.resets.clear();
        if window.resets.contains(&true) {
            let streams = self.streams();
            self.resets.extend(window.resets.chunks_exact(window.streams).flat_map(|row| &row[streams.clone()]));
        }
        let layers = if dropout.is_some() { self.tapes.len() } else { 0 };
        self.dropped.resize_with(layers, || vec![R::ZERO; self.top.len()]);
        self.scored.clear();
        for (t, row) in window.weights.chunks_exact(window.streams).enumerate() {
            let counts = row[self.first..][..self.streams].iter().enumerate().filter(|(_, w)| **w != 0.0);
            self.scored.extend(counts.map(|(stream, _)| t * self.streams + stream));
        }
    }

    /// The input's part of a layer's pre-activations, with its bias.
    fn input_product(&mut self, model: &CharLm<R>, prepared: &Prepared<R>, window: &Window, layer: usize) {
        let width = model.gates_len();
        let mut gates = std::mem::take(&mut self.tapes[layer].gates);
        let used = &mut gates[..self.steps * self.streams * width];
        if layer == 0 {
            for (row, id) in used.chunks_exact_mut(width).zip(self.inputs(window)) {
                row.copy_from_slice(prepared.table.row(id));
            }
        } else {
            let spans = model.rnn(layer);
            linear::forward(used, self.layer_input(layer), model.matrix(spans.w_ih), model.slice(spans.b));
        }
        self.tapes[layer].gates = gates;
    }

    /// Rows of the last layer's outputs, after dropout, at the positions that count.
    fn gather_scored(&mut self) {
        let mut top = std::mem::take(&mut self.top);
        let outputs = self.layer_input(self.tapes.len());
        for (to, &position) in top.chunks_exact_mut(self.hidden).zip(&self.scored) {
            to.copy_from_slice(outputs.row(position));
        }
        self.top = top;
    }

    /// The outputs before each step with resets applied, for the weight gradients.
    fn reset_previous(&mut self) {
        let len = self.top.len();
        self.previous.resize_with(self.tapes.len(), || vec![R::ZERO; len]);
        for (previous, tape) in self.previous.iter_mut().zip(&self.tapes) {
            let from = tape.previous_outputs(self.steps);
            for (i, (row, reset)) in previous.chunks_exact_mut(self.hidden).zip(&self.resets).enumerate() {
                if *reset { row.fill(R::ZERO) } else { row.copy_from_slice(from.row(i)) }
            }
        }
    }
}

fn some_resets(resets: &[bool]) -> Resets<'_> {
    Some(resets).filter(|resets| !resets.is_empty())
}

/// Applies the masks of `streams` streams from number `first` on to values `(T, b, hidden)`.
fn drop_streams<R: CellReal>(
    dropout: Dropout,
    values: &mut [R],
    layer: usize,
    first: usize,
    streams: usize,
    hidden: usize,
) {
    for stream in 0..streams {
        dropout.apply(values, layer, streams, stream, first + stream, hidden);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shards_cover_the_batch_in_order() {
        for batch in 1..200 {
            let cut: Vec<_> = super::cut(batch).collect();
            assert_eq!(cut.iter().map(|(_, n)| n).sum::<usize>(), batch);
            assert!(cut.iter().all(|(_, n)| (1..=16).contains(n)), "{batch}: {cut:?}");
            assert!(cut.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        }
    }
}
