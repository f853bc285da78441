//! The scan over time. It computes the recurrent products; the cell computes the element-wise equations.

use std::ops::Range;

use rayon::prelude::*;

use super::linear;
use crate::cells::{CellInputs, CellReal, CellSpec, RegisteredCell};
use crate::kernels::{AccumulatorInit, PackedMatrix, PanelBuffer, PanelShape, PanelView, Precision, RowLayout, vector};

/// Up to this many elements, the gates of a step stay in the L1 cache.
const L1_GATES: usize = 2048;

/// The activations of one layer over a window, in panels. Allocated once.
#[derive(Debug)]
pub struct LayerActivations<R> {
    cell: &'static RegisteredCell,
    streams: usize,
    /// `(T, B, gates * H)`: pre-activations, then activations, then the gradients of the pre-activations.
    pub gates: PanelBuffer<R>,
    /// `(T + 1, B, states * H)`: the state before the window and after every step.
    states: PanelBuffer<R>,
    /// `(1, B, states * H)`: the state before a step at which a stream is reset.
    reset_state: PanelBuffer<R>,
    /// `(1, B, states * H)`: the gradient of the state.
    d_state: PanelBuffer<R>,
    /// `(1, B, diagonal_weights * H)`: the same weights for every stream.
    diagonal_weights: PanelBuffer<R>,
}

/// Whether a stream is reset to a zero state before a step: `(T, B)`. `None` if no stream is ever reset.
pub type Resets<'a> = Option<&'a [bool]>;

impl<R: CellReal> LayerActivations<R> {
    /// For windows of up to `steps` characters of `streams` streams.
    pub fn new(cell: &'static RegisteredCell, hidden: usize, steps: usize, streams: usize) -> Self {
        let state = RowLayout { parts: cell.spec.states, width: hidden };
        LayerActivations {
            cell,
            streams,
            gates: PanelBuffer::new(RowLayout { parts: cell.spec.gates.len(), width: hidden }, steps, streams),
            states: PanelBuffer::new(state, steps + 1, streams),
            reset_state: PanelBuffer::new(state, 1, streams),
            d_state: PanelBuffer::new(state, 1, streams),
            diagonal_weights: PanelBuffer::new(
                RowLayout { parts: cell.spec.diagonal_weights.len(), width: hidden },
                1,
                streams,
            ),
        }
    }

    /// Copies the diagonal weights, `(diagonal_weights, H)`.
    pub fn set_diagonal_weights(&mut self, p: &[R]) {
        if !p.is_empty() {
            (0..self.streams).for_each(|stream| self.diagonal_weights.write(0, stream, p));
        }
    }

    /// Copies the state of a stream before step `t` (after step `t - 1`) into `state`, `(states, H)`.
    pub fn read_state(&self, t: usize, stream: usize, state: &mut [R]) {
        self.states.read(t, stream, state);
    }

    /// Sets the state of a stream before the window, `(states, H)`.
    pub fn write_initial_state(&mut self, stream: usize, state: &[R]) {
        self.states.write(0, stream, state);
    }

