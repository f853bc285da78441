//! What a cell says of itself.

use std::ops::Range;

/// What a cell is and what it needs from the layer that runs it.
#[derive(Debug)]
pub struct CellSpec {
    /// The value of `--cell`.
    pub name: &'static str,
    /// Other names of the same equations.
    pub aliases: &'static [&'static str],
    /// One line for people.
    pub summary: &'static str,
    /// The gates in the order in which their columns stand in `b`, and as far as they are there in `w_ih` and `w_hh`.
    pub gates: &'static [&'static str],
    /// The gates that `x w_ih` goes to: the columns of `w_ih`.
    pub input: Range<usize>,
    /// The gates that the state's product with `w_hh` goes to: its columns. None where the recurrence is diagonal.
    pub recurrent: Range<usize>,
    /// Vectors of state, from the first on, that `w_hh` is multiplied with: its rows.
    pub recurrent_inputs: usize,
    /// Blocks of `w_hh` that stay zero: a vector of state and a gate that it does not go to.
    pub zero_blocks: &'static [(usize, usize)],
    /// Weights from a unit to itself, a vector each: the rows of `p`.
    pub diagonal_weights: &'static [DiagonalWeight],
    /// The gate whose bias starts at 1, so that the cell remembers before it has learned to.
    pub forget_gate: Option<usize>,
    /// Vectors of state, the output `h` among them.
    pub states: usize,
    /// Where the equations come from.
    pub paper: &'static str,
}

/// A weight for each unit, by which a vector of its state goes to one of its gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagonalWeight {
    /// The gate.
    pub gate: usize,
    /// The vector of state.
    pub state: usize,
    /// The state after the step, in place of that before it.
    pub after: bool,
}

/// What most cells are like: every gate is the sum of both products, only `h` is fed back, and there are no diagonals.
pub(super) const PLAIN: CellSpec = CellSpec {
    name: "",
    aliases: &[],
    summary: "",
    gates: &[],
    input: 0..0,
    recurrent: 0..0,
    recurrent_inputs: 1,
    zero_blocks: &[],
    diagonal_weights: &[],
    forget_gate: None,
    states: 1,
    paper: "",
};

impl CellSpec {
    /// Whether both products go to every gate.
    pub fn is_summed(&self) -> bool {
        let all = 0..self.gates.len();
        self.input == all && self.recurrent == all
    }

    /// Parameters of such a layer that can be other than zero.
    pub fn trainable(&self, inputs: u64, hidden: u64) -> Option<u64> {
        let zero_blocks = hidden.checked_mul(hidden)?.checked_mul(self.zero_blocks.len() as u64)?;
        self.parameters(inputs, hidden)?.checked_sub(zero_blocks)
    }

    /// Stored parameters of a layer of `hidden` units that reads `inputs` elements; `None` where they cannot be counted.
    pub fn parameters(&self, inputs: u64, hidden: u64) -> Option<u64> {
        let times = |n: usize, m: u64| m.checked_mul(n as u64);
        let w_ih = times(self.input.len(), inputs)?;
        let w_hh = times(self.recurrent_inputs * self.recurrent.len(), hidden)?;
        let vectors = (self.gates.len() + self.diagonal_weights.len()) as u64;
        w_ih.checked_add(w_hh)?.checked_add(vectors)?.checked_mul(hidden)
    }
}
