//! Changes of fields as aligned lines: `name:  old -> new`, sets by what comes and goes, long values line by line.

use super::acls::group_bindings;
use super::layout::{columns, wrap};
use super::words;
use super::{Ink, Style, clean, rules};
use crate::core::change::{Cause, FieldChange};
use crate::services::kafka::model::Binding;
use crate::services::postgres::model::Extension;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::collections::{BTreeMap, BTreeSet};

/// One name and the lines beside it.
struct Row {
    name: String,
    lines: Vec<String>,
    cause: Cause,
}

/// The field that counts objects of a database by owner.
const OBJECTS_OF_OTHERS: &str = "objects_of_others";
/// Beyond this the names do not push the values further to the right.
const WIDEST_NAME: usize = 30;
/// Lines that stay the same around a change in a long value.
const CONTEXT: usize = 1;

/// All changes, each line indented by `indent`. The cause stands at each field only if `causes` says so.
pub(super) fn lines(changes: &[FieldChange], indent: usize, causes: bool, style: Style) -> Vec<String> {
    let rows: Vec<Row> = changes.iter().flat_map(|change| rows(change, indent, style)).collect();
    let widest = rows.iter().map(|row| columns(&row.name)).filter(|wide| *wide <= WIDEST_NAME).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in rows {
        let gap = widest.saturating_sub(columns(&row.name)) + 2;
        let said = if causes { format!("  {}", paint_cause(row.cause, style)) } else { String::new() };
        let margin = " ".repeat(indent);
        let several = row.lines.len() > 1;
        if several && columns(&row.name) > widest {
            lines.push(format!("{margin}{}:{said}", row.name));
            lines.extend(row.lines.iter().map(|line| format!("{margin}  {line}")));
            continue;
        }
        let beside = " ".repeat(indent + widest + 3);
        // What is said of the whole stands at no single line.
        let (of_all, said) =
            if several && causes { (Some(said.trim_start().to_owned()), String::new()) } else { (None, said) };
        for (index, line) in of_all.iter().chain(&row.lines).enumerate() {
            if index == 0 {
                lines.push(format!("{margin}{}:{}{line}{said}", row.name, " ".repeat(gap)));
            } else {
                lines.push(format!("{beside}{line}"));
            }
        }
    }
    lines
}

/// Each row as one phrase: `name: this, that`.
pub(super) fn phrases(changes: &[FieldChange]) -> Vec<String> {
    const WIDE: Style = Style { width: 2_000, ..Style::PLAIN };
    let phrase = |row: Row| {
        let lines: Vec<&str> = row.lines.iter().map(|line| line.trim()).collect();
        format!("{}: {}", row.name, lines.join(", "))
    };
    changes.iter().flat_map(|change| rows(change, 0, WIDE)).map(phrase).collect()
}

/// Why a field differs, in the colour that keeps drift apart from edits.
pub(super) fn paint_cause(cause: Cause, style: Style) -> String {
    let (ink, text) = match cause {
        Cause::ChangedInSpec => (Ink::Plain, "changed in spec"),
        Cause::Drifted => (Ink::Drift, "drifted"),
        Cause::ChangedAndDrifted => (Ink::Drift, "drifted, and changed in spec"),
        Cause::RulesChanged => (Ink::Faint, "rules changed with version"),
        Cause::NotOursYet => (Ink::Plain, "not ours yet"),
        Cause::WasAway => (Ink::Plain, "was away"),
    };
    style.paint(ink, &format!("({text})"))
}

fn rows(change: &FieldChange, indent: usize, style: Style) -> Vec<Row> {
    let name = match change.field.strip_prefix("values.") {
        Some(variable) => clean(variable),
        None => words::field(&change.field),
    };
    let row = |name: String, lines| Row { name, lines, cause: change.cause };
    if let Some(told) = rules::rows(change, room_beside(indent, style), style) {
        return told.into_iter().map(|(name, lines)| row(name, lines)).collect();
    }
    if change.field.starts_with("values.") {
        return vec![row(name, vec![variable(change, style)])];
    }
    match (&change.before, &change.after) {
        (Value::Object(_), Value::Object(_) | Value::Null) | (Value::Null, Value::Object(_)) => {
            let named = |key| if change.field == OBJECTS_OF_OTHERS { format!("objects of {key}") } else { key };
            entries(change, indent, style).into_iter().map(|(key, lines)| row(named(key), lines)).collect()
        }
        (Value::Array(before), Value::Array(after)) => vec![row(name, list(change, before, after, indent, style))],
        (Value::Array(before), Value::Null) => vec![row(name, list(change, before, &[], indent, style))],
        (Value::Null, Value::Array(after)) => vec![row(name, list(change, &[], after, indent, style))],
        (before, after) => vec![row(name, scalar(&change.field, before, after, indent, style))],
    }
}

