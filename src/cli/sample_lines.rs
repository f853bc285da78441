//! `charlstm sample --lines`: whole lines.

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

use super::args::{LineArgs, MatchBy, SampleArgs};
use super::terminal::Terminal;

/// The model that generates the lines.
pub struct LineSource<'a> {
    pub frame: &'a Frame,
    pub model: &'a InferenceModel<'a>,
    pub vocab: &'a Vocab,
    pub config: &'a SamplingConfig,
    pub seed: u64,
}

pub fn run(args: &SampleArgs, source: &LineSource<'_>, prompt: &[u32], terminal: &Terminal) -> Result<ExitCode> {
    let (choices, vocab) = (&args.line, source.vocab);
    if choices.min_chars > choices.max_chars {
        let (min, max) = (choices.min_chars, choices.max_chars);
        return Err(Error::Usage(format!("--min-chars {min} is greater than --max-chars {max}")));
    }
    let lengths = choices.min_chars as usize..=choices.max_chars as usize;
    let pattern = Pattern::new(choices.pattern.as_deref().unwrap_or(".*"), vocab, &source.config.ban, lengths)?;
    let existing = ExistingLines::open(choices, source, terminal)?;
    let prefix = prompt.rsplit(|id| *id == pattern.line_end()).next().unwrap_or_default();
    if prefix.iter().try_fold(pattern.start(), |state, id| pattern.advance(state, *id)).is_none() {
        return Err(Error::Usage(
            "no line that starts with --prompt satisfies --match, --ban and the lengths; change one of them".into(),
        ));
    }
    // Each line is generated after a line end; if the prompt has several lines, the last one is the start of each line.
    let context = [&[pattern.line_end()], prompt].concat();
    let method = match (choices.match_by, &choices.pattern) {
        (Some(MatchBy::Mask), _) | (None, Some(_)) => MatchMethod::Mask,
        (Some(MatchBy::Rejection), _) | (None, None) => MatchMethod::Rejection,
    };
    let count = choices.lines.unwrap_or_default();
    let request = LineRequest { count, unique: choices.unique, pattern: &pattern, prefix, method, seed: source.seed };
    let batch = Batch::new(source.model, vocab, &context, source.config);
    let echoed = if args.no_echo { prefix.len() } else { 0 };
    let stats = sample_lines(&batch, &request, |line| {
        let whole = line_bytes(vocab, &line.ids);
        let in_corpus = existing.of_run.as_ref().map(|lines| lines.contains(&whole));
        if existing.others.contains(&whole) || (choices.novel && in_corpus == Some(true)) {
            return Ok(false);
        }
        let shown = line_bytes(vocab, &line.ids[echoed..]);
        let written = if choices.jsonl { as_json(&shown, line, in_corpus) } else { [&shown[..], b"\n"].concat() };
        terminal.out_text(&written)?;
        Ok(true)
    })?;
    Ok(report(&stats, &request, choices, terminal))
}

struct ExistingLines {
    /// The lines of the run's texts, if they are needed and can be read.
    of_run: Option<LineHashes>,
    /// The lines of other texts, which must not be generated.
    others: LineHashes,
}

impl ExistingLines {
    fn open(args: &LineArgs, source: &LineSource<'_>, terminal: &Terminal) -> Result<Self> {
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
fn report(stats: &LineStats, request: &LineRequest<'_>, choices: &LineArgs, terminal: &Terminal) -> ExitCode {
    let LineStats { drawn, matching, accepted, stop_reason } = *stats;
    if request.method == MatchMethod::Rejection && choices.match_by.is_some() && drawn > 0 {
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
