//! What Valkey resources are: one type for desired, last applied and observed. Imports only the core.

mod default_user;
mod keys;
mod said;

pub use default_user::{Accepts, DEFAULT_USER, DefaultUser, Mode, UsedBy, default_user_address};
pub use keys::{Holdings, KEYS, Keys, OnDestroy, keys_address, namespace_of};
pub use said::{channels_in_words, databases_in_words, keys_in_words};

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const USER: Kind = Kind::new("valkey.user");
/// What outlives a restart. Never ours: a step on it exists only while something would be lost.
pub const PERSISTENCE: Kind = Kind::new("valkey.persistence");

/// What stands in [`User::uneven_nodes`] behind a node that has no such user.
pub const MISSING: &str = "missing";

/// The name of a field, as changes have it.
pub const UNEVEN_NODES: &str = "uneven_nodes";
pub const EXTRA_PASSWORDS: &str = "extra_passwords";
/// The name of a fact: one of the extra passwords is the one that an unfinished rotation should have removed.
pub const FORMER_PASSWORD: &str = "former_password";

/// Fields that only infraspecs say: servers know what follows from them.
pub const DECLARED: [&str; 10] = [
    "access",
    "namespace",
    "reads",
    "db",
    "whole_database",
    "reads_databases",
    "more_commands",
    "more_keys",
    "more_channels",
    "generated",
];

/// Fields with the rules as a server has them.
pub const RULES: [&str; 5] = ["keys", "channels", "databases", "commands", "selectors"];

/// A change beside those of fields: what the rules allow on one side and not on the other, one phrase each, such as `run
/// flushall` or `read other:*`.
pub const RULES_IN_WORDS: &str = "rules_in_words";

/// What an app may do with its keys, in plain words; `presets.rs` says what that means on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    #[default]
    Readwrite,
    Readonly,
    /// Readwrite and the channels of job queues such as Celery.
    Queue,
}

/// An ACL user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// Declared only; `None` in what is observed.
    #[serde(default)]
    pub access: Option<Access>,
    /// Declared only: the keys and channels start with `<namespace>:`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Declared only: namespaces of other apps that this one may read, each with its database number.
    #[serde(default)]
    pub reads: Option<BTreeMap<String, u32>>,
    /// Declared only: the database number, also published.
    #[serde(default)]
    pub db: Option<u32>,
    /// Declared only: whether it has all keys of its database number, instead of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_database: Option<bool>,
    /// Declared only: numbers of databases that other apps have as a whole, and that this one may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_databases: Option<BTreeSet<u32>>,
    /// Declared only: command rules after those of `access`, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_commands: Option<Vec<String>>,
    /// Declared only: key patterns beside those of the namespace (`~p`, `%R~p`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_keys: Option<BTreeSet<String>>,
    /// Declared only: channel patterns beside those of the namespace (`&p`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_channels: Option<BTreeSet<String>>,
    /// Whether nornplan sets the password. Declared only.
    #[serde(default)]
    pub generated: Option<bool>,
    /// How many passwords are accepted beside the one that nornplan published; none is wanted. Unknown where that one is
    /// unknown or not accepted, and where people keep the password.
    #[serde(default)]
    pub extra_passwords: Option<u32>,
    pub enabled: bool,
    /// `nopass`: any password is accepted.
    pub nopass: bool,
    /// `skip-sanitize-payload`: what it gives to `RESTORE` is not checked. Valkey 9 has no such rule.
    #[serde(default)]
    pub skips_sanitizing: bool,
    /// Key patterns (`~p`, `%R~p`). Like the rules below, unknown in a desired model until the server's version is
    /// known (see `presets::expand`).
    #[serde(default)]
    pub keys: Option<BTreeSet<String>>,
    /// Channel patterns (`&p`).
    #[serde(default)]
    pub channels: Option<BTreeSet<String>>,
    /// `alldbs`, `resetdbs` or `db=0,2`; unknown where the server has no such rules.
    #[serde(default)]
    pub databases: Option<String>,
    /// Canonical command rules, in order. Most users share theirs: a list of them is long, and there is one of it.
    #[serde(default)]
    pub commands: Option<Arc<Vec<String>>>,
    /// Rules of selectors, each in parentheses.
    #[serde(default)]
    pub selectors: Option<BTreeSet<String>>,
    /// Nodes on which the user is missing or differs from the first, each with how: `10.0.0.7:6379 (missing)`,
    /// `10.0.0.8:6379 (commands, password)`. None is wanted. Valkey does not replicate ACLs.
    #[serde(default)]
    pub uneven_nodes: BTreeSet<String>,
}

