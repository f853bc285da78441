//! `charlstm score`.

use std::path::PathBuf;

use charlstm::data::{ContextStart, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::InferenceModel;
use charlstm::score::{Surprisal, SurprisalScorer, SurprisalSum, SurprisalUnit, bits, held_out_positions};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::heatmap::{self, ColorScale, Palette};
use super::line_reader::LineReader;
use super::score_page::{PREDICTIONS, ScorePage};
use super::terminal::Terminal;
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
    /// Unit to report; a word includes the white space after it
    #[arg(long, value_name = "UNIT", default_value = "line", value_parser = choice([
        ("char", "A character", SurprisalUnit::Char),
        ("word", "A word and the white space after it", SurprisalUnit::Word),
        ("line", "A line and its line end; lines of more than 1 MiB are split", SurprisalUnit::Line),
    ]))]
    pub unit: SurprisalUnit,
    /// When to reset the state of the model
    #[arg(long, value_name = "MODE", default_value = "carry")]
    pub state: StateMode,
    /// What the text, or each line with --state reset, follows
    #[arg(long, value_name = "START", default_value = "newline", value_parser = context_starts())]
    pub context_start: ContextStart,
    /// Print only units with at least this many bits per character
    #[arg(long, allow_negative_numbers = true, value_name = "BITS")]
    pub alert_bits: Option<f64>,
    /// Print only the totals
    #[arg(long, conflicts_with_all = ["unit", "alert_bits"])]
    pub summary: bool,
    /// Print JSON, one object per line
    #[arg(long)]
    pub jsonl: bool,
    /// Print the text itself, colored by surprisal
    #[arg(long, conflicts_with_all = ["jsonl", "summary", "alert_bits", "unit"])]
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

const BYTES_AT_ONCE: usize = 1 << 18;

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
    let mut text = LineReader::open(file)?;
    let frame = load::open_checkpoint(given)?;
    let positions = match args.state {
        StateMode::Carry => load::MAX_POSITIONS_PER_STREAM,
        StateMode::Reset => 2 * held_out_positions(usize::MAX),
    };
    let (model, vocab) = load::load_model(&frame, positions)?;
    let inference_model = InferenceModel::new(&model, args.precision);
    let top = if args.html.is_some() { PREDICTIONS } else { 0 };
    let mut scorer = SurprisalScorer::new(&inference_model, &vocab, args.context_start, top);
    let page = args.html.as_ref().map(|_| ScorePage::default());
    let mut report =
        ScoreReport { args, vocab: &vocab, terminal, total: SurprisalSum::default(), page, has_open_line: false };
    report.begin()?;
    loop {
        let lines: Vec<Vec<u32>> =
            text.next_lines(BYTES_AT_ONCE, vocab.encoding())?.iter().map(|line| vocab.to_symbols(line)).collect();
        if lines.is_empty() {
            return report.end();
        }
        report.add_lines(&match args.state {
            StateMode::Carry => lines.iter().map(|line| scorer.score_text(line)).collect::<Vec<_>>(),
            StateMode::Reset => scorer.score_lines(&lines),
        })?;
    }
}

struct ScoreReport<'a> {
    args: &'a ScoreArgs,
    vocab: &'a Vocab,
    terminal: &'a Terminal,
    total: SurprisalSum,
    page: Option<ScorePage>,
    /// Whether the last colored line has no line end yet.
    has_open_line: bool,
}

impl ScoreReport<'_> {
    fn begin(&self) -> Result<()> {
        if self.args.heat {
            self.terminal.say("white: 0 bits, red: 8 bits or more");
            return Ok(());
        }
        if self.args.summary || self.args.jsonl {
            return Ok(());
        }
        self.terminal.out(b"text\tchars\tbits\tnats\trank\tentropy\tunknown\n")
    }

    fn add_lines(&mut self, lines: &[Vec<Surprisal>]) -> Result<()> {
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
                out += &colored(line, self.vocab);
                self.has_open_line = !out.ends_with('\n');
                continue;
            }
            for part in self.args.unit.split(line) {
                let sum = SurprisalSum::of(part);
                if self.args.alert_bits.is_none_or(|min| sum.bits_per_char().is_some_and(|bits| bits >= min)) {
                    out += &self.row(part, &sum);
                }
            }
        }
        self.terminal.out(out.as_bytes())
    }

    fn row(&self, part: &[Surprisal], sum: &SurprisalSum) -> String {
        if self.args.jsonl {
            let text: String = part.iter().map(|surprisal| self.vocab.display_char(surprisal.symbol)).collect();
            return format!("{}\n", add_fields(json!({ "text": text }), sum));
        }
        let figure = |figure: Option<f64>| figure.map_or("-".into(), |figure| format!("{figure:.4}"));
        let scored = (sum.chars > 0).then_some(());
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            part.iter().map(|surprisal| heatmap::escaped(self.vocab, surprisal.symbol)).collect::<String>(),
            sum.chars,
            figure(scored.map(|()| sum.bits())),
            figure(scored.map(|()| sum.nats)),
            figure(sum.mean_rank()),
            figure(sum.mean_entropy_bits()),
            sum.unknown
        )
    }

    /// Prints the totals: as output with `--summary`, otherwise as a message.
    fn end(mut self) -> Result<()> {
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
