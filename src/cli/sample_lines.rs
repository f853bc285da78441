//! `charlstm sample --lines`: whole lines.

use std::path::PathBuf;
use std::process::ExitCode;

use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, LineHashes, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::InferenceModel;
use charlstm::run::RunMetadata;
use charlstm::sample::{
    Batch, Line, LineRequest, LineStats, MAX_MISSED_CHARS, MAX_MISSES, MatchMethod, Pattern, SamplingConfig,
    StopReason, sample_lines,
};
use serde_json::json;

use super::terminal::Terminal;
use super::values::choice;

/// Generation of whole lines: names, tunes, molecules, headlines.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whole lines")]
pub struct LineArgs {
    /// Generate N whole lines, each starting with the prompt
    ///
    /// Gives up after 10,000 lines or 2,000,000 characters in a row without a new matching line.
    #[arg(long, value_name = "N", conflicts_with_all = ["length", "stop", "samples"], value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: Option<u64>,
    /// Print each line only once
    #[arg(long, requires = "lines")]
    pub unique: bool,
    /// Print only lines that do not occur in the text of the run
    ///
    /// The text includes the held-out part, and the training text of the run given to --init-from.
    #[arg(long, requires = "lines")]
    pub novel: bool,
    /// Print only lines that do not occur in this file or folder; can be repeated
    #[arg(long, value_name = "FILE", requires = "lines")]
    pub novel_against: Vec<PathBuf>,
    /// Print only lines that match this regular expression as a whole
    ///
    /// The syntax is that of Rust's regex crate.
    #[arg(long = "match", value_name = "REGEX", requires = "lines")]
    pub pattern: Option<String>,
    /// How to satisfy --match and the lengths [default: mask with --match, otherwise rejection]
    #[arg(long, value_name = "METHOD", requires = "lines", value_parser = choice([
        ("mask", "Allow only characters that can lead to a match; changes the distribution", MatchMethod::Mask),
        ("rejection", "Discard lines that do not match; keeps the distribution of the model over matching lines", MatchMethod::Rejection),
    ]))]
    pub match_by: Option<MatchMethod>,
    /// Minimum number of characters in a line
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1)]
    pub min_chars: u64,
    /// Maximum number of characters in a line
    #[arg(long, value_name = "N", requires = "lines", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_chars: u64,
    /// Print JSON, one object per line, with the loss of the line and whether it is in the corpus
    #[arg(long, requires = "lines")]
    pub jsonl: bool,
}

/// The model that generates the text, and how.
pub struct SampleSource<'a> {
    pub frame: &'a Frame,
    pub model: &'a InferenceModel<'a>,
    pub vocab: &'a Vocab,
    pub config: &'a SamplingConfig,
    pub prompt: &'a [u32],
    /// The prompt and what it follows.
    pub context: &'a [u32],
    pub seed: u64,
}

pub fn run(args: &LineArgs, source: &SampleSource<'_>, echo: bool, terminal: &Terminal) -> Result<ExitCode> {
    let SampleSource { vocab, prompt, .. } = *source;
    if args.min_chars > args.max_chars {
        let (min, max) = (args.min_chars, args.max_chars);
        return Err(Error::Usage(format!("--min-chars {min} is greater than --max-chars {max}")));
    }
    let lengths = args.min_chars as usize..=args.max_chars as usize;
    let pattern = Pattern::new(args.pattern.as_deref().unwrap_or(".*"), vocab, &source.config.ban, lengths)?;
    let existing = ExistingLines::open(args, source, terminal)?;
    // If the prompt has several lines, the last one is the start of each line.
    let prefix = prompt.rsplit(|id| *id == pattern.line_end()).next().unwrap_or_default();
    if prefix.iter().try_fold(pattern.start(), |state, id| pattern.advance(state, *id)).is_none() {
        return Err(Error::Usage(
            "no line that starts with --prompt satisfies --match, --ban and the lengths; change one of them".into(),
        ));
    }
    let default_method = if args.pattern.is_some() { MatchMethod::Mask } else { MatchMethod::Rejection };
    let method = args.match_by.unwrap_or(default_method);
    let count = args.lines.unwrap_or_default();
    let request = LineRequest { count, unique: args.unique, pattern: &pattern, prefix, method, seed: source.seed };
    let batch = Batch::new(source.model, vocab, source.context, source.config);
    let echoed = if echo { 0 } else { prefix.len() };
    let stats = sample_lines(&batch, &request, |line| {
        let whole = line_bytes(vocab, &line.ids);
        let in_corpus = existing.of_run.as_ref().map(|lines| lines.contains(&whole));
        if existing.others.contains(&whole) || (args.novel && in_corpus == Some(true)) {
            return Ok(false);
        }
        let shown = line_bytes(vocab, &line.ids[echoed..]);
        let written = if args.jsonl { as_json(&shown, line, in_corpus) } else { [&shown[..], b"\n"].concat() };
        terminal.out_text(&written)?;
        Ok(true)
    })?;
    Ok(report(&stats, &request, args, terminal))
}

