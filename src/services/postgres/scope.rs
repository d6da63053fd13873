//! What to look at: names and access levels, out of what is wanted and what is ours. Pure.

use super::model::{Access, DATABASE, GRANT, LOCK_DOWN, Op as Do, ROLE};
use crate::core::address::Address;
use crate::services::{Ask, Model, Op, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What roles shall be able to do with what is present.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// These four are columns of one table.
    pub role: Vec<String>,
    /// n for schemas, r for tables, S for sequences.
    pub kind: Vec<String>,
    pub privilege: Vec<String>,
    /// Whose objects; `None` is everybody's.
    pub owner: Vec<Option<String>>,
    /// Roles that shall have nothing more.
    pub exact: Vec<String>,
    /// Who makes objects: an administrator that is no superuser becomes a member of them when it must.
    pub makers: Vec<String>,
}

impl Needs {
    pub fn is_empty(&self) -> bool {
        self.role.is_empty() && self.exact.is_empty()
    }
}

/// One grant to look at.
#[derive(Clone, Debug)]
pub struct Pair {
    pub role: String,
    pub access: Access,
    /// Whose future objects are looked at.
    pub makers: BTreeSet<String>,
    pub schemas: BTreeSet<String>,
    pub tables: BTreeSet<String>,
    pub sequences: BTreeSet<String>,
}

impl Pair {
    /// What it shall be able to do with objects of a kind (n, r, S), from now on.
    pub fn wants(&self, kind: char) -> Option<&BTreeSet<String>> {
        match kind {
            'n' => Some(&self.schemas),
            'r' => Some(&self.tables),
            'S' => Some(&self.sequences),
            _ => None,
        }
    }
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
    /// The app's user of each database, or its owner where that is the same.
    pub users: BTreeMap<String, String>,
    /// Databases of the server's own that are to be closed.
    pub lock_downs: BTreeSet<String>,
    /// The declared owner of each database.
    pub owners: BTreeMap<String, String>,
    /// What a step takes from each database's strangers, in the words of its model.
    pub strays: BTreeMap<String, BTreeSet<String>>,
    /// Databases in which objects of others shall become the app's.
    pub adopting: BTreeSet<String>,
    /// Former users of the app whose objects, and nobody else's, shall become the app's.
    pub former_users: BTreeMap<String, BTreeSet<String>>,
    /// Who makes objects for the app's user, where it does not do so itself.
    pub migrators: BTreeMap<String, String>,
    /// Extensions that each database shall have.
    pub extensions: BTreeMap<String, BTreeSet<String>>,
    /// What is there as far as is known: where nobody looks it is not taken for gone.
    pub known: BTreeSet<Address>,
}

impl Scope {
    /// Of what is wanted and what is ours.
    pub fn of_ask(ask: &Ask) -> Self {
        let applied = ask.applied.iter().map(|(address, one)| (address, &one.model));
        let wanted = ask.wanted.iter().map(|(address, one)| (address, &one.model));
        Self { known: ask.applied.keys().cloned().collect(), ..Self::of(applied.chain(wanted)) }
    }

