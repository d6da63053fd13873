//! The workspace: `nornplan.toml` and the environment, merged and checked.
//!
//! Every key is in one table ([`keys::KEYS`]). The file, an environment's table in it and the variables are layers of
//! values in the shape of their keys, each of which knows where it comes from; laid over one another they are built
//! into a [`Config`]. So an error names its place whatever layer it comes from, and all errors are found at once.

mod build;
mod file;
pub mod keys;
mod layer;
mod moved;
mod password;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod url;
mod variables;

pub use moved::Move;
pub use password::PasswordSource;

use crate::core::name::stands_for;
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Kind, in_order};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything that a run is told before it looks at infraspecs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of `nornplan.toml`, else the working directory. All paths below are absolute.
    pub root: PathBuf,
    /// `default` without `--env`.
    pub environment: String,
    pub specs: Vec<PathBuf>,
    pub exclude: Vec<String>,
    /// Suffixes that are stripped from an app's name before default names are made.
    pub strip: Vec<String>,
    /// More names that are never touched. One that ends in `*` stands for every name that starts so.
    pub internal: BTreeSet<String>,
    /// What was called otherwise once, of all environments; chains are resolved.
    pub moved: Vec<Move>,
    pub postgres: PostgresConfig,
    pub valkey: ValkeyConfig,
    pub kafka: KafkaConfig,
    pub state: StateConfig,
    pub secrets: SecretsConfig,
}

impl Config {
    /// Whether a name is one of [`Self::internal`].
    pub fn is_internal(&self, name: &str) -> bool {
        self.internal.iter().any(|entry| stands_for(entry, name))
    }
}

/// TLS to one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// Several hosts, tried in order; one that starts with / is the directory of a unix socket.
    pub hosts: Vec<(String, u16)>,
    pub user: String,
    pub database: String,
    /// As libpq spells it: disable, allow, prefer, require, verify-ca, verify-full.
    pub sslmode: String,
    pub tls: Tls,
    pub password: PasswordSource,
    /// Where apps find it: by default our first host, or `localhost` where that is a socket.
    pub public_host: String,
    pub public_port: u16,
    /// Never `prefer`. By default ours; where ours leaves it open, `disable` on a loopback address, else `require`.
    pub public_sslmode: String,
    /// Whether the databases `postgres` and `template1` are closed to roles without CONNECT of their own.
    pub lock_down: bool,
    /// Where a database is dumped before it is dropped, of this environment.
    pub snapshots: PathBuf,
    /// Roles that others look after: what they were granted, and their memberships, are left alone. One that ends in `*`
    /// stands for every name that starts so.
    pub ignore_roles: BTreeSet<String>,
    /// How many snapshots of a database `nornplan snapshot` leaves there, the newest; `None` is all.
    pub keep: Option<u16>,
    /// Where pg_dump and pg_restore are; `None` is wherever the newest ones are found.
    pub bin_dir: Option<PathBuf>,
}

impl PostgresConfig {
    pub fn endpoint(&self) -> String {
        let each: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        each.join(",")
    }

    /// Whether a role is one of [`Self::ignore_roles`].
    pub fn ignores(&self, role: &str) -> bool {
        self.ignore_roles.iter().any(|entry| stands_for(entry, role))
    }
}

#[derive(Clone, Debug)]
pub struct ValkeyConfig {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub use_tls: bool,
    pub tls: Tls,
    pub password: PasswordSource,
    pub sentinels: Vec<String>,
    /// The name under which the sentinels know the primary and its replicas; given if there are sentinels.
    pub sentinel_service: Option<String>,
    /// Who nornplan is to the sentinels, which have users of their own; `None` is `default`.
    pub sentinel_user: Option<String>,
    /// With none at all, it does not sign in to them.
    pub sentinel_password: PasswordSource,
    /// Whether apps get users on the sentinels too, to ask them where the primary is.
    pub sentinel_users: bool,
    pub cluster: bool,
    pub default_user: DefaultUser,
    pub public_host: String,
    pub public_port: u16,
    /// Whether apps are told of the sentinels, and not of one host: there are some, and no `public_host` is named.
    pub publishes_sentinels: bool,
    /// Whether infraspecs that reach into what other apps have are wrong, and not only warned about.
    pub strict: bool,
    /// What apps with `shared = true` sign in with.
    pub shared_password: PasswordSource,
}

/// What is made of Valkey's user `default`, as which every connection is that has not signed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultUser {
    /// Nothing: it stays as it is.
    #[default]
    Leave,
    /// It is switched off. Its passwords and rules stay.
    Off,
    /// It is on, and takes one password: the one that nornplan signs in with.
    AdminOnly,
}

impl ValkeyConfig {
    /// Where it is, whichever node is the primary today: the same before and after a failover.
    pub fn endpoint(&self) -> String {
        match &self.sentinel_service {
            Some(service) if !self.sentinels.is_empty() => {
                let mut sentinels = self.sentinels.clone();
                sentinels.sort();
                format!("{service} of {}", sentinels.join(","))
            }
            Some(_) | None => format!("{}:{}", self.host, self.port),
        }
    }
}

#[derive(Clone, Debug)]
pub struct KafkaConfig {
    pub brokers: Vec<String>,
    pub user: String,
    /// SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, or none: no sign-in, so no users and no ACLs.
    pub mechanism: String,
    /// The mechanism of apps' users: SCRAM-SHA-512, SCRAM-SHA-256, or `None`: no users are made.
    pub user_mechanism: Option<String>,
    /// SCRAM iterations of apps' users.
    pub iterations: u32,
    pub use_tls: bool,
    pub tls: Tls,
    pub password: PasswordSource,
    pub public_brokers: Vec<String>,
    /// Which program the brokers are; by default it is found out.
    pub flavor: BrokerKind,
    /// Where Redpanda's Admin API is, if that is said.
    pub admin: Option<AdminApiConfig>,
}

