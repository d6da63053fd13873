//! What Kafka resources are: one type each for desired, last applied and observed. Imports only the core.

use crate::core::address::{Address, Kind};
use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub const USER: Kind = Kind::new("kafka.user");
pub const TOPIC: Kind = Kind::new("kafka.topic");
pub const ACL: Kind = Kind::new("kafka.acl");

/// A SCRAM user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// SCRAM-SHA-256 or SCRAM-SHA-512.
    pub mechanism: String,
    pub iterations: u32,
    /// Whether nornplan sets the password. Declared only.
    #[serde(default)]
    pub generated: Option<bool>,
}

impl Resource for User {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, mechanism, iterations, generated } = self;
        vec![
            Field::new("mechanism", mechanism),
            Field::new("iterations", iterations),
            Field::maybe("generated", generated.as_ref()),
        ]
    }
}

/// A topic. Only declared configs are managed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    pub name: String,
    /// `None` leaves what there is, or the broker's default.
    #[serde(default)]
    pub partitions: Option<i32>,
    #[serde(default)]
    pub replication: Option<i32>,
    /// Configs with the values that the broker stores ("604800000", not "7d").
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl Resource for Topic {
    fn fields(&self) -> Vec<Field> {
        let Self { name: _, partitions, replication, config } = self;
        vec![
            Field::maybe("partitions", partitions.as_ref()),
            Field::maybe("replication", replication.as_ref()),
            Field::new("config", config),
        ]
    }
}

/// One ALLOW or DENY of a principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Binding {
    /// topic, group, transactional_id, cluster; as Kafka names them, in lower case.
    pub resource: String,
    pub name: String,
    /// `true` is PREFIXED, `false` LITERAL.
    pub prefixed: bool,
    /// read, write, describe, create, ..., all; in lower case.
    pub operation: String,
    pub allow: bool,
    pub host: String,
}

impl Binding {
    pub fn allow(resource: &str, name: &str, prefixed: bool, operation: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            name: name.to_owned(),
            prefixed,
            operation: operation.to_owned(),
            allow: true,
            host: "*".to_owned(),
        }
    }
}

impl std::fmt::Display for Binding {
    /// `allow read topic mail.inbound`, `deny write topic mail. (prefix) from 10.0.0.1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, name, prefixed, operation, allow, host } = self;
        let verb = if *allow { "allow" } else { "deny" };
        write!(f, "{verb} {operation} {resource} {name}")?;
        if *prefixed {
            f.write_str(" (prefix)")?;
        }
        if host != "*" {
            write!(f, " from {host}")?;
        }
        Ok(())
    }
}

impl From<Binding> for String {
    fn from(binding: Binding) -> Self {
        binding.to_string()
    }
}

impl TryFrom<String> for Binding {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no ACL");
        let (rest, host) = match text.rsplit_once(" from ") {
            Some((rest, host)) => (rest, host),
            None => (text.as_str(), "*"),
        };
        let (rest, prefixed) = match rest.strip_suffix(" (prefix)") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let mut words = rest.splitn(4, ' ');
        let allow = match words.next() {
            Some("allow") => true,
            Some("deny") => false,
            Some(_) | None => return Err(wrong()),
        };
        let mut word = || words.next().map(str::to_owned).ok_or_else(wrong);
        let (operation, resource, name) = (word()?, word()?, word()?);
        Ok(Self { resource, name, prefixed, operation, allow, host: host.to_owned() })
    }
}

/// All ACLs of one principal, as a set. Address: `kafka.acl.PRINCIPAL` without `User:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acl {
    pub principal: String,
    pub bindings: BTreeSet<Binding>,
}

impl Resource for Acl {
    fn fields(&self) -> Vec<Field> {
        let Self { principal: _, bindings } = self;
        vec![Field::new("bindings", bindings)]
    }
}

/// What a step does on Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Upserts a SCRAM user with the app's password, and proves it.
    SetUser,
    DeleteUser,
    CreateTopic,
    /// Adds partitions, sets or resets single configs.
    AlterTopic,
    DeleteTopic,
    /// Creates what is missing, then deletes what is too much.
    SetAcls,
    DeleteAcls,
}

pub fn user_address(name: &str) -> Address {
    Address::new(USER, name)
}

pub fn topic_address(name: &str) -> Address {
    Address::new(TOPIC, name)
}

pub fn acl_address(principal: &str) -> Address {
    Address::new(ACL, principal)
}
