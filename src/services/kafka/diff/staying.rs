//! What is done to topics is held together: as long as the deletion of one waits, whoever may use it goes on using it.
//! Pure.

use super::edges::{reached, taken};
use crate::core::address::Address;
use crate::core::change::{Cause, FieldChange};
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::reconcile::Applied;
use crate::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use crate::services::kafka::model::{ACL, Acl, Binding, Op as KafkaOp, TOPIC, USER};
use crate::services::{Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Topics that a note names at most.
const NAMED: usize = 3;

/// Consumers that read a topic of an app would be cut off by the loss of its ACLs and user as well.
pub fn keep_users_of_what_is_in_use(steps: &mut [Step]) {
    let in_use = |step: &&Step| is_deletion(step) && step.hold == Some(Hold::Interrupt);
    let in_use: BTreeMap<AppName, StepId> =
        steps.iter().filter(in_use).map(|step| (step.app.clone(), step.id())).collect();
    for step in steps.iter_mut().filter(|step| step.action == Action::Destroy && step.runs()) {
        let is_way_in = [USER, ACL].contains(&step.address.kind);
        if let Some(on) = in_use.get(&step.app).filter(|_| is_way_in) {
            step.hold = Some(Hold::Waits { on: on.clone() });
        }
    }
}

/// Lets users keep what nornplan gave them on topics whose deletion is held, whoever that topic belongs to. All else of
/// their ACLs changes now; what a hand has given goes now too.
pub fn keep_open_what_stays(steps: &mut Vec<Step>, applied: &BTreeMap<Address, Applied<Model>>) {
    let stays = |step: &&Step| is_deletion(step) && !step.runs();
    let held: BTreeMap<String, StepId> =
        steps.iter().filter(stays).map(|step| (step.address.name.clone(), step.id())).collect();
    let names: BTreeSet<String> = held.keys().cloned().collect();
    let mut later = Vec::new();
    for step in steps.iter_mut().filter(|step| step.op == Op::Kafka(KafkaOp::SetAcls)) {
        let Some(given) = applied.get(&step.address).and_then(|last| last.model.as_kafka_acl()) else { continue };
        let late = taken(step).into_iter().filter(|one| given.bindings.contains(one));
        let late: BTreeSet<Binding> = late.filter(|one| reached(one, &names).next().is_some()).collect();
        let topics: BTreeSet<&String> = late.iter().flat_map(|one| reached(one, &names)).collect();
        let topics: BTreeSet<StepId> = topics.into_iter().filter_map(|name| held.get(name)).cloned().collect();
        later.extend(put_off(step, &late, &topics).map(|step| (step, topics)));
    }
    for (removal, topics) in later {
        for topic in steps.iter_mut().filter(|step| topics.contains(&step.id())) {
            topic.needs.insert(removal.id());
        }
        steps.push(removal);
    }
}

fn is_deletion(step: &Step) -> bool {
    step.action == Action::Destroy && step.address.kind == TOPIC
}

/// Holds a step that does nothing else; else makes what is to come later a step of its own.
fn put_off(step: &mut Step, late: &BTreeSet<Binding>, topics: &BTreeSet<StepId>) -> Option<Step> {
    let acl = |model: &Option<Model>| model.as_ref().and_then(Model::as_kafka_acl).cloned();
    let (before, after) = (acl(&step.before)?, acl(&step.after)?);
    let kept = Acl { bindings: &after.bindings | late, ..after.clone() };
    let hold = Hold::Waits { on: topics.first()?.clone() };
    let names = some(topics.iter().map(|topic| &topic.address.name), NAMED);
    let note = match topics.len() {
        1 => format!("what it may do to {names} stays as long as that does"),
        _ => format!("what it may do to {names} stays as long as these do"),
    };
    if kept == before {
        if matches!(step.hold, None | Some(Hold::Waits { .. })) {
            step.hold = Some(hold);
        }
        step.notes.push(note);
        return None;
    }
    let mut removal = Step {
        part: Part::Close,
        changes: change(&kept, &after, Cause::ChangedInSpec),
        notes: vec![note],
        before: Some(Model::KafkaAcl(kept.clone())),
        reasons: BTreeSet::from([Reason::ChangedInSpec]),
        needs: BTreeSet::from([step.id()]),
        hold: Some(hold),
        ..step.clone()
    };
    removal.risks.remove(&Risk::WidensAccess);
    if before.bindings.is_subset(&kept.bindings) {
        step.risks.remove(&Risk::Interrupts);
    }
    let cause = step.changes.first().map_or(Cause::ChangedInSpec, |change| change.cause);
    step.changes = change(&before, &kept, cause);
    step.after = Some(Model::KafkaAcl(kept));
    Some(removal)
}

fn change(before: &Acl, after: &Acl, cause: Cause) -> Vec<FieldChange> {
    let value = |acl: &Acl| serde_json::to_value(&acl.bindings).unwrap_or_default();
    vec![FieldChange { field: "bindings".to_owned(), before: value(before), after: value(after), cause }]
}
