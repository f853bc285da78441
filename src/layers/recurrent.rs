//! The scan over time: every recurrent product of every cell is made here, the cell does the rest.

use std::ops::Range;

use rayon::prelude::*;

use super::linear;
use crate::cells::{CellInputs, CellReal, CellSpec, RegisteredCell};
use crate::kernels::{AccumulatorInit, PackedMatrix, PanelBuffer, PanelShape, PanelView, Precision, RowLayout, vector};

/// Gates of a step up to this many stay in the first level of cache.
const SMALL: usize = 2048;

/// One layer's activations over a window for some streams. Buffers are time-major, in panels, and allocated once.
#[derive(Debug)]
pub struct LayerActivations<R> {
    cell: &'static RegisteredCell,
    streams: usize,
    /// `T` steps of `gates x H`: pre-activations, then activations, then the gradients of the pre-activations.
    pub gates: PanelBuffer<R>,
    /// `T + 1` steps of `states x H`: the state before the window and after every step.
    states: PanelBuffer<R>,
    /// The state before a step at which some stream is reset.
    reset_state: PanelBuffer<R>,
    /// The gradient of the state, carried backwards.
    d_state: PanelBuffer<R>,
    /// One step of `diagonal_weights x H`: the same weights for every stream.
    diagonal_weights: PanelBuffer<R>,
}

/// Where streams are reset to a zero state: `(T, b)`, true before whose character. `None`: nowhere.
pub type Resets<'a> = Option<&'a [bool]>;

impl<R: CellReal> LayerActivations<R> {
    /// Room for windows of up to `steps` characters of `streams` streams.
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

    /// Takes in the weights of the diagonals, `diagonal_weights x H`.
    pub fn set_diagonal_weights(&mut self, p: &[R]) {
        if !p.is_empty() {
            (0..self.streams).for_each(|stream| self.diagonal_weights.write(0, stream, p));
        }
    }

    /// Copies the state of a stream before step `t` (after step `t - 1`) into `state`, `states * H` elements.
    pub fn read_state(&self, t: usize, stream: usize, state: &mut [R]) {
        self.states.read(t, stream, state);
    }

    /// Sets the state of a stream before the window.
    pub fn write_initial_state(&mut self, stream: usize, state: &[R]) {
        self.states.write(0, stream, state);
    }