/// Columns beside the name of a field.
fn room_beside(indent: usize, style: Style) -> usize {
    style.width.saturating_sub(indent + 24).max(24)
}

/// A published variable, of which only the name is shown.
fn variable(change: &FieldChange, style: Style) -> String {
    let (ink, word) = match (&change.before, &change.after) {
        (Value::Null, _) => (Ink::Good, "added"),
        (_, Value::Null) => (Ink::Danger, "removed"),
        (_, _) => (Ink::Change, "new value"),
    };
    style.paint(ink, word)
}

/// A map, key by key.
fn entries(change: &FieldChange, indent: usize, style: Style) -> Vec<(String, Vec<String>)> {
    let entry = |value: &Value, key: &str| value.get(key).cloned();
    let keys: BTreeSet<&String> =
        [&change.before, &change.after].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (before, after) = (entry(&change.before, key), entry(&change.after, key));
            if before == after {
                return None;
            }
            let lines = match (before, after) {
                (Some(before), Some(after)) => scalar(key, &before, &after, indent, style),
                (before, after) => {
                    let nothing = if change.field == OBJECTS_OF_OTHERS { "none" } else { "not set" };
                    let word = |value: Option<Value>| {
                        value.map_or_else(|| nothing.to_owned(), |value| words::value(key, &value))
                    };
                    vec![arrow(&word(before), &word(after), style)]
                }
            };
            Some((clean(key), lines))
        })
        .collect()
}

fn arrow(before: &str, after: &str, style: Style) -> String {
    format!("{} {} {}", style.paint(Ink::Danger, before), style.paint(Ink::Faint, "->"), style.paint(Ink::Good, after))
}

fn scalar(key: &str, before: &Value, after: &Value, indent: usize, style: Style) -> Vec<String> {
    let raw = |value: &Value| value.as_str().map(str::to_owned);
    let (short_before, short_after) = (words::value(key, before), words::value(key, after));
    let room = style.width.saturating_sub(indent + 12);
    let several = [before, after].iter().any(|value| raw(value).is_some_and(|text| text.trim_end().contains('\n')));
    if !several && columns(&short_before) + columns(&short_after) + 4 <= room {
        return vec![arrow(&short_before, &short_after, style)];
    }
    let text = |value: &Value, short: String| if value.is_null() { String::new() } else { raw(value).unwrap_or(short) };
    line_diff(&text(before, short_before), &text(after, short_after), style)
}

/// Only the lines that change, with a line around them.
fn line_diff(before: &str, after: &str, style: Style) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            lines.push(style.paint(Ink::Faint, "..."));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = clean(change.value().trim_end_matches(['\n', '\r']));
            lines.push(match change.tag() {
                ChangeTag::Delete => style.paint(Ink::Danger, &format!("- {text}")),
                ChangeTag::Insert => style.paint(Ink::Good, &format!("+ {text}")),
                ChangeTag::Equal => format!("  {text}"),
            });
        }
    }
    lines
}

/// A set or a list: what comes and what goes; line by line if only the order differs.
fn list(change: &FieldChange, before: &[Value], after: &[Value], indent: usize, style: Style) -> Vec<String> {
    let missing_from = |other: &[Value], these: &[Value]| -> Vec<Value> {
        these.iter().filter(|item| !other.contains(item)).cloned().collect()
    };
    let (mut gone, mut come) = (missing_from(after, before), missing_from(before, after));
    if gone.is_empty() && come.is_empty() {
        let text = |items: &[Value]| items.iter().map(|item| words::value("", item)).collect::<Vec<_>>().join("\n");
        return line_diff(&text(before), &text(after), style);
    }
    let room = room_beside(indent, style);
    let mut lines = Vec::new();
    if change.field == "extensions" {
        lines.extend(altered_extensions(&mut gone, &mut come, style));
    }
    for (sign, ink, items) in [("+", Ink::Good, come), ("-", Ink::Danger, gone)] {
        for (index, line) in item_lines(change, &items, room).iter().enumerate() {
            let sign = if index == 0 || change.field == "bindings" { sign } else { " " };
            lines.push(style.paint(ink, &format!("{sign} {line}")));
        }
    }
    lines
}

