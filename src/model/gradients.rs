//! Weight gradients, computed in tiles. Each tile is one task that sums over the whole batch.
//!
//! Sums are taken in time order and, within a time step, in stream order, so the bits depend neither on the number of tasks nor on
//! how the batch is split into shards.

use super::char_lm::CharLm;
use super::packed_weights::InputTable;
use super::shard::Shard;
use crate::cells::{CellReal, DiagonalWeight};
use crate::kernels::{Mat, MatMut, PanelBuffer, RowLayout, gemm, vector, weight_gradient};
use crate::layers::linear;

/// The minimum number of rows of a tile: smaller tiles would read the gate gradients too often.
const MIN_ROWS: usize = 64;
const MAX_TILES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TileTarget {
    Embedding,
    Input { layer: usize },
    Recurrent { layer: usize, state: usize },
    Bias { layer: usize, gate: usize },
    DiagonalWeight { layer: usize, index: usize },
    HeadWeights,
    HeadBias,
}

/// A part of the gradients that one task computes.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    target: TileTarget,
    row: usize,
    rows: usize,
    pub len: usize,
}

impl Tile {
    /// Whether it depends on the gradient of the input table.
    pub fn needs_table(&self) -> bool {
        matches!(
            self.target,
            TileTarget::Embedding | TileTarget::Input { layer: 0 } | TileTarget::Bias { layer: 0, .. }
        )
    }
}

/// The tiles of a model's gradients, in the order of the arena and without gaps. No tile spans more than one state vector, gate
/// bias or diagonal weight.
pub fn tiles<R: CellReal>(model: &CharLm<R>) -> Vec<Tile> {
    let (spec, hidden, layout) = (model.cell().spec, model.config().hidden_size, model.layout());
    let mut tiles = Vec::new();
    let mut add = |target, rows: usize, cols: usize| {
        let most = match target {
            TileTarget::Embedding => rows,
            _ => rows.div_ceil(MAX_TILES).next_multiple_of(MIN_ROWS),
        };
        for row in (0..rows).step_by(most) {
            let rows = most.min(rows - row);
            tiles.push(Tile { target, row, rows, len: rows * cols });
        }
    };
    if let Some(embed) = model.embed() {
        add(TileTarget::Embedding, layout.span(embed).rows, layout.span(embed).cols);
    }
    for layer in 0..model.config().num_layers {
        let w_ih = layout.span(model.rnn(layer).w_ih);
        add(TileTarget::Input { layer }, w_ih.rows, w_ih.cols);
        let recurrent_inputs = if spec.recurrent_gates.is_empty() { 0 } else { spec.recurrent_inputs };
        (0..recurrent_inputs)
            .for_each(|state| add(TileTarget::Recurrent { layer, state }, hidden, spec.recurrent_gates.len() * hidden));
    }
    add(TileTarget::HeadWeights, hidden, model.config().vocab_size);
    for layer in 0..model.config().num_layers {
        (0..spec.gates.len()).for_each(|gate| add(TileTarget::Bias { layer, gate }, 1, hidden));
        (0..spec.diagonal_weights.len()).for_each(|index| add(TileTarget::DiagonalWeight { layer, index }, 1, hidden));
    }
    add(TileTarget::HeadBias, 1, model.config().vocab_size);
    assert_eq!(tiles.iter().map(|tile| tile.len).sum::<usize>(), layout.len(), "the tiles must cover all gradients");
    tiles
}

fn each_step<'a, R: CellReal, T>(
    shards: &'a [Shard<R>],
    select: impl Fn(&'a Shard<R>, usize) -> T + Clone,
) -> impl Iterator<Item = T> + Clone {
    let steps = shards.first().map_or(0, Shard::steps);
    (0..steps).flat_map(move |t| shards.iter().map(move |shard| (shard, t))).map(move |(shard, t)| select(shard, t))
}

/// Computes a tile that does not depend on the input table.
pub fn fill<R: CellReal>(tile: &Tile, out: &mut [R], model: &CharLm<R>, shards: &[Shard<R>]) {
    let (spec, width) = (model.cell().spec, model.config().hidden_size);
    let row_layout = |parts| RowLayout { parts, width };
    let units = tile.row..tile.row + tile.rows;
    let vocab = RowLayout::single(model.config().vocab_size);
    match tile.target {
        TileTarget::Input { layer } => {
            let gates = row_layout(spec.input_gates.len());
            let dw = MatMut::new(out, tile.rows, gates.elements());
            let steps = each_step(shards, move |shard, t| {
                (shard.layer_input(layer, t), shard.d_gates(layer, spec.input_gates.clone(), t))
            });
            weight_gradient(dw, units, gates, steps);
        }
        TileTarget::Recurrent { layer, state } => {
            let gates = row_layout(spec.recurrent_gates.len());
            let steps = each_step(shards, move |shard, t| {
                (shard.state_before(layer, state, t), shard.d_gates(layer, spec.recurrent_gates.clone(), t))
            });
            weight_gradient(MatMut::new(out, tile.rows, gates.elements()), units, gates, steps);
            for (_, gate) in spec.zero_blocks.iter().filter(|(from, _)| *from == state) {
                out.chunks_exact_mut(gates.elements()).for_each(|row| row[gate * width..][..width].fill(R::ZERO));
            }
        }
        TileTarget::Bias { layer, gate } => {
            let gates = 0..spec.gates.len();
            let steps = each_step(shards, move |shard, t| shard.d_gates(layer, gates.clone(), t));
            linear::bias_gradient(out, gate, spec.gates.len(), steps);
        }
        TileTarget::DiagonalWeight { layer, index } => {
            let DiagonalWeight { gate, state, sees_new_state } = spec.diagonal_weights[index];
            let steps = each_step(shards, move |shard, t| {
                let seen = if sees_new_state {
                    shard.state_after(layer, state, t)
                } else {
                    shard.state_before(layer, state, t)
                };
                (shard.d_gates(layer, gate..gate + 1, t), seen)
            });
            linear::diagonal_gradient(out, steps);
        }
        TileTarget::HeadWeights => {
            let top = model.config().num_layers;
            let dw = MatMut::new(out, tile.rows, vocab.elements());
            let steps = each_step(shards, move |shard, t| Some((shard.layer_input(top, t), shard.d_logits(t)?)));
            weight_gradient(dw, units, vocab, steps.flatten());
        }
        TileTarget::HeadBias => linear::bias_gradient(out, 0, 1, each_step(shards, Shard::d_logits).flatten()),
        TileTarget::Embedding => {}
    }
}

