//! The n-gram baseline.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};

/// The maximum length of a text in characters: positions are 32-bit numbers.
const MAX_CHARS: usize = u32::MAX as usize;

/// An interpolated n-gram model of characters with Witten-Bell smoothing (Witten & Bell 1991; method C of Bell, Cleary & Witten
/// 1990).
///
/// Let `c(h, w)` be the number of times that `w` followed the context `h`, `c(h)` the sum over all `w`, `T(h)` the number of
/// different characters that followed `h`, and `h'` the context `h` without its first character. Then
///
/// ```text
/// P(w | h) = (c(h, w) + T(h) P(w | h')) / (c(h) + T(h))
/// ```
///
/// The empty context falls back to the uniform distribution over the vocabulary. For a context that was never followed by a
/// character, `P(w | h) = P(w | h')`.
///
/// All orders share one trie of exact counts, with 12 bytes for each different n-gram (8 for the highest order). At order 7 and a
/// million characters of English this is 9 bytes per character; construction takes up to 20 more.
#[derive(Clone, Debug)]
pub struct NGram {
    vocab: usize,
    /// One level per context length, starting at 0.
    levels: Vec<Level>,
}

/// The sorted n-grams of one order, grouped by context. The n-grams of a level are, in the same order, the contexts of the next.
#[derive(Clone, Debug)]
struct Level {
    /// The start of the n-grams of each context, and the end of the last.
    first: Vec<u32>,
    /// The last character of each n-gram.
    ids: Vec<u32>,
    /// Cumulative counts: the number of occurrences of all n-grams before each one, and in total.
    before: Vec<u32>,
}

impl Level {
    fn new() -> Self {
        Level { first: Vec::new(), ids: Vec::new(), before: vec![0] }
    }

    fn add(&mut self, id: u32) {
        self.ids.push(id);
        self.before.extend(self.before.last().copied());
    }

    /// Increments the count of the last n-gram.
    fn count(&mut self) {
        if let Some(end) = self.before.last_mut() {
            *end += 1;
        }
    }

    fn close(&mut self) {
        self.first.push(self.ids.len() as u32);
        [&mut self.first, &mut self.ids, &mut self.before].into_iter().for_each(Vec::shrink_to_fit);
    }

    fn of(&self, context: usize) -> Range<usize> {
        self.first[context] as usize..self.first[context + 1] as usize
    }

    fn count_of(&self, ngrams: Range<usize>) -> f64 {
        f64::from(self.before[ngrams.end] - self.before[ngrams.start])
    }

    fn find(&self, context: usize, id: u32) -> Option<usize> {
        let ngrams = self.of(context);
        self.ids[ngrams.clone()].binary_search(&id).ok().map(|i| ngrams.start + i)
    }

    /// The probability of the last character of an n-gram, given its probability `shorter` after the shorter context.
    fn probability(&self, context: usize, ngram: Option<usize>, shorter: f64) -> f64 {
        let (total, distinct) = (self.count_of(self.of(context)), self.of(context).len() as f64);
        if total == 0.0 {
            return shorter;
        }
        (ngram.map_or(0.0, |ngram| self.count_of(ngram..ngram + 1)) + distinct * shorter) / (total + distinct)
    }
}

impl NGram {
    /// Counts the n-grams of a text up to `order` characters. `vocab` is the size of the vocabulary.
    ///
    /// # Errors
    /// [`Error::Usage`] if the order or the vocabulary size is 0, an id is outside the vocabulary, or there are 2^32 characters or more.
    pub fn learn(order: usize, vocab: usize, ids: impl IntoIterator<Item = u32>) -> Result<Self> {
        if order == 0 || vocab == 0 {
            return Err(Error::Usage("the order and the vocabulary size of an n-gram model must be at least 1".into()));
        }
        let ids: Vec<u32> = ids.into_iter().collect();
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(Error::Usage(format!("token id {id} is outside the vocabulary of {vocab}")));
        }
        if ids.len() > MAX_CHARS {
            return Err(Error::Usage(format!(
                "an n-gram model can be trained on at most {MAX_CHARS} characters, not {}",
                ids.len()
            )));
        }
        let ngram = |&place: &u32| &ids[place as usize..ids.len().min(place as usize + order)];
        let mut places: Vec<u32> = (0..ids.len() as u32).collect();
        places.par_sort_unstable_by(|a, b| ngram(a).cmp(ngram(b)));
        Ok(NGram { vocab, levels: levels(order, places.iter().map(ngram)) })
    }

    /// The highest order.
    pub fn order(&self) -> usize {
        self.levels.len()
    }

    /// The surprisal in nats of each character of a text except the first: `-ln P` given the `order - 1` characters before it, or fewer
    /// at the start. Order 0 is the uniform distribution; orders above the highest are treated as the highest.
    pub fn nats(&self, order: usize, ids: &[u32]) -> Vec<f64> {
        let levels = &self.levels[..order.min(self.order())];
        // The context of each length before the next character; `None` if it was never seen.
        let mut contexts = vec![None; levels.len() + 1];
        let nats = ids.iter().map(|&id| {
            contexts[0] = Some(0);
            let (mut p, mut ngram) = (1.0 / self.vocab as f64, None);
            for (level, context) in levels.iter().zip(&mut contexts) {
                // With this character the n-gram of a level becomes the context of the next one.
                let here = std::mem::replace(context, ngram);
                ngram = here.and_then(|here| level.find(here, id));
                p = here.map_or(p, |here| level.probability(here, ngram, p));
            }
            -p.ln()
        });
        nats.skip(1).collect()
    }
}

