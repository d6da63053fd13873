//! Databases.

use super::{View, objects, possible};
use crate::core::address::Address;
use crate::core::step::{Reason, Risk};
use crate::services::postgres::model::{Database, Op as Do};
use crate::services::{DiffInput, Model, Op, Step};
use serde_json::Value;

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
pub fn give_up(step: &mut Step, input: DiffInput<'_>) {
    step.op = Op::Postgres(Do::DropDatabase);
    step.risks.insert(Risk::LosesData);
    step.notes = losses(&step.address, input);
    // Who owns what in it does not matter any more.
    step.changes.retain(|change| change.field != "objects_of_others");
    if let Some(Model::PostgresDatabase(before)) = &mut step.before {
        before.objects_of_others = None;
    }
}

fn fact(address: &Address, name: &str, input: DiffInput<'_>) -> Option<i64> {
    input.observation.resources.get(address)?.facts.get(name).and_then(Value::as_i64)
}

/// What a drop would lose.
fn losses(address: &Address, input: DiffInput<'_>) -> Vec<String> {
    let sessions = fact(address, "sessions", input).map(|count| match count {
        1 => "1 session".to_owned(),
        _ => format!("{count} sessions"),
    });
    let parts: Vec<String> = fact(address, "size_bytes", input).map(megabytes).into_iter().chain(sessions).collect();
    let mut notes = Vec::new();
    if !parts.is_empty() {
        notes.push(format!("holds {}", parts.join(", ")));
    }
    notes.push("it is dumped into snapshots first".to_owned());
    notes
}

fn megabytes(bytes: i64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