    /// The outputs `h` of some steps, `(T, B, H)`.
    pub fn outputs(&self, steps: Range<usize>) -> PanelView<'_, R> {
        self.states_after(0, steps)
    }

    /// A state vector before each of some steps, ignoring resets: `(T, B, H)`.
    pub fn states_before(&self, part: usize, steps: Range<usize>) -> PanelView<'_, R> {
        self.states.parts(part..part + 1, steps)
    }

    /// A state vector after each of some steps: `(T, B, H)`.
    pub fn states_after(&self, part: usize, steps: Range<usize>) -> PanelView<'_, R> {
        self.states.parts(part..part + 1, steps.start + 1..steps.end + 1)
    }

    /// Copies the states before some steps, with resets applied, to `previous`: `(T, B, states * H)`.
    pub fn reset_states(&self, previous: &mut PanelBuffer<R>, steps: Range<usize>, resets: Resets<'_>) {
        for t in steps {
            previous.step_mut(t).copy_from_slice(self.states.step(t));
            clear_reset_rows(
                previous.step_mut(t),
                self.states.shape().panel_width,
                reset_rows(resets, t, self.streams),
            );
        }
    }

    /// The layout of a step of states.
    pub fn state_shape(&self) -> PanelShape {
        self.states.shape()
    }

    /// Runs the cell over some steps; `w_hh` is `(recurrent_inputs * H, recurrent_gates * H)`. `input` is called with a time step,
    /// a range of blocks and the gates of these blocks. It returns the initial accumulators of their pre-activations, or writes
    /// them to the gates and returns `AccumulatorInit::Output`.
    ///
    /// The products and the cell are computed block by block, so that gates stay in the L1 cache. They are computed for all units at
    /// once if all gates fit in the L1 cache, or if the weights are quantized, since `h` would be quantized again for each block. With
    /// several `tasks`, the units of a step are divided among threads.
    pub fn forward<'a>(
        &mut self,
        w_hh: &PackedMatrix<R>,
        input: &(impl Fn(usize, Range<usize>, &mut [R]) -> AccumulatorInit<'a, R> + Sync),
        steps: Range<usize>,
        resets: Resets<'_>,
        tasks: usize,
    ) {
        let (cell, gates_of, state_of) = (R::cell(self.cell), self.gates.shape(), self.states.shape());
        let (spec, hidden) = (self.cell.spec, gates_of.panel_len());
        let (gates_len, state_len, p_len) =
            (gates_of.block_len(), state_of.block_len(), self.diagonal_weights.shape().block_len());
        let p = self.diagonal_weights.step(0);
        let blocks_per_task = gates_of.blocks().div_ceil(tasks).max(1);
        let whole = gates_of.step_len() <= L1_GATES || w_hh.precision() == Precision::Int8;
        let at_once = if whole { blocks_per_task } else { 1 };
        for t in steps {
            let (mut prev, next) = self.states.step_and_next_mut(t);
            if let Some(reset) = reset_rows(resets, t, self.streams) {
                prev = copy_with_resets(self.reset_state.step_mut(0), prev, state_of, reset);
            }
            let recurrent_inputs = state_of.parts(0..spec.recurrent_inputs, prev);
            let run = |mut block: usize, gates: &mut [R], prev: &[R], next: &mut [R]| {
                let states = prev.chunks(at_once * state_len).zip(next.chunks_mut(at_once * state_len));
                for (gates, (prev, next)) in gates.chunks_mut(at_once * gates_len).zip(states) {
                    let blocks = block..block + gates.len() / gates_len;
                    let start = input(t, blocks.clone(), gates);
                    let these = (gates_of, spec.recurrent_gates.clone(), blocks.clone());
                    linear::multiply(these, gates, 0, recurrent_inputs, w_hh, start);
                    let p = &p[blocks.start * p_len..blocks.end * p_len];
                    cell.forward(CellInputs { hidden, p, prev }, gates, next);
                    block = blocks.end;
                }
            };
            let gates = self.gates.step_mut(t);
            if tasks > 1 {
                let states =
                    prev.par_chunks(blocks_per_task * state_len).zip(next.par_chunks_mut(blocks_per_task * state_len));
                let gates = gates.par_chunks_mut(blocks_per_task * gates_len).zip(states).enumerate();
                gates.for_each(|(task, (gates, (prev, next)))| run(task * blocks_per_task, gates, prev, next));
            } else {
                run(0, gates, prev, next);
            }
        }
    }

    /// Starts the backward pass: no gradient flows from the next window.
    pub fn begin_backward(&mut self) {
        self.d_state.step_mut(0).fill(R::ZERO);
    }

    /// Runs the scan backwards over some steps of a window of `end` steps: `dy`, `(T, B, H)`, is the gradient of their outputs, `w_hh_t`
    /// is `w_hh` transposed. `gates` is overwritten with the gradient of the pre-activations.
    pub fn backward(
        &mut self,
        w_hh_t: &PackedMatrix<R>,
        dy: &PanelBuffer<R>,
        steps: Range<usize>,
        end: usize,
        resets: Resets<'_>,
    ) {
        let (cell, gates_of, state_of) = (R::cell(self.cell), self.gates.shape(), self.states.shape());
        let (spec, hidden) = (self.cell.spec, gates_of.panel_len());
        let (p, p_len) = (self.diagonal_weights.step(0), self.diagonal_weights.shape().block_len());
        for t in steps.clone().rev() {
            let (mut prev, next) = (self.states.step(t), self.states.step(t + 1));
            if let Some(reset) = reset_rows(resets, t, self.streams) {
                prev = copy_with_resets(self.reset_state.step_mut(0), prev, state_of, reset);
            }
            let (gates, next_gates) = self.gates.step_mut_and_rest(t);
            let next_gates = (t + 1 < end).then(|| gates_of.parts(spec.recurrent_gates.clone(), next_gates));
            let reset_next = reset_rows(resets, t + 1, self.streams).filter(|_| t + 1 < end);
            let states = prev.chunks_exact(state_of.block_len()).zip(next.chunks_exact(state_of.block_len()));
            let ds = self.d_state.step_mut(0).chunks_exact_mut(state_of.block_len());
            let ds = ds.zip(dy.step(t - steps.start).chunks_exact(hidden));
            let blocks = gates.chunks_exact_mut(gates_of.block_len()).zip(states).zip(ds);
            for (block, ((gates, (prev, next)), (d, dy))) in blocks.enumerate() {
                if let Some(next_gates) = next_gates {
                    add_recurrent_gradient(spec, w_hh_t, block, d, next_gates);
                    clear_reset_rows(d, state_of.panel_width, reset_next);
                }
                vector::add(&mut d[..hidden], dy);
                let p = &p[block * p_len..(block + 1) * p_len];
                cell.backward(CellInputs { hidden, p, prev }, gates, next, d);
            }
        }
    }

    /// After [`backward`](Self::backward): the gradient of the state before the window, `(B, states * H)`.
    pub fn d_initial_state(&self, w_hh_t: &PackedMatrix<R>, resets: Resets<'_>) -> Vec<R> {
        let mut d = self.d_state.clone();
        let (shape, spec) = (d.shape(), self.cell.spec);
        let reset_next = reset_rows(resets, 0, self.streams);
        for (block, d) in d.step_mut(0).chunks_exact_mut(shape.block_len()).enumerate() {
            add_recurrent_gradient(spec, w_hh_t, block, d, self.gates.parts(spec.recurrent_gates.clone(), 0..1));
            clear_reset_rows(d, shape.panel_width, reset_next);
        }
        let mut rows = vec![R::ZERO; self.streams * shape.row_layout.elements()];
        rows.chunks_exact_mut(shape.row_layout.elements()).enumerate().for_each(|(stream, row)| d.read(0, stream, row));
        rows
    }
}

