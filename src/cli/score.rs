//! `charlstm score`.

use std::path::PathBuf;

use charlstm::data::{ContextStart, Encoding, RecordKind, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::run::RunMetadata;
use charlstm::score::{Surprisal, SurprisalScorer, SurprisalSum, SurprisalUnit, bits, held_out_positions};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::heatmap::{self, ColorScale, Palette};
use super::line_reader::LineReader;
use super::regions::Regions;
use super::score_page::{PREDICTIONS, ScorePage};
use super::settings::Newline;
use super::terminal::Terminal;
use super::text_pieces::TextPieces;
use super::values::{choice, context_starts, precisions};
use super::{files, load};

const EXAMPLES: &str = "\
Examples:
  charlstm score big book.txt --summary              Print the totals
  charlstm score big log.txt --alert-bits 4          Print only unusual lines
  charlstm score big book.txt --html surprisal.html  Write a heatmap of the text";

/// Print the surprisal of each character, word or line of a text
///
/// The output has one tab-separated line per unit: the text, the number of scored characters, bits, nats, the mean rank of the
/// characters (1: the most likely one), the mean entropy of the predictions in bits, and the number of characters that are not in
/// the model's vocabulary.
///
/// With --context-start none, the first character is not scored, because nothing predicts it. A character that is not in the
/// vocabulary costs 24 bits and is skipped by the model.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    /// Run [default: the newest], and the text to score; -: standard input
    #[arg(value_names = ["[RUN] FILE"], num_args = 1..=2, required = true)]
    pub files: Vec<PathBuf>,
    /// Unit to report; a word includes the white space after it [default: line; record for a run that was trained with --records]
    #[arg(long, value_name = "UNIT", value_parser = choice([
        ("char", "A character", SurprisalUnit::Char),
        ("word", "A word and the white space after it", SurprisalUnit::Word),
        ("line", "A line and its line end; lines of more than 1 MiB are split", SurprisalUnit::Line),
        ("record", "A record and its end, for a run that was trained with --records", SurprisalUnit::Record),
    ]))]
    pub unit: Option<SurprisalUnit>,
    /// Sum the surprisal over regions: for each line of the text, a line of FILE with the same text and `|` between regions
    ///
    /// The line end belongs to the last region of its line. Blank lines between records may be omitted. Lines that contain `|`
    /// themselves cannot be split.
    #[arg(long, value_name = "FILE", conflicts_with = "unit")]
    pub regions: Option<PathBuf>,
    /// Treatment of the line ends of Windows (CRLF) [default: as in training]
    #[arg(long, value_name = "HOW", value_enum)]
    pub newline: Option<Newline>,
    /// When to reset the state of the model [default: carry; for a run that was trained with --records, reset]
    #[arg(long, value_name = "MODE")]
    pub state: Option<StateMode>,
    /// Context of the first character of the text, or of each line with --state reset
    #[arg(long, value_name = "START", default_value = "newline", value_parser = context_starts())]
    pub context_start: ContextStart,
    /// Print only units with at least this many bits per character
    #[arg(long, allow_negative_numbers = true, value_name = "BITS")]
    pub alert_bits: Option<f64>,
    /// Print only the totals
    #[arg(long, conflicts_with_all = ["unit", "regions", "alert_bits"])]
    pub summary: bool,
    /// Print JSON, one object per line
    #[arg(long)]
    pub jsonl: bool,
    /// Print a table with other columns: text_id, unit, start, end, bits, rank, entropy
    ///
    /// text_id is the number of the line or record, from 1. start and end are offsets of characters in it, from 0. bits is the
    /// surprisal, rank the mean rank of the characters (1: the most likely one), entropy the mean entropy of the predictions in bits.
    #[arg(long, conflicts_with_all = ["jsonl", "summary"])]
    pub tsv: bool,
    /// Print the text itself, colored by surprisal
    #[arg(long, conflicts_with_all = ["jsonl", "tsv", "summary", "alert_bits", "unit", "regions"])]
    pub heat: bool,
    /// Write an HTML page: the text colored by surprisal, and the model's predictions on hover
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Precision of the weights
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precisions())]
    pub precision: Precision,
}

/// The values of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateMode {
    /// Carry the state through the whole text
    Carry,
    /// Reset the state before each line; lines are scored in parallel
    Reset,
}

