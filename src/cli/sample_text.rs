//! `charlstm sample`: running text.

use charlstm::data::{Encoding, Vocab};
use charlstm::error::Result;
use charlstm::sample::{Batch, Generated, Generator, StopCriteria};
use serde_json::json;

use super::sample_records::{Output, RECORD_OPTIONS, SampleSource};
use super::terminal::Terminal;

/// The end of a running text.
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
pub const DEFAULT_LENGTH: u64 = 1000;
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
    /// Writes the samples of each source; the sources differ only in their prompts. If there are several texts in a call, each
    /// follows a heading. With several temperatures, `temp` is a part of it.
    pub fn write(&self, all: &[SampleSource<'_>], temp: Option<&String>) -> Result<()> {
        if let ([source], 1, false) = (all, self.output.count, self.output.jsonl) {
            return self.write_one(source, temp);
        }
        for (first, sources) in (0..).step_by(SAMPLES_AT_ONCE).zip(all.chunks(SAMPLES_AT_ONCE)) {
            let contexts: Vec<&[u32]> = sources.iter().map(|source| source.context).collect();
            let SampleSource { model, vocab, config, seed, .. } = sources[0];
            let batch = Batch::with_prompts(model, vocab, &contexts, config);
            let samples = self.output.count;
            let total = samples.saturating_mul(sources.len() as u64);
            for from in (0..total).step_by(SAMPLES_AT_ONCE) {
                let texts = from..total.min(from + SAMPLES_AT_ONCE as u64);
                let starts: Vec<(usize, u64)> =
                    texts.map(|i| ((i / samples) as usize, seed.wrapping_add(i % samples))).collect();
                let generated = batch.generate_for_prompts(&starts, self.stop_criteria());
                for ((prompt, text_seed), text) in starts.iter().zip(&generated) {
                    let number = (all.len() > 1).then(|| format!("prompt {}", first + prompt + 1));
                    let sample = (samples > 1).then(|| format!("sample {}", text_seed.wrapping_sub(seed) + 1));
                    self.write_text(&sources[*prompt], text, *text_seed, [temp.cloned(), number, sample])?;
                }
            }
        }
        Ok(())
    }

    fn write_text(
        &self,
        source: &SampleSource<'_>,
        text: &Generated,
        seed: u64,
        parts: [Option<String>; 3],
    ) -> Result<()> {
        let mut bytes = self.echo(source);
        text.ids.iter().for_each(|id| source.vocab.decode_into(*id, &mut bytes));
        if self.output.jsonl {
            return self.terminal.out(as_json(&bytes, text, seed, source).as_bytes());
        }
        self.terminal.out(heading(parts).as_bytes())?;
        self.terminal.out_text(&bytes)?;
        self.end_line(&bytes)
    }

    /// Writes a text while it is generated.
    fn write_one(&self, source: &SampleSource<'_>, temp: Option<&String>) -> Result<()> {
        let SampleSource { model, vocab, config, context, seed, .. } = *source;
        self.terminal.out(heading([temp.cloned()]).as_bytes())?;
        self.terminal.out_text(&self.echo(source))?;
        let last = self.stream(Generator::new(model, vocab, context, config.clone(), seed), vocab)?;
        // The output of a single text of a model of bytes is exactly that text.
        let is_exact = vocab.encoding() == Encoding::Bytes && temp.is_none() && !self.terminal.out_is_terminal();
        if is_exact { Ok(()) } else { self.end_line(&last) }
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
        let stop = self.stop_criteria();
        for (length, id) in (1..).zip(text) {
            bytes.clear();
            vocab.decode_into(id, &mut bytes);
            self.terminal.out_text(&bytes)?;
            ids.push(id);
            if stop.is_met(length, &ids) {
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

/// The line before a text, from those parts that identify it; empty if there are none.
pub fn heading<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
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
