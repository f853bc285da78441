//! The description of a cell.

use std::ops::Range;

/// The description of a cell, and what it needs from its layer. `H` is the number of units.
#[derive(Debug)]
pub struct CellSpec {
    /// The value of `--cell`.
    pub name: &'static str,
    /// Other names of the same equations.
    pub aliases: &'static [&'static str],
    /// A description in one line.
    pub summary: &'static str,
    /// The gates, `H` pre-activations each, in the order of the elements of `b`. Only sigmoid gates are called i, f, o, r or z.
    pub gates: &'static [&'static str],
    /// The gates to which `x w_ih` is added: the columns of `w_ih`.
    pub input_gates: Range<usize>,
    /// The gates to which the product of the state and `w_hh` is added: the columns of `w_hh`. Empty for a diagonal recurrence.
    pub recurrent_gates: Range<usize>,
    /// The number of leading state vectors that are multiplied by `w_hh`; they correspond to its rows.
    pub recurrent_inputs: usize,
    /// Blocks of `w_hh` that are always zero: the state vector and the gate.
    pub zero_blocks: &'static [(usize, usize)],
    /// Weights with one element per unit, which connect a state vector to a gate: the rows of `p`.
    pub diagonal_weights: &'static [DiagonalWeight],
    /// The gate whose bias is initialized to 1, so that the cell remembers before it has been trained.
    pub forget_gate: Option<usize>,
    /// Number of state vectors, of `H` elements each. The first is the output `h`.
    pub states: usize,
    /// The source of the equations.
    pub paper: &'static str,
}

/// A diagonal weight matrix from a state vector to a gate: a peephole, or the recurrence of an independent unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagonalWeight {
    /// The gate.
    pub gate: usize,
    /// The state vector.
    pub state: usize,
    /// Whether the gate sees the state after the time step instead of the state before it.
    pub sees_new_state: bool,
}

impl DiagonalWeight {
    /// From the state before the time step.
    pub(super) const fn from_previous(gate: usize, state: usize) -> Self {
        DiagonalWeight { gate, state, sees_new_state: false }
    }

    /// From the state after the time step.
    pub(super) const fn from_new(gate: usize, state: usize) -> Self {
        DiagonalWeight { gate, state, sees_new_state: true }
    }
}

impl CellSpec {
    /// One state vector `h`, which is multiplied by `w_hh`, and no diagonal weights.
    pub(super) const DEFAULT: CellSpec = CellSpec {
        name: "",
        aliases: &[],
        summary: "",
        gates: &[],
        input_gates: 0..0,
        recurrent_gates: 0..0,
        recurrent_inputs: 1,
        zero_blocks: &[],
        diagonal_weights: &[],
        forget_gate: None,
        states: 1,
        paper: "",
    };

    /// Whether every gate is the sum of both products.
    pub fn is_summed(&self) -> bool {
        let all = 0..self.gates.len();
        self.input_gates == all && self.recurrent_gates == all
    }

    /// Number of parameters of a layer of `hidden` units with `inputs` inputs; `None` if it overflows.
    pub fn parameters(&self, inputs: u64, hidden: u64) -> Option<u64> {
        let times = |n: usize, m: u64| m.checked_mul(n as u64);
        let w_ih = times(self.input_gates.len(), inputs)?;
        let w_hh = times(self.recurrent_inputs * self.recurrent_gates.len(), hidden)?;
        let vectors = (self.gates.len() + self.diagonal_weights.len()) as u64;
        w_ih.checked_add(w_hh)?.checked_add(vectors)?.checked_mul(hidden)
    }

    /// [`parameters`](Self::parameters) without those that are always zero.
    pub fn trainable(&self, inputs: u64, hidden: u64) -> Option<u64> {
        let zeros = hidden.checked_mul(hidden)?.checked_mul(self.zero_blocks.len() as u64)?;
        self.parameters(inputs, hidden)?.checked_sub(zeros)
    }
}