/// The gradient of the [`InputTable`]: a row for each distinct character.
#[derive(Debug)]
pub struct TableGradient<R> {
    panels: PanelBuffer<R>,
    rows: Vec<R>,
    d_gathered: Vec<R>,
}

impl<R: CellReal> TableGradient<R> {
    /// Buffers for up to `positions` distinct characters.
    pub fn new(model: &CharLm<R>, positions: usize) -> Self {
        let most = positions.min(model.config().vocab_size);
        TableGradient {
            panels: PanelBuffer::new(model.gates(), 1, most),
            rows: vec![R::ZERO; most * model.gates_len()],
            d_gathered: vec![R::ZERO; most * model.config().embed_size],
        }
    }

    /// All panels, to be computed by [`fill_panel`], and the number of elements of each.
    pub fn panels(&mut self) -> (&mut [R], usize) {
        let len = self.panels.shape().panel_len();
        (self.panels.step_mut(0), len)
    }

    pub fn gather(&mut self, table: &InputTable<R>) {
        let rows = self.rows.chunks_exact_mut(self.panels.shape().row_layout.elements()).enumerate();
        rows.take(table.distinct.ids().len()).for_each(|(slot, row)| self.panels.read(0, slot, row));
    }

    /// Computes the tile of the embedding: `dembed[ids] = dtable w_ih^T`.
    pub fn fill_embedding(&mut self, out: &mut [R], model: &CharLm<R>, table: &InputTable<R>) {
        let (ids, e) = (table.distinct.ids(), model.config().embed_size);
        let d_table = input_gate_columns(&self.rows, model, ids.len());
        let d_gathered = MatMut::new(&mut self.d_gathered, ids.len(), e);
        gemm(d_gathered, false, d_table, model.matrix(model.rnn(0).w_ih).t());
        out.fill(R::ZERO);
        for (row, &id) in self.d_gathered.chunks_exact(e.max(1)).zip(ids) {
            out[id as usize * e..][..e].copy_from_slice(row);
        }
    }

    pub fn fill(&self, tile: &Tile, out: &mut [R], model: &CharLm<R>, table: &InputTable<R>) {
        let (ids, e) = (table.distinct.ids(), model.config().embed_size);
        let d_table = input_gate_columns(&self.rows, model, ids.len());
        let gates = d_table.cols();
        out.fill(R::ZERO);
        match tile.target {
            TileTarget::Input { layer: 0 } if e > 0 => {
                let x = Mat::new(&table.gathered, ids.len(), e).columns(tile.row, tile.rows);
                gemm(MatMut::new(out, tile.rows, gates), false, x.t(), d_table);
            }
            TileTarget::Input { layer: 0 } => {
                let expected = |id: u32| (id as usize).checked_sub(tile.row).filter(|row| *row < tile.rows);
                for (slot, &id) in ids.iter().enumerate() {
                    if let Some(row) = expected(id) {
                        out[row * gates..][..gates].copy_from_slice(d_table.row(slot));
                    }
                }
            }
            TileTarget::Bias { layer: 0, gate } => {
                let of_gate = Mat::new(&self.rows, ids.len(), model.gates_len()).columns(gate * out.len(), out.len());
                (0..ids.len()).for_each(|slot| vector::add(out, of_gate.row(slot)));
            }
            _ => {}
        }
    }
}

/// The columns of the table's gradient for the gates with an input product.
fn input_gate_columns<'a, R: CellReal>(rows: &'a [R], model: &CharLm<R>, n: usize) -> Mat<'a, R> {
    let (input, hidden) = (&model.cell().spec.input_gates, model.config().hidden_size);
    Mat::new(rows, n, model.gates_len()).columns(input.start * hidden, input.len() * hidden)
}

/// Computes a panel of the table's gradient: the gate gradients of the first layer, summed over all positions of each character.
pub fn fill_panel<R: CellReal>(panel: usize, values: &mut [R], shards: &[Shard<R>]) {
    values.fill(R::ZERO);
    let gates = 0..shards.first().map_or(0, Shard::gates);
    for (slots, d_gates) in each_step(shards, move |shard, t| (shard.slots(t), shard.d_gates(0, gates.clone(), t))) {
        vector::scatter_add(values, d_gates.panel(0, panel), d_gates.panel_width(), slots);
    }
}
