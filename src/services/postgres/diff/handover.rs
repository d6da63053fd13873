//! An app whose user is another one from now on: what its former user owns becomes the new one's. Pure.
//!
//! The state knows the former user as the app's own, so nobody needs to say `adopt_objects`. But a running app that is
//! still signed in as the former loses its access: so the whole switch, which ends with publishing the new credentials,
//! waits for consent. Where a plan makes the new login, all else waits for that step; else the database asks for itself.

use super::View;
use super::facts::fact;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Action, Hold, Part, Reason, Risk};
use crate::services::postgres::model::belongings::{Belongings, FACT, several, totals};
use crate::services::postgres::model::{Access, Op as Do, database_address, role_address};
use crate::services::{Decision, DiffInput, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What is handed over in one database.
#[derive(Debug)]
pub struct Handover {
    pub user: String,
    /// The former users that own something in it, and what; unknown if nobody looked into it.
    pub from: Option<BTreeMap<String, Belongings>>,
    formers: BTreeSet<String>,
}

/// Every database of which the state knows a former user that may own something in it still. `users` are the new ones.
pub fn find(users: &BTreeMap<String, String>, input: DiffInput<'_>) -> BTreeMap<String, Handover> {
    let mut found = BTreeMap::new();
    for (address, wanted) in input.wanted {
        let (Model::PostgresDatabase(database), Some(observed)) =
            (&wanted.model, input.observation.resources.get(address))
        else {
            continue;
        };
        let Some(user) = users.get(&database.name) else { continue };
        let formers = former_users(&database.name, &wanted.app, user, input);
        let was_read = matches!(&observed.model, Model::PostgresDatabase(there) if there.strays_inside.is_some());
        let mut from: BTreeMap<String, Belongings> = fact(input.observation, address, FACT);
        from.retain(|owner, _| formers.contains(owner));
        let done = formers.is_empty() || was_read && from.is_empty();
        if !done {
            let handover = Handover { user: user.clone(), from: was_read.then_some(from), formers };
            found.insert(database.name.clone(), handover);
        }
    }
    found
}

/// Logins of the app that had the database as their own when it was last applied, and that the app does not declare any
/// more. Another app may, to which they go then.
fn former_users(database: &str, app: &AppName, user: &str, input: DiffInput<'_>) -> BTreeSet<String> {
    let had = |model: &Model| {
        if let Model::PostgresGrant(grant) = model {
            return (grant.database == database && grant.access == Some(Access::App)).then(|| grant.role.clone());
        }
        let Model::PostgresDatabase(last) = model else { return None };
        (last.name == database).then(|| last.owner.clone())
    };
    let is_former = |role: &String| {
        let address = role_address(role);
        let ours = input
            .applied
            .get(&address)
            .is_some_and(|last| last.app == *app && matches!(&last.model, Model::PostgresRole(role) if role.login));
        role != user && ours && input.wanted.get(&address).is_none_or(|wanted| wanted.app != *app)
    };
    input.applied.values().filter_map(|last| had(&last.model)).filter(is_former).collect()
}

impl Handover {
    /// Makes what is wanted, there and last applied of the database say it, so that it becomes a step.
    pub fn declare(&self, wanted: Option<&mut Model>, there: Option<&mut Model>, applied: Option<&mut Model>) {
        let (Some(from), Some(Model::PostgresDatabase(wanted)), Some(Model::PostgresDatabase(there))) =
            (&self.from, wanted, there)
        else {
            return;
        };
        if wanted.objects_of_others.is_none() {
            wanted.objects_of_others = Some(BTreeMap::new());
            wanted.former_users = from.keys().cloned().collect();
            there.objects_of_others = Some(totals(from));
        }
        // It is the infraspec that has changed.
        if let Some(Model::PostgresDatabase(applied)) = applied {
            applied.objects_of_others.clone_from(&there.objects_of_others);
        }
    }

    /// Whether a role's objects are handed over.
    pub fn is_from(&self, role: &str) -> bool {
        self.from.as_ref().is_some_and(|from| from.contains_key(role))
    }

    /// The former users' names.
    fn formers(&self) -> String {
        self.formers.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Who gives what to whom.
    fn words(&self) -> Vec<String> {
        let say = |(former, one): (&String, &Belongings)| {
            let go = if one.total() == 1 { "it goes" } else { "they go" };
            format!(
                "{former}, the app's user until now, owns {}; {go} to {}; sessions of {former} ({} here now) fail until \
                 the app is restarted with the new credentials",
                one.words(),
                self.user,
                several(one.sessions, "session")
            )
        };
        self.from.iter().flatten().map(say).collect()
    }
}

/// Says what is handed over, and lets it wait for consent.
pub fn mark(view: &View, steps: &mut Vec<Step>) {
    for (database, handover) in &view.handovers {
        let made = Op::Postgres(Do::CreateRole);
        let user = role_address(&handover.user);
        let mut makes_user = false;
        if let Some(step) = steps.iter_mut().find(|step| step.address == user && step.op == made) {
            makes_user = true;
            hold(step, handover);
        }
        if handover.from.is_none() {
            block(view, steps, database, handover);
            continue;
        }
        let address = database_address(database);
        if let Some(step) = steps.iter_mut().find(|step| is_change(step, &address)) {
            step.reasons.insert(Reason::HandsOver);
            step.notes.extend(handover.words());
            step.risks.extend((!makes_user).then_some(Risk::Interrupts));
        }
    }
}

fn is_change(step: &Step, database: &Address) -> bool {
    step.address == *database && matches!(step.op, Op::Postgres(Do::AlterDatabase { .. }))
}

/// The new login waits, and with it whatever names it.
fn hold(step: &mut Step, handover: &Handover) {
    let formers = handover.formers();
    step.reasons.insert(Reason::HandsOver);
    step.risks.insert(Risk::Interrupts);
    let note = format!(
        "it takes the place of {formers}: sessions of {formers} fail until the app is restarted with the new credentials"
    );
    if !step.notes.contains(&note) {
        step.notes.push(note);
    }
}

/// Where nobody knows what the former user owns, nothing at all changes for it or for the new one. A step on the database
/// says so, even if there is nothing else to be done.
fn block(view: &View, steps: &mut Vec<Step>, database: &str, handover: &Handover) {
    let formers = handover.formers();
    let reason = format!(
        "it was not read what {formers}, the app's user until now, owns in {database}: plan without --shallow, and let \
         the database allow connections (with {formers} as its user, if it does not yet)"
    );
    let (address, user) = (database_address(database), role_address(&handover.user));
    let op = Op::Postgres(Do::AlterDatabase { user: handover.user.clone(), keeps: Vec::new() });
    if !steps.iter().any(|step| step.address == address)
        && let (Some(wanted), Some(there)) = (view.wanted.get(&address), view.observed.get(&address))
    {
        let (app, before, after) = (wanted.app.clone(), Some(there.clone()), Some(wanted.model.clone()));
        let (reasons, action) = (BTreeSet::new(), Action::Record);
        let decision = Decision {
            address: address.clone(),
            app,
            action,
            reasons,
            changes: Vec::new(),
            notes: Vec::new(),
            before,
            after,
        };
        steps.push(decision.step(op.clone()));
    }
    for step in steps.iter_mut() {
        let of_database = step.address == address;
        let grant = step.after.as_ref().or(step.before.as_ref());
        let of_grant = matches!(grant, Some(Model::PostgresGrant(grant))
            if grant.database == database && (grant.role == handover.user || handover.formers.contains(&grant.role)));
        let of_user = step.address == user && (step.part == Part::Credential || step.action == Action::Create);
        if of_database || of_user {
            step.reasons.insert(Reason::HandsOver);
        }
        if of_database {
            step.op = op.clone();
        }
        if of_database || of_grant || of_user {
            step.hold = Some(Hold::Blocked { reason: reason.clone() });
        }
    }
}