/// Adds the gradient that flows through `w_hh` from the gates of the next step to a block of the state's gradient.
fn add_recurrent_gradient<R: CellReal>(
    spec: &CellSpec,
    w_hh_t: &PackedMatrix<R>,
    block: usize,
    d: &mut [R],
    gates: PanelView<'_, R>,
) {
    if !spec.recurrent_gates.is_empty() {
        w_hh_t.multiply(
            block * spec.recurrent_inputs..(block + 1) * spec.recurrent_inputs,
            d,
            0,
            gates,
            AccumulatorInit::Output,
        );
    }
}

/// The resets at step `t`, if any stream is reset.
fn reset_rows(resets: Resets<'_>, t: usize, streams: usize) -> Option<&[bool]> {
    resets.and_then(|resets| resets.get(t * streams..)?.get(..streams)).filter(|rows| rows.contains(&true))
}

/// Copies the state, with zeros in the rows that are reset.
fn copy_with_resets<'a, R: CellReal>(copy: &'a mut [R], state: &[R], shape: PanelShape, reset: &[bool]) -> &'a [R] {
    copy.copy_from_slice(state);
    clear_reset_rows(copy, shape.panel_width, Some(reset));
    copy
}

/// Zeroes the rows of `panels` whose stream is reset.
fn clear_reset_rows<R: CellReal>(panels: &mut [R], panel_width: usize, reset: Option<&[bool]>) {
    let Some(reset) = reset else { return };
    for (row, _) in panels.chunks_exact_mut(panel_width).zip(reset.iter().cycle()).filter(|(_, reset)| **reset) {
        row.fill(R::ZERO);
    }
}
