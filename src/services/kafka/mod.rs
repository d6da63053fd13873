//! Kafka as a service.

pub mod acl;
pub mod admin;
mod apply;
pub mod client;
pub mod configs;
mod credential;
pub mod desired;
pub mod diff;
mod examine;
pub mod model;
mod observe;
pub mod redpanda;
mod server;

use super::{ApplyContext, Ask, Check, Limits, Model, Observation, Op, Outcome, Service, ServiceId, Step};
use crate::config::KafkaConfig;
use crate::core::address::{Address, Kind};
use crate::core::step::StepId;
use crate::error::{Diagnostic, Result};
use async_trait::async_trait;
use client::connect::first_look;
use model::{ACL, Op as KafkaOp, TOPIC, USER, acl_address, topic_address, user_address};
use server::Flavor;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::OnceCell;

/// A Kafka that is contacted when it is first asked something.
pub struct Kafka {
    connection: client::connect::Connection,
    /// Redpanda's Admin API, where one is named.
    redpanda: Option<redpanda::AdminApi>,
    /// Which program the brokers are, once that was found out.
    flavor: OnceCell<Flavor>,
}

impl Kafka {
    pub fn new(config: &KafkaConfig) -> Self {
        let redpanda = redpanda::AdminApi::new(config);
        Self { connection: client::connect::Connection::new(config.clone()), redpanda, flavor: OnceCell::new() }
    }

    /// The Admin API, if one is named and the brokers are Redpanda's. It fails if the brokers cannot be asked.
    async fn redpanda(&self, admin: &admin::Admin) -> Result<Option<&redpanda::AdminApi>> {
        let Some(api) = self.redpanda.as_ref() else { return Ok(None) };
        let find_out = || async {
            let cluster = first_look(&self.connection.config, admin).await?;
            api.meet(cluster.brokers.iter().map(|broker| &broker.host)).await;
            Ok::<_, Diagnostic>(Flavor::told(self.connection.config.flavor, cluster.id.as_deref()))
        };
        let flavor = self.flavor.get_or_try_init(find_out).await?;
        Ok((*flavor == Flavor::Redpanda).then_some(api))
    }

    async fn work<'a>(&'a self, admin: &'a admin::Admin) -> Result<apply::Work<'a>> {
        let (config, redpanda) = (&self.connection.config, self.redpanda(admin).await?);
        Ok(apply::Work { config, admin, endpoint: config.endpoint(), redpanda })
    }
}

#[async_trait]
impl Service for Kafka {
    fn id(&self) -> ServiceId {
        ServiceId::Kafka
    }

    fn endpoint(&self) -> String {
        self.connection.config.endpoint()
    }

    async fn observe(&self, ask: &Ask) -> Result<Observation> {
        let admin = self.connection.admin().await?;
        observe::observe(&self.connection.config, &admin, self.redpanda(&admin).await?, ask).await
    }

    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>> {
        let admin = self.connection.admin().await?;
        let endpoint = self.connection.config.endpoint();
        let reader =
            observe::reader::Reader { admin: &admin, endpoint: &endpoint, redpanda: self.redpanda(&admin).await? };
        let names = |kind: Kind| -> BTreeSet<&str> {
            addresses.iter().filter(|address| address.kind == kind).map(|address| address.name.as_str()).collect()
        };
        let (topics, users, principals) = (names(TOPIC), names(USER), names(ACL));
        let (topics, users, acls) =
            tokio::try_join!(reader.topics(&topics), reader.users(&users), reader.acls(&principals))?;
        let ends: BTreeMap<&Address, Vec<&Model>> = steps
            .iter()
            .map(|step| (&step.address, [&step.before, &step.after].into_iter().flatten().collect()))
            .collect();
        let ends_of = |address: &Address| ends.get(address).map(Vec::as_slice).unwrap_or_default();
        let mut there = BTreeMap::new();
        let planned: BTreeMap<&Address, &&Step> = steps.iter().map(|step| (&step.address, step)).collect();
        let flavor = match topics.is_empty() {
            true => Flavor::default(),
            false => {
                let cluster = first_look(&self.connection.config, &admin).await?;
                Flavor::told(self.connection.config.flavor, cluster.id.as_deref())
            }
        };
        for (name, topic) in topics {
            let address = topic_address(&name);
            let step = planned.get(&address);
            let (before, after) =
                (step.and_then(|step| step.before.as_ref()), step.and_then(|step| step.after.as_ref()));
            let end = |model: Option<&'_ Model>| model.and_then(Model::as_kafka_topic).cloned();
            let managed = diff::managed_topic(topic, end(after).as_ref(), end(before).as_ref(), flavor);
            there.insert(address, Model::KafkaTopic(managed));
        }
        for user in users {
            let address = user_address(&user.name);
            // As the plan saw it: the mechanism that it goes to if the user has that, else the one that it comes from.
            let wish = ends_of(&address).last().and_then(|model| model.as_kafka_user()?.mechanism.as_deref());
            there.insert(address, Model::KafkaUser(user.model(wish)));
        }
        for (name, acl) in acls.map(|acls| acls.by_principal).unwrap_or_default() {
            there.insert(acl_address(&name), Model::KafkaAcl(acl));
        }
        Ok(there)
    }

    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
        let admin = match self.connection.admin().await {
            Ok(admin) => admin,
            Err(error) => return apply::all_failed(steps, error),
        };
        match self.work(&admin).await {
            Ok(work) => work.apply(steps, context).await,
            Err(error) => apply::all_failed(steps, error),
        }
    }

    async fn with_staged_password(&self, steps: &[&Step], context: &ApplyContext) -> BTreeSet<Address> {
        credential::with_staged_password(&self.connection.config, steps, &context.vault).await
    }

    fn goes_last(&self, step: &Step) -> bool {
        step.op == Op::Kafka(KafkaOp::DeleteTopic)
    }

    async fn foresee(&self, steps: &[&Step]) -> Vec<(StepId, Outcome)> {
        if steps.is_empty() {
            return Vec::new();
        }
        let looked = async {
            let admin = self.connection.admin().await?;
            Ok::<_, Diagnostic>(self.work(&admin).await?.foresee(steps).await)
        };
        let all = |error| steps.iter().map(|step| step.id()).zip(apply::all_failed(steps, error)).collect();
        looked.await.unwrap_or_else(all)
    }

    fn rest_of(&self, step: &Step, now: Option<&Model>) -> Option<Step> {
        diff::is_halfway(step.before.as_ref(), now, step.after.as_ref()).then(|| step.clone())
    }

    fn limits(&self, kind: &Kind) -> Limits {
        let batch = if *kind == TOPIC { 1000 } else { 500 };
        Limits { batch, in_flight: 1 }
    }

    async fn examine(&self, ask: &Ask) -> Vec<Check> {
        let look = async {
            let admin = self.connection.admin().await?;
            let api = self.redpanda(&admin).await?;
            Ok(examine::examine(&self.connection.config, &admin, api, ask).await)
        };
        look.await.unwrap_or_else(|error: Diagnostic| vec![Check::failed(&error)])
    }
}
