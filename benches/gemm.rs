//! The matrix products of training on one thread: packed products ([`PackedMatrix`], [`weight_gradient`]), and faer's ([`gemm`]) on the same
//! numbers.
//!
//! An element of the throughput is a floating-point operation, so read Gelem/s as GFLOP/s. Before criterion's results, the
//! benchmark prints each product's speed as a fraction of peak FMA throughput. Do not set `CHARLSTM_SIMD`: `gemm` does not use faer
//! then.

mod ceiling;

use std::hint::black_box;

use charlstm::kernels::{AccumulatorInit, Mat, MatMut, PackedMatrix, PanelBuffer, RowLayout, gemm, weight_gradient};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const GATES: usize = 4;

/// Numbers in -1 to 1.
fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7).sin()).collect()
}

fn panels(row_layout: RowLayout, steps: usize, rows: usize) -> PanelBuffer<f32> {
    let mut values = PanelBuffer::new(row_layout, steps, rows);
    let row = numbers(row_layout.elements());
    (0..steps * rows).for_each(|i| values.write(i / rows, i % rows, &row));
    values
}

/// One product, computed by both implementations.
struct Pair<'a> {
    name: String,
    operations: usize,
    ours: Box<dyn FnMut() + 'a>,
    faer: Box<dyn FnMut() + 'a>,
}

impl Pair<'_> {
    /// Prints the fractions of peak FMA throughput, then lets criterion measure the speeds.
    fn measure(mut self, criterion: &mut Criterion, group: &str) {
        ceiling::share(&format!("{group} {} ours", self.name), self.operations, &mut self.ours);
        ceiling::share(&format!("{group} {} faer", self.name), self.operations, &mut self.faer);
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(self.operations as u64));
        group.bench_function(BenchmarkId::new("ours", &self.name), |bencher| bencher.iter(&mut self.ours));
        group.bench_function(BenchmarkId::new("faer", &self.name), |bencher| bencher.iter(&mut self.faer));
    }
}

/// `y += x w` over `steps` steps of `rows` rows.
fn product(criterion: &mut Criterion, group: &str, steps: usize, rows: usize, input: RowLayout, output: RowLayout) {
    let (m, k, n) = (steps * rows, input.elements(), output.elements());
    let weights = numbers(k * n);
    let mut packed = PackedMatrix::new(input, output);
    packed.pack(Mat::new(&weights, k, n));
    let (x, mut y) = (panels(input, steps, rows), panels(output, steps, rows));
    let (a, mut c) = (numbers(m * k), numbers(m * n));
    let stride = y.shape().step_len();
    let pair = Pair {
        name: format!("{m}x{k}x{n}"),
        operations: 2 * m * k * n,
        ours: Box::new(|| {
            packed.multiply(
                0..packed.panels(),
                black_box(y.steps_mut(0..steps)),
                stride,
                x.all(0..steps),
                AccumulatorInit::Output,
            );
        }),
        faer: Box::new(|| {
            gemm(MatMut::new(black_box(&mut c), m, n), true, Mat::new(&a, m, k), Mat::new(&weights, k, n));
        }),
    };
    pair.measure(criterion, group);
}

/// The recurrent products of one time step, forward and backward.
fn recurrent_step(criterion: &mut Criterion) {
    for (hidden, rows) in [(128, 13), (128, 25), (256, 16), (512, 16), (512, 32), (1024, 32)] {
        let (units, gates) = (RowLayout::single(hidden), RowLayout { parts: GATES, width: hidden });
        product(criterion, "recurrent_forward", 1, rows, units, gates);
        product(criterion, "recurrent_backward", 1, rows, gates, units);
    }
}

/// The input product of a layer over four time steps.
fn input_product(criterion: &mut Criterion) {
    for hidden in [128, 512] {
        let (units, gates) = (RowLayout::single(hidden), RowLayout { parts: GATES, width: hidden });
        product(criterion, "input_forward", 4, 32, units, gates);
        product(criterion, "input_backward", 4, 32, gates, units);
    }
}

/// `dw = x^T dy` over a window.
fn window_gradient(criterion: &mut Criterion) {
    for (hidden, steps, streams) in [(128, 50, 50), (512, 100, 64), (1024, 100, 64)] {
        let (units, gates) = (RowLayout::single(hidden), RowLayout { parts: GATES, width: hidden });
        let (m, n) = (steps * streams, gates.elements());
        let (x, dy) = (panels(units, steps, streams), panels(gates, steps, streams));
        let (a, b) = (numbers(m * hidden), numbers(m * n));
        let (mut c, mut d) = (numbers(hidden * n), numbers(hidden * n));
        let pair = Pair {
            name: format!("{hidden}x{m}x{n}"),
            operations: 2 * m * hidden * n,
            ours: Box::new(|| {
                let dw = MatMut::new(black_box(&mut c), hidden, n);
                weight_gradient(dw, 0..hidden, gates, (0..steps).map(|t| (x.all(t..t + 1), dy.all(t..t + 1))));
            }),
            faer: Box::new(|| {
                let dw = MatMut::new(black_box(&mut d), hidden, n);
                gemm(dw, true, Mat::new(&a, m, hidden).t(), Mat::new(&b, m, n));
            }),
        };
        pair.measure(criterion, "weight_gradient");
    }
}

criterion_group!(benches, recurrent_step, input_product, window_gradient);
criterion_main!(benches);
