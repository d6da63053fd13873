//! ACLs, by principal.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
