//! Drives observe -> diff -> sort -> read -> apply as the planner and the executor do, on names of this test alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use nornplan::config::{
    Config, KafkaConfig, PasswordSource, PostgresConfig, SecretsConfig, StateConfig, Tls, ValkeyConfig,
};
use nornplan::core::address::Address;
use nornplan::core::change::{Resource, three_way};
use nornplan::core::graph::sort;
use nornplan::core::name::AppName;
use nornplan::core::reconcile::Applied;
use nornplan::core::secret::Secret;
use nornplan::core::step::{Action, Part};
use nornplan::error::Place;
use nornplan::secrets::Vault;
use nornplan::secrets::model::Published;
use nornplan::services::postgres::model::Credential;
use nornplan::services::postgres::{Postgres, desired::desired, diff::diff};
use nornplan::services::{
    ApplyContext, Ask, Check, CredentialStatus, DiffInput, Fingerprint, Model, Observation, Outcome, Proof, Service,
    ServiceId, Step,
};
use nornplan::spec::model::{App, Postgres as Spec, Specs};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the services"))
}

pub fn postgres_config() -> PostgresConfig {
    let (host, port) = (variable("NORNPLAN_POSTGRES_HOST"), variable("NORNPLAN_POSTGRES_PORT").parse().unwrap());
    PostgresConfig {
        hosts: vec![(host.clone(), port)],
        user: variable("NORNPLAN_POSTGRES_USER"),
        database: "postgres".to_owned(),
        sslmode: "prefer".to_owned(),
        tls: Tls::default(),
        password: PasswordSource::Given(Secret::new(variable("NORNPLAN_POSTGRES_PASSWORD"))),
        public_host: host,
        public_port: port,
        public_sslmode: "disable".to_owned(),
        snapshots: std::env::temp_dir(),
    }
}

/// One workspace with names of its own.
pub struct World {
    prefix: String,
    directory: tempfile::TempDir,
    config: Config,
    postgres: Postgres,
    vault: Arc<Vault>,
    specs: Specs,
    pub applied: BTreeMap<Address, Applied<Model>>,
    pub fingerprints: BTreeMap<Address, Fingerprint>,
    pub rotate: BTreeSet<AppName>,
}

/// An app with one database and its own role, all defaults.
pub fn app(world: &World, name: &str) -> Spec {
    Spec {
        databases: vec![world.plain(&format!("{name}_db"))],
        user: world.plain(&format!("{name}_user")),
        owner: world.plain(&format!("{name}_owner")),
        extensions: BTreeSet::new(),
        connection_limit: None,
        settings: BTreeMap::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
        credential: Credential::Generate,
    }
}

impl World {
    pub fn new(test: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let mut postgres = postgres_config();
        postgres.snapshots = root.join("snapshots");
        let config = Config {
            environment: "default".to_owned(),
            specs: Vec::new(),
            exclude: Vec::new(),
            strip: Vec::new(),
            internal: BTreeSet::new(),
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
            kafka: KafkaConfig {
                brokers: Vec::new(),
                user: String::new(),
                mechanism: "none".to_owned(),
                use_tls: false,
                tls: Tls::default(),
                password: PasswordSource::None,
                public_brokers: Vec::new(),
            },
            state: StateConfig { path: root.join("state") },
            secrets: SecretsConfig { dir: root.join("secrets") },
            postgres,
            root,
        };
        Self {
            prefix: format!("np{}{test}", std::process::id()),
            directory,
            postgres: Postgres::new(&config.postgres).unwrap(),
            vault: Arc::new(Vault::open(&config).unwrap()),
            config,
            specs: Specs::default(),
            applied: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            rotate: BTreeSet::new(),
        }
    }

    /// The name of an app of this test.
    pub fn name(&self, app: &str) -> AppName {
        AppName::new(format!("{}-{app}", self.prefix)).unwrap()
    }

