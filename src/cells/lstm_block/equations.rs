//! The equations of the block, unit by unit. Parts that a variant does not have are not compiled.
//!
//! Every vector that is written is a separate parameter: this is how the compiler knows that the vectors do not overlap.

use super::variant::{Forget, LstmVariant, PerGate};
use crate::kernels::Real;
use crate::simd::Simd;

/// The first `n` elements of a vector, if it exists.
#[inline(always)]
fn first<R>(exists: bool, x: &[R], n: usize) -> &[R] {
    if exists { &x[..n] } else { x }
}

/// The first `n` elements of a vector, if it exists.
#[inline(always)]
fn first_mut<R>(exists: bool, x: &mut [R], n: usize) -> &mut [R] {
    if exists { &mut x[..n] } else { x }
}

/// An element of a vector, or a default if the vector does not exist.
#[inline(always)]
fn at<R: Real>(exists: bool, x: &[R], j: usize, default: R) -> R {
    if exists { x[j] } else { default }
}

impl<R: Real> PerGate<&[R]> {
    /// The diagonal weights of the first `n` units.
    #[inline(always)]
    fn first<B: LstmVariant>(self, n: usize) -> Self {
        PerGate {
            i: first(B::HAS_DIAGONAL_WEIGHTS && B::HAS_INPUT_GATE, self.i, n),
            f: first(B::HAS_DIAGONAL_WEIGHTS && B::HAS_FORGET_GATE, self.f, n),
            g: first(B::HAS_DIAGONAL_RECURRENCE, self.g, n),
            o: first(B::HAS_DIAGONAL_WEIGHTS && B::HAS_OUTPUT_GATE, self.o, n),
        }
    }

    /// The diagonal weights of one unit; 0 for missing ones.
    #[inline(always)]
    fn unit<B: LstmVariant>(&self, j: usize) -> PerGate<R> {
        PerGate {
            i: at(B::HAS_DIAGONAL_WEIGHTS && B::HAS_INPUT_GATE, self.i, j, R::ZERO),
            f: at(B::HAS_DIAGONAL_WEIGHTS && B::HAS_FORGET_GATE, self.f, j, R::ZERO),
            g: at(B::HAS_DIAGONAL_RECURRENCE, self.g, j, R::ZERO),
            o: at(B::HAS_DIAGONAL_WEIGHTS && B::HAS_OUTPUT_GATE, self.o, j, R::ZERO),
        }
    }
}

/// Adds the contribution of a diagonal weight, if it exists, to a pre-activation.
#[inline(always)]
fn add_diagonal<S: Simd, R: Real>(exists: bool, a: R, p: R, state: R) -> R {
    if exists { p.fma::<S>(state, a) } else { a }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn forward<B: LstmVariant, S: Simd, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    p: PerGate<&[R]>,
    h_prev: &[R],
    c_prev: &[R],
    c: &mut [R],
    h: &mut [R],
) {
    let n = g.len();
    let (i, f, o) =
        (first_mut(B::HAS_INPUT_GATE, i, n), first_mut(B::HAS_FORGET_GATE, f, n), first_mut(B::HAS_OUTPUT_GATE, o, n));
    let diagonal_weights = p.first::<B>(n);
    let (h_prev, c_prev, c, h) = (&h_prev[..n], &c_prev[..n], &mut c[..n], &mut h[..n]);
    for j in 0..n {
        let p = diagonal_weights.unit::<B>(j);
        let seen = if B::HAS_DIAGONAL_RECURRENCE { h_prev[j] } else { c_prev[j] };
        let mut i_j = R::ONE;
        if B::HAS_INPUT_GATE {
            i_j = add_diagonal::<S, R>(B::HAS_DIAGONAL_WEIGHTS, i[j], p.i, seen).sigmoid::<S>();
            i[j] = i_j;
        }
        let mut f_j = if matches!(B::FORGET, Forget::Coupled) { R::ONE - i_j } else { R::ONE };
        if B::HAS_FORGET_GATE {
            f_j = add_diagonal::<S, R>(B::HAS_DIAGONAL_WEIGHTS, f[j], p.f, seen).sigmoid::<S>();
            f[j] = f_j;
        }
        g[j] = B::INPUT_ACTIVATION.value::<S, R>(add_diagonal::<S, R>(B::HAS_DIAGONAL_RECURRENCE, g[j], p.g, seen));
        c[j] = f_j.fma::<S>(c_prev[j], i_j * g[j]);
        h[j] = B::OUTPUT_ACTIVATION.value::<S, R>(c[j]);
        if B::HAS_OUTPUT_GATE {
            let seen = if B::HAS_DIAGONAL_RECURRENCE { seen } else { c[j] };
            o[j] = add_diagonal::<S, R>(B::HAS_DIAGONAL_WEIGHTS, o[j], p.o, seen).sigmoid::<S>();
            h[j] = o[j] * h[j];
        }
    }
}

