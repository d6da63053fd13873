//! What a step leaves behind that breaks off: it was begun, and not ended. Pure.

use crate::core::change::{Resource, agree};
use crate::services::postgres::model::Database;
use crate::services::{Model, Step};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is left to do of a step, from what is there now; `None` if the step cannot have left that.
pub fn rest_of(step: &Step, now: Option<&Model>) -> Option<Step> {
    let now = now?;
    let is_halfway = match (step.before.as_ref(), step.after.as_ref()) {
        (Some(before), Some(after)) => is_between(before, now, after),
        (None, Some(Model::PostgresDatabase(after))) => database(now).is_some_and(|now| is_half_made(now, after)),
        (Some(Model::PostgresDatabase(before)), None) => database(now).is_some_and(|now| is_closed(now, before)),
        _ => false,
    };
    is_halfway.then(|| Step { before: Some(now.clone()), ..step.clone() })
}

fn database(model: &Model) -> Option<&Database> {
    if let Model::PostgresDatabase(database) = model { Some(database) } else { None }
}

/// Made and not opened yet, or opened without all of its extensions.
fn is_half_made(now: &Database, after: &Database) -> bool {
    let is_shut = now.connection_limit == Some(0) && now.settings.is_empty() && now.owner == after.owner;
    let named = |database: &Database| database.extensions.clone().unwrap_or_default();
    let lacks_extensions = || {
        let now = Database { extensions: after.extensions.clone(), ..now.clone() };
        agree(&Model::PostgresDatabase(after.clone()), &Model::PostgresDatabase(now))
    };
    let (there, wanted) = (named(now), named(after));
    there.keys().all(|name| wanted.contains_key(name)) && (is_shut || lacks_extensions())
}

/// Closed, as it is while it is dumped, or left behind by a DROP that was cancelled.
fn is_closed(now: &Database, before: &Database) -> bool {
    let now = Database {
        connection_limit: before.connection_limit,
        allow_connections: before.allow_connections,
        invalid: before.invalid,
        ..now.clone()
    };
    agree(&Model::PostgresDatabase(before.clone()), &Model::PostgresDatabase(now))
}

/// Whether each field is as it was before or as it shall be, or in part the one and in part the other.
fn is_between(before: &Model, now: &Model, after: &Model) -> bool {
    let fields = |model: &Model| -> BTreeMap<&str, Option<Value>> {
        model.fields().into_iter().map(|field| (field.name, field.value)).collect()
    };
    let (before, after) = (fields(before), fields(after));
    now.fields().iter().all(|field| {
        let end = |of: &BTreeMap<&str, Option<Value>>| of.get(field.name).cloned().flatten();
        match (end(&before), &field.value, end(&after)) {
            (Some(before), Some(now), Some(after)) => lies_between(&before, now, &after),
            // What is unknown is equal to anything.
            (Some(end), Some(now), None) | (None, Some(now), Some(end)) => *now == end,
            (_, None, _) | (None, Some(_), None) => true,
        }
    })
}

fn lies_between(before: &Value, now: &Value, after: &Value) -> bool {
    match (before, now, after) {
        (Value::Array(before), Value::Array(now), Value::Array(after)) => {
            now.iter().all(|one| before.contains(one) || after.contains(one))
                && before.iter().all(|one| now.contains(one) || !after.contains(one))
        }
        (Value::Object(before), Value::Object(now), Value::Object(after)) => {
            let mut names = before.keys().chain(now.keys()).chain(after.keys());
            names.all(|name| now.get(name) == before.get(name) || now.get(name) == after.get(name))
        }
        (before, now, after) => now == before || now == after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::AppName;
    use crate::core::reconcile::{Applied, reconcile};
    use crate::services::Op;
    use crate::services::postgres::model::{Extension, Role, database_address};
    use std::collections::BTreeSet;

    fn made(name: &str) -> Database {
        Database { connection_limit: Some(20), ..Database::new(name, "owner") }
    }

    fn with(extensions: &[&str]) -> Database {
        let all = extensions.iter().map(|name| ((*name).to_owned(), Extension::default())).collect();
        Database { extensions: Some(all), ..made("a") }
    }

    fn role(limit: Option<u32>, member_of: &[&str]) -> Model {
        let member_of: BTreeSet<String> = member_of.iter().map(|name| (*name).to_owned()).collect();
        Model::PostgresRole(Role {
            name: "r".to_owned(),
            login: true,
            connection_limit: limit,
            attributes: BTreeSet::new(),
            settings: BTreeMap::new(),
            credential: None,
            valid_until: None,
            member_of: Some(member_of),
            members: None,
            settings_in_databases: None,
        })
    }

    fn has_rest(before: Option<Model>, now: Model, after: Option<Model>) -> bool {
        let of = Applied { app: AppName::new("a").unwrap(), model: Model::PostgresDatabase(made("a")) };
        let ours = BTreeMap::from([(database_address("a"), of)]);
        let decision = reconcile(&BTreeMap::new(), &BTreeMap::new(), &ours).remove(0);
        let step = Step { before, after, ..decision.step(Op::State) };
        let rest = rest_of(&step, Some(&now));
        assert!(rest.as_ref().is_none_or(|rest| rest.before.as_ref() == Some(&now) && rest.after == step.after));
        rest.is_some()
    }

    #[test]
    fn what_a_step_may_have_left_is_gone_on_with_and_nothing_else() {
        let model = Model::PostgresDatabase;
        let public = || BTreeSet::from(["CONNECT".to_owned()]);
        let shut = Database { connection_limit: Some(0), public: public(), ..with(&[]) };
        let wanted = || Some(model(with(&["citext", "hstore"])));
        assert!(has_rest(None, model(shut.clone()), wanted()));
        assert!(has_rest(None, model(with(&["citext"])), wanted()));
        assert!(!has_rest(None, model(with(&["other"])), wanted()));
        assert!(!has_rest(None, model(Database { owner: "x".to_owned(), ..shut.clone() }), wanted()));
        assert!(!has_rest(None, model(Database { public: public(), ..with(&[]) }), wanted()));

        assert!(has_rest(Some(model(made("a"))), model(Database { connection_limit: Some(0), ..made("a") }), None));
        assert!(!has_rest(Some(model(made("a"))), model(Database { owner: "x".to_owned(), ..made("a") }), None));

        let (before, after) = (|| Some(role(Some(5), &["x", "y", "z"])), || Some(role(Some(6), &["z"])));
        assert!(has_rest(before(), role(Some(6), &["y", "z"]), after()));
        assert!(has_rest(before(), role(Some(5), &["z"]), after()));
        assert!(!has_rest(before(), role(Some(7), &["z"]), after()));
        assert!(!has_rest(before(), role(Some(6), &["y"]), after()), "what was to stay");
        assert!(!has_rest(before(), role(Some(6), &["z", "w"]), after()), "what nobody planned");
    }
}
