//! Three-way comparison of one resource, field by field: what the spec wants, what was last applied, what there is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One managed field of a resource in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: &'static str,
    /// `None` is unknown: it could not be read, or an older state does not have it. Unknown is equal to anything.
    pub value: Option<Value>,
    /// Whether the value follows from declared fields and the server's version (the rules behind a preset's name).
    pub expanded: bool,
}

impl Field {
    /// A field as it was declared, or as it was read.
    pub fn new(name: &'static str, value: impl Serialize) -> Self {
        Self { name, value: serde_json::to_value(value).ok(), expanded: false }
    }

    /// A field that may be unknown.
    pub fn maybe(name: &'static str, value: Option<impl Serialize>) -> Self {
        Self { name, value: value.and_then(|value| serde_json::to_value(value).ok()), expanded: false }
    }

    /// Marks the field as following from declared ones.
    #[must_use]
    pub fn expanded(mut self) -> Self {
        self.expanded = true;
        self
    }
}

/// A type of resource. Implementations destructure themselves exhaustively, so that a new field does not compile until
/// it is compared.
pub trait Resource {
    /// All managed fields, always the same ones in the same order.
    fn fields(&self) -> Vec<Field>;
}

/// Why a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The infraspec says something else than was last applied.
    ChangedInSpec,
    /// The service has something else than was last applied.
    Drifted,
    /// Both of these.
    ChangedAndDrifted,
    /// The same declaration means other rules on this version of the server.
    RulesChanged,
    /// It was never applied by us, or nobody looked at the field when it was: as it is unknown, it has not drifted.
    NotOursYet,
    /// A part of the server was away when it was last applied.
    WasAway,
}

/// One field that an action changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    /// What the service has; where no service can know it, what was last applied. `null` for what does not exist yet.
    pub before: Value,
    /// What it shall have; `null` for what shall be gone.
    pub after: Value,
    pub cause: Cause,
}

/// The outcome of comparing one resource that exists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Fields in which the service differs from what is wanted.
    pub changes: Vec<FieldChange>,
    /// Whether the service is as wanted but the state says something else, or nothing.
    pub record: bool,
    /// Whether it says something else only of what follows from declared fields.
    pub only_rules: bool,
}

/// Compares what is wanted with what there is, and says for each difference where it comes from.
pub fn three_way(desired: &[Field], observed: &[Field], last: Option<&[Field]>) -> Comparison {
    let differs = |a: Option<&Value>, b: Option<&Value>| matches!((a, b), (Some(a), Some(b)) if a != b);
    let declaration_changed = last.is_some_and(|last| {
        desired.iter().any(|field| !field.expanded && differs(field.value.as_ref(), find(last, field.name)))
    });
    let mut comparison = Comparison { only_rules: !declaration_changed, ..Comparison::default() };
    for field in desired {
        let there = find(observed, field.name);
        let applied = last.and_then(|last| find(last, field.name));
        let in_spec = differs(field.value.as_ref(), applied);
        if !differs(field.value.as_ref(), there) {
            let new = last.is_some() && applied.is_none() && there.is_some() && field.value.is_some();
            comparison.record |= in_spec || new;
            comparison.only_rules &= !new && (!in_spec || field.expanded);
            continue;
        }
        let drifted = differs(there, applied);
        let cause = match (applied.is_some(), in_spec, drifted) {
            (false, _, _) => Cause::NotOursYet,
            (true, true, false) if field.expanded && !declaration_changed => Cause::RulesChanged,
            (true, true, true) => Cause::ChangedAndDrifted,
            (true, true, false) => Cause::ChangedInSpec,
            (true, false, true | false) => Cause::Drifted,
        };
        comparison.changes.push(FieldChange {
            field: field.name.to_owned(),
            before: there.cloned().unwrap_or_default(),
            after: field.value.clone().unwrap_or_default(),
            cause,
        });
    }
    comparison
}

fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Value> {
    fields.iter().find(|field| field.name == name).and_then(|field| field.value.as_ref())
}

/// The fields of something that shall come to be, or shall be gone, as changes from or to nothing.
pub fn whole(fields: &[Field], create: bool, cause: Cause) -> Vec<FieldChange> {
    fields
        .iter()
        .filter_map(|field| {
            let value = field.value.clone()?;
            let (before, after) = if create { (Value::Null, value) } else { (value, Value::Null) };
            Some(FieldChange { field: field.name.to_owned(), before, after, cause })
        })
        .collect()
}

/// Whether two readings of one resource agree in every field that both know.
pub fn agree<R: Resource + PartialEq>(one: &R, other: &R) -> bool {
    one == other || three_way(&one.fields(), &other.fields(), None).changes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "x";

    fn field(value: Option<i32>) -> Vec<Field> {
        vec![Field::maybe(X, value)]
    }

    /// (wanted, observed, last applied) and (cause of a change, record).
    type Case = (i32, Option<i32>, Option<Option<i32>>, Option<Cause>, bool);

    #[test]
    fn three_ways_of_one_declared_field() {
        let cases: [Case; 11] = [
            (1, Some(1), Some(Some(1)), None, false),
            (2, Some(1), Some(Some(1)), Some(Cause::ChangedInSpec), false),
            (1, Some(2), Some(Some(1)), Some(Cause::Drifted), false),
            (3, Some(2), Some(Some(1)), Some(Cause::ChangedAndDrifted), false),
            (2, Some(2), Some(Some(1)), None, true),
            (1, Some(2), None, Some(Cause::NotOursYet), false),
            (1, Some(1), None, None, false),
            // What could not be read is never a difference; what an older state does not have was never ours.
            (1, None, Some(Some(1)), None, false),
            (2, None, Some(Some(1)), None, true),
            (1, Some(1), Some(None), None, true),
            (1, Some(2), Some(None), Some(Cause::NotOursYet), false),
        ];
        for (wanted, observed, last, cause, record) in cases {
            let last = last.map(field);
            let comparison = three_way(&field(Some(wanted)), &field(observed), last.as_deref());
            let found = comparison.changes.first().map(|change| change.cause);
            assert_eq!((found, comparison.record), (cause, record), "{wanted:?} {observed:?} {last:?}");
        }
    }

    #[test]
    fn an_expansion_that_differs_alone_is_a_change_of_rules() {
        let form =
            |preset: &str, rules: &str| vec![Field::new("access", preset), Field::new("rules", rules).expanded()];
        let observed = [Field::maybe("access", None::<&str>), Field::new("rules", "old")];
        let comparison = three_way(&form("queue", "new"), &observed, Some(&form("queue", "old")));
        assert_eq!(comparison.changes.iter().map(|change| change.cause).collect::<Vec<_>>(), [Cause::RulesChanged]);
        let comparison = three_way(&form("readonly", "new"), &observed, Some(&form("queue", "old")));
        assert_eq!(comparison.changes.iter().map(|change| change.cause).collect::<Vec<_>>(), [Cause::ChangedInSpec]);
        for (preset, only_rules) in [("queue", true), ("readonly", false)] {
            let comparison = three_way(&form(preset, "old"), &observed, Some(&form("queue", "older")));
            assert_eq!((comparison.record, comparison.only_rules), (true, only_rules), "{preset}");
        }
    }
}
