//! Recognizes a text that is a list, from its first records.

use super::corpus::Corpus;
use super::records::{RecordKind, records};

/// A text that looks like a list of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLike {
    /// What its records probably are.
    pub kind: RecordKind,
    /// Whether they are sorted, so that the end of the list differs from the rest.
    pub is_sorted: bool,
}

/// Records that are examined.
const EXAMINED: usize = 2000;
const MIN_RECORDS: usize = 50;
const MIN_FILES: usize = 20;
/// The mean number of characters up to which files are taken for records.
const MAX_FILE: usize = 5000;
/// Longer lines are those of prose.
const MAX_LINE: usize = 120;
/// The share of records, of 100, with a property that the list as a whole is taken to have.
const MOST: usize = 95;

impl ListLike {
    /// Examines a text: many short files, lines without a blank one among them, or blocks that have the same number of lines.
    pub fn find(corpus: &Corpus) -> Option<Self> {
        if corpus.source_count() >= MIN_FILES && corpus.chars() / corpus.source_count() <= MAX_FILE {
            return Some(ListLike { kind: RecordKind::File, is_sorted: false });
        }
        [RecordKind::Line, RecordKind::Block].into_iter().find_map(|kind| {
            let list: Vec<&[u8]> = records(corpus, kind).take(EXAMINED).map(|(_, content)| content).collect();
            let is_list = match kind {
                _ if list.len() < MIN_RECORDS => false,
                RecordKind::Line => {
                    let blocks = records(corpus, RecordKind::Block).take(2).count();
                    blocks == 1 && is_most(&list, |line| line.len() <= MAX_LINE)
                }
                _ => {
                    let lines = |block: &[u8]| block.iter().filter(|byte| **byte == b'\n').count();
                    lines(list[0]) > 0 && is_most(&list, |block| lines(block) == lines(list[0]))
                }
            };
            let sorted = list.windows(2).filter(|pair| pair[0] <= pair[1]).count();
            is_list.then_some(ListLike { kind, is_sorted: sorted * 100 >= MOST * (list.len() - 1) })
        })
    }
}

fn is_most(list: &[&[u8]], has: impl Fn(&[u8]) -> bool) -> bool {
    list.iter().filter(|record| has(record)).count() * 100 >= MOST * list.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{BUILT_IN, Encoding};

    fn find(text: String) -> Option<ListLike> {
        ListLike::find(&Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap())
    }

    #[test]
    fn finds_lists_of_lines_and_of_blocks() {
        let line = |i: u32| format!("{:x}\n", i * i % 97);
        let unsorted = ListLike { kind: RecordKind::Line, is_sorted: false };
        assert_eq!(find((0..60).map(line).collect()), Some(unsorted));
        let sorted = (100..200).map(|i| format!("name {i}\n")).collect();
        assert_eq!(find(sorted), Some(ListLike { is_sorted: true, ..unsorted }));
        let poem = |i: u32| format!("a {}two\n\n", line(i));
        assert_eq!(find((0..60).map(poem).collect()), Some(ListLike { kind: RecordKind::Block, is_sorted: false }));
    }

    #[test]
    fn many_short_files_are_records() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..20).map(|i| folder.path().join(format!("{i}.txt"))).collect();
        paths.iter().for_each(|path| std::fs::write(path, "a poem\nof two lines\n").unwrap());
        let find = |count| ListLike::find(&Corpus::open(&paths[..count], Encoding::Utf8).unwrap());
        assert_eq!(find(20), Some(ListLike { kind: RecordKind::File, is_sorted: false }));
        assert_eq!(find(19), None);
    }

    #[test]
    fn prose_is_not_a_list() {
        assert_eq!(find(BUILT_IN.into()), None);
        assert_eq!(find("a short line\n".repeat(20)), None, "too short to tell");
        assert_eq!(find(format!("{}\n", "prose ".repeat(50)).repeat(60)), None);
        let speech = |i: usize| format!("NAME:\n{}\n", "a line\n".repeat(i % 5 + 1));
        assert_eq!(find((0..200).map(speech).collect()), None);
    }
}
