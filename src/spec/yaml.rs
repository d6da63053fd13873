//! YAML into the common tree. Anchors, aliases, merge keys and deep nesting are refused as soon as they are met.

use crate::error::Diagnostic;
use crate::spec::node::{Located, Node, Table, Value};
use crate::spec::source::{Source, Spot};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, Spanned};
use std::sync::Arc;

/// Norn's own specs nest five levels deep.
const DEEPEST: usize = 24;

/// Parses a whole file of one document. An empty one is `Value::Null`.
///
/// # Errors
/// The first syntax error, with its place.
pub fn parse(source: &Arc<Source>) -> Result<Node, Diagnostic> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let parsed: Result<Spanned<Raw>, Error> = serde_saphyr::from_str_with_options(source.text(), options);
    match parsed {
        Ok(raw) => Ok(node(source, raw)),
        Err(error) => Err(explain(source, &error)),
    }
}

/// A value as it is parsed, before it is tied to its file.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string, a number, true or false, a list or a table")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Integer(number)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Raw, E> {
        let number = i64::try_from(number).map_err(|_| E::custom("the number is too large"))?;
        Ok(Raw::Scalar(Value::Integer(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn node(source: &Arc<Source>, raw: Spanned<Raw>) -> Node {
    let spot = spot(source, raw.referenced);
    let value = match raw.value {
        Raw::Scalar(value) => value,
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(source, item)).collect()),
        Raw::Map(entries) => Value::Table(table(source, entries)),
    };
    Located::new(value, spot)
}

fn table(source: &Arc<Source>, entries: Vec<(Spanned<String>, Spanned<Raw>)>) -> Table {
    let entry = |(key, value): (Spanned<String>, _)| {
        let at = spot(source, key.referenced);
        (key.value, (at, node(source, value)))
    };
    entries.into_iter().map(entry).collect()
}

fn spot(source: &Arc<Source>, location: Location) -> Spot {
    let exact = location.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let counted = || {
        let (line, column) = (usize::try_from(location.line()), usize::try_from(location.column()));
        source.offset(line.unwrap_or(1), column.unwrap_or(1))
    };
    Spot::new(source, exact.unwrap_or_else(counted))
}

fn explain(source: &Arc<Source>, error: &Error) -> Diagnostic {
    let error = error.without_snippet();
    let spot = error.location().map_or_else(|| Spot::new(source, 0), |location| spot(source, location));
    if let Error::Budget { breach, .. } = error {
        if matches!(breach, BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. }) {
            return spot.error("anchors and aliases are not taken").hint("write the value out where it is used");
        }
        if matches!(breach, BudgetBreach::Depth { .. }) {
            return too_deep(&spot);
        }
        if matches!(breach, BudgetBreach::Documents { .. }) {
            return second_document(&spot);
        }
    }
    if let Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or_default();
        return spot.error(format!("the key {key:?} is there twice")).hint("remove one of them");
    }
    if matches!(error, Error::MergeKeyNotAllowed { .. }) {
        return spot.error("merge keys (<<) are not taken").hint("write the keys out where they are used");
    }
    if matches!(error, Error::MultipleDocuments { .. }) {
        return second_document(&spot);
    }
    // The library's text ends with the place, which stands in front of it already.
    let text = error.to_string();
    if text.contains("recursion limit") {
        return too_deep(&spot);
    }
    let message = match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text),
        None => &text,
    };
    let message = message.trim_end_matches([',', ':']).replace('\n', " ");
    let hint = "YAML has lines of key: value, indented by spaces; quotes around a value keep it a string";
    spot.error(format!("this is no YAML: {message}")).hint(hint)
}

fn too_deep(spot: &Spot) -> Diagnostic {
    let hint = "no infraspec needs more than five levels";
    spot.error(format!("this is nested deeper than {DEEPEST} levels")).hint(hint)
}

fn second_document(spot: &Spot) -> Diagnostic {
    spot.error("there is a second document in this file").hint("one file is one app: make it a file of its own")
}
