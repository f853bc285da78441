//! How gradients decay over time: vanishing gradients and the constant error carousel (Hochreiter & Schmidhuber 1997, section 3).

use rayon::prelude::*;

use super::experiment::{Experiment, Kind};
use super::study::{Chart, Study, StudyResult, TableEntry};
use crate::data::{BatchLoader, Dataset};
use crate::error::{Error, Result};
use crate::kernels::Precision;
use crate::model::{
    CharLm, InferenceModel, InferenceSession, Init, Input, PackedWeights, Purpose, Scheme, Shard, Window,
};
use crate::train::{TrainConfig, Trainer};

/// By default the weights are untrained and small, as in the papers, whose claims are about the equations.
pub const GRADIENT_FLOW: Experiment = Experiment {
    name: "gradient-flow",
    summary: "the gradient of the loss with respect to the state k characters earlier, for each cell",
    criterion: "from k = 1 to 100, the gradient of the rnn falls tenfold in each half; that of lstm1997's cell state neither falls \
                nor rises tenfold",
    published: "LSTM 1997: error decays exponentially in the rnn and flows unchanged through the memory cell",
    extra_options: &["text", "hidden", "lr", "init", "svg"],
    kind: Kind::Study(run),
};

const MAX_K: usize = 100;
/// Positions in the text over which norms are averaged.
const STREAMS: usize = 32;

fn run(study: &Study, report: &mut dyn FnMut(&str)) -> Result<StudyResult> {
    if study.lr.is_some() && study.steps.unwrap_or(0) == 0 {
        let problem = "the learning rate has no effect on untrained weights; set a number of steps, or omit it";
        return Err(Error::Usage(format!("gradient-flow: {problem}")));
    }
    let (mut rows, mut curves, mut measured, mut passed) = (Vec::new(), Vec::new(), Vec::new(), None);
    for cell in study.cells()? {
        let name = cell.spec.name;
        let (d_h, d_c) = measure_cell(study, name)?;
        let mut row = vec![TableEntry::Text(name.into())];
        for norms in [&d_h, &d_c] {
            let at = |k: usize| norms.get(k - 1).map_or(TableEntry::Missing, |norm| TableEntry::Scientific(*norm));
            row.extend([at(1), at(10), at(MAX_K)]);
            row.push(ratio(norms));
        }
        let criterion = match name {
            "rnn" => Some((&d_h, vanishes(&d_h))),
            "lstm1997" => Some((&d_c, is_preserved(&d_c))),
            _ => None,
        };
        if let Some((norms, holds)) = criterion {
            measured.push(format!("{name}: ratio {} from k = 1 to {MAX_K}", ratio(norms)));
            passed = Some(passed.unwrap_or(true) && holds);
        }
        report(&row.iter().map(TableEntry::to_string).collect::<Vec<_>>().join("  "));
        rows.push(row);
        for (what, norms) in [("dL/dh", d_h), ("dL/dc", d_c)].into_iter().filter(|(_, norms)| !norms.is_empty()) {
            curves.push((format!("{name}: {what}"), (1..).map(f64::from).zip(norms).collect()));
        }
    }
    if passed.is_none() {
        measured.push("the criterion applies only to rnn and lstm1997".into());
    }
    let chart = Chart {
        title: "Gradient of the loss with respect to the state k characters earlier".into(),
        x: "k".into(),
        y: "norm".into(),
        log_x: false,
        log_y: true,
        curves,
    };
    let of_hidden = ["dL/dh k=1", "dL/dh k=10", "dL/dh k=100", "ratio of dL/dh"];
    let of_cell = ["dL/dc k=1", "dL/dc k=10", "dL/dc k=100", "ratio of dL/dc"];
    let columns = [&["cell"][..], &of_hidden, &of_cell].concat();
    Ok(StudyResult { passed, measured: measured.join("; "), columns, rows, chart: Some(chart) })
}

fn ratio(norms: &[f64]) -> TableEntry {
    match (norms.first(), norms.get(MAX_K - 1)) {
        (Some(first), Some(last)) if *first > 0.0 => TableEntry::Scientific(last / first),
        _ => TableEntry::Missing,
    }
}

/// Whether the norm falls at least tenfold in each half of the range. A norm of zero that stays zero counts as a fall.
fn vanishes(norms: &[f64]) -> bool {
    [(0, MAX_K / 2 - 1), (MAX_K / 2 - 1, MAX_K - 1)].iter().all(|(from, to)| 10.0 * norms[*to] <= norms[*from])
}

