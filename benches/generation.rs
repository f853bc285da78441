//! Generation with 1 and with 64 streams, on all cores. An element is a character.
#![allow(clippy::unwrap_used)]

use charlstm::data::{Encoding, Vocab};
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel, ModelConfig};
use charlstm::sample::{Batch, Generator, SamplingConfig, StopCriteria};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::ThreadPoolBuilder;

/// Texts generated at once.
const TEXTS: u64 = 64;
/// The length of each text in characters.
const LENGTH: usize = 50;

fn generation(criterion: &mut Criterion) {
    ThreadPoolBuilder::new().use_current_thread().build_global().unwrap();
    let vocab = Vocab::new(Encoding::Bytes, 0..65);
    let mut group = criterion.benchmark_group("generation");
    for hidden in [128, 512] {
        let config = ModelConfig {
            cell: "lstm".into(),
            num_layers: 2,
            hidden_size: hidden,
            embed_size: hidden,
            vocab_size: vocab.len(),
        };
        let char_lm = CharLm::init(&config, 1).unwrap();
        for (name, precision) in [("f32", Precision::F32), ("int8", Precision::Int8)] {
            let id = |what: &str| BenchmarkId::new(format!("2x{hidden} {name}"), what);
            let model = InferenceModel::new(&char_lm, precision);
            let mut one = Generator::new(&model, &vocab, &[], SamplingConfig::default(), 1);
            group.throughput(Throughput::Elements(1));
            group.bench_function(id("one stream"), |bencher| bencher.iter(|| one.next()));
            let seeds: Vec<u64> = (0..TEXTS).collect();
            let (config, stop) =
                (SamplingConfig::default(), StopCriteria { length: LENGTH, min_length: 0, stops: &[], pattern: None });
            let batch = Batch::new(&model, &vocab, &[], &config);
            group.throughput(Throughput::Elements(TEXTS * LENGTH as u64));
            group.bench_function(id("64 streams"), |bencher| {
                bencher.iter(|| batch.generate(&seeds, stop));
            });
        }
    }
}

criterion_group!(benches, generation);
criterion_main!(benches);
