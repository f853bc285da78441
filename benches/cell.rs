//! One time step of every cell, forward and backward, without the matrix products. An element is one unit of one stream.

use charlstm::cells::{CELLS, CellInputs, CellReal};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 16;
const HIDDEN: usize = 256;

/// Numbers in -1 to 1 for every stream.
fn numbers(width: usize) -> Vec<f32> {
    (0..ROWS * width).map(|i| (i as f32 * 0.7).sin()).collect()
}

fn cells(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cell");
    group.throughput(Throughput::Elements((ROWS * HIDDEN) as u64));
    for entry in CELLS {
        let cell = f32::cell(entry);
        let pre_activations = numbers(entry.spec.gates.len() * HIDDEN);
        let prev = numbers(entry.spec.states * HIDDEN);
        let p = numbers(entry.spec.diagonal_weights.len() * HIDDEN);
        let inputs = CellInputs { hidden: HIDDEN, p: &p, prev: &prev };
        let mut next = prev.clone();
        let mut activations = pre_activations.clone();
        cell.forward(inputs, &mut activations, &mut next);
        let d = prev.clone();
        // A cell works in place, so each iteration needs copies, which are not timed.
        group.bench_function(BenchmarkId::new("forward", entry.spec.name), |bencher| {
            let forward = |(gates, next): &mut (Vec<f32>, Vec<f32>)| cell.forward(inputs, gates, next);
            bencher.iter_batched_ref(|| (pre_activations.clone(), prev.clone()), forward, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("backward", entry.spec.name), |bencher| {
            let backward = |(gates, d): &mut (Vec<f32>, Vec<f32>)| cell.backward(inputs, gates, &next, d);
            bencher.iter_batched_ref(|| (activations.clone(), d.clone()), backward, BatchSize::PerIteration);
        });
    }
}

criterion_group!(benches, cells);
criterion_main!(benches);
