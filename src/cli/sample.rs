//! `charlstm sample`: generated text.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;

use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::sample::{Generator, SamplingConfig};

use super::prompts::PromptArgs;
use super::sample_records::{self, Output, RECORD_OPTIONS, RecordArgs, SampleSource};
use super::sample_text::{self, SAMPLES_AT_ONCE, TextArgs, TextWriter, heading};
use super::terminal::Terminal;
use super::values::precisions;
use super::{interactive, load};

const EXAMPLES: &str = "\
Examples:
  charlstm sample                                     Sample from the newest run
  charlstm sample big --prompt \"Once upon\" --temp 0.5
  charlstm sample big --interactive                   Write a text together with the model
  charlstm sample big --samples 8 --jsonl             Generate 8 texts as JSON
  charlstm sample names --lines 20 --unique --novel   Generate 20 new lines";

/// Generate text with a trained model
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// Name or folder of a run, or a checkpoint file [default: the newest run]
    pub run: Option<PathBuf>,
    /// Number of samples; sample i uses the seed --seed + i
    ///
    /// Each of several texts follows a line such as `--- sample 2 ---`.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: u64,
    /// Print JSON, one object per line
    ///
    /// An object contains the prompt, the text and its mean loss in nats; for running text, also the temperature and the seed; for
    /// lines and records, also whether the text is in the corpus.
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
    #[arg(long, short, conflicts_with_all = ["prompts_file", "no_echo", "samples", "jsonl", "stop"])]
    #[arg(conflicts_with_all = RECORD_OPTIONS)]
    pub interactive: bool,

    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub text: TextArgs,
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
    #[arg(long, value_name = "CHARS", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub ban: String,
    /// Penalize repetitions of more than 16 characters; 0.5 ends loops
    ///
    /// Lowers the logit of each character that would continue a repetition among the last 1,024 generated characters, by X for each
    /// character by which the repetition exceeds 16. Common words and phrases are therefore not affected.
    #[arg(long, allow_negative_numbers = true, value_name = "X", default_value_t = 0.0, hide_default_value = true)]
    pub repetition_penalty: f32,
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

pub fn run(args: &SampleArgs, terminal: &Terminal) -> Result<ExitCode> {
    check(args)?;
    load::start_threads()?;
    let frame = load::open_checkpoint(args.run.as_deref())?;
    let samples = args.records.lines.unwrap_or(args.samples).min(SAMPLES_AT_ONCE as u64) as usize;
    let samples = if args.prompt.prompts_file.is_some() { SAMPLES_AT_ONCE } else { samples };
    let (model, vocab) = load::load_model(&frame, load::MAX_POSITIONS_PER_STREAM + 2 * samples)?;
    let count = records_to_generate(args, &vocab)?;
    let configs = sampling_configs(args, &vocab)?;
    let prompts = args.prompt.read(&vocab, terminal)?;
    let stops = stops(args, &vocab, terminal)?;
    let seed = args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    terminal.detail(&format!("{}, seed {seed}", frame.path().display()));
    let inference_model = InferenceModel::new(&model, args.precision);
    let output = Output { count: count.unwrap_or(args.samples), echo: !args.prompt.no_echo, jsonl: args.jsonl };
    let writer = TextWriter { args: &args.text, stops, output, terminal };
    let mut code = ExitCode::SUCCESS;
    let start = vocab.context_start(args.prompt.context_start);
    let contexts: Vec<Vec<u32>> = prompts.iter().map(|prompt| start.iter().chain(prompt).copied().collect()).collect();
    for config in &configs {
        let (frame, model, vocab) = (&frame, &inference_model, &vocab);
        let sources: Vec<SampleSource<'_>> = (prompts.iter().zip(&contexts))
            .map(|(prompt, context)| SampleSource { frame, model, vocab, config, prompt, context, seed })
            .collect();
        if args.interactive {
            let generator = Generator::new(model, vocab, &contexts[0], config.clone(), seed);
            let length = args.text.length.unwrap_or(interactive::DEFAULT_LENGTH);
            interactive::run(generator, vocab, &args.prompt, &prompts[0], length, terminal)?;
        } else if count.is_none() {
            let temp = (configs.len() > 1).then(|| format!("temp {}", config.temperature));
            writer.write(&sources, temp.as_ref())?;
        } else {
            for (number, source) in (1..).zip(&sources) {
                if sources.len() > 1 && !output.jsonl {
                    terminal.out(heading([Some(format!("prompt {number}"))]).as_bytes())?;
                }
                let result = sample_records::run(&args.records, output, source, terminal)?;
                code = if code == ExitCode::SUCCESS { result } else { code };
            }
        }
    }
    Ok(code)
}

fn check(args: &SampleArgs) -> Result<()> {
    let refuse = |what: &str| Err(Error::Usage(what.into()));
    let several = args.distribution.temp.len() > 1;
    if several && (args.records.lines.is_some() || args.interactive) {
        return refuse("--lines and --interactive accept only one --temp");
    }
    let several = several || args.prompt.prompts_file.is_some();
    if args.text.length == Some(0) && (several || args.samples > 1 || args.jsonl) {
        return refuse("--length 0 generates a single endless text; set a length to generate several texts");
    }
    let (length, min_length) = (args.text.length.unwrap_or(sample_text::DEFAULT_LENGTH), args.text.min_length);
    if let Some(min_length) = min_length.filter(|min| length > 0 && *min > length) {
        return refuse(&format!("--min-length {min_length} is greater than --length {length}; set a greater --length"));
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
    if args.text.length.is_some() || !args.text.stop.is_empty() {
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
    SamplingConfig {
        ban: Vec::new(),
        repetition_penalty: shape.repetition_penalty,
        temperature,
        top_k: shape.top_k,
        top_p: shape.top_p,
        min_p: shape.min_p,
    }
}

fn sampling_configs(args: &SampleArgs, vocab: &Vocab) -> Result<Vec<SamplingConfig>> {
    // The model never generates characters that are not in its vocabulary.
    let mut ban: Vec<u32> = vocab
        .to_symbols(args.prompt.unescape(&args.distribution.ban)?.as_bytes())
        .into_iter()
        .filter_map(|c| vocab.known_id(c))
        .collect();
    ban.sort_unstable();
    ban.dedup();
    // The unknown character is never generated, either.
    if ban.len() + usize::from(vocab.unknown().is_some()) == vocab.len() {
        return Err(Error::Usage("--ban excludes all characters of the model; ban fewer".into()));
    }
    let config = |temp: &f32| SamplingConfig { ban: ban.clone(), ..sampling_config(args, *temp) };
    Ok(args.distribution.temp.iter().map(config).collect())
}

/// The texts that end a sample, as ids. A text with a character outside the vocabulary is never generated.
fn stops(args: &SampleArgs, vocab: &Vocab, terminal: &Terminal) -> Result<Vec<Vec<u32>>> {
    let mut stops = Vec::new();
    for text in &args.text.stop {
        let text = args.prompt.unescape(text)?;
        match vocab.encode(text.as_bytes()) {
            Ok(ids) if ids.iter().any(|id| Some(*id) == vocab.unknown()) => {
                terminal
                    .warn(&format!("--stop {text:?} has no effect: it contains a character that is never generated"));
            }
            Ok(ids) => stops.extend(Some(ids).filter(|ids| !ids.is_empty())),
            Err(e) => terminal.warn(&format!("--stop {text:?} has no effect: {e}")),
        }
    }
    Ok(stops)
}
