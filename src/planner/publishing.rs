//! Published values work: what names a login or a database that is not there yet is published later, and what stays for
//! now keeps what it had. Pure.

use super::Inputs;
use super::published::{is_lost, last_values, tell_held};
use crate::core::address::Address;
use crate::core::consent::{self, Circumstances};
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::core::step::{Action, Hold, Part, Reason, StepId};
use crate::secrets::model::{Published, SECRET, secret_address};
use crate::secrets::password::{carriers, placeholder, sign_in_of};
use crate::secrets::usable::{lacking, logins, makes_usable, needs, sign_in_as, variable_of};
use crate::services::kafka::diff::opened;
use crate::services::kafka::model::{ACL, TOPIC, topic_address};
use crate::services::postgres::model::database_address;
use crate::services::{Model, ServiceId, Step};
use crate::spec::model::App;
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Why something is not to be had: whether the step only waits for another, and the step.
type Blame = (bool, StepId);

/// A value that names what is not made for now keeps its former value, or is left out; all others are published. What the
/// former value needs stays as long. A password that no value would carry is not set: a login that only such a value
/// names waits as well.
pub fn keep_back_what_would_not_work(inputs: &mut Inputs<'_>, steps: &mut [Step], circumstances: &Circumstances) {
    let secret = |(address, one): (&Address, &Wanted<Model>)| Some((address.clone(), one.model.as_secret()?.clone()));
    let full: BTreeMap<Address, Published> = inputs.wanted.iter().filter_map(secret).collect();
    let document = inputs.document;
    let creates = steps.iter().filter(|step| step.action == Action::Create);
    let made: BTreeSet<StepId> = creates.map(Step::id).collect();
    loop {
        let mut told: BTreeMap<StepId, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
        let setters = by_app(steps.iter().filter(|step| step.sets_credential && step.runs()));
        let takers = takers(document, steps);
        let lacking = all_lacking(inputs, steps);
        let former = former_names(inputs, steps);
        let mut waiting: BTreeMap<StepId, StepId> = BTreeMap::new();
        for app in inputs.specs.apps.values() {
            let address = secret_address(app.name.as_str());
            let Some(Published { mut values }) = full.get(&address).cloned() else { continue };
            let last = last_values(&inputs.applied, &address);
            let mut kept = keep_back(&mut values, &last, app, &lacking);
            kept.extend(keep_former(&mut values, &last, app, &former, &lacking));
            // What signs in as a login that is gone is told where it is left out.
            let is_lost = |name: &str, on: &StepId| {
                let service =
                    ServiceId::of(&on.address).filter(|service| sign_in_as(&last, *service, &on.address.name));
                let has = |placeholder: &str| last.get(name).is_some_and(|value| value.contains(placeholder));
                made.contains(on) && service.and_then(placeholder).is_some_and(has)
            };
            for (name, (_, on)) in kept.iter().filter(|(name, (_, on))| !is_lost(name, on)) {
                let how = match last.get(name) {
                    Some(former) if leads_nowhere(inputs, former) => {
                        "published as before until this is done, and does not sign in"
                    }
                    Some(_) => "published as before until this is done",
                    None => "not published until this is done",
                };
                told.entry(on.clone()).or_default().entry(how).or_default().push(name.clone());
            }
            let setters = setters.get(&app.name).map(Vec::as_slice).unwrap_or_default();
            waiting.extend(logins_without_a_value(setters, &values, &kept));
            let as_before = kept.iter().filter(|(name, _)| last.contains_key(*name));
            let takers = takers.get(&app.name).map(Vec::as_slice).unwrap_or_default();
            waiting.extend(as_before.flat_map(|(name, (_, on))| takers_of_value(takers, app, name, on)));
            if let Some(Model::Secret(wanted)) = inputs.wanted.get_mut(&address).map(|one| &mut one.model) {
                wanted.values = values;
            }
        }
        if waiting.is_empty() {
            for step in steps.iter_mut() {
                let notes = told.remove(&step.id()).into_iter().flatten();
                step.notes.extend(notes.map(|(how, names)| format!("{how}: {}", names.join(", "))));
            }
            return;
        }
        for step in steps.iter_mut() {
            if let Some(on) = waiting.remove(&step.id()) {
                step.hold = Some(Hold::Waits { on });
            }
        }
        consent::hold(steps, inputs.consent, circumstances);
        inputs.moves.hold_together(steps);
        consent::hold(steps, inputs.consent, circumstances);
    }
}

