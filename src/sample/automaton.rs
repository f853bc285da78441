//! The automaton of a regular expression over the characters of a vocabulary, built from the automaton over bytes.

use std::collections::HashMap;

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::data::{Encoding, Vocab};
use crate::error::{Error, Result};

/// Takes the place of the next state if no line continues with this character.
pub(super) const DEAD: u32 = u32::MAX;
const MAX_TRANSITIONS: usize = 1 << 25;
/// The maximum size in bytes of the automaton over bytes, and of the regular expression compiled for it.
const MAX_BYTES: usize = 64 << 20;

/// An automaton over token ids; its first state is the start.
pub(super) struct Automaton {
    /// `(states, V)`: the next state after each character.
    pub next: Vec<u32>,
    pub accepting: Vec<bool>,
}

impl Automaton {
    pub fn new(regex: &str, vocab: &Vocab, max_chars: usize, is_allowed: impl Fn(u32) -> bool) -> Result<Self> {
        let mut bytewise = ByteAutomaton::new(regex, vocab.encoding())?;
        let input = Input::new(b"").anchored(Anchored::Yes);
        let start = bytewise.dfa.start_state_forward(&mut bytewise.cache, &input).map_err(|_| too_large(regex))?;
        let (mut states, mut indices) = (vec![start], HashMap::from([(start, 0)]));
        let (mut next, mut accepting) = (Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        // States are found breadth-first: those before `level_end` take at most `chars` characters to reach.
        let (mut chars, mut level_end) = (0, states.len());
        while let Some(&state) = states.get(accepting.len()) {
            if accepting.len() == level_end {
                (chars, level_end) = (chars + 1, states.len());
            }
            accepting.push(bytewise.step(state, None)?.is_match());
            if chars == max_chars {
                next.resize(next.len() + vocab.len(), DEAD);
                continue;
            }
            for id in 0..vocab.len() as u32 {
                bytes.clear();
                vocab.decode_into(id, &mut bytes);
                let end = bytes.iter().try_fold(state, |state, byte| bytewise.step(state, Some(*byte)))?;
                if !is_allowed(id) || end.is_dead() {
                    next.push(DEAD);
                    continue;
                }
                next.push(*indices.entry(end).or_insert_with(|| {
                    states.push(end);
                    states.len() as u32 - 1
                }));
            }
            if states.len().saturating_mul(vocab.len()) > MAX_TRANSITIONS {
                return Err(too_large(regex));
            }
        }
        Ok(Automaton { next, accepting })
    }
}

/// The automaton over bytes, whose states are computed when they are reached.
struct ByteAutomaton<'r> {
    regex: &'r str,
    dfa: DFA,
    cache: Cache,
}

impl<'r> ByteAutomaton<'r> {
    fn new(regex: &'r str, encoding: Encoding) -> Result<Self> {
        let is_text = encoding.is_utf8();
        let config =
            DFA::config().match_kind(MatchKind::All).cache_capacity(MAX_BYTES).minimum_cache_clear_count(Some(0));
        let built = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(is_text).utf8(is_text))
            .thompson(thompson::Config::new().nfa_size_limit(Some(MAX_BYTES)))
            .build(regex);
        let dfa = built.map_err(|e| {
            // The last line of the innermost error is a summary; the others show where the error is.
            let mut reason: &dyn std::error::Error = &e;
            while let Some(source) = reason.source() {
                reason = source;
            }
            let reason = reason.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::Usage(format!("pattern \"{}\": {reason}", regex.escape_debug()))
        })?;
        let cache = dfa.create_cache();
        Ok(ByteAutomaton { regex, dfa, cache })
    }

    /// The state after a byte; `None` stands for the end of the line.
    fn step(&mut self, state: LazyStateID, byte: Option<u8>) -> Result<LazyStateID> {
        let next = match byte {
            Some(byte) => self.dfa.next_state(&mut self.cache, state, byte),
            None => self.dfa.next_eoi_state(&mut self.cache, state),
        };
        next.map_err(|_| too_large(self.regex))
    }
}

pub(super) fn too_large(regex: &str) -> Error {
    let regex = regex.escape_debug();
    Error::Usage(format!("pattern \"{regex}\": too many states; use a simpler pattern or shorter lines"))
}
