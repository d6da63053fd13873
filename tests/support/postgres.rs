//! PostgreSQL for tests: apps with databases, and what somebody does by hand.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

use crate::support::{World, variable};
use nornplan::config::{PasswordSource, PostgresConfig};
use nornplan::core::secret::Secret;
use nornplan::core::step::{Action, Hold};
use nornplan::services::postgres::Postgres;
use nornplan::services::postgres::model::{Credential, DATABASE, Extension, role_address};
use nornplan::services::{Ask, Service, Step};
use nornplan::spec::model::{App, Database, Postgres as Spec};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An app with one database and its own role, all defaults.
pub fn app(world: &World, name: &str) -> Spec {
    Spec {
        databases: vec![database(world.plain(&format!("{name}_db")))],
        user: world.plain(&format!("{name}_user")),
        owner: world.plain(&format!("{name}_owner")),
        connection_limit: None,
        settings: BTreeMap::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
        grants: BTreeMap::new(),
        migrator: None,
        adopt_objects: false,
        credential: Credential::Generate,
    }
}

/// A database, all defaults.
pub fn database(name: String) -> Database {
    Database { name, ..Database::default() }
}

/// Declares an extension in every database of an app.
pub fn extend(postgres: &mut Spec, extension: Option<String>) {
    for database in &mut postgres.databases {
        database.extensions.extend(extension.clone().map(|name| (name, Extension::default())));
    }
}

