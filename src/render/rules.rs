//! What is shown of changes of Valkey users: in plain words, and the rules themselves only where these are asked for.

use super::layout::{wrap, wrap_words};
use super::{Ink, Style, clean, words};
use crate::core::change::FieldChange;
use crate::services::valkey::model::{EXTRA_PASSWORDS, RULES, RULES_IN_WORDS};
use serde_json::{Map, Value};

/// Fields that a note of a plan tells whole.
const IN_NOTES: [&str; 2] = [EXTRA_PASSWORDS, "accepts"];

const SELECTORS: &str = "selectors";

/// The changes to show beside notes. What other fields or notes tell in words is left out, unless all details are asked
/// for or nothing else would be left.
pub(super) fn shown(changes: &[FieldChange], has_notes: bool, style: Style) -> Vec<FieldChange> {
    let is_user = |field: &str| RULES.contains(&field) || field == RULES_IN_WORDS || IN_NOTES.contains(&field);
    if style.detailed || !changes.iter().any(|change| is_user(&change.field)) {
        return changes.to_vec();
    }
    let told = |change: &&FieldChange| {
        let field = change.field.as_str();
        !(RULES.contains(&field) || has_notes && IN_NOTES.contains(&field))
    };
    let shown: Vec<FieldChange> = changes.iter().filter(told).cloned().collect();
    if shown.is_empty() && !has_notes { changes.to_vec() } else { shown }
}

/// The rows of a field that is not told as old and new value: a name, and lines of at most about `room` columns.
pub(super) fn rows(change: &FieldChange, room: usize, style: Style) -> Option<Vec<(String, Vec<String>)>> {
    let field = change.field.as_str();
    if field == RULES_IN_WORDS {
        let row = |name: &str, phrases: &Value, ink| {
            let phrases: Vec<&str> = phrases.as_array()?.iter().filter_map(Value::as_str).collect();
            let lines = phrases.iter().flat_map(|phrase| hanging(phrase, room));
            let lines: Vec<String> = lines.map(|line| style.paint(ink, &line)).collect();
            (!lines.is_empty()).then(|| (name.to_owned(), lines))
        };
        let rows = [("may also", &change.after, Ink::Good), ("may no longer", &change.before, Ink::Danger)];
        return Some(rows.into_iter().filter_map(|(name, phrases, ink)| row(name, phrases, ink)).collect());
    }
    if field == SELECTORS {
        return Some(vec![(words::field(field), selectors(change, room, style)?)]);
    }
    let is_set = RULES.contains(&field) || field.starts_with("more_") || field.starts_with("reads");
    let (before, after) = (entries(field, &change.before)?, entries(field, &change.after)?);
    let missing_from = |other: &[String], these: &[String]| -> Vec<String> {
        these.iter().filter(|entry| !other.contains(entry)).map(|entry| clean(entry)).collect()
    };
    let (gone, come) = (missing_from(&after, &before), missing_from(&before, &after));
    // Where the order alone differs, lines tell it.
    if !is_set || gone.is_empty() && come.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for (lead, entries, ink) in [("also ", come, Ink::Good), ("no longer ", gone, Ink::Danger)] {
        for (index, line) in wrap(&first_of(entries, style), ", ", room).into_iter().enumerate() {
            let lead = if index == 0 { lead.to_owned() } else { " ".repeat(lead.len()) };
            lines.push(style.paint(ink, &format!("{lead}{line}")));
        }
    }
    Some(vec![(words::field(field), lines)])
}

/// All entries of a list in detail, else the first of many.
fn first_of(mut entries: Vec<String>, style: Style) -> Vec<String> {
    const SHOWN: usize = 10;
    let more = entries.len().saturating_sub(SHOWN);
    if more > 1 && !style.detailed {
        entries.truncate(SHOWN);
        entries.extend([format!("{more} more")]);
    }
    entries
}

/// Each selector for itself: it is as long as all rules of a user.
fn selectors(change: &FieldChange, room: usize, style: Style) -> Option<Vec<String>> {
    let (before, after) = (entries(SELECTORS, &change.before)?, entries(SELECTORS, &change.after)?);
    let mut lines = Vec::new();
    for (lead, these, others, ink) in
        [("also ", &after, &before, Ink::Good), ("no longer ", &before, &after, Ink::Danger)]
    {
        for selector in these.iter().filter(|selector| !others.contains(selector)) {
            let wrapped = hanging(&format!("{lead}{selector}"), room).into_iter();
            lines.extend(wrapped.map(|line| style.paint(ink, &line)));
        }
    }
    Some(lines)
}

