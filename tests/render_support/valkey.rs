//! Plans of Valkey users: what infraspecs and hands have changed, and what stops many of them at once.

use super::pieces::{create, kv, plan, stale, step, strings, topic};
use nornplan::core::change::{Cause, FieldChange};
use nornplan::core::step::{Action, Hold, Reason, Risk};
use nornplan::error::{Diagnostic, Kind};
use nornplan::render::outcome::Report;
use nornplan::services::kafka::model::topic_address;
use nornplan::services::valkey::model::{Access, RULES_IN_WORDS, User, user_address};
use nornplan::services::{Model, Outcome, Plan, Step};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const WRITING: [&str; 5] = ["-@all", "+@string", "+@hash", "+sort", "-flushall"];
const READING: [&str; 4] = ["-@all", "+@read", "+subscribe", "+sort_ro"];

/// The user of an app with other fields than usual.
fn user(name: &str, commands: &[&str], change: impl FnOnce(&mut User)) -> Model {
    let Model::ValkeyUser(mut user) = kv(name, commands) else { unreachable!("a user") };
    change(&mut user);
    Model::ValkeyUser(user)
}

/// What a service has: nothing of it is declared there.
fn seen(name: &str, commands: &[&str], change: impl FnOnce(&mut User)) -> Model {
    user(name, commands, |user| {
        (user.access, user.namespace, user.reads, user.db, user.generated) = (None, None, None, None, None);
        change(user);
    })
}

fn update(name: &str, before: Model, after: Model, in_words: Vec<FieldChange>, reasons: &[Reason]) -> Step {
    let mut update = step(name, Action::Update, user_address(name), Some(before), Some(after));
    update.changes.splice(0..0, in_words);
    update.reasons = reasons.iter().copied().collect();
    let (edited, by_hand) = (reasons.contains(&Reason::ChangedInSpec), reasons.contains(&Reason::Drifted));
    for change in &mut update.changes {
        match change.cause {
            Cause::ChangedInSpec | Cause::RulesChanged if !edited => change.cause = Cause::Drifted,
            Cause::RulesChanged if by_hand && change.field == "keys" => change.cause = Cause::Drifted,
            Cause::RulesChanged => change.cause = Cause::ChangedInSpec,
            Cause::ChangedInSpec | Cause::Drifted | Cause::ChangedAndDrifted | Cause::NotOursYet | Cause::WasAway => {}
        }
    }
    update.risks = BTreeSet::from([Risk::Interrupts]);
    update
}

/// Edited, changed by hand, and both.
pub fn changed_users() -> Plan {
    let change = |field: &str, before, after, cause| FieldChange { field: field.into(), before, after, cause };
    let spec = |field: &str, before, after| change(field, before, after, Cause::ChangedInSpec);
    let hand = |before, after| change(RULES_IN_WORDS, before, after, Cause::Drifted);
    let reads = "(%R~cafe:* resetchannels -@all +@read +@connection +@transaction -@dangerous +eval_ro +info +time)";
    let reader = update(
        "report",
        seen("report", &WRITING, |user| user.selectors = Some(strings(&[reads]))),
        user("report", &READING, |user| {
            user.access = Some(Access::Readonly);
            user.keys = Some(strings(&["%R~report:*"]));
            user.reads = Some(BTreeMap::from([("shop".to_owned(), 2)]));
        }),
        vec![
            spec("access", json!("readwrite"), json!("readonly")),
            spec("reads", json!({"cafe": 0}), json!({"shop": 2})),
        ],
        &[Reason::ChangedInSpec],
    );
    let mut drifted = update(
        "mail-agent",
        seen("mail-agent", &["-@all", "+@string", "+@hash", "+flushall"], |user| {
            user.keys = Some(strings(&["~mail-agent:*", "~other:*"]));
            (user.extra_passwords, user.skips_sanitizing) = (Some(1), true);
        }),
        user("mail-agent", &WRITING, |user| user.extra_passwords = Some(0)),
        vec![hand(
            json!(["run flushall (delete the keys of all apps)", "read and write other:*"]),
            json!(["run sort"]),
        )],
        &[Reason::Drifted],
    );
    drifted.notes = vec!["an extra password is accepted for this user: only the published one will be".into()];
    let both = update(
        "jobs",
        seen("jobs", &WRITING, |user| user.keys = Some(strings(&["~*"]))),
        user("jobs", &["-@all", "+@string", "+@hash", "+sort", "-flushall", "+getdel"], |user| {
            user.more_commands = Some(vec!["+getdel".into()]);
        }),
        vec![
            spec("more_commands", json!([]), json!(["+getdel"])),
            spec("more_keys", json!(["~news:*"]), json!(["%R~feed:*"])),
            hand(json!(["read and write all keys"]), json!([])),
        ],
        &[Reason::ChangedInSpec, Reason::Drifted],
    );
    plan(vec![both, drifted, reader])
}

