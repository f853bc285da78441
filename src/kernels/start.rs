//! What the sums of a product begin with: a bias or a row of a table goes into the registers, not by way of the output.

use std::ops::Range;

use super::blocked::Blocked;
use super::real::Real;
use super::tile::From;

/// What the sums of a product begin with.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, R> {
    /// Nothing.
    Zero,
    /// What stands in the output.
    Output,
    /// The same row for every row of the output: one step of one stream.
    Bias(&'a Blocked<R>),
    /// For every row of the output, step by step, one of the rows of a step.
    Table {
        /// One step.
        rows: &'a Blocked<R>,
        /// The row for each row of the output.
        slots: &'a [u32],
    },
}

impl<R: Real> Start<'_, R> {
    /// Panics unless it fits an output of `rows` rows in all, of as many panels of `lanes` elements.
    pub(super) fn check(&self, rows: usize, panels: usize, lanes: usize) {
        let (of, slots) = match self {
            Start::Zero | Start::Output => return,
            Start::Bias(row) => (*row, &[0][..]),
            Start::Table { rows: of, slots } => {
                assert!(slots.len() == rows, "a row of the table for each row of a product");
                (*of, *slots)
            }
        };
        let shape = of.shape();
        assert!(shape.lanes == lanes && shape.axis.panels(lanes) == panels && of.steps() > 0, "the start of a product");
        assert!(slots.iter().all(|slot| (*slot as usize) < shape.streams), "a row that the table does not have");
    }

    /// The row that the sums of a row of the output begin with, in a panel: `at` is its number, step by step. `None` for
    /// [`Zero`](Self::Zero) and [`Output`](Self::Output).
    fn row(&self, panel: usize, at: usize) -> Option<&[R]> {
        let (of, slot) = match self {
            Start::Zero | Start::Output => return None,
            Start::Bias(row) => (*row, 0),
            Start::Table { rows, slots } => (*rows, slots[at] as usize),
        };
        let shape = of.shape();
        Some(&of.step(0)[panel * shape.panel_len() + slot * shape.lanes..][..shape.lanes])
    }

    /// Writes it to the panels `panels` of the output, as [`Packed::multiply`](super::Packed::multiply) describes them: `rows`
    /// rows of `lanes` elements at each of `steps` steps.
    pub(super) fn write(
        &self,
        panels: Range<usize>,
        y: &mut [R],
        step_stride: usize,
        (steps, rows, lanes): (usize, usize, usize),
    ) {
        if let Start::Output = self {
            return;
        }
        for t in 0..steps {
            let of_step = &mut y[t * step_stride..][..panels.len() * rows * lanes];
            for (i, to) in of_step.chunks_exact_mut(lanes).enumerate() {
                match self.row(panels.start + i / rows, t * rows + i % rows) {
                    Some(from) => to.copy_from_slice(from),
                    None => to.fill(R::ZERO),
                }
            }
        }
    }

    /// The same for a tile of a product: some rows from number `at` on, at a step, the panels from `panel` on.
    #[inline(always)]
    pub(super) fn of_tile(&self, panel: usize, at: usize) -> From<R> {
        match self {
            Start::Zero => From::Zero,
            Start::Output => From::Output,
            Start::Bias(row) => {
                let panel_len = row.shape().panel_len();
                From::Row { at: row.step(0).as_ptr().wrapping_add(panel * panel_len), panel: panel_len }
            }
            Start::Table { rows, slots } => {
                let panel_len = rows.shape().panel_len();
                let at_panel = rows.step(0).as_ptr().wrapping_add(panel * panel_len);
                From::Table { at: at_panel, slots: slots.as_ptr().wrapping_add(at), panel: panel_len }
            }
        }
    }
}
