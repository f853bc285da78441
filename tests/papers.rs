//! The equations of every paper, written down as they stand there: one loop per gate, one unit at a time, in f64. The cells must
//! give the same numbers.

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

fn number(i: usize) -> f64 {
    (i as f64 * 2.399 + 0.7).sin() * 0.8
}

/// A layer's weights by name, and what it remembers: vectors of `HIDDEN` by name.
struct Layer<'m> {
    model: &'m CharLm<f64>,
    state: BTreeMap<&'static str, Vec<f64>>,
}

impl Layer<'_> {
    fn old(&self, name: &'static str) -> Vec<f64> {
        self.state.get(name).cloned().unwrap_or_else(|| vec![0.0; HIDDEN])
    }

    /// `W x` for a gate: the gates of `w_ih` stand side by side.
    fn of_input(&self, gate: usize, x: &[f64]) -> Vec<f64> {
        let w = self.model.matrix(self.model.rnn(0).w_ih);
        (0..HIDDEN).map(|j| (0..EMBED).map(|k| w.at(k, gate * HIDDEN + j) * x[k]).sum()).collect()
    }

    /// `R y` for a gate, `y` being the fed-back vector number `from`.
    fn of_state(&self, from: usize, gate: usize, y: &[f64]) -> Vec<f64> {
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
    fn sum(&self, gate: usize, x: &[f64]) -> Vec<f64> {
        add(&[&self.of_input(gate, x), &self.of_state(0, gate, &self.old("h")), &self.bias(gate)])
    }
}

fn add(vectors: &[&[f64]]) -> Vec<f64> {
    (0..HIDDEN).map(|j| vectors.iter().map(|v| v[j]).sum()).collect()
}

fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..HIDDEN).map(|j| a[j] * b[j]).collect()
}

fn map(f: impl Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| f(*x)).collect()
}

