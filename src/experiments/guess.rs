//! Guessing weights in place of learning them (Hochreiter & Schmidhuber 1997, section 5, and "Guessing can outperform many long
//! time lag algorithms", 1996).

use rand::RngExt;
use rayon::prelude::*;
use serde_json::json;

use super::{Experiment, Figure, Finding, Kind, Rng, Sample, Study, Subject, rng};
use crate::data::{Encoding, Vocab};
use crate::error::{Error, Result};
use crate::model::{CharLm, ModelConfig};

/// Random weights one after another.
pub const GUESS: Experiment = Experiment {
    name: "guess",
    summary: "random weights tried one after another, no learning: the first symbol comes back after 50 to 60 others",
    criterion: "a try answers 1,000 fresh strings right",
    published: "LSTM 1997: simple tasks of long lags are solved by guessing",
    also: &["--seeds", "--hidden"],
    kind: Kind::Study(run),
};

/// Tries at most.
const MOST: u64 = 2_000_000;
/// Tries that are made side by side.
const AT_ONCE: u64 = 4096;
/// Weights are uniform in plus or minus this.
const RANGE: f32 = 10.0;
const SYMBOLS: [char; 2] = ['x', 'y'];
const OTHERS: [char; 2] = ['a', 'b'];

fn run(study: &Study, tell: &mut dyn FnMut(&str)) -> Result<Finding> {
    let characters = SYMBOLS.into_iter().chain(OTHERS).chain(['=']).map(u32::from);
    let vocab = Vocab::new(Encoding::Utf8, characters);
    let cell = study.cell.clone().unwrap_or_else(|| "rnn".into());
    let shape = ModelConfig { cell, layers: 1, hidden: study.hidden.unwrap_or(2), embed: 0, vocab: vocab.len() };
    let empty = CharLm::zeros(&shape)?;
    let most = study.steps.unwrap_or(MOST);
    if most == 0 {
        return Err(Error::Usage("--steps must be at least 1: it is the number of tries".into()));
    }
    let (mut rows, mut solved) = (Vec::new(), 0);
    for (choice, value) in [("cell", json!(shape.cell)), ("hidden", json!(shape.hidden)), ("steps", json!(most))] {
        study.notes.add(choice, value);
    }
    for seed in study.seeds.clone() {
        study.notes.add("seed", json!(seed));
        let found = first_right(&empty, &vocab, seed, most);
        solved += usize::from(found.is_some());
        let tries = found.map_or(Figure::None, |index| Figure::Count(index + 1));
        tell(&format!("seed {seed}  tries {tries}"));
        rows.push(vec![Figure::Count(seed), tries]);
    }
    let measured = format!(
        "{solved} of {} solved by {} units of {}, weights uniform in -{RANGE} to {RANGE}",
        rows.len(),
        shape.hidden,
        shape.cell
    );
    Ok(Finding { passed: Some(solved == rows.len()), measured, columns: vec!["seed", "tries"], rows, chart: None })
}

/// The first try that is right in every string, told by some strings and confirmed by many.
fn first_right(empty: &CharLm<f32>, vocab: &Vocab, seed: u64, most: u64) -> Option<u64> {
    let strings = |purpose, n| {
        let mut rng = rng(purpose, seed);
        (0..n).map(|_| string(&mut rng)).collect::<Vec<_>>()
    };
    let (few, some, many) = (strings("guess glance", 8), strings("guess look", 256), strings("guess test", 1000));
    let is_right = |index: &u64| {
        let model = guessed(empty, &mut rng(&format!("guess {seed}"), *index));
        let subject = Subject::new(&model, vocab);
        [&few, &some, &many].into_iter().all(|strings| subject.share_right(strings) == 1.0)
    };
    let chunks = (0..most).step_by(AT_ONCE as usize);
    chunks.into_iter().find_map(|first| (first..most.min(first + AT_ONCE)).into_par_iter().find_first(is_right))
}

fn string(rng: &mut Rng) -> Sample {
    let symbol = SYMBOLS[rng.random_range(0..2)];
    let mut sample = Sample::default();
    sample.free(symbol);
    (0..rng.random_range(50..=60)).for_each(|_| sample.free(OTHERS[rng.random_range(0..2)]));
    sample.free('=');
    sample.determined(&symbol.to_string());
    sample
}

fn guessed(empty: &CharLm<f32>, rng: &mut Rng) -> CharLm<f32> {
    let mut model = empty.clone();
    model.weights.fill_with(|| rng.random_range(-RANGE..RANGE));
    model.clear_zero_blocks();
    model
}
