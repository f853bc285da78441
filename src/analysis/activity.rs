//! States and gates of the units while a model reads a text: Karpathy, Johnson & Fei-Fei, "Visualizing and Understanding
//! Recurrent Networks" (2015).

use crate::cells::CellSpec;
use crate::error::{Error, Result};
use crate::model::{InferenceModel, InferenceSession};

/// Characters per window; the state is carried from one window to the next.
const STEPS: usize = 32;

/// The gates that are sigmoids in every cell that has them.
const SIGMOID_GATES: [&str; 5] = ["i", "f", "o", "r", "z"];

/// A quantity that can be recorded for each unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitQuantity {
    /// The cell state `c` after a character; the output `h` if the cell has no other state.
    State,
    /// A gate by its index in [`CellSpec::gates`]: its activation, except for the `m` of the gru, which has none.
    Gate(usize),
}

impl UnitQuantity {
    /// All quantities of a cell, the state first. A gate that equals the state, the `h` of the rnn, is not repeated.
    pub fn all(spec: &CellSpec) -> Vec<UnitQuantity> {
        let gates = (0..spec.gates.len()).filter(|gate| spec.gates[*gate] != UnitQuantity::State.name(spec));
        std::iter::once(UnitQuantity::State).chain(gates.map(UnitQuantity::Gate)).collect()
    }

    /// Finds a quantity by name.
    pub fn find(spec: &CellSpec, name: &str) -> Result<UnitQuantity> {
        let all = Self::all(spec);
        let names: Vec<_> = all.iter().map(|quantity| quantity.name(spec)).collect();
        let found = all.iter().find(|quantity| quantity.name(spec) == name);
        found.copied().ok_or_else(|| Error::unknown_name(format!("gate of {}", spec.name), name, &names))
    }

    /// The quantity's name in the cell's equations.
    pub fn name(self, spec: &CellSpec) -> &'static str {
        match self {
            UnitQuantity::State if spec.states > 1 => "c",
            UnitQuantity::State => "h",
            UnitQuantity::Gate(gate) => spec.gates[gate],
        }
    }

    /// Whether the quantity is a gate from 0 to 1.
    pub fn is_sigmoid_gate(self, spec: &CellSpec) -> bool {
        matches!(self, UnitQuantity::Gate(gate) if SIGMOID_GATES.contains(&spec.gates[gate]))
    }
}

