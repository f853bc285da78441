//! Trains a small model on the built-in text for a few hundred steps, then lets it write.
//!
//! ```text
//! cargo run --release --example train_and_sample
//! ```

use charlstm::data::{Dataset, DatasetConfig};
use charlstm::error::Result;
use charlstm::kernels::Precision;
use charlstm::model::{InferenceModel, ModelConfig};
use charlstm::run::EvalRecord;
use charlstm::sample::{Generator, SamplingConfig};
use charlstm::train::{Event, Observer, TrainConfig, Trainer, fit};

/// Prints the held-out loss whenever it was measured.
struct Print;

impl Observer for Print {
    fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
        if let Event::Evaluated(EvalRecord { step, bpc: Some(bpc), .. }) = event {
            println!("step {step}: {bpc:.3} bits per character");
        }
    }
}

fn main() -> Result<()> {
    // What it learns from. The default is the built-in text, the last tenth of it held out.
    let texts = Dataset::open(&DatasetConfig::default())?;

    // What it is, and how it learns.
    let shape = ModelConfig { layers: 1, embed: 64, ..ModelConfig::default() };
    let config = TrainConfig {
        batch: 16,
        seq_len: 64,
        steps: Some(500),
        eval_every: Some(100),
        dropout: 0.0,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(texts, &shape, config)?;

    // Train to the end. Without a folder to keep the run in, nothing is written to disk.
    fit(&mut trainer, None, None, &mut Print)?;

    // Write on from a prompt: the generator is an endless iterator of character ids.
    let vocab = trainer.dataset().vocab();
    let prompt = vocab.encode(b"The fox ")?;
    let model = InferenceModel::new(trainer.model(), Precision::F32);
    let generator = Generator::new(&model, vocab, &prompt, SamplingConfig::default(), 1);
    let text = vocab.decode(prompt.iter().copied().chain(generator.take(500)));
    println!("\n{}", String::from_utf8_lossy(&text));
    Ok(())
}
