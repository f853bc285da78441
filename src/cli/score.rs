//! `charlstm score`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use charlstm::checkpoint::Frame;
use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::model::InferenceModel;
use charlstm::run::RUNS;
use charlstm::run::find::find;
use charlstm::score::{Surprisal, SurprisalScorer, SurprisalSum, SurprisalUnit, positions_at_once};
use serde_json::{Value, json};

use super::args::{ScoreArgs, StateMode, UnitChoice};
use super::heat::{self, Page, TOP};
use super::terminal::Terminal;
use super::{files, load, paint};

/// Bytes that are read ahead: what is there at once is scored at once.
const AHEAD: usize = 1 << 20;
/// Bytes of a line; a longer one is taken for several.
const LONGEST: u64 = 1 << 20;
/// Characters of lines that are scored at once at most.
const AT_ONCE: usize = 1 << 18;

pub fn run(args: &ScoreArgs, terminal: &Terminal) -> Result<()> {
    if args.alert_bits.is_some_and(|bits| !bits.is_finite()) {
        return Err(Error::Usage("--alert-bits must be a number of bits per character".into()));
    }
    if args.heat && !terminal.colors_out() {
        return Err(Error::Usage(
            "--heat needs colours: a terminal, or --color always; or write a page with --html".into(),
        ));
    }
    args.html.as_deref().map_or(Ok(()), files::check_writable)?;
    load::start_threads()?;
    let (given, file) = match &args.files[..] {
        [run, file] => (Some(run.as_path()), file),
        files => (None, &files[0]),
    };
    let text = Text::open(file)?;
    let frame = Frame::read(&find(given, Path::new(RUNS))?.model())?;
    let positions = match args.state {
        StateMode::Carry => load::POSITIONS_OF_ONE_STREAM,
        StateMode::Reset => 2 * positions_at_once(usize::MAX),
    };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let inference_model = InferenceModel::new(&model, args.precision.into());
    let top = if args.html.is_some() { TOP } else { 0 };
    let scorer = SurprisalScorer::new(&inference_model, &vocab, top);
    let page = args.html.as_ref().map(|_| Page::default());
    let mut report = Report { args, vocab: &vocab, terminal, total: SurprisalSum::default(), page, open_line: false };
    report.begin()?;
    read(args, text, scorer, &vocab, |lines| report.lines(lines))?;
    report.end()
}

/// A text that is read line by line, as it comes.
struct Text {
    name: PathBuf,
    reader: BufReader<Box<dyn Read>>,
}

impl Text {
    fn open(file: &Path) -> Result<Self> {
        let reader: Box<dyn Read> = if files::is_stdin(file) {
            Box::new(stdin())
        } else if file.is_dir() {
            return Err(Error::Usage(format!("{}: a folder; name a file", file.display())));
        } else {
            Box::new(File::open(file).map_err(|e| Error::input(file, e))?)
        };
        Ok(Text { name: file.into(), reader: BufReader::with_capacity(AHEAD, reader) })
    }

    /// The next line with its end; of one that is too long to stand in memory with all that is said of it, a piece.
    fn line(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        // No character of UTF-8 is cut in two; three bytes at most continue one.
        while (LONGEST..LONGEST + 3).contains(&(line.len() as u64))
            && self.reader.fill_buf()?.first().is_some_and(|byte| byte & 0xc0 == 0x80)
        {
            let mut rest = [0];
            self.reader.read_exact(&mut rest)?;
            line.extend(rest);
        }
        Ok(line)
    }

    /// The next lines with their ends: as many as are there already, `most` bytes or a little more, at least one. None at the end.
    fn lines(&mut self, most: usize) -> Result<Vec<Vec<u8>>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        loop {
            let line = self.line().map_err(|e| Error::io(&self.name, e))?;
            if line.is_empty() {
                return Ok(lines);
            }
            bytes += line.len();
            lines.push(line);
            if bytes >= most || !self.reader.buffer().contains(&b'\n') {
                return Ok(lines);
            }
        }
    }
}

/// Scores a text, some lines at a time.
fn read(
    args: &ScoreArgs,
    mut text: Text,
    mut scorer: SurprisalScorer<'_>,
    vocab: &Vocab,
    mut scored: impl FnMut(&[Vec<Surprisal>]) -> Result<()>,
) -> Result<()> {
    loop {
        let lines: Vec<Vec<u32>> = text.lines(AT_ONCE)?.iter().map(|line| vocab.to_symbols(line)).collect();
        if lines.is_empty() {
            return Ok(());
        }
        scored(&match args.state {
            StateMode::Carry => lines.iter().map(|line| scorer.score_text(line)).collect::<Vec<_>>(),
            StateMode::Reset => scorer.score_lines(&lines),
        })?;
    }
}

/// What is printed.
struct Report<'a> {
    args: &'a ScoreArgs,
    vocab: &'a Vocab,
    terminal: &'a Terminal,
    total: SurprisalSum,
    page: Option<Page>,
    /// Whether the last line in colours has no end.
    open_line: bool,
}

