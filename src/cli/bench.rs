//! `charlstm bench`: the speed of training and sampling, measured on random text.

use std::time::{Duration, Instant};

use charlstm::data::{Corpus, Dataset, Encoding};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};
use charlstm::sample::{Batch, Generator, SamplingConfig, StopCriteria};
use charlstm::simd::Isa;
use charlstm::train::{TrainConfig, Trainer};
use serde_json::json;

use super::load;
use super::terminal::Terminal;
use super::values::cell_names;

/// Measure the speed of training and sampling on this machine (ten seconds)
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Recurrent cell
    #[arg(long, value_parser = cell_names(), default_value = "lstm")]
    pub cell: String,
    /// Recurrent layers
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub layers: usize,
    /// Units per layer, and size of the character embedding
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// Streams per batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Characters per window of truncated backpropagation
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub seq_len: usize,
    /// Distinct characters of the random text
    #[arg(long, value_name = "N", default_value_t = 65)]
    pub vocab: usize,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const TRAINING_TIME: Duration = Duration::from_secs(5);
const SAMPLING_TIME: Duration = Duration::from_millis(1500);
const BATCH_SAMPLES: u64 = 64;
/// The first character of the random text; thousands of letters follow it in Unicode.
const FIRST_CHAR: u32 = 0x4e00;
const MAX_VOCAB: usize = 20_000;

pub fn run(args: &BenchArgs, terminal: &Terminal) -> Result<()> {
    if !(2..=MAX_VOCAB).contains(&args.vocab) {
        return Err(Error::out_of_range("vocab", args.vocab, format!("2 to {MAX_VOCAB}")));
    }
    let shape = ModelConfig {
        cell: args.cell.clone(),
        num_layers: args.layers,
        hidden_size: args.hidden,
        embed_size: args.hidden,
        vocab_size: args.vocab,
    };
    shape.validate()?;
    let config =
        TrainConfig { batch_size: args.batch, seq_len: args.seq_len, threads: args.threads, ..TrainConfig::default() };
    config.validate()?;
    load::start_worker_threads(args.threads)?;
    let mut trainer = Trainer::new(random_dataset(args.vocab, args.batch, args.seq_len)?, &shape, config)?;
    let training = measure_training(&mut trainer, TRAINING_TIME)?;
    let [one, one_int8] =
        [Precision::F32, Precision::Int8].map(|precision| trainer.install(|| measure_sampling(&trainer, precision)));
    let many = trainer.install(|| measure_batch_sampling(&trainer));
    let (simd, threads, parameters) = (Isa::active().name(), trainer.threads(), trainer.model().layout().len());
    if args.json {
        let facts = json!({
            "cell": args.cell, "layers": args.layers, "hidden": args.hidden, "vocab": args.vocab,
            "parameters": parameters, "batch": args.batch, "seq_len": args.seq_len, "threads": threads, "simd": simd,
            "train_chars_per_s": training.round(), "sample_chars_per_s": one.round(), "sample_int8_chars_per_s": one_int8.round(),
            "sample_many_chars_per_s": many.round(), "sample_many_texts": BATCH_SAMPLES,
        });
        return terminal.json(&facts);
    }
    let title =
        format!("{} {} x {}, {parameters} parameters, {threads} threads, {simd}", args.cell, args.layers, args.hidden);
    let rows = [
        (format!("training ({} streams x {} characters)", args.batch, args.seq_len), training),
        ("sampling".into(), one),
        ("sampling, --precision int8".into(), one_int8),
        (format!("sampling, {BATCH_SAMPLES} samples in parallel"), many),
    ];
    let table: String = rows.iter().map(|(what, speed)| format!("{what:44} {speed:>12.0} chars/s\n")).collect();
    terminal.out(format!("{title}\n{table}").as_bytes())
}

/// A random text of several windows, with uniformly distributed characters.
pub fn random_dataset(vocab: usize, batch: usize, seq_len: usize) -> Result<Dataset> {
    let length = batch.saturating_mul(seq_len).saturating_mul(4).clamp(4 * vocab, 1 << 26);
    // The high bits of a linear congruential generator (Knuth).
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % vocab
    };
    let ids = (0..vocab).chain(std::iter::repeat_with(&mut random)).take(length);
    let text: String = ids.filter_map(|id| char::from_u32(FIRST_CHAR + id as u32)).collect();
    Dataset::new(Corpus::from_text("random text", text.into_bytes(), Encoding::Utf8)?, None, 0.0)
}

pub fn measure_training(trainer: &mut Trainer, time: Duration) -> Result<f64> {
    // The first step is slower, because it touches every buffer for the first time.
    trainer.step()?;
    let (start, mut chars) = (Instant::now(), 0);
    while start.elapsed() < time {
        chars += trainer.step()?.chars;
    }
    Ok(chars as f64 / start.elapsed().as_secs_f64())
}

fn measure_sampling(trainer: &Trainer, precision: Precision) -> f64 {
    let vocab = trainer.dataset().vocab();
    let model = InferenceModel::new(trainer.model(), precision);
    let mut generator = Generator::new(&model, vocab, &[], SamplingConfig::default(), 1);
    let (start, mut chars) = (Instant::now(), 0);
    while start.elapsed() < SAMPLING_TIME {
        chars += generator.by_ref().take(10).count();
    }
    chars as f64 / start.elapsed().as_secs_f64()
}

fn measure_batch_sampling(trainer: &Trainer) -> f64 {
    let (vocab, seeds) = (trainer.dataset().vocab(), (0..BATCH_SAMPLES).collect::<Vec<_>>());
    let (model, config) = (InferenceModel::new(trainer.model(), Precision::F32), SamplingConfig::default());
    let batch = Batch::new(&model, vocab, &[], &config);
    // Double the length until the startup cost of a call is negligible.
    let mut length = 16;
    loop {
        let start = Instant::now();
        let texts = batch.generate(&seeds, StopCriteria { length, min_length: 0, stops: &[], pattern: None });
        if start.elapsed() >= SAMPLING_TIME / 2 {
            return texts.iter().map(|text| text.ids.len()).sum::<usize>() as f64 / start.elapsed().as_secs_f64();
        }
        length *= 2;
    }
}
