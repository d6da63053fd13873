//! Every key of the workspace file, which is also every `NORNPLAN_<TABLE>_<KEY>` variable.

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Choice(&'static [&'static str]),
    /// 1 to 65535.
    Port,
    /// How many of something: 1 to 65535.
    Count,
    Flag,
    /// Texts; one text alone is a list of one, in which commas part.
    List,
    /// Program and arguments, taken as they are.
    Words,
    /// A path: `~` and `$VARIABLES` are expanded, and it is made absolute.
    Path,
    Paths,
}

impl Shape {
    /// For "expected ...".
    pub fn describe(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Port => "a port, 1 to 65535".to_owned(),
            Self::Count => "a number, 1 to 65535".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::List => "a text or a list of texts".to_owned(),
            Self::Words => "a list of texts: a program and its arguments".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Paths => "a path or a list of paths".to_owned(),
        }
    }
}

/// One key. The table of those at the top is empty.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub table: &'static str,
    pub name: &'static str,
    pub shape: Shape,
}

impl Key {
    /// The variable that overrides it.
    pub fn variable(&self) -> String {
        let table = if self.table.is_empty() { String::new() } else { format!("{}_", self.table) };
        format!("NORNPLAN_{table}{}", self.name).to_ascii_uppercase()
    }
}

const fn key(table: &'static str, name: &'static str, shape: Shape) -> Key {
    Key { table, name, shape }
}

const SSLMODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const PUBLIC_SSLMODES: &[&str] = &["disable", "require", "verify-ca", "verify-full"];
/// As [`super::DefaultUser`] reads them.
const DEFAULT_USER: &[&str] = &["leave", "off", "admin-only"];
const MECHANISMS: &[&str] = &["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "none"];
/// As [`super::BrokerKind`] reads them.
const FLAVORS: &[&str] = &["auto", "kafka", "redpanda"];
const USER_MECHANISMS: &[&str] = &["SCRAM-SHA-512", "SCRAM-SHA-256", "none"];

/// As [`super::StateBackend`] reads them.
const STATE_BACKENDS: &[&str] = &["local", "postgres"];

pub const KEYS: &[Key] = &[
    key("", "specs", Shape::Paths),
    key("", "exclude", Shape::List),
    key("", "internal", Shape::List),
    key("naming", "strip", Shape::List),
    key("postgres", "url", Shape::Text),
    key("postgres", "host", Shape::List),
    key("postgres", "port", Shape::Port),
    key("postgres", "user", Shape::Text),
    key("postgres", "database", Shape::Text),
    key("postgres", "sslmode", Shape::Choice(SSLMODES)),
    key("postgres", "ca_file", Shape::Path),
    key("postgres", "cert_file", Shape::Path),
    key("postgres", "key_file", Shape::Path),
    key("postgres", "password_file", Shape::Path),
    key("postgres", "password_command", Shape::Words),
    key("postgres", "public_host", Shape::Text),
    key("postgres", "public_port", Shape::Port),
    key("postgres", "public_sslmode", Shape::Choice(PUBLIC_SSLMODES)),
    key("postgres", "ignore_roles", Shape::List),
    key("postgres", "lock_down", Shape::Flag),
    key("postgres", "bin_dir", Shape::Path),
    key("valkey", "url", Shape::Text),
    key("valkey", "host", Shape::Text),
    key("valkey", "port", Shape::Port),
    key("valkey", "user", Shape::Text),
    key("valkey", "tls", Shape::Flag),
    key("valkey", "ca_file", Shape::Path),
    key("valkey", "cert_file", Shape::Path),
    key("valkey", "key_file", Shape::Path),
    key("valkey", "password_file", Shape::Path),
    key("valkey", "password_command", Shape::Words),
    key("valkey", "sentinels", Shape::List),
    key("valkey", "sentinel_service", Shape::Text),
    key("valkey", "sentinel_user", Shape::Text),
    key("valkey", "sentinel_users", Shape::Flag),
    key("valkey", "sentinel_password_file", Shape::Path),
    key("valkey", "sentinel_password_command", Shape::Words),
    key("valkey", "cluster", Shape::Flag),
    key("valkey", "default_user", Shape::Choice(DEFAULT_USER)),
    key("valkey", "public_host", Shape::Text),
    key("valkey", "public_port", Shape::Port),
    key("valkey", "strict", Shape::Flag),
    key("valkey", "shared_password_file", Shape::Path),
    key("valkey", "shared_password_command", Shape::Words),
    key("kafka", "brokers", Shape::List),
    key("kafka", "user", Shape::Text),
    key("kafka", "mechanism", Shape::Choice(MECHANISMS)),
    key("kafka", "user_mechanism", Shape::Choice(USER_MECHANISMS)),
    key("kafka", "iterations", Shape::Count),
    key("kafka", "tls", Shape::Flag),
    key("kafka", "ca_file", Shape::Path),
    key("kafka", "cert_file", Shape::Path),
    key("kafka", "key_file", Shape::Path),
    key("kafka", "password_file", Shape::Path),
    key("kafka", "password_command", Shape::Words),
    key("kafka", "public_brokers", Shape::List),
    key("kafka", "flavor", Shape::Choice(FLAVORS)),
    key("kafka", "admin_url", Shape::List),
    key("kafka", "admin_user", Shape::Text),
    key("kafka", "admin_password_file", Shape::Path),
    key("kafka", "admin_password_command", Shape::Words),
    key("kafka", "admin_ca_file", Shape::Path),
    key("kafka", "admin_cert_file", Shape::Path),
    key("kafka", "admin_key_file", Shape::Path),
    key("state", "backend", Shape::Choice(STATE_BACKENDS)),
    key("state", "path", Shape::Path),
    key("state", "name", Shape::Text),
    key("state", "url", Shape::Text),
    key("state", "host", Shape::List),
    key("state", "port", Shape::Port),
    key("state", "user", Shape::Text),
    key("state", "database", Shape::Text),
    key("state", "sslmode", Shape::Choice(SSLMODES)),
    key("state", "ca_file", Shape::Path),
    key("state", "cert_file", Shape::Path),
    key("state", "key_file", Shape::Path),
    key("state", "password_file", Shape::Path),
    key("state", "password_command", Shape::Words),
    key("secrets", "sink", Shape::Text),
    key("secrets", "dir", Shape::Path),
    key("snapshots", "dir", Shape::Path),
    key("snapshots", "keep", Shape::Count),
];

/// The tables that hold keys.
pub const TABLES: &[&str] = &["naming", "postgres", "valkey", "kafka", "state", "secrets", "snapshots"];

/// The tables of what a URL may name.
pub const WITH_URL: &[&str] = &["postgres", "valkey", "kafka", "state"];

/// What has a password of nornplan's own: its table and name. It never stands in the file, only in a variable.
const PASSWORDS: &[(&str, &str)] = &[
    ("postgres", "password"),
    ("valkey", "password"),
    ("valkey", "sentinel_password"),
    ("valkey", "shared_password"),
    ("kafka", "password"),
    ("kafka", "admin_password"),
    ("state", "password"),
];

/// The names of a table's passwords.
pub fn passwords(table: &str) -> impl Iterator<Item = &'static str> {
    PASSWORDS.iter().filter(move |(of, _)| *of == table).map(|(_, name)| *name)
}

pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.table == table && key.name == name)
}

/// Variables of other programs that passwords and names are taken from where ours are not set.
const BORROWED: &[&str] = &[
    "POSTGRES_ADMIN_PASSWORD",
    "POSTGRES_PASSWORD",
    "POSTGRES_ADMIN_USER",
    "POSTGRES_USER",
    "PGPASSFILE",
    "REDIS_PASSWORD",
    "KAFKA_PASSWORD",
];

/// Whether nornplan reads the variable.
pub fn is_variable(name: &str) -> bool {
    let is_password =
        PASSWORDS.iter().any(|(table, own)| name == format!("NORNPLAN_{table}_{own}").to_ascii_uppercase());
    is_password || BORROWED.contains(&name) || KEYS.iter().any(|key| key.variable() == name)
}

/// The names of a table's keys.
pub fn names(table: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.table == table).map(|key| key.name)
}
