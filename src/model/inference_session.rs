//! Inference: reads characters, computes logits, and carries the state from window to window.

use rayon::prelude::*;

use super::inference_model::InferenceModel;
use super::shard::{Purpose, Shard};
use super::split_batch::split_batch;
use super::window::Window;
use crate::cells::CellReal;

/// A character that a stream reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The token id.
    pub id: u32,
    /// Whether the state is set to zero before the character is read.
    pub reset: bool,
    /// Whether the logits after the character are needed; if not, the output layer is skipped.
    pub needs_logits: bool,
}

impl Input {
    /// A character whose logits are needed.
    pub fn with_logits(id: u32) -> Self {
        Input { id, reset: false, needs_logits: true }
    }

    /// A character that only changes the state.
    pub fn without_logits(id: u32) -> Self {
        Input { id, reset: false, needs_logits: false }
    }
}

/// `B` streams of characters that a model processes in parallel, each with a state that is carried from window to window.
///
/// A stream's logits are bitwise independent of the other streams, of the windows and of the number of threads. Buffers are
/// allocated once, by the constructors.
///
/// ```
/// use charlstm::kernels::Precision;
/// use charlstm::model::{CharLm, InferenceModel, InferenceSession, Input, ModelConfig};
///
/// # fn main() -> charlstm::error::Result<()> {
/// let char_lm = CharLm::init(&ModelConfig { hidden_size: 16, vocab_size: 5, ..ModelConfig::default() }, 1)?;
/// let model = InferenceModel::new(&char_lm, Precision::F32);
/// let mut session = InferenceSession::new(&model, 1, 32);
/// session.run(&[3, 1, 4].map(Input::with_logits));
/// session.for_each_logits(|position, logits| println!("after character {position}: {logits:?}"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InferenceSession<'m, R = f32> {
    model: &'m InferenceModel<'m, R>,
    shards: Vec<Shard<R>>,
    streams: usize,
    max_steps: usize,
    window: Window,
}

impl<'m, R: CellReal> InferenceSession<'m, R> {
    /// `streams` streams in the zero state, for windows of up to `max_steps` characters. The work is divided among the threads of
    /// the current pool: by stream, or by unit if there is a single stream.
    pub fn new(model: &'m InferenceModel<'m, R>, streams: usize, max_steps: usize) -> Self {
        let threads = rayon::current_num_threads();
        let mut session = Self::of_parts(model, split_batch(model.char_lm, streams, threads), streams, max_steps);
        if streams == 1 {
            let tasks = model.tasks_per_stream(threads);
            session.shards.iter_mut().for_each(|shard| shard.set_tasks(tasks));
        }
        session
    }

    /// Like [`new`](Self::new), with all the work on the calling thread, for callers that run several sessions in parallel.
    pub fn single_threaded(model: &'m InferenceModel<'m, R>, streams: usize, max_steps: usize) -> Self {
        Self::of_parts(model, std::iter::once((0, streams)), streams, max_steps)
    }

    fn of_parts(
        model: &'m InferenceModel<'m, R>,
        parts: impl Iterator<Item = (usize, usize)>,
        streams: usize,
        max_steps: usize,
    ) -> Self {
        let shard = |(first, n)| Shard::new(model.char_lm, first, n, max_steps, Purpose::Inference);
        InferenceSession { model, shards: parts.map(shard).collect(), streams, max_steps, window: Window::default() }
    }

    /// The model.
    pub fn model(&self) -> &'m InferenceModel<'m, R> {
        self.model
    }

    /// The number of streams, `B`.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Processes a window of inputs, `(T, B)`, and updates the carried states. The logits remain available until the next call.
    pub fn run(&mut self, inputs: &[Input]) {
        self.set_window(inputs.iter().copied());
        self.forward();
    }

    /// Reads `ids` in a session of a single stream, without logits and in windows of the session's length.
    pub fn read(&mut self, ids: &[u32]) {
        assert_eq!(self.streams, 1, "the session must have a single stream");
        for ids in ids.chunks(self.max_steps) {
            self.set_window(ids.iter().map(|id| Input::without_logits(*id)));
            self.forward();
        }
    }