pub fn run(args: &ScoreArgs, terminal: &Terminal) -> Result<()> {
    if args.alert_bits.is_some_and(|bits| !bits.is_finite()) {
        return Err(Error::Usage("--alert-bits must be a finite number of bits per character".into()));
    }
    if args.heat && !terminal.colors_out() {
        return Err(Error::Usage(
            "--heat needs colors; use a terminal or --color always, or write a page with --html".into(),
        ));
    }
    args.html.as_deref().map_or(Ok(()), files::check_writable)?;
    load::start_threads()?;
    let (given, file) = match &args.files[..] {
        [run, file] => (Some(run.as_path()), file),
        files => (None, &files[0]),
    };
    let lines = LineReader::open(file)?;
    let frame = load::open_checkpoint(given)?;
    let records = RunMetadata::read(&frame)?.dataset.config.records;
    let state = match (args.state, records) {
        (Some(StateMode::Carry), Some(_)) => {
            let problem =
                "--state carry is for running text; this run was trained on records, which are scored one by one";
            return Err(Error::Usage(problem.into()));
        }
        (None | Some(StateMode::Carry), None) => StateMode::Carry,
        _ => StateMode::Reset,
    };
    let positions = match state {
        StateMode::Carry => load::MAX_POSITIONS_PER_STREAM,
        StateMode::Reset => 2 * held_out_positions(usize::MAX),
    };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let encoding = match args.newline {
        None => vocab.encoding(),
        Some(_) if !vocab.encoding().is_utf8() => {
            return Err(Error::Usage("--newline is for text, and this run reads bytes; omit it".into()));
        }
        Some(Newline::Lf) => Encoding::Utf8Lf,
        Some(Newline::Keep) => Encoding::Utf8,
    };
    let mut text = TextPieces::new(lines, encoding, records);
    let regions = args.regions.as_deref().map(|path| Regions::open(path, encoding, records));
    let mut regions = regions.transpose()?;
    let inference_model = InferenceModel::new(&model, args.precision);
    let top = if args.html.is_some() { PREDICTIONS } else { 0 };
    let mut scorer = SurprisalScorer::new(&inference_model, &vocab, args.context_start, top);
    let default_unit = if records.is_some() { SurprisalUnit::Record } else { SurprisalUnit::Line };
    let mut report = ScoreReport {
        args,
        unit: args.unit.unwrap_or(default_unit),
        vocab: &vocab,
        terminal,
        total: SurprisalSum::default(),
        pieces: 0,
        page: args.html.as_ref().map(|_| ScorePage::default()),
        has_open_line: false,
    };
    if args.heat {
        terminal.say("white: 0 bits, red: 8 bits or more");
    }
    loop {
        let pieces = text.next()?;
        if pieces.is_empty() {
            regions.as_mut().map_or(Ok(()), Regions::check_at_end)?;
            if records != Some(RecordKind::Line) {
                text.line_ends.note_mismatch(&vocab, "the model", terminal);
            }
            return report.end();
        }
        let surprisals = match state {
            StateMode::Carry => pieces.iter().map(|piece| scorer.score_text(piece)).collect(),
            StateMode::Reset => scorer.score_lines(&pieces),
        };
        report.add_pieces(&surprisals, regions.as_mut())?;
    }
}

struct ScoreReport<'a> {
    args: &'a ScoreArgs,
    unit: SurprisalUnit,
    vocab: &'a Vocab,
    terminal: &'a Terminal,
    total: SurprisalSum,
    /// The number of lines or records so far.
    pieces: usize,
    page: Option<ScorePage>,
    /// Whether the last colored line has no line end yet.
    has_open_line: bool,
}

