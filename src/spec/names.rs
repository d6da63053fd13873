//! Which names each service takes, and which are not for apps.
//!
//! Stricter than the servers where that spares people grief: PostgreSQL would take capitals and quotes, Kafka any
//! text for a group.

use crate::config::Config;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    Database,
    Role,
    Namespace,
    KvUser,
    KafkaUser,
    Topic,
    Prefix,
    Group,
    TransactionalId,
}

impl Named {
    /// As an error names it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Role => "role",
            Self::Namespace => "namespace",
            Self::KvUser => "kv user",
            Self::KafkaUser => "Kafka user",
            Self::Topic => "topic",
            Self::Prefix => "prefix",
            Self::Group => "group",
            Self::TransactionalId => "transactional id",
        }
    }

    /// The longest name, in bytes.
    fn longest(self) -> usize {
        match self {
            Self::Database | Self::Role => 63,
            Self::Namespace | Self::KvUser | Self::KafkaUser => 128,
            Self::Topic | Self::Prefix | Self::Group | Self::TransactionalId => 249,
        }
    }

    /// Whether a character may stand in such a name.
    pub fn takes(self, c: char) -> bool {
        let lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        match self {
            Self::Database | Self::Role => lower || c == '_' || c == '-',
            Self::Namespace => lower || c == '-',
            Self::KvUser => lower || c == '_' || c == '-' || c == '.',
            Self::KafkaUser | Self::Topic | Self::Prefix | Self::Group | Self::TransactionalId => {
                c.is_ascii_alphanumeric() || c == '.' || c == '_' || c == '-'
            }
        }
    }

    fn alphabet(self) -> &'static str {
        match self {
            Self::Database | Self::Role => "lower-case letters, digits, _ and -",
            Self::Namespace => "lower-case letters, digits and -",
            Self::KvUser => "lower-case letters, digits, _, - and .",
            Self::KafkaUser | Self::Topic | Self::Prefix | Self::Group | Self::TransactionalId => {
                "letters, digits, ., _ and -"
            }
        }
    }
}

/// Names that end a list of reserved ones with a * stand for all that start so.
const POSTGRES: [&str; 14] = [
    "pg_*",
    "postgres",
    "template*",
    "default",
    "public",
    "none",
    "streaming_replica",
    "cnpg_*",
    "repmgr",
    "flypgadmin",
    "rdsadmin",
    "cloudsqladmin",
    "azuresu",
    // The state of a team lies in a database of this name.
    "nornplan",
];

/// Why a name cannot be: the end of a sentence that starts with it.
///
/// # Errors
/// It is empty, too long, has characters that the service does not take, or is reserved.
pub fn check(named: Named, name: &str, config: &Config) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".to_owned());
    }
    if name.len() > named.longest() {
        return Err(format!("has {} bytes, and at most {} may be", name.len(), named.longest()));
    }
    if let Some(wrong) = name.chars().find(|c| !named.takes(*c)) {
        return Err(format!("has {wrong:?} in it, and takes only {}", named.alphabet()));
    }
    if name.starts_with('_') {
        return Err("starts with _, which is reserved for the services' own".to_owned());
    }
    if name == "." || name == ".." {
        return Err("is no name that Kafka takes".to_owned());
    }
    if let Some(why) = reserved(named, name, config) {
        return Err(why);
    }
    Ok(())
}

fn reserved(named: Named, name: &str, config: &Config) -> Option<String> {
    let ours = "is what nornplan itself signs in with".to_owned();
    let signs_in = match named {
        Named::Role => name == config.postgres.user,
        Named::Database => name == config.postgres.database,
        Named::KvUser => name == config.valkey.user,
        Named::KafkaUser => config.kafka.authenticates() && name == config.kafka.user,
        Named::Namespace | Named::Topic | Named::Prefix | Named::Group | Named::TransactionalId => false,
    };
    let service = match named {
        Named::Role | Named::Database => {
            POSTGRES.iter().any(|entry| entry.strip_suffix('*').map_or(*entry == name, |start| name.starts_with(start)))
        }
        Named::KvUser => name == "default",
        Named::KafkaUser => name == "ANONYMOUS",
        Named::Namespace | Named::Topic | Named::Prefix | Named::Group | Named::TransactionalId => false,
    };
    if signs_in {
        Some(ours)
    } else if service {
        Some("is reserved".to_owned())
    } else if config.internal.contains(name) {
        Some("is reserved by internal = [...] in nornplan.toml".to_owned())
    } else {
        None
    }
}
