//! What a study finds: a table, a sentence, and a chart.

use std::fmt;

use serde::{Serialize, Serializer};

/// A number or a word of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A name.
    Word(String),
    /// How many.
    Count(u64),
    /// A measured number, and its decimals.
    Real(f64, usize),
    /// A measured number of any magnitude.
    Scientific(f64),
    /// Nothing was measured.
    None,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Figure::Word(word) => f.pad(word),
            Figure::Count(n) => f.pad(&n.to_string()),
            Figure::Real(x, decimals) => f.pad(&format!("{x:.decimals$}")),
            Figure::Scientific(x) => f.pad(&format!("{x:.1e}")),
            Figure::None => f.pad("-"),
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Figure::Word(word) => serializer.serialize_str(word),
            Figure::Count(n) => serializer.serialize_u64(*n),
            Figure::Real(x, _) | Figure::Scientific(x) => serializer.serialize_f64(*x),
            Figure::None => serializer.serialize_none(),
        }
    }
}

/// Curves to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What stands above.
    pub title: String,
    /// What the horizontal axis is.
    pub x: String,
    /// What the vertical axis is.
    pub y: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// Every curve: its name and its points. Names with the same words before a colon share a colour; all but the first are dashed.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// What a study found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Whether it is what the paper reports; `None` where too little was asked for to judge it.
    pub passed: Option<bool>,
    /// What was found, in words.
    pub measured: String,
    /// What the columns of the table are.
    pub columns: Vec<&'static str>,
    /// The table.
    pub rows: Vec<Vec<Figure>>,
    /// The same to be seen.
    pub chart: Option<Chart>,
}