impl ScoreReport<'_> {
    /// The first line of the output.
    fn header(&self) -> &'static str {
        let args = self.args;
        match args.tsv {
            _ if args.heat || args.summary || args.jsonl => "",
            true => "text_id\tunit\tstart\tend\tbits\trank\tentropy\n",
            false => "text\tchars\tbits\tnats\trank\tentropy\tunknown\n",
        }
    }

    fn add_pieces(&mut self, pieces: &[Vec<Surprisal>], mut regions: Option<&mut Regions>) -> Result<()> {
        let mut out = if self.pieces == 0 { self.header().to_owned() } else { String::new() };
        for piece in pieces {
            self.pieces += 1;
            self.total.add(SurprisalSum::of(piece));
            if let Some(page) = &mut self.page {
                page.add(piece, self.vocab);
            }
            if self.args.summary {
                continue;
            }
            if self.args.heat {
                out += &colored(piece, self.vocab);
                self.has_open_line = !out.ends_with('\n');
                continue;
            }
            let units = match &mut regions {
                Some(regions) => regions.split(piece)?,
                None => self.unit.split(piece),
            };
            let mut start = 0;
            for unit in units {
                let sum = SurprisalSum::of(unit);
                if self.args.alert_bits.is_none_or(|min| sum.bits_per_char().is_some_and(|bits| bits >= min)) {
                    out += &self.row(unit, &sum, start);
                }
                start += unit.len();
            }
        }
        self.terminal.out(out.as_bytes())
    }

    /// The line for a unit that begins at character `start` of its line or record.
    fn row(&self, unit: &[Surprisal], sum: &SurprisalSum, start: usize) -> String {
        if self.args.jsonl {
            let text: String = unit.iter().map(|surprisal| self.vocab.display_char(surprisal.symbol)).collect();
            return format!("{}\n", add_fields(json!({ "text": text }), sum));
        }
        let text: String = unit.iter().map(|surprisal| heatmap::escaped(self.vocab, surprisal.symbol)).collect();
        let format_number = |number: Option<f64>| number.map_or("-".into(), |number| format!("{number:.4}"));
        let (rank, entropy) = (format_number(sum.mean_rank()), format_number(sum.mean_entropy_bits()));
        let scored = (sum.chars > 0).then_some(());
        if self.args.tsv {
            // All digits, so that sums of units equal the total.
            let bits = scored.map_or("-".into(), |()| sum.bits().to_string());
            let (id, end) = (self.pieces, start + unit.len());
            return format!("{id}\t{text}\t{start}\t{end}\t{bits}\t{rank}\t{entropy}\n");
        }
        let (bits, nats) = (format_number(scored.map(|()| sum.bits())), format_number(scored.map(|()| sum.nats)));
        format!("{text}\t{}\t{bits}\t{nats}\t{rank}\t{entropy}\t{}\n", sum.chars, sum.unknown)
    }

    /// Prints the totals: as output with `--summary`, otherwise as a message.
    fn end(mut self) -> Result<()> {
        if self.pieces == 0 {
            self.terminal.out(self.header().as_bytes())?;
        }
        if self.has_open_line {
            self.terminal.out(b"\n")?;
        }
        let total = &self.total;
        let per_char = total.bits_per_char();
        if let (Some(page), Some(path)) = (self.page.take(), &self.args.html) {
            files::write(path, page.render(summary(total))?.as_bytes())?;
            self.terminal.say(&format!("Page written to {}", path.display()));
        }
        if self.args.summary && self.args.jsonl {
            let mut facts = add_fields(json!({}), total);
            facts["bits_per_char"] = json!(per_char);
            facts["known_bits_per_char"] = json!(total.known_bits_per_char());
            facts["nats_per_char"] = json!(per_char.map(|_| total.nats / total.chars as f64));
            facts["perplexity_per_char"] = json!(per_char.map(f64::exp2));
            facts["unknown_share"] = json!(unknown_share(total));
            return self.terminal.out(format!("{facts}\n").as_bytes());
        }
        let text = summary(total);
        if self.args.summary {
            return self.terminal.out(format!("{text}\n").as_bytes());
        }
        self.terminal.say(&text);
        Ok(())
    }
}

fn summary(total: &SurprisalSum) -> String {
    let Some(bits) = total.bits_per_char() else { return "no characters were scored".into() };
    let without = match total.known_bits_per_char() {
        Some(known) if total.unknown > 0 => format!("; {known:.6} bits per character without them"),
        _ => String::new(),
    };
    format!(
        "{} characters, {:.1} bits: {bits:.6} bits ({:.6} nats) per character, perplexity per character {:.4}, \
         {} unknown ({:.2} %){without}",
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

/// Adds the fields of a sum to a JSON object.
fn add_fields(mut object: Value, sum: &SurprisalSum) -> Value {
    let scored = (sum.chars > 0).then_some(());
    object["chars"] = json!(sum.chars);
    object["bits"] = json!(scored.map(|()| sum.bits()));
    object["nats"] = json!(scored.map(|()| sum.nats));
    object["rank"] = json!(sum.mean_rank());
    object["entropy"] = json!(sum.mean_entropy_bits());
    object["unknown"] = json!(sum.unknown);
    object
}

fn colored(line: &[Surprisal], vocab: &Vocab) -> String {
    let values = line.iter().map(|surprisal| (surprisal.symbol, surprisal.nats.map_or(0.0, |nats| bits(nats) as f32)));
    heatmap::colored(vocab, values, Palette::new(ColorScale::Surprisal))
}
