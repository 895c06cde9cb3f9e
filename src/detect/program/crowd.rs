//! Texts that are too much alike to be told apart by grams, found in one pass of their own.
//!
//! Without it a value full of what they share would be compared with all of them at each byte.

use std::collections::HashSet;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;

/// Few sets of rules have such texts: then there is no automaton.
#[derive(Debug, Default)]
pub struct Crowd {
    automaton: Option<NFA>,
    atoms: Vec<u32>,
}

impl Crowd {
    /// Texts and the atoms that they answer.
    pub fn new<'t>(texts: impl Iterator<Item = (&'t [u8], u32)>) -> Self {
        let (texts, atoms): (Vec<_>, Vec<_>) = texts.unzip();
        if texts.is_empty() {
            return Self::default();
        }
        // Of more texts than an automaton takes there is none, and they are compared one by one.
        Self { automaton: NFA::new(texts).ok(), atoms }
    }

    pub const fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Calls `found` with the atom of each text that the value has.
    #[inline(never)]
    pub fn scan(&self, value: &[u8], mut found: impl FnMut(u32)) {
        let Some(automaton) = &self.automaton else { return };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
        // What ends at a state is told once, however often the value comes by.
        let mut told: HashSet<StateID> = HashSet::new();
        for byte in value {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_match(state) && told.insert(state) {
                let matches = (0..automaton.match_len(state)).map(|at| automaton.match_pattern(state, at));
                matches.filter_map(|pattern| self.atoms.get(pattern.as_usize())).copied().for_each(&mut found);
            }
        }
    }
}
