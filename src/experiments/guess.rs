//! Random weight guessing instead of training (Hochreiter & Schmidhuber 1997, section 5, and "Guessing can outperform many long
//! time lag algorithms", 1996).

use rand::RngExt;
use rayon::prelude::*;
use serde_json::json;

use super::evaluator::{Evaluator, Example};
use super::experiment::{Experiment, Kind};
use super::study::{Study, StudyResult, TableEntry};
use super::task::{Rng, rng};
use crate::data::{Encoding, Vocab};
use crate::error::{Error, Result};
use crate::model::{CharLm, ModelConfig};

pub const GUESS: Experiment = Experiment {
    name: "guess",
    summary: "random weights without training, until a guess solves the task: repeat the first symbol after 50 to 60 others",
    criterion: "a guess is correct on 1,000 new strings",
    published: "LSTM 1997: random guessing solves simple tasks with long time lags",
    extra_options: &["seeds", "hidden"],
    kind: Kind::Study(run),
};

const MAX_TRIES: u64 = 2_000_000;
const BATCH: u64 = 4096;
const MAX_WEIGHT: f32 = 10.0;
const SYMBOLS: [char; 2] = ['x', 'y'];
const DISTRACTORS: [char; 2] = ['a', 'b'];

fn run(study: &Study, report: &mut dyn FnMut(&str)) -> Result<StudyResult> {
    let characters = SYMBOLS.into_iter().chain(DISTRACTORS).chain(['=']).map(u32::from);
    let vocab = Vocab::new(Encoding::Utf8, characters);
    let cell = study.cell.clone().unwrap_or_else(|| "rnn".into());
    let shape = ModelConfig {
        cell,
        num_layers: 1,
        hidden_size: study.hidden.unwrap_or(2),
        embed_size: 0,
        vocab_size: vocab.len(),
    };
    let empty = CharLm::zeros(&shape)?;
    let max_tries = study.steps.unwrap_or(MAX_TRIES);
    if max_tries == 0 {
        return Err(Error::out_of_range("steps", max_tries, "at least 1, since it is the number of guesses"));
    }
    let (mut rows, mut solved) = (Vec::new(), 0);
    study.record("cell", json!(shape.cell));
    study.record("hidden", json!(shape.hidden_size));
    study.record("steps", json!(max_tries));
    for seed in study.seeds.clone() {
        study.record("seed", json!(seed));
        let found = first_solution(&empty, &vocab, seed, max_tries);
        solved += usize::from(found.is_some());
        let tries = found.map_or(TableEntry::Missing, |index| TableEntry::Count(index + 1));
        report(&format!("seed {seed}  tries {tries}"));
        rows.push(vec![TableEntry::Count(seed), tries]);
    }
    let (n, ModelConfig { cell, hidden_size: hidden, .. }) = (rows.len(), shape);
    let measured = format!(
        "{solved} of {n} solved by {hidden} units of {cell} with uniform weights in -{MAX_WEIGHT} to {MAX_WEIGHT}"
    );
    Ok(StudyResult { passed: Some(solved == rows.len()), measured, columns: vec!["seed", "tries"], rows, chart: None })
}

/// The index of the first guess that is correct on every string; most guesses already fail on the first few.
fn first_solution(empty: &CharLm<f32>, vocab: &Vocab, seed: u64, max_tries: u64) -> Option<u64> {
    let strings = |purpose, n| {
        let mut rng = rng(purpose, seed);
        (0..n).map(|_| string(&mut rng)).collect::<Vec<_>>()
    };
    let (few, some, many) = (strings("guess glance", 8), strings("guess look", 256), strings("guess test", 1000));
    let is_solution = |index: &u64| {
        let (mut model, mut rng) = (empty.clone(), rng(&format!("guess {seed}"), *index));
        model.weights.fill_with(|| rng.random_range(-MAX_WEIGHT..MAX_WEIGHT));
        model.clear_zero_blocks();
        let evaluator = Evaluator::new(&model, vocab);
        [&few, &some, &many].into_iter().all(|strings| evaluator.accuracy(strings) == 1.0)
    };
    let batches = (0..max_tries).step_by(BATCH as usize);
    batches.into_iter().find_map(|first| (first..max_tries.min(first + BATCH)).into_par_iter().find_first(is_solution))
}

fn string(rng: &mut Rng) -> Example {
    let symbol = SYMBOLS[rng.random_range(0..2)];
    let mut example = Example::default();
    example.push_untested(symbol);
    (0..rng.random_range(50..=60)).for_each(|_| example.push_untested(DISTRACTORS[rng.random_range(0..2)]));
    example.push_untested('=');
    example.push_determined(&symbol.to_string());
    example
}
