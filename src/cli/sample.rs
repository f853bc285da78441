//! `charlstm sample`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use charlstm::checkpoint::model;
use charlstm::checkpoint::run::{self, RUNS};
use charlstm::error::{Error, Result};
use charlstm::sample::{Generator, Shaping};

use super::args::SampleArgs;
use super::terminal::Terminal;

pub fn run(args: &SampleArgs, terminal: &Terminal) -> Result<()> {
    let shaping = Shaping { temperature: args.temp, top_k: args.top_k, top_p: args.top_p, min_p: args.min_p };
    shaping.validate()?;
    let path = run::find(args.run.as_deref(), Path::new(RUNS))?.model();
    let (model, vocab) = model::load(&path)?;
    let prompt = match &args.prompt_file {
        Some(file) => std::fs::read(file).map_err(|e| Error::input(file, e))?,
        None => args.prompt.clone().into_bytes(),
    };
    let ids = vocab.encode(&prompt)?;
    let seed = args.seed.unwrap_or_else(any_seed);
    terminal.detail(&format!("{}, seed {seed}", path.display()));
    let stops: Vec<&[u8]> = args.stop.iter().map(|text| text.as_bytes()).filter(|text| !text.is_empty()).collect();
    for sample in 0..args.samples {
        let generator = Generator::new(&model, &vocab, &ids, shaping, seed.wrapping_add(sample));
        terminal.out(&prompt)?;
        let mut written = Vec::new();
        for id in generator.take(usize::try_from(args.length).unwrap_or(usize::MAX)) {
            let before = written.len();
            vocab.decode_into(id, &mut written);
            terminal.out(&written[before..])?;
            if stops.iter().any(|stop| written.ends_with(stop)) {
                break;
            }
            // Only the end is needed, to know a stop when it comes.
            if written.len() > 1 << 16 {
                written.drain(..1 << 15);
            }
        }
        if !written.ends_with(b"\n") {
            terminal.out(b"\n")?;
        }
    }
    Ok(())
}

/// A seed that differs from call to call.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
