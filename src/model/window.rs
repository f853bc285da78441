//! A window of truncated backpropagation through time.

/// Consecutive characters of parallel streams. Every vector is time-major, `(T, B)`: element `t * streams + stream`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The number of steps, `T`.
    pub steps: usize,
    /// The number of streams, `B`.
    pub streams: usize,
    /// The input token ids.
    pub inputs: Vec<u32>,
    /// The target token ids: the characters that follow the inputs.
    pub targets: Vec<u32>,
    /// The weight of each prediction in the loss; the output layer is skipped if it is 0.
    pub weights: Vec<f32>,
    /// Whether the state is set to zero before a character is read; empty if there are no resets.
    pub resets: Vec<bool>,
}

impl Window {
    /// Creates a window without resets in which every prediction has weight 1.
    pub fn new(steps: usize, streams: usize, inputs: Vec<u32>, targets: Vec<u32>) -> Self {
        let weights = vec![1.0; inputs.len()];
        Window { steps, streams, inputs, targets, weights, resets: Vec::new() }
    }

    /// Makes this a window of zeros, reusing the buffers.
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

    /// The sum of the weights, by which the loss is divided.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().map(|&w| f64::from(w)).sum()
    }

    /// The number of predictions with a nonzero weight.
    pub fn scored(&self) -> usize {
        self.weights.iter().filter(|w| **w != 0.0).count()
    }
}
