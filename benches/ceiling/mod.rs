//! The peak FMA throughput of a core, and the fraction that a computation reaches. The two measurements alternate, since timings are
//! noisy.

use std::hint::black_box;
use std::time::Instant;

use charlstm::kernels::Real;
use charlstm::simd::{Simd, SimdKernel, dispatch};

/// Independent chains of multiply-adds: enough to hide their latency, few enough for the registers.
const CHAINS: usize = 192;
const ROUNDS: usize = 20_000;
/// Pairs of measurements.
const PAIRS: usize = 25;

struct Fma<'a>(&'a mut [f32; CHAINS]);

impl SimdKernel for Fma<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut sums = *self.0;
        for _ in 0..ROUNDS {
            sums.iter_mut().for_each(|sum| *sum = sum.fma::<S>(0.999, 1e-6));
        }
        *self.0 = sums;
    }
}

/// The peak floating-point operations per second of this core.
fn ceiling() -> f64 {
    let mut sums = [0.5; CHAINS];
    let start = Instant::now();
    dispatch(Fma(black_box(&mut sums)));
    black_box(&sums);
    (2 * CHAINS * ROUNDS) as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the speed of `work`, which performs `operations` floating-point operations, and its fraction of the peak.
pub fn share(name: &str, operations: usize, mut work: impl FnMut()) {
    let times = (4_000_000 / operations).max(1);
    let pairs: Vec<_> = (0..PAIRS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| work());
            let speed = (operations * times) as f64 / start.elapsed().as_secs_f64();
            (speed, ceiling())
        })
        .collect();
    let speed = median(pairs.iter().map(|(speed, _)| *speed).collect());
    let share = median(pairs.iter().map(|(speed, ceiling)| speed / ceiling).collect());
    println!("{name:50} {:6.1} GFLOP/s  {:3.0} % of peak", speed / 1e9, share * 100.0);
}
