//! Databases.

use super::facts::{fact, facts};
use super::{View, former_owner, losses, objects, possible};
use crate::core::name::AppName;
use crate::core::step::{Hold, Reason, Risk};
use crate::services::postgres::model::belongings::several;
use crate::services::postgres::model::{Database, Op as Do, THROUGH_PUBLIC, database_address, grant_address};
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::BTreeMap;

/// A database that is wanted and is not as it should be.
pub fn keep(view: &View, step: &mut Step, before: Option<&Model>, database: &Database, input: DiffInput<'_>) {
    let there = if let Some(Model::PostgresDatabase(before)) = before { Some(before) } else { None };
    possible::judge(view, step, there, database, input);
    let Some(before) = there else {
        step.op = Op::Postgres(Do::CreateDatabase);
        step.notes
            .extend(step.reasons.contains(&Reason::Vanished).then(|| made_empty(view, &database.name, &step.app)));
        step.changes.retain(|change| change.field != "invalid" && change.field != "holds_state");
        return;
    };
    let keeps = former_owner::keeps(view, before, database);
    let kept = former_owner::notes(step, before, database, &keeps);
    step.op = Op::Postgres(Do::AlterDatabase { user: view.user(&database.name), keeps });
    let risks = risks(before, database, step.reasons.contains(&Reason::NotOursYet));
    step.risks.extend(risks);
    step.notes.extend(shut_out(view, before, database, input));
    objects::note(view, step, database, input);
    step.notes.extend(kept);
}

/// What a change of a database takes from whoever uses it.
pub fn risks(before: &Database, database: &Database, not_ours_yet: bool) -> Option<Risk> {
    let closes = before.allow_connections && !database.allow_connections;
    let takes = not_ours_yet && takes_away(before, database);
    (before.owner != database.owner || closes || takes).then_some(Risk::Interrupts)
}

/// What was in a database that somebody else dropped is not in the one that is made.
fn made_empty(view: &View, database: &str, app: &AppName) -> String {
    let restore = |file| format!("; the newest snapshot: {file} (`nornplan restore {app} {file}`)");
    let snapshot = view.server.snapshots.get(database).map(restore);
    format!("it is made EMPTY{}", snapshot.unwrap_or_default())
}

/// Who is connected now and cannot sign in again once the database is closed to PUBLIC.
fn shut_out(view: &View, before: &Database, database: &Database, input: DiffInput<'_>) -> Option<String> {
    if !before.public.contains("CONNECT") || database.public.contains("CONNECT") {
        return None;
    }
    let mut roles: BTreeMap<String, u64> = fact(input.observation, &database_address(&database.name), THROUGH_PUBLIC);
    let granted = |role: &String| {
        *role == database.owner
            || *role == view.user(&database.name)
            || view.wanted.contains_key(&grant_address(&database.name, role))
    };
    roles.retain(|role, _| !granted(role));
    let told: Vec<String> =
        roles.iter().map(|(role, sessions)| format!("{role} ({})", several(*sessions, "session"))).collect();
    let (they, them) = if told.len() == 1 { ("it", "it") } else { ("they", "them") };
    (!told.is_empty()).then(|| {
        format!(
            "connected now through PUBLIC: {}: {they} cannot sign in again; declare {them} in `grants` or `readers`",
            told.join(", ")
        )
    })
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
    let holdings = facts(input.observation, &step.address);
    if losses::is_in_use(&holdings) {
        step.risks.insert(Risk::Interrupts);
    }
    step.notes = losses::notes(&step.address, &holdings, view.server.version_number);
    // Who owns what in it does not matter any more.
    step.changes.retain(|change| change.field != "objects_of_others" && change.field != "holds_state");
    if let Some(Model::PostgresDatabase(before)) = &mut step.before {
        before.objects_of_others = None;
    }
    if database.holds_state {
        let reason = format!(
            "{}, so it is never dropped: `nornplan state forget {}` strikes it from the state of this workspace",
            Database::HOLDS_STATE,
            step.address
        );
        step.hold = Some(Hold::Blocked { reason });
        return;
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
