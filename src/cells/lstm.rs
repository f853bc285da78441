//! The LSTM with a forget gate: Gers, Schmidhuber & Cummins, "Learning to Forget" (1999), without peepholes.
//!
//! Forward, from pre-activations `a` and the previous cell state `c'`:
//!
//! ```text
//! i = sigmoid(a_i)    f = sigmoid(a_f)    g = tanh(a_g)    o = sigmoid(a_o)
//! c = f * c' + i * g
//! h = o * tanh(c)
//! ```
//!
//! Backward, from `dh` and `dc`:
//!
//! ```text
//! dc  += dh * o * (1 - tanh(c)^2)
//! da_i = dc * g  * i * (1 - i)
//! da_f = dc * c' * f * (1 - f)
//! da_g = dc * i  * (1 - g^2)
//! da_o = dh * tanh(c) * o * (1 - o)
//! dc'  = dc * f
//! ```

use super::{CellSpec, Equations};
use crate::kernels::{Mode, Real};

/// The LSTM with a forget gate.
pub struct Lstm;

impl Equations for Lstm {
    const SPEC: CellSpec = CellSpec {
        name: "lstm",
        summary: "LSTM with a forget gate",
        gates: &["i", "f", "g", "o"],
        forget_gate: Some(1),
        states: 2,
        paper: "Gers, Schmidhuber & Cummins 1999",
    };

    #[inline(always)]
    fn forward<M: Mode, R: Real>(hidden: usize, gates: &mut [R], prev: &[R], next: &mut [R]) {
        let (i, f, g, o) = split(gates, hidden);
        let (h, c) = next.split_at_mut(hidden);
        forward::<M, R>(i, f, g, o, &prev[hidden..], c, h);
    }

    #[inline(always)]
    fn backward<M: Mode, R: Real>(hidden: usize, gates: &mut [R], prev: &[R], next: &[R], d: &mut [R]) {
        let (i, f, g, o) = split(gates, hidden);
        let (dh, dc) = d.split_at_mut(hidden);
        backward::<M, R>(i, f, g, o, &prev[hidden..], &next[hidden..], dh, dc);
    }
}

#[inline(always)]
fn split<R>(gates: &mut [R], hidden: usize) -> (&mut [R], &mut [R], &mut [R], &mut [R]) {
    let (i, rest) = gates.split_at_mut(hidden);
    let (f, rest) = rest.split_at_mut(hidden);
    let (g, o) = rest.split_at_mut(hidden);
    (i, f, g, o)
}

// Every vector is a parameter of its own: only so does the compiler know that none overlaps another.

#[inline(always)]
fn forward<M: Mode, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    c_prev: &[R],
    c: &mut [R],
    h: &mut [R],
) {
    let n = i.len();
    let (f, g, o, c_prev) = (&mut f[..n], &mut g[..n], &mut o[..n], &c_prev[..n]);
    let (c, h) = (&mut c[..n], &mut h[..n]);
    for j in 0..n {
        i[j] = i[j].sigmoid::<M>();
        f[j] = f[j].sigmoid::<M>();
        g[j] = g[j].tanh::<M>();
        o[j] = o[j].sigmoid::<M>();
        c[j] = f[j].fma::<M>(c_prev[j], i[j] * g[j]);
        h[j] = o[j] * c[j].tanh::<M>();
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn backward<M: Mode, R: Real>(
    i: &mut [R],
    f: &mut [R],
    g: &mut [R],
    o: &mut [R],
    c_prev: &[R],
    c: &[R],
    dh: &mut [R],
    dc: &mut [R],
) {
    let n = i.len();
    let (f, g, o) = (&mut f[..n], &mut g[..n], &mut o[..n]);
    let (c_prev, c, dh, dc) = (&c_prev[..n], &c[..n], &mut dh[..n], &mut dc[..n]);
    for j in 0..n {
        let tanh_c = c[j].tanh::<M>();
        let dc_j = dc[j] + dh[j] * o[j] * (R::ONE - tanh_c * tanh_c);
        let da_i = dc_j * g[j] * i[j] * (R::ONE - i[j]);
        let da_f = dc_j * c_prev[j] * f[j] * (R::ONE - f[j]);
        let da_g = dc_j * i[j] * (R::ONE - g[j] * g[j]);
        let da_o = dh[j] * tanh_c * o[j] * (R::ONE - o[j]);
        dc[j] = dc_j * f[j];
        dh[j] = R::ZERO;
        (i[j], f[j], g[j], o[j]) = (da_i, da_f, da_g, da_o);
    }
}
