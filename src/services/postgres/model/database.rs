//! A database: its options, its settings, its extensions, and what everybody may do with it.

use crate::core::change::{Field, Resource};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Stands for a privilege among [`Database::strays_inside`]: that schema public is somebody's own.
pub const OWNERSHIP: &str = "OWNERSHIP";

/// The fact of a database that counts the sessions of each role that can connect through PUBLIC alone.
pub const THROUGH_PUBLIC: &str = "through_public";

/// Whose schema public is, if that is a stray: these words say so.
pub fn owner_of_public(strays: &BTreeSet<String>) -> Option<&str> {
    strays.iter().find_map(|words| words.strip_prefix(OWNERSHIP)?.strip_prefix(" on schema public to "))
}

/// How an extension is wanted, or is there. `None` is whatever the server takes by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

impl Extension {
    /// Reads the name and what stands behind it, as a database's field has them: `hstore 1.8 (schema ext)`.
    pub fn named(words: &str) -> (String, Self) {
        let (rest, schema) = match words.strip_suffix(')').and_then(|words| words.split_once(" (schema ")) {
            Some((rest, schema)) => (rest, Some(schema.to_owned())),
            None => (words, None),
        };
        let (name, version) = match rest.split_once(' ') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (rest, None),
        };
        (name.to_owned(), Self { version, schema })
    }
}

/// ` 1.8 (schema ext)`: what stands behind the name.
impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        if let Some(schema) = &self.schema {
            write!(f, " (schema {schema})")?;
        }
        Ok(())
    }
}

/// A database. Of what is optional `None` is not compared where it is wanted; where it was read it is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub name: String,
    pub owner: String,
    /// Privileges of PUBLIC on the database (CONNECT, TEMPORARY), in capitals; none is wanted.
    #[serde(default)]
    pub public: BTreeSet<String>,
    /// Sessions of all roles together; `None` is unlimited.
    #[serde(default)]
    pub connection_limit: Option<u32>,
    /// Whether anybody at all may connect, superusers included.
    #[serde(default = "yes")]
    pub allow_connections: bool,
    /// `ALTER DATABASE .. SET`, for everybody; names in lower case.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Fixed when the database is made, as are the locale and its provider.
    #[serde(default)]
    pub encoding: Option<String>,
    /// LC_COLLATE and LC_CTYPE (`C / C.UTF-8` where they differ), or the locale of ICU or of the builtin provider.
    #[serde(default)]
    pub locale: Option<String>,
    /// libc, icu or builtin.
    #[serde(default)]
    pub locale_provider: Option<String>,
    #[serde(default)]
    pub tablespace: Option<String>,
    /// Whether a cancelled DROP left it behind: its data are gone, and only DROP works. Never wanted.
    #[serde(default)]
    pub invalid: bool,
    /// Whether nornplan keeps a state in it, of whichever team. Never wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_state: bool,
    /// Declared extensions that must be there; observed: all but plpgsql, unknown when read shallowly.
    #[serde(default, deserialize_with = "names_or_map")]
    pub extensions: Option<BTreeMap<String, Extension>>,
    /// Privileges on the database of roles that have no declared grant, in words ("CONNECT to stranger"); none is
    /// wanted.
    #[serde(default)]
    pub strays: BTreeSet<String>,
    /// The same on schema public and by default on future objects, of PUBLIC too. Unknown when read shallowly.
    #[serde(default)]
    pub strays_inside: Option<BTreeSet<String>>,
    /// How many objects in it belong to others than the app's user and the migrator, by owner. None are wanted where
    /// they shall be adopted; elsewhere, and when read shallowly, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects_of_others: Option<BTreeMap<String, u64>>,
    /// Declared only, and never compared: whose objects the app uses by privileges, so that they may stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrator: Option<String>,
    /// Not compared: logins of the same app that were its user until now and own objects in it, which shall become the
    /// user's. Where there are any, only theirs count among [`Self::objects_of_others`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub former_users: BTreeSet<String>,
    /// What tells it from another of its name. Of what was read only; never compared, but a step is not carried out on
    /// another database than it was planned for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
}

