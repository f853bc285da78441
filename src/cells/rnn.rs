//! The simple recurrent network: Elman, "Finding Structure in Time" (1990), with tanh.
//!
//! ```text
//! h = tanh(a)
//! ```
//!
//! Backward, from `dh`:
//!
//! ```text
//! da = dh * (1 - h^2)
//! ```

use super::equations::{CellInputs, Equations};
use super::spec::CellSpec;
use crate::kernels::Real;
use crate::simd::Simd;

/// The simple recurrent network.
pub struct Rnn;

impl Equations for Rnn {
    const SPEC: CellSpec = CellSpec {
        name: "rnn",
        summary: "the simple recurrent network, with tanh",
        gates: &["h"],
        input_gates: 0..1,
        recurrent_gates: 0..1,
        paper: "Elman 1990",
        ..CellSpec::DEFAULT
    };

    #[inline(always)]
    fn forward<S: Simd, R: Real>(_: CellInputs<'_, R>, gates: &mut [R], next: &mut [R]) {
        for (h, a) in next.iter_mut().zip(gates) {
            *h = a.tanh::<S>();
        }
    }

    #[inline(always)]
    fn backward<S: Simd, R: Real>(_: CellInputs<'_, R>, gates: &mut [R], next: &[R], d: &mut [R]) {
        for ((a, h), dh) in gates.iter_mut().zip(next).zip(d) {
            *a = *dh * (R::ONE - *h * *h);
            *dh = R::ZERO;
        }
    }
}
