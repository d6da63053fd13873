//! Published values work: what names a login or a database that is not there yet is published later, and what stays for
//! now keeps what it had. Pure.

use super::Inputs;
use crate::core::address::Address;
use crate::core::consent::{self, Circumstances};
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Hold, Part, Reason, StepId};
use crate::secrets::model::{Published, SECRET, secret_address};
use crate::secrets::password::{carriers, placeholder};
use crate::secrets::usable::{lacking, makes_usable, needs, sign_in_as};
use crate::services::{CredentialStatus, Model, ServiceId, Step};
use crate::state::Document;
use std::collections::{BTreeMap, BTreeSet};

/// Why something is not to be had: whether the step only waits for another, and the step.
type Blame = (bool, StepId);

/// A value that names what is not made for now keeps its former value, or is left out; all others are published. A
/// password that no value would carry is not set: a login that only such a value names waits as well.
pub fn keep_back_what_would_not_work(inputs: &mut Inputs<'_>, steps: &mut [Step], circumstances: &Circumstances) {
    let secret = |(address, one): (&Address, &Wanted<Model>)| Some((address.clone(), one.model.as_secret()?.clone()));
    let full: BTreeMap<Address, Published> = inputs.wanted.iter().filter_map(secret).collect();
    loop {
        let mut told: BTreeMap<(StepId, &str), Vec<String>> = BTreeMap::new();
        let lacking = all_lacking(steps);
        let mut waiting: BTreeMap<StepId, StepId> = BTreeMap::new();
        for app in inputs.specs.apps.values() {
            let address = secret_address(app.name.as_str());
            let Some(Published { mut values }) = full.get(&address).cloned() else { continue };
            let last = last_values(&inputs.applied, &address);
            let kept = keep_back(&mut values, &last, &needs(app), &lacking);
            for (name, on) in &kept {
                let how = if last.contains_key(name) { "published as before" } else { "not published" };
                told.entry((on.clone(), how)).or_default().push(name.clone());
            }
            for step in steps.iter().filter(|step| step.app == app.name && step.sets_credential && step.runs()) {
                let Some(service) = ServiceId::of(&step.address) else { continue };
                let lacks = carriers(service).iter().find_map(|carrier| kept.get(*carrier));
                if let Some(on) = lacks.filter(|_| !sign_in_as(&values, service, &step.address.name)) {
                    waiting.insert(step.id(), on.clone());
                }
            }
            if let Some(Model::Secret(wanted)) = inputs.wanted.get_mut(&address).map(|one| &mut one.model) {
                wanted.values = values;
            }
        }
        if waiting.is_empty() {
            for ((on, how), names) in told {
                let note = format!("{how} until this is done: {}", names.join(", "));
                steps.iter_mut().filter(|step| step.id() == on).for_each(|step| step.notes.push(note.clone()));
            }
            return;
        }
        for step in steps.iter_mut() {
            if let Some(on) = waiting.remove(&step.id()) {
                step.hold = Some(Hold::Waits { on });
            }
        }
        consent::hold(steps, inputs.consent, circumstances);
    }
}

/// All that is not to be had for now, and the step that is the reason: not one that only waits for another, if it can be
/// helped.
fn all_lacking(steps: &[Step]) -> BTreeMap<Address, Blame> {
    let mut all = BTreeMap::new();
    for (step, address) in steps.iter().filter_map(|step| Some((step, lacking(step)?))) {
        let blame = (matches!(step.hold, Some(Hold::Waits { .. })), step.id());
        all.entry(address).and_modify(|known: &mut Blame| *known = blame.clone().min(known.clone())).or_insert(blame);
    }
    all
}

/// Puts former values in the place of those that need what is lacking. Returns these, and what each of them waits for.
fn keep_back(
    values: &mut BTreeMap<String, String>,
    last: &BTreeMap<String, String>,
    needs: &BTreeMap<String, BTreeSet<Address>>,
    lacking: &BTreeMap<Address, Blame>,
) -> BTreeMap<String, StepId> {
    let mut kept = BTreeMap::new();
    for (name, needed) in needs {
        let Some((_, on)) = needed.iter().filter_map(|address| lacking.get(address)).min() else { continue };
        if values.get(name) == last.get(name) {
            continue;
        }
        match last.get(name) {
            Some(former) => values.insert(name.clone(), former.clone()),
            None => values.remove(name),
        };
        kept.insert(name.clone(), on.clone());
    }
    kept
}

/// What was last published for an app.
fn last_values(applied: &BTreeMap<Address, Applied<Model>>, secret: &Address) -> BTreeMap<String, String> {
    let last = applied.get(secret).and_then(|last| last.model.as_secret());
    last.map(|last| last.values.clone()).unwrap_or_default()
}

