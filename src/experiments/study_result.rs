//! The result of a study: a table, a summary and a chart.

use std::fmt;

use serde::{Serialize, Serializer};

/// An entry of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum TableEntry {
    /// A name.
    Text(String),
    /// A count.
    Count(u64),
    /// A number, and how many decimals are shown.
    Decimal(f64, usize),
    /// A number of any magnitude.
    Scientific(f64),
    /// No value.
    Missing,
}

impl fmt::Display for TableEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableEntry::Text(text) => f.pad(text),
            TableEntry::Count(n) => f.pad(&n.to_string()),
            TableEntry::Decimal(x, decimals) => f.pad(&format!("{x:.decimals$}")),
            TableEntry::Scientific(x) => f.pad(&format!("{x:.1e}")),
            TableEntry::Missing => f.pad("-"),
        }
    }
}

impl Serialize for TableEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TableEntry::Text(text) => serializer.serialize_str(text),
            TableEntry::Count(n) => serializer.serialize_u64(*n),
            TableEntry::Decimal(x, _) | TableEntry::Scientific(x) => serializer.serialize_f64(*x),
            TableEntry::Missing => serializer.serialize_none(),
        }
    }
}

/// A line chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// The label of the horizontal axis.
    pub x: String,
    /// The label of the vertical axis.
    pub y: String,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// The curves: names and points. Curves whose names are equal up to a colon share a colour; all but the first are dashed.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// The result of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyResult {
    /// Whether the criterion is met; `None` if the study was too small to tell.
    pub passed: Option<bool>,
    /// A summary of the measurements.
    pub measured: String,
    /// The column headings.
    pub columns: Vec<&'static str>,
    /// The rows of the table.
    pub rows: Vec<Vec<TableEntry>>,
    /// The chart, if the study draws one.
    pub chart: Option<Chart>,
}
