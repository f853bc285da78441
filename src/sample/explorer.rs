//! The automaton of a regular expression over whole characters, found by walking through that over bytes.

use std::collections::HashMap;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::data::{Encoding, Vocab};
use crate::error::{Error, Result};

/// Where no character leads on.
pub(super) const NOWHERE: u32 = u32::MAX;
/// Transitions of an automaton at most, states times characters.
const MOST_TRANSITIONS: usize = 1 << 25;
/// Bytes of the automaton over bytes at most, and of what it is made from.
const MOST_BYTES: usize = 64 << 20;

/// Walks through the automaton over bytes, whole characters at a time.
pub(super) struct Explorer<'r> {
    regex: &'r str,
    dfa: DFA,
    cache: Cache,
}

impl<'r> Explorer<'r> {
    pub fn new(regex: &'r str, vocab: &Vocab) -> Result<Self> {
        let text = vocab.encoding() == Encoding::Utf8;
        let config =
            DFA::config().match_kind(MatchKind::All).cache_capacity(MOST_BYTES).minimum_cache_clear_count(Some(0));
        let built = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(text).utf8(text))
            .thompson(thompson::Config::new().nfa_size_limit(Some(MOST_BYTES)))
            .build(regex);
        let dfa = built.map_err(|e| {
            // The crate says where on several lines; the innermost reason is one.
            let mut reason: &dyn std::error::Error = &e;
            while let Some(source) = reason.source() {
                reason = source;
            }
            let reason = reason.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::Usage(format!("pattern \"{}\": {reason}", regex.escape_debug()))
        })?;
        let cache = dfa.create_cache();
        Ok(Explorer { regex, dfa, cache })
    }

    /// The table of transitions `(states, V)`, the first state being the start, and which states accept; as far as lines of `longest`
    /// characters lead.
    pub fn explore(
        mut self,
        vocab: &Vocab,
        longest: usize,
        open: impl Fn(u32) -> bool,
    ) -> Result<(Vec<u32>, Vec<bool>)> {
        let input = Input::new(b"").anchored(Anchored::Yes);
        let regex = self.regex;
        let start = self.dfa.start_state_forward(&mut self.cache, &input).map_err(|_| too_large(regex))?;
        let (mut states, mut known) = (vec![start], HashMap::from([(start, 0)]));
        let (mut next, mut accepting) = (Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        // States are found in the order of the fewest characters that lead to them: how many, and behind the last with as many.
        let (mut written, mut last) = (0, states.len());
        while let Some(&state) = states.get(accepting.len()) {
            if accepting.len() == last {
                (written, last) = (written + 1, states.len());
            }
            accepting.push(self.step(state, None)?.is_match());
            if written == longest {
                next.resize(next.len() + vocab.len(), NOWHERE);
                continue;
            }
            for id in 0..vocab.len() as u32 {
                bytes.clear();
                vocab.decode_into(id, &mut bytes);
                let end = bytes.iter().try_fold(state, |state, byte| self.step(state, Some(*byte)))?;
                if !open(id) || end.is_dead() {
                    next.push(NOWHERE);
                    continue;
                }
                next.push(*known.entry(end).or_insert_with(|| {
                    states.push(end);
                    states.len() as u32 - 1
                }));
            }
            if states.len().saturating_mul(vocab.len()) > MOST_TRANSITIONS {
                return Err(too_large(self.regex));
            }
        }
        Ok((next, accepting))
    }

    /// The state after a byte, or after the end.
    fn step(&mut self, state: LazyStateID, byte: Option<u8>) -> Result<LazyStateID> {
        let next = match byte {
            Some(byte) => self.dfa.next_state(&mut self.cache, state, byte),
            None => self.dfa.next_eoi_state(&mut self.cache, state),
        };
        next.map_err(|_| too_large(self.regex))
    }
}

/// An expression that is refused for its size.
pub(super) fn too_large(regex: &str) -> Error {
    let regex = regex.escape_debug();
    Error::Usage(format!("pattern \"{regex}\": too many states; use a simpler pattern or shorter lines"))
}
