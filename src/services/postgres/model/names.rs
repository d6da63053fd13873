//! What databases and roles are called from now on, wherever they are named.

use super::{
    DATABASE, Database, Dependent, GRANT, Grant, Place, ROLE, Role, database_address, grant_address, role_address,
};
use crate::core::address::Address;
use std::collections::{BTreeMap, BTreeSet};

/// New names by the old ones. No name is both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub databases: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
}

impl Names {
    /// Adds one that has another address from now on. What is neither a database nor a role has no name of its own here.
    pub fn add(&mut self, from: &Address, to: &Address) {
        let names = match &from.kind {
            kind if *kind == DATABASE => &mut self.databases,
            kind if *kind == ROLE => &mut self.roles,
            _ => return,
        };
        names.insert(from.name.clone(), to.name.clone());
    }

    pub fn is_empty(&self) -> bool {
        self.databases.is_empty() && self.roles.is_empty()
    }

    /// Old names by the new ones.
    #[must_use]
    pub fn back(&self) -> Self {
        let turn =
            |names: &BTreeMap<String, String>| names.iter().map(|(from, to)| (to.clone(), from.clone())).collect();
        Self { databases: turn(&self.databases), roles: turn(&self.roles) }
    }

    pub fn database(&self, name: &mut String) {
        replace(&self.databases, name);
    }

    pub fn role(&self, name: &mut String) {
        replace(&self.roles, name);
    }

    pub fn address(&self, address: &Address) -> Address {
        let mut name = address.name.clone();
        match &address.kind {
            kind if *kind == DATABASE => {
                self.database(&mut name);
                database_address(&name)
            }
            kind if *kind == ROLE => {
                self.role(&mut name);
                role_address(&name)
            }
            kind if *kind == GRANT => self.grant_address(address),
            _ => address.clone(),
        }
    }

    /// A slash may be in either name, so that the one that is known says where the address parts.
    fn grant_address(&self, address: &Address) -> Address {
        let databases = self.databases.keys().filter(|name| address.name.strip_prefix(*name).is_some_and(is_rest));
        let database = databases.max_by_key(|name| name.len());
        let roles =
            self.roles.keys().filter(|name| address.name.strip_suffix(*name).is_some_and(|rest| rest.ends_with('/')));
        let role = roles.max_by_key(|name| name.len());
        let (mut front, mut back) = match (database, role) {
            (Some(database), _) => {
                (database.clone(), address.name.get(database.len() + 1..).unwrap_or_default().to_owned())
            }
            (None, Some(role)) => {
                let end = address.name.len().saturating_sub(role.len() + 1);
                (address.name.get(..end).unwrap_or_default().to_owned(), role.clone())
            }
            (None, None) => return address.clone(),
        };
        self.database(&mut front);
        self.role(&mut back);
        grant_address(&front, &back)
    }

    pub fn of_role(&self, role: &mut Role) {
        let Role {
            name,
            login: _,
            connection_limit: _,
            attributes: _,
            settings: _,
            credential: _,
            valid_until: _,
            member_of,
            members,
            settings_in_databases,
        } = role;
        self.role(name);
        [member_of, members].into_iter().flatten().for_each(|roles| self.set(roles));
        settings_in_databases.iter_mut().for_each(|settings| rekey(&self.databases, settings));
    }

    pub fn of_database(&self, database: &mut Database) {
        let Database {
            name,
            owner,
            public: _,
            connection_limit: _,
            allow_connections: _,
            settings: _,
            encoding: _,
            locale: _,
            locale_provider: _,
            tablespace: _,
            invalid: _,
            holds_state: _,
            extensions: _,
            strays,
            strays_inside,
            objects_of_others,
            migrator,
            former_users,
            oid: _,
        } = database;
        self.database(name);
        self.role(owner);
        migrator.iter_mut().for_each(|role| self.role(role));
        objects_of_others.iter_mut().for_each(|owners| rekey(&self.roles, owners));
        self.set(former_users);
        self.words(strays);
        strays_inside.iter_mut().for_each(|strays| self.words(strays));
    }