impl User {
    /// A user that may do nothing, of which nothing is declared.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            access: None,
            namespace: None,
            reads: None,
            db: None,
            whole_database: None,
            reads_databases: None,
            more_commands: None,
            more_keys: None,
            more_channels: None,
            generated: None,
            extra_passwords: None,
            enabled: false,
            nopass: false,
            skips_sanitizing: false,
            keys: None,
            channels: None,
            databases: None,
            commands: None,
            selectors: None,
            uneven_nodes: BTreeSet::new(),
        }
    }

    /// Whether there is a node that has the user, and another one than the first node.
    pub fn differs_somewhere(&self) -> bool {
        self.uneven_nodes.iter().any(|node| !node.ends_with(&format!("({MISSING})")))
    }
}

impl Resource for User {
    fn fields(&self) -> Vec<Field> {
        let Self {
            name: _,
            access,
            namespace,
            reads,
            db,
            whole_database,
            reads_databases,
            more_commands,
            more_keys,
            more_channels,
            generated,
            extra_passwords,
            enabled,
            nopass,
            skips_sanitizing,
            keys,
            channels,
            databases,
            commands,
            selectors,
            uneven_nodes,
        } = self;
        vec![
            Field::maybe("access", access.as_ref()),
            Field::maybe("namespace", namespace.as_ref()),
            Field::maybe("reads", reads.as_ref()),
            Field::maybe("db", db.as_ref()),
            Field::maybe("whole_database", whole_database.as_ref()),
            Field::maybe("reads_databases", reads_databases.as_ref()),
            Field::maybe("more_commands", more_commands.as_ref()),
            Field::maybe("more_keys", more_keys.as_ref()),
            Field::maybe("more_channels", more_channels.as_ref()),
            Field::maybe("generated", generated.as_ref()),
            Field::maybe(EXTRA_PASSWORDS, extra_passwords.as_ref()),
            Field::new("enabled", enabled),
            Field::new("nopass", nopass),
            Field::new("skips_sanitizing", skips_sanitizing),
            Field::maybe("keys", keys.as_ref()).expanded(),
            Field::maybe("channels", channels.as_ref()).expanded(),
            Field::maybe("databases", databases.as_ref()).expanded(),
            Field::maybe("commands", commands.as_deref()).expanded(),
            Field::maybe("selectors", selectors.as_ref()).expanded(),
            Field::new(UNEVEN_NODES, uneven_nodes),
        ]
    }
}

/// Whether the nodes would have the users after a restart as they have them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persisted {
    pub saved: bool,
}

impl Resource for Persisted {
    fn fields(&self) -> Vec<Field> {
        let Self { saved } = self;
        vec![Field::new("saved", saved)]
    }
}

/// What a step does on Valkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `ACL SETUSER` with the whole rule set, on every node; keeps the passwords of a user that exists.
    SetUser,
    /// Makes the app's password the only one, at once.
    SetPassword,
    /// Has the app's new password accepted beside those that are.
    AddPassword,
    /// Removes every password but the published one.
    RemoveFormerPasswords,
    DelUser,
    /// Switches the user `default` off, or leaves it the administrator's password alone, on every node.
    SetDefaultUser,
    /// `ACL SAVE` or `CONFIG REWRITE`, on every node.
    Save,
    /// Removes every key of a namespace, some at a time.
    PurgeKeys,
}

pub fn persistence_address() -> Address {
    Address::new(PERSISTENCE, "users")
}

pub fn user_address(name: &str) -> Address {
    Address::new(USER, name)
}
