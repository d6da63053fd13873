//! The workspace: `nornplan.toml` and the environment, merged and checked.

use crate::core::secret::Secret;
use crate::error::Result;
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
    /// More names that are never touched.
    pub internal: BTreeSet<String>,
    pub postgres: PostgresConfig,
    pub valkey: ValkeyConfig,
    pub kafka: KafkaConfig,
    pub state: StateConfig,
    pub secrets: SecretsConfig,
}

/// How a password is come by. Never a part of the file, never printed.
#[derive(Clone, Debug, Default)]
pub enum PasswordSource {
    /// None at all: peer or trust authentication, or no authentication.
    #[default]
    None,
    Given(Secret),
    File(PathBuf),
    /// A program and its arguments, run without a shell; the first line that it prints.
    Command(Vec<String>),
}

impl PasswordSource {
    /// Reads the file or runs the command. A trailing line end is not part of the password.
    ///
    /// # Errors
    /// The file cannot be read, or the command fails (what it printed is not shown).
    pub async fn resolve(&self) -> Result<Option<Secret>> {
        Ok(None)
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
    /// As libpq spells it: disable, prefer, require, verify-ca, verify-full.
    pub sslmode: String,
    pub tls: Tls,
    pub password: PasswordSource,
    pub public_host: String,
    pub public_port: u16,
    /// Never `prefer`.
    pub public_sslmode: String,
    pub lock_down: bool,
    /// Where a database is dumped before it is dropped, of this environment.
    pub snapshots: PathBuf,
}

impl PostgresConfig {
    pub fn endpoint(&self) -> String {
        let each: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        each.join(",")
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
    pub sentinel_service: Option<String>,
    pub cluster: bool,
    pub public_host: String,
    pub public_port: u16,
}

impl ValkeyConfig {
    pub fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[derive(Clone, Debug)]
pub struct KafkaConfig {
    pub brokers: Vec<String>,
    pub user: String,
    /// SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, or none: no sign-in, so no users and no ACLs.
    pub mechanism: String,
    pub use_tls: bool,
    pub tls: Tls,
    pub password: PasswordSource,
    pub public_brokers: Vec<String>,
}

impl KafkaConfig {
    pub fn endpoint(&self) -> String {
        self.brokers.join(",")
    }

    /// The mechanism of the users that nornplan makes: its own, or where that has no users to make, the stronger one.
    pub fn user_mechanism(&self) -> &str {
        if self.mechanism.starts_with("SCRAM-") { &self.mechanism } else { "SCRAM-SHA-512" }
    }

    /// Whether nornplan signs in, so that users and ACLs mean something.
    pub fn authenticates(&self) -> bool {
        self.mechanism != "none"
    }
}

#[derive(Clone, Debug)]
pub struct StateConfig {
    /// The directory of the local state.
    pub path: PathBuf,
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
/// # Errors
/// An unreadable or wrong file, an unknown environment, a variable that does not parse, a password in the file.
pub fn load(source: &Source) -> Result<Config, Vec<crate::error::Diagnostic>> {
    let root: &Path = &source.working_directory;
    let _ = root;
    Err(Vec::new())
}
