//! Checks every cell against a naive f64 implementation of the equations in its paper.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use charlstm::cells::CELLS;
use charlstm::kernels::Precision;
use charlstm::model::{CharLm, InferenceModel, InferenceSession, Input, ModelConfig};

const VOCAB: usize = 6;
const HIDDEN: usize = 4;
const EMBED: usize = 3;
const STEPS: usize = 7;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A deterministic value of weight `i`.
fn weight(i: usize) -> f64 {
    (i as f64 * 2.399 + 0.7).sin() * 0.8
}

/// A recurrent layer and its current state: vectors of length `HIDDEN` by name.
struct Layer<'m> {
    model: &'m CharLm<f64>,
    state: BTreeMap<&'static str, Vec<f64>>,
}

impl Layer<'_> {
    fn previous(&self, name: &'static str) -> Vec<f64> {
        self.state.get(name).cloned().unwrap_or_else(|| vec![0.0; HIDDEN])
    }

    /// `W x` of a gate.
    fn input_product(&self, gate: usize, x: &[f64]) -> Vec<f64> {
        let w = self.model.matrix(self.model.rnn(0).w_ih);
        (0..HIDDEN).map(|j| (0..EMBED).map(|k| w.at(k, gate * HIDDEN + j) * x[k]).sum()).collect()
    }

    /// `R y` of a gate, where `y` is the recurrent input with index `from`.
    fn recurrent_product(&self, from: usize, gate: usize, y: &[f64]) -> Vec<f64> {
        let w = self.model.matrix(self.model.rnn(0).w_hh.unwrap());
        (0..HIDDEN).map(|j| (0..HIDDEN).map(|k| w.at(from * HIDDEN + k, gate * HIDDEN + j) * y[k]).sum()).collect()
    }

    fn bias(&self, gate: usize) -> Vec<f64> {
        self.model.slice(self.model.rnn(0).b)[gate * HIDDEN..][..HIDDEN].to_vec()
    }

    fn diagonal(&self, index: usize) -> Vec<f64> {
        self.model.diagonal_weights(0)[index * HIDDEN..][..HIDDEN].to_vec()
    }

    /// `W x + R h + b`.
    fn pre_activation(&self, gate: usize, x: &[f64]) -> Vec<f64> {
        add(&[&self.input_product(gate, x), &self.recurrent_product(0, gate, &self.previous("h")), &self.bias(gate)])
    }
}

fn add(vectors: &[&[f64]]) -> Vec<f64> {
    (0..HIDDEN).map(|j| vectors.iter().map(|v| v[j]).sum()).collect()
}

fn multiply(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..HIDDEN).map(|j| a[j] * b[j]).collect()
}

fn map(f: impl Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| f(*x)).collect()
}

