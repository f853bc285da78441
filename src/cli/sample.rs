//! `charlstm sample`: generated text.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::ExitCode;

use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::model::InferenceModel;
use charlstm::sample::{Batch, Generator, SamplingConfig, StopCriteria};

use super::args::SampleArgs;
use super::terminal::Terminal;
use super::{files, interactive, load, sample_lines};

const SAMPLES_AT_ONCE: usize = 1024;
const DEFAULT_LENGTH: u64 = 1000;

pub fn run(args: &SampleArgs, terminal: &Terminal) -> Result<ExitCode> {
    check(args)?;
    load::start_threads()?;
    let frame = load::open_checkpoint(args.run.as_deref())?;
    let (model, vocab) = load::load_model(&frame, positions(args))?;
    let configs = sampling_configs(args, &vocab)?;
    let prompt = prompt(args, &vocab, terminal)?;
    let seed = args.seed.unwrap_or_else(random_seed);
    terminal.detail(&format!("{}, seed {seed}", frame.path().display()));
    let inference_model = InferenceModel::new(&model, args.precision.into());
    if let (Some(_), [config]) = (args.line.lines, &configs[..]) {
        let source = sample_lines::LineSource { frame: &frame, model: &inference_model, vocab: &vocab, config, seed };
        return sample_lines::run(args, &source, &prompt, terminal);
    }
    if let (true, [config]) = (args.interactive, &configs[..]) {
        let generator = Generator::new(&inference_model, &vocab, &prompt, config.clone(), seed);
        return interactive::run(generator, &vocab, &prompt, args.length, terminal).map(|()| ExitCode::SUCCESS);
    }
    for config in &configs {
        if configs.len() > 1 {
            terminal.out(format!("--- temp {} ---\n", config.temperature).as_bytes())?;
        }
        write(args, &inference_model, &vocab, &prompt, config, seed, terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn positions(args: &SampleArgs) -> usize {
    let texts = args.line.lines.unwrap_or(args.samples).min(SAMPLES_AT_ONCE as u64) as usize;
    load::POSITIONS_OF_ONE_STREAM + 2 * texts
}

/// Rejects invalid arguments before anything is read.
fn check(args: &SampleArgs) -> Result<()> {
    let refuse = |what: &str| Err(Error::Usage(what.into()));
    let several = args.distribution.temp.len() > 1;
    if several && (args.line.lines.is_some() || args.interactive) {
        return refuse("--lines and --interactive accept only one --temp");
    }
    if args.length == Some(0) && (several || args.samples > 1) {
        return refuse("--length 0 generates text without end, so it cannot generate several texts; choose a length");
    }
    args.distribution.temp.iter().try_for_each(|temp| sampling_config(args, *temp).validate())
}

fn sampling_config(args: &SampleArgs, temperature: f32) -> SamplingConfig {
    let shape = &args.distribution;
    SamplingConfig { ban: Vec::new(), temperature, top_k: shape.top_k, top_p: shape.top_p, min_p: shape.min_p }
}

/// How distributions are shaped, for each temperature.
fn sampling_configs(args: &SampleArgs, vocab: &Vocab) -> Result<Vec<SamplingConfig>> {
    // The model never generates characters that are not in its vocabulary.
    let mut ban: Vec<u32> =
        vocab.to_symbols(args.distribution.ban.as_bytes()).into_iter().filter_map(|c| vocab.id(c)).collect();
    ban.sort_unstable();
    ban.dedup();
    if ban.len() == vocab.len() {
        return Err(Error::Usage("--ban excludes all characters of the model; ban fewer".into()));
    }
    Ok(args
        .distribution
        .temp
        .iter()
        .map(|temp| SamplingConfig { ban: ban.clone(), ..sampling_config(args, *temp) })
        .collect())
}

/// The prompt as ids; unknown characters are rejected, or skipped with `--skip-unknown`.
fn prompt(args: &SampleArgs, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<u32>> {
    let text = match &args.prompt_file {
        Some(file) => {
            let (name, text) = files::read(file)?;
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

/// Generates one text and prints it as it is generated, or generates several in parallel.
fn write(
    args: &SampleArgs,
    model: &InferenceModel<'_>,
    vocab: &Vocab,
    prompt: &[u32],
    config: &SamplingConfig,
    seed: u64,
    terminal: &Terminal,
) -> Result<()> {
    let length = match args.length.unwrap_or(DEFAULT_LENGTH) {
        0 => usize::MAX,
        length => usize::try_from(length).unwrap_or(usize::MAX),
    };
    let echo = if args.no_echo { Vec::new() } else { vocab.decode(prompt.iter().copied()) };
    let stops = stops(&args.stop, vocab, terminal);
    if args.samples == 1 {
        terminal.out_text(&echo)?;
        let text = Generator::new(model, vocab, prompt, config.clone(), seed).take(length);
        return show(text, vocab, &stops, terminal);
    }
    let batch = Batch::new(model, vocab, prompt, config);
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

/// The texts that end a sample, as ids. A text with a character that the model does not know is never generated.
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
        // Only the end of the text is needed to detect a stop text.
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

fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
