//! Activations in panels: the layout that the fast products read and write without a copy.
//!
//! A row of activations (one stream, one step) is cut into panels of as many elements as a tile of the products is wide, 32
//! with AVX-512. Where a row has several parts of the same width (the gates of a layer; the vectors of a state), the panels
//! of the parts alternate, so that everything that an elementwise cell needs for some units stands side by side: a *block*.
//! The order is `(step, panel, stream, lane)`: the rows of a step's panel lie one after another, and a step lies together.
//! What a panel has beyond the width is zero and stays zero.

use std::ops::Range;

use super::aligned::Aligned;
use super::isa::{Isa, isa};
use super::real::Real;

/// How the elements of a row are laid out: `parts` vectors of `width` elements, whose panels alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Vectors side by side.
    pub parts: usize,
    /// Elements of each.
    pub width: usize,
}

impl RowLayout {
    /// One vector.
    pub fn single(width: usize) -> Self {
        RowLayout { parts: 1, width }
    }

    /// Elements of a row.
    pub fn elements(self) -> usize {
        self.parts * self.width
    }

    /// Panels of `panel_width` elements of a row.
    pub fn panels(self, panel_width: usize) -> usize {
        self.parts * self.blocks(panel_width)
    }

    /// Blocks of a row: panels of one part.
    pub fn blocks(self, panel_width: usize) -> usize {
        self.width.div_ceil(panel_width)
    }

    /// The elements of a row, in its plain order, that stand in a panel.
    pub fn panel_columns(self, panel_width: usize, panel: usize) -> Range<usize> {
        let (block, part) = (panel / self.parts, panel % self.parts);
        let first = (block * panel_width).min(self.width);
        let width = panel_width.min(self.width - first);
        part * self.width + first..part * self.width + first + width
    }
}

/// What one step of activations looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelShape {
    /// How a row is laid out.
    pub(crate) row_layout: RowLayout,
    /// Rows: streams side by side.
    pub(crate) streams: usize,
    /// Elements of a panel's row.
    pub(crate) panel_width: usize,
}

impl PanelShape {
    /// Elements of a panel, all streams.
    pub fn panel_len(self) -> usize {
        self.streams * self.panel_width
    }
    /// Elements of a block, all streams: a panel of every part.
    pub fn block_len(self) -> usize {
        self.row_layout.parts * self.panel_len()
    }
    /// Blocks of a row.
    pub fn blocks(self) -> usize {
        self.row_layout.blocks(self.panel_width)
    }
    /// The panels of some blocks.
    pub fn panels_of(self, blocks: Range<usize>) -> Range<usize> {
        blocks.start * self.row_layout.parts..blocks.end * self.row_layout.parts
    }
    /// Elements of a step.
    pub fn step_len(self) -> usize {
        self.blocks() * self.block_len()
    }

    /// Some neighbouring parts of the rows of a step, as an operand of a product: a row of `parts.len() x width` elements.
    pub fn parts<R>(self, parts: Range<usize>, step: &[R]) -> PanelView<'_, R> {
        assert!(parts.end <= self.row_layout.parts, "parts {parts:?} of {}", self.row_layout.parts);
        // Where all parts are taken, no panel is left out between one and the next.
        let whole = parts.len() == self.row_layout.parts;
        let (of_block, block_stride) = if whole { (1, self.panel_len()) } else { (parts.len(), self.block_len()) };
        PanelView {
            data: step.get(parts.start * self.panel_len()..).unwrap_or_default(),
            steps: 1,
            step_stride: self.step_len(),
            panels: self.blocks() * parts.len(),
            of_block,
            block_stride,
            rows: self.streams,
            panel_width: self.panel_width,
        }
    }
}

/// Rows of some streams over some steps, in panels. Allocated once.
#[derive(Debug)]
pub struct PanelBuffer<R> {
    values: Aligned<R>,
    shape: PanelShape,
    steps: usize,
}

impl<R: Real> Clone for PanelBuffer<R> {
    fn clone(&self) -> Self {
        PanelBuffer { values: self.values.clone(), ..*self }
    }
}

impl<R: Real> PanelBuffer<R> {
    /// Room for `steps x streams` rows, all zero, for the instruction set in force.
    pub fn new(row_layout: RowLayout, steps: usize, streams: usize) -> Self {
        Self::for_isa(isa(), row_layout, steps, streams)
    }

