//! What the sums of a product begin with: a bias or a row of a table goes into the registers, not by way of the output.

use std::ops::Range;

use super::blocked::PanelBuffer;
use super::real::Real;
use super::tile::Begin;

/// What the sums of a product begin with.
#[derive(Clone, Copy, Debug)]
pub enum AccumulatorInit<'a, R> {
    /// Nothing.
    Zero,
    /// What stands in the output.
    Output,
    /// The same row for every row of the output: one step of one stream.
    Bias(&'a PanelBuffer<R>),
    /// For every row of the output, step by step, one of the rows of a step.
    Table {
        /// One step.
        rows: &'a PanelBuffer<R>,
        /// The row for each row of the output.
        slots: &'a [u32],
    },
}

impl<R: Real> AccumulatorInit<'_, R> {
    /// Panics unless it fits an output of `rows` rows in all, of as many panels of `panel_width` elements.
    pub(super) fn check(&self, rows: usize, panels: usize, panel_width: usize) {
        let Some((of, slots)) = self.rows() else { return };
        let shape = of.shape();
        assert!(
            shape.panel_width == panel_width && shape.row_layout.panels(panel_width) == panels && of.steps() > 0,
            "the start of a product"
        );
        let Some(slots) = slots else { return assert!(shape.streams > 0, "a bias without a row") };
        assert!(slots.len() == rows, "a row of the table for each row of a product");
        assert!(slots.iter().all(|slot| (*slot as usize) < shape.streams), "a row that the table does not have");
    }

    /// The rows that it takes from, if any, and which of them; the first where nothing is said.
    fn rows(&self) -> Option<(&PanelBuffer<R>, Option<&[u32]>)> {
        match self {
            AccumulatorInit::Zero | AccumulatorInit::Output => None,
            AccumulatorInit::Bias(row) => Some((row, None)),
            AccumulatorInit::Table { rows, slots } => Some((rows, Some(slots))),
        }
    }

    /// The row that the sums of a row of the output begin with, in a panel: `at` is its number, step by step. `None` for
    /// [`Zero`](Self::Zero) and [`Output`](Self::Output).
    fn row(&self, panel: usize, at: usize) -> Option<&[R]> {
        let (of, slots) = self.rows()?;
        let slot = slots.map_or(0, |slots| slots[at] as usize);
        let shape = of.shape();
        Some(&of.step(0)[panel * shape.panel_len() + slot * shape.panel_width..][..shape.panel_width])
    }

    /// Writes it to the panels `panels` of the output, as [`PackedMatrix::multiply`](super::Packed::multiply) describes them: `rows`
    /// rows of `panel_width` elements at each of `steps` steps.
    pub fn write(
        &self,
        panels: Range<usize>,
        y: &mut [R],
        step_stride: usize,
        (steps, rows, panel_width): (usize, usize, usize),
    ) {
        let of_step = panels.len() * rows * panel_width;
        if of_step == 0 || matches!(self, AccumulatorInit::Output) {
            return;
        }
        for t in 0..steps {
            let of_step = &mut y[t * step_stride..][..of_step];
            for (i, to) in of_step.chunks_exact_mut(panel_width).enumerate() {
                match self.row(panels.start + i / rows, t * rows + i % rows) {
                    Some(from) => to.copy_from_slice(from),
                    None => to.fill(R::ZERO),
                }
            }
        }
    }

    /// The same for a tile of a product: some rows from number `at` on, at a step, the panels from `panel` on.
    #[inline(always)]
    pub(super) fn of_tile(&self, panel: usize, at: usize) -> Begin<R> {
        match self {
            AccumulatorInit::Zero => Begin::Zero,
            AccumulatorInit::Output => Begin::Output,
            AccumulatorInit::Bias(row) => {
                let panel_len = row.shape().panel_len();
                Begin::Row { at: row.step(0).as_ptr().wrapping_add(panel * panel_len), panel: panel_len }
            }
            AccumulatorInit::Table { rows, slots } => {
                let panel_len = rows.shape().panel_len();
                let at_panel = rows.step(0).as_ptr().wrapping_add(panel * panel_len);
                Begin::Table { at: at_panel, slots: slots.as_ptr().wrapping_add(at), panel: panel_len }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocked::RowLayout;
    use super::super::isa::Isa;
    use super::super::testing::{blocked, numbers, plain};
    use super::super::view::Mat;
    use super::super::{PackedMatrix, Precision};
    use super::*;

    #[test]
    fn a_product_begins_with_whatever_it_is_told_to() {
        let (input, output, steps) = (RowLayout::single(150), RowLayout { parts: 4, width: 70 }, 3);
        let w = numbers(150 * 280, 0.2);
        for (isa, rows) in Isa::available().flat_map(|isa| [(isa, 1), (isa, 5), (isa, 17)]) {
            let x = blocked(isa, input, steps, rows, &numbers(steps * rows * 150, 0.1));
            let mut packed = PackedMatrix::for_isa(isa, input, output);
            packed.pack(Mat::new(&w, 150, 280));
            let table = blocked(isa, output, 1, 6, &numbers(6 * 280, 0.3));
            let slots: Vec<u32> = (0..steps * rows).map(|i| (i * i % 6) as u32).collect();
            let bias = blocked(isa, output, 1, 1, &numbers(280, 0.4));
            for precision in [Precision::F32, Precision::Int8] {
                packed.convert(precision);
                for start in [
                    AccumulatorInit::Zero,
                    AccumulatorInit::Bias(&bias),
                    AccumulatorInit::Table { rows: &table, slots: &slots },
                ] {
                    let (mut direct, mut copied) = (
                        blocked(isa, output, steps, rows, &numbers(steps * rows * 280, 0.5)),
                        PanelBuffer::<f32>::for_isa(isa, output, steps, rows),
                    );
                    let (stride, panel_len) = (direct.shape().step_len(), direct.shape().panel_len());
                    let panel_width = direct.shape().panel_width;
                    let mut row = vec![0.0; 280];
                    for i in 0..steps * rows {
                        match start {
                            AccumulatorInit::Bias(bias) => bias.read(0, 0, &mut row),
                            AccumulatorInit::Table { rows, slots } => rows.read(0, slots[i] as usize, &mut row),
                            _ => {}
                        }
                        copied.write(i / rows, i % rows, &row);
                    }
                    // In two calls, so that the second begins behind the first panel.
                    for panels in [0..3, 3..packed.panels()] {
                        let y = &mut direct.steps_mut(0..steps)[panels.start * panel_len..];
                        packed.multiply(panels, y, stride, x.all(0..steps), start);
                    }
                    let all = 0..packed.panels();
                    packed.multiply(all, copied.steps_mut(0..steps), stride, x.all(0..steps), AccumulatorInit::Output);
                    let same = plain(&direct, steps, rows) == plain(&copied, steps, rows);
                    assert!(same, "{isa:?}, {rows} rows, {panel_width} panel_width, {precision:?}, {start:?}");
                }
            }
        }
    }

    /// A product of two rows with a start that does not fit.
    fn begin_with(table: RowLayout, slots: &[u32]) {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(80));
        let (x, mut y) = (PanelBuffer::new(RowLayout::single(8), 1, 2), PanelBuffer::new(RowLayout::single(80), 1, 2));
        let rows = &PanelBuffer::new(table, 1, 3);
        packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), AccumulatorInit::Table { rows, slots });
    }

    #[test]
    #[should_panic(expected = "a bias without a row")]
    fn a_bias_without_a_row_is_refused() {
        let packed = PackedMatrix::<f32>::new(RowLayout::single(8), RowLayout::single(80));
        let (x, mut y) = (PanelBuffer::new(RowLayout::single(8), 1, 2), PanelBuffer::new(RowLayout::single(80), 1, 2));
        let bias = PanelBuffer::new(RowLayout::single(80), 1, 0);
        packed.multiply(0..packed.panels(), y.step_mut(0), 0, x.all(0..1), AccumulatorInit::Bias(&bias));
    }

    #[test]
    #[should_panic(expected = "a row that the table does not have")]
    fn a_row_behind_the_table_is_refused() {
        begin_with(RowLayout::single(80), &[2, 3]);
    }

    #[test]
    #[should_panic(expected = "a row of the table for each row of a product")]
    fn too_few_rows_of_a_table_are_refused() {
        begin_with(RowLayout::single(80), &[2]);
    }

    #[test]
    #[should_panic(expected = "the start of a product")]
    fn a_table_of_another_width_is_refused() {
        begin_with(RowLayout::single(8), &[2, 0]);
    }
}