impl World {
    /// The name of a database or role of this test.
    pub fn plain(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    pub fn declare(&mut self, app: &str, postgres: Spec) {
        self.insert(App { postgres: Some(postgres), ..self.app(self.name(app)) });
    }

    /// Signs in as an app's user, with the published password.
    pub async fn sign_in(&self, app: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        connect(&self.plain(&format!("{app}_user")), Some(&self.password(&self.name(app))), database).await
    }

    pub async fn as_admin(&self, database: &str, statement: &str) {
        let mut connection = admin(database).await;
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
        let mut connection = admin("postgres").await;
        sqlx::query_scalar("SELECT name::text FROM pg_available_extensions WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut connection)
            .await
            .unwrap()
    }

    pub async fn sessions(&self, database: &str) -> i64 {
        let mut connection = admin("postgres").await;
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Signs in as a role with CREATEROLE and CREATEDB from now on.
    pub async fn become_lesser_admin(&mut self) {
        self.become_admin_with("LOGIN CREATEROLE CREATEDB").await;
    }

    /// Signs in as a role with some attributes from now on.
    pub async fn become_admin_with(&mut self, attributes: &str) {
        let role = self.plain("zz_admin");
        self.as_admin("postgres", &format!("CREATE ROLE {role} {attributes} PASSWORD 'lesser'")).await;
        self.config.postgres.user = role;
        self.config.postgres.password = PasswordSource::Given(Secret::new("lesser".to_owned()));
        self.connect();
    }

    /// Names and modes of the snapshots.
    pub fn snapshots(&self) -> Vec<(String, u32)> {
        let entries = std::fs::read_dir(&self.config.postgres.snapshots).into_iter().flatten().flatten();
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode()))
            .collect()
    }

    /// Removes all that has this test's prefix, and not what another test has whose prefix begins with it.
    pub async fn drop_all(self) {
        let mut connection = admin("postgres").await;
        for (what, names) in [
            ("DATABASE", "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)"),
            ("ROLE", "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY 1"),
        ] {
            let names: Vec<String> =
                sqlx::query_scalar(names).bind(self.plain("")).fetch_all(&mut connection).await.unwrap();
            for name in names {
                let force = if what == "DATABASE" { " WITH (FORCE)" } else { "" };
                run(&mut connection, &format!("DROP {what} \"{name}\"{force}")).await.unwrap();
            }
        }
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

/// Signs in as the administrator whom the servers were started with.
pub async fn admin(database: &str) -> PgConnection {
    connect(&variable("NORNPLAN_POSTGRES_USER"), None, database).await.unwrap()
}

/// The texts of one column, read by the administrator.
pub async fn rows(database: &str, query: &str) -> Vec<String> {
    let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
    query.fetch_all(&mut admin(database).await).await.unwrap_or_else(|error| panic!("{database}: {error}"))
}

/// One text, read by the administrator; nothing if it is null.
pub async fn read(database: &str, query: &str) -> Option<String> {
    let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
    query.fetch_one(&mut admin(database).await).await.unwrap()
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

/// A role that people made, which signs in with the password `outside`.
pub async fn outsider(world: &World, name: &str) -> String {
    let role = world.plain(name);
    world.as_admin("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'outside'")).await;
    role
}

pub async fn works(connection: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        run(connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

pub async fn denied(connection: &mut PgConnection, statements: &[&str]) {
    for statement in statements {
        let result = run(connection, statement).await;
        assert!(result.is_err(), "{statement} worked");
        assert_eq!(code(result), "42501", "{statement}");
    }
}

/// What the server itself answers to the administrator.
pub async fn is(database: &str, question: &str) -> bool {
    let mut connection = admin(database).await;
    let query = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {question}")));
    query.fetch_one(&mut connection).await.unwrap_or_else(|error| panic!("{question}: {error}"))
}

/// Whether no default privilege of a database names a role.
pub async fn no_future_for(database: &str, role: &str) -> bool {
    let named = format!("aclexplode(defaclacl) a WHERE a.grantee = '{role}'::regrole");
    is(database, &format!("NOT EXISTS (SELECT FROM pg_default_acl, {named})")).await
}

/// The step on the one database of a plan itself.
pub fn of_database(plan: &[Step]) -> &Step {
    plan.iter().find(|step| step.address.kind == DATABASE).unwrap()
}

/// The step that drops a role.
pub fn drop_of<'a>(plan: &'a [Step], role: &str) -> &'a Step {
    plan.iter().find(|step| step.address == role_address(role) && step.action == Action::Destroy).unwrap()
}

/// Why no consent lets a role be dropped.
pub fn blocked_drop(plan: &[Step], role: &str) -> String {
    let Some(Hold::Blocked { reason }) = &drop_of(plan, role).hold else { panic!("{plan:#?}") };
    reason.clone()
}

/// Configurations that cannot work, and what must be said about each.
pub fn broken_configs(world: &World) -> Vec<(PostgresConfig, &'static str)> {
    let broken = |change: &dyn Fn(&mut PostgresConfig)| {
        let mut config = world.config.postgres.clone();
        change(&mut config);
        config
    };
    let canary = || PasswordSource::Given(Secret::new("canary".to_owned()));
    // Too long a name for any resolver to ask for.
    let no_host = format!("{}.invalid", "x".repeat(64));
    vec![
        (broken(&|config| config.hosts = vec![("127.0.0.1".to_owned(), 1)]), "refused"),
        (broken(&|config| config.hosts = vec![(no_host.clone(), 5432)]), "cannot be reached"),
        (broken(&|config| config.hosts = vec![("/no/such/directory".to_owned(), 5432)]), "unix socket"),
        (broken(&|config| config.password = canary()), "wrong password for"),
        (broken(&|config| config.database = "no_such_database".to_owned()), "there is no database"),
        (broken(&|config| config.sslmode = "require".to_owned()), "TLS"),
        (broken(&|config| config.sslmode = "sometimes".to_owned()), "is no sslmode"),
        (broken(&|config| config.hosts.clear()), "no host is set"),
    ]
}

pub async fn observe_error(config: &PostgresConfig) -> String {
    Postgres::new(config).observe(&Ask::default()).await.unwrap_err().to_string()
}

/// An app that signs in anew, with the password `old`, for each round, reads and writes; the errors that it met, and how many rounds there were.
pub async fn live(
    user: String,
    database: String,
    statements: &'static str,
    stop: Arc<AtomicBool>,
) -> (u32, Vec<String>) {
    let (mut rounds, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        rounds += 1;
        match connect(&user, Some("old"), &database).await {
            Ok(mut connection) => {
                let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await;
                failures.extend(done.err().map(|error| error.to_string()));
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    (rounds, failures)
}
