//! The weight gradients of a step, in tiles that are each summed over the whole batch by one task.
//!
//! A sum is taken in the order of time, and at each step in the order of the streams: its bits depend neither on the number of
//! tasks nor on how the batch is cut into shards.

use super::char_lm::CharLm;
use super::packed_weights::InputTable;
use super::shard::Shard;
use crate::cells::{CellReal, DiagonalWeight};
use crate::kernels::{Mat, MatMut, PanelBuffer, RowLayout, gemm, vector, weight_gradient};
use crate::layers::linear;

/// Rows of a matrix that a tile has at least: fewer would read the gate gradients too often.
const LEAST_ROWS: usize = 64;
/// Tiles a matrix is cut into at most.
const MOST_TILES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Embedding,
    Input { layer: usize },
    Recurrent { layer: usize, state: usize },
    Bias { layer: usize, gate: usize },
    DiagonalWeight { layer: usize, index: usize },
    HeadWeights,
    HeadBias,
}

/// A part of the gradients that one task fills.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    part: Part,
    /// The first row of the matrix.
    row: usize,
    rows: usize,
    /// Elements.
    pub len: usize,
}

impl Tile {
    /// Whether it waits for the gradient of the table.
    pub fn needs_table(&self) -> bool {
        matches!(self.part, Part::Embedding | Part::Input { layer: 0 } | Part::Bias { layer: 0, .. })
    }
}

/// The tiles of a model's gradients, in the order of its arena and without gaps. A tile lies within one vector of the state, one
/// gate's bias, or one diagonal.
pub fn tiles<R: CellReal>(model: &CharLm<R>) -> Vec<Tile> {
    let (spec, hidden, layout) = (model.cell().spec, model.config().hidden, model.layout());
    let mut tiles = Vec::new();
    let mut add = |part, rows: usize, cols: usize| {
        let most = match part {
            Part::Embedding => rows,
            _ => rows.div_ceil(MOST_TILES).next_multiple_of(LEAST_ROWS),
        };
        for row in (0..rows).step_by(most) {
            let rows = most.min(rows - row);
            tiles.push(Tile { part, row, rows, len: rows * cols });
        }
    };
    if let Some(embed) = model.embed() {
        add(Part::Embedding, layout.span(embed).rows, layout.span(embed).cols);
    }
    for layer in 0..model.config().layers {
        let w_ih = layout.span(model.rnn(layer).w_ih);
        add(Part::Input { layer }, w_ih.rows, w_ih.cols);
        let recurrent_inputs = if spec.recurrent_gates.is_empty() { 0 } else { spec.recurrent_inputs };
        (0..recurrent_inputs)
            .for_each(|state| add(Part::Recurrent { layer, state }, hidden, spec.recurrent_gates.len() * hidden));
    }
    add(Part::HeadWeights, hidden, model.config().vocab);
    for layer in 0..model.config().layers {
        (0..spec.gates.len()).for_each(|gate| add(Part::Bias { layer, gate }, 1, hidden));
        (0..spec.diagonal_weights.len()).for_each(|index| add(Part::DiagonalWeight { layer, index }, 1, hidden));
    }
    add(Part::HeadBias, 1, model.config().vocab);
    assert_eq!(tiles.iter().map(|tile| tile.len).sum::<usize>(), layout.len(), "tiles of the arena");
    tiles
}

/// A step of every shard after another, in the order of time.
fn each_step<'a, R: CellReal, T>(
    shards: &'a [Shard<R>],
    what: impl Fn(&'a Shard<R>, usize) -> T + Clone,
) -> impl Iterator<Item = T> + Clone {
    let steps = shards.first().map_or(0, Shard::steps);
    (0..steps).flat_map(move |t| shards.iter().map(move |shard| (shard, t))).map(move |(shard, t)| what(shard, t))
}

