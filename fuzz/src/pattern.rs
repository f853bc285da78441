//! A regular expression for lines, against an engine that works in another way.
//!
//! The first byte is the least length (of eight) and whether characters are bytes, the second the greatest; the rest is the
//! expression.

use std::ops::RangeInclusive;

use charlstm::data::{Encoding, Vocab};
use charlstm::sample::Pattern;
use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::told;

/// Bytes of an expression at most: longer ones are slow and say nothing new.
const LONGEST: usize = 64;
/// Bytes of the other engine at most, which is slow.
const MOST_BYTES: usize = 1 << 17;
/// Characters of the lines that are tried, in every combination.
const TRIED: usize = 3;

pub fn check(bytes: &[u8]) {
    let Some((&[least, most], regex)) = bytes.split_first_chunk() else { return };
    let Some(regex) = std::str::from_utf8(regex).ok().filter(|regex| regex.len() <= LONGEST) else { return };
    let vocab = if least & 0x80 == 0 {
        Vocab::new(Encoding::Utf8, "\n\rab0 \u{e9}\u{1f600}".chars().map(u32::from))
    } else {
        Vocab::new(Encoding::Bytes, [10, 13, 32, 48, 97, 98, 0xc3, 0xff])
    };
    let lengths = usize::from(least % 8)..=usize::from(most % 80);
    let ends = ['\n', '\r'].map(|c| vocab.id(u32::from(c)));
    let inner: Vec<u32> = (0..vocab.len() as u32).filter(|id| !ends.contains(&Some(*id))).collect();
    match Pattern::new(regex, &vocab, &[], lengths.clone()) {
        Ok(pattern) => {
            agrees(regex, &vocab, &inner, &lengths, |line| pattern.is_match(line));
            walks_to_a_match(&pattern, &vocab, bytes);
        }
        Err(e) => {
            let message = e.to_string();
            assert!(!message.contains('\n'), "{message}");
            if message.starts_with("no line of") {
                agrees(regex, &vocab, &inner, &lengths, |_| false);
            }
            told::<()>(Err(e));
        }
    }
}

/// Every short line matches where the other engine says so, and its length is one that was asked for.
fn agrees(
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
        .thompson(thompson::Config::new().nfa_size_limit(Some(MOST_BYTES)))
        .build(regex);
    let engine = match built {
        Ok(engine) => engine,
        Err(e) => return assert!(e.size_limit().is_some(), "both engines take the same expressions: {e}"),
    };
    let mut cache = engine.create_cache();
    let mut lines = vec![Vec::new()];
    for more in 0..=TRIED {
        for line in &lines {
            let bytes = vocab.decode(line.iter().copied());
            // The longest match, from the beginning.
            let found = engine.find(&mut cache, Input::new(&bytes).anchored(Anchored::Yes));
            let wanted = found.is_some_and(|found| found.end() == bytes.len()) && lengths.contains(&line.len());
            assert_eq!(is_match(line), wanted, "{regex:?} {lengths:?} {bytes:?}");
        }
        if more < TRIED {
            lines = lines.iter().flat_map(|line| inner.iter().map(move |id| [&line[..], &[*id]].concat())).collect();
        }
    }
}

/// However one chooses among what is allowed, there is a way on, and it ends in a match.
fn walks_to_a_match(pattern: &Pattern, vocab: &Vocab, choices: &[u8]) {
    assert!(pattern.count_from(pattern.start(), 9) > 0);
    let (mut state, mut line) = (pattern.start(), Vec::new());
    for choice in choices.iter().cycle().take(pattern.max_chars() + 2) {
        let mut logits = vec![0.0; vocab.len()];
        pattern.restrict(state, &mut logits);
        let open: Vec<u32> = (0..).zip(&logits).filter(|(_, logit)| **logit == 0.0).map(|(id, _)| id).collect();
        assert!(!open.is_empty(), "no way on after {line:?}");
        let id = open[usize::from(*choice) % open.len()];
        if id == pattern.line_end() {
            assert!(pattern.is_match(&line), "{line:?}");
            return;
        }
        line.push(id);
        state = pattern.advance(state, id).expect("it is allowed");
    }
    panic!("no end after {line:?}");
}