impl Report<'_> {
    fn begin(&self) -> Result<()> {
        if self.args.heat {
            self.terminal.say("white was expected, red has 8 bits and more");
            return Ok(());
        }
        if self.args.summary || self.args.jsonl {
            return Ok(());
        }
        self.terminal.out(b"text\tchars\tbits\tnats\trank\tentropy\tunknown\n")
    }

    fn lines(&mut self, lines: &[Vec<Surprisal>]) -> Result<()> {
        let unit = match self.args.unit {
            UnitChoice::Char => SurprisalUnit::Char,
            UnitChoice::Word => SurprisalUnit::Word,
            UnitChoice::Line => SurprisalUnit::Line,
        };
        let mut out = String::new();
        for line in lines {
            self.total.add(SurprisalSum::of(line));
            if let Some(page) = &mut self.page {
                page.add(line, self.vocab);
            }
            if self.args.summary {
                continue;
            }
            if self.args.heat {
                out += &heat::colored(line, self.vocab);
                self.open_line = !out.ends_with('\n');
                continue;
            }
            for part in unit.split(line) {
                let sum = SurprisalSum::of(part);
                if self.args.alert_bits.is_none_or(|least| sum.bits_per_char().is_some_and(|bits| bits >= least)) {
                    out += &self.row(part, &sum);
                }
            }
        }
        self.terminal.out(out.as_bytes())
    }

    fn row(&self, part: &[Surprisal], sum: &SurprisalSum) -> String {
        if self.args.jsonl {
            let text: String = part.iter().map(|surprise| self.vocab.display_char(surprise.symbol)).collect();
            return format!("{}\n", with_text(&text, facts(sum)));
        }
        let figure = |figure: Option<f64>| figure.map_or("-".into(), |figure| format!("{figure:.4}"));
        let scored = (sum.chars > 0).then_some(());
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            part.iter().map(|surprise| paint::escaped(self.vocab, surprise.symbol)).collect::<String>(),
            sum.chars,
            figure(scored.map(|()| sum.bits())),
            figure(scored.map(|()| sum.nats)),
            figure(sum.mean_rank()),
            figure(sum.mean_entropy_bits()),
            sum.unknown
        )
    }

    /// The totals: alone what was asked for, else a message beside it.
    fn end(mut self) -> Result<()> {
        if self.open_line {
            self.terminal.out(b"\n")?;
        }
        let total = &self.total;
        let per_char = total.bits_per_char();
        if let (Some(page), Some(path)) = (self.page.take(), &self.args.html) {
            page.write(about(total), path)?;
            self.terminal.say(&format!("Page written to {}", path.display()));
        }
        if self.args.summary && self.args.jsonl {
            let mut facts = facts(total);
            facts["bits_per_char"] = json!(per_char);
            facts["nats_per_char"] = json!(per_char.map(|_| total.nats / total.chars as f64));
            facts["perplexity_per_char"] = json!(per_char.map(f64::exp2));
            facts["unknown_share"] = json!(unknown_share(total));
            return self.terminal.out(format!("{facts}\n").as_bytes());
        }
        let text = about(total);
        if self.args.summary {
            return self.terminal.out(format!("{text}\n").as_bytes());
        }
        self.terminal.say(&text);
        Ok(())
    }
}

/// The totals in a line.
fn about(total: &SurprisalSum) -> String {
    let Some(bits) = total.bits_per_char() else { return "nothing was scored".into() };
    format!(
        "{} characters, {:.1} bits: {bits:.6} bits ({:.6} nats) per character, perplexity per character {:.4}, \
         {} unknown ({:.2} %)",
        total.chars,
        total.bits(),
        bits * std::f64::consts::LN_2,
        bits.exp2(),
        total.unknown,
        100.0 * unknown_share(total)
    )
}

fn unknown_share(total: &SurprisalSum) -> f64 {
    total.unknown as f64 / total.chars.max(total.unknown).max(1) as f64
}

fn facts(sum: &SurprisalSum) -> Value {
    let scored = (sum.chars > 0).then_some(());
    json!({
        "chars": sum.chars, "bits": scored.map(|()| sum.bits()), "nats": scored.map(|()| sum.nats),
        "rank": sum.mean_rank(), "entropy": sum.mean_entropy_bits(), "unknown": sum.unknown,
    })
}

fn with_text(text: &str, facts: Value) -> Value {
    let mut object = json!({ "text": text });
    if let (Value::Object(object), Value::Object(facts)) = (&mut object, facts) {
        object.extend(facts);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text that comes a few bytes at a time, as from a pipe.
    struct Drops(std::io::Cursor<Vec<u8>>, usize);

    impl Read for Drops {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let len = self.1.min(to.len());
            self.0.read(&mut to[..len])
        }
    }

    fn lines(text: &[u8], drop: usize) -> Vec<Vec<u8>> {
        let drops: Box<dyn Read> = Box::new(Drops(std::io::Cursor::new(text.to_vec()), drop));
        let mut text = Text { name: "text".into(), reader: BufReader::with_capacity(AHEAD, drops) };
        let lines = std::iter::from_fn(|| Some(text.lines(AT_ONCE).unwrap()).filter(|lines| !lines.is_empty()));
        lines.flatten().collect()
    }

    #[test]
    fn a_long_line_is_cut_between_characters_however_it_comes() {
        for before in 0..4 {
            let text = "a".repeat(before) + &"\u{1f600}".repeat(LONGEST as usize / 4 + 9) + "\nend\n";
            for drop in [4097, AHEAD] {
                let lines = lines(text.as_bytes(), drop);
                assert_eq!(lines.len(), 3);
                assert!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
                assert!(lines.concat() == text.as_bytes());
            }
        }
    }

    #[test]
    fn what_continues_a_character_without_end_is_no_line_without_end() {
        let text = vec![0x80; 3 * LONGEST as usize];
        let lines = lines(&text, AHEAD);
        assert!(lines.iter().all(|line| line.len() as u64 <= LONGEST + 3) && lines.concat() == text);
    }
}