/// The backward equations of every unit. `di`, `df` and `d_o` are the gradients of the recurrent gates.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn backward<B: LstmVariant, S: Simd, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    p: PerGate<&[R]>,
    c_prev: &[R],
    c: &[R],
    di: &mut [R],
    df: &mut [R],
    d_o: &mut [R],
    dh: &mut [R],
    dc: &mut [R],
) {
    let n = g.len();
    let (i, f, o) =
        (first_mut(B::HAS_INPUT_GATE, i, n), first_mut(B::HAS_FORGET_GATE, f, n), first_mut(B::HAS_OUTPUT_GATE, o, n));
    let diagonal_weights = p.first::<B>(n);
    let (di, df, d_o) = (
        first_mut(B::HAS_GATE_RECURRENCE, di, n),
        first_mut(B::HAS_GATE_RECURRENCE, df, n),
        first_mut(B::HAS_GATE_RECURRENCE, d_o, n),
    );
    let (c_prev, c, dh, dc) = (&c_prev[..n], &c[..n], &mut dh[..n], &mut dc[..n]);
    for j in 0..n {
        let unit = Unit {
            gates: PerGate {
                i: at(B::HAS_INPUT_GATE, i, j, R::ONE),
                f: at(B::HAS_FORGET_GATE, f, j, R::ONE),
                g: g[j],
                o: at(B::HAS_OUTPUT_GATE, o, j, R::ONE),
            },
            p: diagonal_weights.unit::<B>(j),
            c_prev: c_prev[j],
            c: c[j],
        };
        let recurrent = |d: &[R]| at(B::HAS_GATE_RECURRENCE, d, j, R::ZERO);
        let (da, dh_prev, dc_prev) = unit.backward::<B, S>(
            dh[j],
            dc[j],
            PerGate { i: recurrent(di), f: recurrent(df), g: R::ZERO, o: recurrent(d_o) },
        );
        if B::HAS_INPUT_GATE {
            i[j] = da.i;
        }
        if B::HAS_FORGET_GATE {
            f[j] = da.f;
        }
        if B::HAS_OUTPUT_GATE {
            o[j] = da.o;
        }
        if B::HAS_GATE_RECURRENCE {
            (di[j], df[j], d_o[j]) = (R::ZERO, R::ZERO, R::ZERO);
        }
        (g[j], dh[j], dc[j]) = (da.g, dh_prev, dc_prev);
    }
}

struct Unit<R> {
    gates: PerGate<R>,
    p: PerGate<R>,
    c_prev: R,
    c: R,
}

impl<R: Real> Unit<R> {
    /// The gradients of the pre-activations, and of the previous output and cell state, from those of the output, the cell state and the
    /// recurrent gates.
    #[inline(always)]
    fn backward<B: LstmVariant, S: Simd>(self, dh: R, dc: R, d_gates: PerGate<R>) -> (PerGate<R>, R, R) {
        let Unit { gates: PerGate { i, f, g, o }, p, c_prev, c } = self;
        let sigmoid_slope = |y: R| y * (R::ONE - y);
        let f = if matches!(B::FORGET, Forget::Coupled) { R::ONE - i } else { f };
        let activated = B::OUTPUT_ACTIVATION.value::<S, R>(c);
        let da_o = if B::HAS_OUTPUT_GATE { (dh * activated + d_gates.o) * sigmoid_slope(o) } else { R::ZERO };
        let mut dc = dc + dh * o * B::OUTPUT_ACTIVATION.slope(activated);
        if B::HAS_PEEPHOLES && B::HAS_OUTPUT_GATE {
            dc = p.o.fma::<S>(da_o, dc);
        }
        let da_g = dc * i * B::INPUT_ACTIVATION.slope(g);
        let da_f = if B::HAS_FORGET_GATE { (dc * c_prev + d_gates.f) * sigmoid_slope(f) } else { R::ZERO };
        let through_i = if matches!(B::FORGET, Forget::Coupled) { g - c_prev } else { g };
        let da_i = if B::HAS_INPUT_GATE { (dc * through_i + d_gates.i) * sigmoid_slope(i) } else { R::ZERO };
        let through_gates = p.i * da_i + p.f * da_f;
        let dc_prev = if B::HAS_PEEPHOLES { dc.fma::<S>(f, through_gates) } else { dc * f };
        let dh_prev = if B::HAS_DIAGONAL_RECURRENCE { through_gates + p.g * da_g + p.o * da_o } else { R::ZERO };
        (
            PerGate { i: da_i.flush_tiny(), f: da_f.flush_tiny(), g: da_g.flush_tiny(), o: da_o.flush_tiny() },
            dh_prev,
            dc_prev,
        )
    }
}
