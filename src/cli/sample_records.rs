//! `charlstm sample`: whole lines or records.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, RecordHashes, RecordKind, Vocab};
use charlstm::error::{Error, Result};
use charlstm::model::InferenceModel;
use charlstm::run::RunMetadata;
use charlstm::sample::{
    Batch, Line, LineRequest, LineStats, MAX_MISSED_CHARS, MAX_MISSES, MatchMethod, Pattern, SamplingConfig,
    StopReason, sample_lines,
};
use serde_json::json;

use super::terminal::Terminal;
use super::validator::Validator;
use super::values::choice;

/// Generation of whole lines or records: names, tunes, molecules, poems.
///
/// All options but `lines` apply to lines and to the records of a model that was trained with `--records`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Whole lines and records")]
pub struct RecordArgs {
    /// Generate N whole lines, each starting with the prompt
    ///
    /// Gives up after 10,000 lines or 2,000,000 characters in a row without a new matching line. A run that was trained with
    /// --records generates records with --samples N; the options below apply to them, too.
    #[arg(long, value_name = "N", conflicts_with = "samples", value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: Option<u64>,
    /// Print each line or record only once
    #[arg(long)]
    pub unique: bool,
    /// Print only lines or records that do not occur in the text of the run
    ///
    /// The text includes the held-out part, and the training text of the run given to --init-from.
    #[arg(long)]
    pub novel: bool,
    /// Print only lines or records that do not occur in this file or folder; can be repeated
    #[arg(long, value_name = "FILE")]
    pub novel_against: Vec<PathBuf>,
    /// Print only lines or records that match this regular expression as a whole
    ///
    /// The syntax is that of Rust's regex crate. A dot does not match line ends.
    #[arg(long = "match", value_name = "REGEX", allow_hyphen_values = true)]
    pub pattern: Option<String>,
    /// How to satisfy --match and the lengths [default: mask with --match, otherwise rejection]
    #[arg(long, value_name = "METHOD", value_parser = choice([
        ("mask", "Allow only characters that can lead to a match; changes the distribution", MatchMethod::Mask),
        ("rejection", "Discard what does not match; keeps the distribution of the model over matches", MatchMethod::Rejection),
    ]))]
    pub match_by: Option<MatchMethod>,
    /// Minimum number of characters in a line or record [default: 1]
    #[arg(long, value_name = "N")]
    pub min_chars: Option<u64>,
    /// Maximum number of characters in a line or record [default: 1000; 10000 for blocks and files]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_chars: Option<u64>,
    /// Print only what this shell command accepts
    ///
    /// The command reads one JSON object per line, {"text": "..."}, and answers each with a line {"ok": true} or {"ok": false}. It
    /// must flush its output after each answer.
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub check: Option<String>,
    /// Seconds that --check may take to answer [default: 10]
    #[arg(long, value_name = "SECONDS", requires = "check", value_parser = clap::value_parser!(u64).range(1..))]
    pub check_timeout: Option<u64>,
}

/// The ids of all options of [`RecordArgs`]. They are listed because clap's error for a conflict with their group names all of them.
pub const RECORD_OPTIONS: [&str; 10] = [
    "lines",
    "unique",
    "novel",
    "novel_against",
    "pattern",
    "match_by",
    "min_chars",
    "max_chars",
    "check",
    "check_timeout",
];

impl RecordArgs {
    /// The first option that was given, without `lines`.
    pub fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--unique", self.unique),
            ("--novel", self.novel),
            ("--novel-against", !self.novel_against.is_empty()),
            ("--match", self.pattern.is_some()),
            ("--match-by", self.match_by.is_some()),
            ("--min-chars", self.min_chars.is_some()),
            ("--max-chars", self.max_chars.is_some()),
            ("--check", self.check.is_some()),
            ("--check-timeout", self.check_timeout.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}

const DEFAULT_CHECK_TIMEOUT: u64 = 10;

/// How many lines or records are printed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub count: u64,
    pub echo: bool,
    pub jsonl: bool,
}

/// The model and the settings for generating text.
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