/// A saved plan that met a user which somebody had changed, and one that somebody had removed.
pub fn refused() -> Report {
    let plan = changed_users();
    let changed = |name: &str| plan.steps.iter().find(|step| step.app.as_str() == name).unwrap();
    let reader = changed("report");
    let now = seen("report", &["-@all", "+@string", "+@hash", "+sort", "+flushall"], |user| user.enabled = false);
    let Outcome::Stale { now, mut differs } = stale(reader.before.clone().unwrap(), now) else { unreachable!() };
    differs.insert(
        0,
        FieldChange {
            field: RULES_IN_WORDS.into(),
            before: json!(["read cafe:* with 40 commands: 31 of @read, 6 more of @connection, 3 others"]),
            after: json!(["run flushall (delete the keys of all apps)"]),
            cause: Cause::Drifted,
        },
    );
    let gone = Outcome::Stale { now: None, differs: Vec::new() };
    let outcomes = [(reader.id(), Outcome::Stale { now, differs }), (changed("jobs").id(), gone)];
    let done = (changed("mail-agent").id(), Outcome::done());
    Report::new(&plan, outcomes.into_iter().chain([done]), Duration::from_secs(1))
}

fn users() -> impl Iterator<Item = (String, Step)> {
    (1..=13).map(|number| {
        let name = format!("app-{number:02}");
        let step = create(&name, user_address(&name), kv(&name, &WRITING));
        (name, step)
    })
}

/// An administrator that may not make users, and something else that is blocked.
pub fn one_reason() -> Plan {
    let reason = "the user nornplan may not run ACL SETUSER on kv.internal:6379; as an administrator run there:\n  \
                  ACL SETUSER nornplan +acl|setuser";
    let mut steps: Vec<Step> = users().map(|(_, step)| step).collect();
    for step in &mut steps {
        step.hold = Some(Hold::Blocked { reason: reason.into() });
    }
    let fewer = (topic("app.jobs", 12, &[]), topic("app.jobs", 6, &[]));
    let mut topic = step("app-01", Action::Update, topic_address("app.jobs"), Some(fewer.0), Some(fewer.1));
    topic.hold = Some(Hold::Blocked { reason: "a topic cannot have fewer partitions: 12 are there".into() });
    steps.push(topic);
    plan(steps)
}

/// All of these failed at the same, and one at something else.
pub fn failed_alike() -> Report {
    let plan = plan(users().map(|(_, step)| step).chain([create("z", user_address("z"), kv("z", &WRITING))]).collect());
    let outcomes: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let message =
                if step.app.as_str() == "z" { "the connection was lost" } else { "nornplan may not run ACL SETUSER" };
            let statement = format!("ACL SETUSER {} reset on", step.address.name);
            let error = Diagnostic::new(Kind::Service, message).on("valkey", &step.address, statement);
            (step.id(), Outcome::failed(error.hint("give it the right")))
        })
        .collect();
    Report::new(&plan, outcomes, Duration::from_secs(2))
}
