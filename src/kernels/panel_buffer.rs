//! Activations in panels: the layout that the matrix products read and write without copying.
//!
//! A row of activations (one stream at one time step) is split into panels, which are as wide as a tile of the products: 32
//! elements with AVX-512. If a row consists of several parts of the same width (the gates of a layer, the vectors of a state), the
//! panels of the parts are interleaved, so that a block, one panel of every part, holds everything that a cell needs for its units.
//!
//! Buffers are `(T, panel, B, lane)`: a panel of a step holds its rows one after another. The padding at the end of a part is always
//! zero.

use std::ops::Range;

use super::aligned::AlignedBuffer;
use super::real::Real;
use crate::simd::Isa;

/// The elements of a row: the concatenation of `parts` vectors of `width` elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Number of vectors.
    pub parts: usize,
    /// Elements of each vector.
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

    /// Panels of a row.
    pub fn panels(self, panel_width: usize) -> usize {
        self.parts * self.blocks(panel_width)
    }

    /// Blocks of a row: panels of one part.
    pub fn blocks(self, panel_width: usize) -> usize {
        self.width.div_ceil(panel_width)
    }

    /// The elements of a row that a panel holds.
    pub fn panel_columns(self, panel_width: usize, panel: usize) -> Range<usize> {
        let (block, part) = (panel / self.parts, panel % self.parts);
        let first = (block * panel_width).min(self.width);
        let width = panel_width.min(self.width - first);
        part * self.width + first..part * self.width + first + width
    }
}

/// The layout of one time step of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelShape {
    /// The layout of a row.
    pub(crate) row_layout: RowLayout,
    /// Rows: streams of the batch.
    pub(crate) streams: usize,
    /// Elements in a row of a panel.
    pub(crate) panel_width: usize,
}

impl PanelShape {
    /// Elements of a panel, all streams.
    pub fn panel_len(self) -> usize {
        self.streams * self.panel_width
    }
    /// Elements of a block, all streams.
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

    /// Consecutive parts of the rows of a step, as the operand of a product: rows of `parts.len() * width` elements.
    pub fn parts<R>(self, parts: Range<usize>, step: &[R]) -> PanelView<'_, R> {
        assert!(parts.end <= self.row_layout.parts, "parts {parts:?} of {}", self.row_layout.parts);
        // If all parts are taken, all panels are evenly spaced.
        let all = parts.len() == self.row_layout.parts;
        let (group, group_stride) = if all { (1, self.panel_len()) } else { (parts.len(), self.block_len()) };
        PanelView {
            data: step.get(parts.start * self.panel_len()..).unwrap_or_default(),
            steps: 1,
            step_stride: self.step_len(),
            panels: self.blocks() * parts.len(),
            group,
            group_stride,
            rows: self.streams,
            panel_width: self.panel_width,
        }
    }
}

/// Activations `(T, B, row)` in panels. Allocated once.
#[derive(Debug)]
pub struct PanelBuffer<R> {
    values: AlignedBuffer<R>,
    shape: PanelShape,
    steps: usize,
}

impl<R: Real> Clone for PanelBuffer<R> {
    fn clone(&self) -> Self {
        PanelBuffer { values: self.values.clone(), ..*self }
    }
}

impl<R: Real> PanelBuffer<R> {
    /// Zeros for `steps x streams` rows, in the panels of the active instruction set.
    pub fn new(row_layout: RowLayout, steps: usize, streams: usize) -> Self {
        Self::for_isa(Isa::active(), row_layout, steps, streams)
    }

    /// Zeros for `steps x streams` rows, in the panels of `isa`.
    ///
    /// # Panics
    /// If the size overflows.
    pub fn for_isa(isa: Isa, row_layout: RowLayout, steps: usize, streams: usize) -> Self {
        let shape = PanelShape { row_layout, streams, panel_width: R::panel_width(isa) };
        let row_len = row_layout.panels(shape.panel_width).checked_mul(shape.panel_width);
        let len = row_len.and_then(|len| len.checked_mul(streams)?.checked_mul(steps));
        assert!(len.is_some(), "{steps} steps of {streams} rows");
        PanelBuffer { values: AlignedBuffer::zeros(len.unwrap_or(0)), shape, steps }
    }

    /// The layout of a step.
    pub fn shape(&self) -> PanelShape {
        self.shape
    }
    /// Number of time steps.
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

    /// Some steps, one after another.
    pub fn steps_mut(&mut self, steps: Range<usize>) -> &mut [R] {
        let len = self.shape.step_len();
        &mut self.values[steps.start * len..steps.end * len]
    }

    /// Step `t` to read and step `t + 1` to write.
    pub fn step_and_next_mut(&mut self, t: usize) -> (&[R], &mut [R]) {
        let len = self.shape.step_len();
        let (before, after) = self.values.split_at_mut((t + 1) * len);
        (&before[t * len..], &mut after[..len])
    }

    /// Step `t` to write and all later steps to read.
    pub fn step_mut_and_rest(&mut self, t: usize) -> (&mut [R], &[R]) {
        let len = self.shape.step_len();
        let (before, after) = self.values.split_at_mut((t + 1) * len);
        (&mut before[t * len..], after)
    }

