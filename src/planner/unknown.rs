//! Passwords that nobody knows: what would need them is not published yet, and what is there in its place stays as it is. Pure.

use super::Inputs;
use super::published::{is_lost, last_values, tell_held};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::StepId;
use crate::secrets::model::{Op as SecretOp, Published, secret_address};
use crate::secrets::password::placeholder;
use crate::secrets::usable::{logins, needs, sign_in_as};
use crate::services::{CredentialStatus, Model, Observation, Op, ServiceId, Step};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What of each secret is neither written nor removed: by name, as it was last published.
pub type Untouched = BTreeMap<Address, BTreeMap<String, Option<String>>>;

/// Values with a password that nobody knows, and that this plan does not set, cannot be published yet. What the sink has
/// there instead is left alone, as it may be all that is left of another login's password: it goes when the new one is
/// published. A secret of which nothing is left is not looked at: it is not to be taken for one that is no longer declared.
pub fn leave_out(
    inputs: &mut Inputs<'_>,
    steps: &mut [Step],
    credentials: &BTreeMap<AppName, BTreeSet<StepId>>,
) -> Untouched {
    let unknown = unknown(inputs, credentials);
    let (mut untouched, mut told) = (Untouched::new(), BTreeMap::new());
    for (address, one) in &mut inputs.wanted {
        let (Model::Secret(secret), Some(unknown)) = (&mut one.model, unknown.get(&one.app)) else { continue };
        let sink = inputs.observed.get(&ServiceId::Secrets);
        let there = sink.and_then(|sink| sink.resources.get(address)?.model.as_secret());
        let last = inputs.applied.get(address).and_then(|last| last.model.as_secret());
        let needs = inputs.specs.apps.get(&one.app).map(needs).unwrap_or_default();
        let set = credentials.get(&one.app).into_iter().flatten().filter_map(|step| ServiceId::of(&step.address));
        let set: Vec<&str> = set.filter_map(placeholder).collect();
        for (placeholder, login) in unknown {
            let with_it = |published: &Published| names_with(published, placeholder);
            let left_out = with_it(secret);
            secret.values.retain(|name, _| !left_out.contains(name));
            // A user's name, and how it signs in, go with its password; not what carries another one that is set.
            let differs = |name: &&String| {
                let value = secret.values.get(*name);
                there.zip(value).is_some_and(|(there, value)| {
                    there.values.get(*name) != Some(value) && !set.iter().any(|password| value.contains(password))
                })
            };
            let beside = needs.iter().filter(|(_, needed)| needed.contains(login)).map(|(name, _)| name);
            let beside: BTreeSet<String> = beside.filter(differs).cloned().collect();
            let of_it = left_out.iter().cloned().chain(last.map(with_it).unwrap_or_default()).chain(beside);
            let is_there = |name: &String| there.is_some_and(|there| there.values.contains_key(name));
            let stays: BTreeSet<String> = of_it.filter(is_there).collect();
            secret.values.retain(|name, _| !stays.contains(name));
            let list = |names: &mut dyn Iterator<Item = &String>| names.cloned().collect::<Vec<_>>().join(", ");
            let absent = list(&mut left_out.difference(&stays));
            let notes = [("not published", absent), ("left as it is", list(&mut stays.iter()))];
            let notes = notes.into_iter().filter(|(_, names)| !names.is_empty());
            let notes: Vec<String> = notes.map(|(how, names)| format!("{how} until this is done: {names}")).collect();
            told.insert(login.clone(), notes);
            let as_published = |name: String| {
                let value = last.and_then(|last| last.values.get(&name)).cloned();
                (name, value)
            };
            untouched.entry(address.clone()).or_default().extend(stays.into_iter().map(as_published));
        }
    }
    tell_held(steps, &told);
    for (address, names) in &untouched {
        if let Some(Model::Secret(last)) = inputs.applied.get_mut(address).map(|last| &mut last.model) {
            last.values.retain(|name, _| !names.contains_key(name));
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
    untouched
}

/// The logins of each app whose passwords nobody knows, by how these stand in values.
fn unknown(
    inputs: &Inputs<'_>,
    credentials: &BTreeMap<AppName, BTreeSet<StepId>>,
) -> BTreeMap<AppName, BTreeMap<&'static str, Address>> {
    let mut unknown: BTreeMap<AppName, BTreeMap<&str, Address>> = BTreeMap::new();
    for (address, one) in inputs.wanted.iter().filter(|(_, one)| one.model.generates_password()) {
        let Some(id) = ServiceId::of(address) else { continue };
        let Some(service) = inputs.observed.get(&id) else { continue };
        // A login that is not there, and is not made for now, has no password either.
        let seen = service.resources.get(address);
        let nobody_knows = seen.is_none_or(|seen| seen.credential == Some(CredentialStatus::Absent));
        let is_set = credentials.get(&one.app).is_some_and(|steps| steps.iter().any(|step| step.address == *address));
        let address_of_secret = secret_address(one.app.as_str());
        let secret = inputs.wanted.get(&address_of_secret).and_then(|secret| secret.model.as_secret());
        let last = last_values(&inputs.applied, &address_of_secret);
        let names_another = |values: &BTreeMap<String, String>| !sign_in_as(values, id, &address.name);
        // What is kept back names another login, whose password is known.
        let keeps_another =
            !last.is_empty() && names_another(&last) && secret.is_some_and(|secret| names_another(&secret.values));
        if nobody_knows && !is_set && !keeps_another {
            let of_app = unknown.entry(one.app.clone()).or_default();
            of_app.extend(placeholder(id).map(|placeholder| (placeholder, address.clone())));
        }
    }
    // What the sink has lost cannot be published either, in this run or out of it.
    let is_verified = |login: &Address| {
        let service = ServiceId::of(login).and_then(|id| inputs.observed.get(&id));
        let seen = service.and_then(|service| service.resources.get(login));
        seen.is_some_and(|seen| seen.credential == Some(CredentialStatus::Verified))
    };
    for (address, one) in &inputs.wanted {
        let (Some(secret), Some(app)) = (one.model.as_secret(), inputs.full.apps.get(&one.app)) else { continue };
        let steps = credentials.get(&one.app);
        for (service, login) in logins(app).into_iter().filter(|(service, _)| is_lost(inputs, address, *service)) {
            let is_set =
                steps.is_some_and(|steps| steps.iter().any(|step| ServiceId::of(&step.address) == Some(service)));
            let Some(placeholder) = placeholder(service).filter(|_| !is_set && !is_verified(&login)) else { continue };
            if secret.values.values().any(|value| value.contains(placeholder)) {
                unknown.entry(one.app.clone()).or_default().entry(placeholder).or_insert(login);
            }
        }
    }
    unknown
}

fn names_with(published: &Published, placeholder: &str) -> BTreeSet<String> {
    let names = published.values.iter().filter(|(_, value)| value.contains(placeholder));
    names.map(|(name, _)| name.clone()).collect()
}

/// What was read of the sink, without what is not touched.
pub fn without<'a>(observation: &'a Observation, untouched: &Untouched) -> Cow<'a, Observation> {
    if untouched.values().all(BTreeMap::is_empty) {
        return Cow::Borrowed(observation);
    }
    let mut rest = observation.clone();
    for (address, names) in untouched {
        let Some(Model::Secret(there)) = rest.resources.get_mut(address).map(|one| &mut one.model) else { continue };
        there.values.retain(|name, _| !names.contains_key(name));
        if there.values.is_empty() {
            rest.resources.remove(address);
        }
    }
    Cow::Owned(rest)
}

/// Lets what is published beside it remember what is not touched.
pub fn remember(steps: &mut [Step], untouched: &Untouched, observation: &Observation) {
    for step in steps {
        let Some(names) = untouched.get(&step.address) else { continue };
        let there = observation.resources.get(&step.address).and_then(|there| there.model.as_secret());
        let (Some(there), Op::Secrets(SecretOp::Publish { untouched, .. })) = (there, &mut step.op) else { continue };
        let (Some(Model::Secret(before)), Some(Model::Secret(after))) = (&mut step.before, &mut step.after) else {
            continue;
        };
        for (name, last) in names {
            if let (Some(last), Some(there)) = (last, there.values.get(name)) {
                before.values.insert(name.clone(), there.clone());
                after.values.insert(name.clone(), last.clone());
                untouched.insert(name.clone());
            }
        }
    }
}
