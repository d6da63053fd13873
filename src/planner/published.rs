//! What is published now, as the state and the sink have it, and how steps tell of it. Pure.

use super::Inputs;
use crate::core::address::Address;
use crate::core::reconcile::Applied;
use crate::secrets::password::carriers;
use crate::services::{Model, ServiceId, Step};
use std::collections::BTreeMap;

/// What was last published for an app.
pub fn last_values(applied: &BTreeMap<Address, Applied<Model>>, secret: &Address) -> BTreeMap<String, String> {
    let last = applied.get(secret).and_then(|last| last.model.as_secret());
    last.map(|last| last.values.clone()).unwrap_or_default()
}

/// Whether the sink was read, and has no password of a service for an app.
pub fn is_lost(inputs: &Inputs<'_>, secret: &Address, service: ServiceId) -> bool {
    let Some(sink) = inputs.observed.get(&ServiceId::Secrets) else { return false };
    let there = sink.resources.get(secret).and_then(|there| there.model.as_secret());
    !there.is_some_and(|there| carriers(service).iter().any(|carrier| there.values.contains_key(*carrier)))
}

/// Adds notes to steps that would set the passwords of logins and do not run.
pub fn tell_held(steps: &mut [Step], notes: &BTreeMap<Address, Vec<String>>) {
    for step in steps.iter_mut().filter(|step| step.sets_credential && !step.runs()) {
        step.notes.extend(notes.get(&step.address).into_iter().flatten().cloned());
    }
}
