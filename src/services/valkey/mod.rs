//! Valkey as a service.

pub mod desired;
pub mod diff;
pub mod model;

use super::{ApplyContext, Ask, Check, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::config::ValkeyConfig;
use crate::core::address::{Address, Kind};
use crate::error::Result;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};

/// A Valkey that is contacted when it is first asked something.
pub struct Valkey {
    config: ValkeyConfig,
}

impl Valkey {
    /// # Errors
    /// A configuration that cannot be used.
    pub fn new(config: &ValkeyConfig) -> Result<Self> {
        Ok(Self { config: config.clone() })
    }
}

#[async_trait]
impl Service for Valkey {
    fn id(&self) -> ServiceId {
        ServiceId::Valkey
    }

    fn endpoint(&self) -> String {
        self.config.endpoint()
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
