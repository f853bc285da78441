//! `charlstm compare`.

use std::ops::Range;
use std::path::Path;

use charlstm::checkpoint::run::{self, RUNS};
use charlstm::checkpoint::{Frame, model};
use charlstm::data::{Corpus, Sources, Texts, Vocab};
use charlstm::error::{Error, Result};
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, Ready};
use charlstm::score::{NGram, Sum, Surprise, Tracer, paired};
use serde_json::json;

use super::args::CompareArgs;
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
    sum: f64,
    chars: u64,
    unknown: u64,
}

impl Row {
    fn nats(&self) -> f64 {
        self.sum / self.chars.max(1) as f64
    }

    fn bits(&self) -> f64 {
        self.nats() / std::f64::consts::LN_2
    }
}

pub fn run(args: &CompareArgs, terminal: &Terminal) -> Result<()> {
    super::use_threads()?;
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    if a.vocab.encoding() != b.vocab.encoding() {
        return Err(Error::Usage("one run reads bytes and the other characters: they do not compare".into()));
    }
    let own = own_texts(&a);
    let given =
        args.text.as_ref().map(|path| Corpus::open(std::slice::from_ref(path), a.vocab.encoding())).transpose()?;
    let (text, part) = match (&given, &own) {
        (Some(text), _) => (text, 0..text.chars()),
        (None, Ok(texts)) => {
            texts.held_out().ok_or_else(|| Error::Usage("A holds nothing out; name a --text".into()))?
        }
        (None, Err(_)) => return Err(own.err().unwrap_or_else(|| Error::Internal("no text".into()))),
    };
    let symbols = read(text, part);
    let [of_a, of_b] = [&a, &b].map(|side| trace(side, &symbols));
    let mut rows = vec![row(&a.name, &of_a), row(&b.name, &of_b)];
    match &own {
        Ok(texts) => rows.extend(counted(args.orders as usize, texts, &a.vocab, &symbols, &of_a)?),
        Err(e) if args.orders > 0 => terminal.warn(&format!("no n-grams: {e}")),
        Err(_) => {}
    }
    let bits = |surprises: &[Surprise]| -> Vec<f32> {
        let scored = surprises.iter().zip(&of_a).zip(&of_b).filter(|((_, a), b)| a.nats.is_some() && b.nats.is_some());
        scored
            .filter_map(|((surprise, _), _)| surprise.nats)
            .map(|nats| (nats / std::f64::consts::LN_2) as f32)
            .collect()
    };
    let between = paired(&bits(&of_a), &bits(&of_b), args.block as usize, ROUNDS, args.seed)?;
    if args.json {
        let row = |row: &Row| json!({"model": row.name, "bits_per_char": row.bits(), "nats_per_char": row.nats(), "unknown": row.unknown});
        return terminal.json(&json!({
            "chars": rows[0].chars, "models": rows.iter().map(row).collect::<Vec<_>>(),
            "difference": {"bits_per_char": between.mean, "low": between.low, "high": between.high},
        }));
    }
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut table = format!("{:width$}  bits/char  nats/char  unknown\n", "");
    for row in &rows {
        table += &format!("{:width$}  {:>9.4}  {:>9.4}  {:>7}\n", row.name, row.bits(), row.nats(), row.unknown);
    }
    table += &format!(
        "\n{} less {}: {:+.4} bits per character, 95 % interval {:+.4} to {:+.4}, over {} characters\n",
        a.name, b.name, between.mean, between.low, between.high, rows[0].chars
    );
    terminal.out(table.as_bytes())
}

fn open(given: &Path) -> Result<Side> {
    let frame = Frame::read(&run::find(Some(given), Path::new(RUNS))?.model())?;
    let (model, vocab) = model::read(&frame)?;
    Ok(Side { name: given.display().to_string(), frame, model, vocab })
}

/// The texts that a run was trained on, if they are still there.
fn own_texts(side: &Side) -> Result<Texts> {
    Sources::read(&side.frame)?.open("bring it back")
}

fn read(text: &Corpus, part: Range<usize>) -> Vec<u32> {
    let mut cursor = text.cursor(part.start);
    part.map_while(|_| cursor.next(text)).collect()
}

fn trace(side: &Side, symbols: &[u32]) -> Vec<Surprise> {
    let ready = Ready::new(&side.model, Precision::F32);
    let mut tracer = Tracer::carried(&ready, &side.vocab, 0);
    symbols.chunks(AT_ONCE).flat_map(|symbols| tracer.read(symbols)).collect()
}

fn row(name: &str, surprises: &[Surprise]) -> Row {
    let sum = Sum::of(surprises);
    Row { name: name.into(), sum: sum.nats, chars: sum.chars, unknown: sum.unknown }
}

/// What n-grams of the text that was trained on make of it. What A does not know costs as much as it costs A.
fn counted(orders: usize, texts: &Texts, vocab: &Vocab, symbols: &[u32], of_a: &[Surprise]) -> Result<Vec<Row>> {
    if orders == 0 {
        return Ok(Vec::new());
    }
    let (corpus, part) = texts.training();
    let known = |symbols: &[u32]| -> Vec<u32> { symbols.iter().filter_map(|symbol| vocab.id(*symbol)).collect() };
    let counts = NGram::learn(orders, vocab.len(), known(&read(corpus, part)))?;
    let (ids, total) = (known(symbols), Sum::of(of_a));
    let strange: f64 = of_a.iter().filter(|surprise| !surprise.known).filter_map(|surprise| surprise.nats).sum();
    let row = |order: usize| {
        let sum = counts.nats(order, &ids).iter().sum::<f64>() + strange;
        Row { name: format!("{order}-gram"), sum, chars: total.chars, unknown: total.unknown }
    };
    Ok((1..=orders).map(row).collect())
}
