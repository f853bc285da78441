//! `y = x w + b` over many rows, and the gradient of `b`. That of `x` is a product with `w` transposed, that of `w` is
//! [`outer`](crate::kernels::outer()).

use std::ops::Range;

use crate::kernels::{Blocked, Packed, Real, Rows, vector};

/// `y = x w + b` for some steps of `y`: `x` has as many, `b` is one row.
pub fn forward<R: Real>(y: &mut Blocked<R>, steps: Range<usize>, x: Rows<'_, R>, w: &Packed<R>, b: &Blocked<R>) {
    let shape = y.shape();
    for step in y.steps_mut(steps.clone()).chunks_exact_mut(shape.step_len()) {
        let panels = step.chunks_exact_mut(shape.panel_len()).zip(b.step(0).chunks_exact(shape.lanes));
        for (rows, bias) in panels {
            rows.chunks_exact_mut(shape.lanes).for_each(|row| row.copy_from_slice(bias));
        }
    }
    w.multiply(0..w.panels(), y.steps_mut(steps), shape.step_len(), x, false);
}

/// `db += ` the sum of the rows of `dy`, for the elements of one part. `steps` gives one step after another.
pub fn bias_gradient<'a, R: Real>(db: &mut [R], part: usize, parts: usize, steps: impl Iterator<Item = Rows<'a, R>>) {
    for dy in steps {
        for (block, db) in db.chunks_mut(dy.lanes()).enumerate() {
            let rows = dy.panel(0, block * parts + part).chunks_exact(dy.lanes());
            rows.for_each(|row| vector::add(db, &row[..db.len()]));
        }
    }
}
