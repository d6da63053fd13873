//! The services behind one trait, and the enums that name all of their resources and operations.
//!
//! A new service is a folder here, a variant of [`ServiceId`], [`Model`] and [`Op`], and a line in the registry.

pub mod kafka;
mod observation;
pub mod postgres;
mod progress;
mod registry;
mod renaming;
mod service;
mod tls;
pub mod valkey;

pub use observation::{
    Ask, CredentialStatus, DiffInput, Facts, Fingerprint, Named, Observation, Observed, Proof, SignInAs, rotation,
};
pub use progress::Progress;
pub use registry::{connect, desired, desired_of_workspace, diff, is_login};
pub use renaming::Renaming;
pub use service::{ApplyContext, Check, Durability, Failure, Limits, Outcome, Service, Verdict};

use crate::core::address::Address;
use crate::core::change::{Field, Resource};
use crate::secrets;
use serde::{Deserialize, Serialize};

/// What nornplan can plan for. Secrets are a service like the others: they are observed, diffed and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ServiceId {
    Postgres,
    Valkey,
    Kafka,
    #[serde(rename = "secret")]
    #[value(name = "secret")]
    Secrets,
}

impl ServiceId {
    pub const ALL: [Self; 4] = [Self::Postgres, Self::Valkey, Self::Kafka, Self::Secrets];

    /// As it stands at the front of addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Valkey => "valkey",
            Self::Kafka => "kafka",
            Self::Secrets => "secret",
        }
    }

    /// As people write the product's name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Valkey => "Valkey",
            Self::Kafka => "Kafka",
            Self::Secrets => "Secrets",
        }
    }

    /// The service that an address lies on.
    pub fn of(address: &Address) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.as_str() == address.service())
    }
}

impl std::fmt::Display for ServiceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Every type of resource, in one model each for desired, last applied and observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Model {
    PostgresRole(postgres::model::Role),
    PostgresDatabase(postgres::model::Database),
    PostgresGrant(postgres::model::Grant),
    PostgresLockDown(postgres::model::LockDown),
    ValkeyUser(valkey::model::User),
    ValkeyDefaultUser(valkey::model::DefaultUser),
    ValkeyPersistence(valkey::model::Persisted),
    ValkeyKeys(valkey::model::Keys),
    KafkaUser(kafka::model::User),
    KafkaTopic(kafka::model::Topic),
    KafkaAcl(kafka::model::Acl),
    Secret(secrets::model::Published),
}

impl Resource for Model {
    fn fields(&self) -> Vec<Field> {
        match self {
            Self::PostgresRole(model) => model.fields(),
            Self::PostgresDatabase(model) => model.fields(),
            Self::PostgresGrant(model) => model.fields(),
            Self::PostgresLockDown(model) => model.fields(),
            Self::ValkeyUser(model) => model.fields(),
            Self::ValkeyDefaultUser(model) => model.fields(),
            Self::ValkeyPersistence(model) => model.fields(),
            Self::ValkeyKeys(model) => model.fields(),
            Self::KafkaUser(model) => model.fields(),
            Self::KafkaTopic(model) => model.fields(),
            Self::KafkaAcl(model) => model.fields(),
            Self::Secret(model) => model.fields(),
        }
    }
}

impl Model {
    /// Whether this is a login whose password nornplan generates and publishes.
    pub fn generates_password(&self) -> bool {
        match self {
            Self::PostgresRole(role) => role.credential == Some(postgres::model::Credential::Generate),
            Self::ValkeyUser(user) => user.generated == Some(true),
            Self::KafkaUser(user) => user.generated == Some(true),
            Self::PostgresDatabase(_)
            | Self::PostgresGrant(_)
            | Self::PostgresLockDown(_)
            | Self::ValkeyDefaultUser(_)
            | Self::ValkeyPersistence(_)
            | Self::ValkeyKeys(_)
            | Self::KafkaTopic(_)
            | Self::KafkaAcl(_)
            | Self::Secret(_) => false,
        }
    }

    /// Whether this is a login that may have more than one password, so that a former one may go on signing in.
    pub fn may_keep_former_password(&self) -> bool {
        match self {
            Self::ValkeyUser(_) => true,
            Self::PostgresRole(_)
            | Self::PostgresDatabase(_)
            | Self::PostgresGrant(_)
            | Self::PostgresLockDown(_)
            | Self::ValkeyDefaultUser(_)
            | Self::ValkeyPersistence(_)
            | Self::ValkeyKeys(_)
            | Self::KafkaUser(_)
            | Self::KafkaTopic(_)
            | Self::KafkaAcl(_)
            | Self::Secret(_) => false,
        }
    }
}

/// The model as that of one type, if it is of that.
impl Model {
    pub fn as_valkey_user(&self) -> Option<&valkey::model::User> {
        if let Self::ValkeyUser(user) = self { Some(user) } else { None }
    }

    pub fn as_valkey_keys(&self) -> Option<&valkey::model::Keys> {
        if let Self::ValkeyKeys(keys) = self { Some(keys) } else { None }
    }

    pub fn as_valkey_default_user(&self) -> Option<&valkey::model::DefaultUser> {
        if let Self::ValkeyDefaultUser(user) = self { Some(user) } else { None }
    }

    pub fn as_kafka_user(&self) -> Option<&kafka::model::User> {
        if let Self::KafkaUser(user) = self { Some(user) } else { None }
    }

    pub fn as_kafka_topic(&self) -> Option<&kafka::model::Topic> {
        if let Self::KafkaTopic(topic) = self { Some(topic) } else { None }
    }

    pub fn as_kafka_acl(&self) -> Option<&kafka::model::Acl> {
        if let Self::KafkaAcl(acl) = self { Some(acl) } else { None }
    }

    pub fn as_secret(&self) -> Option<&secrets::model::Published> {
        if let Self::Secret(published) = self { Some(published) } else { None }
    }
}

/// What a step does on its service; the managed fields stand in the step's `before` and `after`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", content = "do", rename_all = "snake_case")]
pub enum Op {
    /// Nothing but the state is written.
    State,
    Postgres(postgres::model::Op),
    Valkey(valkey::model::Op),
    Kafka(kafka::model::Op),
    Secrets(secrets::model::Op),
}

pub type Step = crate::core::step::Step<Model, Op>;
pub type Plan = crate::core::plan::Plan<Model, Op>;
pub type Decision = crate::core::reconcile::Decision<Model>;
