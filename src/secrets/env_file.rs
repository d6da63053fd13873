//! The text of a dotenv file: read with care, edited in place, so that foreign names, order and comments stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The first line of a file that nornplan makes.
pub const HEADER: &str = "# Written by nornplan. It looks after its own names and leaves all others alone.\n";

/// A line that is no `NAME=value`, counted from 1. Never the line itself: there may be a secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine(pub usize);

enum Piece<'a> {
    /// A comment or an empty line, with its line end.
    Other(&'a str),
    Pair {
        raw: &'a str,
        export: bool,
        name: &'a str,
        value: Zeroizing<String>,
    },
}

/// All names and values; of a name that stands twice, the last.
///
/// # Errors
/// The first line that cannot be understood.
pub fn parse(text: &str) -> Result<BTreeMap<String, Zeroizing<String>>, BadLine> {
    let mut values = BTreeMap::new();
    for piece in pieces(text)? {
        if let Piece::Pair { name, value, .. } = piece {
            values.insert(name.to_owned(), value);
        }
    }
    Ok(values)
}

/// The text with some names set and some removed; `None` if nothing would be left in it.
///
/// # Errors
/// The first line that cannot be understood.
pub fn edit(
    text: &str,
    set: &BTreeMap<String, &str>,
    remove: &BTreeSet<String>,
) -> Result<Option<Zeroizing<String>>, BadLine> {
    let mut edited = Zeroizing::new(String::with_capacity(text.len() + 256));
    let mut written = BTreeSet::new();
    let mut worth_keeping = false;
    for piece in pieces(text)? {
        match piece {
            Piece::Other(line) => {
                worth_keeping |= line != HEADER && !line.trim().is_empty();
                edited.push_str(line);
            }
            Piece::Pair { name, .. } if remove.contains(name) && !set.contains_key(name) => {}
            Piece::Pair { raw, export, name, value } => match set.get(name) {
                Some(_) if !written.insert(name) => {}
                Some(wanted) if *wanted == value.as_str() => edited.push_str(raw),
                Some(wanted) => put(&mut edited, export, name, wanted),
                None => {
                    worth_keeping = true;
                    edited.push_str(raw);
                }
            },
        }
    }
    if !edited.is_empty() && !edited.ends_with('\n') {
        edited.push('\n');
    }
    for (name, value) in set.iter().filter(|(name, _)| !written.contains(name.as_str())) {
        if edited.is_empty() {
            edited.push_str(HEADER);
        }
        put(&mut edited, false, name, value);
    }
    Ok((worth_keeping || !set.is_empty()).then_some(edited))
}

fn put(text: &mut String, export: bool, name: &str, value: &str) {
    let quoted = Zeroizing::new(quote(value));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}{name}={}", if export { "export " } else { "" }, quoted.as_str());
}

