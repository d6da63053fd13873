//! Valkey as a service: users whose rules isolate, on every node.

mod acl;
mod apply;
mod causes;
mod connect;
pub mod dangers;
pub mod desired;
pub mod diff;
mod errors;
mod everybody;
mod examine;
mod exchange;
mod keyspace;
pub mod model;
mod node;
mod observe;
mod place;
mod possible;
mod powers;
mod presets;
mod rights;
mod saving;
mod shared_password;
mod strangers;
mod unsaved;
mod wire;
mod writes;

use super::{ApplyContext, Ask, Check, Durability, Limits, Model, Observation, Outcome, Service, ServiceId, Step};
use crate::config::ValkeyConfig;
use crate::core::address::{Address, Kind};
use crate::core::change::{FieldChange, Resource, three_way};
use crate::core::step::Action;
use crate::error::Result;
pub use acl::{includes, overlap};
use async_trait::async_trait;
use connect::Nodes;
use model::{DEFAULT_USER, KEYS, USER};
pub use place::reaches;
pub use possible::no_such_database;
use presets::Server;
pub use presets::queue_channels;
pub use shared_password::SharedPassword;
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
        self.nodes.remember(&ask.nodes).await;
        let found = self.nodes.all().await?;
        let mut seen = observe::look(&found.nodes, ask).await?;
        let server = Server { strict: self.nodes.config().strict, ..observe::server(&seen) };
        let mut notices = observe::notices(&seen, ask);
        notices.extend(observe::straying(&server, ask));
        let default_user = observe::default_user::observe(&self.nodes, &found.nodes, &seen, ask).await?;
        let at_restart = observe::at_restart(&found.nodes, &seen, ask).await;
        let unsaved = observe::saved::unsaved(&at_restart, &seen, ask);
        notices.extend(observe::saved::notices(&at_restart));
        let sentinels = observe::look(&found.sentinels, ask).await?;
        notices.extend(observe::notices(&sentinels, &Ask::default()));
        seen.extend(sentinels);
        notices.extend(observe::absent::notices(&found, ask));
        let mut resources = observe::resources(&seen, ask);
        observe::losses::add(&self.nodes, &found, &seen, ask, &mut resources).await;
        resources.extend(default_user.into_iter().chain(unsaved));
        Ok(Observation {
            endpoint: self.endpoint.clone(),
            identity: Some(self.endpoint.clone()),
            version: Some(server.describe()),
            server: serde_json::to_value(&server).unwrap_or_default(),
            resources,
            unmanaged: observe::unmanaged(&seen, ask),
            unread: observe::absent::unread(&found, ask),
            nodes: found.named(&ask.away),
            notices,
        })
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let found = self.nodes.all().await?;
        let users = || addresses.iter().filter(|address| address.kind == USER);
        // One that is only not to be kept off any more stays as it is, whatever that is.
        let is_kept = |address: &Address| steps.iter().any(|step| step.address == *address && step.after.is_some());
        let default_user = addresses.iter().find(|address| address.kind == DEFAULT_USER && is_kept(address));
        let names = users().chain(default_user).map(|address| address.name.clone()).collect();
        let seen = observe::look_again(found.with_users(), &names, steps).await?;
        let declared = steps.iter().rev().filter_map(|step| Some((&step.address, step.after.as_ref()?)));
        let declared: BTreeMap<&Address, &Model> = declared.collect();
        let declared = |address: &Address| declared.get(address).copied();
        let asked = users().map(|address| (address, declared(address).and_then(Model::as_valkey_user)));
        let there = observe::users(&seen, asked).into_iter();
        let mut there: BTreeMap<Address, Model> =
            there.map(|(address, user)| (address.clone(), Model::ValkeyUser(user))).collect();
        if !found.unreached.is_empty() {
            // What goes may still be on a node that cannot be asked: it is not gone for being gone from the others.
            let going = steps.iter().filter(|step| step.action == Action::Destroy && step.address.kind == USER);
            for step in going {
                let Some(before) = &step.before else { continue };
                there.entry(step.address.clone()).or_insert_with(|| before.clone());
            }
        }
        if let Some(address) = default_user {
            let declared = declared(address).and_then(Model::as_valkey_default_user);
            let ours = self.nodes.password().await?;
            let user = observe::default_user::user(&seen, ours.as_ref(), declared);
            there.extend(user.map(|user| (address.clone(), Model::ValkeyDefaultUser(user))));
        }
        // Keys are counted for the plan, and removed whatever their number has become.
        let keys = steps.iter().filter(|step| step.address.kind == KEYS && addresses.contains(&step.address));
        there.extend(keys.filter_map(|step| Some((step.address.clone(), step.before.clone()?))));
        Ok(there)
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        apply::apply(&self.nodes, steps, context).await
    }

    async fn with_staged_password(&self, steps: &[&Step], context: &ApplyContext) -> BTreeSet<Address> {
        let names = steps.iter().map(|step| step.address.name.clone()).collect();
        let looked = async { observe::look_again(self.nodes.all().await?.with_users(), &names, steps).await };
        let seen = looked.await.unwrap_or_default();
        let has_it = |step: &&&Step| {
            let staged = context.vault.staged(&step.app, ServiceId::Valkey).ok().flatten();
            let hashes = observe::hashes(seen.iter(), &step.address.name);
            staged.is_some_and(|password| hashes.contains(&password.sha256()))
        };
        steps.iter().filter(has_it).map(|step| step.address.clone()).collect()
    }

    fn rest_of(&self, step: &Step, now: Option<&Model>) -> Option<Step> {
        diff::is_halfway(step, now).then(|| step.clone())
    }

    async fn differences(&self, expected: &Model, now: &Model) -> Vec<FieldChange> {
        let (Some(expected), Some(now)) = (expected.as_valkey_user(), now.as_valkey_user()) else {
            return three_way(&now.fields(), &expected.fields(), None).changes;
        };
        // Without a server, only the rules themselves can be told.
        let found = self.nodes.all().await.ok();
        let node = found.as_ref().and_then(|found| found.nodes.first());
        let server = match node {
            Some(node) => wire::server(node).await.ok(),
            None => None,
        };
        diff::Teller::new(server.map(|server| &server.catalogue)).differences(expected, now)
    }

    fn limits(&self, kind: &Kind) -> Limits {
        // Users are saved after every batch, and what is purged is remembered as soon as it is.
        Limits { batch: if *kind == KEYS { 1 } else { 1000 }, in_flight: 1 }
    }

    fn durability(&self) -> Durability {
        self.nodes.saving.durability()
    }

    async fn examine(&self, ask: &Ask) -> Vec<Check> {
        let looked = async {
            self.nodes.remember(&ask.nodes).await;
            let found = self.nodes.all().await?;
            let seen = observe::look(&found.nodes, &Ask::default()).await?;
            let mut checks = examine::checks(&found, &seen, ask, self.nodes.config()).await;
            checks.extend(observe::absent::checks(&found, ask));
            Ok(checks)
        };
        let mut checks = looked.await.unwrap_or_else(|error| vec![Check::failed(&error)]);
        checks.extend(examine::sentinels::checks(self.nodes.sentinels().await).await);
        checks
    }
}
