//! The services behind one trait, and the enums that name all of their resources and operations.
//!
//! A new service is a folder here, a variant of [`ServiceId`], [`Model`] and [`Op`], and a line in the registry.

pub mod kafka;
pub mod postgres;
pub mod valkey;

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use crate::core::name::AppName;
use crate::core::plan::Notice;
use crate::core::reconcile::{Applied, Wanted};
use crate::core::secret::Secret;
use crate::core::step::{Action, Part, Reason, Risk};
use crate::error::{Diagnostic, Result};
use crate::secrets;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
    ValkeyUser(valkey::model::User),
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
            Self::ValkeyUser(model) => model.fields(),
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
            | Self::KafkaTopic(_)
            | Self::KafkaAcl(_)
            | Self::Secret(_) => false,
        }
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

/// What is known of a login's password, and never the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// The published password is the one that the server has.
    Verified,
    /// An unfinished run staged a password; whether the server has it is the next run's business.
    Staged,
    /// The published password does not sign in.
    Wrong,
    /// Nothing is published.
    Absent,
}

/// A resource as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub model: Model,
    /// Of logins whose password we generate.
    pub credential: Option<CredentialStatus>,
    /// What is worth telling and is not managed: sizes in bytes, counts of sessions or messages.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
}

impl Observed {
    pub fn plain(model: Model) -> Self {
        Self { model, credential: None, facts: BTreeMap::new() }
    }
}

/// One service as it was read: whole, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    pub endpoint: String,
    pub identity: Option<String>,
    pub version: Option<String>,
    /// What the server is, as far as rules depend on it (a service's own form).
    #[serde(default)]
    pub server: Value,
    /// Every resource that was asked for and exists.
    pub resources: BTreeMap<Address, Observed>,
    pub notices: Vec<Notice>,
}

/// sha256 (hex) of a generated password and of what the server stores for it. Harmless: the password has 190 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub password: String,
    /// What the server stores (a verifier's sha256; for Kafka the mechanism and iterations).
    pub stored: Option<String>,
}

/// What a service needs to prove that a login's password is the published one.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub published: Option<Secret>,
    pub staged: Option<Secret>,
    pub fingerprint: Option<Fingerprint>,
}

/// What is asked of a service's observation.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub wanted: BTreeMap<Address, Wanted<Model>>,
    pub applied: BTreeMap<Address, Applied<Model>>,
    /// One for each login in `wanted` whose password is generated.
    pub proofs: BTreeMap<Address, Proof>,
    /// Leave out what costs a connection per database.
    pub shallow: bool,
    /// Sign in with every password, even where a fingerprint says that it is right.
    pub probe_credentials: bool,
}

impl Ask {
    /// All addresses that are wanted or ours.
    pub fn addresses(&self) -> BTreeSet<&Address> {
        self.wanted.keys().chain(self.applied.keys()).collect()
    }

    /// Names of one kind that are wanted or ours.
    pub fn names(&self, kind: &Kind) -> BTreeSet<&str> {
        self.addresses()
            .into_iter()
            .filter(|address| address.kind == *kind)
            .map(|address| address.name.as_str())
            .collect()
    }
}

/// What a service's differ decides from.
#[derive(Clone, Copy, Debug)]
pub struct DiffInput<'a> {
    pub wanted: &'a BTreeMap<Address, Wanted<Model>>,
    pub applied: &'a BTreeMap<Address, Applied<Model>>,
    pub observation: &'a Observation,
    /// Apps whose credentials on this service the user asked to rotate.
    pub rotate: &'a BTreeSet<AppName>,
    /// Logins (by step) of each app whose password this plan sets; only filled in for secrets, which come last.
    pub credentials: &'a BTreeMap<AppName, BTreeSet<crate::core::step::StepId>>,
}

/// Why a login that exists needs a (new) password, if it does.
pub fn rotation_reason(status: Option<CredentialStatus>, asked: bool) -> Option<Reason> {
    match status {
        Some(CredentialStatus::Staged) => Some(Reason::UnfinishedRun),
        _ if asked => Some(Reason::AskedFor),
        Some(CredentialStatus::Wrong) => Some(Reason::CredentialWrong),
        Some(CredentialStatus::Absent) => Some(Reason::CredentialUnknown),
        Some(CredentialStatus::Verified) | None => None,
    }
}

/// The step that sets a new password on a login that exists.
pub fn rotation(address: &Address, wanted: &Wanted<Model>, there: &Model, reason: Reason, op: Op) -> Step {
    let decision = Decision {
        address: address.clone(),
        app: wanted.app.clone(),
        action: Action::Rotate,
        reasons: BTreeSet::from([reason]),
        changes: Vec::new(),
        before: Some(there.clone()),
        after: Some(wanted.model.clone()),
    };
    Step {
        part: Part::Credential,
        risks: BTreeSet::from([Risk::Interrupts]),
        sets_credential: true,
        ..decision.step(op)
    }
}