/// Whether a URL names a database that is there no more: one that has got another name, which its app was not told yet.
fn leads_nowhere(inputs: &Inputs<'_>, value: &str) -> bool {
    let Some(postgres) = inputs.observed.get(&ServiceId::Postgres).filter(|_| value.contains("{pg.password}")) else {
        return false;
    };
    let Some(address) = sign_in_of(value).map(|one| database_address(&one.database)) else { return false };
    let is_known = postgres.resources.contains_key(&address) || inputs.document.resources.contains_key(&address);
    // Under its former name there still is what is to be renamed.
    !is_known && inputs.moves.pending().address(&address) == address
}

/// What a thing is called stays as long as its new name cannot be published.
pub fn hold_names_that_cannot_be_told(steps: &mut [Step]) {
    let untold = steps.iter().filter(|step| step.part == Part::Publish && !step.runs());
    let untold: BTreeMap<AppName, StepId> = untold.map(|step| (step.app.clone(), step.id())).collect();
    for step in steps.iter_mut().filter(|step| gives_a_name(step) && step.runs()) {
        step.hold = untold.get(&step.app).map(|on| Hold::Waits { on: on.clone() });
    }
}

/// Whether the former name is gone with it.
fn gives_a_name(step: &Step) -> bool {
    step.part == Part::Rename && step.action == Action::Rename
}

/// Of the steps that set a password of an app, those whose password no value would carry, and what each waits for.
fn logins_without_a_value(
    setters: &[&Step],
    values: &BTreeMap<String, String>,
    kept: &BTreeMap<String, Blame>,
) -> BTreeMap<StepId, StepId> {
    let waits = |step: &&Step| {
        let service = ServiceId::of(&step.address)?;
        let (_, on) = carriers(service).iter().find_map(|carrier| kept.get(*carrier))?;
        (!sign_in_as(values, service, &step.address.name)).then(|| (step.id(), on.clone()))
    };
    setters.iter().filter_map(waits).collect()
}

fn by_app<'a>(steps: impl Iterator<Item = &'a Step>) -> BTreeMap<&'a AppName, Vec<&'a Step>> {
    let mut by_app: BTreeMap<&AppName, Vec<&Step>> = BTreeMap::new();
    steps.for_each(|step| by_app.entry(&step.app).or_default().push(step));
    by_app
}

/// Of the steps that would take something from an app, those on the services of a value that keeps its former form.
fn takers_of_value(takers: &[&Step], app: &App, value: &str, on: &StepId) -> BTreeMap<StepId, StepId> {
    let services = needs(app).get(value).map(services_of).unwrap_or_default();
    let concerns = |step: &&Step| ServiceId::of(&step.address).is_some_and(|service| services.contains(&service));
    let others = takers.iter().copied().filter(|step| step.id() != *on);
    others.filter(concerns).map(|step| (step.id(), on.clone())).collect()
}

/// The steps that take something from an app that it was told to use, by app.
fn takers<'a>(document: &'a Document, steps: &'a [Step]) -> BTreeMap<&'a AppName, Vec<&'a Step>> {
    let mut takers: BTreeMap<&AppName, Vec<&Step>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.runs()) {
        let hands_over = step.action == Action::Update && step.reasons.contains(&Reason::HandsOver);
        let own = (step.action == Action::Destroy || hands_over || gives_a_name(step)).then_some(&step.app);
        let former = document.resources.get(&step.address).filter(|_| step.moves()).map(|entry| &entry.app);
        own.into_iter().chain(former).for_each(|app| takers.entry(app).or_default().push(step));
    }
    takers
}

/// All that is not to be had for now, and the step that is the reason: not one that only waits for another, if it can be
/// helped.
fn all_lacking(inputs: &Inputs<'_>, steps: &[Step]) -> BTreeMap<Address, Blame> {
    let mut all = BTreeMap::new();
    let topics = topics_by_app(inputs);
    let kept_topics: BTreeSet<&Address> = inputs.moves.kept_topics().flat_map(|(from, to)| [from, to]).collect();
    for step in steps {
        let one = lacking(step).or_else(|| without_password(inputs, step, steps));
        let one = one.or_else(|| kept_topics.contains(&step.address).then(|| step.address.clone()));
        let closed = Some(step).filter(|step| !step.runs() && !matches!(step.hold, Some(Hold::Blocked { .. })));
        let closed = closed.map(|step| opened_topics(step, &topics)).unwrap_or_default();
        for address in one.into_iter().chain(closed) {
            let blame = (matches!(step.hold, Some(Hold::Waits { .. })), step.id());
            all.entry(address)
                .and_modify(|known: &mut Blame| *known = blame.clone().min(known.clone()))
                .or_insert(blame);
        }
    }
    all
}

