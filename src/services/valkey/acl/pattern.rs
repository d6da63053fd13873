//! Glob patterns as the server matches them (`*`, `?`, `[a-z]`, `[^a]`, `\x`), and whether one opens all that another
//! opens. Pure.

use std::collections::{BTreeSet, VecDeque};

/// More states than patterns that people write have; a comparison that needs more is not answered with yes.
const MOST_STATES: usize = 5_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// `*`
    Anything,
    /// One byte of these.
    OneOf(Vec<(u8, u8)>),
    /// One byte, and none of these.
    NoneOf(Vec<(u8, u8)>),
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        let within = |ranges: &[(u8, u8)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte));
        match self {
            Self::Anything => true,
            Self::OneOf(ranges) => within(ranges),
            Self::NoneOf(ranges) => !within(ranges),
        }
    }

    fn ranges(&self) -> &[(u8, u8)] {
        match self {
            Self::Anything => &[],
            Self::OneOf(ranges) | Self::NoneOf(ranges) => ranges,
        }
    }
}

/// Reads a pattern as `stringmatchlen` of the server's util.c does, its quirks included.
fn tokens(pattern: &str) -> Vec<Token> {
    let mut bytes = pattern.bytes().peekable();
    let mut tokens = Vec::new();
    while let Some(byte) = bytes.next() {
        let literal = |byte| Token::OneOf(vec![(byte, byte)]);
        tokens.push(match byte {
            b'*' if tokens.last() == Some(&Token::Anything) => continue,
            b'*' => Token::Anything,
            b'?' => Token::NoneOf(Vec::new()),
            b'\\' => literal(bytes.next().unwrap_or(b'\\')),
            b'[' => class(&mut bytes),
            byte => literal(byte),
        });
    }
    tokens
}

/// What stands after `[`. A class that is not closed ends with the pattern.
fn class(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Token {
    let negated = bytes.next_if_eq(&b'^').is_some();
    let mut ranges = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b']' {
            break;
        }
        if byte == b'\\' {
            let escaped = bytes.next().unwrap_or(b'\\');
            ranges.push((escaped, escaped));
            continue;
        }
        let mut ahead = bytes.clone();
        match (ahead.next(), ahead.next()) {
            (Some(b'-'), Some(end)) => {
                *bytes = ahead;
                ranges.push((byte.min(end), byte.max(end)));
            }
            (Some(_) | None, Some(_) | None) => ranges.push((byte, byte)),
        }
    }
    if negated { Token::NoneOf(ranges) } else { Token::OneOf(ranges) }
}

/// Whether everything that `narrow` matches is matched by `wide`. See [`matched`] for what is left out of account.
pub fn includes(wide: &str, narrow: &str) -> bool {
    if wide == narrow || wide == "*" {
        return true;
    }
    narrow != "*"
        && !begin_apart(wide, narrow)
        && matched(&[wide, narrow])
            .is_some_and(|found| found.iter().all(|places| places.contains(&0) || !places.contains(&1)))
}

/// Whether two patterns have nothing in common because they begin with other bytes: most pairs do, and are told apart so
/// without more work.
fn begin_apart(one: &str, other: &str) -> bool {
    let plain = |pattern: &str| pattern.bytes().take_while(|byte| !b"*?[\\".contains(byte)).collect::<Vec<u8>>();
    plain(one).iter().zip(plain(other)).any(|(one, other)| *one != other)
}

/// Which patterns can match one text together, by their places: every such set, the empty one too.
///
/// Exact for every text but the empty one, which the server matches with no pattern but an empty one. `None` if the
/// patterns are too many or too wild to tell.
pub fn matched(patterns: &[&str]) -> Option<BTreeSet<BTreeSet<usize>>> {
    let patterns: Vec<Vec<Token>> = patterns.iter().map(|pattern| tokens(pattern)).collect();
    let alphabet = alphabet(patterns.iter().flatten());
    let start = closure(&patterns, (0..patterns.len()).map(|pattern| (pattern, 0)).collect());
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    while let Some(places) = open.pop_front() {
        for byte in &alphabet {
            let reached = closure(&patterns, step(&patterns, &places, *byte));
            let end = |(pattern, place): &(usize, usize)| patterns.get(*pattern).is_some_and(|all| all.len() == *place);
            found.insert(reached.iter().filter(|place| end(place)).map(|(pattern, _)| *pattern).collect());
            if seen.insert(reached.clone()) {
                open.push_back(reached);
            }
        }
        if seen.len() > MOST_STATES {
            return None;
        }
    }
    Some(found)
}

/// Where one text may have led to in each pattern.
type Places = BTreeSet<(usize, usize)>;

fn token(patterns: &[Vec<Token>], (pattern, place): (usize, usize)) -> Option<&Token> {
    patterns.get(pattern)?.get(place)
}