/// What became of a step.
#[derive(Debug)]
pub enum Outcome {
    Done {
        fingerprint: Option<Fingerprint>,
    },
    /// The object was already as wanted.
    AlreadySo,
    /// The object is neither as planned nor as wanted.
    Stale {
        now: Option<Box<Model>>,
    },
    Failed {
        error: Diagnostic,
        retry: bool,
    },
    /// A step that it needs did not succeed.
    Skipped {
        because_of: crate::core::step::StepId,
    },
    Held,
}

impl Outcome {
    pub fn done() -> Self {
        Self::Done { fingerprint: None }
    }

    pub fn failed(error: Diagnostic) -> Self {
        Self::Failed { error, retry: false }
    }

    /// Whether what depends on the step may go on.
    pub fn succeeded(&self) -> bool {
        match self {
            Self::Done { .. } | Self::AlreadySo => true,
            Self::Stale { .. } | Self::Failed { .. } | Self::Skipped { .. } | Self::Held => false,
        }
    }
}

/// How steps of one kind and action are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps in one call at most.
    pub batch: usize,
    /// Calls of this kind in flight at most.
    pub in_flight: usize,
}

/// What a step may ask for while it is carried out.
pub struct ApplyContext {
    /// Staged passwords are read here, and published from here.
    pub vault: std::sync::Arc<secrets::Vault>,
}

/// One line of `nornplan doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub verdict: Verdict,
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Good,
    Warning,
    Bad,
    NotUsed,
}

/// A service that can be read and written.
#[async_trait]
pub trait Service: Send + Sync {
    fn id(&self) -> ServiceId;

    /// host:port, as people know it; no password in it.
    fn endpoint(&self) -> String;

    /// Reads everything that is asked for in few calls. What could not be read is an error, never absence.
    async fn observe(&self, ask: &Ask) -> Result<Observation>;

    /// Reads the managed fields of some objects again, right before they are written. Absent ones are left out.
    async fn read(&self, addresses: &BTreeSet<Address>, steps: &[&Step]) -> Result<BTreeMap<Address, Model>>;

    /// Carries out steps of one kind and action; one outcome for each, in their order.
    async fn apply(&self, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome>;

    fn limits(&self, kind: &Kind) -> Limits;

    /// Looks the server over: reachable, version, rights, what isolates, persistence.
    async fn examine(&self) -> Vec<Check>;
}

/// Connects lazily: no service is contacted before it is asked something.
pub fn connect(
    config: &crate::config::Config,
    id: ServiceId,
    vault: &std::sync::Arc<secrets::Vault>,
) -> Result<Box<dyn Service>> {
    Ok(match id {
        ServiceId::Postgres => Box::new(postgres::Postgres::new(&config.postgres)?),
        ServiceId::Valkey => Box::new(valkey::Valkey::new(&config.valkey)?),
        ServiceId::Kafka => Box::new(kafka::Kafka::new(&config.kafka)?),
        ServiceId::Secrets => Box::new(secrets::Secrets::new(vault.clone())),
    })
}

/// Everything that the infraspecs declare on one service.
///
/// # Errors
/// A `[publish]` template that cannot be filled in.
pub fn desired(
    id: ServiceId,
    specs: &crate::spec::model::Specs,
    config: &crate::config::Config,
) -> Result<BTreeMap<Address, Wanted<Model>>> {
    Ok(match id {
        ServiceId::Postgres => postgres::desired::desired(specs, &config.postgres),
        ServiceId::Valkey => valkey::desired::desired(specs, &config.valkey),
        ServiceId::Kafka => kafka::desired::desired(specs, &config.kafka),
        ServiceId::Secrets => secrets::desired(specs, config)?,
    })
}

/// The steps that bring one service where the specs want it: pure, from what was read. A differ sees nothing that lies
/// on another service.
pub fn diff(id: ServiceId, input: DiffInput<'_>) -> Vec<Step> {
    let (wanted, applied) = (only(id, input.wanted), only(id, input.applied));
    let input = DiffInput { wanted: &wanted, applied: &applied, ..input };
    match id {
        ServiceId::Postgres => postgres::diff::diff(input),
        ServiceId::Valkey => valkey::diff::diff(input),
        ServiceId::Kafka => kafka::diff::diff(input),
        ServiceId::Secrets => secrets::diff::diff(input),
    }
}

fn only<T: Clone>(id: ServiceId, all: &BTreeMap<Address, T>) -> BTreeMap<Address, T> {
    let of = all.iter().filter(|(address, _)| ServiceId::of(address) == Some(id));
    of.map(|(address, one)| (address.clone(), one.clone())).collect()
}
