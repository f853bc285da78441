//! `charlstm novelty`: how much of a text is copied from a corpus.

use std::path::PathBuf;

use charlstm::analysis::{CopiedSpan, CopyStats, CorpusIndex};
use charlstm::data::{self, Corpus, Encoding, Segment};
use charlstm::error::{Error, Result};
use serde_json::json;

use super::terminal::Terminal;
use super::{files, load};

/// Measure how much of a text is copied verbatim from a corpus
///
/// For each line that is not blank, and for the whole text: the number of characters, the longest span that also occurs in the
/// corpus (in characters), the fraction of characters in copied spans of more than 20 characters, and the file and line of the
/// corpus in which the longest span starts (one of them, if there are several).
///
/// A span is copied if exactly the same characters, including case, white space and punctuation, occur in the corpus. Short spans
/// are shared by any two texts in the same language; long ones indicate memorization. A span does not continue across the end of a
/// line (or of a paragraph, with --paragraphs). The search is exact. It needs about 5 bytes of memory per byte of the corpus,
/// which must be smaller than 2 GiB.
#[derive(Debug, clap::Args)]
pub struct NoveltyArgs {
    /// Text to check; -: standard input
    #[arg(value_name = "FILE")]
    pub text: PathBuf,
    /// Files or folders of the corpus [default: the training text of --run]
    #[arg(long, value_name = "CORPUS", num_args = 1.., conflicts_with = "run")]
    pub against: Vec<PathBuf>,
    /// Run whose training text is the corpus, without its held-out part [default: the newest run]
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Report paragraphs (separated by blank lines) instead of lines
    #[arg(long)]
    pub paragraphs: bool,
    /// Count only copied spans of more than N characters
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub span: usize,
    /// Compare bytes instead of UTF-8 characters
    #[arg(long, requires = "against", conflicts_with = "run")]
    pub bytes: bool,
    /// Print only the last line, which covers the whole text
    #[arg(long)]
    pub summary: bool,
    /// Print JSON, one object per line, with the longest copied span as `text`
    #[arg(long)]
    pub jsonl: bool,
}

pub fn run(args: &NoveltyArgs, terminal: &Terminal) -> Result<()> {
    load::start_worker_threads(None)?;
    let (index, encoding) = if args.against.is_empty() {
        let dataset = load::open_dataset(&load::open_checkpoint(args.run.as_deref())?)?;
        let corpus = dataset.corpus();
        // The held-out records of a list are anywhere in it.
        let end = if dataset.config().records.is_some() { corpus.chars() } else { dataset.training().chars() };
        (CorpusIndex::new(corpus, end)?, corpus.encoding())
    } else {
        let encoding = if args.bytes { Encoding::Bytes } else { Encoding::Utf8 };
        let corpus = Corpus::open(&args.against, encoding)?;
        (CorpusIndex::new(&corpus, corpus.chars())?, encoding)
    };
    let (name, text) = files::read_text(&args.text, encoding)?;
    if let (true, Err(e)) = (encoding.is_utf8(), std::str::from_utf8(&text)) {
        return Err(Error::NotUtf8 { path: name.into(), byte: e.valid_up_to() });
    }
    let passages = if args.paragraphs { data::split_paragraphs(&text) } else { data::split_lines(&text) };
    if passages.is_empty() {
        return Err(Error::corpus(name, "the text is blank; choose another one"));
    }
    let rows = passages.iter().zip(index.copied(&passages, args.span));
    let mut rows: Vec<SegmentReport<'_>> = rows.map(|(passage, copied)| SegmentReport::new(passage, copied)).collect();
    let total = total(&rows);
    if args.summary {
        rows.clear();
    }
    rows.push(total);
    let unit = if args.paragraphs { "paragraph" } else { "line" };
    let head = if args.jsonl || args.summary { "" } else { "line\tchars\tlongest\tcopied\tcorpus\tcorpus_line\n" };
    let format = |row: &SegmentReport<'_>| if args.jsonl { row.json(&index, unit) } else { row.columns(&index) };
    let report = std::iter::once(head.into()).chain(rows.iter().map(format)).collect::<String>();
    terminal.out(report.as_bytes())
}

struct SegmentReport<'a> {
    /// Number of its first line; `None` for the whole text.
    line: Option<usize>,
    copied: CopyStats,
    longest: &'a [u8],
}

impl<'a> SegmentReport<'a> {
    fn new(passage: &Segment<'a>, copied: CopyStats) -> Self {
        let longest = copied.longest.map_or(&[][..], |CopiedSpan { from, len, .. }| &passage.text[from..from + len]);
        SegmentReport { line: Some(passage.line), copied, longest }
    }

    fn chars(&self) -> usize {
        self.copied.longest.map_or(0, |span| span.chars)
    }

    fn columns(&self, index: &CorpusIndex) -> String {
        let line = self.line.map_or("all".into(), |line| line.to_string());
        let place = self.copied.longest.map(|span| index.file_and_line(span.at));
        let place = place.map_or("-\t-".into(), |(file, line)| format!("{}\t{line}", file.display()));
        format!("{line}\t{}\t{}\t{:.4}\t{place}\n", self.copied.chars, self.chars(), self.copied.share())
    }

    fn json(&self, index: &CorpusIndex, unit: &str) -> String {
        let place = self.copied.longest.map(|span| index.file_and_line(span.at));
        let record = json!({
            "kind": if self.line.is_some() { unit } else { "all" },
            "line": self.line, "chars": self.copied.chars, "longest": self.chars(), "copied": self.copied.share(),
            "corpus": place.map(|(file, _)| file.display().to_string()),
            "corpus_line": place.map(|(_, line)| line),
            "text": String::from_utf8_lossy(self.longest),
        });
        format!("{record}\n")
    }
}

fn total<'a>(rows: &[SegmentReport<'a>]) -> SegmentReport<'a> {
    let mut total = SegmentReport { line: None, copied: CopyStats::default(), longest: &[] };
    for row in rows {
        total.copied.chars += row.copied.chars;
        total.copied.copied += row.copied.copied;
        if row.chars() > total.chars() {
            (total.copied.longest, total.longest) = (row.copied.longest, row.longest);
        }
    }
    total
}
