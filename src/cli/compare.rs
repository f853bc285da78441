//! `charlstm compare`.

use std::ops::Range;
use std::path::Path;

use charlstm::checkpoint::Frame;
use charlstm::data::{Corpus, Dataset, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel, memory};
use charlstm::run::find::find;
use charlstm::run::{RUNS, RunMetadata};
use charlstm::score::{Interval, NGram, SurprisalScorer, paired_bootstrap};
use serde_json::json;

use super::args::CompareArgs;
use super::load;
use super::terminal::Terminal;

/// Rounds of the bootstrap.
const ROUNDS: usize = 2000;
/// Characters that are scored at once.
const AT_ONCE: usize = 1 << 16;

/// A run that is compared.
struct Side {
    name: String,
    frame: Frame,
    model: CharLm<f32>,
    vocab: Vocab,
}

/// A line of the table: what a model makes of the text.
struct Row {
    name: String,
    bits: f64,
    chars: usize,
    unknown: usize,
}

impl Row {
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
    if a.vocab.encoding() != b.vocab.encoding() {
        return Err(Error::Usage("one run reads bytes and the other characters: they do not compare".into()));
    }
    let (own, symbols) = texts(args, &a)?;
    if symbols.len() < 3 {
        return Err(Error::Usage("the text to score has less than three characters; name another --text".into()));
    }
    let (of_a, of_b) = (bits(&a, &symbols)?, bits(&b, &symbols)?);
    let mut rows = vec![row(&a, &symbols, &of_a), row(&b, &symbols, &of_b)];
    match own {
        Ok(texts) if args.orders > 0 => rows.extend(counted(args.orders as usize, &texts, &a.vocab, &symbols, &of_a)?),
        Err(e) if args.orders > 0 => terminal.warn(&format!("no n-grams: {e}")),
        _ => {}
    }
    // A character that one of the two had nothing to predict by is left out.
    let both = || of_a.iter().zip(&of_b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (a, b): (Vec<f32>, Vec<f32>) = both().unzip();
    let between = paired_bootstrap(&a, &b, args.block as usize, ROUNDS, args.seed)
        .map_err(|e| Error::Usage(format!("{e} with --block")))?;
    if args.json { terminal.json(&as_json(&rows, between)) } else { terminal.out(table(&rows, between).as_bytes()) }
}

fn open(given: &Path) -> Result<Side> {
    let frame = Frame::read(&find(Some(given), Path::new(RUNS))?.model())?;
    let (model, vocab) = load::load_model(&frame, load::POSITIONS_OF_ONE_STREAM)?;
    Ok(Side { name: given.display().to_string(), frame, model, vocab })
}

/// The texts that A was trained on, if they are still there, and the characters that are scored.
fn texts(args: &CompareArgs, a: &Side) -> Result<(Result<Dataset>, Vec<u32>)> {
    let own = RunMetadata::read(&a.frame)?.dataset.open();
    if let Some(path) = &args.text {
        let text = Corpus::open(std::slice::from_ref(path), a.vocab.encoding())?;
        return Ok((own, read(&text, 0..text.chars())?));
    }
    let texts = own?;
    let none = || Error::Usage("A holds nothing out; name a text with --text".into());
    let (text, part) = texts.held_out().ok_or_else(none)?;
    let symbols = read(text, part)?;
    Ok((Ok(texts), symbols))
}

fn read(text: &Corpus, part: Range<usize>) -> Result<Vec<u32>> {
    let mut cursor = text.cursor(part.start);
    let symbols = part.map_while(|_| cursor.next(text)).collect();
    text.check_not_truncated().map(|()| symbols)
}

/// The bits of every character; NaN where nothing predicts it.
fn bits(side: &Side, symbols: &[u32]) -> Result<Vec<f32>> {
    // The other one has its memory too now.
    let shape = side.model.config();
    memory::check_available("this model", shape.sizes()?.inference(shape.vocab, load::POSITIONS_OF_ONE_STREAM))?;
    let model = InferenceModel::new(&side.model, Precision::F32);
    let mut scorer = SurprisalScorer::new(&model, &side.vocab, 0);
    let bits = |nats: Option<f64>| nats.map_or(f32::NAN, |nats| (nats / std::f64::consts::LN_2) as f32);
    let pieces = symbols.chunks(AT_ONCE);
    Ok(pieces.flat_map(|piece| scorer.score_text(piece).into_iter().map(|surprise| bits(surprise.nats))).collect())
}

fn row(side: &Side, symbols: &[u32], bits: &[f32]) -> Row {
    let scored = || bits.iter().filter(|bits| !bits.is_nan());
    Row {
        name: side.name.clone(),
        bits: scored().copied().map(f64::from).sum(),
        chars: scored().count(),
        unknown: symbols.iter().filter(|symbol| side.vocab.id(**symbol).is_none()).count(),
    }
}

/// What n-grams of the text that A was trained on make of it. What A does not know costs as much as it costs A.
fn counted(orders: usize, texts: &Dataset, vocab: &Vocab, symbols: &[u32], of_a: &[f32]) -> Result<Vec<Row>> {
    let (corpus, part) = texts.training();
    let known = |symbols: &[u32]| -> Vec<u32> { symbols.iter().filter_map(|symbol| vocab.id(*symbol)).collect() };
    let counts = NGram::learn(orders, vocab.len(), known(&read(corpus, part)?))?;
    let ids = known(symbols);
    let strange = || symbols.iter().zip(of_a).filter(|(symbol, bits)| vocab.id(**symbol).is_none() && !bits.is_nan());
    let escapes: f64 = strange().map(|(_, bits)| f64::from(*bits)).sum();
    let row = |order: usize| {
        let nats: f64 = counts.nats(order, &ids).iter().sum();
        let chars = ids.len().saturating_sub(1) + strange().count();
        let (bits, unknown) = (nats / std::f64::consts::LN_2 + escapes, symbols.len() - ids.len());
        Row { name: format!("{order}-gram"), bits, chars, unknown }
    };
    Ok((1..=orders).map(row).collect())
}

fn as_json(rows: &[Row], between: Interval) -> serde_json::Value {
    let of = |row: &Row| {
        let (bits, nats) = (row.bits_per_char(), row.nats_per_char());
        json!({"model": row.name, "bits_per_char": bits, "nats_per_char": nats, "unknown": row.unknown})
    };
    json!({
        "chars": rows[0].chars, "models": rows.iter().map(of).collect::<Vec<_>>(),
        "difference": {"bits_per_char": between.mean, "low": between.low, "high": between.high},
    })
}

fn table(rows: &[Row], between: Interval) -> String {
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
            "\n{a} less {b}: {mean:+.4} bits per character, 95 % interval {low:+.4} to {high:+.4}, over {chars} characters\n"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use charlstm::data::Encoding;

    /// Elsewhere than on Unix a file that is mapped cannot be cut.
    #[cfg(unix)]
    #[test]
    fn zeros_in_the_place_of_what_was_cut_off_are_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [7; 300]).unwrap();
        let text = Corpus::open(&[file.path().into()], Encoding::Bytes).unwrap();
        assert_eq!(read(&text, 0..300).unwrap().len(), 300);
        file.as_file().set_len(290).unwrap();
        assert!(matches!(read(&text, 0..300), Err(Error::Changed { .. })));
    }
}