/// Fills a tile that does not wait for the table.
pub fn fill<R: CellReal>(tile: &Tile, out: &mut [R], model: &CharLm<R>, shards: &[Shard<R>]) {
    let (spec, width) = (model.cell().spec, model.config().hidden);
    let row_layout = |parts| RowLayout { parts, width };
    let units = tile.row..tile.row + tile.rows;
    let vocab = RowLayout::single(model.config().vocab);
    match tile.part {
        Part::Input { layer } => {
            let gates = row_layout(spec.input_gates.len());
            let dw = MatMut::new(out, tile.rows, gates.elements());
            let steps = each_step(shards, move |shard, t| {
                (shard.layer_input(layer, t), shard.d_gates(layer, spec.input_gates.clone(), t))
            });
            weight_gradient(dw, units, gates, steps);
        }
        Part::Recurrent { layer, state } => {
            let gates = row_layout(spec.recurrent_gates.len());
            let steps = each_step(shards, move |shard, t| {
                (shard.state_before(layer, state, t), shard.d_gates(layer, spec.recurrent_gates.clone(), t))
            });
            weight_gradient(MatMut::new(out, tile.rows, gates.elements()), units, gates, steps);
            for (_, gate) in spec.zero_blocks.iter().filter(|(from, _)| *from == state) {
                out.chunks_exact_mut(gates.elements()).for_each(|row| row[gate * width..][..width].fill(R::ZERO));
            }
        }
        Part::Bias { layer, gate } => {
            let gates = 0..spec.gates.len();
            let steps = each_step(shards, move |shard, t| shard.d_gates(layer, gates.clone(), t));
            linear::bias_gradient(out, gate, spec.gates.len(), steps);
        }
        Part::DiagonalWeight { layer, index } => {
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
        Part::HeadWeights => {
            let top = model.config().layers;
            let dw = MatMut::new(out, tile.rows, vocab.elements());
            let steps = each_step(shards, move |shard, t| Some((shard.layer_input(top, t), shard.d_logits(t)?)));
            weight_gradient(dw, units, vocab, steps.flatten());
        }
        Part::HeadBias => linear::bias_gradient(out, 0, 1, each_step(shards, Shard::d_logits).flatten()),
        Part::Embedding => {}
    }
}

/// The gradient of the first layer's input product: a row for each distinct character.
#[derive(Debug)]
pub struct TableGradient<R> {
    panels: PanelBuffer<R>,
    rows: Vec<R>,
    d_gathered: Vec<R>,
}

impl<R: CellReal> TableGradient<R> {
    /// Room for `positions` distinct characters.
    pub fn new(model: &CharLm<R>, positions: usize) -> Self {
        let most = positions.min(model.config().vocab);
        TableGradient {
            panels: PanelBuffer::new(model.gates(), 1, most),
            rows: vec![R::ZERO; most * model.gates_len()],
            d_gathered: vec![R::ZERO; most * model.config().embed],
        }
    }

    /// The panels one after another, to be [filled](fill_panel), and the elements of one.
    pub fn panels(&mut self) -> (&mut [R], usize) {
        let len = self.panels.shape().panel_len();
        (self.panels.step_mut(0), len)
    }

    /// Brings the filled panels into rows, of which there are as many as distinct characters.
    pub fn gather(&mut self, table: &InputTable<R>) {
        let rows = self.rows.chunks_exact_mut(self.panels.shape().row_layout.elements()).enumerate();
        rows.take(table.distinct.ids().len()).for_each(|(slot, row)| self.panels.read(0, slot, row));
    }

    /// Fills the tile of the embedding: `dembed[ids] = dtable w_ih^T`.
    pub fn fill_embedding(&mut self, out: &mut [R], model: &CharLm<R>, table: &InputTable<R>) {
        let (ids, e) = (table.distinct.ids(), model.config().embed);
        let d_table = of_input(&self.rows, model, ids.len());
        let d_gathered = MatMut::new(&mut self.d_gathered, ids.len(), e);
        gemm(d_gathered, false, d_table, model.matrix(model.rnn(0).w_ih).t());
        out.fill(R::ZERO);
        for (row, &id) in self.d_gathered.chunks_exact(e.max(1)).zip(ids) {
            out[id as usize * e..][..e].copy_from_slice(row);
        }
    }

    /// Fills a tile of the first layer's input weights, or of its bias.
    pub fn fill(&self, tile: &Tile, out: &mut [R], model: &CharLm<R>, table: &InputTable<R>) {
        let (ids, e) = (table.distinct.ids(), model.config().embed);
        let d_table = of_input(&self.rows, model, ids.len());
        let gates = d_table.cols();
        out.fill(R::ZERO);
        match tile.part {
            Part::Input { layer: 0 } if e > 0 => {
                let x = Mat::new(&table.gathered, ids.len(), e).columns(tile.row, tile.rows);
                gemm(MatMut::new(out, tile.rows, gates), false, x.t(), d_table);
            }
            Part::Input { layer: 0 } => {
                let wanted = |id: u32| (id as usize).checked_sub(tile.row).filter(|row| *row < tile.rows);
                for (slot, &id) in ids.iter().enumerate() {
                    if let Some(row) = wanted(id) {
                        out[row * gates..][..gates].copy_from_slice(d_table.row(slot));
                    }
                }
            }
            Part::Bias { layer: 0, gate } => {
                let of_gate = Mat::new(&self.rows, ids.len(), model.gates_len()).columns(gate * out.len(), out.len());
                (0..ids.len()).for_each(|slot| vector::add(out, of_gate.row(slot)));
            }
            _ => {}
        }
    }
}

/// The columns of the table's gradient that belong to the gates which the input goes to.
fn of_input<'a, R: CellReal>(rows: &'a [R], model: &CharLm<R>, n: usize) -> Mat<'a, R> {
    let (input, hidden) = (&model.cell().spec.input_gates, model.config().hidden);
    Mat::new(rows, n, model.gates_len()).columns(input.start * hidden, input.len() * hidden)
}

/// Fills a panel of the table's gradient: the gate gradients of the first layer, summed over all positions of each character.
pub fn fill_panel<R: CellReal>(panel: usize, values: &mut [R], shards: &[Shard<R>]) {
    values.fill(R::ZERO);
    let gates = 0..shards.first().map_or(0, Shard::gates);
    for (slots, d_gates) in each_step(shards, move |shard, t| (shard.slots(t), shard.d_gates(0, gates.clone(), t))) {
        vector::scatter_add(values, d_gates.panel(0, panel), d_gates.panel_width(), slots);
    }
}
