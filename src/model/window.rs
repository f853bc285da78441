//! A window of truncated backpropagation through time.

/// Some characters of several streams side by side. Every vector is time-major, `(T, B)`: element `t * streams + stream`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Characters of each stream, `T`.
    pub steps: usize,
    /// Streams, `B`.
    pub streams: usize,
    /// The character that is read.
    pub inputs: Vec<u32>,
    /// The character that comes next.
    pub targets: Vec<u32>,
    /// How much that prediction counts in the loss; 0: not at all, and its output layer is left out.
    pub weights: Vec<f32>,
    /// Where the state is zero before a character is read; empty: nowhere.
    pub resets: Vec<bool>,
}

impl Window {
    /// A window in which every prediction counts alike and no state is reset.
    pub fn new(steps: usize, streams: usize, inputs: Vec<u32>, targets: Vec<u32>) -> Self {
        let weights = vec![1.0; inputs.len()];
        Window { steps, streams, inputs, targets, weights, resets: Vec::new() }
    }

    /// Makes it a window of `steps` characters with nothing in it that counts, within the room it has.
    pub fn clear(&mut self, steps: usize, streams: usize) {
        let n = steps * streams;
        (self.steps, self.streams) = (steps, streams);
        self.inputs.clear();
        self.inputs.resize(n, 0);
        self.targets.clear();
        self.targets.resize(n, 0);
        self.weights.clear();
        self.weights.resize(n, 0.0);
        self.resets.clear();
    }

    /// The sum of the weights: what the loss is divided by.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().map(|&w| f64::from(w)).sum()
    }

    /// The number of predictions that count.
    pub fn scored(&self) -> usize {
        self.weights.iter().filter(|w| **w != 0.0).count()
    }
}