    /// The name of a database or role of this test.
    pub fn plain(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    pub fn declare(&mut self, name: &str, postgres: Spec) {
        let name = self.name(name);
        let app = App {
            name: name.clone(),
            place: Place::File("test".into()),
            postgres: Some(postgres),
            kv: None,
            events: None,
            publish: BTreeMap::new(),
            prevent_destroy: false,
        };
        self.specs.apps.insert(name, app);
    }

    pub fn forget(&mut self, name: &str) {
        let name = self.name(name);
        self.specs.apps.remove(&name);
    }

    fn ask(&self) -> Ask {
        let wanted = desired(&self.specs, &self.config.postgres);
        let logins = wanted.iter().filter(|(_, wanted)| {
            matches!(&wanted.model, Model::PostgresRole(role) if role.credential == Some(Credential::Generate))
        });
        let proofs = logins.map(|(address, wanted)| {
            let proof = Proof {
                published: self.vault.published(&wanted.app, ServiceId::Postgres).unwrap(),
                staged: self.vault.staged(&wanted.app, ServiceId::Postgres).unwrap(),
                fingerprint: self.fingerprints.get(address).cloned(),
            };
            (address.clone(), proof)
        });
        let proofs = proofs.collect();
        Ask { applied: self.applied.clone(), proofs, wanted, shallow: false, probe_credentials: false }
    }

    pub async fn observe(&self) -> Observation {
        self.postgres.observe(&self.ask()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn status(&self, login: &Address) -> Option<CredentialStatus> {
        self.observe().await.resources.get(login).unwrap().credential
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

    pub async fn apply(&mut self, plan: Vec<Step>) {
        self.try_apply(plan).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Carries out every step after it was found as planned; stops at the first error.
    pub async fn try_apply(&mut self, plan: Vec<Step>) -> Result<(), String> {
        let context = ApplyContext { vault: self.vault.clone() };
        for step in plan {
            if !step.action.only_state() {
                let now = self.postgres.read(&BTreeSet::from([step.address.clone()]), &[&step]).await.unwrap();
                match (now.get(&step.address), &step.before, &step.after) {
                    (Some(now), _, Some(after)) if same(now, after) && step.action != Action::Rotate => {
                        continue_with(self, &step, None)
                    }
                    (now, before, _) => {
                        let fits = match (now, before) {
                            (Some(now), Some(before)) => same(before, now),
                            (None, None) => true,
                            (Some(_), None) | (None, Some(_)) => false,
                        };
                        assert!(fits, "{}: planned {before:#?}, now {now:#?}", step.address);
                        if step.sets_credential {
                            let renew = step.part == Part::Credential;
                            self.vault.stage(&step.app, &BTreeMap::from([(ServiceId::Postgres, renew)])).unwrap();
                        }
                        let outcome = self.postgres.apply(&[&step], &context).await.pop().unwrap();
                        match outcome {
                            Outcome::Done { fingerprint } => continue_with(self, &step, fingerprint),
                            Outcome::Failed { error, .. } => return Err(error.to_string()),
                            other @ (Outcome::AlreadySo | Outcome::Stale { .. } | Outcome::Skipped { .. }) => {
                                panic!("{other:?}")
                            }
                        }
                        if step.sets_credential {
                            let template = "postgres://u:{pg.password}@h/d".to_owned();
                            let values = BTreeMap::from([("DATABASE_URL".to_owned(), template)]);
                            let proved = BTreeSet::from([ServiceId::Postgres]);
                            self.vault.publish(&step.app, None, &Published { values }, &proved).unwrap();
                        }
                    }
                }
            } else {
                continue_with(self, &step, None);
            }
        }
        Ok(())
    }

    pub fn stage(&self, app: &str, renew: bool) {
        self.vault.stage(&self.name(app), &BTreeMap::from([(ServiceId::Postgres, renew)])).unwrap();
    }

    pub fn password(&self, app: &str) -> String {
        self.vault.published(&self.name(app), ServiceId::Postgres).unwrap().unwrap().expose().to_owned()
    }

    /// Signs in as an app's user, with the published password.
    pub async fn sign_in(&self, app: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        connect(&self.plain(&format!("{app}_user")), Some(&self.password(app)), database).await
    }

    pub async fn as_admin(&self, database: &str, statement: &str) {
        let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, database).await.unwrap();
        run(&mut connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        connection.close().await.unwrap();
    }

    /// As the administrator that the service signs in as.
    pub async fn as_itself(&self, statement: &str) {
        let password = (self.config.postgres.user.ends_with("zz_admin")).then_some("lesser");
        let mut connection = connect(&self.config.postgres.user, password, "postgres").await.unwrap();
        run(&mut connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        connection.close().await.unwrap();
    }

    /// The extension, if the server has its files: some packages come without the contributed ones.
    pub async fn extension(&self, name: &str) -> Option<String> {
        let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, "postgres").await.unwrap();
        sqlx::query_scalar("SELECT name::text FROM pg_available_extensions WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .unwrap()
    }

    pub async fn sessions(&self, database: &str) -> i64 {
        let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, "postgres").await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Signs in as a role with CREATEROLE and CREATEDB from now on.
    pub async fn become_lesser_admin(&mut self) {
        let role = self.plain("zz_admin");
        self.as_admin("postgres", &format!("CREATE ROLE {role} LOGIN CREATEROLE CREATEDB PASSWORD 'lesser'")).await;
        self.config.postgres.user = role;
        self.config.postgres.password = PasswordSource::Given(Secret::new("lesser".to_owned()));
        self.postgres = Postgres::new(&self.config.postgres).unwrap();
    }

    pub async fn examine(&self) -> Vec<Check> {
        self.postgres.examine().await
    }

    /// Names and modes of the snapshots.
    pub fn snapshots(&self) -> Vec<(String, u32)> {
        let entries = std::fs::read_dir(self.directory.path().join("snapshots")).into_iter().flatten().flatten();
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode()))
            .collect()
    }

    /// Removes all that has this test's prefix.
    pub async fn clean_up(self) {
        let mut connection = connect(&variable("NORNPLAN_POSTGRES_USER"), None, "postgres").await.unwrap();
        for (what, names) in [
            ("DATABASE", "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)"),
            ("ROLE", "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY 1"),
        ] {
            let names: Vec<String> =
                sqlx::query_scalar(names).bind(&self.prefix).fetch_all(&mut connection).await.unwrap();
            for name in names {
                let force = if what == "DATABASE" { " WITH (FORCE)" } else { "" };
                run(&mut connection, &format!("DROP {what} \"{name}\"{force}")).await.unwrap();
            }
        }
    }
}

fn same(wanted: &Model, now: &Model) -> bool {
    three_way(&wanted.fields(), &now.fields(), None).changes.is_empty()
}

fn continue_with(world: &mut World, step: &Step, fingerprint: Option<Fingerprint>) {
    if let Some(fingerprint) = fingerprint {
        world.fingerprints.insert(step.address.clone(), fingerprint);
    }
    match &step.after {
        Some(model) => {
            let applied = Applied { app: step.app.clone(), model: model.clone() };
            world.applied.insert(step.address.clone(), applied);
        }
        None => drop(world.applied.remove(&step.address)),
    }
}

/// Signs in; as the administrator, with its own password, if none is given.
pub async fn connect(user: &str, password: Option<&str>, database: &str) -> Result<PgConnection, sqlx::Error> {
    let admin = variable("NORNPLAN_POSTGRES_PASSWORD");
    let options = PgConnectOptions::new_without_pgpass()
        .host(&variable("NORNPLAN_POSTGRES_HOST"))
        .port(variable("NORNPLAN_POSTGRES_PORT").parse().unwrap())
        .username(user)
        .password(password.unwrap_or(&admin))
        .database(database);
    PgConnection::connect_with(&options).await
}

pub async fn run(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.map(drop)
}

/// The SQLSTATE of what must have failed.
pub fn code(result: Result<(), sqlx::Error>) -> String {
    result.unwrap_err().as_database_error().unwrap().code().unwrap().into_owned()
}

/// Waits until a count is zero.
pub async fn eventually<F: Future<Output = i64>>(count: impl Fn() -> F) {
    for _ in 0..100 {
        if count().await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("did not come to an end");
}

/// Configurations that cannot work, and what must be said about each.
pub fn broken_configs(_world: &World) -> Vec<(PostgresConfig, &'static str)> {
    let broken = |change: &dyn Fn(&mut PostgresConfig)| {
        let mut config = postgres_config();
        change(&mut config);
        config
    };
    let canary = || PasswordSource::Given(Secret::new("canary".to_owned()));
    vec![
        (broken(&|config| config.hosts = vec![("127.0.0.1".to_owned(), 1)]), "refused"),
        (broken(&|config| config.hosts = vec![("no-such-host.invalid".to_owned(), 5432)]), "cannot be reached"),
        (broken(&|config| config.hosts = vec![("/no/such/directory".to_owned(), 5432)]), "unix socket"),
        (broken(&|config| config.password = canary()), "wrong password for"),
        (broken(&|config| config.database = "no_such_database".to_owned()), "there is no database"),
        (broken(&|config| config.sslmode = "require".to_owned()), "TLS"),
        (broken(&|config| config.sslmode = "sometimes".to_owned()), "is no sslmode"),
        (broken(&|config| config.hosts.clear()), "no host is set"),
    ]
}

pub async fn observe_error(config: PostgresConfig) -> String {
    Postgres::new(&config).unwrap().observe(&Ask::default()).await.unwrap_err().to_string()
}
