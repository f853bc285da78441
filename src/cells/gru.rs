//! The gated recurrent unit: Cho et al. (2014), in the form of PyTorch and cuDNN, where the reset gate is applied after the product.
//!
//! The candidate needs the two products separately, each with a bias: `a_n` is that of the input, `m` that of the state. So `w_ih` has
//! the columns `n`, `r`, `z`, and `w_hh` has `r`, `z`, `m`.
//!
//! ```text
//! r = sigmoid(a_r)    z = sigmoid(a_z)    n = tanh(a_n + r * m)
//! h = (1 - z) * n + z * h'
//! ```
//!
//! Backward, from `dh`:
//!
//! ```text
//! da_n = dh * (1 - z) * (1 - n^2)
//! da_z = dh * (h' - n) * z * (1 - z)
//! da_r = da_n * m * r * (1 - r)
//! dm   = da_n * r
//! dh'  = dh * z
//! ```

use super::equations::{CellInputs, Equations};
use super::spec::CellSpec;
use crate::kernels::Real;
use crate::simd::Simd;

/// The gated recurrent unit.
pub struct Gru;

impl Equations for Gru {
    const SPEC: CellSpec = CellSpec {
        name: "gru",
        summary: "gated recurrent unit, as in PyTorch",
        gates: &["n", "r", "z", "m"],
        input_gates: 0..3,
        recurrent_gates: 1..4,
        paper: "Cho et al. 2014",
        ..CellSpec::DEFAULT
    };

    #[inline(always)]
    fn forward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        let [n, r, z, m] = split(gates, row.hidden);
        forward::<S, R>(n, r, z, m, row.prev, next);
    }

    #[inline(always)]
    fn backward<S: Simd, R: Real>(row: CellInputs<'_, R>, gates: &mut [R], _: &[R], d: &mut [R]) {
        let [n, r, z, m] = split(gates, row.hidden);
        backward::<R>(n, r, z, m, row.prev, d);
    }
}

#[inline(always)]
fn split<R>(gates: &mut [R], hidden: usize) -> [&mut [R]; 4] {
    let (n, rest) = gates.split_at_mut(hidden);
    let (r, rest) = rest.split_at_mut(hidden);
    let (z, m) = rest.split_at_mut(hidden);
    [n, r, z, m]
}

// Every vector is a separate parameter: so that the compiler can assume that they do not overlap.

#[inline(always)]
fn forward<S: Simd, R: Real>(n: &mut [R], r: &mut [R], z: &mut [R], m: &mut [R], h_prev: &[R], h: &mut [R]) {
    let len = n.len();
    let (r, z, m, h_prev, h) = (&mut r[..len], &mut z[..len], &m[..len], &h_prev[..len], &mut h[..len]);
    for j in 0..len {
        r[j] = r[j].sigmoid::<S>();
        z[j] = z[j].sigmoid::<S>();
        n[j] = r[j].fma::<S>(m[j], n[j]).tanh::<S>();
        h[j] = z[j].fma::<S>(h_prev[j] - n[j], n[j]);
    }
}

#[inline(always)]
fn backward<R: Real>(n: &mut [R], r: &mut [R], z: &mut [R], m: &mut [R], h_prev: &[R], dh: &mut [R]) {
    let len = n.len();
    let (r, z, m, h_prev, dh) = (&mut r[..len], &mut z[..len], &mut m[..len], &h_prev[..len], &mut dh[..len]);
    for j in 0..len {
        let da_n = dh[j] * (R::ONE - z[j]) * (R::ONE - n[j] * n[j]);
        let da_z = dh[j] * (h_prev[j] - n[j]) * z[j] * (R::ONE - z[j]);
        let da_r = da_n * m[j] * r[j] * (R::ONE - r[j]);
        m[j] = da_n * r[j];
        dh[j] *= z[j];
        (n[j], r[j], z[j]) = (da_n, da_r, da_z);
    }
}