impl Database {
    /// The fact beside it that tells of functions and operators in it, how many by schema.
    pub const ROUTINES: &str = "routines";

    /// Why it is no app's.
    pub const HOLDS_STATE: &str = "nornplan keeps a state in it";

    /// A database of which nothing but the owner is said: open to whom it is granted, without extensions.
    pub fn new(name: impl Into<String>, owner: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            owner: owner.into(),
            public: BTreeSet::new(),
            connection_limit: None,
            allow_connections: true,
            settings: BTreeMap::new(),
            encoding: None,
            locale: None,
            locale_provider: None,
            tablespace: None,
            invalid: false,
            holds_state: false,
            extensions: Some(BTreeMap::new()),
            strays: BTreeSet::new(),
            strays_inside: Some(BTreeSet::new()),
            objects_of_others: None,
            migrator: None,
            former_users: BTreeSet::new(),
            oid: None,
        }
    }
}

fn yes() -> bool {
    true
}

/// States that were written before extensions had versions hold a list of names.
fn names_or_map<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeMap<String, Extension>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Map(BTreeMap<String, Extension>),
        Names(BTreeSet<String>),
    }
    Ok(Option::<Either>::deserialize(from)?.map(|either| match either {
        Either::Map(map) => map,
        Either::Names(names) => names.into_iter().map(|name| (name, Extension::default())).collect(),
    }))
}

impl Resource for Database {
    fn fields(&self) -> Vec<Field> {
        let Self {
            name: _,
            owner,
            public,
            connection_limit,
            allow_connections,
            settings,
            encoding,
            locale,
            locale_provider,
            tablespace,
            invalid,
            holds_state,
            extensions,
            strays,
            strays_inside,
            objects_of_others,
            migrator: _,
            former_users: _,
            oid: _,
        } = self;
        let extensions = extensions.as_ref().map(|extensions| {
            extensions.iter().map(|(name, extension)| format!("{name}{extension}")).collect::<Vec<String>>()
        });
        vec![
            Field::new("owner", owner),
            Field::new("public", public),
            Field::new("connection_limit", connection_limit),
            Field::new("allow_connections", allow_connections),
            Field::new("settings", settings),
            Field::maybe("encoding", encoding.as_ref()),
            Field::maybe("locale", locale.as_ref()),
            Field::maybe("locale_provider", locale_provider.as_ref()),
            Field::maybe("tablespace", tablespace.as_ref()),
            Field::new("invalid", invalid),
            Field::new("holds_state", holds_state),
            Field::maybe("extensions", extensions),
            Field::new("strays", strays),
            Field::maybe("strays_inside", strays_inside.as_ref()),
            Field::maybe("objects_of_others", objects_of_others.as_ref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_read_as_it_is_written() {
        for words in ["hstore", "hstore 1.8", "hstore (schema ext)", "uuid-ossp 1.1 (schema My (own))"] {
            let (name, extension) = Extension::named(words);
            assert_eq!(format!("{name}{extension}"), words);
            assert!(!name.contains(' '));
        }
    }

    #[test]
    fn what_an_older_state_says_is_still_read() {
        let old = r#"{"name": "cafe", "owner": "cafe_owner", "public": [], "extensions": ["citext"]}"#;
        let mut expected = Database { strays_inside: None, ..Database::new("cafe", "cafe_owner") };
        expected.extensions = Some(BTreeMap::from([("citext".to_owned(), Extension::default())]));
        assert_eq!(serde_json::from_str::<Database>(old).unwrap(), expected);
        let again = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Database>(&again).unwrap(), expected);
        let unknown = r#"{"name": "cafe", "owner": "cafe_owner", "extensions": null}"#;
        assert_eq!(serde_json::from_str::<Database>(unknown).unwrap().extensions, None);
    }
}
