//! `charlstm sample`: generated text.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;

use charlstm::data::{ContextStart, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::sample::{Batch, Generator, SamplingConfig, StopCriteria};

use super::sample_records::{self, Output, RecordArgs, SampleSource};
use super::terminal::Terminal;
use super::values::{context_starts, precisions};
use super::{files, interactive, load};

const EXAMPLES: &str = "\
Examples:
  charlstm sample                                     Sample from the newest run
  charlstm sample big --prompt \"Once upon\" --temp 0.5
  charlstm sample big --interactive                   Write a text together with the model
  charlstm sample names --lines 20 --unique --novel   Generate 20 new lines";

/// Generate text with a trained model
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Text to continue; it is printed before the generated text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// Read the prompt from a file; -: standard input
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// Do not print the prompt
    #[arg(long)]
    pub no_echo: bool,
    /// Skip characters of the prompt that are not in the model's vocabulary
    #[arg(long)]
    pub skip_unknown: bool,
    /// What the prompt, or the text without a prompt, follows
    #[arg(long, value_name = "START", default_value = "newline", value_parser = context_starts())]
    pub context_start: ContextStart,
    /// Characters to generate; 0: no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub length: Option<u64>,
    /// Stop after this text has been generated; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Number of samples; sample i uses the seed --seed + i
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: u64,
    /// Print JSON, one object per line: the text, its loss and, for lines and records, whether it is in the corpus
    #[arg(long)]
    pub jsonl: bool,
    /// Random seed [default: chosen at random]
    ///
    /// The same seed gives the same text on the same machine.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Precision of the weights; int8 is faster for large models and slightly less accurate
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precisions())]
    pub precision: Precision,
    /// Take turns with the model: type some text and let it continue
    #[arg(long, short, conflicts_with_all = ["samples", "lines", "stop"])]
    pub interactive: bool,

    #[command(flatten)]
    pub distribution: DistributionArgs,
    #[command(flatten)]
    pub records: RecordArgs,
}

/// How the model's distribution is changed before a character is drawn.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Distribution (applied in this order)")]
pub struct DistributionArgs {
    /// Characters that are never generated
    #[arg(long, value_name = "CHARS", default_value = "", hide_default_value = true)]
    pub ban: String,
    /// Keep the K most likely characters
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Keep the most likely characters until their total probability reaches P
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub top_p: Option<f32>,
    /// Keep the characters with at least P times the probability of the most likely one
    #[arg(long, allow_negative_numbers = true, value_name = "P")]
    pub min_p: Option<f32>,
    /// Sampling temperature; 0: always the most likely character
    ///
    /// 1 is the distribution of the model; lower values give more predictable text. With a list, such as 0.4,0.8,1.2, one text is
    /// generated per temperature.
    #[arg(long, allow_negative_numbers = true, value_name = "T", default_value = "0.8", value_delimiter = ',')]
    pub temp: Vec<f32>,
}

const SAMPLES_AT_ONCE: usize = 1024;
const DEFAULT_LENGTH: u64 = 1000;

