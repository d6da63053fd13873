//! Drives observe -> diff -> sort -> read -> apply as the planner and the executor do, on names of this test alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on says so")]

use nornplan::config::{
    Config, KafkaConfig, PasswordSource, PostgresConfig, SecretsConfig, StateConfig, Tls, ValkeyConfig,
};
use nornplan::core::address::Address;
use nornplan::core::change::{Resource, three_way};
use nornplan::core::graph::sort;
use nornplan::core::name::AppName;
use nornplan::core::reconcile::Applied;
use nornplan::core::secret::Secret;
use nornplan::core::step::Part;
use nornplan::error::Place;
use nornplan::secrets::Vault;
use nornplan::secrets::model::Published;
use nornplan::services::kafka::admin::Admin;
use nornplan::services::kafka::connect::Connection;
use nornplan::services::kafka::model::{USER, user_address};
use nornplan::services::kafka::{Kafka, desired::desired, diff::diff};
use nornplan::services::postgres::model::Credential;
use nornplan::services::{
    ApplyContext, Ask, CredentialStatus, DiffInput, Fingerprint, Model, Observation, Outcome, Proof, Service,
    ServiceId, Step,
};
use nornplan::spec::model::{App, Events, Specs, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the services"))
}

pub fn kafka_config() -> KafkaConfig {
    // The variable that says whether the services were started for us.
    variable("NORNPLAN_POSTGRES_PORT");
    KafkaConfig {
        brokers: variable("NORNPLAN_KAFKA_BROKERS").split(',').map(str::to_owned).collect(),
        user: variable("NORNPLAN_KAFKA_USER"),
        mechanism: "SCRAM-SHA-512".to_owned(),
        use_tls: false,
        tls: Tls::default(),
        password: PasswordSource::Given(Secret::new(variable("NORNPLAN_KAFKA_PASSWORD"))),
        public_brokers: Vec::new(),
    }
}

pub fn topic(name: String) -> Topic {
    Topic {
        name,
        partitions: None,
        replication: None,
        config: BTreeMap::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
    }
}

/// One workspace with names of its own.
pub struct World {
    prefix: String,
    _directory: tempfile::TempDir,
    config: Config,
    pub kafka: Kafka,
    pub vault: Arc<Vault>,
    specs: Specs,
    pub applied: BTreeMap<Address, Applied<Model>>,
    pub fingerprints: BTreeMap<Address, Fingerprint>,
    pub rotate: BTreeSet<AppName>,
}

impl World {
    pub fn new(test: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let config = Config {
            environment: "default".to_owned(),
            specs: Vec::new(),
            exclude: Vec::new(),
            strip: Vec::new(),
            internal: BTreeSet::new(),
            postgres: PostgresConfig {
                hosts: Vec::new(),
                user: String::new(),
                database: String::new(),
                sslmode: String::new(),
                tls: Tls::default(),
                password: PasswordSource::None,
                public_host: String::new(),
                public_port: 0,
                public_sslmode: String::new(),
                snapshots: root.join("snapshots"),
            },
            valkey: ValkeyConfig {
                host: String::new(),
                port: 0,
                user: String::new(),
                use_tls: false,
                tls: Tls::default(),
                password: PasswordSource::None,
                sentinels: Vec::new(),
                sentinel_service: None,
                cluster: false,
                public_host: String::new(),
                public_port: 0,
            },
            kafka: kafka_config(),
            state: StateConfig { path: root.join("state") },
            secrets: SecretsConfig { dir: root.join("secrets") },
            root,
        };
        Self {
            prefix: format!("np{}{test}", std::process::id()),
            _directory: directory,
            kafka: Kafka::new(&config.kafka).unwrap(),
            vault: Arc::new(Vault::open(&config).unwrap()),
            config,
            specs: Specs::default(),
            applied: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            rotate: BTreeSet::new(),
        }
    }

    /// The name of an app of this test, and of its user.
    pub fn name(&self, app: &str) -> AppName {
        AppName::new(format!("{}-{app}", self.prefix)).unwrap()
    }

