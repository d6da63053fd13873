//! What the state says is another app's, and no infraspec says any more: who gets to it gets that app's messages, reads on
//! where it stopped or writes in its name, and is asked about. Pure.

use super::acls::added;
use crate::core::address::Address;
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::core::step::{Reason, Risk};
use crate::services::kafka::acl::authorizer::{gives_already, meet};
use crate::services::kafka::model::{Acl, Binding, Op as KafkaOp};
use crate::services::{Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What of one app is named in a sentence; more is counted.
const NAMED: usize = 3;

/// Whose a resource is now, by its address: an app in this run or outside of it.
pub type Declared<'a> = BTreeMap<&'a Address, (&'a AppName, Option<&'a Model>)>;

/// Lets the ACLs of a user wait for consent that open to it what is another app's until now. `ours` is all that is ours, of
/// whatever app; `declared` is what infraspecs say, in this run (with what they say) or outside of it.
pub fn ask_about_takeovers<'a>(
    steps: &mut [Step],
    ours: impl Iterator<Item = (&'a Address, &'a AppName, &'a Model)> + Clone,
    declared: &Declared<'_>,
) {
    if !steps.iter().any(sets_acls) {
        return;
    }
    let still = still_given(declared);
    let things: Vec<Thing<'a>> =
        ours.clone().flat_map(|(address, app, model)| things(address, app, model, declared, &still)).collect();
    if things.is_empty() {
        return;
    }
    let last: BTreeMap<&Address, (&AppName, &Acl)> =
        ours.filter_map(|(address, app, model)| Some((address, (app, model.as_kafka_acl()?)))).collect();
    for step in steps.iter_mut().filter(|step| sets_acls(step)) {
        // What was let through once, and is lacking on the broker, is only put back.
        let had = last.get(&step.address).filter(|(app, _)| **app == step.app).map(|(_, acl)| &acl.bindings);
        let added: Vec<Binding> =
            added(step).into_iter().filter(|acl| acl.allow && had.is_none_or(|had| !had.contains(acl))).collect();
        let mut met: BTreeMap<&AppName, BTreeSet<String>> = BTreeMap::new();
        for thing in things.iter().filter(|thing| *thing.app != step.app) {
            if added.iter().any(|acl| meet(acl, &thing.place)) {
                met.entry(thing.app).or_default().insert(thing.words());
            }
        }
        for (app, names) in &met {
            let (names, taker) = (some(names, NAMED), &step.app);
            step.notes.push(format!(
                "it reaches what is {app}'s until now, and no infraspec says any more: {names}; {taker} gets it"
            ));
        }
        if !met.is_empty() {
            step.reasons.insert(Reason::TakesOver);
            step.risks.insert(Risk::WidensAccess);
        }
    }
}

fn sets_acls(step: &Step) -> bool {
    step.op == Op::Kafka(KafkaOp::SetAcls)
}

/// A topic, or names of topics, groups or transactional ids.
struct Thing<'a> {
    app: &'a AppName,
    place: Binding,
}

impl Thing<'_> {
    /// `topic van.secret`, `transactional id van.*`.
    fn words(&self) -> String {
        format!("{} {}", self.place.resource.replace('_', " "), self.place.pattern())
    }
}

/// What infraspecs in this run give each app beside its topics by name. Whom it lets in gets there by its own word.
type Given<'a> = BTreeMap<&'a AppName, BTreeSet<Binding>>;

fn still_given<'a>(declared: &Declared<'a>) -> Given<'a> {
    let mut given = Given::new();
    for (app, seen) in declared.values() {
        let acl = seen.and_then(Model::as_kafka_acl);
        given.entry(*app).or_default().extend(acl.into_iter().flat_map(places));
    }
    given
}

/// What an entry of the state gives its app and infraspecs do not.
fn things<'a>(
    address: &Address,
    app: &'a AppName,
    model: &Model,
    declared: &Declared<'_>,
    still: &Given<'_>,
) -> Vec<Thing<'a>> {
    let now = declared.get(address);
    let all = if let Some(topic) = model.as_kafka_topic() {
        // A topic that another app in this run declares has a step of its own, which ACLs on it wait for.
        let is_seen_to = now.is_some_and(|(owner, seen)| *owner == app || seen.is_some());
        let place = Binding::allow("topic", &topic.name, false, "describe");
        if is_seen_to { BTreeSet::new() } else { BTreeSet::from([place]) }
    } else {
        // Of an app outside of this run no more is known than that it has ACLs: the checks of infraspecs saw them.
        let is_outside = now.is_some_and(|(owner, seen)| *owner == app && seen.is_none());
        let acl = model.as_kafka_acl().filter(|_| !is_outside);
        acl.into_iter().flat_map(places).collect()
    };
    let is_lost = |place: &Binding| !still.get(app).is_some_and(|given| gives_already(given, place));
    all.into_iter().filter(is_lost).map(|place| Thing { app, place }).collect()
}

fn places(acl: &Acl) -> impl Iterator<Item = Binding> {
    acl.bindings.iter().filter_map(|one| own(one, acl))
}

/// The names that an app has by an ACL. It may have prefixes of topics from another app too; of its own ones it may read the
/// configs. Its topics by name are resources.
fn own(acl: &Binding, all: &Acl) -> Option<Binding> {
    let place = Binding { operation: "describe".to_owned(), ..acl.clone() };
    let reads_configs = || all.bindings.contains(&Binding { operation: "describe_configs".to_owned(), ..acl.clone() });
    let is_own = acl.resource != "topic" || (acl.prefixed && reads_configs());
    (acl.allow && is_own).then_some(place)
}