    /// Room for `steps x streams` rows, all zero, in the panels of `isa`.
    pub fn for_isa(isa: Isa, row_layout: RowLayout, steps: usize, streams: usize) -> Self {
        let shape = PanelShape { row_layout, streams, panel_width: R::panel_width(isa) };
        let of_step = row_layout
            .panels(shape.panel_width)
            .checked_mul(shape.panel_width)
            .and_then(|row| row.checked_mul(streams));
        let len = of_step.and_then(|of_step| of_step.checked_mul(steps));
        assert!(len.is_some(), "{steps} steps of {streams} rows");
        PanelBuffer { values: Aligned::zeros(len.unwrap_or(0)), shape, steps }
    }

    /// What a step looks like.
    pub fn shape(&self) -> PanelShape {
        self.shape
    }
    /// Steps that it has room for.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// One step, its panels one after another.
    pub fn step(&self, t: usize) -> &[R] {
        let len = self.shape.step_len();
        &self.values[t * len..][..len]
    }

    /// One step, its panels one after another.
    pub fn step_mut(&mut self, t: usize) -> &mut [R] {
        let len = self.shape.step_len();
        &mut self.values[t * len..][..len]
    }

    /// Some steps one after another.
    pub fn steps_mut(&mut self, steps: Range<usize>) -> &mut [R] {
        let len = self.shape.step_len();
        &mut self.values[steps.start * len..steps.end * len]
    }

    /// A step and the one after it, to read the first and write the second.
    pub fn step_and_next_mut(&mut self, t: usize) -> (&[R], &mut [R]) {
        let len = self.shape.step_len();
        let (before, after) = self.values.split_at_mut((t + 1) * len);
        (&before[t * len..], &mut after[..len])
    }

    /// A step to write, and what is behind it.
    pub fn step_mut_and_rest(&mut self, t: usize) -> (&mut [R], &[R]) {
        let len = self.shape.step_len();
        let (before, after) = self.values.split_at_mut((t + 1) * len);
        (&mut before[t * len..], after)
    }

    /// Some neighbouring parts of the rows of some steps, as an operand of a product.
    pub fn parts(&self, parts: Range<usize>, steps: Range<usize>) -> PanelView<'_, R> {
        let len = self.shape.step_len();
        PanelView { steps: steps.len(), ..self.shape.parts(parts, &self.values[steps.start * len..steps.end * len]) }
    }

    /// All panels of the rows of some steps, as an operand of a product.
    pub fn all(&self, steps: Range<usize>) -> PanelView<'_, R> {
        self.parts(0..self.shape.row_layout.parts, steps)
    }

    /// Copies the row of a stream at a step into `row`, in its plain order.
    pub fn read(&self, t: usize, stream: usize, row: &mut [R]) {
        let PanelShape { row_layout, panel_width, .. } = self.shape;
        assert_eq!(row.len(), row_layout.elements(), "elements of a row");
        for (panel, values) in self.step(t).chunks_exact(self.shape.panel_len()).enumerate() {
            let place = row_layout.panel_columns(panel_width, panel);
            let len = place.len();
            row[place].copy_from_slice(&values[stream * panel_width..][..len]);
        }
    }

    /// Sets the row of a stream at a step from `row`, in its plain order.
    pub fn write(&mut self, t: usize, stream: usize, row: &[R]) {
        let PanelShape { row_layout, panel_width, .. } = self.shape;
        let panel_len = self.shape.panel_len();
        assert_eq!(row.len(), row_layout.elements(), "elements of a row");
        for (panel, values) in self.step_mut(t).chunks_exact_mut(panel_len).enumerate() {
            let place = row_layout.panel_columns(panel_width, panel);
            values[stream * panel_width..][..place.len()].copy_from_slice(&row[place]);
        }
    }
}

#[cfg(test)]
impl<R: Real> PanelBuffer<R> {
    /// The same, right at a page that nobody may touch.
    pub(super) fn beside(self, edge: super::guarded::Edge) -> Self {
        PanelBuffer { values: super::guarded::beside(edge, &self.values), ..self }
    }
}

/// Rows of a [`PanelBuffer`] as an operand of a product.
#[derive(Clone, Copy, Debug)]
pub struct PanelView<'a, R> {
    pub(super) data: &'a [R],
    pub(super) steps: usize,
    pub(super) step_stride: usize,
    pub(super) panels: usize,
    /// Neighbouring panels of a block.
    pub(super) of_block: usize,
    pub(super) block_stride: usize,
    pub(super) rows: usize,
    pub(super) panel_width: usize,
}

