//! Published values that do not sign in after a run: a server was told something new, and the app was not.

use crate::core::name::AppName;
use crate::core::step::{Action, Part, StepId};
use crate::secrets::model::SECRET;
use crate::secrets::password::placeholder;
use crate::services::{Model, Outcome, Plan, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};

/// One sentence for each app, of what was told and what came of it.
pub(super) fn lines(plan: &Plan, outcomes: &BTreeMap<StepId, Outcome>) -> Vec<String> {
    let is_done = |step: &&Step| outcomes.get(&step.id()).is_some_and(Outcome::succeeded);
    let closes = |step: &&Step| step.part == Part::Close;
    let later: BTreeSet<_> = plan.steps.iter().filter(closes).map(|step| &step.address).collect();
    let mut told: BTreeMap<&AppName, BTreeMap<ServiceId, &str>> = BTreeMap::new();
    for step in plan.steps.iter().filter(is_done).filter(|step| step.address.kind != SECRET) {
        let what = match (step.part, step.action) {
            // Where the former password is taken away by a step of its own, it works until then.
            (Part::Credential, _) if !later.contains(&step.address) => "a new password",
            (Part::Rename, Action::Rename) => "a new name",
            (_, _) => continue,
        };
        if let Some(service) = ServiceId::of(&step.address) {
            told.entry(&step.app).or_default().insert(service, what);
        }
    }
    let untold = plan.steps.iter().filter(|step| step.part == Part::Publish && !is_done(step));
    let line = |step: &Step| {
        let told = told.get(&step.app)?;
        let published = step.before.as_ref().and_then(Model::as_secret)?;
        let with = |service: &ServiceId| {
            let placeholder = placeholder(*service).unwrap_or_default();
            published.values.iter().filter(move |(_, value)| value.contains(placeholder)).map(|(name, _)| name.as_str())
        };
        let names: BTreeSet<&str> = told.keys().flat_map(with).collect();
        if names.is_empty() {
            return None;
        }
        let has: Vec<String> = told.iter().map(|(service, what)| format!("{} has {what}", service.title())).collect();
        Some(format!(
            "{} of {} {} not sign in until it is published again: {}. Mend what is told above, and apply: that publishes \
             what the server has by now.",
            names.iter().copied().collect::<Vec<_>>().join(", "),
            step.app,
            if names.len() == 1 { "does" } else { "do" },
            has.join(", ")
        ))
    };
    untold.filter_map(line).collect()
}
