//! One optimizer step, the only multi-threaded part of training.
//!
//! A step has five parallel regions, one after another. There is no synchronization within a time step:
//!
//! 1. pack the weights and compute the input table of the first layer
//! 2. run each shard forward and backward over the whole window
//! 3. compute the weight gradients, one task per tile, and the gradient of the table, one task per panel
//! 4. derive the gradients of the first layer from that of the table
//! 5. compute the norm of the gradients, then update the weights
//!
//! Each output row is bitwise independent of its shard, and sums are taken in the order of time steps and streams, so results are
//! bit-identical for any number of threads.

use rayon::prelude::*;

use crate::cells::CellReal;
use crate::kernels::vector;
use crate::layers::dropout::Dropout;
use crate::model::gradients::{self, TableGradient, Tile};
use crate::model::{CharLm, PackedWeights, Purpose, Shard, Window, split_batch};
use crate::optim::{self, Optimizer, OptimizerSlices, UpdateParams};

/// The number of weights that one task updates.
const CHUNK: usize = 1 << 15;

/// The buffers of a step, allocated once. A step runs on the current rayon pool; the [`Trainer`](super::Trainer) provides the pool
/// and keeps the moments.
#[derive(Debug)]
pub struct Step<R> {
    weights: PackedWeights<R>,
    shards: Vec<Shard<R>>,
    tiles: Vec<Tile>,
    table_gradient: TableGradient<R>,
    /// The gradients of the last step, in the layout of the model.
    pub grads: Vec<R>,
    sums_of_squares: Vec<f64>,
}

impl<R: CellReal> Step<R> {
    /// Allocates buffers for windows of `(seq_len, batch)` characters, split for the threads of the current rayon pool.
    pub fn new(model: &CharLm<R>, batch: usize, seq_len: usize) -> Self {
        let positions = batch * seq_len;
        let new = |(first, streams)| Shard::new(model, first, streams, seq_len, Purpose::Training);
        let threads = rayon::current_num_threads();
        let len = model.layout().len();
        Step {
            weights: PackedWeights::new(model, positions, true),
            shards: split_batch(model, batch, threads).map(new).collect(),
            tiles: gradients::tiles(model),
            table_gradient: TableGradient::new(model, positions),
            grads: vec![R::ZERO; len],
            sums_of_squares: vec![0.0; len.div_ceil(CHUNK)],
        }
    }

    /// Runs a window forward and backward: computes the gradients, advances the carried states, and returns the mean loss in nats per
    /// character.
    pub fn run(&mut self, model: &CharLm<R>, window: &Window, dropout: Option<Dropout>) -> f64 {
        // A window without scored characters has no total weight to divide by.
        let total = if window.scored() == 0 { 1.0 } else { window.total_weight() };
        self.weights.refresh(model, &window.inputs);
        let weights = &self.weights;
        self.shards.par_iter_mut().for_each(|shard| {
            shard.forward(model, weights, window, dropout);
            shard.score(window, total);
            shard.backward(weights);
        });
        self.weight_gradients(model);
        self.shards.iter().flat_map(|shard| &shard.losses).sum::<f64>() / total
    }

    fn weight_gradients(&mut self, model: &CharLm<R>) {
        let (shards, table) = (&self.shards[..], &self.weights.table);
        let (grads, tiles) = (&mut self.grads[..], &self.tiles[..]);
        let (panels, len) = self.table_gradient.panels();
        let panels = panels.par_chunks_exact_mut(len).enumerate();
        rayon::join(
            || panels.for_each(|(panel, values)| gradients::fill_panel(panel, values, shards)),
            || {
                for_each_tile(tiles, grads, &|tile, out| {
                    if !tile.needs_table() {
                        gradients::fill(tile, out, model, shards);
                    }
                });
            },
        );
        self.table_gradient.gather(table);
        // If there is an embedding, it is the first tile.
        let embedding = if model.embed().is_some() { tiles[0].len } else { 0 };
        let (d_embedding, d_others) = grads.split_at_mut(embedding);
        if embedding > 0 {
            self.table_gradient.fill_embedding(d_embedding, model, table);
        }
        let table_gradient = &self.table_gradient;
        for_each_tile(&tiles[usize::from(embedding > 0)..], d_others, &|tile, out| {
            if tile.needs_table() {
                table_gradient.fill(tile, out, model, table);
            }
        });
    }

    /// The global norm of the gradients.
    pub fn norm(&mut self) -> f64 {
        let chunks = self.sums_of_squares.par_iter_mut().zip(self.grads.par_chunks(CHUNK));
        chunks.for_each(|(sum, chunk)| *sum = vector::sum_of_squares(chunk));
        self.sums_of_squares.iter().sum::<f64>().sqrt()
    }

    /// Updates the weights with the gradients of the last step. Weight decay applies to matrices only.
    pub fn update(&self, model: &mut CharLm<R>, moments: &mut [Vec<R>], optimizer: Optimizer, params: UpdateParams) {
        let matrices_len = model.layout().matrices_len();
        let (moment1, moment2) = moments.split_at_mut(1);
        let moment1 = &mut moment1[0][..];
        let moment2 = moment2.first_mut().map_or(&mut [][..], |moment2| &mut moment2[..]);
        let all = OptimizerSlices { weights: &mut model.weights, grads: &self.grads, moment1, moment2 };
        let (matrices, vectors) = all.split_at(matrices_len);
        rayon::join(
            || update(optimizer, matrices, params),
            || update(optimizer, vectors, UpdateParams { weight_decay: 0.0, ..params }),
        );
    }

    /// The carried states, `(B, layers * states * H)`, as consecutive slices.
    pub fn states(&self) -> impl Iterator<Item = &[R]> {
        self.shards.iter().map(|shard| &shard.state[..])
    }

    /// The carried states, as consecutive mutable slices.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut [R]> {
        self.shards.iter_mut().map(|shard| &mut shard.state[..])
    }

    /// The gradient of a layer's state before the window, `(B, states * H)`.
    pub fn d_initial_states(&self, layer: usize) -> Vec<R> {
        self.shards.iter().flat_map(|shard| shard.d_initial_state(&self.weights, layer)).collect()
    }
}

/// Runs `f` in parallel on every tile and its range of `out`.
fn for_each_tile<R: Send>(tiles: &[Tile], out: &mut [R], f: &(impl Fn(&Tile, &mut [R]) + Sync)) {
    match tiles {
        [] => {}
        [tile] => f(tile, out),
        _ => {
            let (left, right) = tiles.split_at(tiles.len() / 2);
            let (left_out, right_out) = out.split_at_mut(left.iter().map(|tile| tile.len).sum());
            rayon::join(|| for_each_tile(left, left_out, f), || for_each_tile(right, right_out, f));
        }
    }
}

/// Updates in parallel, splitting recursively down to chunks.
fn update<R: CellReal>(optimizer: Optimizer, slices: OptimizerSlices<'_, R>, params: UpdateParams) {
    let len = slices.weights.len();
    if len <= CHUNK {
        optim::update(optimizer, slices, params);
    } else {
        let (left, right) = slices.split_at(len / 2);
        rayon::join(|| update(optimizer, left, params), || update(optimizer, right, params));
    }
}