/// The names of each app's own topics.
fn topics_by_app(inputs: &Inputs<'_>) -> BTreeMap<AppName, BTreeSet<String>> {
    let mut topics: BTreeMap<AppName, BTreeSet<String>> = BTreeMap::new();
    for (address, one) in inputs.wanted.iter().filter(|(address, _)| address.kind == TOPIC) {
        topics.entry(one.app.clone()).or_default().insert(address.name.clone());
    }
    topics
}

/// Which of its own topics an app may not use before a change of its ACLs is made. Without any ACLs it may not sign in.
fn opened_topics(step: &Step, topics: &BTreeMap<AppName, BTreeSet<String>>) -> Vec<Address> {
    let own = topics.get(&step.app).filter(|_| step.action == Action::Update && step.address.kind == ACL);
    own.map(|own| opened(step, own).into_iter().map(|name| topic_address(name)).collect()).unwrap_or_default()
}

/// A login that gets no password for now, while what is published is not its own. Under its former name it is the same one.
fn without_password(inputs: &Inputs<'_>, step: &Step, steps: &[Step]) -> Option<Address> {
    let service = ServiceId::of(&step.address).filter(|_| step.part == Part::Credential && !step.runs())?;
    let last = last_values(&inputs.applied, &secret_address(step.app.as_str()));
    let renames = steps.iter().filter(|other| gives_a_name(other) && other.address == step.address);
    let former = renames.filter_map(|rename| rename.renamed_from.as_ref()).map(|from| &from.name);
    let is_its = former.chain([&step.address.name]).any(|name| sign_in_as(&last, service, name));
    let works = is_its && !signs_in_otherwise(&last, step);
    (!last.is_empty() && !works).then(|| step.address.clone())
}

/// Whether what is published signs in by another mechanism of Kafka than the one that gets no password for now.
fn signs_in_otherwise(last: &BTreeMap<String, String>, step: &Step) -> bool {
    let mechanism = step.after.as_ref().and_then(|model| model.as_kafka_user()?.mechanism.as_ref());
    mechanism.zip(last.get("KAFKA_SASL_MECHANISM")).is_some_and(|(wanted, published)| wanted != published)
}

/// Puts former values in the place of those that need what is lacking. Returns these, and what each of them waits for.
///
/// An app has one password on a service. Where it gets another login there, all values of that service wait for one.
fn keep_back(
    values: &mut BTreeMap<String, String>,
    last: &BTreeMap<String, String>,
    app: &App,
    lacking: &BTreeMap<Address, Blame>,
) -> BTreeMap<String, Blame> {
    let needs = needs(app);
    let mut blamed: BTreeMap<&String, Blame> = BTreeMap::new();
    for (name, needed) in &needs {
        if let Some(blame) = needed.iter().filter_map(|address| lacking.get(address)).min() {
            blamed.insert(name, blame.clone());
        }
    }
    for (service, login) in logins(app) {
        let is_of = |name: &String| needs.get(name).is_some_and(|needed| services_of(needed).contains(&service));
        let former = |(name, _): &(&&String, &Blame)| is_of(name) && last.contains_key(**name);
        let Some(blame) = blamed.iter().filter(former).map(|(_, blame)| blame.clone()).min() else { continue };
        if !sign_in_as(last, service, &login.name) {
            for name in needs.keys().filter(|name| is_of(name)) {
                blamed.entry(name).or_insert_with(|| blame.clone());
            }
        }
    }
    let mut kept = BTreeMap::new();
    for (name, blame) in blamed {
        if values.get(name) == last.get(name) {
            continue;
        }
        match last.get(name) {
            Some(former) => values.insert(name.clone(), former.clone()),
            None => values.remove(name),
        };
        kept.insert(name.clone(), blame);
    }
    kept
}

