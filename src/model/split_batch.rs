//! How a batch is cut into shards for some threads.

use super::char_lm::CharLm;
use crate::cells::CellReal;

/// Recurrent weights of a layer up to this many bytes stay in a core's own cache, and are read again for few rows at no cost.
const SMALL: usize = 512 << 10;
/// Streams of a shard at least, where there are enough threads to go round.
const LEAST_STREAMS: usize = 4;
/// Streams of a shard at least, where shards are finer than threads.
const FINE_STREAMS: usize = 12;
/// Shards for each thread at most.
const SHARDS_PER_THREAD: usize = 4;

/// A batch cut into shards for some threads, as even as can be: the first stream and the number of streams of each.
///
/// Large weights are read anew by every shard at every step, so there are as many shards as threads. Small ones stay in the
/// cache, so shards are finer: a thread that gets less of a busy core leaves shards to the others. Where there are more
/// threads than shards of four streams, the rest have nothing to do here. Results do not depend on the cut.
pub fn split_batch<R: CellReal>(
    model: &CharLm<R>,
    batch: usize,
    threads: usize,
) -> impl Iterator<Item = (usize, usize)> + use<R> {
    let weights = model.rnn(0).w_hh.map_or(0, |w_hh| size_of_val(model.slice(w_hh)));
    let fine = if weights <= SMALL { (batch / FINE_STREAMS).min(SHARDS_PER_THREAD * threads) } else { 0 };
    let n = threads.min(batch / LEAST_STREAMS).max(fine).max(1);
    (0..n).map(move |i| (i * batch / n, (i + 1) * batch / n - i * batch / n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn shards_cover_the_batch_in_order() {
        for hidden in [8, 600] {
            let config = ModelConfig { cell: "lstm".into(), layers: 1, hidden, embed: 1, vocab: 2 };
            let model = CharLm::<f32>::zeros(&config).unwrap();
            for (batch, threads) in (1..100).flat_map(|batch| [(batch, 1), (batch, 2), (batch, 7), (batch, 64)]) {
                let parts: Vec<_> = split_batch(&model, batch, threads).collect();
                assert_eq!(parts.iter().map(|(_, n)| n).sum::<usize>(), batch);
                assert!(parts.iter().all(|(_, n)| *n >= LEAST_STREAMS.min(batch)), "{batch}: {parts:?}");
                assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
            }
        }
    }

    #[test]
    fn small_weights_give_finer_shards() {
        let shards = |hidden| {
            let config = ModelConfig { cell: "lstm".into(), layers: 2, hidden, embed: 1, vocab: 2 };
            split_batch(&CharLm::<f32>::zeros(&config).unwrap(), 50, 2).count()
        };
        assert_eq!((shards(128), shards(512)), (4, 2));
    }
}
