//! Splits a batch into shards for several threads.

use super::char_lm::CharLm;
use crate::cells::CellReal;

/// Recurrent weights of up to this many bytes stay in a core's private cache, where rereading them for few rows costs nothing.
const SMALL_WEIGHTS: usize = 512 << 10;
/// The minimum number of streams of a shard if there are at most as many shards as threads.
const MIN_STREAMS: usize = 4;
/// The minimum number of streams of a shard if there are more shards than threads.
const MIN_STREAMS_FINE: usize = 12;
const MAX_SHARDS_PER_THREAD: usize = 4;

/// Splits a batch into shards of nearly equal size for several threads: the first stream and the number of streams of each.
///
/// Every shard rereads large weights at every step, so there are only as many shards as threads. Small weights stay in the cache,
/// so there can be more shards than threads; idle threads then take over the shards of a thread on a busy core. Threads are
/// idle if there are more of them than shards of four streams. Results do not depend on the split.
pub fn split_batch<R: CellReal>(
    model: &CharLm<R>,
    batch: usize,
    threads: usize,
) -> impl Iterator<Item = (usize, usize)> + use<R> {
    let weights = model.rnn(0).w_hh.map_or(0, |w_hh| size_of_val(model.slice(w_hh)));
    let fine =
        if weights <= SMALL_WEIGHTS { (batch / MIN_STREAMS_FINE).min(MAX_SHARDS_PER_THREAD * threads) } else { 0 };
    let n = threads.min(batch / MIN_STREAMS).max(fine).max(1);
    (0..n).map(move |i| (i * batch / n, (i + 1) * batch / n - i * batch / n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn shards_cover_the_batch_in_order() {
        for hidden in [8, 600] {
            let config =
                ModelConfig { cell: "lstm".into(), num_layers: 1, hidden_size: hidden, embed_size: 1, vocab_size: 2 };
            let model = CharLm::<f32>::zeros(&config).unwrap();
            for (batch, threads) in (1..100).flat_map(|batch| [(batch, 1), (batch, 2), (batch, 7), (batch, 64)]) {
                let parts: Vec<_> = split_batch(&model, batch, threads).collect();
                assert_eq!(parts.iter().map(|(_, n)| n).sum::<usize>(), batch);
                assert!(parts.iter().all(|(_, n)| *n >= MIN_STREAMS.min(batch)), "{batch}: {parts:?}");
                assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
            }
        }
    }

    #[test]
    fn small_weights_give_more_shards() {
        let shards = |hidden| {
            let config =
                ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: hidden, embed_size: 1, vocab_size: 2 };
            split_batch(&CharLm::<f32>::zeros(&config).unwrap(), 50, 2).count()
        };
        assert_eq!((shards(128), shards(512)), (4, 2));
    }
}
