//! The matrix products of training, by faer ([`gemm`]) and by weights packed beforehand ([`Packed`]), on one thread.
//!
//! An element of the throughput is a floating-point operation: "Gelem/s" reads GFLOP/s. Where `CHARLSTM_SIMD` forces an
//! instruction set, `gemm` packs and multiplies by itself, and what is called faer here is not.

use std::hint::black_box;

use charlstm::kernels::{Mat, MatMut, Packed, gemm};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Some numbers in -1 to 1.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7).sin()).collect()
}

/// `c += a b` by both ways: `a` is `m x k`, `b` is `k x n`.
fn both(criterion: &mut Criterion, group: &str, a: Mat<'_, f32>, b: Mat<'_, f32>) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    let mut c = vec![0.0; m * n];
    let packed = Packed::of(b);
    let shape = format!("{m}x{k}x{n}");
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
    group.bench_function(BenchmarkId::new("faer", &shape), |bencher| {
        bencher.iter(|| gemm(MatMut::new(black_box(&mut c), m, n), true, a, b));
    });
    group.bench_function(BenchmarkId::new("packed", &shape), |bencher| {
        bencher.iter(|| packed.multiply(MatMut::new(black_box(&mut c), m, n), true, a));
    });
}

/// One time step: the outputs of some streams by the recurrent weights.
fn recurrent_step(criterion: &mut Criterion) {
    for hidden in [128, 256, 512] {
        let weights = numbers(hidden * 4 * hidden);
        for rows in [8, 16, 32] {
            let h = numbers(rows * hidden);
            let (h, weights) = (Mat::new(&h, rows, hidden), Mat::new(&weights, hidden, 4 * hidden));
            both(criterion, "recurrent_step", h, weights);
        }
    }
}

/// A window at once: the input product of a layer, and the gradient of its weights, `X^T dG`.
fn whole_window(criterion: &mut Criterion) {
    let (rows, hidden, gates) = (2048, 256, 1024);
    let (x, weights, d_gates) = (numbers(rows * hidden), numbers(hidden * gates), numbers(rows * gates));
    let x = Mat::new(&x, rows, hidden);
    both(criterion, "input_product", x, Mat::new(&weights, hidden, gates));
    both(criterion, "weight_gradient", x.t(), Mat::new(&d_gates, rows, gates));
}

criterion_group!(benches, recurrent_step, whole_window);
criterion_main!(benches);
