//! Glob patterns as the server matches them (`*`, `?`, `[a-z]`, `[^a]`, `\x`), and whether one opens what another opens.
//! Pure.
//!
//! Patterns can be made so that comparing them takes more than anybody waits: every answer here is bounded, and is the
//! safe one where the bound is hit.

use super::bytes::{Bytes, raw};
use super::effort::Effort;
use super::machine::matched;

/// What one comparison of two patterns may be: about a quarter of a millisecond.
const EFFORT: u64 = 50_000;

/// The most pairs of places that are looked at: those of patterns of 1,000 characters each.
const MOST_PAIRS: usize = 1_000_000;

/// One part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `*`
    Anything,
    /// One byte of these.
    OneOf(Bytes),
}

impl Token {
    /// Reads a pattern as `stringmatchlen` of the server's util.c does, its quirks included.
    pub fn read(pattern: &str) -> Vec<Self> {
        let mut bytes = raw(pattern).into_iter().peekable();
        let mut tokens = Vec::new();
        while let Some(byte) = bytes.next() {
            let literal = |byte| Self::OneOf(Bytes::none().with(byte, byte));
            tokens.push(match byte {
                b'*' if tokens.last() == Some(&Self::Anything) => continue,
                b'*' => Self::Anything,
                b'?' => Self::OneOf(Bytes::none().others()),
                b'\\' => literal(bytes.next().unwrap_or(b'\\')),
                b'[' => class(&mut bytes),
                byte => literal(byte),
            });
        }
        tokens
    }

    /// Whether nothing matches it: `[]`.
    fn is_dead(self) -> bool {
        self == Self::OneOf(Bytes::none())
    }
}

/// What stands after `[`. A class that is not closed ends with the pattern.
fn class(bytes: &mut std::iter::Peekable<std::vec::IntoIter<u8>>) -> Token {
    let negated = bytes.next_if_eq(&b'^').is_some();
    let mut all = Bytes::none();
    while let Some(byte) = bytes.next() {
        if byte == b']' {
            break;
        }
        if byte == b'\\' {
            let escaped = bytes.next().unwrap_or(b'\\');
            all = all.with(escaped, escaped);
            continue;
        }
        let mut ahead = bytes.clone();
        match (ahead.next(), ahead.next()) {
            (Some(b'-'), Some(end)) => {
                *bytes = ahead;
                all = all.with(byte.min(end), byte.max(end));
            }
            (Some(_) | None, Some(_) | None) => all = all.with(byte, byte),
        }
    }
    Token::OneOf(if negated { all.others() } else { all })
}

/// Whether everything that `narrow` matches is matched by `wide`. See `matched` for what is left out of account. `false`
/// also where that cannot be told at once: the one then counts as opening more.
pub fn includes(wide: &str, narrow: &str) -> bool {
    if wide == narrow || wide == "*" {
        return true;
    }
    narrow != "*"
        && !begin_apart(wide, narrow)
        && matched(&[wide, narrow], &Effort::of(EFFORT))
            .is_some_and(|found| found.iter().all(|places| places.contains(&0) || !places.contains(&1)))
}

/// Whether two patterns have nothing in common because they begin with other bytes: most pairs do, and are told apart so
/// without more work.
fn begin_apart(one: &str, other: &str) -> bool {
    let plain = |byte: &u8| !b"*?[\\".contains(byte);
    let (one, other) = (one.bytes().take_while(plain), other.bytes().take_while(plain));
    one.zip(other).any(|(one, other)| one != other)
}

/// Whether there is a text that both match. `true` also for patterns that are too long to tell: they may.
pub fn overlap(one: &str, other: &str) -> bool {
    if begin_apart(one, other) {
        return false;
    }
    let (one, other) = (Token::read(one), Token::read(other));
    if one.len().saturating_mul(other.len()) > MOST_PAIRS {
        return true;
    }
    // Which places of the other one can be reached together with a place of the first; every way leads onwards in one of
    // them, so that each pair is looked at once.
    let mut row = vec![false; other.len() + 1];
    if let Some(start) = row.first_mut() {
        *start = true;
    }
    for mine in one.iter().map(Some).chain([None]) {
        let mut below = vec![false; row.len()];
        // Whether the place before leads here without leaving this row.
        let mut led = false;
        for (place, there) in row.iter().enumerate() {
            let is_reached = *there || led;
            led = false;
            if !is_reached {
                continue;
            }
            let mut lead = |place: usize| below.get_mut(place).into_iter().for_each(|to| *to = true);
            match (mine, other.get(place)) {
                (None, None) => return true,
                // A `*` may take nothing.
                (Some(Token::Anything), theirs) => {
                    lead(place);
                    led = theirs.is_some_and(|theirs| !theirs.is_dead());
                }
                (mine, Some(Token::Anything)) => {
                    if mine.is_some_and(|mine| !mine.is_dead()) {
                        lead(place);
                    }
                    led = true;
                }
                (Some(Token::OneOf(mine)), Some(Token::OneOf(theirs))) if mine.meets(*theirs) => lead(place + 1),
                (Some(_) | None, Some(_) | None) => {}
            }
        }
        row = below;
        if !row.contains(&true) {
            return false;
        }
    }
    false
}

/// Whether one rule for keys opens all that another opens (`~` opens more than `%R~`), or one for channels all of them.
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (Some((wide_mode, wide)), Some((narrow_mode, narrow))) = (wide.split_once('~'), narrow.split_once('~')) else {
        return wide == narrow || wide == "&*";
    };
    (wide_mode.is_empty() || wide_mode == narrow_mode) && includes(wide, narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server's own code does it.
    fn matches(pattern: &str, text: &str) -> bool {
        fn go(tokens: &[Token], text: &[u8]) -> bool {
            match (tokens, text) {
                ([], text) => text.is_empty(),
                ([Token::Anything, rest @ ..], text) => (0..=text.len()).any(|taken| go(rest, &text[taken..])),
                ([Token::OneOf(bytes), rest @ ..], [byte, left @ ..]) => bytes.has(*byte) && go(rest, left),
                ([Token::OneOf(_), ..], []) => false,
            }
        }
        go(&Token::read(pattern), text.as_bytes())
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
            ("[^\u{FFFD}ff]", "f", "\u{FFFD}"),
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

    /// Each would take more than anybody waits if it were told exactly: states double with each `?`, or grow with each
    /// star of each pattern.
    fn wild() -> Vec<String> {
        let mut wild = vec![
            format!("*a{}", "?".repeat(40)),
            format!("*a{}*b{}", "?".repeat(200), "?".repeat(200)),
            "*a*b".repeat(120),
            "*[ab]?".repeat(80),
            "?*".repeat(240) + "x",
            format!("*{}*", "[a-y]".repeat(90)),
            "*a".repeat(100_000),
        ];
        wild.extend(('a'..='c').map(|c| format!("*{c}*{c}{}", "*a*b*c".repeat(40))));
        wild
    }

    #[test]
    fn wild_patterns_are_answered_at_once_and_on_the_safe_side() {
        let wild = wild();
        for (one, other) in wild.iter().flat_map(|one| wild.iter().map(move |other| (one, other))) {
            // What can be told is told; beyond that, they may overlap, and do not include each other.
            assert!(overlap(one, &format!("{other}*")) && overlap("mail:*", one), "{one:.40} {other:.40}");
            assert!(one == other || !includes(one, other), "{one:.40} {other:.40}");
        }
        assert!(matched(&[&wild[0], &wild[1]], &Effort::of(EFFORT)).is_none());
    }
}
