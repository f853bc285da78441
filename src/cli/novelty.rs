//! `charlstm novelty`.

use std::path::Path;

use charlstm::analysis::{CopiedSpan, CopyStats, CorpusIndex};
use charlstm::checkpoint::Frame;
use charlstm::data::{self, Corpus, Encoding, Segment};
use charlstm::error::{Error, Result};
use charlstm::run::find::find;
use charlstm::run::{RUNS, RunMetadata};
use serde_json::json;

use super::args::NoveltyArgs;
use super::terminal::Terminal;
use super::{files, load};

pub fn run(args: &NoveltyArgs, terminal: &Terminal) -> Result<()> {
    load::start_worker_threads(None)?;
    let (novelty, encoding) = if args.against.is_empty() {
        learned(args.run.as_deref())?
    } else {
        let encoding = if args.bytes { Encoding::Bytes } else { Encoding::Utf8 };
        let corpus = Corpus::open(&args.against, encoding)?;
        (CorpusIndex::new(&corpus, corpus.chars())?, encoding)
    };
    let (name, text) = files::read(&args.text)?;
    if let (Encoding::Utf8, Err(e)) = (encoding, std::str::from_utf8(&text)) {
        let problem =
            format!("not UTF-8 at byte {}; convert it, or compare bytes with --against and --bytes", e.valid_up_to());
        return Err(Error::corpus(name, problem));
    }
    let passages = if args.paragraphs { data::split_paragraphs(&text) } else { data::split_lines(&text) };
    if passages.is_empty() {
        return Err(Error::corpus(name, "there is nothing but blanks in it; give a text to look into"));
    }
    let rows = passages.iter().zip(novelty.copied(&passages, args.span));
    let mut rows: Vec<Row<'_>> = rows.map(|(passage, copied)| Row::new(passage, copied)).collect();
    let all = all(&rows);
    if args.summary {
        rows.clear();
    }
    rows.push(all);
    let unit = if args.paragraphs { "paragraph" } else { "line" };
    let head = if args.jsonl || args.summary { "" } else { "line\tchars\tlongest\tcopied\tcorpus\tcorpus_line\n" };
    let told = |row: &Row<'_>| if args.jsonl { row.json(&novelty, unit) } else { row.columns(&novelty) };
    let report = std::iter::once(head.into()).chain(rows.iter().map(told)).collect::<String>();
    terminal.out(report.as_bytes())
}

/// What a run was trained on; what it held out is not in it.
fn learned(run: Option<&Path>) -> Result<(CorpusIndex, Encoding)> {
    let frame = Frame::read(&find(run, Path::new(RUNS))?.model())?;
    let texts = RunMetadata::read(&frame)?.dataset.open()?;
    let (corpus, part) = texts.training();
    Ok((CorpusIndex::new(corpus, part.end)?, corpus.encoding()))
}

/// What is told of a passage, or of all.
struct Row<'a> {
    /// The passage's first line; `None`: all.
    line: Option<usize>,
    copied: CopyStats,
    /// The text of the longest span.
    longest: &'a [u8],
}

impl<'a> Row<'a> {
    fn new(passage: &Segment<'a>, copied: CopyStats) -> Self {
        let longest = copied.longest.map_or(&[][..], |CopiedSpan { from, len, .. }| &passage.text[from..from + len]);
        Row { line: Some(passage.line), copied, longest }
    }

    fn chars(&self) -> usize {
        self.copied.longest.map_or(0, |span| span.chars)
    }

    fn columns(&self, novelty: &CorpusIndex) -> String {
        let line = self.line.map_or("all".into(), |line| line.to_string());
        let place = self.copied.longest.map(|span| novelty.file_and_line(span.at));
        let place = place.map_or("-\t-".into(), |(file, line)| format!("{}\t{line}", file.display()));
        format!("{line}\t{}\t{}\t{:.4}\t{place}\n", self.copied.chars, self.chars(), self.copied.share())
    }

    fn json(&self, novelty: &CorpusIndex, unit: &str) -> String {
        let place = self.copied.longest.map(|span| novelty.file_and_line(span.at));
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

/// All passages together.
fn all<'a>(rows: &[Row<'a>]) -> Row<'a> {
    let mut all = Row { line: None, copied: CopyStats::default(), longest: &[] };
    for row in rows {
        all.copied.chars += row.copied.chars;
        all.copied.copied += row.copied.copied;
        if row.chars() > all.chars() {
            (all.copied.longest, all.longest) = (row.copied.longest, row.longest);
        }
    }
    all
}
