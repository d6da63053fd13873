//! If an app's infraspec vanished, everything of it is held together: what its topics opened to other apps stays open as
//! long as they do. Pure.

use super::edges::{reached, taken};
use crate::core::change::{Cause, FieldChange};
use crate::core::name::AppName;
use crate::core::step::{Action, Hold, Part, StepId};
use crate::services::kafka::model::{ACL, Acl, Binding, Op as KafkaOp, TOPIC, USER};
use crate::services::{Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// Lets other apps keep what they may do to topics whose deletion is held, if the app of those has no infraspec.
pub fn keep_open_what_stays(steps: &mut Vec<Step>, declared: &BTreeSet<AppName>) {
    let stays = |step: &&Step| {
        step.action == Action::Destroy && step.address.kind == TOPIC && !step.runs() && !declared.contains(&step.app)
    };
    let held: BTreeMap<String, StepId> =
        steps.iter().filter(stays).map(|step| (step.address.name.clone(), step.id())).collect();
    if held.is_empty() {
        return;
    }
    keep_what_is_in_use(steps, declared);
    let names: BTreeSet<String> = held.keys().cloned().collect();
    let mut later = Vec::new();
    for step in steps.iter_mut().filter(|step| step.op == Op::Kafka(KafkaOp::SetAcls) && step.runs()) {
        let late: BTreeSet<Binding> =
            taken(step).into_iter().filter(|binding| reached(binding, &names).next().is_some()).collect();
        let Some(on) = late.iter().find_map(|binding| held.get(reached(binding, &names).next()?)) else { continue };
        let topics = late.iter().flat_map(|binding| reached(binding, &names)).filter_map(|name| held.get(name));
        let topics: BTreeSet<StepId> = topics.cloned().collect();
        later.extend(put_off(step, late, on.clone()).map(|step| (step, topics)));
    }
    for (removal, topics) in later {
        for topic in steps.iter_mut().filter(|step| topics.contains(&step.id())) {
            topic.needs.insert(removal.id());
        }
        steps.push(removal);
    }
}

/// Consumers that read a topic of the app would be cut off by the loss of ACLs and user as well.
fn keep_what_is_in_use(steps: &mut [Step], declared: &BTreeSet<AppName>) {
    let in_use = |step: &&Step| {
        step.address.kind == TOPIC && step.hold == Some(Hold::Interrupt) && !declared.contains(&step.app)
    };
    let in_use: BTreeMap<AppName, StepId> =
        steps.iter().filter(in_use).map(|step| (step.app.clone(), step.id())).collect();
    for step in steps.iter_mut().filter(|step| step.action == Action::Destroy && step.runs()) {
        let is_way_in = [USER, ACL].contains(&step.address.kind);
        if let Some(on) = in_use.get(&step.app).filter(|_| is_way_in) {
            step.hold = Some(Hold::Waits { on: on.clone() });
        }
    }
}

/// Holds a step that does nothing else; else makes what is to come later a step of its own.
fn put_off(step: &mut Step, late: BTreeSet<Binding>, on: StepId) -> Option<Step> {
    let acl = |model: &Option<Model>| model.as_ref().and_then(Model::as_kafka_acl).cloned();
    let (before, after) = (acl(&step.before)?, acl(&step.after)?);
    let kept = Acl { bindings: &after.bindings | &late, ..after.clone() };
    let hold = Some(Hold::Waits { on: on.clone() });
    let note = format!("what it may do to {} stays as long as that does", on.address.name);
    if kept == before {
        step.hold = hold;
        step.notes.push(note);
        return None;
    }
    let removal = Step {
        part: Part::Close,
        changes: change(&kept, &after),
        notes: vec![note],
        before: Some(Model::KafkaAcl(kept.clone())),
        needs: BTreeSet::from([step.id()]),
        hold,
        ..step.clone()
    };
    step.changes = change(&before, &kept);
    step.after = Some(Model::KafkaAcl(kept));
    Some(removal)
}

fn change(before: &Acl, after: &Acl) -> Vec<FieldChange> {
    let value = |acl: &Acl| serde_json::to_value(&acl.bindings).unwrap_or_default();
    vec![FieldChange {
        field: "bindings".to_owned(),
        before: value(before),
        after: value(after),
        cause: Cause::ChangedInSpec,
    }]
}
