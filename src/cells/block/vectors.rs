//! The equations of the block, unit by unit. What a variant does not have is never compiled.
//!
//! Every vector that is written is a parameter of its own: only so does the compiler know that none overlaps another.

use super::{Block, Forget, Four};
use crate::kernels::Real;
use crate::simd::Simd;

/// The first `n` elements of a vector that is there.
#[inline(always)]
fn cut<R>(there: bool, x: &[R], n: usize) -> &[R] {
    if there { &x[..n] } else { x }
}

/// The first `n` elements of a vector that is there.
#[inline(always)]
fn cut_mut<R>(there: bool, x: &mut [R], n: usize) -> &mut [R] {
    if there { &mut x[..n] } else { x }
}

/// An element of a vector that is there, or else another number.
#[inline(always)]
fn at<R: Real>(there: bool, x: &[R], j: usize, otherwise: R) -> R {
    if there { x[j] } else { otherwise }
}

impl<R: Real> Four<&[R]> {
    /// The diagonals of the first `n` units.
    #[inline(always)]
    fn cut<B: Block>(self, n: usize) -> Self {
        Four {
            i: cut(B::SEEING && B::INPUT_GATE, self.i, n),
            f: cut(B::SEEING && B::FORGET_GATE, self.f, n),
            g: cut(B::INDEPENDENT, self.g, n),
            o: cut(B::SEEING && B::OUTPUT_GATE, self.o, n),
        }
    }

    /// The diagonals of one unit, 0 where there is none.
    #[inline(always)]
    fn of_unit<B: Block>(&self, j: usize) -> Four<R> {
        Four {
            i: at(B::SEEING && B::INPUT_GATE, self.i, j, R::ZERO),
            f: at(B::SEEING && B::FORGET_GATE, self.f, j, R::ZERO),
            g: at(B::INDEPENDENT, self.g, j, R::ZERO),
            o: at(B::SEEING && B::OUTPUT_GATE, self.o, j, R::ZERO),
        }
    }
}

/// `a`, and what a diagonal adds to it where there is one.
#[inline(always)]
fn seeing<S: Simd, R: Real>(there: bool, a: R, p: R, state: R) -> R {
    if there { p.fma::<S>(state, a) } else { a }
}

/// Every unit forward.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn forward<B: Block, S: Simd, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    p: Four<&[R]>,
    h_prev: &[R],
    c_prev: &[R],
    c: &mut [R],
    h: &mut [R],
) {
    let n = g.len();
    let (i, f, o) = (cut_mut(B::INPUT_GATE, i, n), cut_mut(B::FORGET_GATE, f, n), cut_mut(B::OUTPUT_GATE, o, n));
    let diagonal_weights = p.cut::<B>(n);
    let (h_prev, c_prev, c, h) = (&h_prev[..n], &c_prev[..n], &mut c[..n], &mut h[..n]);
    for j in 0..n {
        let p = diagonal_weights.of_unit::<B>(j);
        let seen = if B::INDEPENDENT { h_prev[j] } else { c_prev[j] };
        let mut i_j = R::ONE;
        if B::INPUT_GATE {
            i_j = seeing::<S, R>(B::SEEING, i[j], p.i, seen).sigmoid::<S>();
            i[j] = i_j;
        }
        let mut f_j = if matches!(B::FORGET, Forget::Coupled) { R::ONE - i_j } else { R::ONE };
        if B::FORGET_GATE {
            f_j = seeing::<S, R>(B::SEEING, f[j], p.f, seen).sigmoid::<S>();
            f[j] = f_j;
        }
        g[j] = B::INPUT.of::<S, R>(seeing::<S, R>(B::INDEPENDENT, g[j], p.g, seen));
        c[j] = f_j.fma::<S>(c_prev[j], i_j * g[j]);
        h[j] = B::OUTPUT.of::<S, R>(c[j]);
        if B::OUTPUT_GATE {
            let seen = if B::INDEPENDENT { seen } else { c[j] };
            o[j] = seeing::<S, R>(B::SEEING, o[j], p.o, seen).sigmoid::<S>();
            h[j] = o[j] * h[j];
        }
    }
}

