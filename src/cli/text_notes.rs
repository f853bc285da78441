//! Remarks about a training text that may surprise its user.

use charlstm::data::{Corpus, Dataset, Encoding, ListLike, RecordKind};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::terminal::Terminal;

pub fn print(dataset: &Dataset, terminal: &Terminal) {
    let (corpus, config) = (dataset.corpus(), dataset.config());
    dataset.notes().for_each(|note| terminal.say(&format!("note: {note}")));
    if config.encoding == Encoding::Utf8 && corpus.has_crlf() {
        terminal.say("note: the text has CRLF line ends, which are kept; --newline lf reads them as line feeds");
    }
    if config.encoding.is_utf8() && mixes_normal_forms(corpus) {
        terminal.say(
            "note: the text has both composed and decomposed characters (NFC and NFD); normalize it, e.g. with \
             uconv -x nfc",
        );
    }
    if config.records.is_none() && !config.paths.is_empty() {
        suggest_records(corpus, config.val_file.is_some(), terminal);
    }
}

/// Whether a text, as far as samples of it show, is neither in composed (NFC) nor in decomposed form (NFD).
fn mixes_normal_forms(corpus: &Corpus) -> bool {
    const SAMPLES: usize = 64;
    const SAMPLE: usize = 1 << 14;
    if !corpus.symbols().iter().copied().filter_map(char::from_u32).any(is_combining_mark) {
        return false;
    }
    let (mut is_nfc, mut is_nfd) = (true, true);
    for start in (0..corpus.chars()).step_by(SAMPLE.max(corpus.chars() / SAMPLES)) {
        let mut cursor = corpus.cursor(start);
        let symbols = std::iter::from_fn(|| cursor.next(corpus)).take(SAMPLE);
        let text: Vec<char> = symbols.filter_map(char::from_u32).collect();
        let chars = || text.iter().copied();
        is_nfc = is_nfc && chars().nfc().eq(chars());
        is_nfd = is_nfd && chars().nfd().eq(chars());
    }
    !is_nfc && !is_nfd
}

/// Suggests `--records` for a text that looks like a list.
fn suggest_records(corpus: &Corpus, has_val_file: bool, terminal: &Terminal) {
    let Some(ListLike { kind, is_sorted }) = ListLike::find(corpus) else { return };
    let records = match kind {
        RecordKind::Line => "lines",
        RecordKind::Block => "blocks",
        RecordKind::File => "files",
    };
    let flag = format!("--records {}", kind.name());
    if is_sorted && !has_val_file {
        terminal.warn(&format!(
            "the text is a sorted list, so the held-out part, its end, differs from the rest; {flag} holds out random {records}"
        ));
    } else {
        terminal.say(&format!("note: the text looks like a list; {flag} trains on shuffled, separate {records}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_in_neither_normal_form_mix_them() {
        let mixes = |line: &str, other: &str| {
            let text = line.repeat(50_000) + other;
            mixes_normal_forms(&Corpus::from_text("test", text.into_bytes(), Encoding::Utf8).unwrap())
        };
        assert!(mixes("caf\u{e9} and cafe\u{301}\n", ""));
        assert!(mixes("caf\u{e9}\n", &"cafe\u{301}\n".repeat(10_000)), "the end of the text");
        assert!(!mixes("caf\u{e9} and na\u{ef}ve\n", ""));
        assert!(!mixes("cafe\u{301} and nai\u{308}ve\n", ""));
        assert!(!mixes("caf\u{e9} k\u{25b}\u{303}\n", ""), "no character is composed of these two");
        assert!(!mixes("\u{623}\u{64e}\u{62d}\u{652}\n", ""), "vowelled Arabic in composed form");
    }
}
