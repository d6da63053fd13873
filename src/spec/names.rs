//! Which names each service takes, and which are not for apps.
//!
//! Stricter than the servers where that spares people grief: PostgreSQL would take capitals and quotes, Kafka any
//! text for a group.

use crate::config::Config;
use crate::core::name::stands_for;

/// PostgreSQL cuts longer names, with no more than a notice.
pub const LONGEST_IN_POSTGRES: usize = 63;

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
    /// Whether a resource has this name for its address.
    pub fn is_addressed(self) -> bool {
        match self {
            Self::Database | Self::Role | Self::KvUser | Self::KafkaUser | Self::Topic => true,
            Self::Namespace | Self::Prefix | Self::Group | Self::TransactionalId => false,
        }
    }

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
            Self::Database | Self::Role => LONGEST_IN_POSTGRES,
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
const POSTGRES: [&str; 15] = [
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
    // What restores run as.
    "nornplan_restore_*",
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

/// Why a text cannot name something that exists in PostgreSQL, which may have other letters than names of ours: the end
/// of a sentence that starts with it.
///
/// # Errors
/// It is empty, too long, or has control characters.
pub fn check_existing(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".to_owned());
    }
    if name.len() > LONGEST_IN_POSTGRES {
        return Err(format!("has {} bytes, and at most {LONGEST_IN_POSTGRES} may be", name.len()));
    }
    match name.chars().find(|c| c.is_control()) {
        Some(wrong) => Err(format!("has {wrong:?} in it, a control character")),
        None => Ok(()),
    }
}

/// Why a role cannot be one that people look after and that apps let in: the end of a sentence that starts with it, and
/// what to do next.
///
/// # Errors
/// As [`check_existing`]; it is everybody or nobody, the server's own, or what nornplan signs in with.
pub fn check_outside(role: &str, config: &Config) -> Result<(), (String, &'static str)> {
    check_existing(role).map_err(|why| (why, "name a role as the server has it"))?;
    if role.eq_ignore_ascii_case("public") {
        return Err(("is everybody".to_owned(), "name each role by itself"));
    }
    if role.eq_ignore_ascii_case("none") {
        return Err(("is nobody".to_owned(), "name a role as the server has it, or leave the key out"));
    }
    if role == config.postgres.user {
        return Err(("is what nornplan itself signs in with".to_owned(), "leave it out, or name another"));
    }
    let hint = "name a role that people or programs sign in with, or a group of theirs";
    reserved(Named::Role, role, config).map_or(Ok(()), |why| Err((why, hint)))
}

/// Whether nothing of that name is for apps: it is the service's own, what nornplan signs in with, or internal.
pub fn is_kept_apart(named: Named, name: &str, config: &Config) -> bool {
    name.starts_with('_') || reserved(named, name, config).is_some() || config.is_internal(name)
}

fn reserved(named: Named, name: &str, config: &Config) -> Option<String> {
    let ours = "is what nornplan itself signs in with".to_owned();
    let signs_in = match named {
        Named::Role => name == config.postgres.user,
        Named::Database => name == config.postgres.database,
        Named::KvUser => name == config.valkey.user || config.valkey.sentinel_user.as_deref() == Some(name),
        Named::KafkaUser => config.kafka.authenticates() && name == config.kafka.user,
        Named::Namespace | Named::Topic | Named::Prefix | Named::Group | Named::TransactionalId => false,
    };
    let service = match named {
        Named::Role | Named::Database => POSTGRES.iter().any(|entry| stands_for(entry, name)),
        Named::KvUser => name == "default",
        Named::KafkaUser => name == "ANONYMOUS",
        Named::Namespace | Named::Topic | Named::Prefix | Named::Group | Named::TransactionalId => false,
    };
    if signs_in {
        Some(ours)
    } else if named == Named::Database && config.state.keeps_in(name) {
        Some("is where nornplan keeps its state".to_owned())
    } else if service {
        Some("is reserved".to_owned())
    } else if config.is_internal(name) {
        Some("is reserved by internal = [...] in nornplan.toml".to_owned())
    } else {
        None
    }
}
