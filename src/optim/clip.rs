//! Clipping by the global norm: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks" (2013).

/// Added to the norm, as in PyTorch.
const EPS: f64 = 1e-6;

/// The factor that scales gradients with norm `norm` to a norm of at most `limit`; a limit of 0 disables clipping.
pub fn clip_scale(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 { (limit / (norm + EPS)).min(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_gradients_are_scaled() {
        assert_eq!(clip_scale(0.5, 1.0), 1.0);
        assert!((clip_scale(4.0, 1.0) - 0.25).abs() < 1e-6);
        assert_eq!(clip_scale(1e9, 0.0), 1.0);
    }
}
