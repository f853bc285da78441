//! How far gradients flow back: the vanishing gradient and the constant error carousel (Hochreiter & Schmidhuber 1997, section 3).

use rayon::prelude::*;

use super::{Chart, Experiment, Figure, Finding, Kind, Study};
use crate::data::{BatchLoader, Dataset};
use crate::error::{Error, Result};
use crate::kernels::Precision;
use crate::model::{
    CharLm, InferenceModel, InferenceSession, Init, Input, PackedWeights, Purpose, Scheme, Shard, Window,
};
use crate::train::{TrainConfig, Trainer};

/// The norm of the gradient of a loss by the states of the steps before it: of fresh weights, small as the papers have them, since
/// it is the equations that the papers speak of; `--steps` trains first.
pub const GRADIENT_FLOW: Experiment = Experiment {
    name: "gradient-flow",
    summary: "how much the loss at a character still depends on the state k characters before, for each cell",
    criterion: "from k = 1 to 100 the rnn's gradient falls tenfold in each half of the way; lstm1997's by its cell state neither falls \
                nor rises tenfold",
    published: "LSTM 1997: error decays exponentially in the rnn, and flows unchanged through the cell",
    also: &["TEXT", "--hidden", "--lr", "--init", "--svg"],
    kind: Kind::Study(run),
};

/// How far back.
const DEPTH: usize = 100;
/// Places in the text whose gradients are averaged.
const STREAMS: usize = 32;

/// The norms at k = 1, 2, ...: by the output, and by the cell state where there is one.
struct Flow {
    by_output: Vec<f64>,
    by_cell: Vec<f64>,
}

fn run(study: &Study, tell: &mut dyn FnMut(&str)) -> Result<Finding> {
    if study.lr.is_some() && study.steps.unwrap_or(0) == 0 {
        let problem =
            "gradient-flow looks at fresh weights, which --lr does not change; add --steps, or leave out --lr";
        return Err(Error::Usage(problem.into()));
    }
    let (mut rows, mut curves, mut measured, mut passed) = (Vec::new(), Vec::new(), Vec::new(), None);
    for cell in study.cells()? {
        let name = cell.spec.name;
        let flow = trained(study, name)?;
        let mut row = vec![Figure::Word(name.into())];
        for norms in [&flow.by_output, &flow.by_cell] {
            let at = |k: usize| norms.get(k - 1).map_or(Figure::None, |norm| Figure::Scientific(*norm));
            row.extend([at(1), at(10), at(DEPTH)]);
            row.push(kept(norms).map_or(Figure::None, Figure::Scientific));
        }
        let claim = match name {
            "rnn" => Some((&flow.by_output, vanishes(&flow.by_output))),
            "lstm1997" => Some((&flow.by_cell, stays(&flow.by_cell))),
            _ => None,
        };
        if let Some((norms, holds)) = claim {
            let kept = kept(norms).map_or(Figure::None, Figure::Scientific);
            measured.push(format!("{name} keeps {kept}"));
            passed = Some(passed.unwrap_or(true) && holds);
        }
        tell(&row.iter().map(Figure::to_string).collect::<Vec<_>>().join("  "));
        rows.push(row);
        let points = |norms: &[f64]| (1..).map(f64::from).zip(norms.iter().copied()).collect::<Vec<_>>();
        let curve = |what, norms: &[f64]| (format!("{name}: {what}"), points(norms));
        curves.push(curve("dL/dh", &flow.by_output));
        curves.extend(Some(curve("dL/dc", &flow.by_cell)).filter(|curve| !curve.1.is_empty()));
    }
    if passed.is_none() {
        measured.push("the claim is about rnn and lstm1997, and neither was asked for".into());
    }
    let chart = Chart {
        title: "Gradient of the loss by the state k characters before".into(),
        x: "k".into(),
        y: "norm".into(),
        log_x: false,
        log_y: true,
        curves,
    };
    let columns = vec![
        "cell",
        "dL/dh k=1",
        "dL/dh k=10",
        "dL/dh k=100",
        "kept by h",
        "dL/dc k=1",
        "dL/dc k=10",
        "dL/dc k=100",
        "kept by c",
    ];
    Ok(Finding { passed, measured: measured.join("; "), columns, rows, chart: Some(chart) })
}

