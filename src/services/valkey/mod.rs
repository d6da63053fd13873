//! Valkey as a service: users whose rules isolate, on every node.

mod acl;
mod apply;
mod connect;
pub mod desired;
pub mod diff;
mod errors;
mod examine;
pub mod model;
mod observe;
mod presets;
mod wire;
mod words;

use super::{ApplyContext, Ask, Check, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::config::ValkeyConfig;
use crate::core::address::{Address, Kind};
use crate::error::{Diagnostic, Kind as ErrorKind, Result};
use async_trait::async_trait;
use connect::Nodes;
use model::USER;
use std::collections::{BTreeMap, BTreeSet};

/// A Valkey that is contacted when it is first asked something.
pub struct Valkey {
    endpoint: String,
    nodes: Nodes,
}

impl Valkey {
    /// # Errors
    /// A configuration that cannot be used.
    pub fn new(config: &ValkeyConfig) -> Result<Self> {
        if !config.sentinels.is_empty() {
            return Err(Diagnostic::new(ErrorKind::Config, "sentinels cannot be asked for the primary yet")
                .hint("name the primary by `host` and `port` under [valkey]: its replicas are found through it"));
        }
        Ok(Self { endpoint: config.endpoint(), nodes: Nodes::new(config) })
    }
}

#[async_trait]
impl Service for Valkey {
    fn id(&self) -> ServiceId {
        ServiceId::Valkey
    }

    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    async fn observe(&self, ask: &Ask) -> Result<Observation> {
        let nodes = self.nodes.all().await?;
        let seen = observe::look(&nodes, ask).await?;
        let server = observe::server(&seen);
        Ok(Observation {
            endpoint: self.endpoint.clone(),
            identity: Some(self.endpoint.clone()),
            version: Some(server.describe()),
            server: serde_json::to_value(&server).unwrap_or_default(),
            resources: observe::resources(&seen, ask),
            unread: BTreeMap::new(),
            notices: observe::notices(&seen, ask),
        })
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let nodes = self.nodes.all().await?;
        let users = || addresses.iter().filter(|address| address.kind == USER);
        let seen = observe::look_again(&nodes, &users().map(|address| address.name.clone()).collect(), steps).await?;
        let declared = |address: &Address| {
            let after = steps.iter().filter(|step| step.address == *address).find_map(|step| step.after.as_ref());
            after.and_then(Model::as_valkey_user)
        };
        let there = users().filter_map(|address| {
            let user = observe::user(&seen, &address.name, declared(address))?;
            Some((address.clone(), Model::ValkeyUser(user)))
        });
        Ok(there.collect())
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        apply::apply(&self.nodes, steps, context).await
    }

    fn limits(&self, _kind: &Kind) -> Limits {
        Limits { batch: 1_000, in_flight: 1 }
    }

    async fn examine(&self, _ask: &Ask) -> Vec<Check> {
        let looked = async { observe::look(&self.nodes.all().await?, &Ask::default()).await }.await;
        match looked {
            Ok(seen) => examine::checks(&seen),
            Err(error) => vec![Check::failed(&error)],
        }
    }
}
