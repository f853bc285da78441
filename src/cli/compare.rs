//! `charlstm compare`: two runs and n-gram baselines on one text.

use std::path::{Path, PathBuf};

use charlstm::checkpoint::Frame;
use charlstm::data::{ContextStart, Dataset, TextPart, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel, memory};
use charlstm::score::{self, Interval, NGram, SurprisalScorer, paired_bootstrap};
use serde_json::json;

use super::line_ends::LineEnds;
use super::load;
use super::terminal::Terminal;

/// Compare two runs on one text, with n-gram models as baselines
///
/// The n-gram models (interpolated, Witten-Bell smoothing) are estimated from the training text of run A. The reported interval is
/// the 95 % interval of a paired bootstrap over blocks of the text: the difference is significant if the interval does not
/// contain 0.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Name or folder of a run, or a checkpoint file
    pub a: PathBuf,
    /// The run to compare it with
    pub b: PathBuf,
    /// Text to score; -: standard input [default: the held-out text of run A]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Longest n-gram of the baselines; 0: no baselines
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u64).range(0..=12))]
    pub orders: u64,
    /// Characters per block of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub block: u64,
    /// Random seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const ROUNDS: usize = 2000;
const CHARS_AT_ONCE: usize = 1 << 16;

struct ComparedRun {
    name: String,
    frame: Frame,
    model: CharLm<f32>,
    vocab: Vocab,
}

struct ModelScore {
    name: String,
    bits: f64,
    chars: usize,
    unknown: usize,
}

impl ModelScore {
    fn bits_per_char(&self) -> f64 {
        self.bits / self.chars as f64
    }

    fn nats_per_char(&self) -> f64 {
        self.bits_per_char() * std::f64::consts::LN_2
    }
}