/// Whether the norms at k = 1 and at the largest k differ by less than a factor of ten.
fn is_preserved(norms: &[f64]) -> bool {
    let (first, last) = (norms[0], norms[MAX_K - 1]);
    first < 10.0 * last && last < 10.0 * first
}

fn measure_cell(study: &Study, cell: &str) -> Result<(Vec<f64>, Vec<f64>)> {
    // Each stream reads as far before its first state as after it; the last character is only a target.
    let dataset = study.open_dataset(STREAMS * 2 * MAX_K + 1)?;
    let shape = study.model_config(cell, study.hidden.unwrap_or(64), &dataset);
    let config = study.train_config(0, 3e-3, study.seeds.start);
    let steps = config.steps.unwrap_or(0);
    let init = Init { scheme: study.scheme.unwrap_or(Scheme::Uniform), forget_bias: None };
    study.record_run(&shape, init, &config);
    let config = TrainConfig { steps: Some(steps.max(1)), ..config };
    let mut trainer = Trainer::with_init(dataset, &shape, init, config)?;
    for _ in 0..steps {
        trainer.step()?;
    }
    trainer.install(|| measure(trainer.model(), trainer.dataset()))
}

/// The mean gradient norms at k = 1, 2, ... with respect to the hidden state and the cell state (empty if there is none).
fn measure(model: &CharLm<f32>, dataset: &Dataset) -> Result<(Vec<f64>, Vec<f64>)> {
    let (corpus, range) = (dataset.corpus(), dataset.training_range());
    let mut loader = BatchLoader::new(corpus, range, STREAMS, 0);
    let mut text = Window::default();
    text.clear(2 * MAX_K, STREAMS);
    loader.read(corpus, dataset.vocab(), 2 * MAX_K, &mut text.inputs, &mut text.targets, &mut text.weights)?;
    let mut packed = PackedWeights::new(model, text.inputs.len(), true);
    packed.refresh(model, &text.inputs);
    let states = states(model, &text);
    let norms = |k: usize| gradient_norms(model, &packed, &text, &states[2 * MAX_K - k], k);
    let (d_h, d_c): (Vec<_>, Vec<_>) = (1..=MAX_K).into_par_iter().map(norms).collect::<Vec<_>>().into_iter().unzip();
    Ok((d_h, d_c.into_iter().flatten().collect()))
}

/// A slice of a window in which only the last step has a loss.
fn window(text: &Window, steps: std::ops::Range<usize>) -> Window {
    let positions = steps.start * STREAMS..steps.end * STREAMS;
    let (inputs, targets) = (text.inputs[positions.clone()].to_vec(), text.targets[positions].to_vec());
    let mut window = Window::new(steps.len(), STREAMS, inputs, targets);
    let last = window.weights.len() - STREAMS;
    window.weights[..last].fill(0.0);
    window
}

/// The states of all streams before each step.
fn states(model: &CharLm<f32>, text: &Window) -> Vec<Vec<f32>> {
    let model = InferenceModel::new(model, Precision::F32);
    let mut session = InferenceSession::single_threaded(&model, STREAMS, 1);
    let step = |ids: &[u32]| {
        let states = (0..STREAMS).flat_map(|stream| session.state(stream)).copied().collect();
        session.run(&ids.iter().map(|id| Input::without_logits(*id)).collect::<Vec<_>>());
        states
    };
    text.inputs.chunks(STREAMS).map(step).collect()
}

