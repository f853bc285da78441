//! The claim that a step allocates nothing of its own: buffers are made once.

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
static TIMES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        TIMES.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Times and bytes allocated, on any thread, while `f` runs.
fn allocated(f: impl FnOnce()) -> (usize, usize) {
    let before = (TIMES.load(Relaxed), BYTES.load(Relaxed));
    f();
    (TIMES.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1)
}

// One test, since the count is that of the whole process.
#[test]
fn steps_and_characters_allocate_nothing_once_buffers_are_there() {
    if std::env::var_os("CHARLSTM_SIMD").is_some() {
        eprintln!(
            "SKIPPED: with CHARLSTM_SIMD our own product stands in for faer's and packs its operand at every call"
        );
        return;
    }
    let text: String = (0..600_000u64).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
    let texts = Dataset::new(Corpus::from_text("text", text.into_bytes(), Encoding::Utf8).unwrap(), None, 0.1).unwrap();
    let config = TrainConfig { batch: 20, seq_len: 16, threads: Some(2), ..TrainConfig::default() };
    let shape = ModelConfig { hidden: 96, embed: 64, ..ModelConfig::default() };
    let mut trainer = Trainer::new(texts, &shape, config).unwrap();
    assert!(trainer.steps_per_epoch() > 1500, "the end of an epoch is another matter");
    // Until each thread has had its part of everything: faer keeps a buffer a thread.
    let hundred = || allocated(|| (0..100).for_each(|_| assert!(trainer.step().is_ok())));
    let (times, bytes) = std::iter::repeat_with(hundred).take(10).min().unwrap();
    println!("100 steps: {times} allocations, {bytes} bytes");
    // The queue by which work enters the thread pool grows by a block of 64 places now and then.
    assert!(times <= 4 && bytes < 8192, "100 steps made {times} allocations of {bytes} bytes");

    write_without_allocating(&trainer);
    // Large enough for a step to be divided among threads.
    let shape = ModelConfig { hidden: 256, ..shape };
    let texts = Dataset::open(&DatasetConfig::default()).unwrap();
    let large = Trainer::new(texts, &shape, TrainConfig { batch: 4, ..TrainConfig::default() }).unwrap();
    ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(|| write_without_allocating(&large));
}

fn write_without_allocating(trainer: &Trainer) {
    let model = InferenceModel::new(trainer.model(), Precision::F32);
    let mut generator = Generator::new(
        &model,
        trainer.dataset().vocab(),
        &[],
        SamplingConfig { top_k: Some(5), top_p: Some(0.9), ..SamplingConfig::default() },
        1,
    );
    generator.next();
    let (times, bytes) = allocated(|| (0..100).for_each(|_| assert!(generator.next().is_some())));
    assert_eq!((times, bytes), (0, 0), "for 100 characters");
}
