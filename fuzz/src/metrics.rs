//! `metrics.jsonl`, and the plot that is drawn of it.

use charlstm::cli::plot::{self, Curves};
use charlstm::train::Metrics;

/// Bytes of a plot at most: it does not grow with the records.
const MOST_BYTES: usize = 200_000;

pub fn check(bytes: &[u8]) {
    let records = Metrics::parse(bytes).expect("reading memory does not fail");
    let line = |record| serde_json::to_string(record).expect("a record can be written") + "\n";
    let written: String = records.iter().map(line).collect();
    assert_eq!(Metrics::parse(written.as_bytes()).expect("reading memory does not fail"), records);
    if records.is_empty() {
        return;
    }
    let svg = plot::draw(&Curves::of(&records, u64::MAX).chart("run")).expect("it can be drawn");
    assert!(svg.len() < MOST_BYTES && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}