pub fn run(args: &SampleArgs, terminal: &Terminal) -> Result<ExitCode> {
    check(args)?;
    load::start_threads()?;
    let frame = load::open_checkpoint(args.run.as_deref())?;
    let samples = args.records.lines.unwrap_or(args.samples).min(SAMPLES_AT_ONCE as u64) as usize;
    let (model, vocab) = load::load_model(&frame, load::MAX_POSITIONS_PER_STREAM + 2 * samples)?;
    let count = records_to_generate(args, &vocab)?;
    let configs = sampling_configs(args, &vocab)?;
    let prompt = prompt(args, &vocab, terminal)?;
    let context: Vec<u32> = vocab.context_start(args.context_start).into_iter().chain(prompt.iter().copied()).collect();
    let seed = args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    terminal.detail(&format!("{}, seed {seed}", frame.path().display()));
    let inference_model = InferenceModel::new(&model, args.precision);
    for config in &configs {
        let source = SampleSource {
            frame: &frame,
            model: &inference_model,
            vocab: &vocab,
            config,
            prompt: &prompt,
            context: &context,
            seed,
        };
        if let Some(count) = count {
            let output = Output { count, echo: !args.no_echo, jsonl: args.jsonl };
            return sample_records::run(&args.records, output, &source, terminal);
        }
        if args.interactive {
            let generator = Generator::new(&inference_model, &vocab, &context, config.clone(), seed);
            let length = args.length.unwrap_or(interactive::DEFAULT_LENGTH);
            interactive::run(generator, &vocab, &prompt, length, terminal)?;
            continue;
        }
        if configs.len() > 1 {
            terminal.out(format!("--- temp {} ---\n", config.temperature).as_bytes())?;
        }
        write(args, &source, terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &SampleArgs) -> Result<()> {
    let refuse = |what: &str| Err(Error::Usage(what.into()));
    let several = args.distribution.temp.len() > 1;
    if several && (args.records.lines.is_some() || args.interactive) {
        return refuse("--lines and --interactive accept only one --temp");
    }
    if args.length == Some(0) && (several || args.samples > 1) {
        return refuse("--length 0 generates a single endless text; set a length to generate several texts");
    }
    args.distribution.temp.iter().try_for_each(|temp| sampling_config(args, *temp).validate())
}

/// The number of lines, or of records of a model of records; `None` for running text.
fn records_to_generate(args: &SampleArgs, vocab: &Vocab) -> Result<Option<u64>> {
    let refuse = |problem: String| Err(Error::Usage(problem));
    if args.interactive || vocab.record_boundary().is_none() {
        return match (args.records.lines, args.records.first_given()) {
            (None, Some(option)) => refuse(format!("{option} is for whole lines and records; add --lines N")),
            (lines, _) => Ok(lines),
        };
    }
    if args.length.is_some() || !args.stop.is_empty() {
        return refuse(
            "this model generates whole records: use --samples N and --max-chars N, not --length or --stop".into(),
        );
    }
    if args.distribution.temp.len() > 1 {
        return refuse("a model of records accepts only one --temp".into());
    }
    Ok(Some(args.records.lines.unwrap_or(args.samples)))
}

fn sampling_config(args: &SampleArgs, temperature: f32) -> SamplingConfig {
    let shape = &args.distribution;
    SamplingConfig { ban: Vec::new(), temperature, top_k: shape.top_k, top_p: shape.top_p, min_p: shape.min_p }
}

fn sampling_configs(args: &SampleArgs, vocab: &Vocab) -> Result<Vec<SamplingConfig>> {
    // The model never generates characters that are not in its vocabulary.
    let mut ban: Vec<u32> =
        vocab.to_symbols(args.distribution.ban.as_bytes()).into_iter().filter_map(|c| vocab.id(c)).collect();
    ban.sort_unstable();
    ban.dedup();
    if ban.len() == vocab.len() {
        return Err(Error::Usage("--ban excludes all characters of the model; ban fewer".into()));
    }
    let config = |temp: &f32| SamplingConfig { ban: ban.clone(), ..sampling_config(args, *temp) };
    Ok(args.distribution.temp.iter().map(config).collect())
}

/// The prompt as ids; unknown characters are rejected, or skipped with `--skip-unknown`.
fn prompt(args: &SampleArgs, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<u32>> {
    let text = match &args.prompt_file {
        Some(file) => {
            let (name, text) = files::read_text(file, vocab.encoding())?;
            if !args.skip_unknown {
                return vocab
                    .encode(&text)
                    .map_err(|e| Error::corpus(name, format!("{e}; remove it, or skip it with --skip-unknown")));
            }
            text
        }
        None if args.skip_unknown => args.prompt.clone().into_bytes(),
        None => return vocab.encode(args.prompt.as_bytes()),
    };
    let symbols = vocab.to_symbols(&text);
    let (known, mut unknown): (Vec<u32>, Vec<u32>) =
        symbols.into_iter().partition(|symbol| vocab.id(*symbol).is_some());
    if !unknown.is_empty() {
        let count = unknown.len();
        unknown.sort_unstable();
        unknown.dedup();
        let named: Vec<String> = unknown.iter().take(20).map(|symbol| vocab.describe(*symbol)).collect();
        let more = if unknown.len() > named.len() { " and others" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        terminal.warn(&format!("skipped {count} unknown character{plural} of the prompt: {}{more}", named.join(", ")));
    }
    Ok(known.into_iter().filter_map(|symbol| vocab.id(symbol)).collect())
}

fn write(args: &SampleArgs, source: &SampleSource<'_>, terminal: &Terminal) -> Result<()> {
    let SampleSource { model, vocab, config, prompt, context, seed, .. } = *source;
    let length = match args.length.unwrap_or(DEFAULT_LENGTH) {
        0 => usize::MAX,
        length => usize::try_from(length).unwrap_or(usize::MAX),
    };
    let echo = if args.no_echo { Vec::new() } else { vocab.decode(prompt.iter().copied()) };
    let stops = stops(&args.stop, vocab, terminal);
    if args.samples == 1 {
        terminal.out_text(&echo)?;
        let text = Generator::new(model, vocab, context, config.clone(), seed).take(length);
        return show(text, vocab, &stops, terminal);
    }
    let batch = Batch::new(model, vocab, context, config);
    for first in (0..args.samples).step_by(SAMPLES_AT_ONCE) {
        let samples = first..args.samples.min(first + SAMPLES_AT_ONCE as u64);
        let seeds: Vec<u64> = samples.map(|sample| seed.wrapping_add(sample)).collect();
        for text in batch.generate(&seeds, StopCriteria { length, stops: &stops, pattern: None }) {
            let mut written = echo.clone();
            text.ids.iter().for_each(|id| vocab.decode_into(*id, &mut written));
            end_line(&mut written);
            terminal.out_text(&written)?;
        }
    }
    Ok(())
}

/// The texts that end a sample, as ids. A text with a character outside the vocabulary is never generated.
fn stops(texts: &[String], vocab: &Vocab, terminal: &Terminal) -> Vec<Vec<u32>> {
    let known = |text: &String| match vocab.encode(text.as_bytes()) {
        Ok(ids) => Some(ids).filter(|ids| !ids.is_empty()),
        Err(e) => {
            terminal.warn(&format!("--stop {text:?} has no effect: {e}"));
            None
        }
    };
    texts.iter().filter_map(known).collect()
}

fn show(text: impl Iterator<Item = u32>, vocab: &Vocab, stops: &[Vec<u32>], terminal: &Terminal) -> Result<()> {
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    for id in text {
        bytes.clear();
        vocab.decode_into(id, &mut bytes);
        terminal.out_text(&bytes)?;
        ids.push(id);
        if stops.iter().any(|stop| ids.ends_with(stop)) {
            break;
        }
        // Only the end of the text is needed to detect a stop sequence.
        if ids.len() > 1 << 16 {
            ids.drain(..1 << 15);
        }
    }
    let shown = bytes.len();
    end_line(&mut bytes);
    terminal.out(&bytes[shown..])
}

fn end_line(text: &mut Vec<u8>) {
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
}
