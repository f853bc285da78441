//! `charlstm sample`: running text.

use charlstm::data::{Encoding, Vocab};
use charlstm::error::Result;
use charlstm::sample::{Batch, Generated, Generator, StopCriteria};
use serde_json::json;

use super::sample_records::{Output, RECORD_OPTIONS, SampleSource};
use super::terminal::Terminal;

/// Where a running text ends.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Running text")]
pub struct TextArgs {
    /// Characters to generate; 0: no limit [default: 1000]
    #[arg(long, value_name = "N", conflicts_with_all = RECORD_OPTIONS)]
    pub length: Option<u64>,
    /// Stop after this text has been generated; can be repeated
    #[arg(long, value_name = "TEXT", conflicts_with_all = RECORD_OPTIONS, allow_hyphen_values = true)]
    pub stop: Vec<String>,
    /// Do not obey --stop before N characters have been generated
    #[arg(long, value_name = "N", requires = "stop")]
    pub min_length: Option<u64>,
}

pub const SAMPLES_AT_ONCE: usize = 1024;
const DEFAULT_LENGTH: u64 = 1000;
/// Only the end of the text is needed to detect a stop sequence.
const MAX_KEPT: usize = 1 << 16;

/// Writes the samples of a source.
pub struct TextWriter<'a> {
    pub args: &'a TextArgs,
    /// The texts of `--stop` as token ids.
    pub stops: Vec<Vec<u32>>,
    pub output: Output,
    pub terminal: &'a Terminal,
}

impl TextWriter<'_> {
    /// Writes the samples of a source. If there are several texts, each follows a heading, which begins with the parts `label`.
    pub fn write(&self, source: &SampleSource<'_>, label: &[String]) -> Result<()> {
        let SampleSource { model, vocab, config, context, seed, .. } = *source;
        let samples = self.output.count;
        if samples == 1 && !self.output.jsonl {
            self.terminal.out(heading(label).as_bytes())?;
            self.terminal.out_text(&self.echo(source))?;
            let last = self.stream(Generator::new(model, vocab, context, config.clone(), seed), vocab)?;
            // The output of a single text of a model of bytes is exactly that text.
            let is_exact = vocab.encoding() == Encoding::Bytes && label.is_empty() && !self.terminal.out_is_terminal();
            return if is_exact { Ok(()) } else { self.end_line(&last) };
        }
        let batch = Batch::new(model, vocab, context, config);
        for first in (0..samples).step_by(SAMPLES_AT_ONCE) {
            let range = first..samples.min(first + SAMPLES_AT_ONCE as u64);
            let seeds: Vec<u64> = range.map(|sample| seed.wrapping_add(sample)).collect();
            let texts = batch.generate(&seeds, self.stop_criteria());
            for (text, (seed, number)) in texts.iter().zip(seeds.iter().zip(first + 1..)) {
                let mut bytes = self.echo(source);
                text.ids.iter().for_each(|id| vocab.decode_into(*id, &mut bytes));
                if self.output.jsonl {
                    self.terminal.out(as_json(&bytes, text, *seed, source).as_bytes())?;
                    continue;
                }
                let number = (samples > 1).then(|| format!("sample {number}"));
                self.terminal.out(heading(&[label, number.as_slice()].concat()).as_bytes())?;
                self.terminal.out_text(&bytes)?;
                self.end_line(&bytes)?;
            }
        }
        Ok(())
    }

    fn echo(&self, source: &SampleSource<'_>) -> Vec<u8> {
        if self.output.echo { source.vocab.decode(source.prompt.iter().copied()) } else { Vec::new() }
    }

    fn stop_criteria(&self) -> StopCriteria<'_> {
        let length = match self.args.length.unwrap_or(DEFAULT_LENGTH) {
            0 => usize::MAX,
            length => usize::try_from(length).unwrap_or(usize::MAX),
        };
        let min_length = usize::try_from(self.args.min_length.unwrap_or(0)).unwrap_or(usize::MAX);
        StopCriteria { length, min_length, stops: &self.stops, pattern: None }
    }

    /// Writes a text character by character; returns the bytes of the last one.
    fn stream(&self, text: Generator<'_>, vocab: &Vocab) -> Result<Vec<u8>> {
        let (mut ids, mut bytes) = (Vec::new(), Vec::new());
        let StopCriteria { length, min_length, stops, .. } = self.stop_criteria();
        for (generated, id) in (1..).zip(text.take(length)) {
            bytes.clear();
            vocab.decode_into(id, &mut bytes);
            self.terminal.out_text(&bytes)?;
            ids.push(id);
            if generated >= min_length && stops.iter().any(|stop| ids.ends_with(stop)) {
                break;
            }
            if ids.len() > MAX_KEPT {
                ids.drain(..MAX_KEPT / 2);
            }
        }
        Ok(bytes)
    }

    fn end_line(&self, text: &[u8]) -> Result<()> {
        if text.ends_with(b"\n") { Ok(()) } else { self.terminal.out(b"\n") }
    }
}

/// The line before a text, if there are several; `parts` say which one it is.
pub fn heading(parts: &[String]) -> String {
    if parts.is_empty() { String::new() } else { format!("--- {} ---\n", parts.join(", ")) }
}

fn as_json(text: &[u8], generated: &Generated, seed: u64, source: &SampleSource<'_>) -> String {
    let prompt = source.vocab.decode(source.prompt.iter().copied());
    let fields = json!({
        "prompt": String::from_utf8_lossy(&prompt),
        "text": String::from_utf8_lossy(text),
        "nats_per_char": generated.nats / generated.ids.len() as f64,
        "temperature": source.config.temperature,
        "seed": seed,
    });
    format!("{fields}\n")
}