/// The quantity of every unit of every layer after each character of a text, `(T, layers * H)`, starting from the zero state.
///
/// # Errors
/// [`Error::Diverged`] if a value is not finite.
pub fn record_activity(model: &InferenceModel<'_>, ids: &[u32], quantity: UnitQuantity) -> Result<Vec<f32>> {
    let (config, spec) = (model.config(), model.cell().spec);
    let (layers, hidden) = (config.num_layers, config.hidden_size);
    // The cell state is the last vector of a layer's states.
    let (parts, part) = match quantity {
        UnitQuantity::State => (spec.states, spec.states - 1),
        UnitQuantity::Gate(gate) => (spec.gates.len(), gate),
    };
    let mut session = InferenceSession::new(model, 1, STEPS);
    let mut row = vec![0.0; parts * hidden];
    let mut values = Vec::with_capacity(ids.len() * layers * hidden);
    for ids in ids.chunks(STEPS) {
        session.read(ids);
        for (t, layer) in (0..ids.len()).flat_map(|t| (0..layers).map(move |layer| (t, layer))) {
            match quantity {
                UnitQuantity::State => session.read_state(layer, t, 0, &mut row),
                UnitQuantity::Gate(_) => session.read_gates(layer, t, 0, &mut row),
            }
            values.extend_from_slice(&row[part * hidden..][..hidden]);
        }
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(i) => {
            let (t, unit) = (i / (layers * hidden) + 1, i % (layers * hidden));
            let (layer, unit, name) = (unit / hidden + 1, unit % hidden + 1, quantity.name(spec));
            Err(Error::Diverged(format!(
                "{name} of layer {layer}, unit {unit} is not finite at character {t}; use a shorter text"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::CELLS;
    use crate::kernels::Precision;
    use crate::model::{CharLm, ModelConfig};

    const HIDDEN: usize = 5;
    const LAYERS: usize = 2;
    const VOCAB: usize = 6;

    fn sample(cell: &str, scale: f32) -> CharLm<f32> {
        let config = ModelConfig {
            cell: cell.into(),
            num_layers: LAYERS,
            hidden_size: HIDDEN,
            embed_size: HIDDEN - 1,
            vocab_size: VOCAB,
        };
        let mut model = CharLm::init(&config, 3).unwrap();
        let bump = |i: usize| 0.3 * (i as f32 * 1.7).sin();
        model.weights.iter_mut().enumerate().for_each(|(i, w)| *w = *w * scale + bump(i));
        model.clear_zero_blocks();
        model
    }

    /// More than two windows of characters without a repeating pattern.
    fn text() -> Vec<u32> {
        (0..STEPS as u32 * 2 + 9).map(|t| t * t * t % 101 % VOCAB as u32).collect()
    }

    /// The recorded quantity with the given name, `(T, layers * H)`.
    fn recorded(model: &CharLm<f32>, name: &str) -> Vec<f32> {
        let quantity = UnitQuantity::find(model.cell().spec, name).unwrap();
        record_activity(&InferenceModel::new(model, Precision::F32), &text(), quantity).unwrap()
    }

    /// `b + W x` and `R h` of every element of the gates, from the weights as stored; 0 for gates without that product.
    fn sums(model: &CharLm<f32>, layer: usize, x: &[f64], h: &[f64]) -> Vec<[f64; 2]> {
        let (spans, spec) = (model.rnn(layer), model.cell().spec);
        let (w_ih, w_hh) = (model.matrix(spans.w_ih), model.matrix(spans.w_hh.unwrap()));
        let part = |w: crate::kernels::Mat<'_, f32>, from: &[f64], reached: &std::ops::Range<usize>, place: usize| {
            let column = place.checked_sub(reached.start * HIDDEN).filter(|column| *column < w.cols());
            column.map_or(0.0, |column| from.iter().enumerate().map(|(k, x)| x * f64::from(w.at(k, column))).sum())
        };
        let sum = |place: usize| [part(w_ih, x, &spec.input_gates, place), part(w_hh, h, &spec.recurrent_gates, place)];
        let biases = model.slice(spans.b).iter().enumerate();
        biases.map(|(place, b)| [sum(place)[0] + f64::from(*b), sum(place)[1]]).collect()
    }

    /// Evaluates the equations unit by unit; returns the values of each name.
    fn stepped(cell: &str, model: &CharLm<f32>, names: &[&str]) -> Vec<Vec<f64>> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut h, mut c) = (vec![vec![0.0; HIDDEN]; LAYERS], vec![vec![0.0; HIDDEN]; LAYERS]);
        let mut found = vec![Vec::new(); names.len()];
        for id in text() {
            let embedding = model.matrix(model.embed().unwrap());
            let mut x: Vec<f64> = embedding.row(id as usize).iter().map(|x| f64::from(*x)).collect();
            for layer in 0..LAYERS {
                let sums = sums(model, layer, &x, &h[layer]);
                let p = |place: usize, j: usize| {
                    model.diagonal_weights(layer).get(place * HIDDEN + j).map_or(0.0, |p| f64::from(*p))
                };
                for j in 0..HIDDEN {
                    let a = |gate: usize| sums[gate * HIDDEN + j].iter().sum::<f64>();
                    let (mut values, before) = (Vec::new(), c[layer][j]);
                    match cell {
                        "rnn" => h[layer][j] = a(0).tanh(),
                        "gru" => {
                            let (r, z) = (sigmoid(a(1)), sigmoid(a(2)));
                            // The pre-activation of n is split into an input term and a recurrent term.
                            let m = a(3);
                            let n = (sums[j][0] + r * m).tanh();
                            h[layer][j] = (1.0 - z) * n + z * h[layer][j];
                            values = vec![("n", n), ("r", r), ("z", z), ("m", m)];
                        }
                        _ => {
                            let (i, f) = (sigmoid(a(0) + p(0, j) * before), sigmoid(a(1) + p(1, j) * before));
                            let g = a(2).tanh();
                            c[layer][j] = f * before + i * g;
                            let now = c[layer][j];
                            let o = sigmoid(a(3) + p(2, j) * now);
                            h[layer][j] = o * if cell == "peephole" { now } else { now.tanh() };
                            values = vec![("i", i), ("f", f), ("g", g), ("o", o)];
                        }
                    }
                    values.extend([("c", c[layer][j]), ("h", h[layer][j])]);
                    for (name, found) in names.iter().zip(&mut found) {
                        found.extend(values.iter().find(|(of, _)| of == name).map(|(_, value)| *value));
                    }
                }
                x = h[layer].clone();
            }
        }
        found
    }

    #[test]
    fn recorded_values_agree_with_the_equations() {
        for (cell, names) in [
            ("lstm", &["c", "i", "f", "g", "o"][..]),
            ("peephole", &["c", "i", "f", "g", "o"]),
            ("gru", &["h", "n", "r", "z", "m"]),
            ("rnn", &["h"]),
        ] {
            let model = sample(cell, 1.0);
            let all = UnitQuantity::all(model.cell().spec);
            assert_eq!(all.iter().map(|quantity| quantity.name(model.cell().spec)).collect::<Vec<_>>(), names);
            for (name, expected) in names.iter().zip(stepped(cell, &model, names)) {
                let got = recorded(&model, name);
                assert_eq!((got.len(), expected.len()), (text().len() * LAYERS * HIDDEN, got.len()), "{cell} {name}");
                let off = got.iter().zip(&expected).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max);
                assert!(off < 1e-5, "{cell} {name}: {off}");
            }
        }
    }

    #[test]
    fn recorded_states_equal_session_states() {
        for cell in CELLS {
            let model = sample(cell.spec.name, 1.0);
            let inference_model = InferenceModel::new(&model, Precision::F32);
            let values = record_activity(&inference_model, &text(), UnitQuantity::State).unwrap();
            let mut session = InferenceSession::new(&inference_model, 1, 1);
            for (t, id) in text().into_iter().enumerate() {
                session.read(&[id]);
                for (layer, state) in session.state(0).chunks_exact(model.layer_state_len()).enumerate() {
                    let held = &values[(t * LAYERS + layer) * HIDDEN..][..HIDDEN];
                    assert_eq!(held, &state[state.len() - HIDDEN..], "{} after {t}", cell.spec.name);
                }
            }
        }
    }

    #[test]
    fn only_sigmoid_gates_are_always_between_0_and_1() {
        for spec in CELLS.iter().map(|cell| cell.spec) {
            let model = sample(spec.name, 3.0);
            for quantity in UnitQuantity::all(spec) {
                let values = record_activity(&InferenceModel::new(&model, Precision::F32), &text(), quantity).unwrap();
                let inside = values.iter().all(|value| (0.0..=1.0).contains(value));
                assert_eq!(inside, quantity.is_sigmoid_gate(spec), "{} {}", spec.name, quantity.name(spec));
            }
        }
    }

    #[test]
    fn an_unknown_gate_is_rejected_with_the_list_of_gates() {
        let spec = sample("gru", 1.0).cell().spec;
        let message = UnitQuantity::find(spec, "f").unwrap_err().to_string();
        assert!(message.contains("gate of gru") && message.ends_with("h, n, r, z, m"), "{message}");
    }

    #[test]
    fn values_that_overflow_are_an_error() {
        let mut model = sample("niaf", 1.0);
        let b = model.layout().span(model.rnn(0).b).range.start;
        let p = model.layout().span(model.rnn(0).p.unwrap()).range.clone();
        // The first unit forgets nothing and adds a large fraction of `f32::MAX` at every step.
        model.weights[p].fill(0.0);
        model.weights[b + HIDDEN] = 100.0;
        model.weights[b + 2 * HIDDEN] = f32::MAX;
        let error =
            record_activity(&InferenceModel::new(&model, Precision::F32), &text(), UnitQuantity::State).unwrap_err();
        assert!(matches!(&error, Error::Diverged(message) if message.starts_with("c of layer 1, unit 1")), "{error}");
    }
}
