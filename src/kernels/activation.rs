//! `exp`, `sigmoid` and `tanh` in `f32`, without branches, so that loops over them are vectorized.
//!
//! | function | maximum error | domain |
//! |---|---|---|
//! | [`exp`] | 2 ULP | -87 to 88, to which arguments are clamped |
//! | [`sigmoid`] | 3 ULP | from -87; `exp(-87)` below |
//! | [`tanh`] | 3 ULP | all numbers |
//!
//! The bounds hold with and without fused multiply-add; the tests compare with `f64`. NaN gives NaN.

use crate::simd::Simd;

/// 1.5 * 2^23: adding it rounds to an integer, which is then stored in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, of which the first is short enough for exact multiples.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
/// The range in which `exp` is a normal number, with a margin.
const LOW: f32 = -87.0;
const HIGH: f32 = 88.0;
/// `tanh` rounds to 1 for arguments of at least this value.
const SATURATED: f32 = 9.02;

/// `(p, s)` with `exp(x) = s * (1 + p)`, where `s` is a power of two and `p` is in about -0.3 to 0.42.
#[inline(always)]
fn exp_parts<S: Simd>(x: f32) -> (f32, f32) {
    let shifted = S::fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = S::fma(n, -LN2_LO, S::fma(n, -LN2_HI, x));
    // The Taylor series of (exp(r) - 1 - r) / r^2 up to r^5 / 7!. Its remainder is below 2^-26 of the result for |r| <= ln(2) / 2.
    let mut q = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        q = S::fma(r, q, c);
    }
    let p = S::fma(r * r, q, r);
    (p, f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000)))
}

/// The minimum; NaN if `x` is NaN.
#[inline(always)]
fn at_most(x: f32, limit: f32) -> f32 {
    if x > limit { limit } else { x }
}

/// The maximum; NaN if `x` is NaN.
#[inline(always)]
fn at_least(x: f32, limit: f32) -> f32 {
    if x < limit { limit } else { x }
}

/// The exponential function.
#[inline(always)]
pub fn exp<S: Simd>(x: f32) -> f32 {
    let (p, scale) = exp_parts::<S>(at_least(at_most(x, HIGH), LOW));
    S::fma(p, scale, scale)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid<S: Simd>(x: f32) -> f32 {
    let (p, scale) = exp_parts::<S>(at_least(at_most(-x, -LOW), LOW));
    1.0 / (1.0 + S::fma(p, scale, scale))
}

/// The hyperbolic tangent, as `e / (e + 2)` with `e = exp(2|x|) - 1`, which is accurate near 0.
#[inline(always)]
pub fn tanh<S: Simd>(x: f32) -> f32 {
    let size = at_most(x.abs(), SATURATED);
    let (p, scale) = exp_parts::<S>(2.0 * size);
    let e = S::fma(p, scale, scale - 1.0);
    (e / (e + 2.0)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::reference;
    use crate::simd::{Isa, SimdKernel, dispatch_on};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Sigmoid,
        Tanh,
    }

    struct Apply<'a>(Function, &'a mut [f32]);
    impl SimdKernel for Apply<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            match self.0 {
                Function::Exp => self.1.iter_mut().for_each(|x| *x = exp::<S>(*x)),
                Function::Sigmoid => self.1.iter_mut().for_each(|x| *x = sigmoid::<S>(*x)),
                Function::Tanh => self.1.iter_mut().for_each(|x| *x = tanh::<S>(*x)),
            }
        }
    }

    /// The error of `got` in units in the last place of `expected`.
    fn ulps(got: f32, expected: f64) -> f64 {
        let rounded = expected as f32;
        let unit = f64::from(f32::from_bits((rounded.abs().to_bits() & 0x7f80_0000).max(1 << 23))) * 2f64.powi(-23);
        (f64::from(got) - expected).abs() / unit
    }

    /// Checks every `step`-th `f32` on every instruction set.
    fn sweep(step: usize) {
        for isa in Isa::available() {
            for (function, low, high, bound) in [
                (Function::Exp, LOW, HIGH, 2.0),
                (Function::Sigmoid, LOW, f32::INFINITY, 3.0),
                (Function::Tanh, f32::NEG_INFINITY, f32::INFINITY, 3.0),
            ] {
                let mut worst = (0.0, 0.0);
                let mut block = Vec::new();
                let mut bits = (0..=u32::MAX).step_by(step).map(f32::from_bits).filter(|x| *x >= low && *x <= high);
                loop {
                    block.clear();
                    block.extend(bits.by_ref().take(4096));
                    if block.is_empty() {
                        break;
                    }
                    let inputs = block.clone();
                    dispatch_on(isa, Apply(function, &mut block));
                    for (&x, &got) in inputs.iter().zip(&block) {
                        let wide = f64::from(x);
                        let expected = match function {
                            Function::Exp => wide.exp(),
                            Function::Sigmoid => reference::sigmoid(wide),
                            Function::Tanh => wide.tanh(),
                        };
                        let error = ulps(got, expected);
                        if error > worst.0 {
                            worst = (error, x);
                        }
                    }
                }
                let name = ["exp", "sigmoid", "tanh"][function as usize];
                println!("{name} on {}: {:.2} ULP at {}", isa.name(), worst.0, worst.1);
                assert!(worst.0 <= bound, "{name} on {}: {:.2} ULP at {}", isa.name(), worst.0, worst.1);
            }
        }
    }

    #[test]
    fn errors_stay_within_the_stated_bounds() {
        sweep(4093);
    }

    #[test]
    #[ignore = "every f32 on every instruction set: minutes"]
    fn errors_stay_within_the_stated_bounds_for_every_f32() {
        sweep(1);
    }

    #[test]
    fn nan_gives_nan_and_large_arguments_give_finite_values() {
        for isa in Isa::available() {
            for function in [Function::Exp, Function::Sigmoid, Function::Tanh] {
                let mut x = [f32::NAN; 19];
                dispatch_on(isa, Apply(function, &mut x));
                assert!(x.iter().all(|x| x.is_nan()));
                let mut x = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e30, -1e30];
                dispatch_on(isa, Apply(function, &mut x));
                assert!(x.iter().all(|x| x.is_finite()), "{x:?}");
            }
        }
    }
}