    /// Calls `visit` for every position of the last window whose logits were needed, in time order within each shard, with the
    /// index of its input and the logits `V`. Changes that `visit` makes to the logits are discarded.
    pub fn for_each_logits(&mut self, mut visit: impl FnMut(usize, &mut [R])) {
        let streams = self.streams;
        self.shards.iter_mut().for_each(|shard| shard.for_each_logits(streams, &mut visit));
    }

    /// Runs the window, then calls `map` in parallel for every position that needs logits, and returns the results. `scratch`
    /// creates one buffer per task, which is passed to `map`.
    pub fn run_and_map<S, T: Send>(
        &mut self,
        inputs: &[Input],
        scratch: impl Fn() -> S + Sync,
        map: impl Fn(&mut S, usize, &mut [R]) -> T + Sync,
    ) -> Vec<T> {
        self.set_window(inputs.iter().copied());
        let (model, window, streams) = (self.model, &self.window, self.streams);
        let of_shard = |shard: &mut Shard<R>| {
            let (mut scratch, mut results) = (scratch(), Vec::with_capacity(window.steps * shard.streams().len()));
            shard.forward(model.char_lm, &model.weights, window, None);
            shard.for_each_logits(streams, &mut |position, logits| results.push(map(&mut scratch, position, logits)));
            results
        };
        match &mut self.shards[..] {
            [shard] => of_shard(shard),
            shards => shards.par_iter_mut().map(of_shard).collect::<Vec<_>>().into_iter().flatten().collect(),
        }
    }

    /// The state of a stream, `(layers * states * H)`.
    pub fn state(&self, stream: usize) -> &[R] {
        let (shard, range) = self.locate_state(stream);
        &self.shards[shard].state[range]
    }

    /// Mutable access to the state of a stream.
    pub fn state_mut(&mut self, stream: usize) -> &mut [R] {
        let (shard, range) = self.locate_state(stream);
        &mut self.shards[shard].state[range]
    }

