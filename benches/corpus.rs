//! Opening (scanning and hashing) a corpus of 1 GB in the page cache, and only hashing it, as the check for changes does. An
//! element is a byte.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use charlstm::data::{Corpus, Encoding};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const BYTES: usize = 1_000_000_000;

fn corpus(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    let page: Vec<u8> = (0..1_000_000u32).map(|i| b'a' + (i.wrapping_mul(i) % 25) as u8).collect();
    let mut file = File::create(&path).unwrap();
    (0..BYTES / page.len()).for_each(|_| file.write_all(&page).unwrap());
    let open = || Corpus::open(std::slice::from_ref(&path), Encoding::Utf8).unwrap();
    let text = open();
    let mut group = criterion.benchmark_group("corpus");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("open", |bencher| bencher.iter(open));
    group.bench_function("hash", |bencher| bencher.iter(|| text.check_unchanged().unwrap()));
}

criterion_group!(benches, corpus);
criterion_main!(benches);
