//! Initialization of weights.

use std::str::FromStr;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::char_lm::CharLm;
use super::config::ModelConfig;
use crate::cells::RegisteredCell;
use crate::error::{Error, Result};
use crate::kernels::{MatMut, orthogonal};

/// The distribution of the weights of the recurrent layers. Peepholes are initialized to 0; diagonal recurrent weights are uniform
/// in [-1, 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// An orthogonal recurrent matrix for each gate (Saxe et al. 2014); input weights as for [`Xavier`](Self::Xavier).
    #[default]
    Orthogonal,
    /// Uniform between `-1 / sqrt(H)` and `1 / sqrt(H)`, as in PyTorch; biases are zero, unlike in PyTorch.
    Uniform,
    /// Uniform between plus and minus `sqrt(6 / (fan_in + fan_out))` of each gate (Glorot & Bengio 2010).
    Xavier,
}

impl Scheme {
    /// The names that [`str::parse`] accepts.
    pub const NAMES: [&str; 3] = ["orthogonal", "uniform", "xavier"];
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "orthogonal" => Ok(Scheme::Orthogonal),
            "uniform" => Ok(Scheme::Uniform),
            "xavier" => Ok(Scheme::Xavier),
            _ => Err(Error::unknown_name("initialization", name, &Self::NAMES)),
        }
    }
}

/// How the weights of a model are initialized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Init {
    /// The distribution of the recurrent layers.
    pub scheme: Scheme,
    /// The initial bias of the forget gate; `None` means 1, so that an untrained cell keeps its state (Gers et al. 1999; Jozefowicz
    /// et al. 2015).
    pub forget_bias: Option<f64>,
}

impl Init {
    /// Checks that the settings apply to models with this cell.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the bias is out of range; [`Error::Inapplicable`] if the cell has no separate forget gate.
    pub fn validate(&self, cell: &RegisteredCell) -> Result<()> {
        match self.forget_bias {
            Some(bias) if !(-1e3..=1e3).contains(&bias) => {
                Err(Error::out_of_range("forget_bias", bias, "-1000 to 1000"))
            }
            Some(_) if cell.spec.forget_gate.is_none() => {
                let reason = format!("the cell \"{}\" has no separate forget gate", cell.spec.name);
                Err(Error::Inapplicable { setting: "forget_bias", reason })
            }
            _ => Ok(()),
        }
    }
}

impl CharLm<f32> {
    /// A model with initialized weights, like [`with_init`](Self::with_init) with the default [`Init`].
    pub fn init(config: &ModelConfig, seed: u64) -> Result<Self> {
        Self::with_init(config, Init::default(), seed)
    }

    /// A model with initialized weights, which depend only on the shape, `init` and the seed:
    ///
    /// - recurrent layers: as given by `init`; biases zero, except that of the forget gate
    /// - embedding: standard normal
    /// - output: uniform between plus and minus `1 / sqrt(H)`, biases zero
    pub fn with_init(config: &ModelConfig, init: Init, seed: u64) -> Result<Self> {
        init.validate(config.validate()?)?;
        let mut model = CharLm::zeros(config)?;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        if let Some(embed) = model.embed() {
            let layout = model.layout().clone();
            layout.slice_mut(&mut model.weights, embed).fill_with(|| StandardNormal.sample(&mut rng));
        }
        for layer in 0..config.num_layers {
            model.init_layer(layer, init, &mut rng);
        }
        let limit = 1.0 / (config.hidden_size as f32).sqrt();
        let (layout, head_w) = (model.layout().clone(), model.head_w());
        layout.slice_mut(&mut model.weights, head_w).fill_with(|| rng.random_range(-limit..limit));
        Ok(model)
    }

    fn init_layer(&mut self, layer: usize, init: Init, rng: &mut Xoshiro256PlusPlus) {
        let (spec, hidden, layout) = (self.cell().spec, self.config().hidden_size, self.layout().clone());
        let spans = self.rnn(layer);
        // A one-hot vector has a single nonzero element, so its fan-in is 1.
        let inputs = if layer == 0 && self.config().embed_size == 0 { 1 } else { layout.span(spans.w_ih).rows };
        let narrow = 1.0 / (hidden as f32).sqrt();
        let limit = |inputs: usize| match init.scheme {
            Scheme::Uniform => narrow,
            Scheme::Orthogonal | Scheme::Xavier => (6.0 / (inputs + hidden) as f32).sqrt(),
        };
        let of_input = limit(inputs);
        layout.slice_mut(&mut self.weights, spans.w_ih).fill_with(|| rng.random_range(-of_input..of_input));
        if let Some(w_hh) = spans.w_hh {
            let (w_hh, gates) = (layout.slice_mut(&mut self.weights, w_hh), spec.recurrent_gates.len());
            for (state, gate) in (0..spec.recurrent_inputs).flat_map(|state| (0..gates).map(move |gate| (state, gate)))
            {
                if spec.zero_blocks.contains(&(state, gate)) {
                    continue;
                }
                let first = (state * hidden * gates + gate) * hidden;
                let mut block = MatMut::strided(&mut w_hh[first..], hidden, hidden, gates * hidden);
                if init.scheme == Scheme::Orthogonal {
                    orthogonal(block, || StandardNormal.sample(rng));
                } else {
                    let limit = limit(hidden);
                    (0..hidden).for_each(|row| block.row(row).fill_with(|| rng.random_range(-limit..limit)));
                }
            }
        }
        if let Some(p) = spans.p {
            let p = layout.slice_mut(&mut self.weights, p);
            for (weights, _) in p.chunks_exact_mut(hidden).zip(spec.diagonal_weights).filter(|(_, to)| to.state == 0) {
                weights.fill_with(|| rng.random_range(-1.0..1.0));
            }
        }
        if let Some(gate) = spec.forget_gate {
            let bias = init.forget_bias.unwrap_or(1.0) as f32;
            layout.slice_mut(&mut self.weights, spans.b)[gate * hidden..][..hidden].fill(bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_depend_on_the_seed_and_the_forget_bias_is_one() {
        let config = ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: 8, embed_size: 4, vocab_size: 5 };
        let model = CharLm::init(&config, 3).unwrap();
        assert_eq!(model.weights, CharLm::init(&config, 3).unwrap().weights);
        assert_ne!(model.weights, CharLm::init(&config, 4).unwrap().weights);
        let b = model.slice(model.rnn(1).b);
        assert_eq!((&b[8..16], &b[..8]), (&[1.0; 8][..], &[0.0; 8][..]));
        let zero = |span: &&crate::params::Span| model.weights[span.range.clone()].iter().all(|x| *x == 0.0);
        let zeros: Vec<_> = model.layout().spans().iter().filter(zero).map(|span| &span.name).collect();
        assert_eq!(zeros, ["head.b"], "everything else is initialized");
    }
}
