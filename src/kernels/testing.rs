//! What the tests of the products share.

use super::blocked::{Axis, Blocked};
use super::isa::Isa;

/// Numbers that differ from place to place, without a generator.
pub fn numbers(n: usize, phase: f64) -> Vec<f32> {
    (0..n).map(|i| ((i as f64 * 0.7 + phase).sin() * 1.5) as f32).collect()
}

/// Rows in their plain order, brought into panels.
pub fn blocked(isa: Isa, axis: Axis, steps: usize, rows: usize, values: &[f32]) -> Blocked<f32> {
    let mut blocked = Blocked::for_isa(isa, axis, steps, rows);
    for (i, row) in values.chunks_exact(axis.elements()).enumerate() {
        blocked.write(i / rows, i % rows, row);
    }
    blocked
}

/// Rows in their plain order, from panels.
pub fn plain(blocked: &Blocked<f32>, steps: usize, rows: usize) -> Vec<f32> {
    let width = blocked.shape().axis.elements();
    let mut values = vec![0.0; steps * rows * width];
    for (i, row) in values.chunks_exact_mut(width).enumerate() {
        blocked.read(i / rows, i % rows, row);
    }
    values
}