/// Whether there is a text that both match.
pub fn overlap(one: &str, other: &str) -> bool {
    if begin_apart(one, other) {
        return false;
    }
    let (one, other) = (tokens(one), tokens(other));
    let alphabet = alphabet(one.iter().chain(&other));
    let mut seen = BTreeSet::from([(0, 0)]);
    let mut open = vec![(0, 0)];
    while let Some((here, there)) = open.pop() {
        let (mine, theirs) = (one.get(here), other.get(there));
        let mut reached = Vec::new();
        // `*` may take nothing.
        if mine == Some(&Token::Anything) {
            reached.push((here + 1, there));
        }
        if theirs == Some(&Token::Anything) {
            reached.push((here, there + 1));
        }
        match (mine, theirs) {
            (None, None) => return true,
            (Some(mine), Some(theirs)) if alphabet.iter().any(|byte| mine.takes(*byte) && theirs.takes(*byte)) => {
                let after = |place: usize, token: &Token| if *token == Token::Anything { place } else { place + 1 };
                reached.push((after(here, mine), after(there, theirs)));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        open.extend(reached.into_iter().filter(|state| seen.insert(*state)));
    }
    false
}

/// The places after one more byte.
fn step(patterns: &[Vec<Token>], places: &Places, byte: u8) -> Places {
    let taken = places.iter().filter_map(|(pattern, place)| {
        let token = token(patterns, (*pattern, *place)).filter(|token| token.takes(byte))?;
        Some((*pattern, if *token == Token::Anything { *place } else { place + 1 }))
    });
    taken.collect()
}

/// `*` may take nothing.
fn closure(patterns: &[Vec<Token>], mut places: Places) -> Places {
    let mut open: Vec<(usize, usize)> = places.iter().copied().collect();
    while let Some((pattern, place)) = open.pop() {
        let next = (pattern, place + 1);
        if token(patterns, (pattern, place)) == Some(&Token::Anything) && places.insert(next) {
            open.push(next);
        }
    }
    places
}

/// One byte for each set of bytes that the tokens do not tell apart.
fn alphabet<'a>(tokens: impl Iterator<Item = &'a Token>) -> BTreeSet<u8> {
    let mut starts = BTreeSet::from([0]);
    for (first, last) in tokens.flat_map(Token::ranges) {
        starts.insert(*first);
        starts.extend(last.checked_add(1));
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = [tokens(pattern)];
        let start = closure(&pattern, Places::from([(0, 0)]));
        let end = text.bytes().fold(start, |places, byte| closure(&pattern, step(&pattern, &places, byte)));
        end.contains(&(0, pattern[0].len()))
    }

    #[test]
    fn patterns_are_read_as_the_server_reads_them() {
        for (pattern, yes, no) in [
            ("a:*", "a:", "b:"),
            ("a?c", "abc", "ac"),
            ("a[bc]d", "acd", "aed"),
            ("a[^bc]d", "aed", "abd"),
            ("a[d-b]e", "ace", "aee"),
            (r"a\*b", "a*b", "axb"),
            (r"a[\]]b", "a]b", "a\\b"),
            ("a[bc", "ab", "a[bc"),
            ("[^]", "x", ""),
            (r"a[\", r"a\", "a"),
            ("a**b", "axxb", "axx"),
            (r"a\", r"a\", "a"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
        assert!(!matches("[]", "]") && !matches("[]", ""));
    }

    #[test]
    fn inclusion() {
        for (wide, narrow) in [
            ("*", "a:*"),
            ("a*", "a:*"),
            ("a:*", "a:b:*"),
            ("a:*", "a:[bc]?"),
            ("[ab]:*", "a:*"),
            ("a?*", "ab*"),
            ("*b", "a*b"),
            ("a[^x]*", "ab*"),
            ("a**", "a*"),
            ("*a*", "*aa*"),
            ("?*", "*?"),
        ] {
            assert!(includes(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("a:*", "a*"),
            ("a:*", "ab:*"),
            ("a?", "a*"),
            ("a[^x]*", "a*"),
            ("**", "*"),
            ("a:b", "a:*"),
            ("a:*", "A:*"),
        ] {
            assert!(!includes(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn overlaps_are_found_both_ways() {
        for (one, other) in [
            ("mail*", "mail-agent:*"),
            ("*", "a"),
            ("*b", "a*"),
            ("a:*:c", "a:b:*"),
            ("[ab]:x", "[bc]:?"),
            ("a**", "a"),
            ("", "*"),
            ("[^a]x", "bx"),
        ] {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("mail:*", "mail-agent:*"),
            ("a*", "b*"),
            ("?", "aa"),
            ("[ab]:x", "[cd]:x"),
            ("*a", "*b"),
            ("", "?"),
            (r"\*", "a"),
            ("[]", "*"),
        ] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}
