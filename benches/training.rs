//! An optimizer step on all cores. An element is a character.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use charlstm::model::{CharLm, ModelConfig, Window};
use charlstm::optim::{Optimizer, UpdateParams};
use charlstm::train::Step;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const VOCAB: usize = 65;
const METHOD: Optimizer = Optimizer::Adamw;
const UPDATE: UpdateParams = UpdateParams { lr: 1e-4, weight_decay: 0.01, grad_scale: 1.0, step: 1000 };

fn training(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for (hidden, batch, seq_len) in [(128, 50, 50), (512, 64, 100), (1024, 64, 100)] {
        let config = ModelConfig {
            cell: "lstm".into(),
            num_layers: 2,
            hidden_size: hidden,
            embed_size: hidden,
            vocab_size: VOCAB,
        };
        let mut model = CharLm::init(&config, 1).unwrap();
        let mut moments = vec![vec![0.0; model.weights.len()]; METHOD.moments()];
        let mut step = Step::new(&model, batch, seq_len);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut ids = || (0..batch * seq_len).map(|_| rng.random_range(0..VOCAB as u32)).collect();
        let window = Window::new(seq_len, batch, ids(), ids());
        group.throughput(Throughput::Elements((batch * seq_len) as u64));
        group.bench_function(BenchmarkId::new(format!("2x{hidden}"), format!("{batch}x{seq_len}")), |bencher| {
            bencher.iter(|| {
                let loss = step.run(&model, &window, None);
                step.update(&mut model, &mut moments, METHOD, UPDATE);
                loss
            });
        });
    }
}

criterion_group!(benches, training);
criterion_main!(benches);
