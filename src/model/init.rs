//! The weights a model begins with.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use super::char_lm::CharLm;
use super::config::ModelConfig;
use crate::error::Result;
use crate::kernels::{MatMut, orthogonal};

impl CharLm<f32> {
    /// A model with fresh weights, a function of shape and seed:
    ///
    /// - recurrent weights: an orthogonal matrix for each gate (Saxe et al. 2014)
    /// - input weights: uniform, by the fan of each gate (Glorot & Bengio 2010)
    /// - embedding: standard normal
    /// - output: uniform in plus or minus `1 / sqrt(H)`, biases zero
    /// - biases zero, but 1 for the forget gate (Gers et al. 1999; Jozefowicz et al. 2015)
    ///
    /// # Errors
    /// [`Error::Usage`](crate::error::Error::Usage) when the shape is out of range.
    pub fn init(config: &ModelConfig, seed: u64) -> Result<Self> {
        let mut model = CharLm::zeros(config)?;
        let (hidden, gates) = (config.hidden, model.gates_len());
        let layout = model.layout().clone();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        if let Some(embed) = model.embed() {
            layout.of_mut(&mut model.weights, embed).fill_with(|| StandardNormal.sample(&mut rng));
        }
        for layer in 0..config.layers {
            let spans = model.rnn(layer);
            // A one-hot vector has one element that counts, so its fan is 1.
            let inputs = if layer == 0 && config.embed == 0 { 1 } else { layout.span(spans.w_ih).rows };
            let limit = (6.0 / (inputs + hidden) as f32).sqrt();
            layout.of_mut(&mut model.weights, spans.w_ih).fill_with(|| rng.random_range(-limit..limit));
            let w_hh = layout.of_mut(&mut model.weights, spans.w_hh);
            for gate in 0..gates / hidden {
                let block = MatMut::strided(&mut w_hh[gate * hidden..], hidden, hidden, gates);
                orthogonal(block, || StandardNormal.sample(&mut rng));
            }
            if let Some(gate) = model.cell().spec.forget_gate {
                layout.of_mut(&mut model.weights, spans.b)[gate * hidden..][..hidden].fill(1.0);
            }
        }
        let limit = 1.0 / (hidden as f32).sqrt();
        let head_w = model.head_w();
        layout.of_mut(&mut model.weights, head_w).fill_with(|| rng.random_range(-limit..limit));
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_a_function_of_the_seed_and_the_forget_bias_is_one() {
        let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden: 8, embed: 4, vocab: 5 };
        let model = CharLm::init(&config, 3).unwrap();
        assert_eq!(model.weights, CharLm::init(&config, 3).unwrap().weights);
        assert_ne!(model.weights, CharLm::init(&config, 4).unwrap().weights);
        let b = model.slice(model.rnn(1).b);
        assert_eq!((&b[8..16], &b[..8]), (&[1.0; 8][..], &[0.0; 8][..]));
        let zero = |span: &&crate::params::Span| model.weights[span.range.clone()].iter().all(|x| *x == 0.0);
        let zeros: Vec<_> = model.layout().spans().iter().filter(zero).map(|span| &span.name).collect();
        assert_eq!(zeros, ["head.b"], "everything else is filled");
    }
}
