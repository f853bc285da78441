//! What the tests of the products share.

use super::blocked::{PanelBuffer, PanelView, RowLayout};
use super::guarded::{Guarded, Place, canary};
use super::isa::Isa;
use super::real::Real;

/// Numbers that differ from place to place, without a generator.
pub fn numbers(n: usize, phase: f64) -> Vec<f32> {
    (0..n).map(|i| ((i as f64 * 0.7 + phase).sin() * 1.5) as f32).collect()
}

/// Rows in their plain order, brought into panels.
pub fn blocked(isa: Isa, row_layout: RowLayout, steps: usize, rows: usize, values: &[f32]) -> PanelBuffer<f32> {
    let mut blocked = PanelBuffer::for_isa(isa, row_layout, steps, rows);
    for (i, row) in values.chunks_exact(row_layout.elements()).enumerate() {
        blocked.write(i / rows, i % rows, row);
    }
    blocked
}

/// Rows in their plain order, from panels.
pub fn plain(blocked: &PanelBuffer<f32>, steps: usize, rows: usize) -> Vec<f32> {
    let width = blocked.shape().row_layout.elements();
    let mut values = vec![0.0; steps * rows * width];
    for (i, row) in values.chunks_exact_mut(width).enumerate() {
        blocked.read(i / rows, i % rows, row);
    }
    values
}

/// Rows of activations in guarded memory, as long as it must be: of some steps that begin `gap` elements further apart than they
/// must, in blocks that have `others` panels between one and the next. In between stand canaries.
#[derive(Debug)]
pub struct Operand<R: 'static> {
    values: Guarded<R>,
    layout: PanelView<'static, R>,
}

impl<R: Real> Operand<R> {
    /// From rows in their plain order, step by step.
    pub fn new(
        place: Place,
        (row_layout, panel_width): (RowLayout, usize),
        (steps, rows): (usize, usize),
        (others, gap): (usize, usize),
        values: &[R],
    ) -> Self {
        // As `PanelShape::parts` has it.
        let of_block = if others == 0 { 1 } else { row_layout.parts };
        let (panels, block_stride) = (row_layout.panels(panel_width), (of_block + others) * rows * panel_width);
        let step_stride = (panels / of_block.max(1)) * block_stride + gap;
        let layout = PanelView { data: &[], steps, step_stride, panels, of_block, block_stride, rows, panel_width };
        let place_of = |t: usize, panel: usize| t * step_stride + layout.panel_at(panel);
        let none = [steps, rows, panels].contains(&0);
        let len = if none { 0 } else { place_of(steps - 1, panels - 1) + rows * panel_width };
        let mut memory = vec![canary(); len];
        for (i, row) in values.chunks_exact(row_layout.elements().max(1)).enumerate() {
            for panel in 0..panels {
                let to = &mut memory[place_of(i / rows, panel) + i % rows * panel_width..][..panel_width];
                let from = &row[row_layout.panel_columns(panel_width, panel)];
                to[..from.len()].copy_from_slice(from);
                to[from.len()..].fill(R::ZERO);
            }
        }
        Operand { values: Guarded::new(place, &memory), layout }
    }

    /// As an operand.
    pub fn rows(&self) -> PanelView<'_, R> {
        PanelView { data: &self.values, ..self.layout }
    }
}

/// Numbers that differ from place to place, of any type.
pub fn reals<R: Real>(n: usize, phase: f64) -> Vec<R> {
    numbers(n, phase).into_iter().map(|x| R::from_f64(x.into())).collect()
}

/// Rows of `width` elements that begin `stride` elements apart, canaries between them and none behind the last.
pub fn spaced<R: Real>(values: &[R], width: usize, stride: usize) -> Vec<R> {
    let rows = values.len() / width.max(1);
    let mut spaced = vec![canary(); rows.saturating_sub(1) * stride + width.min(values.len())];
    for (i, row) in values.chunks_exact(width.max(1)).enumerate() {
        spaced[i * stride..][..width].copy_from_slice(row);
    }
    spaced
}