/// New values are published after what they need is there. A new password of a running app is not even set before that:
/// where something fails, what is published goes on working. A login of another app has nothing of this one before it.
pub fn wait_for_what_is_published(inputs: &Inputs<'_>, steps: &mut [Step]) {
    let mut made: BTreeMap<Address, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.part == Part::Main && step.runs() && step.address.kind != SECRET) {
        if let Some(address) = makes_usable(step) {
            made.entry(address).or_default().insert(step.id());
        }
    }
    let mut awaited: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter_mut().filter(|step| step.part == Part::Publish && step.runs()) {
        let (Some(app), Some(Model::Secret(after))) = (inputs.specs.apps.get(&step.app), &step.after) else { continue };
        let last = last_values(&inputs.applied, &step.address);
        let changed = |name: &String| after.values.contains_key(name) && after.values.get(name) != last.get(name);
        let needed = needs(app).into_iter().filter(|(name, _)| changed(name)).flat_map(|(_, needed)| needed);
        let needed: BTreeSet<StepId> = needed.filter_map(|address| made.get(&address)).flatten().cloned().collect();
        step.needs.extend(needed.clone());
        awaited.insert(step.app.clone(), needed);
    }
    for step in steps.iter_mut().filter(|step| step.part == Part::Credential && !step.moves()) {
        step.needs.extend(awaited.get(&step.app).into_iter().flatten().cloned());
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
fn is_published(step: &Step, document: &Document) -> bool {
    let Some(placeholder) = ServiceId::of(&step.address).and_then(placeholder) else { return false };
    let entry = document.resources.get(&secret_address(step.app.as_str()));
    let secret = entry.and_then(|entry| entry.applied.as_secret());
    secret.is_some_and(|secret| secret.values.values().any(|value| value.contains(placeholder)))
}

/// The steps that set a password and will run, by app.
pub fn credentials_set(steps: &[Step]) -> BTreeMap<AppName, BTreeSet<StepId>> {
    let mut credentials: BTreeMap<AppName, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.sets_credential && step.runs()) {
        credentials.entry(step.app.clone()).or_default().insert(step.id());
    }
    credentials
}

/// Values with a password that nobody knows, and that this plan does not set, cannot be published yet. A secret of which
/// nothing is left is not looked at: it is not to be taken for one that is no longer declared.
pub fn leave_out_unknown_passwords(inputs: &mut Inputs<'_>, credentials: &BTreeMap<AppName, BTreeSet<StepId>>) {
    let mut unknown: BTreeMap<AppName, BTreeSet<&str>> = BTreeMap::new();
    for (address, one) in inputs.wanted.iter().filter(|(_, one)| one.model.generates_password()) {
        let Some(id) = ServiceId::of(address) else { continue };
        let Some(service) = inputs.observed.get(&id) else { continue };
        // A login that is not there, and is not made for now, has no password either.
        let seen = service.resources.get(address);
        let nobody_knows = seen.is_none_or(|seen| seen.credential == Some(CredentialStatus::Absent));
        let is_set = credentials.get(&one.app).is_some_and(|steps| steps.iter().any(|step| step.address == *address));
        if nobody_knows && !is_set {
            unknown.entry(one.app.clone()).or_default().extend(placeholder(id));
        }
    }
    for one in inputs.wanted.values_mut() {
        if let (Model::Secret(secret), Some(unknown)) = (&mut one.model, unknown.get(&one.app)) {
            secret.values.retain(|_, value| !unknown.iter().any(|placeholder| value.contains(placeholder)));
        }
    }
    let applied = &mut inputs.applied;
    inputs.wanted.retain(|address, one| {
        let empty = matches!(&one.model, Model::Secret(secret) if secret.values.is_empty());
        if empty {
            applied.remove(address);
        }
        !empty
    });
}

/// A login that is no longer declared may stay for now: its removal is held, or it is out of scope. Until it is gone its
/// published password stays too, or nobody would know it any more.
pub fn keep_values_of_logins_that_stay(inputs: &mut Inputs<'_>, steps: &[Step]) {
    let gives_up =
        |step: &&Step| (matches!(step.action, Action::Destroy | Action::Forget) || step.moves()) && step.runs();
    let going: BTreeSet<&Address> = steps.iter().filter(gives_up).map(|step| &step.address).collect();
    let mut staying: BTreeMap<&AppName, BTreeSet<&str>> = BTreeMap::new();
    for (address, entry) in &inputs.document.resources {
        let declared = inputs.wanted.get(address).is_some_and(|wanted| wanted.app == entry.app);
        if entry.applied.generates_password() && !declared && !going.contains(address) {
            staying.entry(&entry.app).or_default().extend(ServiceId::of(address).and_then(placeholder));
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