/// What has its former name for now, of each app: that name and the one that it is to get.
fn former_names(inputs: &Inputs<'_>, steps: &[Step]) -> BTreeMap<AppName, Vec<(Address, Address)>> {
    let held = steps.iter().filter(|step| gives_a_name(step) && !step.runs());
    let held = held.filter_map(|step| Some((&step.app, step.renamed_from.as_ref()?, &step.address)));
    let kept = inputs.moves.kept_topics().filter_map(|(from, to)| Some((&inputs.wanted.get(to)?.app, from, to)));
    let mut former: BTreeMap<AppName, Vec<(Address, Address)>> = BTreeMap::new();
    for (app, from, to) in held.chain(kept) {
        former.entry(app.clone()).or_default().push((from.clone(), to.clone()));
    }
    former
}

/// Values that are called by what has its former name for now stay. Returns these, and what each of them waits for.
fn keep_former(
    values: &mut BTreeMap<String, String>,
    last: &BTreeMap<String, String>,
    app: &App,
    former: &BTreeMap<AppName, Vec<(Address, Address)>>,
    lacking: &BTreeMap<Address, Blame>,
) -> BTreeMap<String, Blame> {
    let mut kept = BTreeMap::new();
    for (from, to) in former.get(&app.name).into_iter().flatten() {
        let blame = lacking.get(to).or_else(|| lacking.get(from));
        let (Some(name), Some(blame)) = (variable_of(from), blame) else { continue };
        if let (Some(value), false) = (last.get(&name), values.contains_key(&name)) {
            values.insert(name.clone(), value.clone());
            kept.insert(name, blame.clone());
        }
    }
    kept
}

fn services_of(needed: &BTreeSet<Address>) -> BTreeSet<ServiceId> {
    needed.iter().filter_map(ServiceId::of).collect()
}

/// New values are published after what they need is there. A new password of a running app is not even set before that:
/// where something fails, what is published goes on working. A login of another app has nothing of this one before it.
/// And what an app was told to use goes only after it is told otherwise.
pub fn wait_for_what_is_published(inputs: &Inputs<'_>, steps: &mut [Step]) {
    let mut made: BTreeMap<Address, BTreeSet<StepId>> = BTreeMap::new();
    let topics = topics_by_app(inputs);
    let makes = |step: &&Step| matches!(step.part, Part::Main | Part::Rename) && step.runs();
    for step in steps.iter().filter(makes).filter(|step| step.address.kind != SECRET) {
        for address in makes_usable(step).into_iter().chain(opened_topics(step, &topics)) {
            made.entry(address).or_default().insert(step.id());
        }
    }
    // What a login gets that was somebody else's comes after its new password, and after the loss of any other.
    let after_passwords = waiting_for(steps, |step| step.part == Part::Credential && !step.moves());
    let after_publishing = waiting_for(steps, |step| step.part == Part::Publish);
    let mut awaited: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter_mut().filter(|step| step.part == Part::Publish && step.runs()) {
        let (Some(app), Some(Model::Secret(after))) = (inputs.specs.apps.get(&step.app), &step.after) else { continue };
        let last = last_values(&inputs.applied, &step.address);
        let changed = |name: &String| after.values.contains_key(name) && after.values.get(name) != last.get(name);
        let needed = needs(app).into_iter().filter(|(name, _)| changed(name)).flat_map(|(_, needed)| needed);
        let needed: BTreeSet<StepId> = needed.filter_map(|address| made.get(&address)).flatten().cloned().collect();
        step.needs.extend(needed.difference(&after_publishing).cloned());
        awaited.insert(step.app.clone(), &needed - &after_passwords);
    }
    for step in steps.iter_mut() {
        if step.part == Part::Credential && !step.moves() {
            step.needs.extend(awaited.get(&step.app).into_iter().flatten().cloned());
        }
        if step.action == Action::Destroy && step.address.kind != SECRET && awaited.contains_key(&step.app) {
            step.needs.insert(StepId { address: secret_address(step.app.as_str()), part: Part::Publish });
        }
    }
}

/// All that wait for some steps, however far away.
fn waiting_for(steps: &[Step], is_first: impl Fn(&Step) -> bool) -> BTreeSet<StepId> {
    let first: BTreeSet<StepId> = steps.iter().filter(|step| is_first(step)).map(Step::id).collect();
    let mut all = first.clone();
    loop {
        let waits = |step: &&Step| !step.needs.is_disjoint(&all) && !all.contains(&step.id());
        let more: BTreeSet<StepId> = steps.iter().filter(waits).map(Step::id).collect();
        if more.is_empty() {
            return &all - &first;
        }
        all.extend(more);
    }
}