/// One step of a paper's cell: the new state by name.
type Paper = fn(&Layer<'_>, &[f64]) -> BTreeMap<&'static str, Vec<f64>>;

fn state<const N: usize>(vectors: [(&'static str, Vec<f64>); N]) -> BTreeMap<&'static str, Vec<f64>> {
    vectors.into_iter().collect()
}

/// Elman's network.
fn rnn(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    state([("h", map(f64::tanh, &l.sum(0, x)))])
}

/// Hochreiter & Schmidhuber 1997, appendix A: `g` from -2 to 2, `h` from -1 to 1, and nothing that forgets.
fn lstm1997(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let y_in = map(sigmoid, &l.sum(0, x));
    let g = map(|net| 4.0 / (1.0 + (-net).exp()) - 2.0, &l.sum(1, x));
    let y_out = map(sigmoid, &l.sum(2, x));
    let s = add(&[&l.old("c"), &times(&y_in, &g)]);
    let squashed = map(|s| 2.0 / (1.0 + (-s).exp()) - 1.0, &s);
    state([("h", times(&y_out, &squashed)), ("c", s)])
}

/// Gers, Schmidhuber & Cummins 1999.
fn lstm(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let (i, f) = (map(sigmoid, &l.sum(0, x)), map(sigmoid, &l.sum(1, x)));
    let (g, o) = (map(f64::tanh, &l.sum(2, x)), map(sigmoid, &l.sum(3, x)));
    let c = add(&[&times(&f, &l.old("c")), &times(&i, &g)]);
    state([("h", times(&o, &map(f64::tanh, &c))), ("c", c)])
}

/// Greff et al. 2015, section 2 and appendix A.3: the vanilla network less one of its parts, or with one more. The places of
/// the gates that are there: input, forget, block input, output.
#[derive(Default)]
struct Odyssey {
    places: [Option<usize>; 4],
    no_input_squash: bool,
    no_output_squash: bool,
    coupled: bool,
    full_recurrence: bool,
}

impl Odyssey {
    fn step(&self, l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
        let ones = vec![1.0; HIDDEN];
        let old = l.old("c");
        // Peepholes are kept in the order input, forget, output, those of gates that are there.
        let peephole = |which: usize| {
            let gates = [self.places[0], self.places[1], self.places[3]];
            l.diagonal(gates[..which].iter().flatten().count())
        };
        let gate = |place: usize, which: usize, seen: &[f64]| {
            let mut a = add(&[&l.sum(place, x), &times(&peephole(which), seen)]);
            if self.full_recurrence {
                for (from, name) in [(1, "i"), (2, "f"), (3, "o")] {
                    a = add(&[&a, &l.of_state(from, place, &l.old(name))]);
                }
            }
            map(sigmoid, &a)
        };
        let i = self.places[0].map_or(ones.clone(), |place| gate(place, 0, &old));
        let f = match self.places[1] {
            Some(place) => gate(place, 1, &old),
            None if self.coupled => map(|i| 1.0 - i, &i),
            None => ones.clone(),
        };
        let z = l.sum(self.places[2].unwrap(), x);
        let z = if self.no_input_squash { z } else { map(f64::tanh, &z) };
        let c = add(&[&times(&z, &i), &times(&old, &f)]);
        let o = self.places[3].map_or(ones, |place| gate(place, 2, &c));
        let squashed = if self.no_output_squash { c.clone() } else { map(f64::tanh, &c) };
        state([("h", times(&squashed, &o)), ("c", c), ("i", i), ("f", f), ("o", o)])
    }
}

const ALL: [Option<usize>; 4] = [Some(0), Some(1), Some(2), Some(3)];

fn odyssey(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let vanilla = Odyssey { places: ALL, ..Odyssey::default() };
    let cell = match l.model.config().cell.as_str() {
        "vanilla" => vanilla,
        "peephole" => Odyssey { no_output_squash: true, ..vanilla },
        "niaf" => Odyssey { no_input_squash: true, ..vanilla },
        "nig" => Odyssey { places: [None, Some(0), Some(1), Some(2)], ..vanilla },
        "nfg" => Odyssey { places: [Some(0), None, Some(1), Some(2)], ..vanilla },
        "nog" => Odyssey { places: [Some(0), Some(1), Some(2), None], ..vanilla },
        "cifg" => Odyssey { places: [Some(0), None, Some(1), Some(2)], coupled: true, ..vanilla },
        "fgr" => Odyssey { full_recurrence: true, ..vanilla },
        other => panic!("{other}"),
    };
    cell.step(l, x)
}

/// Coupled gates without peepholes.
fn coupled(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let (i, g, o) = (map(sigmoid, &l.sum(0, x)), map(f64::tanh, &l.sum(1, x)), map(sigmoid, &l.sum(2, x)));
    let c = add(&[&times(&map(|i| 1.0 - i, &i), &l.old("c")), &times(&i, &g)]);
    state([("h", times(&o, &map(f64::tanh, &c))), ("c", c)])
}

/// Cho et al. 2014, the reset gate after the product.
fn gru(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let old = l.old("h");
    // Columns of w_ih: n, r, z. Columns of w_hh: r, z, m. Biases: n, r, z, m.
    let r = map(sigmoid, &add(&[&l.of_input(1, x), &l.of_state(0, 0, &old), &l.bias(1)]));
    let z = map(sigmoid, &add(&[&l.of_input(2, x), &l.of_state(0, 1, &old), &l.bias(2)]));
    let m = add(&[&l.of_state(0, 2, &old), &l.bias(3)]);
    let n = map(f64::tanh, &add(&[&l.of_input(0, x), &l.bias(0), &times(&r, &m)]));
    state([("h", add(&[&times(&map(|z| 1.0 - z, &z), &n), &times(&z, &old)]))])
}

/// Gonnet & Deselaers 2019: a diagonal in place of every recurrent matrix.
fn indylstm(l: &Layer<'_>, x: &[f64]) -> BTreeMap<&'static str, Vec<f64>> {
    let a = |gate| add(&[&l.of_input(gate, x), &times(&l.diagonal(gate), &l.old("h")), &l.bias(gate)]);
    let (i, f, g, o) = (map(sigmoid, &a(0)), map(sigmoid, &a(1)), map(f64::tanh, &a(2)), map(sigmoid, &a(3)));
    let c = add(&[&times(&f, &l.old("c")), &times(&i, &g)]);
    state([("h", times(&o, &map(f64::tanh, &c))), ("c", c)])
}

fn paper(cell: &str) -> Paper {
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
fn every_cell_computes_what_its_paper_says() {
    for cell in CELLS {
        let config = ModelConfig { cell: cell.spec.name.into(), layers: 1, hidden: HIDDEN, embed: EMBED, vocab: VOCAB };
        let mut model = CharLm::<f64>::zeros(&config).unwrap();
        model.weights.iter_mut().enumerate().for_each(|(i, w)| *w = number(i));
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
        let mut wanted = Vec::new();
        for id in &ids {
            let new = paper(cell.spec.name)(&layer, embed.row(*id as usize));
            layer.state = new;
            let h = &layer.state["h"];
            let bias = model.slice(model.head_b());
            wanted.extend((0..VOCAB).map(|v| bias[v] + (0..HIDDEN).map(|k| head.at(k, v) * h[k]).sum::<f64>()));
        }

        let inference_model = InferenceModel::new(&model, Precision::F32);
        let mut session = InferenceSession::new(&inference_model, 1, STEPS);
        session.run(&ids.iter().map(|id| Input::with_logits(*id)).collect::<Vec<_>>());
        let mut got = Vec::new();
        session.for_each_logits(|_, logits| got.extend_from_slice(logits));
        assert_eq!(got.len(), wanted.len());
        for (i, (g, w)) in got.iter().zip(&wanted).enumerate() {
            assert!((g - w).abs() < 1e-10, "{}, logit {i}: {g} instead of {w}", cell.spec.name);
        }
    }
}
