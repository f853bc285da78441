//! `y = x w + b` over many rows, and the gradient of `b`. The gradient of `x` is a product with `w` transposed; that of `w` is
//! [`weight_gradient`](crate::kernels::weight_gradient()).

use std::ops::Range;

use crate::kernels::{AccumulatorInit, PackedMatrix, PanelBuffer, PanelShape, PanelView, Real, vector};

/// `y = init + x w` for some blocks of the output. `w` has the columns of the parts `parts`; the other parts of `y` are set to `init`.
pub fn multiply<R: Real>(
    (shape, parts, blocks): (PanelShape, Range<usize>, Range<usize>),
    y: &mut [R],
    step_stride: usize,
    x: PanelView<'_, R>,
    w: &PackedMatrix<R>,
    init: AccumulatorInit<'_, R>,
) {
    if parts.len() == shape.row_layout.parts {
        return w.multiply(shape.panels_of(blocks), y, step_stride, x, init);
    }
    init.write(shape.panels_of(blocks.clone()), y, step_stride, (x.steps(), shape.streams, shape.panel_width));
    for block in blocks.clone().filter(|_| !parts.is_empty()) {
        let first = (block - blocks.start) * shape.block_len() + parts.start * shape.panel_len();
        let panels = block * parts.len()..(block + 1) * parts.len();
        w.multiply(panels, &mut y[first..], step_stride, x, AccumulatorInit::Output);
    }
}

/// `y = x w + b` for some steps of `y`, `(T, B, outputs)`, and as many steps of `x`, `(T, B, inputs)`. `w` has the columns of the parts
/// `parts`; the other parts of `y` are set to `b`.
pub fn forward<R: Real>(
    y: &mut PanelBuffer<R>,
    parts: Range<usize>,
    steps: Range<usize>,
    x: PanelView<'_, R>,
    w: &PackedMatrix<R>,
    b: &PanelBuffer<R>,
) {
    let shape = y.shape();
    multiply((shape, parts, 0..shape.blocks()), y.steps_mut(steps), shape.step_len(), x, w, AccumulatorInit::Bias(b));
}

/// The gradient of part `part` of the bias: `db = ` the sum of the rows of `dy`, `(B, parts * H)`, of every step.
pub fn bias_gradient<'a, R: Real>(
    db: &mut [R],
    part: usize,
    parts: usize,
    steps: impl Iterator<Item = PanelView<'a, R>>,
) {
    db.fill(R::ZERO);
    for dy in steps {
        for (block, db) in db.chunks_mut(dy.panel_width()).enumerate() {
            vector::add_rows(db, dy.panel(0, block * parts + part), dy.panel_width());
        }
    }
}

/// The gradient of a diagonal weight: `dp = ` the sum of `dy * x`, element by element, over the rows `(B, H)` of every step.
pub fn diagonal_gradient<'a, R: Real>(dp: &mut [R], steps: impl Iterator<Item = (PanelView<'a, R>, PanelView<'a, R>)>) {
    dp.fill(R::ZERO);
    for (dy, x) in steps {
        for (block, dp) in dp.chunks_mut(dy.panel_width()).enumerate() {
            vector::add_products(dp, dy.panel(0, block), x.panel(0, block), dy.panel_width());
        }
    }
}
