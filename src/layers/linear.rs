//! `y = x w + b` over many rows, and the gradient of `b`. That of `x` is a product with `w` transposed, that of `w` is
//! [`outer`](crate::kernels::outer()).

use std::ops::Range;

use crate::kernels::{Blocked, Packed, Real, Rows, Shape, Start, vector};

/// `y = start + x w` for the parts `parts` of the blocks `blocks` of `y`, which lie in it one after another; the columns of `w` are
/// those parts. `start` tells of every part: the others are set to it.
pub fn multiply<R: Real>(
    (shape, parts, blocks): (Shape, Range<usize>, Range<usize>),
    y: &mut [R],
    step_stride: usize,
    x: Rows<'_, R>,
    w: &Packed<R>,
    start: Start<'_, R>,
) {
    if parts.len() == shape.axis.parts {
        return w.multiply(shape.panels_of(blocks), y, step_stride, x, start);
    }
    start.write(shape.panels_of(blocks.clone()), y, step_stride, (x.steps(), shape.streams, shape.lanes));
    for block in blocks.clone().filter(|_| !parts.is_empty()) {
        let first = (block - blocks.start) * shape.block_len() + parts.start * shape.panel_len();
        let of_block = block * parts.len()..(block + 1) * parts.len();
        w.multiply(of_block, &mut y[first..], step_stride, x, Start::Output);
    }
}

/// `y = x w + b` for some steps of `y`, of which `w` has the parts `parts`: `x` has as many steps, `b` is one row.
pub fn forward<R: Real>(
    y: &mut Blocked<R>,
    parts: Range<usize>,
    steps: Range<usize>,
    x: Rows<'_, R>,
    w: &Packed<R>,
    b: &Blocked<R>,
) {
    let shape = y.shape();
    multiply((shape, parts, 0..shape.blocks()), y.steps_mut(steps), shape.step_len(), x, w, Start::Bias(b));
}

/// `db = ` the sum of the rows of `dy`, for the elements of one part. `steps` gives one step after another.
pub fn bias_gradient<'a, R: Real>(db: &mut [R], part: usize, parts: usize, steps: impl Iterator<Item = Rows<'a, R>>) {
    db.fill(R::ZERO);
    for dy in steps {
        for (block, db) in db.chunks_mut(dy.lanes()).enumerate() {
            vector::add_rows(db, dy.panel(0, block * parts + part), dy.lanes());
        }
    }
}

/// `dp = ` the sum over the rows of `dy * x`, element by element: the gradient of weights from a unit to itself. `steps` gives
/// `dy` and `x` of one step after another.
pub fn diagonal_gradient<'a, R: Real>(dp: &mut [R], steps: impl Iterator<Item = (Rows<'a, R>, Rows<'a, R>)>) {
    dp.fill(R::ZERO);
    for (dy, x) in steps {
        for (block, dp) in dp.chunks_mut(dy.lanes()).enumerate() {
            vector::add_products(dp, dy.panel(0, block), x.panel(0, block), dy.lanes());
        }
    }
}
