//! What is told of a step is what follows from what is there and what shall be.

use super::{Judged, holds};
use crate::core::change::{Cause, FieldChange, Resource, agree, three_way, whole};
use crate::core::step::{Action, Hold, Part, Risk};
use crate::secrets::model::Op as SecretOp;
use crate::services::kafka::diff as kafka;
use crate::services::kafka::model::{Op as KafkaOp, USER as KAFKA_USER};
use crate::services::postgres::diff as postgres;
use crate::services::postgres::model::{DATABASE, Op as PostgresOp};
use crate::services::valkey::diff as valkey;
use crate::services::valkey::model::{DECLARED, RULES_IN_WORDS, USER as KV_USER};
use crate::services::{Model, Op, Plan, Step};
use std::borrow::Cow;
use std::collections::BTreeSet;

pub fn check(step: &Step, plan: &Plan) -> Judged {
    if matches!(step.hold, Some(Hold::Blocked { .. })) {
        return Ok(());
    }
    if let Some(risk) = risks(step).difference(&step.risks).next() {
        return holds(false, "risks", format!("it {}, which is not said", says(*risk)));
    }
    changes(step, plan)
}

/// The risks that a step has by what it does alone.
fn risks(step: &Step) -> BTreeSet<Risk> {
    match &step.op {
        Op::State => BTreeSet::new(),
        Op::Postgres(_) => postgres::risks(step),
        Op::Valkey(_) => valkey::risks(step),
        Op::Kafka(_) => kafka::risks(step),
        Op::Secrets(op) => (*op == SecretOp::Remove).then_some(Risk::RemovesLogin).into_iter().collect(),
    }
}

fn says(risk: Risk) -> &'static str {
    match risk {
        Risk::Interrupts => "may interrupt",
        Risk::WidensAccess | Risk::RemovesLogin | Risk::LosesData => risk.as_str(),
    }
}

/// Every field that a step changes is told, and no other.
fn changes(step: &Step, plan: &Plan) -> Judged {
    let other = |part| plan.steps.iter().find(|other| other.address == step.address && other.part == part);
    // A password is set on what is there, or on what that becomes by the same plan.
    if step.part == Part::Credential {
        let closes = other(Part::Close).filter(|closing| closing.action == Action::Update);
        let ends = [Some(&step.before), other(Part::Main).map(|main| &main.after), closes.map(|one| &one.after)];
        let is_so =
            |end: &Option<Model>| end.as_ref().zip(step.after.as_ref()).is_some_and(|(end, after)| agree(end, after));
        holds(ends.into_iter().flatten().any(is_so), "after", "more than a password would change")?;
    }
    // What closes a database is told with all else that is done to it.
    if step.op == Op::Postgres(PostgresOp::CloseDatabase) && step.part == Part::Close {
        let is_told = other(Part::Main).is_some_and(|main| main.changes == step.changes);
        return holds(is_told, "changes", "they are not those of what comes before");
    }
    let may_close = step.address.kind == DATABASE && step.part == Part::Main && !step.action.only_state();
    let closing = may_close.then(|| other(Part::Close)).flatten().filter(|other| other.action == step.action);
    let after = closing.map_or(&step.after, |closing| &closing.after);
    let expected = expected(step, after.as_ref());
    let same = |one: &FieldChange, other: &FieldChange| {
        (&one.field, &one.before, &one.after) == (&other.field, &other.before, &other.after)
    };
    for change in &step.changes {
        let is_so = expected.iter().any(|other| same(change, other)) || is_in_words(step, change);
        holds(is_so, "changes", format!("{} does not change so", change.field))?;
    }
    for change in &expected {
        let is_told = step.changes.iter().any(|other| same(change, other)) || is_silent(step, &change.field);
        holds(is_told, "changes", format!("that {} changes is not said", change.field))?;
    }
    Ok(())
}

fn expected(step: &Step, after: Option<&Model>) -> Vec<FieldChange> {
    let cause = Cause::ChangedInSpec;
    let fields = |model: &Model| without_untouched(step, model).fields();
    match (step.action, step.part, &step.before, after) {
        (Action::Create, _, _, Some(after)) | (Action::Rename, Part::Main, None, Some(after)) => {
            if step.part == Part::Stage { Vec::new() } else { whole(&fields(after), true, cause) }
        }
        (Action::Destroy, _, Some(before), _) => whole(&fields(before), false, cause),
        (
            Action::Update | Action::Adopt | Action::Record,
            Part::Main | Part::Publish | Part::Close | Part::Save,
            Some(before),
            Some(after),
        ) => three_way(&fields(after), &fields(before), None).changes,
        (_, _, _, _) => Vec::new(),
    }
}

/// What is published, without what stays in its place as it is.
fn without_untouched<'a>(step: &Step, model: &'a Model) -> Cow<'a, Model> {
    let (Op::Secrets(SecretOp::Publish { untouched, .. }), Model::Secret(published)) = (&step.op, model) else {
        return Cow::Borrowed(model);
    };
    let mut published = published.clone();
    published.values.retain(|name, _| !untouched.contains(name));
    Cow::Owned(Model::Secret(published))
}

/// Whether a change of a user is told in words beside what the server has: by what its infraspec says, or by what its
/// rules allow.
fn is_in_words(step: &Step, change: &FieldChange) -> bool {
    let after = step.after.as_ref().map(Model::fields).unwrap_or_default();
    let declared = after.iter().find(|field| field.name == change.field).and_then(|field| field.value.clone());
    let is_declared = DECLARED.contains(&change.field.as_str()) && declared.unwrap_or_default() == change.after;
    step.address.kind == KV_USER && step.action == Action::Update && (change.field == RULES_IN_WORDS || is_declared)
}

/// What goes without saying.
fn is_silent(step: &Step, field: &str) -> bool {
    match &step.op {
        // It was never there.
        Op::Postgres(PostgresOp::CreateDatabase) => ["invalid", "holds_state"].contains(&field),
        Op::Postgres(PostgresOp::DropDatabase) => field == "holds_state",
        // How it was declared, which no server tells.
        Op::Postgres(PostgresOp::RevokeGrant) => ["access", "makers"].contains(&field),
        // The step that removes them says it.
        Op::Kafka(KafkaOp::SetUser) => step.address.kind == KAFKA_USER && field == "other_mechanisms",
        Op::State | Op::Postgres(_) | Op::Valkey(_) | Op::Kafka(_) | Op::Secrets(_) => false,
    }
}
