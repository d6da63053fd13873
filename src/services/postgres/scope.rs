//! What to look at: names and access levels, out of what is wanted and what is ours. Pure.

use super::model::{Access, DATABASE, GRANT, ROLE};
use crate::core::address::Address;
use crate::services::Model;
use std::collections::{BTreeMap, BTreeSet};

/// What roles shall be able to do with what is present: three columns of one table.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    pub role: Vec<String>,
    /// r or S.
    pub kind: Vec<String>,
    pub privilege: Vec<String>,
}

/// One grant to look at.
#[derive(Clone, Debug)]
pub struct Pair {
    pub role: String,
    pub access: Access,
    pub tables: BTreeSet<String>,
    pub sequences: BTreeSet<String>,
}

/// Everything to look at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub roles: BTreeSet<String>,
    /// Roles that have a grant, resources or not.
    pub grantees: BTreeSet<String>,
    pub databases: BTreeSet<String>,
    /// Databases that are resources, and not only the place of a grant.
    pub managed: BTreeSet<String>,
    pub grants: BTreeMap<String, Vec<Pair>>,
    /// Whose new tables each database's readers shall be able to read.
    pub creators: BTreeMap<String, String>,
    /// Databases in which objects of others shall become the app's.
    pub adopting: BTreeSet<String>,
    /// Who else may own objects in a database.
    pub migrators: BTreeMap<String, String>,
}

impl Scope {
    /// `models` are by address, the ones that count most last.
    pub fn of<'a>(models: impl IntoIterator<Item = (&'a Address, &'a Model)>) -> Self {
        let models: Vec<(&Address, &Model)> = models.into_iter().collect();
        let mut scope = Self::default();
        for (_, model) in &models {
            if let Model::PostgresGrant(grant) = model
                && grant.access == Some(Access::App)
            {
                scope.creators.insert(grant.database.clone(), grant.role.clone());
            }
        }
        let by_address: BTreeMap<&Address, &Model> = models.into_iter().collect();
        let mut owners = BTreeMap::new();
        for (address, model) in by_address {
            if address.kind == ROLE {
                scope.roles.insert(address.name.clone());
            }
            if address.kind == DATABASE {
                scope.databases.insert(address.name.clone());
                scope.managed.insert(address.name.clone());
            }
            if let Model::PostgresDatabase(database) = model {
                owners.insert(database.name.clone(), database.owner.clone());
                scope.adopting.extend(database.objects_of_others.as_ref().map(|_| database.name.clone()));
                scope.migrators.extend(database.migrator.clone().map(|role| (database.name.clone(), role)));
            }
            let Model::PostgresGrant(grant) = model else { continue };
            if address.kind != GRANT {
                continue;
            }
            scope.databases.insert(grant.database.clone());
            scope.grantees.insert(grant.role.clone());
            let access = grant.access.unwrap_or(Access::Readonly);
            scope.grants.entry(grant.database.clone()).or_default().push(Pair {
                role: grant.role.clone(),
                access,
                tables: grant.future_tables.clone().unwrap_or_default(),
                sequences: grant.future_sequences.clone().unwrap_or_default(),
            });
        }
        for (database, owner) in owners {
            scope.creators.entry(database).or_insert(owner);
        }
        scope
    }

    /// All roles to read.
    pub fn all_roles(&self) -> BTreeSet<String> {
        self.roles.union(&self.grantees).cloned().collect()
    }

    /// Who makes the tables of a database; nobody if nothing says so.
    pub fn creator(&self, database: &str) -> &str {
        self.creators.get(database).map_or("", String::as_str)
    }

    /// Whose objects in a database are the app's, or as good as that.
    pub fn insiders(&self, database: &str) -> Vec<String> {
        let migrator = self.migrators.get(database).into_iter();
        migrator.chain(self.creators.get(database)).cloned().collect()
    }

    /// What the readers and writers of a database shall be able to do with what is present.
    pub fn needs(&self, database: &str) -> Needs {
        let mut needs = Needs::default();
        for pair in self.grants.get(database).into_iter().flatten().filter(|pair| pair.access != Access::App) {
            for (kind, privileges) in [("r", &pair.tables), ("S", &pair.sequences)] {
                for privilege in privileges {
                    needs.role.push(pair.role.clone());
                    needs.kind.push(kind.to_owned());
                    needs.privilege.push(privilege.clone());
                }
            }
        }
        needs
    }
}