/// The norms of the gradients of the last losses with respect to the hidden and the cell state (if any) `k` steps earlier.
fn gradient_norms(
    model: &CharLm<f32>,
    packed: &PackedWeights<f32>,
    text: &Window,
    states: &[f32],
    k: usize,
) -> (f64, Option<f64>) {
    let window = window(text, text.steps - k..text.steps);
    let mut shard = Shard::new(model, 0, STREAMS, k, Purpose::Training);
    shard.state.copy_from_slice(states);
    shard.forward(model, packed, &window, None);
    // A divisor of 1: the gradient of each stream's loss, not of their mean.
    shard.score(&window, 1.0);
    shard.backward(packed);
    let gradients = shard.d_initial_state(packed, 0);
    let hidden = model.config().hidden_size;
    let norm = |vector: &[f32]| vector.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
    let mean =
        |of: &dyn Fn(&[f32]) -> f64| gradients.chunks_exact(model.state_len()).map(of).sum::<f64>() / STREAMS as f64;
    // The hidden state is the first vector of the state, the cell state the last.
    let d_c = (model.cell().spec.states > 1).then(|| mean(&|row| norm(&row[row.len() - hidden..])));
    (mean(&|row| norm(&row[..hidden])), d_c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::softmax;
    use crate::model::ModelConfig;

    /// Norms of 1 at k = 1, `half` in the first half and `last` in the second.
    fn step_norms(half: f64, last: f64) -> Vec<f64> {
        (1..=MAX_K)
            .map(|k| {
                if k == 1 {
                    1.0
                } else if k <= MAX_K / 2 {
                    half
                } else {
                    last
                }
            })
            .collect()
    }

    #[test]
    fn vanishing_and_preserved_gradients_are_recognized() {
        assert!(
            vanishes(&step_norms(0.0, 0.0)) && vanishes(&step_norms(1e-3, 0.0)) && vanishes(&step_norms(0.1, 0.01))
        );
        assert!(!vanishes(&step_norms(0.2, 0.01)) && !vanishes(&step_norms(0.01, 0.01)));
        assert!(is_preserved(&step_norms(0.0, 0.2)) && is_preserved(&step_norms(0.0, 5.0)));
        assert!(
            !is_preserved(&step_norms(1.0, 0.1))
                && !is_preserved(&step_norms(1.0, 10.0))
                && !is_preserved(&step_norms(1.0, 0.0))
        );
        let nothing = [step_norms(f64::NAN, f64::NAN), vec![f64::NAN; MAX_K]];
        assert!(nothing.iter().all(|norms| !vanishes(norms) && !is_preserved(norms)) && !is_preserved(&[0.0; MAX_K]));
    }

    #[test]
    fn norms_agree_with_numerical_gradients() {
        const K: usize = 3;
        for cell in ["rnn", "lstm1997", "gru"] {
            let shape = ModelConfig { cell: cell.into(), num_layers: 1, hidden_size: 3, embed_size: 0, vocab_size: 5 };
            let model = CharLm::with_init(&shape, Init { scheme: Scheme::Xavier, forget_bias: None }, 7).unwrap();
            let ids: Vec<u32> = (0..(2 * K * STREAMS) as u32).map(|i| i * i % 5).collect();
            let text = Window::new(2 * K, STREAMS, ids.clone(), ids);
            let mut packed = PackedWeights::new(&model, text.inputs.len(), true);
            packed.refresh(&model, &text.inputs);
            let states = &states(&model, &text)[K];
            let (d_h, d_c) = gradient_norms(&model, &packed, &text, states, K);

            let inference_model = InferenceModel::new(&model, Precision::F32);
            let loss = |element: usize, change: f32| -> Vec<f64> {
                let mut session = InferenceSession::single_threaded(&inference_model, STREAMS, K);
                for (stream, state) in states.chunks_exact(model.state_len()).enumerate() {
                    session.state_mut(stream).copy_from_slice(state);
                    session.state_mut(stream)[element] += change;
                }
                let window = window(&text, K..2 * K);
                let inputs = window.inputs.iter().zip(&window.weights);
                let inputs = inputs.map(|(id, weight)| Input { id: *id, reset: false, needs_logits: *weight != 0.0 });
                session.run(&inputs.collect::<Vec<_>>());
                let mut losses = Vec::new();
                session.for_each_logits(|position, logits| {
                    losses.push(softmax::cross_entropy(logits, window.targets[position] as usize, 1.0));
                });
                losses
            };
            let slopes: Vec<Vec<f64>> = (0..model.state_len())
                .map(|i| loss(i, 0.02).iter().zip(loss(i, -0.02)).map(|(up, down)| (up - down) / 0.04).collect())
                .collect();
            let mean = |elements: std::ops::Range<usize>| {
                let of = |stream: usize| slopes[elements.clone()].iter().map(|d| d[stream].powi(2)).sum::<f64>().sqrt();
                (0..STREAMS).map(of).sum::<f64>() / STREAMS as f64
            };
            let near = |a: f64, b: f64| (a - b).abs() < 0.01 * b + 1e-5;
            assert!(near(d_h, mean(0..3)), "{cell}: {d_h} and {}", mean(0..3));
            if let Some(d_c) = d_c {
                assert!(near(d_c, mean(3..6)), "{cell}: {d_c} and {}", mean(3..6));
            }
        }
    }
}
