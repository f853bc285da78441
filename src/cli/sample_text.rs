//! `charlstm sample`: running text.

use charlstm::data::{Encoding, Vocab};
use charlstm::error::Result;
use charlstm::sample::{Batch, Generated, Generator, StopCriteria};
use serde_json::json;

use super::sample::SampleArgs;
use super::sample_records::SampleSource;
use super::terminal::Terminal;

pub const SAMPLES_AT_ONCE: usize = 1024;
const DEFAULT_LENGTH: u64 = 1000;
/// Only the end of the text is needed to detect a stop sequence.
const MAX_KEPT: usize = 1 << 16;

/// Writes texts, with a line before each if there are several.
pub struct TextWriter<'a> {
    args: &'a SampleArgs,
    stops: Vec<Vec<u32>>,
    /// The number of pairs of a prompt and a temperature.
    groups: usize,
    /// Pairs that have been written.
    written: usize,
    terminal: &'a Terminal,
}

impl<'a> TextWriter<'a> {
    pub fn new(args: &'a SampleArgs, stops: Vec<Vec<u32>>, groups: usize, terminal: &'a Terminal) -> Self {
        TextWriter { args, stops, groups, written: 0, terminal }
    }

    /// Writes the samples for a prompt and a temperature.
    pub fn write(&mut self, source: &SampleSource<'_>) -> Result<()> {
        self.written += 1;
        let SampleSource { model, vocab, config, context, seed, .. } = *source;
        let samples = self.args.samples;
        if samples == 1 && !self.args.jsonl {
            self.header(source, 1)?;
            self.terminal.out_text(&self.echo(source))?;
            return self.stream(Generator::new(model, vocab, context, config.clone(), seed), vocab);
        }
        let batch = Batch::new(model, vocab, context, config);
        for first in (0..samples).step_by(SAMPLES_AT_ONCE) {
            let range = first..samples.min(first + SAMPLES_AT_ONCE as u64);
            let seeds: Vec<u64> = range.map(|sample| seed.wrapping_add(sample)).collect();
            let texts = batch.generate(&seeds, self.stop_criteria());
            for (text, (seed, number)) in texts.iter().zip(seeds.iter().zip(first + 1..)) {
                self.sample(source, text, *seed, number)?;
            }
        }
        Ok(())
    }

    fn sample(&self, source: &SampleSource<'_>, text: &Generated, seed: u64, number: u64) -> Result<()> {
        let mut bytes = self.echo(source);
        text.ids.iter().for_each(|id| source.vocab.decode_into(*id, &mut bytes));
        if self.args.jsonl {
            let prompt = source.vocab.decode(source.prompt.iter().copied());
            let fields = json!({
                "prompt": String::from_utf8_lossy(&prompt),
                "text": String::from_utf8_lossy(&bytes),
                "nats_per_char": (!text.ids.is_empty()).then(|| text.nats / text.ids.len() as f64),
                "temp": source.config.temperature,
                "seed": seed,
            });
            return self.terminal.out(format!("{fields}\n").as_bytes());
        }
        self.header(source, number)?;
        self.terminal.out_text(&bytes)?;
        self.end_text(&bytes, source.vocab)
    }

    /// The line before a text, if there are several.
    fn header(&self, source: &SampleSource<'_>, sample: u64) -> Result<()> {
        let temps = self.args.distribution.temp.len();
        let prompts = self.groups / temps;
        let prompt = (self.written - 1) % prompts + 1;
        let parts = [
            (temps > 1).then(|| format!("temp {}", source.config.temperature)),
            (prompts > 1).then(|| format!("prompt {prompt}")),
            (self.args.samples > 1).then(|| format!("sample {sample}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            return Ok(());
        }
        self.terminal.out(format!("--- {} ---\n", parts.join(", ")).as_bytes())
    }

    fn echo(&self, source: &SampleSource<'_>) -> Vec<u8> {
        if self.args.prompt.no_echo { Vec::new() } else { source.vocab.decode(source.prompt.iter().copied()) }
    }

    fn stop_criteria(&self) -> StopCriteria<'_> {
        let length = match self.args.length.unwrap_or(DEFAULT_LENGTH) {
            0 => usize::MAX,
            length => usize::try_from(length).unwrap_or(usize::MAX),
        };
        let min_length = usize::try_from(self.args.min_length.unwrap_or(0)).unwrap_or(usize::MAX);
        StopCriteria { length, min_length, stops: &self.stops, pattern: None }
    }

    /// Writes a text character by character.
    fn stream(&self, text: Generator<'_>, vocab: &Vocab) -> Result<()> {
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
        self.end_text(&bytes, vocab)
    }

    /// Ends the last line of a text. The output of a single text of a model of bytes is exactly that text.
    fn end_text(&self, text: &[u8], vocab: &Vocab) -> Result<()> {
        let is_exact = vocab.encoding() == Encoding::Bytes && !self.terminal.out_is_terminal();
        let is_single = self.groups == 1 && self.args.samples == 1;
        if text.ends_with(b"\n") || (is_exact && is_single) {
            return Ok(());
        }
        self.terminal.out(b"\n")
    }
}
