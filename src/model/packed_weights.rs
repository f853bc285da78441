//! Weights prepared for GEMM: packed matrices, and the input product of the first layer.

use rayon::prelude::*;

use super::char_lm::CharLm;
use crate::kernels::{PackedMatrix, PanelBuffer, Real, RowLayout};
use crate::layers::embedding::{self, DistinctIds};
use crate::params::SpanId;

/// The first layer's input product, `embedding * w_ih^T + b`, for each distinct character of a window.
#[derive(Debug)]
pub struct InputTable<R> {
    pub distinct: DistinctIds,
    pub(super) gathered: Vec<R>,
    rows: Vec<R>,
    pub(super) panels: PanelBuffer<R>,
}

impl<R: Real> InputTable<R> {
    fn new(model: &CharLm<R>, most: usize) -> Self {
        let vocab = model.config().vocab_size;
        let most = most.min(vocab);
        InputTable {
            distinct: DistinctIds::new(vocab),
            gathered: vec![R::ZERO; most * model.config().embed_size],
            rows: vec![R::ZERO; most * model.gates_len()],
            panels: PanelBuffer::new(model.gates(), 1, most),
        }
    }

    pub fn refresh(&mut self, model: &CharLm<R>, inputs: &[u32]) {
        self.distinct.collect(inputs);
        let spans = model.rnn(0);
        embedding::project(
            &mut self.rows,
            &mut self.gathered,
            model.embed().map(|id| model.slice(id)),
            model.matrix(spans.w_ih),
            (model.slice(spans.b), model.cell().spec.input_gates.start * model.config().hidden_size),
            self.distinct.ids(),
        );
        let rows = self.rows.chunks_exact(model.gates_len()).take(self.distinct.ids().len());
        rows.enumerate().for_each(|(slot, row)| self.panels.write(0, slot, row));
    }
}

#[derive(Debug)]
struct PackedSpan<R> {
    span: SpanId,
    transposed: bool,
    packed: PackedMatrix<R>,
}

impl<R: Real> PackedSpan<R> {
    fn refresh(&mut self, model: &CharLm<R>) {
        if !self.packed.is_empty() {
            let weights = model.matrix(self.span);
            self.packed.pack(if self.transposed { weights.t() } else { weights });
        }
    }
}

/// Packed matrices of a layer: `w_hh` and `w_ih`, each also transposed.
const MATRICES_PER_LAYER: usize = 4;

/// Weight matrices packed once per optimizer step and reused for every time step.
#[derive(Debug)]
pub struct PackedWeights<R> {
    pub table: InputTable<R>,
    /// For every layer `w_hh`, its transpose, `w_ih` and its transpose; then `head.w` and its transpose. The first layer's `w_ih`
    /// is empty, as are the transposes if there is no backward pass.
    packed: Vec<PackedSpan<R>>,
    biases: Vec<PanelBuffer<R>>,
}

impl<R: Real> PackedWeights<R> {
    /// Buffers for windows of up to `positions` characters; `backward` if there is a backward pass.
    pub fn new(model: &CharLm<R>, positions: usize, backward: bool) -> Self {
        let (hidden, gates, none) =
            (RowLayout::single(model.config().hidden_size), model.gates(), RowLayout::single(0));
        let spec = model.cell().spec;
        let row_layout = |parts| RowLayout { parts, width: hidden.width };
        let (recurrent_inputs, recurrent, input) = (
            row_layout(spec.recurrent_inputs),
            row_layout(spec.recurrent_gates.len()),
            row_layout(spec.input_gates.len()),
        );
        let (vocab, layers) = (RowLayout::single(model.config().vocab_size), model.config().num_layers);
        let mut packed = Vec::with_capacity(MATRICES_PER_LAYER * layers + 2);
        let mut both = |span, input, output| {
            packed.push(PackedSpan { span, transposed: false, packed: PackedMatrix::new(input, output) });
            let (input, output) = if backward { (output, input) } else { (none, none) };
            packed.push(PackedSpan { span, transposed: true, packed: PackedMatrix::new(input, output) });
        };
        for layer in 0..layers {
            let spans = model.rnn(layer);
            match spans.w_hh {
                Some(w_hh) => both(w_hh, recurrent_inputs, recurrent),
                None => both(spans.b, none, none),
            }
            if layer == 0 { both(spans.w_ih, none, none) } else { both(spans.w_ih, hidden, input) }
        }
        both(model.head_w(), hidden, vocab);
        let biases =
            (0..layers).map(|_| gates).chain([vocab]).map(|row_layout| PanelBuffer::new(row_layout, 1, 1)).collect();
        PackedWeights { table: InputTable::new(model, positions), packed, biases }
    }

    /// The weights of a model for inference, with the first layer's input product of the whole vocabulary.
    pub fn for_inference(model: &CharLm<R>) -> Self {
        let vocab = model.config().vocab_size;
        let mut weights = Self::new(model, vocab, false);
        let all_ids: Vec<u32> = (0..vocab as u32).collect();
        weights.refresh(model, &all_ids);
        weights
    }

    pub(super) fn layer_matrices(&self) -> impl Iterator<Item = &PackedMatrix<R>> {
        self.packed[..self.packed.len() - 2].iter().map(|span| &span.packed)
    }

    pub(super) fn layer_matrices_mut(&mut self) -> impl Iterator<Item = &mut PackedMatrix<R>> {
        let len = self.packed.len() - 2;
        self.packed[..len].iter_mut().map(|span| &mut span.packed)
    }

    pub fn refresh(&mut self, model: &CharLm<R>, inputs: &[u32]) {
        self.refresh_biases(model);
        let PackedWeights { table, packed, .. } = self;
        rayon::join(|| table.refresh(model, inputs), || packed.par_iter_mut().for_each(|packed| packed.refresh(model)));
    }

    fn refresh_biases(&mut self, model: &CharLm<R>) {
        let layers = (0..model.config().num_layers).map(|layer| model.rnn(layer).b);
        for (bias, id) in self.biases.iter_mut().zip(layers.chain([model.head_b()])) {
            bias.write(0, 0, model.slice(id));
        }
    }

    /// `recurrent inputs * H x recurrent gates * H` of a layer; empty if the recurrence is diagonal.
    pub fn w_hh(&self, layer: usize) -> &PackedMatrix<R> {
        &self.packed[MATRICES_PER_LAYER * layer].packed
    }
    /// `recurrent gates * H x recurrent inputs * H` of a layer.
    pub fn w_hh_t(&self, layer: usize) -> &PackedMatrix<R> {
        &self.packed[MATRICES_PER_LAYER * layer + 1].packed
    }
    /// `H x input gates * H` of a layer above the first.
    pub fn w_ih(&self, layer: usize) -> &PackedMatrix<R> {
        &self.packed[MATRICES_PER_LAYER * layer + 2].packed
    }
    /// `input gates * H x H` of a layer above the first.
    pub fn w_ih_t(&self, layer: usize) -> &PackedMatrix<R> {
        &self.packed[MATRICES_PER_LAYER * layer + 3].packed
    }
    /// `H x V`.
    pub fn head_w(&self) -> &PackedMatrix<R> {
        &self.packed[self.packed.len() - 2].packed
    }
    /// `V x H`.
    pub fn head_w_t(&self) -> &PackedMatrix<R> {
        &self.packed[self.packed.len() - 1].packed
    }
    pub fn bias(&self, layer: usize) -> &PanelBuffer<R> {
        &self.biases[layer]
    }
    pub fn head_b(&self) -> &PanelBuffer<R> {
        &self.biases[self.biases.len() - 1]
    }
}
