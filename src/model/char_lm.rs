//! The weights of a model.

use std::sync::Arc;

use super::config::ModelConfig;
use super::memory;
use crate::cells::RegisteredCell;
use crate::error::Result;
use crate::kernels::{Mat, Real, RowLayout};
use crate::params::{Layout, SpanId};
use crate::simd::Isa;

/// The spans of one recurrent layer.
#[derive(Clone, Copy, Debug)]
pub struct RnnSpans {
    /// `rnn.L.w_ih`: `inputs x input_gates * H`, with the gates of [`CellSpec::input_gates`](crate::cells::CellSpec::input_gates).
    pub w_ih: SpanId,
    /// `rnn.L.w_hh`: `recurrent inputs * H x recurrent * H`, with the gates of
    /// [`CellSpec::recurrent_gates`](crate::cells::CellSpec::recurrent_gates). `None` if the recurrence is diagonal.
    pub w_hh: Option<SpanId>,
    /// `rnn.L.b`: `gates * H`.
    pub b: SpanId,
    /// `rnn.L.p`: the diagonal weights, `H` each; `None` if the cell has none.
    pub p: Option<SpanId>,
}

#[derive(Debug)]
struct Spans {
    embed: Option<SpanId>,
    rnn: Vec<RnnSpans>,
    head_w: SpanId,
    head_b: SpanId,
}

/// A character language model: its shape and its weights.
#[derive(Clone, Debug)]
pub struct CharLm<R> {
    config: ModelConfig,
    cell: &'static RegisteredCell,
    layout: Arc<Layout>,
    spans: Arc<Spans>,
    /// All weights, in the order of [`CharLm::layout`].
    pub weights: Vec<R>,
}

impl<R: Real> CharLm<R> {
    /// Creates a model of this shape with all weights zero.
    ///
    /// # Errors
    /// Those of [`ModelConfig::validate`]; [`Error::OutOfMemory`](crate::error::Error::OutOfMemory) if the weights cannot be
    /// allocated.
    pub fn zeros(config: &ModelConfig) -> Result<Self> {
        Isa::detect()?;
        let cell = config.validate()?;
        let (layout, spans) = lay_out(config, cell);
        let weights = memory::try_zeroed("a model of this shape", layout.len())?;
        Ok(CharLm { config: config.clone(), cell, layout: Arc::new(layout), spans: Arc::new(spans), weights })
    }

    /// The shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }
    /// The cell.
    pub fn cell(&self) -> &'static RegisteredCell {
        self.cell
    }
    /// Names, shapes and offsets of the weights.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// `embed.w`, `V x E`; `None` for one-hot input.
    pub fn embed(&self) -> Option<SpanId> {
        self.spans.embed
    }
    /// The spans of a recurrent layer.
    pub fn rnn(&self, layer: usize) -> RnnSpans {
        self.spans.rnn[layer]
    }
    /// `head.w`, `H x V`.
    pub fn head_w(&self) -> SpanId {
        self.spans.head_w
    }
    /// `head.b`, `V`.
    pub fn head_b(&self) -> SpanId {
        self.spans.head_b
    }
    /// The gates of a layer at one position.
    pub fn gates(&self) -> RowLayout {
        RowLayout { parts: self.cell.spec.gates.len(), width: self.config.hidden_size }
    }
    /// The number of elements of the gates of a layer at one position.
    pub fn gates_len(&self) -> usize {
        self.gates().elements()
    }
    /// The weights of a layer's diagonals, one after another.
    pub fn diagonal_weights(&self, layer: usize) -> &[R] {
        self.rnn(layer).p.map_or(&[], |id| self.slice(id))
    }
    /// The number of elements of a layer's state of one stream.
    pub fn layer_state_len(&self) -> usize {
        self.cell.spec.states * self.config.hidden_size
    }
    /// The number of elements of the state of one stream in all layers.
    pub fn state_len(&self) -> usize {
        self.config.num_layers * self.layer_state_len()
    }

    /// The elements of a span.
    pub fn slice(&self, id: SpanId) -> &[R] {
        self.layout.slice(&self.weights, id)
    }

    /// Zeroes the blocks of the recurrent weights that the cell does not use.
    pub fn clear_zero_blocks(&mut self) {
        let (spec, hidden, layout) = (self.cell().spec, self.config.hidden_size, self.layout.clone());
        let columns = spec.recurrent_gates.len() * hidden;
        for layer in 0..self.config.num_layers {
            let Some(w_hh) = self.rnn(layer).w_hh else { continue };
            let w_hh = layout.slice_mut(&mut self.weights, w_hh);
            for (state, gate) in spec.zero_blocks {
                let rows = w_hh[state * hidden * columns..].chunks_exact_mut(columns).take(hidden);
                rows.for_each(|row| row[gate * hidden..][..hidden].fill(R::ZERO));
            }
        }
    }

    /// A span as a matrix.
    pub fn matrix(&self, id: SpanId) -> Mat<'_, R> {
        let span = self.layout.span(id);
        Mat::new(self.slice(id), span.rows, span.cols)
    }
}

/// Matrices come first, so that weight decay applies to one range.
fn lay_out(config: &ModelConfig, cell: &RegisteredCell) -> (Layout, Spans) {
    let ModelConfig { num_layers: layers, hidden_size: hidden, embed_size: embed, vocab_size: vocab, .. } = *config;
    let spec = cell.spec;
    let mut layout = Layout::new();
    let embedding = (embed > 0).then(|| layout.matrix("embed.w", vocab, embed));
    let mut matrices = Vec::with_capacity(layers);
    for layer in 0..layers {
        let inputs = match layer {
            0 if embed > 0 => embed,
            0 => vocab,
            _ => hidden,
        };
        let w_ih = layout.matrix(format!("rnn.{layer}.w_ih"), inputs, spec.input_gates.len() * hidden);
        let recurrent = (spec.recurrent_inputs * hidden, spec.recurrent_gates.len() * hidden);
        let w_hh = (recurrent.1 > 0).then(|| layout.matrix(format!("rnn.{layer}.w_hh"), recurrent.0, recurrent.1));
        matrices.push((w_ih, w_hh));
    }
    let head_w = layout.matrix("head.w", hidden, vocab);
    let rnn = matrices.into_iter().enumerate().map(|(layer, (w_ih, w_hh))| {
        let b = layout.vector(format!("rnn.{layer}.b"), spec.gates.len() * hidden);
        let diagonal_weights = spec.diagonal_weights.len() * hidden;
        let p = (diagonal_weights > 0).then(|| layout.vector(format!("rnn.{layer}.p"), diagonal_weights));
        RnnSpans { w_ih, w_hh, b, p }
    });
    let rnn = rnn.collect();
    let head_b = layout.vector("head.b", vocab);
    (layout, Spans { embed: embedding, rnn, head_w, head_b })
}