    pub fn of_grant(&self, grant: &mut Grant) {
        let Grant {
            database,
            role,
            access: _,
            makers,
            outside: _,
            database_privileges: _,
            schema_privileges: _,
            future_schemas: _,
            future_tables: _,
            future_sequences: _,
            present_objects: _,
            beyond: _,
        } = grant;
        self.database(database);
        self.role(role);
        makers.iter_mut().for_each(|makers| self.set(makers));
    }

    pub fn of_dependent(&self, dependent: &mut Dependent) {
        match &mut dependent.place {
            Place::Inside { database, count: _ } | Place::Database(database) => self.database(database),
            Place::Shared(_) => {}
        }
    }

    fn set(&self, roles: &mut BTreeSet<String>) {
        *roles = std::mem::take(roles)
            .into_iter()
            .map(|mut role| {
                self.role(&mut role);
                role
            })
            .collect();
    }

    /// Privileges in words end with who has them: `CONNECT to stranger`.
    fn words(&self, strays: &mut BTreeSet<String>) {
        let renamed = |words: String| {
            let renamed = self.roles.iter().find_map(|(from, to)| {
                let front = words.strip_suffix(from)?;
                front.ends_with(" to ").then(|| format!("{front}{to}"))
            });
            renamed.unwrap_or(words)
        };
        *strays = std::mem::take(strays).into_iter().map(renamed).collect();
    }
}

fn is_rest(rest: &str) -> bool {
    rest.starts_with('/')
}

fn replace(names: &BTreeMap<String, String>, name: &mut String) {
    if let Some(new) = names.get(name) {
        name.clone_from(new);
    }
}

/// Gives the keys of a map their new names.
pub fn rekey<T>(names: &BTreeMap<String, String>, map: &mut BTreeMap<String, T>) {
    *map = std::mem::take(map)
        .into_iter()
        .map(|(mut name, value)| {
            replace(names, &mut name);
            (name, value)
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_renamed_by_either_of_its_ends() {
        let mut names = Names::default();
        names.add(&database_address("old"), &database_address("new"));
        names.add(&role_address("cafe_user"), &role_address("bar_user"));
        let cases = [
            (grant_address("old", "cafe_user"), grant_address("new", "bar_user")),
            (grant_address("old", "other"), grant_address("new", "other")),
            (grant_address("older", "cafe_user"), grant_address("older", "bar_user")),
            (grant_address("a/b", "cafe_user"), grant_address("a/b", "bar_user")),
            (grant_address("old", "a/b"), grant_address("new", "a/b")),
            (grant_address("older", "other"), grant_address("older", "other")),
            (database_address("old"), database_address("new")),
            (database_address("cafe_user"), database_address("cafe_user")),
            (role_address("cafe_user"), role_address("bar_user")),
            (role_address("old"), role_address("old")),
        ];
        for (before, after) in cases {
            assert_eq!(names.address(&before), after);
            assert_eq!(names.back().address(&after), before);
        }
    }

    #[test]
    fn a_name_is_another_wherever_it_stands() {
        let mut names = Names::default();
        names.add(&database_address("old"), &database_address("new"));
        names.add(&role_address("a"), &role_address("b"));
        let mut database = Database {
            migrator: Some("a".to_owned()),
            strays: BTreeSet::from(["CONNECT to a".to_owned(), "CONNECT to aa".to_owned()]),
            objects_of_others: Some(BTreeMap::from([("a".to_owned(), 3)])),
            ..Database::new("old", "a")
        };
        let before = database.clone();
        names.of_database(&mut database);
        assert_eq!((database.name.as_str(), database.owner.as_str()), ("new", "b"));
        assert_eq!(database.strays, BTreeSet::from(["CONNECT to b".to_owned(), "CONNECT to aa".to_owned()]));
        assert_eq!(database.objects_of_others, Some(BTreeMap::from([("b".to_owned(), 3)])));
        names.back().of_database(&mut database);
        assert_eq!(database, before);
    }
}
