//! Which values say something of a resource that comes to be or goes.

use super::items::Item;
use crate::core::change::FieldChange;
use crate::core::step::Action;
use serde_json::Value;

/// The changes that are worth telling: of what is created or destroyed only what is no default, as in the text.
pub(super) fn telling(item: &Item<'_>) -> Vec<FieldChange> {
    let changes = item.changes.iter().cloned();
    match item.action {
        Action::Create | Action::Destroy => changes.filter(says_something).collect(),
        Action::Update
        | Action::Replace
        | Action::Adopt
        | Action::Forget
        | Action::Rotate
        | Action::Record
        | Action::Rename => changes.collect(),
    }
}

/// Whether either side of a change is neither empty nor a default.
pub(super) fn says_something(change: &FieldChange) -> bool {
    [&change.before, &change.after].into_iter().any(|value| !is_default(&change.field, value))
}

/// Whether this is what stands where nobody said anything.
fn is_default(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => ["allow_connections", "enabled", "generated", "present_objects"].contains(&field),
        Value::Bool(false) => ["invalid", "nopass"].contains(&field),
        Value::String(text) => {
            matches!(
                (field, text.as_str()),
                ("credential", "none") | ("valid_until", "never") | ("tablespace", "pg_default")
            )
        }
        Value::Number(number) => matches!((field, number.as_u64()), ("db", Some(0)) | ("replication", Some(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::change::Cause;
    use serde_json::json;

    #[test]
    fn defaults_say_nothing_and_what_was_said_does() {
        let silent = [
            ("connection_limit", json!(null)),
            ("settings", json!({})),
            ("strays", json!([])),
            ("invalid", json!(false)),
            ("allow_connections", json!(true)),
            ("credential", json!("none")),
            ("valid_until", json!("never")),
            ("db", json!(0)),
        ];
        let told = [
            ("login", json!(false)),
            ("login", json!(true)),
            ("connection_limit", json!(0)),
            ("settings", json!({"a": "b"})),
            ("invalid", json!(true)),
            ("allow_connections", json!(false)),
            ("nopass", json!(true)),
            ("credential", json!("keep")),
            ("owner", json!("")),
            ("db", json!(3)),
        ];
        let cases = silent.map(|case| (case, false)).into_iter().chain(told.map(|case| (case, true)));
        for ((field, value), expected) in cases {
            let change = |before: &Value, after: &Value| FieldChange {
                field: field.to_owned(),
                before: before.clone(),
                after: after.clone(),
                cause: Cause::ChangedInSpec,
            };
            assert_eq!(says_something(&change(&Value::Null, &value)), expected, "{field} {value}");
            assert_eq!(says_something(&change(&value, &Value::Null)), expected, "{field} {value}");
        }
    }
}
