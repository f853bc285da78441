//! The fuzz targets, one per module. `fuzz_targets/` runs them with libFuzzer, and `tests/checkpoints/fuzz_seeds.rs` replays `seeds/`
//! as an ordinary test.

pub mod checkpoint;
pub mod metrics;
pub mod pattern;
pub mod sections;
pub mod text;

use charlstm::error::{Error, Result};

/// A target: accepts any bytes and panics if an invariant is violated.
pub type Check = fn(&[u8]);

/// The targets and their names.
pub const TARGETS: [(&str, Check); 5] = [
    ("checkpoint", checkpoint::check),
    ("metrics", metrics::check),
    ("pattern", pattern::check),
    ("sections", sections::check),
    ("text", text::check),
];

/// Converts a result to an option; asserts that an error has a message and is not [`Error::Internal`].
fn ok<T>(result: Result<T>) -> Option<T> {
    if let Err(e) = &result {
        assert!(!matches!(e, Error::Internal(_)) && !e.to_string().is_empty(), "{e:?}");
    }
    result.ok()
}