/// Takes out what neither comes nor goes but becomes another version, or moves to another schema: one line each.
fn altered_extensions(gone: &mut Vec<Value>, come: &mut Vec<Value>, style: Style) -> Vec<String> {
    let named = |item: &Value| item.as_str().map(Extension::named);
    let old: BTreeMap<String, Extension> = gone.iter().filter_map(named).collect();
    let mut lines = BTreeMap::new();
    for (name, new) in come.iter().filter_map(named) {
        let Some(old) = old.get(&name) else { continue };
        let one = |title: &str, old: &Option<String>, new: &Option<String>| {
            let word = |value: &Option<String>| value.as_deref().map_or_else(|| "any".to_owned(), clean);
            (old != new).then(|| format!("{title}{}", arrow(&word(old), &word(new), style)))
        };
        let changes = [one("", &old.version, &new.version), one("schema ", &old.schema, &new.schema)];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        lines.insert(name.clone(), format!("{}: {}", clean(&name), changes.join(", ")));
    }
    for items in [gone, come] {
        items.retain(|item| named(item).is_none_or(|(name, _)| !lines.contains_key(&name)));
    }
    lines.into_values().collect()
}

/// ACLs by what they open; `None` if these are none.
pub(super) fn binding_lines(items: &[Value]) -> Option<Vec<String>> {
    let bindings: Option<Vec<Binding>> =
        items.iter().map(|item| Binding::try_from(item.as_str()?.to_owned()).ok()).collect();
    Some(group_bindings(&bindings?).iter().map(|line| clean(line)).collect())
}

fn item_lines(change: &FieldChange, items: &[Value], room: usize) -> Vec<String> {
    if let Some(lines) = binding_lines(items).filter(|_| change.field == "bindings") {
        return lines;
    }
    let words: Vec<String> = items.iter().map(|item| words::value("", item)).collect();
    wrap(&words, ", ", room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(field: &str, before: Value, after: Value) -> Vec<String> {
        let change = FieldChange { field: field.to_owned(), before, after, cause: Cause::ChangedInSpec };
        lines(&[change], 0, false, Style::PLAIN)
    }

    #[test]
    fn sets_show_what_comes_and_goes() {
        let lines = shown("extensions", json!(["hstore", "pgcrypto"]), json!(["citext", "pgcrypto"]));
        assert_eq!(lines, ["extensions:  + citext", "             - hstore"]);
    }

    #[test]
    fn an_extension_that_is_updated_or_moved_neither_comes_nor_goes() {
        let before = json!(["hstore 1.7", "pg_trgm", "pgcrypto", "vector 0.7 (schema ext)", "xml2 (schema ext)"]);
        let after = json!(["citext", "hstore 1.8", "pgcrypto", "vector 0.8 (schema public)", "xml2 (schema public)"]);
        let expected = [
            "extensions:  hstore: 1.7 -> 1.8",
            "             vector: 0.7 -> 0.8, schema ext -> public",
            "             xml2: schema ext -> public",
            "             + citext",
            "             - pg_trgm",
        ];
        assert_eq!(shown("extensions", before, after), expected);
    }

    #[test]
    fn a_changed_order_is_seen() {
        let lines = shown("commands", json!(["-@all", "+get"]), json!(["+get", "-@all"]));
        assert!(lines.iter().any(|line| line.contains("+ ")), "{lines:?}");
    }

    #[test]
    fn maps_are_told_key_by_key() {
        let before = json!({"cleanup.policy": "delete", "retention.ms": "3600000"});
        let after = json!({"cleanup.policy": "delete", "retention.ms": "604800000", "segment.bytes": "1048576"});
        assert_eq!(shown("config", before, after), ["retention.ms:   1h -> 7d", "segment.bytes:  not set -> 1MiB"]);
    }

    #[test]
    fn long_texts_are_told_line_by_line() {
        let before: String = (0..40).map(|line| format!("line {line}\n")).collect();
        let after = before.replace("line 20\n", "line twenty\n");
        let lines = shown("notes", json!(before), json!(after));
        assert_eq!(lines.len(), 4, "{lines:?}");
    }
}