    /// Sets the states of all streams to zero.
    pub fn reset(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.state.fill(R::ZERO));
    }

    /// Copies the state of a layer's stream after step `t` of the last window into `state`, `states * H` elements.
    pub fn read_state(&self, layer: usize, t: usize, stream: usize, state: &mut [R]) {
        let shard = &self.shards[self.shard_of(stream)];
        shard.read_state(layer, t, stream - shard.streams().start, state);
    }

    /// Copies the gates of a layer's stream at step `t` of the last window, after the forward pass of the cell, into `gates`,
    /// `gates * H` elements.
    pub fn read_gates(&self, layer: usize, t: usize, stream: usize, gates: &mut [R]) {
        let shard = &self.shards[self.shard_of(stream)];
        shard.read_gates(layer, t, stream - shard.streams().start, gates);
    }

    fn set_window(&mut self, inputs: impl ExactSizeIterator<Item = Input>) {
        let (len, window) = (inputs.len(), &mut self.window);
        assert!(
            len % self.streams == 0 && len <= self.max_steps * self.streams,
            "{len} inputs are not a window of this session"
        );
        window.clear(len / self.streams, self.streams);
        for (position, input) in inputs.enumerate() {
            window.inputs[position] = input.id;
            window.weights[position] = if input.needs_logits { 1.0 } else { 0.0 };
            if input.reset {
                window.resets.resize(len, false);
                window.resets[position] = true;
            }
        }
    }

    fn forward(&mut self) {
        let (model, window) = (self.model, &self.window);
        let forward = |shard: &mut Shard<R>| shard.forward(model.char_lm, &model.weights, window, None);
        match &mut self.shards[..] {
            [shard] => forward(shard),
            shards => shards.par_iter_mut().for_each(forward),
        }
    }

    fn shard_of(&self, stream: usize) -> usize {
        self.shards.partition_point(|shard| shard.streams().end <= stream)
    }

    /// The shard of a stream and the range of its state there.
    fn locate_state(&self, stream: usize) -> (usize, std::ops::Range<usize>) {
        let (shard, len) = (self.shard_of(stream), self.model.char_lm.state_len());
        let first = (stream - self.shards[shard].streams().start) * len;
        (shard, first..first + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Precision;
    use crate::model::{CharLm, ModelConfig};
    use rayon::ThreadPoolBuilder;

    fn char_lm(hidden: usize) -> CharLm<f32> {
        let config =
            ModelConfig { cell: "lstm".into(), num_layers: 2, hidden_size: hidden, embed_size: 8, vocab_size: 5 };
        CharLm::init(&config, 3).unwrap()
    }

    fn id(t: usize, stream: usize) -> u32 {
        ((t * t + 3 * t * stream + stream) % 5) as u32
    }

    /// The logits of each stream of `session`, which reads `steps` characters in windows of `window`.
    fn logits(mut session: InferenceSession<'_>, steps: usize, window: usize) -> Vec<Vec<f32>> {
        let streams = session.streams();
        let mut found = vec![Vec::new(); streams];
        let times: Vec<usize> = (0..steps).collect();
        for times in times.chunks(window) {
            let inputs = times.iter().flat_map(|t| (0..streams).map(|stream| Input::with_logits(id(*t, stream))));
            session.run(&inputs.collect::<Vec<_>>());
            session.for_each_logits(|position, logits| found[position % streams].extend_from_slice(logits));
        }
        found
    }

    #[test]
    fn logits_do_not_depend_on_windows_threads_or_other_streams() {
        const STEPS: usize = 40;
        // Large enough for the units of a single stream to be divided.
        for (hidden, streams) in [(16, 30), (200, 1)] {
            let char_lm = char_lm(hidden);
            let model = InferenceModel::new(&char_lm, Precision::F32);
            let expected = logits(InferenceSession::single_threaded(&model, streams, STEPS), STEPS, STEPS);
            for threads in [1, 3] {
                let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                for window in [1, 7, STEPS] {
                    let session = pool.install(|| InferenceSession::new(&model, streams, window));
                    assert_eq!(pool.install(|| logits(session, STEPS, window)), expected);
                }
            }
            assert_eq!(model.tasks_per_stream(3), if hidden == 200 { 3 } else { 1 });
        }
    }

    #[test]
    fn mapping_visits_the_positions_that_need_logits() {
        let char_lm = char_lm(16);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let inputs: Vec<Input> =
            (0..90).map(|i| Input { id: id(i / 30, i % 30), reset: false, needs_logits: i % 4 == 1 }).collect();
        let mut session = pool.install(|| InferenceSession::new(&model, 30, 3));
        assert!(session.shards.len() > 1);
        let mut mapped =
            pool.install(|| session.run_and_map(&inputs, || (), |(), position, logits| (position, logits.to_vec())));
        mapped.sort_by_key(|(position, _)| *position);
        assert!(mapped.iter().map(|(position, _)| *position).eq((0..90).filter(|i| i % 4 == 1)));
        let mut visited = Vec::new();
        session.for_each_logits(|position, logits| visited.push((position, logits.to_vec())));
        visited.sort_by_key(|(position, _)| *position);
        assert_eq!(mapped, visited);
    }

    #[test]
    fn a_reset_stream_continues_from_the_zero_state() {
        let char_lm = char_lm(16);
        let model = InferenceModel::new(&char_lm, Precision::F32);
        let mut session = InferenceSession::new(&model, 3, 4);
        session.run(&[1, 2, 3].map(Input::with_logits));
        let state = session.state(1).to_vec();
        let reset = Input { reset: true, ..Input::with_logits(4) };
        session.run(&[reset, Input::with_logits(4), reset]);
        let mut fresh = InferenceSession::new(&model, 1, 1);
        fresh.run(&[Input::with_logits(4)]);
        assert_eq!((session.state(0), session.state(2)), (fresh.state(0), fresh.state(0)));
        fresh.state_mut(0).copy_from_slice(&state);
        fresh.run(&[Input::with_logits(4)]);
        assert_eq!(session.state(1), fresh.state(0));
        session.reset();
        assert!((0..3).all(|stream| session.state(stream).iter().all(|x| *x == 0.0)));
    }
}