/// What is left at the depth of what there is at k = 1.
fn kept(norms: &[f64]) -> Option<f64> {
    let (first, last) = (norms.first()?, norms.get(DEPTH - 1)?);
    (*first > 0.0).then(|| last / first)
}

/// Whether the norm falls tenfold in each half of the way. Where nothing is left, nothing of it is a fall as well.
fn vanishes(norms: &[f64]) -> bool {
    [(0, DEPTH / 2 - 1), (DEPTH / 2 - 1, DEPTH - 1)].iter().all(|(from, to)| 10.0 * norms[*to] <= norms[*from])
}

/// Whether the norm at the depth is neither a tenth of that at k = 1 nor ten times as much.
fn stays(norms: &[f64]) -> bool {
    let (first, last) = (norms[0], norms[DEPTH - 1]);
    first < 10.0 * last && last < 10.0 * first
}

fn trained(study: &Study, cell: &str) -> Result<Flow> {
    // Every place is read from as far before as it is looked back from, and the last character is predicted only.
    let texts = study.texts_with(STREAMS * 2 * DEPTH + 1)?;
    let shape = study.shape(cell, study.hidden.unwrap_or(64), &texts);
    let config = study.training(0, 3e-3, study.seeds.start);
    let steps = config.steps.unwrap_or(0);
    let init = Init { scheme: study.scheme.unwrap_or(Scheme::Uniform), forget_bias: None };
    study.note(&shape, init, &config);
    let config = TrainConfig { steps: Some(steps.max(1)), ..config };
    let mut trainer = Trainer::with_init(texts, &shape, init, config)?;
    for _ in 0..steps {
        trainer.step()?;
    }
    trainer.install(|| flow(trainer.model(), trainer.dataset()))
}

/// The mean norms over some places of the text.
fn flow(model: &CharLm<f32>, texts: &Dataset) -> Result<Flow> {
    let (corpus, part) = texts.training();
    let mut streams = BatchLoader::new(corpus, part, STREAMS, 0);
    let mut text = Window::default();
    text.clear(2 * DEPTH, STREAMS);
    streams.read(corpus, texts.vocab(), 2 * DEPTH, &mut text.inputs, &mut text.targets, &mut text.weights)?;
    let mut packed = PackedWeights::new(model, text.inputs.len(), true);
    packed.refresh(model, &text.inputs);
    let before = states(model, &text);
    let norms = (1..=DEPTH).into_par_iter().map(|k| norms(model, &packed, &text, &before[2 * DEPTH - k], k));
    let (by_output, by_cell): (Vec<_>, Vec<_>) = norms.collect::<Vec<_>>().into_iter().unzip();
    Ok(Flow { by_output, by_cell: by_cell.into_iter().flatten().collect() })
}

