//! One flat arena holds all parameters of a model, so that the optimizer, the gradient norm and checkpointing each loop over a
//! single slice. Gradients and moments are arenas with the same [`Layout`].

use std::ops::Range;

use crate::kernels::{Real, vector};

/// The largest absolute value of a valid parameter. Sums of products of two such numbers over a layer fit in an `f32`. Cells whose state
/// or output is unbounded can still overflow over many time steps, so logits and losses may be infinite or NaN.
pub const MAX_ABS_PARAM: f64 = 1e15;

/// Identifies a parameter of a [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(usize);

/// One named parameter: a row-major `rows x cols` matrix, or a vector (`rows` is 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The name, such as `rnn.0.w_hh`.
    pub name: String,
    /// Rows of a matrix; 1 for a vector.
    pub rows: usize,
    /// Columns of a matrix; the length of a vector.
    pub cols: usize,
    /// Whether it is a matrix. Weight decay applies to matrices only.
    pub is_matrix: bool,
    /// Its range in the arena.
    pub range: Range<usize>,
}

/// The names, shapes and ranges of all parameters. Matrices come first, so that weight decay applies to one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    spans: Vec<Span>,
    matrices_len: usize,
}

impl Layout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row-major matrix.
    ///
    /// # Panics
    /// If a vector has been added before.
    pub fn matrix(&mut self, name: impl Into<String>, rows: usize, cols: usize) -> SpanId {
        assert_eq!(self.matrices_len, self.len(), "matrices come before vectors");
        let id = self.push(name.into(), rows, cols, true);
        self.matrices_len = self.len();
        id
    }

    /// Adds a vector.
    pub fn vector(&mut self, name: impl Into<String>, len: usize) -> SpanId {
        self.push(name.into(), 1, len, false)
    }

    fn push(&mut self, name: String, rows: usize, cols: usize, is_matrix: bool) -> SpanId {
        let start = self.len();
        self.spans.push(Span { name, rows, cols, is_matrix, range: start..start + rows * cols });
        SpanId(self.spans.len() - 1)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.spans.last().map_or(0, |span| span.range.end)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of elements of all matrices, which come first.
    pub fn matrices_len(&self) -> usize {
        self.matrices_len
    }

    /// The spans in the order of the arena.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The span with this id.
    pub fn span(&self, id: SpanId) -> &Span {
        &self.spans[id.0]
    }

    /// Every span with its id, in the order of the arena.
    pub fn ids(&self) -> impl Iterator<Item = (SpanId, &Span)> {
        self.spans.iter().enumerate().map(|(i, span)| (SpanId(i), span))
    }

    /// The elements of one parameter in an arena of this layout.
    pub fn slice<'a, R>(&self, arena: &'a [R], id: SpanId) -> &'a [R] {
        &arena[self.span(id).range.clone()]
    }

    /// The elements of one parameter in an arena of this layout.
    pub fn slice_mut<'a, R>(&self, arena: &'a mut [R], id: SpanId) -> &'a mut [R] {
        &mut arena[self.span(id).range.clone()]
    }

    /// The name of the first parameter with an element that is NaN, infinite, or larger than [`MAX_ABS_PARAM`].
    pub fn first_invalid<R: Real>(&self, arena: &[R]) -> Option<&str> {
        let bad = |span: &&Span| !vector::all_within(&arena[span.range.clone()], R::from_f64(MAX_ABS_PARAM));
        self.spans.iter().find(bad).map(|span| span.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_the_arena_without_gaps() {
        let mut layout = Layout::new();
        let a = layout.matrix("a", 2, 3);
        let b = layout.matrix("b", 1, 4);
        let c = layout.vector("c", 5);
        assert_eq!((layout.len(), layout.matrices_len()), (15, 10));
        let arena: Vec<usize> = (0..15).collect();
        assert_eq!(layout.slice(&arena, a), [0, 1, 2, 3, 4, 5]);
        assert_eq!(layout.slice(&arena, b), [6, 7, 8, 9]);
        assert_eq!(layout.slice(&arena, c), [10, 11, 12, 13, 14]);
    }

    #[test]
    fn finds_the_first_parameter_with_an_invalid_element() {
        let mut layout = Layout::new();
        layout.matrix("a", 2, 2);
        layout.vector("b", 2);
        assert_eq!(layout.first_invalid(&[0.0; 6]), None);
        assert_eq!(layout.first_invalid(&[0.0, 0.0, 0.0, 0.0, 0.0, f64::NAN]), Some("b"));
        assert_eq!(layout.first_invalid(&[0.0, -1e16, 0.0, 0.0, f64::INFINITY, 0.0]), Some("a"));
    }
}
