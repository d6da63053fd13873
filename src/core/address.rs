//! Addresses of resources: `postgres.database.cafe`, `kafka.topic.mail.inbound`, `secret.mail-agent`.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A kind of resource, as it stands at the front of an address: `postgres.role`, `kafka.acl`, `secret`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    pub const fn new(kind: &'static str) -> Self {
        Self(Cow::Borrowed(kind))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the dot: `postgres` of `postgres.role`, `secret` of `secret`.
    pub fn service(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An app itself: `app.cafe` stands for all that it has, where it gets another name.
pub const APP: Kind = Kind::new("app");

/// Names one resource, the same in specs, plans, state and on the command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    pub kind: Kind,
    pub name: String,
}

impl Address {
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The service that the resource lies on (`postgres`, `valkey`, `kafka`, `secret`).
    pub fn service(&self) -> &str {
        self.kind.service()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.kind, self.name))
    }
}

impl FromStr for Address {
    type Err = String;

    /// `secret.NAME` and `app.NAME` have one part in front of the name, all others have two; the name may have dots of its own.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = if text.starts_with("secret.") || text.starts_with("app.") { 2 } else { 3 };
        let mut split = text.splitn(parts, '.');
        let mut front = Vec::new();
        for _ in 1..parts {
            front.push(split.next().unwrap_or_default());
        }
        match split.next() {
            Some(name) if !name.is_empty() && front.iter().all(|part| !part.is_empty()) => {
                Ok(Self { kind: Kind(Cow::Owned(front.join("."))), name: name.to_owned() })
            }
            Some(_) | None => {
                Err(format!("{text:?} is no address; one looks like postgres.database.cafe or secret.cafe"))
            }
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}