pub fn run(args: &CompareArgs, terminal: &Terminal) -> Result<()> {
    load::start_threads()?;
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    if a.vocab.record_boundary().is_some() != b.vocab.record_boundary().is_some() {
        return Err(Error::Usage(
            "one run was trained on records and the other on running text, so their losses cannot be compared".into(),
        ));
    }
    let (own, symbols) = open_texts(args, &a)?;
    if symbols.len() < 3 {
        return Err(Error::Usage(
            "the text to score has fewer than three characters; specify a longer one with --text".into(),
        ));
    }
    let other_symbols = convert(&symbols, &a.vocab, &b.vocab)?;
    for (run, symbols) in [(&a, &symbols), (&b, &other_symbols)] {
        LineEnds::of_symbols(symbols).note_mismatch(&run.vocab, &run.name, terminal);
    }
    let (of_a, of_b) = (surprisals(&a, &symbols)?, surprisals(&b, &other_symbols)?);
    let is_mixed = a.vocab.encoding().is_utf8() != b.vocab.encoding().is_utf8();
    let (of_a, of_b) = if is_mixed {
        terminal.say("note: one run reads bytes; its bits are summed over the bytes of each character");
        let is_bytes = |run: &ComparedRun| !run.vocab.encoding().is_utf8();
        (
            if is_bytes(&a) { per_character(&of_a, &symbols) } else { of_a },
            if is_bytes(&b) { per_character(&of_b, &other_symbols) } else { of_b },
        )
    } else {
        (of_a, of_b)
    };
    let mut rows = vec![summarize(&a, &symbols, &of_a), summarize(&b, &other_symbols, &of_b)];
    match own {
        Ok(_) if is_mixed && !a.vocab.encoding().is_utf8() => {}
        Ok(texts) if args.orders > 0 => {
            rows.extend(score_ngrams(args.orders as usize, &texts, &a.vocab, &symbols, &of_a)?)
        }
        Err(e) if args.orders > 0 => terminal.warn(&format!("no n-gram baselines: {e}")),
        _ => {}
    }
    // Only characters that both runs predict are compared.
    let both = || of_a.iter().zip(&of_b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (a, b): (Vec<f32>, Vec<f32>) = both().unzip();
    let between = paired_bootstrap(&a, &b, args.block as usize, ROUNDS, args.seed)
        .map_err(|e| Error::Usage(format!("{e} with --block")))?;
    if args.json { terminal.json(&as_json(&rows, between)) } else { terminal.out(table(&rows, between).as_bytes()) }
}

fn open(given: &Path) -> Result<ComparedRun> {
    let frame = load::open_checkpoint(Some(given))?;
    let (model, vocab) = load::load_model(&frame, load::MAX_POSITIONS_PER_STREAM)?;
    Ok(ComparedRun { name: given.display().to_string(), frame, model, vocab })
}

/// The texts that run A was trained on, if they can be opened, and the characters to score.
fn open_texts(args: &CompareArgs, a: &ComparedRun) -> Result<(Result<Dataset>, Vec<u32>)> {
    let own = load::open_dataset(&a.frame);
    if let Some(path) = &args.text {
        let text = load::open_text(path, a.vocab.encoding())?;
        return Ok((own, read_symbols(&TextPart::Running(&text, 0..text.chars()))?));
    }
    let texts = own?;
    let symbols = read_symbols(&load::held_out(&texts)?)?;
    Ok((Ok(texts), symbols))
}

fn read_symbols(part: &TextPart<'_>) -> Result<Vec<u32>> {
    let symbols = part.symbols().collect();
    part.corpus().check_not_truncated().map(|()| symbols)
}

/// The symbols of the same text for another run.
fn convert(symbols: &[u32], from: &Vocab, to: &Vocab) -> Result<Vec<u32>> {
    match (from.encoding().is_utf8(), to.encoding().is_utf8()) {
        (true, false) => {
            let text: String = symbols.iter().copied().filter_map(char::from_u32).collect();
            Ok(text.bytes().map(u32::from).collect())
        }
        (false, true) => {
            let bytes: Vec<u8> = symbols.iter().map(|symbol| *symbol as u8).collect();
            let invalid =
                |_| Error::Usage("the text is not valid UTF-8, so a model of characters cannot read it".into());
            Ok(String::from_utf8(bytes).map_err(invalid)?.chars().map(u32::from).collect())
        }
        _ => Ok(symbols.to_vec()),
    }
}

/// Sums the bits of bytes over the bytes of each UTF-8 character.
fn per_character(bits: &[f32], bytes: &[u32]) -> Vec<f32> {
    let mut sums: Vec<f32> = Vec::new();
    for (bits, byte) in bits.iter().zip(bytes) {
        match sums.last_mut() {
            Some(sum) if byte & 0xc0 == 0x80 => *sum += bits,
            _ => sums.push(*bits),
        }
    }
    sums
}

/// The surprisal of each character in bits; NaN if nothing predicts it.
fn surprisals(run: &ComparedRun, symbols: &[u32]) -> Result<Vec<f32>> {
    // Memory may be scarcer now that both models are loaded.
    let shape = run.model.config();
    memory::check_available("this model", shape.sizes()?.inference(shape.vocab_size, load::MAX_POSITIONS_PER_STREAM))?;
    let model = InferenceModel::new(&run.model, Precision::F32);
    // Nothing precedes a text; a record follows the end of another.
    let start = if run.vocab.record_boundary().is_some() { ContextStart::Newline } else { ContextStart::None };
    let mut scorer = SurprisalScorer::new(&model, &run.vocab, start, 0);
    let bits = |nats: Option<f64>| nats.map_or(f32::NAN, |nats| score::bits(nats) as f32);
    let pieces = symbols.chunks(CHARS_AT_ONCE);
    Ok(pieces.flat_map(|piece| scorer.score_text(piece).into_iter().map(|surprise| bits(surprise.nats))).collect())
}

fn summarize(run: &ComparedRun, symbols: &[u32], bits: &[f32]) -> ModelScore {
    let scored = || bits.iter().filter(|bits| !bits.is_nan());
    ModelScore {
        name: run.name.clone(),
        bits: scored().copied().map(f64::from).sum(),
        chars: scored().count(),
        unknown: symbols.iter().filter(|symbol| run.vocab.known_id(**symbol).is_none()).count(),
    }
}

/// The scores of n-gram models of run A's training text. Unknown characters that it does not read cost the same as for run A; the
/// others cost their choice among all unknown characters in addition to their prediction.
fn score_ngrams(max: usize, texts: &Dataset, vocab: &Vocab, symbols: &[u32], of_a: &[f32]) -> Result<Vec<ModelScore>> {
    let known = |symbols: &[u32]| -> Vec<u32> { symbols.iter().filter_map(|symbol| vocab.id(*symbol)).collect() };
    let counts = NGram::learn(max, vocab.len(), known(&read_symbols(&texts.training())?))?;
    let ids = known(symbols);
    let unknown = || symbols.iter().zip(of_a).filter(|(symbol, bits)| vocab.id(**symbol).is_none() && !bits.is_nan());
    let escapes: f64 = unknown().map(|(_, bits)| f64::from(*bits)).sum();
    let is_mapped = |symbol: &&u32| vocab.known_id(**symbol).is_none() && vocab.unknown().is_some();
    // Nothing predicts the first character.
    let choices = symbols.iter().skip(1).filter(is_mapped).count() as f64 * score::unknown_choice_bits(vocab);
    let row = |order: usize| {
        let nats: f64 = counts.nats(order, &ids).iter().sum();
        let chars = ids.len().saturating_sub(1) + unknown().count();
        let bits = score::bits(nats) + escapes + choices;
        let unknown = symbols.iter().filter(|symbol| vocab.known_id(**symbol).is_none()).count();
        ModelScore { name: format!("{order}-gram"), bits, chars, unknown }
    };
    Ok((1..=max).map(row).collect())
}

fn as_json(rows: &[ModelScore], between: Interval) -> serde_json::Value {
    let of = |row: &ModelScore| {
        let (bits, nats) = (row.bits_per_char(), row.nats_per_char());
        json!({"model": row.name, "bits_per_char": bits, "nats_per_char": nats, "unknown": row.unknown})
    };
    json!({
        "chars": rows[0].chars, "models": rows.iter().map(of).collect::<Vec<_>>(),
        "difference": {"bits_per_char": between.mean, "low": between.low, "high": between.high},
    })
}

fn table(rows: &[ModelScore], between: Interval) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut table = format!("{:width$}  bits/char  nats/char  unknown\n", "");
    for row in rows {
        let (bits, nats) = (row.bits_per_char(), row.nats_per_char());
        table += &format!("{:width$}  {bits:>9.4}  {nats:>9.4}  {:>7}\n", row.name, row.unknown);
    }
    let Interval { mean, low, high } = between;
    let (a, b, chars) = (&rows[0].name, &rows[1].name, rows[0].chars);
    table
        + &format!(
            "\nDifference {a} - {b}: {mean:+.4} bits per character, 95 % interval {low:+.4} to {high:+.4}, over {chars} characters\n"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use charlstm::data::{Corpus, Encoding};

    // On other systems, a memory-mapped file cannot be truncated.
    #[cfg(unix)]
    #[test]
    fn rejects_a_text_that_is_truncated_while_it_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let text = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        assert_eq!(read_symbols(&TextPart::Running(&text, 0..300)).unwrap().len(), 300);
        file.as_file().set_len(290).unwrap();
        assert!(matches!(read_symbols(&TextPart::Running(&text, 0..300)), Err(Error::Changed { .. })));
    }
}
