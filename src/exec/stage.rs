//! Passwords that were staged for nothing: no server was told them, so nothing is unfinished.

use super::Outcomes;
use crate::core::name::AppName;
use crate::core::step::Part;
use crate::error::Result;
use crate::secrets::Vault;
use crate::secrets::model::SECRET;
use crate::services::{Outcome, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What was staged before a run.
pub struct Before(BTreeMap<AppName, BTreeSet<ServiceId>>);

impl Before {
    /// Looks at the apps for which the steps stage passwords.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn look(steps: &[Step], vault: &Vault) -> Result<Self> {
        let apps = steps.iter().filter(|step| step.part == Part::Stage && step.runs()).map(|step| &step.app);
        let staged = apps.map(|app| Ok((app.clone(), vault.staged_services(app)?)));
        Ok(Self(staged.collect::<Result<_>>()?))
    }

    /// Discards what this run has staged and certainly sent to no server. What an earlier run staged stays: that one may
    /// have sent it.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn discard_unsent(&self, steps: &[Step], outcomes: &Outcomes, vault: &Vault) -> Result<()> {
        let mut unsent: BTreeMap<&AppName, BTreeMap<ServiceId, bool>> = BTreeMap::new();
        for step in steps.iter().filter(|step| step.sets_credential && step.runs() && step.address.kind != SECRET) {
            if let Some(service) = ServiceId::of(&step.address) {
                let of_app = unsent.entry(&step.app).or_default();
                *of_app.entry(service).or_insert(true) &= is_unsent(outcomes.get(&step.id()));
            }
        }
        let mut discarded = false;
        for (app, before) in &self.0 {
            let unsent = unsent.remove(app).into_iter().flatten();
            let unsent: BTreeSet<ServiceId> = unsent
                .filter(|(service, unsent)| *unsent && !before.contains(service))
                .map(|(service, _)| service)
                .collect();
            if !unsent.is_empty() {
                vault.discard(app, &unsent)?;
                discarded = true;
            }
        }
        if discarded { vault.settle() } else { Ok(()) }
    }
}

/// A step without an outcome may have been under way when the run was ended.
fn is_unsent(outcome: Option<&Outcome>) -> bool {
    match outcome {
        Some(Outcome::Stale { .. } | Outcome::Refused { .. } | Outcome::Skipped { .. }) => true,
        Some(Outcome::Done { .. } | Outcome::Remains { .. } | Outcome::AlreadySo | Outcome::Failed { .. }) | None => {
            false
        }
    }
}