    /// The outputs `h` of some steps.
    pub fn outputs(&self, steps: Range<usize>) -> PanelView<'_, R> {
        self.states_after(0, steps)
    }

    /// A vector of the state before each of some steps, resets not regarded.
    pub fn states_before(&self, part: usize, steps: Range<usize>) -> PanelView<'_, R> {
        self.states.parts(part..part + 1, steps)
    }

    /// A vector of the state after each of some steps.
    pub fn states_after(&self, part: usize, steps: Range<usize>) -> PanelView<'_, R> {
        self.states.parts(part..part + 1, steps.start + 1..steps.end + 1)
    }

    /// The states before some steps with resets applied, every vector of them.
    pub fn reset_states(&self, previous: &mut PanelBuffer<R>, steps: Range<usize>, resets: Resets<'_>) {
        for t in steps {
            previous.step_mut(t).copy_from_slice(self.states.step(t));
            clear_rows(previous.step_mut(t), self.states.shape().panel_width, reset_rows(resets, t, self.streams));
        }
    }

    /// What a step of states looks like.
    pub fn state_shape(&self) -> PanelShape {
        self.states.shape()
    }

    /// Runs the cell over some steps; `w_hh` is `fed back * H x recurrent gates * H`. `input` is asked for the input's part of the
    /// pre-activations at a step, for some blocks of the gates: it says where it is, and may put it into those blocks first.
    ///
    /// The units of a block are done at once, products and cell, so that their gates stay in the first level of cache; or all
    /// units, where all gates do, or where weights in eight bits would have `h` converted again for each block. With `tasks`
    /// above 1 the units of a step are divided among the threads at hand.
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
        let (of_gates, of_state, of_p) =
            (gates_of.block_len(), state_of.block_len(), self.diagonal_weights.shape().block_len());
        let p = self.diagonal_weights.step(0);
        let of_task = gates_of.blocks().div_ceil(tasks).max(1);
        let whole = gates_of.step_len() <= SMALL || w_hh.precision() == Precision::Int8;
        let at_once = if whole { of_task } else { 1 };
        for t in steps {
            let (mut prev, next) = self.states.step_and_next_mut(t);
            if let Some(reset) = reset_rows(resets, t, self.streams) {
                prev = zero_rows(self.reset_state.step_mut(0), prev, state_of, reset);
            }
            let recurrent_inputs = state_of.parts(0..spec.recurrent_inputs, prev);
            let run = |mut block: usize, gates: &mut [R], prev: &[R], next: &mut [R]| {
                let states = prev.chunks(at_once * of_state).zip(next.chunks_mut(at_once * of_state));
                for (gates, (prev, next)) in gates.chunks_mut(at_once * of_gates).zip(states) {
                    let blocks = block..block + gates.len() / of_gates;
                    let start = input(t, blocks.clone(), gates);
                    let these = (gates_of, spec.recurrent_gates.clone(), blocks.clone());
                    linear::multiply(these, gates, 0, recurrent_inputs, w_hh, start);
                    let p = &p[blocks.start * of_p..blocks.end * of_p];
                    cell.forward(CellInputs { hidden, p, prev }, gates, next);
                    block = blocks.end;
                }
            };
            let gates = self.gates.step_mut(t);
            if tasks > 1 {
                let states = prev.par_chunks(of_task * of_state).zip(next.par_chunks_mut(of_task * of_state));
                let gates = gates.par_chunks_mut(of_task * of_gates).zip(states).enumerate();
                gates.for_each(|(task, (gates, (prev, next)))| run(task * of_task, gates, prev, next));
            } else {
                run(0, gates, prev, next);
            }
        }
    }

    /// Begins at the end of a window: gradients do not flow from the windows after.
    pub fn begin_backward(&mut self) {
        self.d_state.step_mut(0).fill(R::ZERO);
    }

    /// Runs the scan backwards over some steps of a window of `end` steps: `dy` is the gradient `(steps, b, H)` of their outputs,
    /// `w_hh_t` is `w_hh` transposed. `gates` becomes the gradient of the pre-activations.
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
        let (p, of_p) = (self.diagonal_weights.step(0), self.diagonal_weights.shape().block_len());
        for t in steps.clone().rev() {
            let (mut prev, next) = (self.states.step(t), self.states.step(t + 1));
            if let Some(reset) = reset_rows(resets, t, self.streams) {
                prev = zero_rows(self.reset_state.step_mut(0), prev, state_of, reset);
            }
            let (gates, behind) = self.gates.step_mut_and_rest(t);
            let behind = (t + 1 < end).then(|| gates_of.parts(spec.recurrent_gates.clone(), behind));
            let cut = reset_rows(resets, t + 1, self.streams).filter(|_| t + 1 < end);
            let states = prev.chunks_exact(state_of.block_len()).zip(next.chunks_exact(state_of.block_len()));
            let ds = self.d_state.step_mut(0).chunks_exact_mut(state_of.block_len());
            let ds = ds.zip(dy.step(t - steps.start).chunks_exact(hidden));
            let blocks = gates.chunks_exact_mut(gates_of.block_len()).zip(states).zip(ds);
            for (block, ((gates, (prev, next)), (d, dy))) in blocks.enumerate() {
                if let Some(behind) = behind {
                    add_from_behind(spec, w_hh_t, block, d, behind);
                    clear_rows(d, state_of.panel_width, cut);
                }
                vector::add(&mut d[..hidden], dy);
                let p = &p[block * of_p..(block + 1) * of_p];
                cell.backward(CellInputs { hidden, p, prev }, gates, next, d);
            }
        }
    }

    /// Goes on from [`backward`](Self::backward) to the gradient of the states before the window, `(b, states * H)`.
    pub fn d_initial_state(&self, w_hh_t: &PackedMatrix<R>, resets: Resets<'_>) -> Vec<R> {
        let mut d = self.d_state.clone();
        let (shape, spec) = (d.shape(), self.cell.spec);
        let cut = reset_rows(resets, 0, self.streams);
        for (block, d) in d.step_mut(0).chunks_exact_mut(shape.block_len()).enumerate() {
            add_from_behind(spec, w_hh_t, block, d, self.gates.parts(spec.recurrent_gates.clone(), 0..1));
            clear_rows(d, shape.panel_width, cut);
        }
        let mut rows = vec![R::ZERO; self.streams * shape.row_layout.elements()];
        rows.chunks_exact_mut(shape.row_layout.elements()).enumerate().for_each(|(stream, row)| d.read(0, stream, row));
        rows
    }
}

/// Adds to the gradient of a block of the state what comes back by way of `w_hh` from the gates of the step behind it.
fn add_from_behind<R: CellReal>(
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

/// The resets at step `t`, if there is any.
fn reset_rows(resets: Resets<'_>, t: usize, streams: usize) -> Option<&[bool]> {
    resets.and_then(|resets| resets.get(t * streams..)?.get(..streams)).filter(|rows| rows.contains(&true))
}

/// A copy of the state with the reset rows zero.
fn zero_rows<'a, R: CellReal>(copy: &'a mut [R], state: &[R], shape: PanelShape, reset: &[bool]) -> &'a [R] {
    copy.copy_from_slice(state);
    clear_rows(copy, shape.panel_width, Some(reset));
    copy
}

/// Makes the reset rows of some panels zero.
fn clear_rows<R: CellReal>(panels: &mut [R], panel_width: usize, reset: Option<&[bool]>) {
    let Some(reset) = reset else { return };
    for (row, _) in panels.chunks_exact_mut(panel_width).zip(reset.iter().cycle()).filter(|(_, reset)| **reset) {
        row.fill(R::ZERO);
    }
}