/// One time step of a cell: the new state by name.
type CellStep = fn(&Layer<'_>, &[f64]) -> BTreeMap<&'static str, Vec<f64>>;

fn state<const N: usize>(vectors: [(&'static str, Vec<f64>); N]) -> BTreeMap<&'static str, Vec<f64>> {
    vectors.into_iter().collect()
}

/// Elman 1990.
fn rnn(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    state([("h", map(f64::tanh, &l.pre_activation(0, x)))])
}

/// Hochreiter & Schmidhuber 1997, appendix A: `g` in -2 to 2, `h` in -1 to 1, no forget gate.
fn lstm1997(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let y_in = map(sigmoid, &l.pre_activation(0, x));
    let g = map(|net| 4.0 / (1.0 + (-net).exp()) - 2.0, &l.pre_activation(1, x));
    let y_out = map(sigmoid, &l.pre_activation(2, x));
    let s = add(&[&l.previous("c"), &multiply(&y_in, &g)]);
    let activated = map(|s| 2.0 / (1.0 + (-s).exp()) - 1.0, &s);
    state([("h", multiply(&y_out, &activated)), ("c", s)])
}

/// Gers, Schmidhuber & Cummins 1999.
fn lstm(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let (i, f) = (map(sigmoid, &l.pre_activation(0, x)), map(sigmoid, &l.pre_activation(1, x)));
    let (g, o) = (map(f64::tanh, &l.pre_activation(2, x)), map(sigmoid, &l.pre_activation(3, x)));
    let c = add(&[&multiply(&f, &l.previous("c")), &multiply(&i, &g)]);
    state([("h", multiply(&o, &map(f64::tanh, &c))), ("c", c)])
}

/// Greff et al. 2015, section 2 and appendix A.3: the vanilla LSTM and its variants.
#[derive(Default)]
struct Odyssey {
    /// The indices of the input gate, forget gate, block input and output gate, if the variant has them.
    gates: [Option<usize>; 4],
    linear_block_input: bool,
    linear_output: bool,
    coupled_gates: bool,
    full_gate_recurrence: bool,
}

impl Odyssey {
    fn step(&self, l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
        let ones = vec![1.0; HIDDEN];
        let old = l.previous("c");
        // Peepholes are stored in the order input, forget, output, without those of missing gates.
        let peephole = |which: usize| {
            let with_peephole = [self.gates[0], self.gates[1], self.gates[3]];
            l.diagonal(with_peephole[..which].iter().flatten().count())
        };
        let gate = |gate: usize, which: usize, cell_state: &[f64]| {
            let mut a = add(&[&l.pre_activation(gate, x), &multiply(&peephole(which), cell_state)]);
            if self.full_gate_recurrence {
                for (from, name) in [(1, "i"), (2, "f"), (3, "o")] {
                    a = add(&[&a, &l.recurrent_product(from, gate, &l.previous(name))]);
                }
            }
            map(sigmoid, &a)
        };
        let i = self.gates[0].map_or(ones.clone(), |index| gate(index, 0, &old));
        let f = match self.gates[1] {
            Some(index) => gate(index, 1, &old),
            None if self.coupled_gates => map(|i| 1.0 - i, &i),
            None => ones.clone(),
        };
        let z = l.pre_activation(self.gates[2].unwrap(), x);
        let z = if self.linear_block_input { z } else { map(f64::tanh, &z) };
        let c = add(&[&multiply(&z, &i), &multiply(&old, &f)]);
        let o = self.gates[3].map_or(ones, |index| gate(index, 2, &c));
        let activated = if self.linear_output { c.clone() } else { map(f64::tanh, &c) };
        state([("h", multiply(&activated, &o)), ("c", c), ("i", i), ("f", f), ("o", o)])
    }
}

const ALL_GATES: [Option<usize>; 4] = [Some(0), Some(1), Some(2), Some(3)];

fn odyssey(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let vanilla = Odyssey { gates: ALL_GATES, ..Odyssey::default() };
    let cell = match l.model.config().cell.as_str() {
        "vanilla" => vanilla,
        "peephole" => Odyssey { linear_output: true, ..vanilla },
        "niaf" => Odyssey { linear_block_input: true, ..vanilla },
        "nig" => Odyssey { gates: [None, Some(0), Some(1), Some(2)], ..vanilla },
        "nfg" => Odyssey { gates: [Some(0), None, Some(1), Some(2)], ..vanilla },
        "nog" => Odyssey { gates: [Some(0), Some(1), Some(2), None], ..vanilla },
        "cifg" => Odyssey { gates: [Some(0), None, Some(1), Some(2)], coupled_gates: true, ..vanilla },
        "fgr" => Odyssey { full_gate_recurrence: true, ..vanilla },
        other => panic!("{other}: add its equations to step_of"),
    };
    cell.step(l, x)
}

/// Coupled input and forget gates, without peepholes.
fn coupled(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let (i, g, o) = (
        map(sigmoid, &l.pre_activation(0, x)),
        map(f64::tanh, &l.pre_activation(1, x)),
        map(sigmoid, &l.pre_activation(2, x)),
    );
    let c = add(&[&multiply(&map(|i| 1.0 - i, &i), &l.previous("c")), &multiply(&i, &g)]);
    state([("h", multiply(&o, &map(f64::tanh, &c))), ("c", c)])
}

/// Cho et al. 2014, with the reset gate applied after the recurrent product.
fn gru(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let old = l.previous("h");
    // Columns of w_ih: n, r, z. Columns of w_hh: r, z, m. Biases: n, r, z, m.
    let r = map(sigmoid, &add(&[&l.input_product(1, x), &l.recurrent_product(0, 0, &old), &l.bias(1)]));
    let z = map(sigmoid, &add(&[&l.input_product(2, x), &l.recurrent_product(0, 1, &old), &l.bias(2)]));
    let m = add(&[&l.recurrent_product(0, 2, &old), &l.bias(3)]);
    let n = map(f64::tanh, &add(&[&l.input_product(0, x), &l.bias(0), &multiply(&r, &m)]));
    state([("h", add(&[&multiply(&map(|z| 1.0 - z, &z), &n), &multiply(&z, &old)]))])
}

/// Gonnet & Deselaers 2019: diagonal recurrent matrices.
fn indylstm(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let a = |gate| add(&[&l.input_product(gate, x), &multiply(&l.diagonal(gate), &l.previous("h")), &l.bias(gate)]);
    let (i, f, g, o) = (map(sigmoid, &a(0)), map(sigmoid, &a(1)), map(f64::tanh, &a(2)), map(sigmoid, &a(3)));
    let c = add(&[&multiply(&f, &l.previous("c")), &multiply(&i, &g)]);
    state([("h", multiply(&o, &map(f64::tanh, &c))), ("c", c)])
}

fn step_of(cell: &str) -> CellStep {
    match cell {
        "rnn" => rnn,
        "lstm1997" => lstm1997,
        "lstm" => lstm,
        "coupled" => coupled,
        "gru" => gru,
        "indylstm" => indylstm,
        _ => odyssey,
    }
}

#[test]
fn cells_agree_with_the_equations_of_their_papers() {
    for cell in CELLS {
        let config = ModelConfig {
            cell: cell.spec.name.into(),
            num_layers: 1,
            hidden_size: HIDDEN,
            embed_size: EMBED,
            vocab_size: VOCAB,
        };
        let mut model = CharLm::<f64>::zeros(&config).unwrap();
        model.weights.iter_mut().enumerate().for_each(|(i, w)| *w = weight(i));
        let layout = model.layout().clone();
        for (from, gate) in cell.spec.zero_blocks {
            let w_hh = model.rnn(0).w_hh.unwrap();
            let w_hh = layout.slice_mut(&mut model.weights, w_hh);
            let rows = w_hh.chunks_exact_mut(cell.spec.recurrent_gates.len() * HIDDEN).skip(from * HIDDEN).take(HIDDEN);
            rows.for_each(|row| row[gate * HIDDEN..][..HIDDEN].fill(0.0));
        }
        let ids: Vec<u32> = (0..STEPS).map(|t| (t * t + 1) as u32 % VOCAB as u32).collect();

        let mut layer = Layer { model: &model, state: BTreeMap::new() };
        let (embed, head) = (model.matrix(model.embed().unwrap()), model.matrix(model.head_w()));
        let mut expected = Vec::new();
        for id in &ids {
            layer.state = step_of(cell.spec.name)(&layer, embed.row(*id as usize));
            let h = &layer.state["h"];
            let bias = model.slice(model.head_b());
            expected.extend((0..VOCAB).map(|v| bias[v] + (0..HIDDEN).map(|k| head.at(k, v) * h[k]).sum::<f64>()));
        }

        let inference_model = InferenceModel::new(&model, Precision::F32);
        let mut session = InferenceSession::new(&inference_model, 1, STEPS);
        session.run(&ids.iter().map(|id| Input::with_logits(*id)).collect::<Vec<_>>());
        let mut logits = Vec::new();
        session.for_each_logits(|_, row| logits.extend_from_slice(row));
        assert_eq!(logits.len(), expected.len());
        for (i, (logit, expected)) in logits.iter().zip(&expected).enumerate() {
            assert!((logit - expected).abs() < 1e-10, "{}, logit {i}: {logit} instead of {expected}", cell.spec.name);
        }
    }
}