/// Every unit backward. `di`, `df` and `d_o` are what comes back to gates that are fed back.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn backward<B: Block, S: Simd, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    p: Four<&[R]>,
    c_prev: &[R],
    c: &[R],
    di: &mut [R],
    df: &mut [R],
    d_o: &mut [R],
    dh: &mut [R],
    dc: &mut [R],
) {
    let n = g.len();
    let (i, f, o) = (cut_mut(B::INPUT_GATE, i, n), cut_mut(B::FORGET_GATE, f, n), cut_mut(B::OUTPUT_GATE, o, n));
    let diagonal_weights = p.cut::<B>(n);
    let (di, df, d_o) = (cut_mut(B::FEEDBACK, di, n), cut_mut(B::FEEDBACK, df, n), cut_mut(B::FEEDBACK, d_o, n));
    let (c_prev, c, dh, dc) = (&c_prev[..n], &c[..n], &mut dh[..n], &mut dc[..n]);
    for j in 0..n {
        let was = Unit {
            gates: Four {
                i: at(B::INPUT_GATE, i, j, R::ONE),
                f: at(B::FORGET_GATE, f, j, R::ONE),
                g: g[j],
                o: at(B::OUTPUT_GATE, o, j, R::ONE),
            },
            p: diagonal_weights.of_unit::<B>(j),
            c_prev: c_prev[j],
            c: c[j],
        };
        let fed = |d: &[R]| at(B::FEEDBACK, d, j, R::ZERO);
        let (da, dh_prev, dc_prev) =
            was.back::<B, S>(dh[j], dc[j], Four { i: fed(di), f: fed(df), g: R::ZERO, o: fed(d_o) });
        if B::INPUT_GATE {
            i[j] = da.i;
        }
        if B::FORGET_GATE {
            f[j] = da.f;
        }
        if B::OUTPUT_GATE {
            o[j] = da.o;
        }
        if B::FEEDBACK {
            (di[j], df[j], d_o[j]) = (R::ZERO, R::ZERO, R::ZERO);
        }
        (g[j], dh[j], dc[j]) = (da.g, dh_prev, dc_prev);
    }
}

/// What a unit was in a step forward.
struct Unit<R> {
    gates: Four<R>,
    p: Four<R>,
    c_prev: R,
    c: R,
}

impl<R: Real> Unit<R> {
    /// The gradients of its pre-activations, and of its output and cell state before the step; `fed` comes back to its gates.
    #[inline(always)]
    fn back<B: Block, S: Simd>(self, dh: R, dc: R, fed: Four<R>) -> (Four<R>, R, R) {
        let Unit { gates: Four { i, f, g, o }, p, c_prev, c } = self;
        let sigmoid_slope = |y: R| y * (R::ONE - y);
        let f = if matches!(B::FORGET, Forget::Coupled) { R::ONE - i } else { f };
        let out = B::OUTPUT.of::<S, R>(c);
        let da_o = if B::OUTPUT_GATE { (dh * out + fed.o) * sigmoid_slope(o) } else { R::ZERO };
        let mut dc = dc + dh * o * B::OUTPUT.slope(out);
        if B::PEEPHOLES && B::OUTPUT_GATE {
            dc = p.o.fma::<S>(da_o, dc);
        }
        let da_g = dc * i * B::INPUT.slope(g);
        let da_f = if B::FORGET_GATE { (dc * c_prev + fed.f) * sigmoid_slope(f) } else { R::ZERO };
        let through_i = if matches!(B::FORGET, Forget::Coupled) { g - c_prev } else { g };
        let da_i = if B::INPUT_GATE { (dc * through_i + fed.i) * sigmoid_slope(i) } else { R::ZERO };
        let seen = p.i * da_i + p.f * da_f;
        let dc_prev = if B::PEEPHOLES { dc.fma::<S>(f, seen) } else { dc * f };
        let dh_prev = if B::INDEPENDENT { seen + p.g * da_g + p.o * da_o } else { R::ZERO };
        (
            Four { i: da_i.flush_tiny(), f: da_f.flush_tiny(), g: da_g.flush_tiny(), o: da_o.flush_tiny() },
            dh_prev,
            dc_prev,
        )
    }
}
