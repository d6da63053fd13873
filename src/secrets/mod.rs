//! Where generated passwords are staged and published.

pub mod diff;
pub mod model;

use crate::config::Config;
use crate::core::address::{Address, Kind};
use crate::core::name::AppName;
use crate::core::reconcile::Wanted;
use crate::core::secret::Secret;
use crate::error::Result;
use crate::services::{ApplyContext, Ask, Check, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::spec::model::Specs;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The sink of one environment, and what was read from it.
pub struct Vault {}

impl Vault {
    /// Opens the sink of the workspace; nothing is read yet.
    ///
    /// # Errors
    /// A sink that is not known.
    pub fn open(_config: &Config) -> Result<Self> {
        Ok(Self {})
    }

    /// The password that was published for an app on a service.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn published(&self, _app: &AppName, _service: ServiceId) -> Result<Option<Secret>> {
        Ok(None)
    }

    /// The password that an unfinished run has staged.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn staged(&self, _app: &AppName, _service: ServiceId) -> Result<Option<Secret>> {
        Ok(None)
    }

    /// The password to set now: the staged one, else the published one.
    ///
    /// # Errors
    /// The sink cannot be read, or has neither.
    pub fn password(&self, app: &AppName, service: ServiceId) -> Result<Secret> {
        let staged = self.staged(app, service)?;
        staged.or(self.published(app, service)?).ok_or_else(|| {
            crate::error::Diagnostic::new(
                crate::error::Kind::Secrets,
                format!("no password is staged for {app} on {service}"),
            )
        })
    }

    /// Where the secrets are, for people.
    pub fn describe(&self) -> String {
        String::new()
    }
}

/// What is to be published for every app that has a generated credential or a `[publish]` table.
pub fn desired(_specs: &Specs, _config: &Config) -> Result<BTreeMap<Address, Wanted<Model>>> {
    Ok(BTreeMap::new())
}

/// The sink as a service.
pub struct Secrets {
    vault: Arc<Vault>,
}

impl Secrets {
    pub fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
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

    async fn observe(&self, _ask: &Ask) -> Result<Observation> {
        Ok(Observation::default())
    }

    async fn read(&self, _addresses: &BTreeSet<Address>, _steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        Ok(BTreeMap::new())
    }

    async fn apply(&self, _steps: &[&Step], _context: &ApplyContext) -> Vec<Outcome> {
        Vec::new()
    }

    fn limits(&self, _kind: &Kind) -> Limits {
        Limits { batch: 1, in_flight: 1 }
    }

    async fn examine(&self) -> Vec<Check> {
        Vec::new()
    }
}
