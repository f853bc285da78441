//! `charlstm novelty`: how much of a text is copied from a corpus.

use std::path::Path;

use charlstm::analysis::{CopiedSpan, CopyStats, CorpusIndex};
use charlstm::data::{self, Corpus, Encoding, Segment};
use charlstm::error::{Error, Result};
use serde_json::json;

use super::args::NoveltyArgs;
use super::terminal::Terminal;
use super::{files, load};

pub fn run(args: &NoveltyArgs, terminal: &Terminal) -> Result<()> {
    load::start_worker_threads(None)?;
    let (index, encoding) = if args.against.is_empty() {
        training_text(args.run.as_deref())?
    } else {
        let encoding = if args.bytes { Encoding::Bytes } else { Encoding::Utf8 };
        let corpus = Corpus::open(&args.against, encoding)?;
        (CorpusIndex::new(&corpus, corpus.chars())?, encoding)
    };
    let (name, text) = files::read(&args.text)?;
    if let (Encoding::Utf8, Err(e)) = (encoding, std::str::from_utf8(&text)) {
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

/// The index of the training text of a run, without its held-out part.
fn training_text(run: Option<&Path>) -> Result<(CorpusIndex, Encoding)> {
    let texts = load::open_dataset(&load::open_checkpoint(run)?)?;
    let (corpus, part) = texts.training();
    Ok((CorpusIndex::new(corpus, part.end)?, corpus.encoding()))
}

/// The report on a line or paragraph, or on the whole text.
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
            "line": self.line,
            "chars": self.copied.chars,
            "longest": self.chars(),
            "copied": self.copied.share(),
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
