//! One stream of generated characters, on one thread: an element is a character.
#![allow(clippy::unwrap_used)]

use charlstm::data::{Encoding, Vocab};
use charlstm::model::{CharLm, ModelConfig};
use charlstm::sample::{Generator, Shaping};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn generation(criterion: &mut Criterion) {
    let vocab = Vocab::new(Encoding::Bytes, 0..65);
    let mut group = criterion.benchmark_group("generation");
    group.throughput(Throughput::Elements(1));
    for hidden in [128, 512] {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden, embed: hidden, vocab: vocab.len() };
        let model = CharLm::init(&config, 1).unwrap();
        let mut generator = Generator::new(&model, &vocab, &[], Shaping::default(), 1);
        group.bench_function(format!("2x{hidden}"), |bencher| bencher.iter(|| generator.next()));
    }
}

criterion_group!(benches, generation);
criterion_main!(benches);
