//! The weight gradients of all shards.
//!
//! The arena of gradients is cut into [tiles](Tile): blocks of rows of a matrix, or a vector. One task fills one tile, adding
//! the shards in their order, so that the result has the same bits however many threads there are. The first layer's weights
//! wait for the gradient of the [table](TableGradient), which is summed first.

use super::char_lm::CharLm;
use super::prepared::Table;
use super::shard::Shard;
use super::window::Window;
use crate::cells::CellReal;
use crate::kernels::{Mat, MatMut, gemm, vector};
use crate::layers::{embedding, linear};
use crate::params::SpanId;

/// Rows of a matrix that a tile has at least: fewer would read the gate gradients too often.
const LEAST_ROWS: usize = 64;
/// Tiles a matrix is cut into at most.
const MOST_TILES: usize = 4;
/// Columns of a block of the table's gradient.
const BLOCK: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Embedding,
    Input { layer: usize },
    Recurrent { layer: usize },
    Bias { layer: usize },
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
        matches!(self.part, Part::Embedding | Part::Input { layer: 0 } | Part::Bias { layer: 0 })
    }
}

/// The tiles of a model's gradients, in the order of its arena and without gaps.
pub fn tiles<R: CellReal>(model: &CharLm<R>) -> Vec<Tile> {
    let part = |id: SpanId| {
        let rnn = |wanted: fn(&super::RnnSpans) -> SpanId| {
            (0..model.config().layers).find(move |&layer| wanted(&model.rnn(layer)) == id)
        };
        if model.embed() == Some(id) {
            Part::Embedding
        } else if let Some(layer) = rnn(|spans| spans.w_ih) {
            Part::Input { layer }
        } else if let Some(layer) = rnn(|spans| spans.w_hh) {
            Part::Recurrent { layer }
        } else if let Some(layer) = rnn(|spans| spans.b) {
            Part::Bias { layer }
        } else if id == model.head_w() {
            Part::HeadWeights
        } else {
            Part::HeadBias
        }
    };
    let mut tiles = Vec::new();
    for (id, span) in model.layout().ids() {
        let part = part(id);
        let step = match part {
            Part::Embedding => span.rows,
            _ => span.rows.div_ceil(MOST_TILES).max(LEAST_ROWS),
        };
        for row in (0..span.rows).step_by(step) {
            let rows = step.min(span.rows - row);
            tiles.push(Tile { part, row, rows, len: rows * span.cols });
        }
    }
    tiles
}

/// Fills a tile that does not wait for the table.
pub fn fill<R: CellReal>(tile: &Tile, out: &mut [R], model: &CharLm<R>, shards: &[Shard<R>]) {
    out.fill(R::ZERO);
    let gates = model.gates_len();
    for shard in shards {
        match tile.part {
            Part::Input { layer } => {
                let x = shard.layer_input(layer).columns(tile.row, tile.rows);
                linear::weight_gradient(out, x, Mat::new(shard.d_gates(layer), x.rows(), gates));
            }
            Part::Recurrent { layer } => {
                let h = shard.previous_outputs(layer).columns(tile.row, tile.rows);
                linear::weight_gradient(out, h, Mat::new(shard.d_gates(layer), h.rows(), gates));
            }
            Part::Bias { layer } => linear::bias_gradient(out, shard.d_gates(layer)),
            Part::HeadWeights => {
                let (top, d_logits) = shard.head();
                let d_logits = Mat::new(d_logits, top.rows(), model.config().vocab);
                linear::weight_gradient(out, top.columns(tile.row, tile.rows), d_logits);
            }
            Part::HeadBias => linear::bias_gradient(out, shard.head().1),
            Part::Embedding => {}
        }
    }
}

/// The gradient of the first layer's input product: a row for each distinct character, in blocks of columns.
#[derive(Clone, Debug)]
pub struct TableGradient<R> {
    /// The blocks, each one task.
    pub blocks: Vec<TableBlock<R>>,
    d_gathered: Vec<R>,
}

/// Some columns of the table's gradient.
#[derive(Clone, Debug)]
pub struct TableBlock<R> {
    first: usize,
    width: usize,
    rows: Vec<R>,
}

impl<R: CellReal> TableBlock<R> {
    /// Sums the gate gradients of the first layer over all positions of each character.
    pub fn fill(&mut self, model: &CharLm<R>, table: &Table<R>, shards: &[Shard<R>], window: &Window) {
        self.rows[..table.distinct.ids().len() * self.width].fill(R::ZERO);
        for shard in shards {
            let slots = shard.inputs(window).map(|id| table.distinct.slot(id));
            embedding::scatter(&mut self.rows, self.first, self.width, shard.d_gates(0), model.gates_len(), slots);
        }
    }

    fn matrix(&self, rows: usize) -> Mat<'_, R> {
        Mat::new(&self.rows, rows, self.width)
    }
}

impl<R: CellReal> TableGradient<R> {
    /// Room for `positions` distinct characters.
    pub fn new(model: &CharLm<R>, positions: usize) -> Self {
        let most = positions.min(model.config().vocab);
        let gates = model.gates_len();
        let block = |first| {
            let width = BLOCK.min(gates - first);
            TableBlock { first, width, rows: vec![R::ZERO; most * width] }
        };
        TableGradient {
            blocks: (0..gates).step_by(BLOCK).map(block).collect(),
            d_gathered: vec![R::ZERO; most * model.config().embed],
        }
    }

    /// Fills the tile of the embedding: `dembed[ids] = dtable w_ih^T`.
    pub fn fill_embedding(&mut self, out: &mut [R], model: &CharLm<R>, table: &Table<R>) {
        let (ids, e) = (table.distinct.ids(), model.config().embed);
        let w_ih = model.matrix(model.rnn(0).w_ih);
        for (i, block) in self.blocks.iter().enumerate() {
            let d = MatMut::new(&mut self.d_gathered, ids.len(), e);
            gemm(d, i > 0, block.matrix(ids.len()), w_ih.columns(block.first, block.width).t());
        }
        out.fill(R::ZERO);
        for (row, &id) in self.d_gathered.chunks_exact(e.max(1)).zip(ids) {
            out[id as usize * e..][..e].copy_from_slice(row);
        }
    }

    /// Fills a tile of the first layer's input weights, or of its bias.
    pub fn fill(&self, tile: &Tile, out: &mut [R], model: &CharLm<R>, table: &Table<R>) {
        out.fill(R::ZERO);
        let (ids, gates, e) = (table.distinct.ids(), model.gates_len(), model.config().embed);
        for block in &self.blocks {
            let d_table = block.matrix(ids.len());
            match tile.part {
                Part::Input { layer: 0 } if e > 0 => {
                    let x = Mat::new(&table.gathered, ids.len(), e).columns(tile.row, tile.rows);
                    let out = MatMut::strided(&mut out[block.first..], tile.rows, block.width, gates);
                    gemm(out, true, x.t(), d_table);
                }
                Part::Input { layer: 0 } => {
                    let wanted = |id: u32| (id as usize).checked_sub(tile.row).filter(|row| *row < tile.rows);
                    for (slot, &id) in ids.iter().enumerate() {
                        if let Some(row) = wanted(id) {
                            out[row * gates + block.first..][..block.width].copy_from_slice(d_table.row(slot));
                        }
                    }
                }
                Part::Bias { layer: 0 } => {
                    let out = &mut out[block.first..][..block.width];
                    (0..ids.len()).for_each(|slot| vector::add(out, d_table.row(slot)));
                }
                _ => {}
            }
        }
    }
}
