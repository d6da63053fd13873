//! The databases that every role may enter.

use super::facts::facts;
use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::step::{Action, Hold, Risk};
use crate::services::postgres::model::{LockDown, Op as Do, role_address};
use crate::services::{DiffInput, Observation, Op, Step};
use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Names that are spelled out in one note; more are counted.
const NAMES_SHOWN: usize = 5;

/// What was read beside the managed fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts {
    owner: String,
    /// Whether we are the owner, belong to it, or are a superuser. Unknown is left for the server to say.
    may_close: Option<bool>,
    /// The role that we sign in with, who must still get in.
    admin: String,
    /// Roles that may sign in and have CONNECT through PUBLIC alone.
    through_public: BTreeSet<String>,
    /// Those of them that are connected.
    connected: BTreeSet<String>,
}

/// A database that is to be closed and is not.
pub fn keep(step: &mut Step, before: &LockDown, input: DiffInput<'_>) {
    step.op = Op::Postgres(Do::LockDown);
    let facts: Facts = facts(input.observation, &step.address);
    step.hold = denied(&step.address, input.observation).map(|reason| Hold::Blocked { reason });
    if !before.public.contains("CONNECT") {
        return;
    }
    if !facts.connected.is_empty() {
        step.risks.insert(Risk::Interrupts);
        let names = some(&facts.connected, NAMES_SHOWN);
        step.notes.push(format!(
            "connected now, and could not connect again: {names} (to keep a role in: GRANT CONNECT ON DATABASE {} TO it)",
            escape_identifier(&before.database)
        ));
    }
    // Apps have databases of their own, and lose nothing that they were promised.
    let declared = |name: &&String| input.wanted.contains_key(&role_address(name));
    let others: BTreeSet<String> = facts.through_public.iter().filter(|name| !declared(name)).cloned().collect();
    match others.len() {
        0 => {}
        1 => step.notes.push(format!("1 other role could connect through PUBLIC: {}", some(&others, NAMES_SHOWN))),
        count => {
            step.notes.push(format!("{count} other roles could connect through PUBLIC: {}", some(&others, NAMES_SHOWN)))
        }
    }
}

/// Why we may not close a database.
pub fn denied(address: &Address, observation: &Observation) -> Option<String> {
    let Facts { owner, admin, may_close, .. } = facts(observation, address);
    (may_close == Some(false)).then(|| {
        let (database, admin) = (escape_identifier(&address.name), escape_identifier(&admin));
        format!(
            "only its owner, {owner}, or a superuser may close it: have one of them run GRANT CONNECT ON DATABASE \
             {database} TO {admin}; REVOKE ALL ON DATABASE {database} FROM PUBLIC"
        )
    })
}

/// A database that is no longer to be kept closed: nothing is opened.
pub fn leave(step: &mut Step, database: &str) {
    step.action = Action::Forget;
    step.before = None;
    step.changes.clear();
    let database = escape_identifier(database);
    step.notes.push(format!("nothing is opened; to open it by hand: GRANT CONNECT ON DATABASE {database} TO PUBLIC"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::AppName;
    use crate::core::reconcile::{Applied, Wanted};
    use crate::services::postgres::diff::diff;
    use crate::services::postgres::model::lock_down_address;
    use crate::services::{Model, Observation, Observed};
    use serde_json::Value;
    use std::collections::BTreeMap;

    fn model(public: &[&str]) -> Model {
        let public = public.iter().map(|name| (*name).to_owned()).collect();
        Model::PostgresLockDown(LockDown { public, ..LockDown::closed("postgres") })
    }

    /// What is done where it is wanted closed, or not, there is this, and it is ours or not.
    fn plan(wanted: bool, there: Option<Observed>, ours: bool) -> Vec<Step> {
        let (address, app) = (lock_down_address("postgres"), AppName::workspace());
        let wanted = wanted.then(|| (address.clone(), Wanted { app: app.clone(), model: model(&[]) }));
        let applied = ours.then(|| (address.clone(), Applied { app, model: model(&[]) }));
        let resources = there.into_iter().map(|there| (address.clone(), there)).collect();
        diff(DiffInput {
            wanted: &wanted.into_iter().collect(),
            applied: &applied.into_iter().collect(),
            observation: &Observation { resources, ..Observation::default() },
            rotate: &BTreeSet::new(),
            credentials: &BTreeMap::new(),
        })
    }

    fn open(facts: Value) -> Option<Observed> {
        let facts = facts.as_object().cloned().unwrap_or_default().into_iter().collect();
        Some(Observed { facts, ..Observed::plain(model(&["CONNECT"])) })
    }

    #[test]
    fn it_is_closed_or_taken_over_or_left_and_never_opened() {
        let actions =
            |wanted, there, ours| -> Vec<Action> { plan(wanted, there, ours).iter().map(|step| step.action).collect() };
        let closed = || Some(Observed::plain(model(&[])));
        assert_eq!(actions(true, open(Value::Null), false), [Action::Update]);
        assert_eq!(actions(true, closed(), false), [Action::Adopt]);
        assert_eq!(actions(true, closed(), true), []);
        assert_eq!(actions(false, closed(), true), [Action::Forget]);
        assert_eq!(actions(false, open(Value::Null), true), [Action::Forget]);
        // A server may have no database postgres: nobody can enter it then.
        assert_eq!(actions(true, None, false), []);
        assert_eq!(actions(true, None, true), []);
    }

    #[test]
    fn who_loses_what_is_told_by_name() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let steps = plan(true, open(serde_json::json!({ "through_public": names, "connected": ["b"] })), false);
        assert_eq!(
            steps[0].notes,
            [
                "connected now, and could not connect again: b (to keep a role in: GRANT CONNECT ON DATABASE \"postgres\" TO it)",
                "7 other roles could connect through PUBLIC: a, b, c, d, e and 2 more"
            ]
        );
        assert!(steps[0].risks.contains(&Risk::Interrupts) && steps[0].hold.is_none());
        let steps = plan(true, open(serde_json::json!({ "may_close": false, "owner": "o", "admin": "us" })), false);
        let Some(Hold::Blocked { reason }) = &steps[0].hold else { panic!("{steps:#?}") };
        let statement =
            "GRANT CONNECT ON DATABASE \"postgres\" TO \"us\"; REVOKE ALL ON DATABASE \"postgres\" FROM PUBLIC";
        assert!(reason.starts_with("only its owner, o,") && reason.ends_with(statement), "{reason}");
        assert!(steps[0].risks.is_empty());
    }
}
