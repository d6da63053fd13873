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

    /// What this run has staged and certainly sent to no server. What an earlier run staged is not among it: that one may have
    /// sent it.
    pub fn unsent(&self, steps: &[Step], outcomes: &Outcomes) -> Unsent {
        let mut unsent: BTreeMap<&AppName, BTreeMap<ServiceId, bool>> = BTreeMap::new();
        for step in steps.iter().filter(|step| step.sets_credential && step.runs() && step.address.kind != SECRET) {
            if let Some(service) = ServiceId::of(&step.address) {
                let of_app = unsent.entry(&step.app).or_default();
                *of_app.entry(service).or_insert(true) &= is_unsent(outcomes.get(&step.id()));
            }
        }
        let of_app = |(app, before): (&AppName, &BTreeSet<ServiceId>)| {
            let unsent = unsent.get(app).into_iter().flatten();
            let unsent = unsent.filter(|(service, unsent)| **unsent && !before.contains(service));
            (app.clone(), unsent.map(|(service, _)| *service).collect())
        };
        Unsent(self.0.iter().map(of_app).filter(|(_, unsent): &(_, BTreeSet<_>)| !unsent.is_empty()).collect())
    }
}

/// Passwords that no server was told.
pub struct Unsent(BTreeMap<AppName, BTreeSet<ServiceId>>);

impl Unsent {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes them out of the stage. Only for who still has the lock: another run may have sent them.
    ///
    /// # Errors
    /// The sink cannot be read or written.
    pub fn discard(&self, vault: &Vault) -> Result<()> {
        self.0.iter().try_for_each(|(app, services)| vault.discard(app, services))?;
        if self.is_empty() { Ok(()) } else { vault.settle() }
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