/// Builds the trie from sorted n-grams; those at the end of the text are shorter.
fn levels<'a>(order: usize, ngrams: impl Iterator<Item = &'a [u32]>) -> Vec<Level> {
    let mut levels = vec![Level::new(); order];
    levels[0].first.push(0);
    let mut last: &[u32] = &[];
    for ngram in ngrams {
        let known = last.iter().zip(ngram).take_while(|(a, b)| a == b).count();
        for (length, &id) in ngram.iter().enumerate().skip(known) {
            levels[length].add(id);
            if let Some(next) = levels.get_mut(length + 1) {
                next.first.push(next.ids.len() as u32);
            }
        }
        levels.iter_mut().take(ngram.len()).for_each(Level::count);
        last = ngram;
    }
    levels.iter_mut().for_each(Level::close);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The probability by the formula, counted directly in the text.
    fn naive(text: &[u32], vocab: usize, context: &[u32], id: u32) -> f64 {
        let shorter = match context {
            [] => 1.0 / vocab as f64,
            [_, shorter @ ..] => naive(text, vocab, shorter, id),
        };
        let windows = text.windows(context.len() + 1).filter(|window| window.starts_with(context));
        let after: Vec<u32> = windows.filter_map(|window| window.last().copied()).collect();
        let different = (0..vocab as u32).filter(|id| after.contains(id)).count() as f64;
        if after.is_empty() {
            return shorter;
        }
        let count = after.iter().filter(|other| **other == id).count() as f64;
        (count + different * shorter) / (after.len() as f64 + different)
    }

    fn probability(model: &NGram, order: usize, context: &[u32], id: u32) -> f64 {
        (-model.nats(order, &[context, &[id]].concat()).last().unwrap()).exp()
    }

    proptest! {
        #[test]
        fn agrees_with_counts_from_the_text(
            text in proptest::collection::vec(0u32..4, 0..60),
            other in proptest::collection::vec(0u32..5, 0..20),
            order in 1usize..6,
        ) {
            let model = NGram::learn(5, 5, text.iter().copied()).unwrap();
            let nats = model.nats(order, &other);
            prop_assert_eq!(nats.len(), other.len().saturating_sub(1));
            for (i, nats) in (1..).zip(nats) {
                let expected = -naive(&text, 5, &other[i.max(order - 1) - (order - 1)..i], other[i]).ln();
                prop_assert!((nats - expected).abs() < 1e-9, "character {i}: {nats}, not {expected}");
            }
        }

        #[test]
        fn probabilities_sum_to_one(
            text in proptest::collection::vec(0u32..6, 0..300),
            context in proptest::collection::vec(0u32..7, 1..9),
            order in 0usize..9,
        ) {
            let model = NGram::learn(7, 7, text).unwrap();
            let sum: f64 = (0..7).map(|id| probability(&model, order, &context, id)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }

        #[test]
        fn lower_orders_do_not_depend_on_the_highest(text in proptest::collection::vec(0u32..3, 2..80)) {
            let highest = NGram::learn(7, 3, text.iter().copied()).unwrap();
            for order in 1..7 {
                prop_assert_eq!(highest.nats(order, &text), NGram::learn(order, 3, text.iter().copied()).unwrap().nats(7, &text));
            }
        }
    }

    #[test]
    fn agrees_with_a_calculation_by_hand() {
        // a a b of the three characters a, b, c. One character: (count + 2 / 3) / (3 + 2); after a: (count + 2 P) / (2 + 2).
        let model = NGram::learn(2, 3, [0, 0, 1]).unwrap();
        let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got}, not {expected}");
        for (id, alone, after_a) in
            [(0, 8.0 / 15.0, 31.0 / 60.0), (1, 1.0 / 3.0, 5.0 / 12.0), (2, 2.0 / 15.0, 1.0 / 15.0)]
        {
            near(probability(&model, 1, &[0], id), alone);
            near(probability(&model, 2, &[0], id), after_a);
            // Nothing followed b, and c was never seen.
            near(probability(&model, 2, &[1], id), alone);
            near(probability(&model, 2, &[2], id), alone);
        }
        near(model.nats(0, &[0, 1])[0], 3f64.ln());
        assert_eq!((model.nats(2, &[0]), model.nats(2, &[])), (vec![], vec![]));
    }

    #[test]
    fn rejects_invalid_arguments() {
        assert!(NGram::learn(0, 5, [1]).is_err());
        assert!(NGram::learn(3, 0, []).is_err());
        assert!(NGram::learn(3, 5, [4, 5]).unwrap_err().to_string().contains("token id 5"));
    }
}
