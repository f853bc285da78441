//! Training steps and generated characters allocate nothing: all buffers are allocated once.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use charlstm::data::{Corpus, Dataset, DatasetConfig, Encoding};
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};
use charlstm::sample::{Generator, SamplingConfig};
use charlstm::train::{TrainConfig, Trainer};
use rayon::ThreadPoolBuilder;

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's guarantee.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantee.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of allocations on all threads while `f` runs, and their total size in bytes.
fn allocated(f: impl FnOnce()) -> (usize, usize) {
    let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    f();
    (ALLOCATIONS.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1)
}

// A single test, because the counters are global.
#[test]
fn training_and_generation_allocate_nothing_after_warm_up() {
    if std::env::var_os("CHARLSTM_SIMD").is_some() {
        eprintln!("SKIPPED: with CHARLSTM_SIMD, row-major products are computed by packed products, which allocate");
        return;
    }
    let text: String = (0..600_000u64).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
    let texts = Dataset::new(Corpus::from_text("text", text.into_bytes(), Encoding::Utf8).unwrap(), None, 0.1).unwrap();
    let config = TrainConfig { batch_size: 20, seq_len: 16, threads: Some(2), ..TrainConfig::default() };
    let shape = ModelConfig { hidden_size: 96, embed_size: 64, ..ModelConfig::default() };
    let mut trainer = Trainer::new(texts, &shape, config).unwrap();
    assert!(trainer.steps_per_epoch() > 1500, "the measured steps must not reach the end of an epoch, which allocates");
    // Repeated, because faer allocates a buffer when a thread first computes a product.
    let hundred = || allocated(|| (0..100).for_each(|_| assert!(trainer.step().is_ok())));
    let (count, bytes) = std::iter::repeat_with(hundred).take(10).min().unwrap();
    println!("100 steps: {count} allocations, {bytes} bytes");
    // The queue of the thread pool occasionally grows.
    assert!(count <= 4 && bytes < 8192, "100 steps made {count} allocations of {bytes} bytes");

    generate_without_allocating(&trainer);
    // Large enough for the units of a step to be divided among threads.
    let shape = ModelConfig { hidden_size: 256, ..shape };
    let texts = Dataset::open(&DatasetConfig::default()).unwrap();
    let large = Trainer::new(texts, &shape, TrainConfig { batch_size: 4, ..TrainConfig::default() }).unwrap();
    ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| generate_without_allocating(&large));
}

fn generate_without_allocating(trainer: &Trainer) {
    let model = InferenceModel::new(trainer.model(), Precision::F32);
    let mut generator = Generator::new(
        &model,
        trainer.dataset().vocab(),
        &[],
        SamplingConfig { top_k: Some(5), top_p: Some(0.9), ..SamplingConfig::default() },
        1,
    );
    generator.next();
    // Repeated, because a thread of the pool allocates when it first takes work from another.
    let hundred = || allocated(|| (0..100).for_each(|_| assert!(generator.next().is_some())));
    let (count, bytes) = std::iter::repeat_with(hundred).take(5).min().unwrap();
    assert_eq!((count, bytes), (0, 0), "allocations while generating 100 characters");
}
