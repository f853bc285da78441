//! `charlstm sample`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use charlstm::checkpoint::model;
use charlstm::checkpoint::run::{self, RUNS};
use charlstm::data::Vocab;
use charlstm::error::{Error, Result};
use charlstm::model::Ready;
use charlstm::sample::{Generator, Shaping, batch};

use super::args::SampleArgs;
use super::terminal::Terminal;

/// Texts that are held in memory at once.
const AT_ONCE: usize = 1024;

pub fn run(args: &SampleArgs, terminal: &Terminal) -> Result<()> {
    let shaping = Shaping { temperature: args.temp, top_k: args.top_k, top_p: args.top_p, min_p: args.min_p };
    shaping.validate()?;
    super::use_threads()?;
    let path = run::find(args.run.as_deref(), Path::new(RUNS))?.model();
    let (model, vocab) = model::load(&path)?;
    let prompt = match &args.prompt_file {
        Some(file) => std::fs::read(file).map_err(|e| Error::input(file, e))?,
        None => args.prompt.clone().into_bytes(),
    };
    let ids = vocab.encode(&prompt)?;
    let seed = args.seed.unwrap_or_else(any_seed);
    terminal.detail(&format!("{}, seed {seed}", path.display()));
    let length = usize::try_from(args.length).unwrap_or(usize::MAX);
    let stops = stops(&args.stop, &vocab);
    let ended = |text: &[u32]| stops.iter().any(|stop| text.ends_with(stop));
    let ready = Ready::new(&model, args.precision.into());
    if args.samples == 1 {
        terminal.out(&prompt)?;
        let text = Generator::with(ready, &vocab, &ids, shaping, seed).take(length);
        return show(text, &vocab, &ended, terminal);
    }
    let seeds: Vec<u64> = (0..args.samples).map(|sample| seed.wrapping_add(sample)).collect();
    for seeds in seeds.chunks(AT_ONCE) {
        for text in batch(&ready, &vocab, &ids, shaping, seeds, length, ended) {
            let mut written = prompt.clone();
            text.iter().for_each(|id| vocab.decode_into(*id, &mut written));
            end_line(&mut written, text.is_empty());
            terminal.out(&written)?;
        }
    }
    Ok(())
}

/// The texts that end a sample, as characters. One that has a character the model does not know never comes.
fn stops(texts: &[String], vocab: &Vocab) -> Vec<Vec<u32>> {
    texts.iter().filter_map(|text| vocab.encode(text.as_bytes()).ok()).filter(|ids| !ids.is_empty()).collect()
}

/// Shows a text while it is written.
fn show(
    text: impl Iterator<Item = u32>,
    vocab: &Vocab,
    ended: &impl Fn(&[u32]) -> bool,
    terminal: &Terminal,
) -> Result<()> {
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    for id in text {
        bytes.clear();
        vocab.decode_into(id, &mut bytes);
        terminal.out(&bytes)?;
        ids.push(id);
        if ended(&ids) {
            break;
        }
        // Only the end is needed, to know a stop when it comes.
        if ids.len() > 1 << 16 {
            ids.drain(..1 << 15);
        }
    }
    let shown = bytes.len();
    end_line(&mut bytes, ids.is_empty());
    terminal.out(&bytes[shown..])
}

/// Ends the last line of a text, unless what was written has ended it.
fn end_line(text: &mut Vec<u8>, nothing_written: bool) {
    if nothing_written || !text.ends_with(b"\n") {
        text.push(b'\n');
    }
}

/// A seed that differs from call to call.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
