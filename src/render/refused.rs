//! What is told of a resource that is not as it was planned: only that in which it is another one.

use super::items::masked;
use super::layout::{columns, table};
use super::{Style, fields, rules, words};
use crate::core::change::{FieldChange, Resource};
use crate::services::Step;
use serde_json::Value;

/// What was found in place of what was planned on.
#[derive(Debug)]
pub(super) struct Refused {
    why: &'static str,
    /// Of a field with short values: name, planned, now, wanted.
    rows: Vec<[String; 4]>,
    /// Other fields, from what was planned on to what there is.
    changes: Vec<FieldChange>,
}

/// A value that takes more columns is no cell of a table.
const WIDEST_CELL: usize = 28;

impl Refused {
    /// `differs`: from what was expected to what is there, where something is.
    pub fn new(step: &Step, is_there: bool, differs: Vec<FieldChange>) -> Self {
        let why = match (&step.before, is_there) {
            (None, true) if differs.is_empty() && step.sets_credential => "it exists already, with another password",
            (None, true) => "it exists already",
            (Some(_), false) => "it is gone",
            (Some(_), true) | (None, false) if differs.is_empty() => "its values are not as planned",
            (Some(_), true) | (None, false) => "changed since it was planned",
        };
        let wanted = step.after.as_ref().map(Resource::fields).unwrap_or_default();
        let wanted = |name: &str| {
            let field = wanted.iter().find(|field| field.name == name);
            field.and_then(|field| field.value.clone())
        };
        let (mut rows, mut changes) = (Vec::new(), Vec::new());
        for change in masked(&step.address, differs) {
            let cell = |value: Option<&Value>| match value {
                Some(Value::Array(_) | Value::Object(_)) => None,
                Some(value) => Some(words::value(&change.field, value)).filter(|text| columns(text) <= WIDEST_CELL),
                None => Some("-".to_owned()),
            };
            let planned = step.before.is_some().then_some(&change.before);
            let cells = (cell(planned), cell(Some(&change.after)), cell(wanted(&change.field).as_ref()));
            match cells {
                (Some(planned), Some(now), Some(wanted)) if !change.field.contains('.') => {
                    rows.push([words::field(&change.field), planned, now, wanted]);
                }
                (_, _, _) => changes.push(change),
            }
        }
        Self { why, rows, changes }
    }

    /// In a few words, behind what was to be done.
    pub fn why(&self) -> &'static str {
        self.why
    }

    /// What differs.
    pub fn lines(&self, style: Style) -> Vec<String> {
        const INDENT: usize = 6;
        let mut lines = Vec::new();
        if !self.rows.is_empty() {
            let mut rows = vec![["", "planned", "now", "wanted"].map(str::to_owned)];
            rows.extend(self.rows.iter().cloned());
            lines.extend(table(&rows, &" ".repeat(INDENT)));
        }
        let changes = rules::shown(&self.changes, !self.rows.is_empty(), style);
        lines.extend(fields::lines(&changes, INDENT, false, style));
        lines
    }
}