/// Quotes only when needed, so that readers which know no quotes (docker's --env-file) get most values right.
fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,?".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut quoted = String::with_capacity(value.len() + 8);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\\' | '"' | '$' | '`' => quoted.extend(['\\', character]),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, BadLine> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let bad = || BadLine(text.len().checked_sub(rest.len()).and_then(|at| text.get(..at)).map_or(0, lines) + 1);
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        let trimmed = line.trim();
        let used = if trimmed.is_empty() || trimmed.starts_with('#') {
            pieces.push(Piece::Other(line));
            line.len()
        } else {
            let (head, _) = line.split_once('=').ok_or_else(bad)?;
            let export = head.trim_start().starts_with("export ");
            let name = head.trim_start().strip_prefix("export ").unwrap_or(head).trim();
            if !is_name(name) {
                return Err(bad());
            }
            let after = rest.get(head.len() + 1..).unwrap_or_default();
            let (value, length) = value(after).ok_or_else(bad)?;
            let used = head.len() + 1 + length;
            let raw = rest.get(..used).ok_or_else(bad)?;
            pieces.push(Piece::Pair { raw, export, name, value });
            used
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    Ok(pieces)
}

fn lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Whether a shell would take it as the name of a variable; dots are read as well.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// A value and how many bytes it takes, its line end with it. Quoted ones may go over several lines.
fn value(text: &str) -> Option<(Zeroizing<String>, usize)> {
    let start = text.trim_start_matches([' ', '\t']);
    let indent = text.len() - start.len();
    let (value, used) = match start.chars().next() {
        Some('\'') => {
            let (inside, _) = start.get(1..)?.split_once('\'')?;
            (Zeroizing::new(inside.to_owned()), inside.len() + 2)
        }
        Some('"') => double_quoted(start)?,
        Some(_) | None => {
            let line = start.split_inclusive('\n').next().unwrap_or_default();
            let end = [" #", "\t#"].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
            let bare = line.get(..end)?;
            let comment = indent > 0 && bare.starts_with('#');
            let value = if comment { "" } else { bare.trim() };
            return Some((Zeroizing::new(value.to_owned()), indent + line.len()));
        }
    };
    let tail = start.get(used..)?.split_inclusive('\n').next().unwrap_or_default();
    let rest = tail.trim();
    (rest.is_empty() || rest.starts_with('#')).then_some((value, indent + used + tail.len()))
}

fn double_quoted(text: &str) -> Option<(Zeroizing<String>, usize)> {
    let mut value = Zeroizing::new(String::new());
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, at + 1)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                same @ ('\\' | '"' | '$' | '`') => value.push(same),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BTreeMap<String, String> {
        parse(text).unwrap().into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }

    fn change(text: &str, set: &[(&str, &str)], remove: &[&str]) -> Option<String> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let remove = remove.iter().map(|name| (*name).to_owned()).collect();
        edit(text, &set, &remove).unwrap().map(|text| text.to_string())
    }

    #[test]
    fn reads_what_people_write() {
        let text = "# a comment\n\nA=1\nexport B = two words # note\r\nC='it # is $x'\nD=\"a\\\"b\\n\\$c\\q\" # d\n\
                    E=\nF= # no\nG=x#y\nH='two\nlines'\nA=3";
        let values = read(text);
        let expected = [
            ("A", "3"),
            ("B", "two words"),
            ("C", "it # is $x"),
            ("D", "a\"b\n$c\\q"),
            ("E", ""),
            ("F", ""),
            ("G", "x#y"),
            ("H", "two\nlines"),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn names_the_line_that_it_cannot_read() {
        assert_eq!(parse("A=1\n\nnonsense\n").unwrap_err(), BadLine(3));
        assert_eq!(parse("A='open\nB=2\n").unwrap_err(), BadLine(1));
        assert_eq!(parse("A=1\nB=\"x\" y\n").unwrap_err(), BadLine(2));
        assert_eq!(parse("A=1\n1B=2\n").unwrap_err(), BadLine(2));
    }

    #[test]
    fn keeps_foreign_names_order_and_comments() {
        let text = "# mine\nZ=1\nexport URL=old\n\nA='keep me' # why\nURL=older\nOLD=x";
        let edited = change(text, &[("URL", "new"), ("B", "b c")], &["OLD"]).unwrap();
        assert_eq!(edited, "# mine\nZ=1\nexport URL=new\n\nA='keep me' # why\nB='b c'\n");
    }

    #[test]
    fn an_emptied_file_is_none_and_a_new_one_has_a_header() {
        let made = change("", &[("A", "1")], &[]).unwrap();
        assert_eq!(made, format!("{HEADER}A=1\n"));
        assert_eq!(change(&made, &[], &["A"]), None);
        assert_eq!(change("# people\nA=1\n", &[], &["A"]).unwrap(), "# people\n");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_again(value in "[ -~\n\r\té'\"$`\\\\#]{0,40}", other in "[a-z]{1,5}") {
            let text = format!("X={other}\n# c\n");
            let edited = change(&text, &[("V", &value)], &[]).unwrap();
            proptest::prop_assert_eq!(&read(&edited)["V"], &value);
            proptest::prop_assert_eq!(&read(&edited)["X"], &other);
            let again = change(&edited, &[("V", &value)], &[]).unwrap();
            proptest::prop_assert_eq!(again, edited);
        }
    }
}