/// A published password that does not sign in has drifted, and so has one that was published and is known no more. One
/// that was never published has not.
pub fn tell_drifted_passwords(steps: &mut [Step], document: &Document) {
    for step in steps.iter_mut().filter(|step| step.action == Action::Rotate) {
        let lost = step.reasons.contains(&Reason::CredentialUnknown) && is_published(step, document);
        if lost || step.reasons.contains(&Reason::CredentialWrong) {
            step.reasons.insert(Reason::Drifted);
        }
    }
}

/// Whether the state says that the password of a step's login was published.
pub fn is_published(step: &Step, document: &Document) -> bool {
    let entry = document.resources.get(&secret_address(step.app.as_str()));
    let (secret, service) = (entry.and_then(|entry| entry.applied.as_secret()), ServiceId::of(&step.address));
    secret.zip(service).is_some_and(|(secret, service)| sign_in_as(&secret.values, service, &step.address.name))
}

/// The steps that set a password and will run, by app.
pub fn credentials_set(steps: &[Step]) -> BTreeMap<AppName, BTreeSet<StepId>> {
    let mut credentials: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.sets_credential && step.runs()) {
        credentials.entry(step.app.clone()).or_default().insert(step.id());
    }
    credentials
}

/// What is published for a login whose password is another one stays until a new one may be set.
pub fn tell_what_does_not_sign_in(inputs: &Inputs<'_>, steps: &mut [Step]) {
    let mut told = BTreeMap::new();
    for step in steps.iter().filter(|step| step.reasons.contains(&Reason::CredentialWrong)) {
        let last = last_values(&inputs.applied, &secret_address(step.app.as_str()));
        let placeholder = ServiceId::of(&step.address).and_then(placeholder);
        let names = placeholder.map(|placeholder| names_with(&last, placeholder)).unwrap_or_default();
        if !names.is_empty() {
            let note = format!("published as before until this is done, and does not sign in: {names}");
            told.insert(step.address.clone(), vec![note]);
        }
    }
    tell_held(steps, &told);
}

/// The names of values that have a password in them, by its placeholder.
fn names_with(values: &BTreeMap<String, String>, placeholder: &str) -> String {
    let names = values.iter().filter(|(_, value)| value.contains(placeholder)).map(|(name, _)| name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// A login that is no longer declared may stay for now: its removal is held, or it is out of scope. Until it is gone its
/// published password stays too, or nobody would know it any more.
///
/// Where another login of the app gets a new password, this one's has no place any more; nor has one that the sink has lost.
pub fn keep_values_of_logins_that_stay(
    inputs: &mut Inputs<'_>,
    steps: &[Step],
    credentials: &BTreeMap<AppName, BTreeSet<StepId>>,
) {
    let gives_up =
        |step: &&Step| (matches!(step.action, Action::Destroy | Action::Forget) || step.moves()) && step.runs();
    let going: BTreeSet<&Address> = steps.iter().filter(gives_up).map(|step| &step.address).collect();
    let mut staying: BTreeMap<&AppName, BTreeSet<&str>> = BTreeMap::new();
    for (address, entry) in &inputs.document.resources {
        let declared = inputs.wanted.get(address).is_some_and(|wanted| wanted.app == entry.app);
        let service = ServiceId::of(address);
        let renewed = |step: &StepId| step.part == Part::Credential && ServiceId::of(&step.address) == service;
        let replaced = credentials.get(&entry.app).is_some_and(|steps| steps.iter().any(renewed));
        let is_lost = |service: &ServiceId| is_lost(inputs, &secret_address(entry.app.as_str()), *service);
        let service = service.filter(|service| !is_lost(service));
        if entry.applied.generates_password() && !declared && !going.contains(address) && !replaced {
            staying.entry(&entry.app).or_default().extend(service.and_then(placeholder));
        }
    }
    for (address, last) in &inputs.applied {
        let (Model::Secret(last), Some(staying)) = (&last.model, staying.get(&last.app)) else { continue };
        let Some(Model::Secret(wanted)) = inputs.wanted.get_mut(address).map(|one| &mut one.model) else { continue };
        for (name, value) in &last.values {
            if staying.iter().any(|placeholder| value.contains(placeholder)) {
                wanted.values.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}
