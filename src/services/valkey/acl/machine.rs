//! Patterns side by side as one machine that reads a text byte by byte: where the text may have led to in each of them is a
//! set of bits. Pure.

use super::bytes::Bytes;
use super::effort::Effort;
use super::pattern::Token;
use std::collections::{BTreeSet, HashSet};

/// More places than the patterns that people write have together.
const MOST_PLACES: usize = 4_096;

/// What a step costs beside its words.
const STEP: usize = 8;

/// Places in all patterns, each pattern's end included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Places(Vec<u64>);

impl Places {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Goes from each place to the next.
    fn advance(&mut self) {
        let mut carried = 0;
        for word in &mut self.0 {
            let out = *word >> 63;
            *word = *word << 1 | carried;
            carried = out;
        }
    }

    fn keep(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word &= other);
    }

    fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word |= other);
    }
}

struct Machine {
    start: Places,
    /// Where each pattern ends.
    ends: Vec<usize>,
    stars: Places,
    /// For each set of bytes that the patterns do not tell apart: the places, but stars, that take one of them.
    takes: Vec<Places>,
}

impl Machine {
    fn new(patterns: &[&str]) -> Option<Self> {
        let patterns: Vec<Vec<Token>> = patterns.iter().map(|pattern| Token::read(pattern)).collect();
        let count = patterns.iter().map(|tokens| tokens.len() + 1).sum();
        if count > MOST_PLACES {
            return None;
        }
        let none = Places::none(count);
        let (mut starts, mut stars, mut ends) = (none.clone(), none.clone(), Vec::new());
        let mut placed: Vec<(usize, Bytes)> = Vec::new();
        let mut place = 0;
        for tokens in &patterns {
            starts.insert(place);
            for token in tokens {
                match token {
                    Token::Anything => stars.insert(place),
                    Token::OneOf(bytes) => placed.push((place, *bytes)),
                }
                place += 1;
            }
            ends.push(place);
            place += 1;
        }
        // One byte for each set of bytes that no pattern tells apart.
        let starts_of_sets = placed.iter().fold(Bytes::none().with(0, 0), |all, (_, bytes)| all.and(bytes.changes()));
        let takes = (0..=u8::MAX).filter(|byte| starts_of_sets.has(*byte)).map(|byte| {
            let mut takes = none.clone();
            placed.iter().filter(|(_, bytes)| bytes.has(byte)).for_each(|(place, _)| takes.insert(*place));
            takes
        });
        let machine = Self { takes: takes.collect(), start: none.clone(), ends, stars };
        Some(Self { start: machine.past_stars(starts), ..machine })
    }

    /// `*` may take nothing. No two follow each other.
    fn past_stars(&self, mut places: Places) -> Places {
        let mut behind = places.clone();
        behind.keep(&self.stars);
        behind.advance();
        places.add(&behind);
        places
    }

    /// Where one more byte leads, by the places that take it.
    fn step(&self, places: &Places, takes: &Places) -> Places {
        let mut next = places.clone();
        next.keep(takes);
        next.advance();
        let mut stays = places.clone();
        stays.keep(&self.stars);
        next.add(&stays);
        self.past_stars(next)
    }

    fn ended(&self, places: &Places) -> BTreeSet<usize> {
        let ended = self.ends.iter().enumerate().filter(|(_, end)| places.contains(**end));
        ended.map(|(pattern, _)| pattern).collect()
    }
}

/// Which patterns can match one text together, by their places: every such set, the empty one too.
///
/// Exact for every text but the empty one, which the server matches with no pattern but an empty one. `None` if telling
/// it would be more effort than is left, or the patterns are longer than any: then nothing is known.
pub fn matched(patterns: &[&str], effort: &Effort) -> Option<BTreeSet<BTreeSet<usize>>> {
    let machine = Machine::new(patterns)?;
    effort.spend(machine.start.0.len() * machine.takes.len())?;
    let mut found = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut open = vec![machine.start.clone()];
    while let Some(places) = open.pop() {
        for takes in &machine.takes {
            effort.spend(machine.start.0.len() + STEP)?;
            let reached = machine.step(&places, takes);
            if !seen.contains(&reached) {
                effort.spend(machine.ends.len() + STEP)?;
                found.insert(machine.ended(&reached));
                seen.insert(reached.clone());
                open.push(reached);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_patterns_that_one_text_matches_is_found() {
        let all = |patterns: &[&str]| -> Vec<Vec<usize>> {
            let found = matched(patterns, &Effort::new()).unwrap();
            found.into_iter().map(|set| set.into_iter().collect()).collect()
        };
        assert_eq!(all(&["*"]), [vec![0]]);
        assert_eq!(all(&["a*", "*b", "a?b"]), [vec![], vec![0], vec![0, 1], vec![0, 1, 2], vec![1]]);
        assert_eq!(all(&["a", "[^a]", "??"]), [vec![], vec![0], vec![1], vec![2]]);
        // Bits that cross from one word to the next.
        let long = "x".repeat(200);
        assert_eq!(all(&[&long, &format!("{long}*"), "y*"]), [vec![], vec![0, 1], vec![1], vec![2]]);
    }
}
