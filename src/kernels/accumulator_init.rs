//! The initial values of the accumulators of a product. A bias or gathered rows are loaded directly into the registers.

use std::ops::Range;

use super::micro_kernel::TileInit;
use super::panel_buffer::PanelBuffer;
use super::real::Real;

/// The initial values of the accumulators of a product.
#[derive(Clone, Copy, Debug)]
pub enum AccumulatorInit<'a, R> {
    /// Zeros.
    Zero,
    /// The values stored in the output, to which the product is added.
    Output,
    /// The same row for every row of the output: step 0, stream 0 of a buffer.
    Bias(&'a PanelBuffer<R>),
    /// A row of a table for each row of the output.
    Gather {
        /// The table: the streams of step 0 of a buffer.
        table: &'a PanelBuffer<R>,
        /// The row number in the table for each row of the output, `(T, B)`.
        indices: &'a [u32],
    },
}

impl<R: Real> AccumulatorInit<'_, R> {
    /// Panics unless it fits an output of `rows` rows and `panels` panels of `panel_width` elements.
    pub(super) fn check(&self, rows: usize, panels: usize, panel_width: usize) {
        let Some((table, indices)) = self.table() else { return };
        let shape = table.shape();
        let fits = shape.panel_width == panel_width && shape.row_layout.panels(panel_width) == panels;
        assert!(fits && table.steps() > 0, "an initial value of another width");
        let Some(indices) = indices else { return assert!(shape.streams > 0, "a bias without a row") };
        assert!(indices.len() == rows, "{} indices for {rows} rows", indices.len());
        assert!(indices.iter().all(|index| (*index as usize) < shape.streams), "an index beyond the table");
    }

    /// The table with the initial values, and the row numbers; without any, all rows use row 0.
    fn table(&self) -> Option<(&PanelBuffer<R>, Option<&[u32]>)> {
        match self {
            AccumulatorInit::Zero | AccumulatorInit::Output => None,
            AccumulatorInit::Bias(row) => Some((row, None)),
            AccumulatorInit::Gather { table, indices } => Some((table, Some(indices))),
        }
    }

    /// Initializes the panels `panels` of an output that is laid out as for
    /// [`PackedMatrix::multiply`](super::PackedMatrix::multiply): `rows` rows of `panel_width` elements at each of `steps` steps.
    pub fn write(
        &self,
        panels: Range<usize>,
        y: &mut [R],
        step_stride: usize,
        (steps, rows, panel_width): (usize, usize, usize),
    ) {
        let step_len = panels.len() * rows * panel_width;
        if step_len == 0 || matches!(self, AccumulatorInit::Output) {
            return;
        }
        for t in 0..steps {
            for (i, to) in y[t * step_stride..][..step_len].chunks_exact_mut(panel_width).enumerate() {
                let Some((table, indices)) = self.table() else {
                    to.fill(R::ZERO);
                    continue;
                };
                let row = indices.map_or(0, |indices| indices[t * rows + i % rows] as usize);
                let panel = (panels.start + i / rows) * table.shape().panel_len();
                to.copy_from_slice(&table.step(0)[panel + row * panel_width..][..panel_width]);
            }
        }
    }

    /// The initial values of a tile that starts at output row `row`, counted over all time steps, and panel `panel`.
    #[inline(always)]
    pub(super) fn for_tile(&self, panel: usize, row: usize) -> TileInit<R> {
        let at_panel = |table: &PanelBuffer<R>| {
            let panel_stride = table.shape().panel_len();
            (table.step(0).as_ptr().wrapping_add(panel * panel_stride), panel_stride)
        };
        match self {
            AccumulatorInit::Zero => TileInit::Zero,
            AccumulatorInit::Output => TileInit::Output,
            AccumulatorInit::Bias(bias) => {
                let (row, panel_stride) = at_panel(bias);
                TileInit::Row { row, panel_stride }
            }
            AccumulatorInit::Gather { table, indices } => {
                let (table, panel_stride) = at_panel(table);
                TileInit::Gather { table, indices: indices.as_ptr().wrapping_add(row), panel_stride }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Mat;
    use super::super::panel_buffer::RowLayout;
    use super::super::testing::{from_panels, numbers, to_panels};
    use super::super::{PackedMatrix, Precision};
    use super::*;
    use crate::simd::Isa;

    #[test]
    fn products_have_the_same_bits_as_with_initial_values_in_the_output() {
        let (input, output, steps) = (RowLayout::single(150), RowLayout { parts: 4, width: 70 }, 3);
        let w = numbers(150 * 280, 0.2);
        for (isa, rows) in Isa::available().flat_map(|isa| [(isa, 1), (isa, 5), (isa, 17)]) {
            let x = to_panels(isa, input, steps, rows, &numbers(steps * rows * 150, 0.1));
            let mut packed = PackedMatrix::for_isa(isa, input, output);
            packed.pack(Mat::new(&w, 150, 280));
            let table = to_panels(isa, output, 1, 6, &numbers(6 * 280, 0.3));
            let indices: Vec<u32> = (0..steps * rows).map(|i| (i * i % 6) as u32).collect();
            let bias = to_panels(isa, output, 1, 1, &numbers(280, 0.4));
            for precision in [Precision::F32, Precision::Int8] {
                packed.convert(precision);
                for init in [
                    AccumulatorInit::Zero,
                    AccumulatorInit::Bias(&bias),
                    AccumulatorInit::Gather { table: &table, indices: &indices },
                ] {
                    let mut direct = to_panels(isa, output, steps, rows, &numbers(steps * rows * 280, 0.5));
                    let mut copied = PanelBuffer::<f32>::for_isa(isa, output, steps, rows);
                    let (stride, panel_len) = (direct.shape().step_len(), direct.shape().panel_len());
                    let mut row = vec![0.0; 280];
                    for i in 0..steps * rows {
                        match init {
                            AccumulatorInit::Bias(bias) => bias.read(0, 0, &mut row),
                            AccumulatorInit::Gather { table, indices } => table.read(0, indices[i] as usize, &mut row),
                            _ => {}
                        }
                        copied.write(i / rows, i % rows, &row);
                    }
                    // In two calls, so that the second does not start at the first panel.
                    for panels in [0..3, 3..packed.panels()] {
                        let y = &mut direct.steps_mut(0..steps)[panels.start * panel_len..];
                        packed.multiply(panels, y, stride, x.all(0..steps), init);
                    }
                    let all = 0..packed.panels();
                    packed.multiply(all, copied.steps_mut(0..steps), stride, x.all(0..steps), AccumulatorInit::Output);
                    assert!(
                        from_panels(&direct) == from_panels(&copied),
                        "{isa:?}, {rows} rows, {precision:?}, {init:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn rejects_initial_values_that_do_not_fit_the_output() {
        let (wide, narrow) = (RowLayout::single(80), RowLayout::single(8));
        let buffer = |layout, rows| PanelBuffer::<f32>::new(layout, 1, rows);
        let (table, empty, other) = (buffer(wide, 3), buffer(wide, 0), buffer(narrow, 3));
        let multiply = |init: AccumulatorInit<'_, f32>| {
            let packed = PackedMatrix::<f32>::new(narrow, wide);
            let (x, mut y) = (buffer(narrow, 2), buffer(wide, 2));
            packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), init);
        };
        multiply(AccumulatorInit::Gather { table: &table, indices: &[2, 0] });
        for invalid in [
            AccumulatorInit::Bias(&empty),
            AccumulatorInit::Gather { table: &table, indices: &[2, 3] },
            AccumulatorInit::Gather { table: &table, indices: &[2] },
            AccumulatorInit::Gather { table: &other, indices: &[2, 0] },
        ] {
            assert!(std::panic::catch_unwind(|| multiply(invalid)).is_err(), "{invalid:?}");
        }
    }
}
