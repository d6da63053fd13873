//! What is told of a resource that is not as it was planned: only that in which it is another one.

use super::layout::{columns, table};
use super::{Style, clean, fields, rules, words};
use crate::core::change::{FieldChange, Resource};
use crate::core::step::Action;
use crate::secrets::model::SECRET;
use crate::services::Step;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What was found in place of what was planned on.
#[derive(Debug)]
pub(super) struct Refused {
    why: String,
    /// Of a field with short values: name, planned, now, wanted.
    rows: Vec<Row>,
    /// Other fields, from what was planned on to what there is.
    changes: Vec<FieldChange>,
}

/// What is told of a field: its name, and its value when planned, now, and wanted.
type Row = [String; 4];

/// A value that takes more columns is no cell of a table.
const WIDEST_CELL: usize = 28;

impl Refused {
    /// `differs`: from what was expected to what is there, where something is.
    pub fn new(step: &Step, is_there: bool, differs: Vec<FieldChange>) -> Self {
        let why = match (&step.before, is_there) {
            (None, true) if differs.is_empty() && step.sets_credential => "it exists already, with another password",
            (None, true) if step.action == Action::Forget => "it is there again",
            (None, true) => "it exists already",
            (Some(_), false) => "it is gone",
            (Some(_), true) | (None, false) if differs.is_empty() => "its values are not as planned",
            (Some(_), true) | (None, false) => "changed since it was planned",
        };
        let wanted = step.after.as_ref().map(Resource::fields).unwrap_or_default();
        let wanted = |name: &str| wanted.iter().find(|field| field.name == name).and_then(|field| field.value.clone());
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        for change in differs {
            let wanted = wanted(&change.field);
            let planned = step.before.is_some().then_some(&change.before);
            let of_field = if step.address.kind == SECRET {
                Some(variables(&change, wanted.as_ref()))
            } else if change.before.is_object() || change.after.is_object() {
                entries(planned, &change, wanted.as_ref())
            } else {
                one(planned, &change, wanted.as_ref()).map(|row| vec![row])
            };
            match of_field {
                Some(of_field) => rows.extend(of_field),
                None => changes.push(change),
            }
        }
        Self { why: why.to_owned(), rows, changes }
    }

    /// For a reason that is none of its values.
    pub fn because(why: String) -> Self {
        Self { why, rows: Vec::new(), changes: Vec::new() }
    }

    /// In a few words, behind what was to be done.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What differs.
    pub fn lines(&self, style: Style) -> Vec<String> {
        const INDENT: usize = 6;
        let mut lines = Vec::new();
        if !self.rows.is_empty() {
            let mut rows = vec![["", "when planned", "now", "wanted"].map(str::to_owned)];
            rows.extend(self.rows.iter().cloned());
            lines.extend(table(&rows, &" ".repeat(INDENT)));
        }
        let changes = rules::shown(&self.changes, !self.rows.is_empty(), style);
        lines.extend(fields::lines(&changes, INDENT, false, style));
        lines
    }
}

/// A field with one value; `None` if a table has no room for that.
fn one(planned: Option<&Value>, change: &FieldChange, wanted: Option<&Value>) -> Option<Row> {
    let cell = |value: Option<&Value>| match value {
        Some(Value::Array(_) | Value::Object(_)) => None,
        Some(value) => narrow(words::value(&change.field, value)),
        None => Some("-".to_owned()),
    };
    Some([words::field(&change.field), cell(planned)?, cell(Some(&change.after))?, cell(wanted)?])
}

/// The entries of a map in which it differs; `None` if a table has no room for them.
fn entries(planned: Option<&Value>, change: &FieldChange, wanted: Option<&Value>) -> Option<Vec<Row>> {
    let (before, now, wanted) = (map(planned), map(Some(&change.after)), map(wanted));
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let cell = |key: &str, value: Option<&Value>| match value {
        Some(Value::Array(_) | Value::Object(_)) => None,
        Some(value) => narrow(words::value(key, value)),
        None => Some("not set".to_owned()),
    };
    let row = |key: &String| {
        Some([narrow(clean(key))?, cell(key, before.get(key))?, cell(key, now.get(key))?, cell(key, wanted.get(key))?])
    };
    keys.into_iter().filter(|key| before.get(*key) != now.get(*key)).map(row).collect()
}

/// The published variables that differ; what they are is never shown.
fn variables(change: &FieldChange, wanted: Option<&Value>) -> Vec<Row> {
    let (before, now, wanted) = (map(Some(&change.before)), map(Some(&change.after)), map(wanted));
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let row = |name: &String| {
        let planned = before.get(name).map_or("not there", |_| "published");
        let there = match now.get(name) {
            None => "not there",
            there if there == wanted.get(name) => "as wanted",
            Some(_) => "another value",
        };
        let wanted = match wanted.get(name) {
            None => "not there",
            wanted if wanted == before.get(name) => "as planned",
            Some(_) => "a new value",
        };
        [clean(name), planned.to_owned(), there.to_owned(), wanted.to_owned()]
    };
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).map(row).collect()
}

fn map(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn narrow(text: String) -> Option<String> {
    Some(text).filter(|text| columns(text) <= WIDEST_CELL)
}
