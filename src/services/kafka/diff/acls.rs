//! What becomes of ACLs.

use crate::core::listing::some;
use crate::core::step::{Action, Hold, Reason, Risk};
use crate::services::kafka::acl::authorizer::gives_already;
use crate::services::kafka::model::{Binding, Op as KafkaOp, user_address};
use crate::services::kafka::server::Server;
use crate::services::{DiffInput, Model, Op, Step};
use std::collections::BTreeSet;

/// ACLs that are spelled out in one note; more are counted.
const SHOWN: usize = 3;
/// Notes of who would be shut out; more are counted.
const MOST_NOTES: usize = 5;

/// Fills in the risks of a step on ACLs, whether the broker keeps any, and who else would feel it.
pub fn judge(step: &mut Step, server: &Server) {
    let (had, has) = (bindings(step.before.as_ref()), bindings(step.after.as_ref()));
    let gone: BTreeSet<&Binding> = had.difference(&has).collect();
    let come: BTreeSet<&Binding> = has.difference(&had).collect();
    let lifted: Vec<&Binding> = gone.iter().filter(|acl| !acl.allow).copied().collect();
    step.risks.extend(risks(step));
    if !lifted.is_empty() {
        let what = some(&lifted, SHOWN);
        step.notes.push(format!("no infraspec denies its user anything, so that this goes: {what}"));
    }
    let makes_topics = |acl: &&&Binding| acl.resource == "topic" && acl.prefixed && acl.operation == "create";
    if let Some(internal) = come.iter().find(makes_topics) {
        let prefix = &internal.name;
        step.notes.push(format!(
            "internal topics: an application.id of Kafka Streams must begin with {prefix} (such as {prefix}streams), and not be {} \
             alone: its topics and transactional ids begin with it and a dash",
            prefix.trim_end_matches('.')
        ));
    }
    tell_beneath(step, server, &come);
    tell_shut_out(step, server, &come);
    tell_cut_off(step, server, !gone.is_empty());
    if !server.keeps_acls() {
        let reason = "the broker has no authorizer, so it keeps no ACLs; set authorizer.class.name on it";
        step.hold = Some(Hold::Blocked { reason: reason.to_owned() });
    }
}

/// What a step on ACLs takes and gives.
pub fn risks(step: &Step) -> BTreeSet<Risk> {
    let (had, has) = (bindings(step.before.as_ref()), bindings(step.after.as_ref()));
    let gone: BTreeSet<&Binding> = had.difference(&has).collect();
    let come: BTreeSet<&Binding> = has.difference(&had).collect();
    let lifts = gone.iter().any(|acl| !acl.allow);
    // What other ACLs of the same user give as well takes nothing away as it goes, and gives nothing as it comes.
    let takes = gone.iter().any(|acl| acl.allow && !gives_already(&has, acl)) || come.iter().any(|acl| !acl.allow);
    let gives = come.iter().any(|acl| acl.allow && !gives_already(&had, acl)) || lifts;
    let mut risks = BTreeSet::new();
    // A DENY that somebody set was meant, even where it interrupts nobody.
    if takes || (lifts && step.reasons.contains(&Reason::NotOursYet)) {
        risks.insert(Risk::Interrupts);
    }
    if gives && step.action != Action::Create && step.op == Op::Kafka(KafkaOp::SetAcls) {
        risks.insert(Risk::WidensAccess);
    }
    risks
}

/// Whoever signs in as a user without any ACL can do nothing any more: that is one thing with the removal of the user.
pub fn judge_deleted(step: &mut Step, input: &DiffInput<'_>) {
    step.risks = BTreeSet::from([Risk::RemovesLogin]);
    let user = user_address(&step.address.name);
    step.part_of = Some(user).filter(|user| input.applied.contains_key(user) && !input.wanted.contains_key(user));
}

/// The ACLs that a step adds and that give something which no other one of the same user gives already.
pub fn added(step: &Step) -> Vec<Binding> {
    let (had, has) = (bindings(step.before.as_ref()), bindings(step.after.as_ref()));
    has.difference(&had).filter(|acl| !acl.allow || !gives_already(&had, acl)).cloned().collect()
}

/// The ACLs of a model; none if there is none.
pub fn bindings(model: Option<&Model>) -> BTreeSet<Binding> {
    model.and_then(Model::as_kafka_acl).map(|acl| acl.bindings.clone()).unwrap_or_default()
}

/// Says which groups at work lose their right.
fn tell_cut_off(step: &mut Step, server: &Server, takes: bool) {
    let cut_off: Vec<_> = server.cut_off.iter().filter(|one| one.user == step.address.name).collect();
    step.notes.extend(cut_off.iter().take(MOST_NOTES).map(|one| one.sentence()));
    let more = cut_off.len().saturating_sub(MOST_NOTES);
    if more > 0 {
        step.notes.push(format!("{more} more groups that are at work would be cut off"));
    }
    if let Some(why) = server.cut_off_untold.as_ref().filter(|_| takes) {
        step.notes.push(format!("which groups at work would be cut off is not known: {why}"));
    }
}

/// Says which topics of nobody lie under prefixes that are given, and what may be done to them.
fn tell_beneath(step: &mut Step, server: &Server, come: &BTreeSet<&Binding>) {
    let given = || come.iter().filter(|acl| acl.allow && acl.prefixed && acl.resource == "topic");
    for (prefix, beneath) in &server.beneath {
        let may: Vec<&str> = ["read", "write", "delete"]
            .into_iter()
            .filter(|operation| given().any(|acl| acl.name == *prefix && acl.operation == *operation))
            .collect();
        if !may.is_empty() {
            let noun = if beneath.count == 1 { "topic lies" } else { "topics lie" };
            step.risks.insert(Risk::WidensAccess);
            step.notes.push(format!(
                "{} {noun} under {prefix}* that no infraspec declares, and its user may {} there, too: {beneath}",
                beneath.count,
                may.join(", ")
            ));
        }
    }
    if let Some(why) = server.beneath_untold.as_ref().filter(|_| given().next().is_some()) {
        step.notes.push(format!("which topics lie under the prefix already is not known: {why}"));
    }
}

/// Says whom the first ACLs on something shut out. While somebody reads, consent is asked.
fn tell_shut_out(step: &mut Step, server: &Server, come: &BTreeSet<&Binding>) {
    let concerned: Vec<_> = server.shut_out.iter().filter(|one| come.iter().any(|acl| one.is_hit_by(acl))).collect();
    step.notes.extend(concerned.iter().take(MOST_NOTES).map(|one| one.sentence()));
    let more = concerned.len().saturating_sub(MOST_NOTES);
    if more > 0 {
        step.notes.push(format!("{more} more that use what has no ACL until now would be shut out"));
    }
    if concerned.iter().any(|one| one.is_in_use()) {
        step.risks.insert(Risk::Interrupts);
        step.hold = Some(Hold::Interrupt);
    }
    if let Some(why) = server.users_untold.as_ref().filter(|_| !come.is_empty()) {
        step.notes.push(format!("who uses what has no ACL until now, and would be shut out, is not known: {why}"));
    }
}
