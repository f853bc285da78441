//! The scan over time: every recurrent product of every cell is made here, the cell does the rest.

use crate::cells::{CellReal, Entry};
use crate::kernels::{Mat, MatMut, Packed};

/// One layer's activations over a window for some streams. Buffers are time-major and allocated once.
#[derive(Debug)]
pub struct Tape<R> {
    cell: &'static Entry,
    hidden: usize,
    streams: usize,
    /// `(T, b, gates * H)`: pre-activations, then activations, then the gradients of the pre-activations.
    pub gates: Vec<R>,
    /// `(T + 1, b, states * H)`: the state before the window and after every step.
    states: Vec<R>,
    /// `(b, states * H)`: the state before a step at which some stream is reset.
    reset_state: Vec<R>,
    /// `(b, states * H)`: the gradient of the state, carried backwards; at the end, that of the state before the window.
    d_state: Vec<R>,
}

/// Where streams are reset to a zero state: `(T, b)`, true before whose character. `None`: nowhere.
pub type Resets<'a> = Option<&'a [bool]>;

impl<R: CellReal> Tape<R> {
    /// Room for windows of up to `steps` characters of `streams` streams.
    pub fn new(cell: &'static Entry, hidden: usize, steps: usize, streams: usize) -> Self {
        let (gates, states) = (cell.spec.gates.len() * hidden, cell.spec.states * hidden);
        let zeros = |n: usize| vec![R::ZERO; n];
        Tape {
            cell,
            hidden,
            streams,
            gates: zeros(steps * streams * gates),
            states: zeros((steps + 1) * streams * states),
            reset_state: zeros(streams * states),
            d_state: zeros(streams * states),
        }
    }

    /// Elements of one stream's state.
    pub fn state_len(&self) -> usize {
        self.cell.spec.states * self.hidden
    }

    /// Elements of the gates of one position.
    pub fn gates_len(&self) -> usize {
        self.cell.spec.gates.len() * self.hidden
    }

    /// The state `(b, states * H)` before step `t` (after step `t - 1`).
    pub fn state(&self, t: usize) -> &[R] {
        let len = self.streams * self.state_len();
        &self.states[t * len..][..len]
    }

    /// The state before the window.
    pub fn initial_state_mut(&mut self) -> &mut [R] {
        let len = self.streams * self.state_len();
        &mut self.states[..len]
    }

    /// The gradient `(b, states * H)` of the state before the window, after [`backward`](Self::backward).
    pub fn d_initial_state(&self) -> &[R] {
        &self.d_state
    }

    /// The outputs `h` of the window, `T * b` rows.
    pub fn outputs(&self, steps: usize) -> Mat<'_, R> {
        let first = self.streams * self.state_len();
        Mat::strided(&self.states[first..], steps * self.streams, self.hidden, self.state_len())
    }

    /// Copies the outputs `h` of the window into rows without gaps.
    pub fn copy_outputs(&self, steps: usize, to: &mut [R]) {
        let state = self.state_len();
        let from = self.states[self.streams * state..][..steps * self.streams * state].chunks_exact(state);
        for (to, from) in to.chunks_exact_mut(self.hidden).zip(from) {
            to.copy_from_slice(&from[..self.hidden]);
        }
    }

    /// The `h` before every step, `T * b` rows, resets not regarded.
    pub fn previous_outputs(&self, steps: usize) -> Mat<'_, R> {
        Mat::strided(&self.states, steps * self.streams, self.hidden, self.state_len())
    }

    /// Runs the cell over `steps` steps. `gates` holds the input's part of the pre-activations; `w_hh` is `H x gates * H`.
    pub fn forward(&mut self, w_hh: &Packed<R>, steps: usize, resets: Resets<'_>) {
        let (width, len) = (self.gates_len(), self.streams * self.state_len());
        for t in 0..steps {
            let (before, after) = self.states.split_at_mut((t + 1) * len);
            let prev = match reset_rows(resets, t, self.streams) {
                Some(rows) => zero_rows(&mut self.reset_state, &before[t * len..], rows),
                None => &before[t * len..],
            };
            let gates = &mut self.gates[t * self.streams * width..][..self.streams * width];
            let h = Mat::strided(prev, self.streams, self.hidden, self.cell.spec.states * self.hidden);
            w_hh.multiply(MatMut::new(gates, self.streams, width), true, h);
            R::cell(self.cell).forward(self.hidden, gates, prev, &mut after[..len]);
        }
    }

    /// Runs the scan backwards: `dy` is the gradient `(T, b, H)` of the outputs, `w_hh_t` is `w_hh` transposed. `gates` becomes
    /// the gradient of the pre-activations. Gradients do not flow from the windows after.
    pub fn backward(&mut self, w_hh_t: &Packed<R>, dy: &[R], steps: usize, resets: Resets<'_>) {
        let (width, state, len) = (self.gates_len(), self.state_len(), self.streams * self.state_len());
        self.d_state.fill(R::ZERO);
        for t in (0..steps).rev() {
            let dy = &dy[t * self.streams * self.hidden..][..self.streams * self.hidden];
            for (d, dy) in self.d_state.chunks_exact_mut(state).zip(dy.chunks_exact(self.hidden)) {
                crate::kernels::vector::add(&mut d[..self.hidden], dy);
            }
            let (before, after) = self.states.split_at((t + 1) * len);
            let rows = reset_rows(resets, t, self.streams);
            let prev = match rows {
                Some(rows) => zero_rows(&mut self.reset_state, &before[t * len..], rows),
                None => &before[t * len..],
            };
            let gates = &mut self.gates[t * self.streams * width..][..self.streams * width];
            R::cell(self.cell).backward(self.hidden, gates, prev, &after[..len], &mut self.d_state);
            let dh = MatMut::strided(&mut self.d_state, self.streams, self.hidden, state);
            w_hh_t.multiply(dh, true, Mat::new(gates, self.streams, width));
            for (d, _) in self.d_state.chunks_exact_mut(state).zip(rows.unwrap_or(&[])).filter(|(_, reset)| **reset) {
                d.fill(R::ZERO);
            }
        }
    }
}

/// The resets at step `t`, if there is any.
fn reset_rows(resets: Resets<'_>, t: usize, streams: usize) -> Option<&[bool]> {
    resets.map(|resets| &resets[t * streams..][..streams]).filter(|rows| rows.contains(&true))
}

/// A copy of `state` with the reset rows zero.
fn zero_rows<'a, R: CellReal>(copy: &'a mut [R], state: &[R], reset: &[bool]) -> &'a [R] {
    copy.copy_from_slice(&state[..copy.len()]);
    let width = copy.len() / reset.len();
    for (row, _) in copy.chunks_exact_mut(width).zip(reset).filter(|(_, reset)| **reset) {
        row.fill(R::ZERO);
    }
    copy
}
