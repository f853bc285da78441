//! Regular expressions for lines, compared with an independent engine.
//!
//! The first byte sets the minimum length and whether characters are bytes, the second the maximum length; the rest is the expression.

use std::ops::RangeInclusive;

use charlstm::data::{Encoding, Vocab};
use charlstm::sample::Pattern;
use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::ok;

/// Longer expressions are slow and have not found additional bugs.
const MAX_REGEX_LEN: usize = 64;
/// The NFA size limit of the reference engine, which is slow.
const MAX_ENGINE_BYTES: usize = 1 << 17;
/// All lines of up to this many characters are compared.
const MAX_LINE_LEN: usize = 3;

pub fn check(bytes: &[u8]) {
    let Some((&[min_byte, max_byte], regex)) = bytes.split_first_chunk() else { return };
    let Some(regex) = std::str::from_utf8(regex).ok().filter(|regex| regex.len() <= MAX_REGEX_LEN) else { return };
    let vocab = if min_byte & 0x80 == 0 {
        Vocab::new(Encoding::Utf8, "\n\rab0 \u{e9}\u{1f600}".chars().map(u32::from))
    } else {
        Vocab::new(Encoding::Bytes, [10, 13, 32, 48, 97, 98, 0xc3, 0xff])
    };
    let lengths = usize::from(min_byte % 8)..=usize::from(max_byte % 80);
    let ends = ['\n', '\r'].map(|c| vocab.id(u32::from(c)));
    let inner: Vec<u32> = (0..vocab.len() as u32).filter(|id| !ends.contains(&Some(*id))).collect();
    match Pattern::new(regex, &vocab, &[], lengths.clone()) {
        Ok(pattern) => {
            assert_matches_reference_engine(regex, &vocab, &inner, &lengths, |line| pattern.is_match(line));
            check_allowed_characters(&pattern, &vocab, bytes);
        }
        Err(e) => {
            let message = e.to_string();
            assert!(!message.contains('\n'), "{message}");
            if message.starts_with("no line of") {
                assert_matches_reference_engine(regex, &vocab, &inner, &lengths, |_| false);
            }
            ok::<()>(Err(e));
        }
    }
}

/// Checks that a short line matches if and only if the reference engine matches it and its length is allowed.
fn assert_matches_reference_engine(
    regex: &str,
    vocab: &Vocab,
    inner: &[u32],
    lengths: &RangeInclusive<usize>,
    is_match: impl Fn(&[u32]) -> bool,
) {
    let text = vocab.encoding() == Encoding::Utf8;
    let built = PikeVM::builder()
        .configure(PikeVM::config().match_kind(MatchKind::All))
        .syntax(syntax::Config::new().unicode(text).utf8(text))
        .thompson(thompson::Config::new().nfa_size_limit(Some(MAX_ENGINE_BYTES)))
        .build(regex);
    let engine = match built {
        Ok(engine) => engine,
        Err(e) => return assert!(e.size_limit().is_some(), "both engines accept the same expressions: {e}"),
    };
    let mut cache = engine.create_cache();
    let mut lines = vec![Vec::new()];
    for len in 0..=MAX_LINE_LEN {
        for line in &lines {
            let bytes = vocab.decode(line.iter().copied());
            // The longest match from the start.
            let found = engine.find(&mut cache, Input::new(&bytes).anchored(Anchored::Yes));
            let expected = found.is_some_and(|found| found.end() == bytes.len()) && lengths.contains(&line.len());
            assert_eq!(is_match(line), expected, "{regex:?} {lengths:?} {bytes:?}");
        }
        if len < MAX_LINE_LEN {
            lines = lines.iter().flat_map(|line| inner.iter().map(move |id| [&line[..], &[*id]].concat())).collect();
        }
    }
}

/// Checks that any sequence of allowed characters can be continued and ends in a match.
fn check_allowed_characters(pattern: &Pattern, vocab: &Vocab, choices: &[u8]) {
    assert!(pattern.count_from(pattern.start(), 9) > 0);
    let (mut state, mut line) = (pattern.start(), Vec::new());
    for choice in choices.iter().cycle().take(pattern.max_chars() + 2) {
        let mut logits = vec![0.0; vocab.len()];
        pattern.restrict(state, &mut logits);
        let allowed: Vec<u32> = (0..).zip(&logits).filter(|(_, logit)| **logit == 0.0).map(|(id, _)| id).collect();
        assert!(!allowed.is_empty(), "no allowed character after {line:?}");
        let id = allowed[usize::from(*choice) % allowed.len()];
        if id == pattern.line_end() {
            assert!(pattern.is_match(&line), "{line:?}");
            return;
        }
        line.push(id);
        state = pattern.advance(state, id).expect("the character is allowed");
    }
    panic!("the line does not end after {line:?}");
}