struct ExistingLines {
    /// The lines of the run's texts, if they are needed and can be read.
    of_run: Option<LineHashes>,
    /// The lines of other texts, which must not be generated.
    others: LineHashes,
}

impl ExistingLines {
    fn open(args: &LineArgs, source: &SampleSource<'_>, terminal: &Terminal) -> Result<Self> {
        let mut others = LineHashes::default();
        for path in &args.novel_against {
            others.add(&Corpus::open(std::slice::from_ref(path), source.vocab.encoding())?)?;
        }
        let of_run = match lines_of_run(source.frame) {
            _ if !args.novel && !args.jsonl => None,
            Ok(lines) => Some(lines),
            Err(e) if args.novel => return Err(e),
            Err(e) => {
                terminal.warn(&format!("`in_corpus` is unknown: {e}"));
                None
            }
        };
        Ok(ExistingLines { of_run, others })
    }
}

/// The lines of the texts of a run, including the held-out text, and of the run that it was fine-tuned from.
fn lines_of_run(frame: &Frame) -> Result<LineHashes> {
    let texts = RunMetadata::read(frame)?.dataset.open()?;
    let mut lines = LineHashes::default();
    lines.add(texts.training().0)?;
    texts.held_out().iter().try_for_each(|(corpus, _)| lines.add(corpus))?;
    if let Some(beginning) = RunMetadata::read(frame)?.origin {
        lines.add(beginning.dataset.open()?.training().0)?;
    }
    Ok(lines)
}

/// The bytes of a line without a trailing carriage return.
fn line_bytes(vocab: &Vocab, ids: &[u32]) -> Vec<u8> {
    let mut bytes = vocab.decode(ids.iter().copied());
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    bytes
}

fn as_json(text: &[u8], line: &Line, in_corpus: Option<bool>) -> Vec<u8> {
    let mean = line.nats / line.scored as f64;
    let facts = json!({"text": String::from_utf8_lossy(text), "nats_per_char": mean, "in_corpus": in_corpus});
    format!("{facts}\n").into_bytes()
}

/// Reports the result; exit code 1 if fewer lines were found than requested.
fn report(stats: &LineStats, request: &LineRequest<'_>, args: &LineArgs, terminal: &Terminal) -> ExitCode {
    let LineStats { drawn, matching, accepted, stop_reason } = *stats;
    if request.method == MatchMethod::Rejection && args.match_by.is_some() && drawn > 0 {
        let share = 100.0 * matching as f64 / drawn as f64;
        terminal.say(&format!("Acceptance rate: {share:.2} % ({matching} of {drawn} generated lines match)"));
    }
    let why = match stop_reason {
        StopReason::Complete => return ExitCode::SUCCESS,
        StopReason::Exhausted => "no other line matches".into(),
        StopReason::TooManyMisses => format!(
            "{MAX_MISSES} lines or {MAX_MISSED_CHARS} characters in a row without a new line ({drawn} lines generated, \
             {matching} of them match)"
        ),
    };
    terminal.error(&format!("found {accepted} of {} lines: {why}", request.count));
    ExitCode::from(1)
}