    /// Consecutive parts of the rows of some steps, as the operand of a product.
    pub fn parts(&self, parts: Range<usize>, steps: Range<usize>) -> PanelView<'_, R> {
        let len = self.shape.step_len();
        PanelView { steps: steps.len(), ..self.shape.parts(parts, &self.values[steps.start * len..steps.end * len]) }
    }

    /// The rows of some steps, as the operand of a product.
    pub fn all(&self, steps: Range<usize>) -> PanelView<'_, R> {
        self.parts(0..self.shape.row_layout.parts, steps)
    }

    /// Copies the row of a stream at a step into `row`.
    pub fn read(&self, t: usize, stream: usize, row: &mut [R]) {
        let PanelShape { row_layout, panel_width, .. } = self.shape;
        assert_eq!(row.len(), row_layout.elements(), "elements of a row");
        for (panel, values) in self.step(t).chunks_exact(self.shape.panel_len()).enumerate() {
            let columns = row_layout.panel_columns(panel_width, panel);
            let len = columns.len();
            row[columns].copy_from_slice(&values[stream * panel_width..][..len]);
        }
    }

    /// Sets the row of a stream at a step.
    pub fn write(&mut self, t: usize, stream: usize, row: &[R]) {
        let PanelShape { row_layout, panel_width, .. } = self.shape;
        let panel_len = self.shape.panel_len();
        assert_eq!(row.len(), row_layout.elements(), "elements of a row");
        for (panel, values) in self.step_mut(t).chunks_exact_mut(panel_len).enumerate() {
            let columns = row_layout.panel_columns(panel_width, panel);
            values[stream * panel_width..][..columns.len()].copy_from_slice(&row[columns]);
        }
    }
}

#[cfg(test)]
impl<R: Real> PanelBuffer<R> {
    /// A copy that touches an inaccessible page.
    pub(super) fn at_page_edge(&self, edge: super::testing::Edge) -> Self {
        PanelBuffer { values: super::testing::at_page_edge(edge, &self.values), ..*self }
    }
}

/// Rows of a [`PanelBuffer`] as the operand of a product. Its panels form groups of adjacent panels.
#[derive(Clone, Copy, Debug)]
pub struct PanelView<'a, R> {
    pub(super) data: &'a [R],
    pub(super) steps: usize,
    pub(super) step_stride: usize,
    pub(super) panels: usize,
    /// Panels of a group.
    pub(super) group: usize,
    pub(super) group_stride: usize,
    pub(super) rows: usize,
    pub(super) panel_width: usize,
}

impl<'a, R> PanelView<'a, R> {
    /// Elements in a row of a panel.
    pub fn panel_width(&self) -> usize {
        self.panel_width
    }

    /// Number of time steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// A panel of a step, `(B, panel_width)`.
    pub fn panel(&self, t: usize, panel: usize) -> &'a [R] {
        &self.data[t * self.step_stride + self.panel_offset(panel)..][..self.rows * self.panel_width]
    }

    /// The offset of a panel within a time step.
    #[inline(always)]
    pub(super) fn panel_offset(&self, panel: usize) -> usize {
        if self.group == 1 {
            return panel * self.group_stride;
        }
        // A 32-bit division is several times faster than a 64-bit one.
        let (panel, group) = (panel as u32, self.group as u32);
        (panel / group) as usize * self.group_stride + (panel % group) as usize * self.rows * self.panel_width
    }

    /// Panics unless every row is within the data.
    pub(super) fn check(&self) {
        let last = |n: usize, stride: usize| n.saturating_sub(1).checked_mul(stride);
        let end = last(self.steps, self.step_stride)
            .and_then(|end| end.checked_add(last(self.panels / self.group.max(1), self.group_stride)?))
            .and_then(|end| end.checked_add(last(self.group, self.rows.checked_mul(self.panel_width)?)?))
            .and_then(|end| end.checked_add(self.rows.checked_mul(self.panel_width)?));
        let is_empty = [self.steps, self.panels, self.rows].contains(&0);
        let has_whole_groups = self.panels.is_multiple_of(self.group) && self.panels <= u32::MAX as usize;
        assert!(is_empty || has_whole_groups, "groups of panels");
        assert!(is_empty || end.is_some_and(|end| end <= self.data.len()), "rows of {end:?} elements");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_written_rows_and_keeps_the_padding_zero() {
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
    fn panels_of_the_parts_alternate() {
        let row_layout = RowLayout { parts: 2, width: 5 };
        let ranges: Vec<_> = (0..row_layout.panels(4)).map(|panel| row_layout.panel_columns(4, panel)).collect();
        assert_eq!(ranges, [0..4, 5..9, 4..5, 9..10]);
    }

    #[test]
    #[should_panic(expected = "steps of 8 rows")]
    fn rejects_a_size_that_overflows() {
        PanelBuffer::<f32>::new(RowLayout::single(8), usize::MAX / 64 + 1, 8);
    }

    #[test]
    fn rejects_rows_beyond_the_data_even_if_strides_overflow() {
        let data = [0.0f32; 64];
        let (panel_width, rows) = (4, 2);
        let fits = PanelView {
            data: &data,
            steps: 2,
            step_stride: 32,
            panels: 4,
            group: 2,
            group_stride: 16,
            rows,
            panel_width,
        };
        fits.check();
        // The end offsets of these views wrap around to values within the data.
        let overflows = usize::MAX / 3 + 1;
        for beyond in [
            PanelView { data: &data[..63], ..fits },
            PanelView { step_stride: 33, ..fits },
            PanelView { steps: 4, step_stride: overflows, ..fits },
            PanelView { steps: 1, panels: 8, group_stride: overflows, ..fits },
            PanelView { steps: 1, panels: 6, group: 1, group_stride: usize::MAX / 5 + 1, ..fits },
            PanelView { steps: 1, rows: usize::MAX / 4 + 1, ..fits },
        ] {
            assert!(std::panic::catch_unwind(|| beyond.check()).is_err(), "{beyond:?}");
        }
    }
}
