//! Trains a small model on the built-in text for a few hundred steps, then generates text.
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

/// Prints the held-out loss after each evaluation.
struct PrintLoss;

impl Observer for PrintLoss {
    fn on_event(&mut self, _: &Trainer, event: Event<'_>) {
        if let Event::Evaluated(EvalRecord { step, bpc: Some(bpc), .. }) = event {
            println!("step {step}: {bpc:.3} bits per character");
        }
    }
}

fn main() -> Result<()> {
    // The default is the built-in text, the last tenth of which is held out.
    let dataset = Dataset::open(&DatasetConfig::default())?;

    // The shape of the model, and how it is trained.
    let shape = ModelConfig { num_layers: 1, embed_size: 64, ..ModelConfig::default() };
    let config = TrainConfig {
        batch_size: 16,
        seq_len: 64,
        steps: Some(500),
        eval_every: Some(100),
        dropout: 0.0,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(dataset, &shape, config)?;

    // Train to the end. Without a checkpoint policy, nothing is written to disk.
    fit(&mut trainer, None, None, &mut PrintLoss)?;

    // Continue a prompt. The generator is an endless iterator of token ids.
    let vocab = trainer.dataset().vocab();
    let prompt = vocab.encode(b"The fox ")?;
    let model = InferenceModel::new(trainer.model(), Precision::F32);
    let generator = Generator::new(&model, vocab, &prompt, SamplingConfig::default(), 1);
    let text = vocab.decode(prompt.iter().copied().chain(generator.take(500)));
    println!("\n{}", String::from_utf8_lossy(&text));
    Ok(())
}
