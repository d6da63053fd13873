//! Where generated passwords are staged and published.
//!
//! A password is staged before it is set on its server, and published after it has been proved there. So a run that is
//! killed anywhere leaves a published credential that works, or a staged one that the next plan names.

mod apply;
mod common;
mod desired;
pub mod diff;
pub mod dotenv;
mod env_file;
mod generate;
mod hosts;
pub mod mixed_up;
pub mod model;
pub mod password;
pub mod sink;
#[cfg(test)]
mod tests;
pub mod usable;
mod vault;

pub use common::missing as no_common_password;
pub use desired::{desired, servers, values};
pub use generate::password as new_password;
pub use hosts::strange;
pub use vault::Vault;

use self::model::{Published, SECRET};
use crate::core::address::{Address, Kind};
use crate::core::name::AppName;
use crate::error::{Diagnostic, Result};
use crate::services::{
    ApplyContext, Ask, Check, Limits, Model, Observation, Observed, Outcome, Service, ServiceId, Step,
};
use crate::side_by_side;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The sink as a service.
pub struct Secrets {
    vault: Arc<Vault>,
}

impl Secrets {
    pub fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }

    /// Reads the password that apps share, if steps write or compare it.
    async fn learn_for(&self, steps: &[&Step]) -> Result<()> {
        if steps.iter().any(|step| common::is_asked_for(step.before.iter().chain(&step.after))) {
            self.vault.common().learn().await?;
        }
        Ok(())
    }

    fn observe_one(&self, address: &Address, models: &[Option<&Model>]) -> Result<Option<Model>> {
        let templates: Vec<&Published> = models.iter().flatten().filter_map(|model| model.as_secret()).collect();
        Ok(self.vault.observe(&app_of(address)?, &templates)?.map(Model::Secret))
    }
}

#[async_trait]
impl Service for Secrets {
    fn id(&self) -> ServiceId {
        ServiceId::Secrets
    }

    fn endpoint(&self) -> String {
        self.vault.describe()
    }

    async fn observe(&self, ask: &Ask) -> Result<Observation> {
        let mut observation = Observation { endpoint: self.endpoint(), ..Observation::default() };
        let wanted = common::is_asked_for(ask.wanted.values().map(|wanted| &wanted.model));
        if wanted || common::is_asked_for(ask.applied.values().map(|applied| &applied.model)) {
            self.vault.common().learn().await?;
        }
        if wanted && !self.vault.common().is_configured() {
            return Err(common::missing());
        }
        observation.notices.extend(self.vault.common().notice().filter(|_| wanted));
        let addresses: Vec<&Address> = ask.addresses().into_iter().filter(|address| address.kind == SECRET).collect();
        let there = side_by_side::map(&addresses, |address| {
            let wanted = ask.wanted.get(*address).map(|wanted| &wanted.model);
            let applied = ask.applied.get(*address).map(|applied| &applied.model);
            self.observe_one(address, &[wanted, applied])
        });
        for (address, there) in addresses.into_iter().zip(there) {
            observation.resources.extend(there?.map(|model| (address.clone(), Observed::plain(model))));
        }
        Ok(observation)
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        self.learn_for(steps).await?;
        let mut known: BTreeMap<&Address, Vec<Option<&Model>>> = BTreeMap::new();
        for step in steps.iter().filter(|step| addresses.contains(&step.address)) {
            known.entry(&step.address).or_default().extend([step.after.as_ref(), step.before.as_ref()]);
        }
        let mut models = BTreeMap::new();
        for (address, known) in known {
            if let Some(model) = self.observe_one(address, &known)? {
                models.insert(address.clone(), model);
            }
        }
        Ok(models)
    }

    async fn apply(&self, steps: &[&Step], _context: &ApplyContext) -> Vec<Outcome> {
        match self.learn_for(steps).await {
            Ok(()) => apply::apply(&self.vault, steps).await,
            Err(error) => steps.iter().map(|_| Outcome::failed(error.again())).collect(),
        }
    }

    fn limits(&self, _kind: &Kind) -> Limits {
        Limits { batch: 1000, in_flight: 1 }
    }

    async fn examine(&self, _ask: &Ask) -> Vec<Check> {
        self.vault.examine()
    }
}

fn service(name: &str) -> Option<ServiceId> {
    ServiceId::ALL.into_iter().find(|service| service.as_str() == name)
}

fn app_of(address: &Address) -> Result<AppName> {
    AppName::new(address.name.as_str()).map_err(|error| Diagnostic::new(crate::error::Kind::Secrets, error))
}