    /// `models` are by address, the ones that count most last.
    pub fn of<'a>(models: impl IntoIterator<Item = (&'a Address, &'a Model)>) -> Self {
        let mut scope = Self::default();
        let mut by_address: BTreeMap<&Address, &Model> = BTreeMap::new();
        let mut users: Vec<(&String, &String)> = Vec::new();
        for (address, model) in models {
            by_address.insert(address, model);
            // An older user of the same app has a grant as well: the last one counts.
            if let Model::PostgresGrant(grant) = model
                && grant.access == Some(Access::App)
            {
                users.push((&grant.database, &grant.role));
            }
            if let Model::PostgresDatabase(database) = model {
                let strays = database.strays.iter().chain(database.strays_inside.iter().flatten());
                scope.strays.entry(database.name.clone()).or_default().extend(strays.cloned());
            }
        }
        for (address, model) in by_address {
            if address.kind == ROLE {
                scope.roles.insert(address.name.clone());
            }
            if address.kind == DATABASE {
                scope.databases.insert(address.name.clone());
                scope.managed.insert(address.name.clone());
            }
            if address.kind == LOCK_DOWN {
                scope.lock_downs.insert(address.name.clone());
            }
            if let Model::PostgresDatabase(database) = model {
                scope.owners.insert(database.name.clone(), database.owner.clone());
                scope.adopting.extend(database.objects_of_others.as_ref().map(|_| database.name.clone()));
                if !database.former_users.is_empty() {
                    scope.former_users.insert(database.name.clone(), database.former_users.clone());
                }
                let extensions = database.extensions.iter().flat_map(BTreeMap::keys).cloned().collect();
                scope.extensions.insert(database.name.clone(), extensions);
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
                makers: grant.makers.clone().unwrap_or_default(),
                schemas: grant.future_schemas.clone().unwrap_or_default(),
                tables: grant.future_tables.clone().unwrap_or_default(),
                sequences: grant.future_sequences.clone().unwrap_or_default(),
            });
        }
        // Where nothing is wanted beside what was applied, that says who is one no longer.
        users
            .retain(|(database, role)| !scope.former_users.get(*database).is_some_and(|former| former.contains(*role)));
        scope.users.extend(users.into_iter().map(|(database, role)| (database.clone(), role.clone())));
        for (database, owner) in &scope.owners {
            scope.users.entry(database.clone()).or_insert_with(|| owner.clone());
        }
        scope
    }

    /// The same of steps that are about to be carried out; those on databases name the app's user.
    pub fn of_steps<'a>(steps: impl IntoIterator<Item = &'a Step, IntoIter: Clone>) -> Self {
        let steps = steps.into_iter();
        let ends = |step: &'a Step| step.before.iter().chain(&step.after).map(move |model| (&step.address, model));
        let mut scope = Self::of(steps.clone().flat_map(ends));
        let granted = scope.grants.iter().filter(|(_, pairs)| pairs.iter().any(|pair| pair.access == Access::App));
        let mut told: BTreeSet<String> = granted.map(|(database, _)| database.clone()).collect();
        for step in steps {
            scope.known.extend(step.before.as_ref().map(|_| step.address.clone()));
            if let (Op::Postgres(Do::AlterDatabase { user, .. }), Some(Model::PostgresDatabase(database))) =
                (&step.op, &step.after)
            {
                scope.set_user(&database.name, user);
                told.insert(database.name.clone());
            }
        }
        // Where nobody tells who the app's user is, nobody knows which objects are others'.
        scope.adopting.retain(|database| told.contains(database));
        scope
    }

    /// Says who the app's user of a database is, if anybody.
    pub fn set_user(&mut self, database: &str, user: &str) {
        if !user.is_empty() {
            self.users.insert(database.to_owned(), user.to_owned());
        }
    }

    /// All roles to read.
    pub fn all_roles(&self) -> BTreeSet<String> {
        let makers = self.grants.values().flatten().flat_map(|pair| &pair.makers);
        self.roles.iter().chain(&self.grantees).chain(makers).cloned().collect()
    }

    /// Who makes objects in a database: the app's user, its migrator, the declared owner.
    pub fn makers(&self, database: &str) -> BTreeSet<&str> {
        let pairs = || self.grants.get(database).into_iter().flatten();
        let own = pairs().filter(|pair| !pair.access.is_exact()).map(|pair| &pair.role);
        let makers = own.chain(pairs().flat_map(|pair| &pair.makers));
        makers.chain(self.users.get(database)).chain(self.owners.get(database)).map(String::as_str).collect()
    }

    /// The app's user of a database; nobody if nothing says so.
    pub fn user(&self, database: &str) -> &str {
        self.users.get(database).map_or("", String::as_str)
    }

    /// Whose objects in a database are the app's, or as good as that.
    pub fn insiders(&self, database: &str) -> Vec<String> {
        let migrator = self.migrators.get(database).into_iter();
        migrator.chain(self.users.get(database)).cloned().collect()
    }

    /// Whether objects of an owner shall become the app's, in a database where any shall.
    pub fn adopts(&self, database: &str, owner: &str) -> bool {
        self.former_users.get(database).is_none_or(|formers| formers.contains(owner))
    }

    /// What the readers and writers of a database shall be able to do with what is present.
    pub fn needs(&self, database: &str) -> Needs {
        let mut needs = Needs::default();
        needs.makers.extend(self.makers(database).into_iter().map(str::to_owned));
        for pair in self.grants.get(database).into_iter().flatten() {
            let exact = pair.access.is_exact();
            needs.exact.extend(exact.then(|| pair.role.clone()));
            let owners: Vec<Option<String>> =
                if exact { vec![None] } else { pair.makers.iter().cloned().map(Some).collect() };
            for (kind, privileges) in [("n", &pair.schemas), ("r", &pair.tables), ("S", &pair.sequences)] {
                for (privilege, owner) in privileges.iter().flat_map(|one| owners.iter().map(move |owner| (one, owner)))
                {
                    needs.role.push(pair.role.clone());
                    needs.kind.push(kind.to_owned());
                    needs.privilege.push(privilege.clone());
                    needs.owner.push(owner.clone());
                }
            }
        }
        needs
    }
}