    /// The name of a topic of this test.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub fn events(&self, app: &str, topics: &[&str]) -> Events {
        Events {
            topics: topics.iter().map(|name| topic(self.topic(name))).collect(),
            user: self.name(app).to_string(),
            prefix: None,
            groups: BTreeSet::new(),
            transactional_ids: BTreeSet::new(),
            readers: BTreeSet::new(),
            writers: BTreeSet::new(),
            external: BTreeSet::new(),
            credential: Credential::Generate,
        }
    }

    pub fn declare(&mut self, app: &str, events: Events) {
        let name = self.name(app);
        let app = App {
            name: name.clone(),
            place: Place::File("test".into()),
            postgres: None,
            kv: None,
            events: Some(events),
            publish: BTreeMap::new(),
            prevent_destroy: false,
        };
        self.specs.apps.insert(name, app);
    }

    pub fn forget(&mut self, app: &str) {
        let name = self.name(app);
        self.specs.apps.remove(&name);
    }

    pub fn ask(&self) -> Ask {
        let wanted = desired(&self.specs, &self.config.kafka);
        let proofs = wanted
            .iter()
            .filter(|(address, _)| address.kind == USER)
            .map(|(address, wanted)| {
                let proof = Proof {
                    published: self.vault.published(&wanted.app, ServiceId::Kafka).unwrap(),
                    staged: self.vault.staged(&wanted.app, ServiceId::Kafka).unwrap(),
                    fingerprint: self.fingerprints.get(address).cloned(),
                };
                (address.clone(), proof)
            })
            .collect();
        Ask { applied: self.applied.clone(), proofs, wanted, shallow: false, probe_credentials: false }
    }

    pub async fn observe(&self) -> Observation {
        self.kafka.observe(&self.ask()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn status(&self, app: &str) -> Option<CredentialStatus> {
        let address = user_address(self.name(app).as_str());
        self.observe().await.resources.get(&address).unwrap().credential
    }

    pub async fn plan(&self) -> Vec<Step> {
        let ask = self.ask();
        let observation = self.observe().await;
        assert_eq!(observation.notices, Vec::new());
        assert!(observation.identity.is_some());
        let steps = diff(DiffInput {
            wanted: &ask.wanted,
            applied: &ask.applied,
            observation: &observation,
            rotate: &self.rotate,
            credentials: &BTreeMap::new(),
        });
        sort(steps).unwrap()
    }

    pub async fn make(&mut self) {
        let plan = self.plan().await;
        self.apply(plan).await;
        assert_eq!(self.plan().await, Vec::new());
    }

    /// Carries out all steps that run, those of one kind and action that follow each other in one batch.
    pub async fn apply(&mut self, plan: Vec<Step>) {
        let mut plan: Vec<Step> = plan.into_iter().filter(Step::runs).collect();
        plan.reverse();
        while let Some(step) = plan.pop() {
            let mut batch = vec![step];
            while plan.last().is_some_and(|next| next.op == batch[0].op && next.action == batch[0].action) {
                batch.push(plan.pop().unwrap());
            }
            self.carry_out(&batch).await;
        }
    }

    async fn carry_out(&mut self, batch: &[Step]) {
        let steps: Vec<&Step> = batch.iter().collect();
        if !steps[0].action.only_state() {
            let addresses = steps.iter().map(|step| step.address.clone()).collect();
            let now = self.kafka.read(&addresses, &steps).await.unwrap();
            for step in &steps {
                let (now, before) = (now.get(&step.address), &step.before);
                let fits = match (now, before) {
                    (Some(now), Some(before)) => same(before, now),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                assert!(fits, "{}: planned {before:#?}, now {now:#?}", step.address);
                if step.sets_credential {
                    let renew = step.part == Part::Credential;
                    self.vault.stage(&step.app, &BTreeMap::from([(ServiceId::Kafka, renew)])).unwrap();
                }
            }
            let context = ApplyContext { vault: self.vault.clone() };
            let outcomes = self.kafka.apply(&steps, &context).await;
            assert_eq!(outcomes.len(), steps.len());
            for (step, outcome) in steps.iter().zip(outcomes) {
                match outcome {
                    Outcome::Done { fingerprint: Some(fingerprint) } => {
                        self.fingerprints.insert(step.address.clone(), fingerprint);
                        self.publish(&step.app);
                    }
                    Outcome::Done { fingerprint: None } => {}
                    Outcome::Failed { error, .. } => panic!("{error}"),
                    other @ (Outcome::AlreadySo | Outcome::Stale { .. } | Outcome::Skipped { .. }) => {
                        panic!("{other:?}")
                    }
                }
            }
        }
        for step in steps {
            match &step.after {
                Some(model) => {
                    let applied = Applied { app: step.app.clone(), model: model.clone() };
                    self.applied.insert(step.address.clone(), applied);
                }
                None => drop(self.applied.remove(&step.address)),
            }
        }
    }

    fn publish(&self, app: &AppName) {
        let values = BTreeMap::from([("KAFKA_PASSWORD".to_owned(), "{kafka.password}".to_owned())]);
        let proved = BTreeSet::from([ServiceId::Kafka]);
        self.vault.publish(app, None, &Published { values }, &proved).unwrap();
    }

    /// The topics that an app sees with its published password.
    pub fn seen_by(&self, app: &str) -> Vec<String> {
        let name = self.name(app);
        let password = self.vault.published(&name, ServiceId::Kafka).unwrap().unwrap();
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", variable("NORNPLAN_KAFKA_BROKERS"))
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "SCRAM-SHA-512")
            .set("sasl.username", name.as_str())
            .set("sasl.password", password.expose());
        let consumer: BaseConsumer = settings.create().unwrap();
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).unwrap();
        let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
        names.sort();
        names
    }

    /// The raw admin, for what is done by hand.
    pub async fn by_hand(&self) -> Arc<Admin> {
        Connection::new(self.config.kafka.clone()).admin().await.unwrap()
    }

    /// Removes all that this test has made.
    pub async fn clean_up(mut self) {
        self.specs.apps.clear();
        let plan = self.plan().await;
        self.apply(plan).await;
        assert_eq!(self.plan().await, Vec::new());
        assert!(self.applied.is_empty());
    }
}

fn same(wanted: &Model, now: &Model) -> bool {
    three_way(&wanted.fields(), &now.fields(), None).changes.is_empty()
}
