//! The parser of `metrics.jsonl`.

use charlstm::run::Metrics;

pub fn check(bytes: &[u8]) {
    let records = Metrics::parse(bytes).expect("reading from memory does not fail");
    let line = |record| serde_json::to_string(record).expect("a record can be serialized") + "\n";
    let written: String = records.iter().map(line).collect();
    assert_eq!(Metrics::parse(written.as_bytes()).expect("reading from memory does not fail"), records);
}
