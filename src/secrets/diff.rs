//! When secrets are staged and published: pure.

use super::common::is_asked_for;
use super::model::{self, Known};
use super::password::database;
use crate::core::address::Address;
use crate::core::reconcile::{Wanted, reconcile};
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::services::{Decision, DiffInput, Model, Op, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Decides every step from what was read.
///
/// An app whose passwords this plan sets gets two steps: one that stages them, and one that publishes them after the
/// last of the logins has them. That the logins wait for the stage is the planner's edge. One whose values alone differ
/// gets the second step alone.
pub fn diff(input: DiffInput<'_>) -> Vec<Step> {
    let observed = input.observation.models();
    let mut decisions: BTreeMap<Address, Decision> = reconcile(input.wanted, &observed, input.applied)
        .into_iter()
        .map(|decision| (decision.address.clone(), decision))
        .collect();
    let nothing = BTreeSet::new();
    let known = Known::of(&input.observation.server);
    for (address, wanted) in input.wanted {
        if let (Some(_), None) = (input.credentials.get(&wanted.app), decisions.get(address)) {
            decisions.insert(address.clone(), unchanged(address, wanted, observed.get(address)));
        }
    }
    decisions
        .into_values()
        .flat_map(|decision| {
            let credentials = input.credentials.get(&decision.app).unwrap_or(&nothing);
            let mut steps = steps(decision, credentials);
            steps.iter_mut().for_each(|step| block(step, &known));
            steps
        })
        .collect()
}

/// A password that does not sign in is not put in the place of one that may. With it waits all else of the app that is
/// staged for publishing: there is one file of an app's values.
fn block(step: &mut Step, known: &Known) {
    let with_it = step.action != Action::Destroy && step.op != Op::State && is_asked_for(&step.after);
    if let Some(reason) = known.shared_password_refused.clone().filter(|_| with_it) {
        step.hold = Some(Hold::Blocked { reason });
    }
}

/// What is decided about a secret that is as it should be, but for a password in it.
fn unchanged(address: &Address, wanted: &Wanted<Model>, there: Option<&Model>) -> Decision {
    Decision {
        address: address.clone(),
        app: wanted.app.clone(),
        action: Action::Update,
        reasons: BTreeSet::new(),
        changes: Vec::new(),
        notes: Vec::new(),
        before: there.cloned(),
        after: Some(wanted.model.clone()),
    }
}

fn steps(decision: Decision, credentials: &BTreeSet<StepId>) -> Vec<Step> {
    match decision.action {
        Action::Destroy => {
            let mut step = step(decision, Part::Main, Op::Secrets(model::Op::Remove));
            step.risks.insert(Risk::RemovesLogin);
            step.notes.push("the published credentials are removed; names that nornplan did not write stay".to_owned());
            vec![step]
        }
        Action::Forget => vec![step(decision, Part::Main, Op::State)],
        Action::Adopt | Action::Record if credentials.is_empty() => vec![step(decision, Part::Main, Op::State)],
        Action::Create
        | Action::Update
        | Action::Replace
        | Action::Rotate
        | Action::Adopt
        | Action::Record
        | Action::Rename => publish(decision, credentials),
    }
}

fn publish(mut decision: Decision, credentials: &BTreeSet<StepId>) -> Vec<Step> {
    if decision.action.only_state() {
        decision.action = Action::Update;
    }
    let mut services: BTreeMap<String, bool> = BTreeMap::new();
    for credential in credentials {
        if let Some(service) = ServiceId::of(&credential.address) {
            // A login that is made anew takes the password that apps have already; one that exists gets a new one.
            *services.entry(service.to_string()).or_default() |= credential.part == Part::Credential;
        }
    }
    decision.notes.extend(another_database(&decision));
    let stay = decision.changes.is_empty() && !services.is_empty() && services.values().all(|renew| !renew);
    decision.reasons.insert(if stay { Reason::SetAgain } else { Reason::Publishes });
    let proved: BTreeSet<String> = services.keys().cloned().collect();
    decision.notes.extend(new_schemes(decision.before.as_ref(), decision.after.as_ref()));
    let op = model::Op::Publish { proved, untouched: BTreeSet::new() };
    let mut publish = step(decision.clone(), Part::Publish, Op::Secrets(op));
    if services.is_empty() {
        return vec![publish];
    }
    let mut stage = step(decision, Part::Stage, Op::Secrets(model::Op::Stage { services: services.clone() }));
    stage.changes.clear();
    for one in [&mut stage, &mut publish] {
        one.sets_credential = true;
    }
    let set = |id: &ServiceId| services.contains_key(id.as_str());
    let names: Vec<&str> = ServiceId::ALL.into_iter().filter(set).map(ServiceId::title).collect();
    // What is new has a new password, too.
    if publish.action != Action::Create {
        publish.notes.push(format!("with the password that is set on {}", names.join(", ")));
    }
    publish.needs = credentials.iter().cloned().chain([stage.id()]).collect();
    vec![stage, publish]
}

/// Values that become URLs of another kind, which not every client takes.
fn new_schemes(before: Option<&Model>, after: Option<&Model>) -> Option<String> {
    let (before, after) = (before?.as_secret()?, after?.as_secret()?);
    let scheme = |text: &str| text.split_once("://").map(|(scheme, _)| scheme.to_owned());
    let mut changed: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (name, value) in &after.values {
        let former = before.values.get(name).and_then(|value| scheme(value));
        if let (Some(former), Some(new)) = (former, scheme(value))
            && former != new
        {
            changed.entry((former, new)).or_default().push(name);
        }
    }
    let told = changed.iter().map(|((former, new), names)| {
        let instead = if new.contains("sentinel") {
            "; one that takes no such URL finds the sentinels in VALKEY_SENTINELS and VALKEY_SENTINEL_NAME"
        } else {
            ""
        };
        format!(
            "{}: {new}:// from now on, {former}:// until now: the app's client must take that{instead}",
            names.join(", ")
        )
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(". "))
}

/// An app that signs in to Valkey with the common password has no user there whose keys could be asked about.
fn another_database(decision: &Decision) -> Option<String> {
    let (before, after) = (decision.before.as_ref()?.as_secret()?, decision.after.as_ref()?.as_secret()?);
    let (from, to) = (database(&before.values)?, database(&after.values)?);
    match (is_asked_for(&decision.before), is_asked_for(&decision.after)) {
        (_, true) if from != to => {
            Some(format!("the app is told to use database {to} of Valkey: what it has in database {from} stays there"))
        }
        (true, false) => Some(format!(
            "the app is told to use a user of its own on Valkey, which reaches its own keys alone: any others that it has \
             in database {from} stay there, out of its reach"
        )),
        (_, true) | (false, false) => None,
    }
}

fn step(decision: Decision, part: Part, op: Op) -> Step {
    Step { part, ..decision.step(op) }
}
