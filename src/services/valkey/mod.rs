//! Valkey as a service: users whose rules isolate, on every node.

mod acl;
mod apply;
mod causes;
mod connect;
pub mod desired;
pub mod diff;
mod errors;
mod everybody;
mod examine;
pub mod model;
mod observe;
mod presets;
mod rights;
mod wire;
mod words;

use super::{ApplyContext, Ask, Check, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::config::ValkeyConfig;
use crate::core::address::{Address, Kind};
use crate::error::{Diagnostic, Kind as ErrorKind, Result};
use async_trait::async_trait;
use connect::Nodes;
use model::{DEFAULT_USER, USER};
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
        let mut resources = observe::resources(&seen, ask);
        resources.extend(observe::default_user::observe(&self.nodes, &nodes, &seen, ask).await?);
        Ok(Observation {
            endpoint: self.endpoint.clone(),
            identity: Some(self.endpoint.clone()),
            version: Some(server.describe()),
            server: serde_json::to_value(&server).unwrap_or_default(),
            resources,
            unread: BTreeMap::new(),
            notices: observe::notices(&seen, ask),
        })
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let nodes = self.nodes.all().await?;
        let users = || addresses.iter().filter(|address| address.kind == USER);
        let default_user = addresses.iter().find(|address| address.kind == DEFAULT_USER);
        let names = users().chain(default_user).map(|address| address.name.clone()).collect();
        let seen = observe::look_again(&nodes, &names, steps).await?;
        let declared = |address: &Address| {
            let after = steps.iter().filter(|step| step.address == *address).find_map(|step| step.after.as_ref());
            after.and_then(Model::as_valkey_user)
        };
        let there = users().filter_map(|address| {
            let user = observe::user(&seen, &address.name, declared(address))?;
            Some((address.clone(), Model::ValkeyUser(user)))
        });
        let mut there: BTreeMap<Address, Model> = there.collect();
        if let Some(address) = default_user {
            let after = steps.iter().filter(|step| step.address == *address).find_map(|step| step.after.as_ref());
            let declared = after.and_then(Model::as_valkey_default_user);
            let ours = self.nodes.password().await?;
            let user = observe::default_user::user(&seen, ours.as_ref(), declared);
            there.extend(user.map(|user| (address.clone(), Model::ValkeyDefaultUser(user))));
        }
        Ok(there)
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        apply::apply(&self.nodes, steps, context).await
    }

    fn limits(&self, _kind: &Kind) -> Limits {
        Limits { batch: 200, in_flight: 1 }
    }

    async fn examine(&self, ask: &Ask) -> Vec<Check> {
        let looked = async {
            let nodes = self.nodes.all().await?;
            let seen = observe::look(&nodes, &Ask::default()).await?;
            Ok(examine::checks(&nodes, &seen, ask, self.nodes.config()).await)
        };
        match looked.await {
            Ok(checks) => checks,
            Err(error) => vec![Check::failed(&error)],
        }
    }
}