/// Some steps of a text, of which only the last counts.
fn window(text: &Window, steps: std::ops::Range<usize>) -> Window {
    let all = steps.start * STREAMS..steps.end * STREAMS;
    let mut window = Window::new(steps.len(), STREAMS, text.inputs[all.clone()].to_vec(), text.targets[all].to_vec());
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

/// The norms of the gradients of the last losses by the states `k` steps before.
fn norms(
    model: &CharLm<f32>,
    packed: &PackedWeights<f32>,
    text: &Window,
    before: &[f32],
    k: usize,
) -> (f64, Option<f64>) {
    let window = window(text, text.steps - k..text.steps);
    let mut shard = Shard::new(model, 0, STREAMS, k, Purpose::Training);
    shard.state.copy_from_slice(before);
    shard.forward(model, packed, &window, None);
    // Divided by nothing: every place has a loss of its own.
    shard.score(&window, 1.0);
    shard.backward(packed);
    let gradients = shard.d_initial_state(packed, 0);
    let hidden = model.config().hidden;
    let norm = |vector: &[f32]| vector.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
    let mean =
        |of: &dyn Fn(&[f32]) -> f64| gradients.chunks_exact(model.state_len()).map(of).sum::<f64>() / STREAMS as f64;
    // The output is the first vector of the state, the cell state the last.
    let by_cell = (model.cell().spec.states > 1).then(|| mean(&|row| norm(&row[row.len() - hidden..])));
    (mean(&|row| norm(&row[..hidden])), by_cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::softmax;
    use crate::model::ModelConfig;

    /// Norms that fall evenly from 1 to `half` at the half of the way and to `last` at its end.
    fn norms_by(half: f64, last: f64) -> Vec<f64> {
        (1..=DEPTH)
            .map(|k| {
                if k == 1 {
                    1.0
                } else if k <= DEPTH / 2 {
                    half
                } else {
                    last
                }
            })
            .collect()
    }

    #[test]
    fn nothing_left_is_vanished_and_the_carousel_neither_falls_nor_rises() {
        assert!(vanishes(&norms_by(0.0, 0.0)) && vanishes(&norms_by(1e-3, 0.0)) && vanishes(&norms_by(0.1, 0.01)));
        assert!(!vanishes(&norms_by(0.2, 0.01)) && !vanishes(&norms_by(0.01, 0.01)));
        assert!(stays(&norms_by(0.0, 0.2)) && stays(&norms_by(0.0, 5.0)));
        assert!(!stays(&norms_by(1.0, 0.1)) && !stays(&norms_by(1.0, 10.0)) && !stays(&norms_by(1.0, 0.0)));
        let nothing = [norms_by(f64::NAN, f64::NAN), vec![f64::NAN; DEPTH]];
        assert!(nothing.iter().all(|norms| !vanishes(norms) && !stays(norms)) && !stays(&[0.0; DEPTH]));
    }

    /// The norms are those of the change of the loss with the state, found by changing the state.
    #[test]
    fn norms_are_those_of_differences() {
        const DEEP: usize = 3;
        for cell in ["rnn", "lstm1997", "gru"] {
            let shape = ModelConfig { cell: cell.into(), layers: 1, hidden: 3, embed: 0, vocab: 5 };
            let model = CharLm::with_init(&shape, Init { scheme: Scheme::Xavier, forget_bias: None }, 7).unwrap();
            let ids: Vec<u32> = (0..(2 * DEEP * STREAMS) as u32).map(|i| i * i % 5).collect();
            let text = Window::new(2 * DEEP, STREAMS, ids.clone(), ids);
            let mut packed = PackedWeights::new(&model, text.inputs.len(), true);
            packed.refresh(&model, &text.inputs);
            let before = &states(&model, &text)[DEEP];
            let (by_output, by_cell) = norms(&model, &packed, &text, before, DEEP);

            let inference_model = InferenceModel::new(&model, Precision::F32);
            let loss = |element: usize, change: f32| -> Vec<f64> {
                let mut session = InferenceSession::single_threaded(&inference_model, STREAMS, DEEP);
                for (stream, state) in before.chunks_exact(model.state_len()).enumerate() {
                    session.state_mut(stream).copy_from_slice(state);
                    session.state_mut(stream)[element] += change;
                }
                let window = window(&text, DEEP..2 * DEEP);
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
            assert!(near(by_output, mean(0..3)), "{cell}: {by_output} and {}", mean(0..3));
            if let Some(by_cell) = by_cell {
                assert!(near(by_cell, mean(3..6)), "{cell}: {by_cell} and {}", mean(3..6));
            }
        }
    }
}
