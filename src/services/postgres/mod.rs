//! PostgreSQL as a service: roles, databases, and who may do what in them.

mod access;
mod apply;
mod catalog;
mod causes;
mod connect;
mod credential;
pub mod desired;
pub mod diff;
mod drop;
mod edges;
mod examine;
mod losses;
mod membership;
pub mod model;
mod observe;
mod orphans;
mod problem;
mod rights;
mod roles;
mod scope;
mod server;
mod server_log;
mod session;
mod shape;
pub mod snapshot;
mod spelling;
mod sql;
mod strays;

use super::{ApplyContext, Ask, Check, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::config::PostgresConfig;
use crate::core::address::{Address, Kind};
use crate::error::Result;
use async_trait::async_trait;
use connect::Connector;
use model::ROLE;
use scope::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// A PostgreSQL that is contacted when it is first asked something.
#[derive(Debug)]
pub struct Postgres {
    connector: Connector,
}

impl Postgres {
    pub fn new(config: &PostgresConfig) -> Self {
        Self { connector: Connector::new(config.clone()) }
    }

    /// The same, telling what programs it runs.
    pub fn telling(config: &PostgresConfig, tell: fn(&str)) -> Self {
        let mut connector = Connector::new(config.clone());
        connector.tell = tell;
        Self { connector }
    }
}

#[async_trait]
impl Service for Postgres {
    fn id(&self) -> ServiceId {
        ServiceId::Postgres
    }

    fn endpoint(&self) -> String {
        self.connector.config.endpoint()
    }

    async fn observe(&self, ask: &Ask) -> Result<Observation> {
        Ok(observe::observe(&self.connector, ask).await?)
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let steps = || steps.iter().filter(|step| addresses.contains(&step.address));
        let ends = steps().flat_map(|step| step.before.iter().chain(&step.after).map(|model| (&step.address, model)));
        let mut scope = Scope::of(ends);
        for step in steps() {
            if let (super::Op::Postgres(model::Op::AlterDatabase { user }), Some(Model::PostgresDatabase(database))) =
                (&step.op, &step.after)
            {
                scope.creators.insert(database.name.clone(), user.clone());
            }
        }
        let mut now = observe::now(&self.connector, &scope).await?;
        for step in steps() {
            let Some(model) = now.get_mut(&step.address) else { continue };
            shape::as_planned(model, step);
            if shape::is_begun(model, step) {
                now.remove(&step.address);
            }
        }
        Ok(now)
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            outcomes.push(apply::apply(&self.connector, step, context).await);
        }
        outcomes
    }

    fn limits(&self, kind: &Kind) -> Limits {
        let batch = if *kind == ROLE { 20 } else { 1 };
        Limits { batch, in_flight: 4 }
    }

    async fn examine(&self) -> Vec<Check> {
        examine::examine(&self.connector).await
    }
}
