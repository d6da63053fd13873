//! Databases.

use super::{View, objects, possible};
use crate::core::address::Address;
use crate::core::step::{Hold, Reason, Risk};
use crate::services::postgres::model::{Database, Op as Do};
use crate::services::{DiffInput, Model, Op, Step};
use serde_json::Value;
use std::collections::BTreeMap;

/// A database that is wanted and is not as it should be.
pub fn keep(view: &View, step: &mut Step, before: Option<&Model>, database: &Database, input: DiffInput<'_>) {
    let there = if let Some(Model::PostgresDatabase(before)) = before { Some(before) } else { None };
    possible::judge(view, step, there, database, input);
    let Some(before) = there else {
        step.op = Op::Postgres(Do::CreateDatabase);
        step.changes.retain(|change| change.field != "invalid");
        return;
    };
    step.op = Op::Postgres(Do::AlterDatabase { user: view.creator(&database.name) });
    let closes = before.allow_connections && !database.allow_connections;
    let takes = takes_away(before, database) && step.reasons.contains(&Reason::NotOursYet);
    if before.owner != database.owner || closes || takes {
        step.risks.insert(Risk::Interrupts);
    }
    objects::note(step, database, &view.creator(&database.name), input);
}

/// Whether somebody has less of the database afterwards.
fn takes_away(before: &Database, after: &Database) -> bool {
    // Nobody can use what our own unfinished run left behind, so nobody is interrupted.
    if before.connection_limit == Some(0) {
        return false;
    }
    let lowers = after.connection_limit.is_some_and(|limit| before.connection_limit.is_none_or(|there| limit < there));
    let resets = before.settings.keys().any(|name| !after.settings.contains_key(name));
    let strangers_lose =
        !before.strays.is_empty() || before.strays_inside.as_ref().is_some_and(|strays| !strays.is_empty());
    !before.public.is_subset(&after.public) || strangers_lose || lowers || resets
}

/// A database that is no longer wanted.
pub fn give_up(view: &View, step: &mut Step, database: &Database, input: DiffInput<'_>) {
    step.op = Op::Postgres(Do::DropDatabase);
    step.risks.insert(Risk::LosesData);
    step.notes = losses(&step.address, input);
    // Who owns what in it does not matter any more.
    step.changes.retain(|change| change.field != "objects_of_others");
    if let Some(Model::PostgresDatabase(before)) = &mut step.before {
        before.objects_of_others = None;
    }
    // What a cancelled DROP left behind is not dumped.
    if database.invalid {
        return;
    }
    step.notes.push("it is dumped into snapshots first".to_owned());
    if let Some(why) = &view.server.cannot_dump {
        step.hold = Some(Hold::Blocked { reason: format!("it could not be dumped before it is dropped: {why}") });
    }
}

fn fact(address: &Address, name: &str, input: DiffInput<'_>) -> Option<i64> {
    facts(address, input)?.get(name).and_then(Value::as_i64)
}

fn facts<'a>(address: &Address, input: DiffInput<'a>) -> Option<&'a BTreeMap<String, Value>> {
    input.observation.resources.get(address).map(|observed| &observed.facts)
}

/// What a drop would lose, and whom it would meet.
fn losses(address: &Address, input: DiffInput<'_>) -> Vec<String> {
    let number = |name| fact(address, name, input);
    let text = |name: &str| facts(address, input)?.get(name).and_then(Value::as_str);
    let mut what: Vec<String> = number("size_bytes").map(size).into_iter().collect();
    what.extend(number("tables").map(|count| match count {
        0 => "in no tables".to_owned(),
        _ => format!("in {}", counted(count, "table", "tables")),
    }));
    let mut parts = vec![what.join(" ")];
    parts.extend(rows(number("rows"), number("unknown_rows")));
    let mut holds: Vec<String> = vec![joined(&parts, ", ")];
    holds.extend(text("last_used").map(|day| format!("last used {day}")));
    let sessions = number("sessions");
    holds.extend(sessions.map(|count| {
        let users = text("users").map(|users| format!(" ({users})")).unwrap_or_default();
        format!("{}{users}", counted(count, "session", "sessions"))
    }));
    let holds = joined(&holds, "; ");
    let mut notes = Vec::new();
    if !holds.is_empty() {
        notes.push(format!("holds {holds}"));
    }
    notes.extend(text("unread").map(|why| format!("what is in it cannot be read: {why}")));
    if sessions.is_some_and(|count| count > 0) {
        notes.push(format!("sessions are ended only with --allow-interrupt {address}"));
    }
    notes
}

/// The texts that say something, joined.
fn joined(texts: &[String], with: &str) -> String {
    let filled: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    filled.join(with)
}

fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Rows as the statistics estimate them, and how many tables they say nothing of.
fn rows(rows: Option<i64>, unknown: Option<i64>) -> Option<String> {
    Some(match (rows?, unknown.unwrap_or_default()) {
        (0, 0) => return None,
        (0, _) => "an unknown number of rows".to_owned(),
        (rows, 0) => about(rows),
        (rows, unknown) => format!("{} and unknown ones in {}", about(rows), counted(unknown, "table", "tables")),
    })
}

fn about(rows: i64) -> String {
    match rows {
        1_000_000_000.. => format!("about {} billion rows", tenths(rows, 100_000_000)),
        1_000_000.. => format!("about {} million rows", tenths(rows, 100_000)),
        1 => "about 1 row".to_owned(),
        _ => format!("about {rows} rows"),
    }
}

fn size(bytes: i64) -> String {
    match bytes {
        1_000_000_000.. => format!("{} GB", tenths(bytes, 100_000_000)),
        _ => format!("{} MB", tenths(bytes, 100_000)),
    }
}

/// A number with one decimal, out of tenths of its unit.
fn tenths(number: i64, tenth: i64) -> String {
    let tenths = number / tenth;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_estimated_in_words() {
        assert_eq!(rows(Some(1_234_567), Some(0)).unwrap(), "about 1.2 million rows");
        assert_eq!(rows(Some(7), Some(2)).unwrap(), "about 7 rows and unknown ones in 2 tables");
        assert_eq!(rows(Some(0), Some(1)).unwrap(), "an unknown number of rows");
        assert_eq!((rows(Some(0), Some(0)), rows(None, None)), (None, None));
        assert_eq!((size(12_345_678), size(2_500_000_000)), ("12.3 MB".to_owned(), "2.5 GB".to_owned()));
    }
}
