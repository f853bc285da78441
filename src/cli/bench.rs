//! `charlstm bench`: what this machine trains and writes in a second, on made-up text.

use std::time::{Duration, Instant};

use charlstm::data::{Corpus, Dataset, Encoding};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};
use charlstm::sample::{Batch, Generator, SamplingConfig, StopCriteria};
use charlstm::simd::Isa;
use charlstm::train::{TrainConfig, Trainer};
use serde_json::json;

use super::args::BenchArgs;
use super::load;
use super::terminal::Terminal;

/// How long training is measured, and each way of writing.
const TRAINING: Duration = Duration::from_secs(5);
const WRITING: Duration = Duration::from_millis(1500);
/// Texts that are written at once.
const TEXTS: u64 = 64;
/// The first character of the made-up text; there are thousands of letters behind it.
const FIRST: u32 = 0x4e00;
const MOST_CHARACTERS: usize = 20_000;

pub fn run(args: &BenchArgs, terminal: &Terminal) -> Result<()> {
    if !(2..=MOST_CHARACTERS).contains(&args.vocab) {
        return Err(Error::Usage(format!("--vocab must be 2 to {MOST_CHARACTERS}")));
    }
    let shape = ModelConfig {
        cell: args.cell.clone(),
        layers: args.layers,
        hidden: args.hidden,
        embed: args.hidden,
        vocab: args.vocab,
    };
    shape.validate()?;
    let config =
        TrainConfig { batch: args.batch, seq_len: args.seq_len, threads: args.threads, ..TrainConfig::default() };
    config.validate()?;
    load::start_worker_threads(args.threads)?;
    let mut trainer = Trainer::new(made_up(args.vocab, args.batch, args.seq_len)?, &shape, config)?;
    let training = training(&mut trainer, TRAINING)?;
    let [one, one_int8] =
        [Precision::F32, Precision::Int8].map(|precision| trainer.install(|| writing_one(&trainer, precision)));
    let many = trainer.install(|| writing_many(&trainer));
    let (simd, threads, parameters) = (Isa::active().name(), trainer.threads(), trainer.model().layout().len());
    if args.json {
        let facts = json!({
            "cell": args.cell, "layers": args.layers, "hidden": args.hidden, "vocab": args.vocab,
            "parameters": parameters, "batch": args.batch, "seq_len": args.seq_len, "threads": threads, "simd": simd,
            "train_chars_per_s": training.round(), "sample_chars_per_s": one.round(), "sample_int8_chars_per_s": one_int8.round(),
            "sample_many_chars_per_s": many.round(), "sample_many_texts": TEXTS,
        });
        return terminal.json(&facts);
    }
    let text = format!(
        "{} {}x{}, {parameters} parameters, {threads} threads, {simd}\n\
             training, {} streams of {} characters  {training:10.0} characters a second\n\
             writing one text                       {one:10.0} characters a second\n\
             writing one text, --precision int8     {one_int8:10.0} characters a second\n\
             writing {TEXTS} texts at once               {many:10.0} characters a second\n",
        args.cell, args.layers, args.hidden, args.batch, args.seq_len
    );
    terminal.out(text.as_bytes())
}

/// A text in which every character is about as frequent as any other, some windows long.
pub fn made_up(vocab: usize, batch: usize, seq_len: usize) -> Result<Dataset> {
    let length = batch.saturating_mul(seq_len).saturating_mul(4).clamp(4 * vocab, 1 << 26);
    // A linear congruential generator's high bits (Knuth): any will do.
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % vocab
    };
    let ids = (0..vocab).chain(std::iter::repeat_with(&mut random)).take(length);
    let text: String = ids.filter_map(|id| char::from_u32(FIRST + id as u32)).collect();
    Dataset::new(Corpus::from_text("made-up text", text.into_bytes(), Encoding::Utf8)?, None, 0.0)
}

/// Characters a second that it trains.
pub fn training(trainer: &mut Trainer, time: Duration) -> Result<f64> {
    // The first step touches every buffer for the first time.
    trainer.step()?;
    let (start, mut chars) = (Instant::now(), 0);
    while start.elapsed() < time {
        chars += trainer.step()?.chars;
    }
    Ok(chars as f64 / start.elapsed().as_secs_f64())
}

fn writing_one(trainer: &Trainer, precision: Precision) -> f64 {
    let vocab = trainer.dataset().vocab();
    let model = InferenceModel::new(trainer.model(), precision);
    let mut generator = Generator::new(&model, vocab, &[], SamplingConfig::default(), 1);
    let (start, mut chars) = (Instant::now(), 0);
    while start.elapsed() < WRITING {
        chars += generator.by_ref().take(10).count();
    }
    chars as f64 / start.elapsed().as_secs_f64()
}

fn writing_many(trainer: &Trainer) -> f64 {
    let (vocab, seeds) = (trainer.dataset().vocab(), (0..TEXTS).collect::<Vec<_>>());
    let (model, config) = (InferenceModel::new(trainer.model(), Precision::F32), SamplingConfig::default());
    let batch = Batch::new(&model, vocab, &[], &config);
    // Longer and longer texts, so that what happens once per call does not count.
    let mut length = 16;
    loop {
        let start = Instant::now();
        let texts = batch.generate(&seeds, StopCriteria { length, stops: &[], pattern: None });
        if start.elapsed() >= WRITING / 2 {
            return texts.iter().map(|text| text.ids.len()).sum::<usize>() as f64 / start.elapsed().as_secs_f64();
        }
        length *= 2;
    }
}