/// A phrase; what is broken off goes further in.
fn hanging(phrase: &str, room: usize) -> Vec<String> {
    let lines = wrap_words(&clean(phrase), room).into_iter().enumerate();
    lines.map(|(index, line)| if index == 0 { line } else { format!("  {line}") }).collect()
}

/// The entries of a list; of namespaces by their names, as the keys that lie in them.
fn entries(field: &str, value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => Some(items.iter().map(|item| entry(field, item)).collect()),
        Value::Object(namespaces) => Some(readable(namespaces)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// As an infraspec has it, where it is from one.
fn entry(field: &str, item: &Value) -> String {
    match item {
        Value::String(text) if ["more_keys", "more_channels"].contains(&field) => {
            text.trim_start_matches(['~', '&']).to_owned()
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => format!("database {number}"),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => item.to_string(),
    }
}

fn readable(namespaces: &Map<String, Value>) -> Vec<String> {
    let keys = namespaces.iter().map(|(namespace, db)| match db.as_u64() {
        Some(0) | None => format!("{namespace}:*"),
        Some(db) => format!("{namespace}:* in database {db}"),
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;
    use crate::core::change::Cause;
    use serde_json::json;

    fn change(field: &str, before: Value, after: Value) -> FieldChange {
        FieldChange { field: field.to_owned(), before, after, cause: Cause::ChangedInSpec }
    }

    fn lines(changes: &[FieldChange], style: Style) -> Vec<String> {
        fields::lines(&shown(changes, false, style), 0, false, style)
    }

    #[test]
    fn what_was_declared_is_told_as_that_and_its_rules_only_in_detail() {
        let changes = [
            change("access", json!("readwrite"), json!("readonly")),
            change("reads", json!({"cafe": 0, "shop": 2}), json!({"cafe": 0, "mail": 0})),
            change("keys", json!(["~a:*"]), json!(["%R~a:*"])),
            change("commands", json!(["-@all", "+@string", "+sort"]), json!(["-@all", "+@read"])),
        ];
        let told =
            ["access:  readwrite -> readonly", "reads:   also mail:*", "         no longer shop:* in database 2"];
        assert_eq!(lines(&changes, Style::PLAIN), told);
        let detailed = lines(&changes, Style { detailed: true, ..Style::PLAIN });
        let rules = [
            "key rules:      also %R~a:*",
            "                no longer ~a:*",
            "command rules:  also +@read",
            "                no longer +@string, +sort",
        ];
        assert_eq!(detailed[3..], rules);
    }

    #[test]
    fn what_only_rules_tell_is_told_by_them() {
        let rules = [change("keys", json!(["~a:*"]), json!(["~b:*"]))];
        assert_eq!(lines(&rules, Style::PLAIN), ["key rules:  also ~b:*", "            no longer ~a:*"]);
        let reordered = [change("more_commands", json!(["+get", "-del"]), json!(["-del", "+get"]))];
        assert!(lines(&reordered, Style::PLAIN).iter().any(|line| line.ends_with("+ +get")), "the order is told");
        // A note says it.
        let extra = [change(EXTRA_PASSWORDS, json!(1), json!(0))];
        assert_eq!(shown(&extra, true, Style::PLAIN), []);
        assert_eq!(shown(&extra, false, Style::PLAIN), extra);
    }

    #[test]
    fn phrases_follow_the_word_may() {
        let long = format!("run 118 commands: {}", "106 of @write, ".repeat(8));
        let changes = [change(RULES_IN_WORDS, json!(["run flushall", "read \u{1b}[2Jother:*"]), json!([long]))];
        let told = lines(&changes, Style::PLAIN);
        assert!(told[0].starts_with("may also:       run 118 commands: 106 of @write,"), "{told:#?}");
        assert!(told[1].starts_with("                  @write, 106 of"), "{told:#?}");
        assert_eq!(told[told.len() - 2..], ["may no longer:  run flushall", "                read \\u{1b}[2Jother:*"]);
    }
}