/// Which program the brokers are said to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerKind {
    /// Whatever they show that they are.
    #[default]
    Auto,
    Kafka,
    Redpanda,
}

/// Redpanda's Admin API: HTTP, with a sign-in of its own.
#[derive(Clone, Debug)]
pub struct AdminApiConfig {
    /// One of some node, or those of all nodes: `http` or `https`, host and port, and no user, password, path or query.
    pub urls: Vec<::url::Url>,
    pub user: String,
    /// By default the one of [`KafkaConfig::password`].
    pub password: PasswordSource,
    /// By default the one of [`KafkaConfig::tls`].
    pub tls: Tls,
}

impl KafkaConfig {
    pub fn endpoint(&self) -> String {
        self.brokers.join(",")
    }

    /// Whether principals mean something to the broker: nornplan signs in, or apps do.
    pub fn has_principals(&self) -> bool {
        self.authenticates() || self.user_mechanism.is_some()
    }

    /// What users sign in by whose mechanism cannot be read.
    pub fn mechanism_of_users(&self) -> &str {
        self.user_mechanism.as_deref().unwrap_or(&self.mechanism)
    }

    /// Whether nornplan signs in, so that users and ACLs mean something.
    pub fn authenticates(&self) -> bool {
        self.mechanism != "none"
    }
}

#[derive(Clone, Debug)]
pub struct StateConfig {
    pub backend: StateBackend,
    /// The directory of the local state.
    pub path: PathBuf,
    /// Tells workspaces apart that keep their states in one database.
    pub name: String,
    /// Where the database of states is, which one it is, and who signs in there: where nothing else is said, the server
    /// that is managed, as its administrator.
    pub postgres: PostgresConfig,
    /// The database to ask for that one, and to make it from.
    pub maintenance: String,
    /// Whether another server, or another user, is said than those of `[postgres]`.
    pub is_apart: bool,
}

/// What keeps the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateBackend {
    /// Files in a directory.
    #[default]
    Local,
    /// A database of its own on a PostgreSQL.
    Postgres,
}

/// The database of states, where no other is said.
pub const STATE_DATABASE: &str = "nornplan";

impl StateConfig {
    /// Whether a database holds states, so that it is for no app.
    pub fn keeps_in(&self, database: &str) -> bool {
        database == STATE_DATABASE || self.backend == StateBackend::Postgres && database == self.postgres.database
    }
}

#[derive(Clone, Debug)]
pub struct SecretsConfig {
    /// The directory of the dotenv sink, of this environment.
    pub dir: PathBuf,
}

/// Where to look and what to choose: the global flags, and the environment's variables.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub config_file: Option<PathBuf>,
    pub environment: Option<String>,
    pub working_directory: PathBuf,
    pub variables: BTreeMap<String, String>,
}

/// Finds the workspace file upwards from the working directory, and merges defaults < file < `[env.NAME]` < variables.
///
/// Paths in the file are relative to it, paths in variables to the working directory. Without a file the defaults serve,
/// and the working directory is the root.
///
/// # Errors
/// An unreadable or wrong file, an unknown environment, a variable that does not parse, a password in the file: all at
/// once.
pub fn load(source: &Source) -> Result<Config, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let here = std::path::absolute(&source.working_directory).unwrap_or_else(|_| source.working_directory.clone());
    let path = workspace_file(source);
    let root = path.as_deref().and_then(Path::parent).unwrap_or(&here).to_owned();
    let mut file = path.as_deref().map(|path| file::read(path, &source.variables, &mut wrong)).unwrap_or_default();
    if let Some(environment) = source.environment.as_deref().filter(|name| *name != build::DEFAULT) {
        // What a broken file says of environments is not known.
        if !file.environments.contains_key(environment) && wrong.is_empty() {
            wrong.push(unknown_environment(environment, path.as_deref(), &file));
        }
    }
    let mut settings = file.base;
    if let Some(over) = file.environments.remove(source.environment.as_deref().unwrap_or(build::DEFAULT)) {
        settings.overlay(over);
    }
    let base = layer::Base { directory: &here, variables: &source.variables };
    settings.overlay(variables::read(&base, &mut wrong));
    let moved = moved::resolve(file.moved, &mut wrong);
    let config = build::Builder { settings, source, wrong }.build(&root).map_err(in_order)?;
    Ok(Config { moved, ..config })
}

/// The workspace file: the one that `--config` names, else the nearest from the working directory upwards.
pub fn workspace_file(source: &Source) -> Option<PathBuf> {
    let here = std::path::absolute(&source.working_directory).unwrap_or_else(|_| source.working_directory.clone());
    match &source.config_file {
        Some(named) => Some(std::path::absolute(here.join(named)).unwrap_or_else(|_| here.join(named))),
        None => file::find(&here),
    }
}

fn unknown_environment(name: &str, path: Option<&Path>, file: &file::File) -> Diagnostic {
    let known: Vec<&str> = file.environments.keys().map(String::as_str).collect();
    let wrong = Diagnostic::new(Kind::Config, format!("there is no environment {name:?}"));
    let Some(path) = path else {
        return wrong.hint(format!("there is no {} either: write one with a table [env.{name}]", file::NAME));
    };
    wrong.in_file(path).hint(match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => format!("it has none: write a table such as [env.{name}.postgres] into it"),
        None => format!("it has {}; or write a table such as [env.{name}.postgres] into it", known.join(", ")),
    })
}