impl<'a, R> PanelView<'a, R> {
    /// Elements of a panel's row.
    pub fn panel_width(&self) -> usize {
        self.panel_width
    }

    /// Steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The streams of a panel at a step, `streams x panel_width`.
    pub fn panel(&self, t: usize, panel: usize) -> &'a [R] {
        &self.data[t * self.step_stride + self.panel_at(panel)..][..self.rows * self.panel_width]
    }

    /// Where a panel begins within a step.
    #[inline(always)]
    pub(super) fn panel_at(&self, panel: usize) -> usize {
        if self.of_block == 1 {
            return panel * self.block_stride;
        }
        // Half as wide a division as of `usize` takes a fraction of the time.
        let (panel, of_block) = (panel as u32, self.of_block as u32);
        (panel / of_block) as usize * self.block_stride + (panel % of_block) as usize * self.rows * self.panel_width
    }

    /// Panics unless every row lies within the data.
    pub(super) fn check(&self) {
        let last = |n: usize, stride: usize| n.saturating_sub(1).checked_mul(stride);
        let end = last(self.steps, self.step_stride)
            .and_then(|end| end.checked_add(last(self.panels / self.of_block.max(1), self.block_stride)?))
            .and_then(|end| end.checked_add(last(self.of_block, self.rows.checked_mul(self.panel_width)?)?))
            .and_then(|end| end.checked_add(self.rows.checked_mul(self.panel_width)?));
        let none = [self.steps, self.panels, self.rows].contains(&0);
        assert!(
            none || self.panels.is_multiple_of(self.of_block) && self.panels <= u32::MAX as usize,
            "blocks of panels"
        );
        assert!(none || end.is_some_and(|end| end <= self.data.len()), "rows of {end:?} elements");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_padding_stays_zero() {
        for isa in Isa::available() {
            for (parts, width) in [(1, 1), (2, 5), (4, 32), (3, 45)] {
                let row_layout = RowLayout { parts, width };
                let mut values = PanelBuffer::<f32>::for_isa(isa, row_layout, 2, 3);
                let row: Vec<f32> = (1..=row_layout.elements()).map(|x| x as f32).collect();
                values.write(1, 2, &row);
                let mut back = vec![0.0; row.len()];
                values.read(1, 2, &mut back);
                assert_eq!(back, row, "{isa:?} {row_layout:?}");
                assert_eq!(values.values.iter().filter(|x| **x != 0.0).count(), row.len());
                values.read(1, 1, &mut back);
                assert!(back.iter().all(|x| *x == 0.0));
            }
        }
    }

    #[test]
    fn the_panels_of_the_parts_alternate() {
        let row_layout = RowLayout { parts: 2, width: 5 };
        let ranges: Vec<_> = (0..row_layout.panels(4)).map(|panel| row_layout.panel_columns(4, panel)).collect();
        assert_eq!(ranges, [0..4, 5..9, 4..5, 9..10]);
    }

    #[test]
    #[should_panic(expected = "steps of 8 rows")]
    fn a_size_beyond_all_numbers_is_refused() {
        PanelBuffer::<f32>::new(RowLayout::single(8), usize::MAX / 64 + 1, 8);
    }

    #[test]
    fn rows_beyond_their_data_are_refused_whatever_their_strides() {
        let data = [0.0f32; 64];
        let (panel_width, rows) = (4, 2);
        let fits = PanelView {
            data: &data,
            steps: 2,
            step_stride: 32,
            panels: 4,
            of_block: 2,
            block_stride: 16,
            rows,
            panel_width,
        };
        fits.check();
        // What these reach comes to a number within the data where overflow is not noticed.
        let overflows = usize::MAX / 3 + 1;
        for beyond in [
            PanelView { data: &data[..63], ..fits },
            PanelView { step_stride: 33, ..fits },
            PanelView { steps: 4, step_stride: overflows, ..fits },
            PanelView { steps: 1, panels: 8, block_stride: overflows, ..fits },
            PanelView { steps: 1, panels: 6, of_block: 1, block_stride: usize::MAX / 5 + 1, ..fits },
            PanelView { steps: 1, rows: usize::MAX / 4 + 1, ..fits },
        ] {
            assert!(std::panic::catch_unwind(|| beyond.check()).is_err(), "{beyond:?}");
        }
    }
}
