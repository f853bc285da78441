//! What is computed from the weights once, before the streams run.

use super::char_lm::CharLm;
use crate::kernels::{Packed, Real};
use crate::layers::embedding::{self, Distinct};

/// The first layer's input product for each distinct character of a window.
#[derive(Clone, Debug)]
pub struct Table<R> {
    /// The characters.
    pub distinct: Distinct,
    pub(super) gathered: Vec<R>,
    rows: Vec<R>,
    width: usize,
}

impl<R: Real> Table<R> {
    fn new(model: &CharLm<R>, most: usize) -> Self {
        let (vocab, width) = (model.config().vocab, model.gates_len());
        let most = most.min(vocab);
        let gathered = vec![R::ZERO; most * model.config().embed];
        Table { distinct: Distinct::new(vocab), gathered, rows: vec![R::ZERO; most * width], width }
    }

    /// Computes the rows for the characters of `inputs`.
    pub fn refresh(&mut self, model: &CharLm<R>, inputs: &[u32]) {
        self.distinct.collect(inputs);
        let spans = model.rnn(0);
        embedding::table(
            &mut self.rows,
            &mut self.gathered,
            model.embed().map(|id| model.slice(id)),
            model.matrix(spans.w_ih),
            model.slice(spans.b),
            self.distinct.ids(),
        );
    }

    /// The row of a character of the window.
    pub fn row(&self, id: u32) -> &[R] {
        &self.rows[self.distinct.slot(id) * self.width..][..self.width]
    }
}

/// The recurrent weights of one layer, packed.
#[derive(Clone, Debug)]
pub struct PackedLayer<R> {
    pub(super) w_hh: Packed<R>,
    /// Empty where nothing runs back.
    pub(super) w_hh_t: Packed<R>,
}

impl<R: Real> PackedLayer<R> {
    /// Packs the weights of `layer` anew.
    pub fn refresh(&mut self, model: &CharLm<R>, layer: usize) {
        let w_hh = model.matrix(model.rnn(layer).w_hh);
        self.w_hh.pack(w_hh);
        if !self.w_hh_t.is_empty() {
            self.w_hh_t.pack(w_hh.t());
        }
    }
}

/// What is computed from the weights once per step.
#[derive(Clone, Debug)]
pub struct Prepared<R> {
    /// The first layer's input product.
    pub table: Table<R>,
    /// The recurrent weights of every layer.
    pub packed: Vec<PackedLayer<R>>,
}

impl<R: Real> Prepared<R> {
    /// Room for windows of up to `positions` characters that run forward and, if `backward`, back.
    pub fn new(model: &CharLm<R>, positions: usize, backward: bool) -> Self {
        let (hidden, gates) = (model.config().hidden, model.gates_len());
        let layer = |_| PackedLayer {
            w_hh: Packed::new(hidden, gates),
            w_hh_t: if backward { Packed::new(gates, hidden) } else { Packed::new(0, 0) },
        };
        Prepared { table: Table::new(model, positions), packed: (0..model.config().layers).map(layer).collect() }
    }

    /// Everything for a model that stays as it is, for every character of the vocabulary: scoring and generation.
    pub fn whole(model: &CharLm<R>) -> Self {
        let vocab = model.config().vocab;
        let mut prepared = Self::new(model, vocab, false);
        let everything: Vec<u32> = (0..vocab as u32).collect();
        prepared.table.refresh(model, &everything);
        prepared.packed.iter_mut().enumerate().for_each(|(layer, packed)| packed.refresh(model, layer));
        prepared
    }
}
