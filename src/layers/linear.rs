//! `y = x w + b` over many rows, and the gradient of `b`. That of `x` is a product with `w` transposed, that of `w` is
//! [`outer`](crate::kernels::outer()).

use std::ops::Range;

use crate::kernels::{Blocked, Packed, Real, Rows, Start, vector};

/// `y = x w + b` for some steps of `y`: `x` has as many, `b` is one row.
pub fn forward<R: Real>(y: &mut Blocked<R>, steps: Range<usize>, x: Rows<'_, R>, w: &Packed<R>, b: &Blocked<R>) {
    let stride = y.shape().step_len();
    w.multiply(0..w.panels(), y.steps_mut(steps), stride, x, Start::Bias(b));
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
