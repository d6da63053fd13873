//! The document as text: which versions of its form are read, and how older ones are lifted to ours. Pure.

use super::document::{Document, FORMAT_VERSION};
use crate::error::{Diagnostic, Kind};
use serde_json::Value;

/// Lifts a document by one version.
pub type Lift = fn(&mut Value) -> Result<(), String>;

/// The first lifts version 1 to version 2, and so on. Each stays for good: a state may be as old as it likes.
const LIFTS: [Lift; (FORMAT_VERSION - OLDEST) as usize] = [];
const OLDEST: u32 = 1;

/// Why a text is no document.
#[derive(Debug)]
pub enum Unreadable {
    /// A newer version's; which.
    Newer(u64),
    /// The text is wrong at a line and a column, both from 1; 0 where it is no matter of one place.
    Corrupt { what: String, line: usize, column: usize },
}

/// Reads a document of any version that is known.
///
/// # Errors
/// The text is no document, or a newer one.
pub fn parse(text: &str) -> Result<Document, Unreadable> {
    parse_with(text, &LIFTS, u64::from(FORMAT_VERSION))
}

/// `lifts` end at the version `ours`.
fn parse_with(text: &str, lifts: &[Lift], ours: u64) -> Result<Document, Unreadable> {
    let wrong = |error: serde_json::Error| Unreadable::Corrupt {
        what: error.to_string(),
        line: error.line(),
        column: error.column(),
    };
    let broken = |what: String| Unreadable::Corrupt { what, line: 0, column: 0 };
    let mut value: Value = serde_json::from_str(text).map_err(wrong)?;
    let version = value.get("format_version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| broken("missing field `format_version`".to_owned()))?;
    let behind = ours.checked_sub(version).ok_or(Unreadable::Newer(version))?;
    let first = usize::try_from(behind).ok().and_then(|behind| lifts.len().checked_sub(behind));
    let lifts = first.and_then(|first| lifts.get(first..));
    let lifts = lifts.ok_or_else(|| broken(format!("format {version} was never written")))?;
    if lifts.is_empty() {
        // The text itself, so that what is wrong has a line.
        return serde_json::from_str(text).map_err(wrong);
    }
    for lift in lifts {
        lift(&mut value).map_err(broken)?;
    }
    if let Some(written) = value.get_mut("format_version") {
        *written = ours.into();
    }
    serde_json::from_value(value).map_err(wrong)
}

/// What to say of a newer version.
pub fn newer(version: u64) -> Diagnostic {
    let message = format!("the state has format {version}, and this nornplan knows {FORMAT_VERSION}");
    Diagnostic::new(Kind::State, message).hint("a newer nornplan wrote it: use that one. Nothing was written")
}

/// Sorted and readable, with a line end: the same document is the same text.
///
/// # Errors
/// It cannot be written as JSON.
pub fn text(document: &Document) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if ours were version 3: version 1 had no serial, and version 2 called the lineage otherwise.
    const LIFTED: [Lift; 2] = [without_serial, other_name];

    fn without_serial(value: &mut Value) -> Result<(), String> {
        value.as_object_mut().ok_or("no object")?.insert("serial".to_owned(), 4.into());
        Ok(())
    }

    fn other_name(value: &mut Value) -> Result<(), String> {
        let object = value.as_object_mut().ok_or("no object")?;
        let name = object.remove("family").ok_or("it has no family")?;
        object.insert("lineage".to_owned(), name);
        Ok(())
    }

    fn read(version: u32, rest: &str) -> Result<Document, Unreadable> {
        let text = format!(
            "{{\"format_version\":{version},\"environment\":\"e\",\"servers\":{{}},\"resources\":{{}},{rest}}}"
        );
        parse_with(&text, &LIFTED, 3)
    }

    #[test]
    fn an_older_document_is_lifted_step_by_step_and_written_as_ours() {
        let first = read(1, "\"family\":\"l\"").unwrap();
        assert_eq!((first.lineage.as_str(), first.serial, first.format_version), ("l", 4, 3));
        let second = read(2, "\"family\":\"l\",\"serial\":7").unwrap();
        assert_eq!((second.lineage.as_str(), second.serial, second.format_version), ("l", 7, 3));
        let ours = read(3, "\"lineage\":\"l\",\"serial\":7").unwrap();
        assert_eq!(ours, second);
        assert_eq!(parse_with(&text(&first).unwrap(), &LIFTED, 3).unwrap(), first, "what is written is ours");
    }

    #[test]
    fn what_cannot_be_lifted_is_refused() {
        let corrupt = |read: Result<Document, Unreadable>| match read.unwrap_err() {
            Unreadable::Corrupt { what, .. } => what,
            Unreadable::Newer(version) => panic!("{version} is no newer one"),
        };
        assert_eq!(corrupt(read(2, "\"serial\":7")), "it has no family");
        assert_eq!(corrupt(read(0, "\"serial\":7")), "format 0 was never written");
        assert!(matches!(read(4, "\"lineage\":\"l\",\"serial\":7"), Err(Unreadable::Newer(4))));
    }

    #[test]
    fn what_is_no_document_says_where() {
        let Err(Unreadable::Corrupt { line, column, .. }) = parse("{\n  \"format_version\": 1,\n  oops\n}") else {
            panic!("it was read");
        };
        assert_eq!((line, column), (3, 3));
        for text in ["", "[]", "null", "{}", "{\"format_version\":\"1\"}", "{\"format_version\":-1}"] {
            assert!(matches!(parse(text), Err(Unreadable::Corrupt { .. })), "{text}");
        }
    }
}