/// Generates `count` lines, or records of a model of records.
pub fn run(args: &RecordArgs, output: Output, source: &SampleSource<'_>, terminal: &Terminal) -> Result<ExitCode> {
    let SampleSource { vocab, prompt, .. } = *source;
    let kind = RunMetadata::read(source.frame)?.dataset.config.records.filter(|_| vocab.record_boundary().is_some());
    let is_multiline = matches!(kind, Some(RecordKind::Block | RecordKind::File));
    let (min, max) = (args.min_chars.unwrap_or(1), args.max_chars.unwrap_or(if is_multiline { 10_000 } else { 1000 }));
    if min > max {
        return Err(Error::Usage(format!("--min-chars {min} is greater than --max-chars {max}")));
    }
    let any = if is_multiline { "(?s).*" } else { ".*" };
    let regex = args.pattern.as_deref().unwrap_or(any);
    let pattern = Pattern::new(regex, vocab, &source.config.ban, min as usize..=max as usize)?;
    let existing = ExistingRecords::open(args, output, kind.unwrap_or(RecordKind::Line), source, terminal)?;
    // If the prompt has several lines, the last one is the start of each line.
    let prefix = prompt.rsplit(|id| *id == pattern.line_end()).next().unwrap_or_default();
    if prefix.iter().try_fold(pattern.start(), |state, id| pattern.advance(state, *id)).is_none() {
        return Err(Error::Usage(
            "no line that starts with --prompt satisfies --match, --ban and the lengths; change one of them".into(),
        ));
    }
    let default_method = if args.pattern.is_some() { MatchMethod::Mask } else { MatchMethod::Rejection };
    let method = args.match_by.unwrap_or(default_method);
    let request =
        LineRequest { count: output.count, unique: args.unique, pattern: &pattern, prefix, method, seed: source.seed };
    let timeout = Duration::from_secs(args.check_timeout.unwrap_or(DEFAULT_CHECK_TIMEOUT));
    let mut validator = args.check.as_deref().map(|command| Validator::start(command, timeout)).transpose()?;
    let batch = Batch::new(source.model, vocab, source.context, source.config);
    let echoed = if output.echo { 0 } else { prefix.len() };
    let mut separator: &[u8] = b"";
    let stats = sample_lines(&batch, &request, |line| {
        let whole = line_bytes(vocab, &line.ids);
        let in_corpus = existing.of_run.as_ref().map(|records| records.contains(&whole));
        if existing.others.contains(&whole) || (args.novel && in_corpus == Some(true)) {
            return Ok(false);
        }
        if let Some(validator) = &mut validator
            && !validator.accepts(&String::from_utf8_lossy(&whole))?
        {
            return Ok(false);
        }
        let shown = line_bytes(vocab, &line.ids[echoed..]);
        if output.jsonl {
            terminal.out(&as_json(&shown, line, in_corpus, source))?;
        } else {
            terminal.out_text(&[separator, &shown, b"\n"].concat())?;
            // Blocks are separated by a blank line, as in the corpus.
            separator = if is_multiline { b"\n" } else { b"" };
        }
        Ok(true)
    })?;
    if let Some(Validator { checked, accepted, .. }) = &validator {
        let share = 100.0 * *accepted as f64 / (*checked).max(1) as f64;
        terminal.say(&format!("--check accepted {accepted} of {checked} ({share:.2} %)"));
    }
    Ok(report(&stats, &request, args, if kind.is_some() { "records" } else { "lines" }, terminal))
}

struct ExistingRecords {
    /// The records of the run's texts, if they are needed and can be read.
    of_run: Option<RecordHashes>,
    /// The records of other texts, which must not be generated.
    others: RecordHashes,
}

impl ExistingRecords {
    fn open(
        args: &RecordArgs,
        output: Output,
        kind: RecordKind,
        source: &SampleSource<'_>,
        terminal: &Terminal,
    ) -> Result<Self> {
        let mut others = RecordHashes::default();
        for path in &args.novel_against {
            others.add(&Corpus::open(std::slice::from_ref(path), source.vocab.encoding())?, kind)?;
        }
        if !args.novel && !output.jsonl {
            return Ok(ExistingRecords { of_run: None, others });
        }
        let of_run = match records_of_run(source.frame, kind) {
            Ok(records) => Some(records),
            Err(e) if args.novel => return Err(e),
            Err(e) => {
                terminal.warn(&format!("`in_corpus` is unknown: {e}"));
                None
            }
        };
        Ok(ExistingRecords { of_run, others })
    }
}

/// The records of the texts of a run, including the held-out text, and of the run that it was fine-tuned from.
fn records_of_run(frame: &Frame, kind: RecordKind) -> Result<RecordHashes> {
    let RunMetadata { dataset, origin, .. } = RunMetadata::read(frame)?;
    let texts = dataset.open()?;
    let mut records = RecordHashes::default();
    records.add(texts.corpus(), kind)?;
    texts.held_out().iter().try_for_each(|part| records.add(part.corpus(), kind))?;
    if let Some(origin) = origin {
        records.add(origin.dataset.open()?.corpus(), kind)?;
    }
    Ok(records)
}

/// The bytes of a line without a trailing carriage return.
fn line_bytes(vocab: &Vocab, ids: &[u32]) -> Vec<u8> {
    let mut bytes = vocab.decode(ids.iter().copied());
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    bytes
}

fn as_json(text: &[u8], line: &Line, in_corpus: Option<bool>, source: &SampleSource<'_>) -> Vec<u8> {
    let prompt = source.vocab.decode(source.prompt.iter().copied());
    let facts = json!({
        "prompt": String::from_utf8_lossy(&prompt),
        "text": String::from_utf8_lossy(text),
        "nats_per_char": line.nats / line.scored as f64,
        "in_corpus": in_corpus,
    });
    format!("{facts}\n").into_bytes()
}

/// Reports the result; exit code 1 if fewer lines or records (`what`) were found than requested.
fn report(
    stats: &LineStats,
    request: &LineRequest<'_>,
    args: &RecordArgs,
    what: &str,
    terminal: &Terminal,
) -> ExitCode {
    let LineStats { drawn, matching, accepted, stop_reason } = *stats;
    if request.method == MatchMethod::Rejection && args.match_by.is_some() && drawn > 0 {
        let share = 100.0 * matching as f64 / drawn as f64;
        terminal.say(&format!("Acceptance rate: {share:.2} % ({matching} of {drawn} generated {what} match)"));
    }
    let why = match stop_reason {
        StopReason::Complete => return ExitCode::SUCCESS,
        StopReason::Exhausted => "there are no other matches".into(),
        StopReason::TooManyMisses => format!(
            "{MAX_MISSES} {what} or {MAX_MISSED_CHARS} characters in a row without a new one ({drawn} {what} generated, \
             {matching} of them match)"
        ),
    };
    terminal.error(&format!("found {accepted} of {} {what}: {why}", request.count));
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    #[test]
    fn the_list_of_options_is_complete() {
        let command = RecordArgs::augment_args(clap::Command::new("sample"));
        assert!(command.get_arguments().map(|arg| arg.get_id().as_str()).eq(RECORD_OPTIONS));
    }
}
