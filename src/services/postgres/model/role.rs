//! A role: the owner of a database, or who signs in.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whether nornplan generates and publishes a login's password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    #[default]
    Generate,
    /// People look after it themselves: never set, never published.
    Keep,
    /// It cannot sign in.
    None,
}

/// Until when a role's password is good. As text: `never`, or `2026-12-31T23:59:59Z`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Expiry {
    /// VALID UNTIL was never said, or is `infinity`.
    Never,
    /// ISO 8601, in UTC.
    At(String),
}

impl From<String> for Expiry {
    fn from(text: String) -> Self {
        if text == "never" { Self::Never } else { Self::At(text) }
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        match expiry {
            Expiry::Never => "never".to_owned(),
            Expiry::At(text) => text,
        }
    }
}

/// A role. The owner of a database cannot sign in; the user can, and owns nothing that guards its isolation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub login: bool,
    /// `None` is unlimited.
    pub connection_limit: Option<u32>,
    /// SUPERUSER, CREATEDB, CREATEROLE, REPLICATION, BYPASSRLS, in capitals; none is wanted.
    #[serde(default)]
    pub attributes: BTreeSet<String>,
    /// `ALTER ROLE .. SET`, in all databases.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Declared only: it is not on the server. `None` in what is observed.
    #[serde(default)]
    pub credential: Option<Credential>,
    /// Wanted is never. Unknown of roles that people look after, and in old states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Expiry>,
    /// Roles that it is a member of; none is wanted. Unknown likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_of: Option<BTreeSet<String>>,
    /// Roles that are members of it, and so may do all that it may; none is wanted. Superusers and the role that
    /// nornplan signs in with do not count. Unknown likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<BTreeSet<String>>,
    /// `ALTER ROLE .. IN DATABASE .. SET`: by database, then by setting. It would win over [`Self::settings`], so none
    /// is wanted. Unknown likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_in_databases: Option<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Resource for Role {
    fn fields(&self) -> Vec<Field> {
        let Self {
            name: _,
            login,
            connection_limit,
            attributes,
            settings,
            credential,
            valid_until,
            member_of,
            members,
            settings_in_databases,
        } = self;
        let one_by_one = settings_in_databases.as_ref().map(|databases| {
            let each = databases.iter().flat_map(|(database, settings)| {
                settings.iter().map(move |(key, value)| (format!("{key} in {database}"), value))
            });
            each.collect::<BTreeMap<_, _>>()
        });
        vec![
            Field::new("login", login),
            Field::new("connection_limit", connection_limit),
            Field::new("attributes", attributes),
            Field::new("settings", settings),
            Field::maybe("credential", credential.as_ref()),
            Field::maybe("valid_until", valid_until.as_ref()),
            Field::maybe("member_of", member_of.as_ref()),
            Field::maybe("members", members.as_ref()),
            Field::maybe("settings_in_databases", one_by_one),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_state_knows_nothing_of_what_came_later() {
        let old = r#"{"name": "a", "login": true, "connection_limit": null}"#;
        let role: Role = serde_json::from_str(old).unwrap();
        assert_eq!((&role.valid_until, &role.members), (&None, &None));
        let unknown: Vec<_> = role.fields().into_iter().filter(|field| field.value.is_none()).collect();
        let names: Vec<&str> = unknown.iter().map(|field| field.name).collect();
        assert_eq!(names, ["credential", "valid_until", "member_of", "members", "settings_in_databases"]);
    }

    #[test]
    fn never_is_known_and_is_no_moment() {
        for (expiry, text) in
            [(Expiry::Never, "\"never\""), (Expiry::At("2020-01-01T00:00:00Z".to_owned()), "\"2020-01-01T00:00:00Z\"")]
        {
            assert_eq!(serde_json::to_string(&expiry).unwrap(), text);
            assert_eq!(serde_json::from_str::<Expiry>(text).unwrap(), expiry);
        }
    }
}
