//! `exp`, `sigmoid` and `tanh` of a slice, on every instruction set that this machine supports.

use std::hint::black_box;

use charlstm::kernels::activation;
use charlstm::simd::{Isa, Simd, SimdKernel, dispatch_on};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ELEMENTS: usize = 4096;

#[derive(Clone, Copy)]
enum Function {
    Exp,
    Sigmoid,
    Tanh,
}

/// The function, its arguments and its results.
struct Apply<'a>(Function, &'a [f32], &'a mut [f32]);

impl SimdKernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Apply(function, from, to) = self;
        let pairs = to.iter_mut().zip(from);
        match function {
            Function::Exp => pairs.for_each(|(y, x)| *y = activation::exp::<S>(*x)),
            Function::Sigmoid => pairs.for_each(|(y, x)| *y = activation::sigmoid::<S>(*x)),
            Function::Tanh => pairs.for_each(|(y, x)| *y = activation::tanh::<S>(*x)),
        }
    }
}

fn activations(criterion: &mut Criterion) {
    let from: Vec<f32> = (0..ELEMENTS).map(|i| i as f32 / ELEMENTS as f32 * 16.0 - 8.0).collect();
    let mut to = vec![0.0; ELEMENTS];
    let mut group = criterion.benchmark_group("activation");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    for (name, function) in [("exp", Function::Exp), ("sigmoid", Function::Sigmoid), ("tanh", Function::Tanh)] {
        for isa in Isa::available() {
            group.bench_function(BenchmarkId::new(name, isa.name()), |bencher| {
                bencher.iter(|| dispatch_on(isa, Apply(function, black_box(&from), black_box(&mut to))));
            });
        }
    }
}

criterion_group!(benches, activations);
criterion_main!(benches);
