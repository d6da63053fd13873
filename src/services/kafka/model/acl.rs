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

/// Whether a name can stand for itself in a sentence. Others, which only groups, ids and what was set by hand can have,
/// are quoted.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

impl Binding {
    /// The resources as people write them: `mail.inbound`, `mail.*`, `*`. What has a star in its name is quoted.
    pub fn pattern(&self) -> String {
        let name = if is_plain(&self.name) || self.is_every() { self.name.clone() } else { format!("{:?}", self.name) };
        if self.prefixed { format!("{name}*") } else { name }
    }

    /// Whether it is about every resource of its kind: the literal name `*`.
    pub fn is_every(&self) -> bool {
        !self.prefixed && self.name == "*"
    }
}

impl std::fmt::Display for Binding {
    /// `allow read topic mail.inbound`, `deny write topic mail. (prefix) from 10.0.0.1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, name, prefixed, operation, allow, host } = self;
        let verb = if *allow { "allow" } else { "deny" };
        write!(f, "{verb} {operation} {resource} ")?;
        match is_plain(name) || name == "*" {
            true => f.write_str(name)?,
            false => f.write_str(&serde_json::Value::from(name.as_str()).to_string())?,
        }
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
        parse(&text).ok_or_else(|| format!("{text:?} is no ACL"))
    }
}

/// The inverse of [`Binding::fmt`].
fn parse(text: &str) -> Option<Binding> {
    let mut words = text.splitn(4, ' ');
    let allow = match words.next()? {
        "allow" => true,
        "deny" => false,
        _ => return None,
    };
    let (operation, resource, rest) = (words.next()?, words.next()?, words.next()?);
    let (name, rest) = if rest.starts_with('"') {
        let mut quoted = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let name = quoted.next()?.ok()?;
        (name, rest.get(quoted.byte_offset()..)?)
    } else {
        let end = rest.find(' ').unwrap_or(rest.len());
        let (name, rest) = rest.split_at_checked(end)?;
        (name.to_owned(), rest)
    };
    let (rest, prefixed) = match rest.strip_prefix(" (prefix)") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let host = if rest.is_empty() { "*" } else { rest.strip_prefix(" from ")? };
    let (resource, operation, host) = (resource.to_owned(), operation.to_owned(), host.to_owned());
    Some(Binding { resource, name, prefixed, operation, allow, host })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_acl_comes_back_from_its_text() {
        let names =
            ["orders", "*", "", "a b", "x (prefix)", "x from 10.0.0.1", "\"quoted\"", "mail*", "\u{1b}[2J", "ü"];
        let hosts = ["*", "10.0.0.1", "a from b"];
        for name in names {
            for (host, prefixed, allow) in hosts.iter().flat_map(|host| [(host, true, false), (host, false, true)]) {
                let binding =
                    Binding { host: (*host).to_owned(), allow, ..Binding::allow("group", name, prefixed, "read") };
                let text = binding.to_string();
                assert_eq!(Binding::try_from(text.clone()), Ok(binding), "{text}");
            }
        }
        let old = Binding::try_from("allow read topic mail. (prefix) from 10.0.0.1".to_owned()).unwrap();
        assert_eq!((old.pattern().as_str(), old.host.as_str()), ("mail.*", "10.0.0.1"));
        for wrong in
            ["", "allow", "may read topic x", "allow read topic", "allow read topic x y", "deny read topic \"x"]
        {
            assert!(Binding::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_in_a_name_is_no_wildcard() {
        let pattern = |name, prefixed| Binding::allow("group", name, prefixed, "read").pattern();
        assert_eq!(pattern("mail", true), "mail*");
        assert_eq!((pattern("mail*", false), pattern("*", true)), ("\"mail*\"".to_owned(), "\"*\"*".to_owned()));
        assert_eq!(pattern("*", false), "*");
    }
}
