//! Analysis of a trained model: the activity of its units, and how much of a text it has memorized.
//!
//! - [`record_activity`]: states and gates of all units while the model reads a text
//! - [`TEXT_PROPERTIES`], [`pearson`], [`strongest`]: the units that correlate with a property of the text
//! - [`CorpusIndex`]: how much of a text is copied from a corpus

mod activity;
mod correlation;
mod novelty;
mod property;
mod suffix_array;

pub use activity::{UnitQuantity, record_activity};
pub use correlation::{pearson, strongest};
pub use novelty::{CopiedSpan, CopyStats, CorpusIndex};
pub use property::{TEXT_PROPERTIES, TextProperty};
