//! What the server is and what nornplan may do on it, as far as a plan depends on it. Pure.

use super::model::{Dependent, Names, PassedOn, THROUGH_PUBLIC, belongings, rekey};
use crate::services::Observation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// From here on CREATEROLE reaches only roles that one has ADMIN on.
const ADMIN_OPTION_COUNTS: u32 = 160_000;

/// Facts that decide what can be planned. They travel in [`Observation::server`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Such as 150018 for 15.18; 0 is unknown.
    pub version_number: u32,
    /// What is known of the role that nornplan signs in with.
    pub admin: Admin,
    /// How it stands to the roles that a plan may touch; those that do not exist are left out.
    pub roles: BTreeMap<String, Standing>,
    /// Who owns each database that a plan may touch.
    pub owners: BTreeMap<String, String>,
    /// What databases can have here; read only where one is wanted.
    pub offered: Option<Offered>,
    /// What it knows of settings; read only where some are declared or there.
    pub parameters: Option<Parameters>,
    /// Roles that were asked for and do not exist.
    pub absent_roles: BTreeSet<String>,
    /// Why databases cannot be dumped here, looked for only where one is to be dropped.
    pub cannot_dump: Option<String>,
    /// The newest snapshot of each database that was ours and is gone: the file's name in the directory of snapshots.
    pub snapshots: BTreeMap<String, String>,
    /// Databases that do not let us in though they let in others, and why.
    pub closed_to_us: BTreeMap<String, String>,
}

/// The role that nornplan signs in with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Admin {
    pub name: String,
    pub superuser: bool,
    pub createrole: bool,
    pub createdb: bool,
}

/// How the role that nornplan signs in with stands to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// It has the other's privileges.
    pub member: bool,
    /// It may pass on membership of the other.
    pub admin_option: bool,
    /// The other is a superuser.
    pub superuser: bool,
    /// The other has REPLICATION or BYPASSRLS, which before 16 took a superuser to change it.
    pub privileged: bool,
}

/// What the server offers to databases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offered {
    /// Every extension whose files are on the server.
    pub names: BTreeSet<String>,
    /// Those that are declared, and what they require.
    pub extensions: BTreeMap<String, Package>,
    pub tablespaces: BTreeSet<String>,
    /// Those of them in which we may not create anything.
    pub denied_tablespaces: BTreeSet<String>,
    /// Whether the server was built with ICU.
    pub icu: bool,
}

/// The files of one extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Package {
    pub default_version: Option<String>,
    pub versions: BTreeMap<String, Version>,
    /// From which version to which there is an update; unknown where no version is declared.
    pub updates: Option<BTreeSet<(String, String)>>,
}

/// One version of an extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Whether only a superuser may create it, unless it is trusted.
    pub superuser: bool,
    pub trusted: bool,
    /// Whether it can be moved to another schema later.
    pub relocatable: bool,
    /// The one schema that it can be in, if there is one.
    pub schema: Option<String>,
    pub requires: BTreeSet<String>,
}

/// What the server knows of its settings. All names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// All that we are shown.
    pub names: BTreeSet<String>,
    /// More of those that are declared or there.
    pub known: BTreeMap<String, Parameter>,
    /// Which of these exist, whether or not we are shown them.
    pub existing: BTreeSet<String>,
    /// Which of these we may set; superusers may set all.
    pub settable: BTreeSet<String>,
}

/// One setting, in the words of `pg_settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    /// bool, enum, integer, real or string.
    pub kind: String,
    /// What a bare number counts: `8kB`, `ms`.
    pub unit: Option<String>,
    /// Who may set it, and when.
    pub context: String,
    pub min: Option<String>,
    pub max: Option<String>,
    /// What is documented of an enum; the server takes some more words.
    pub choices: Vec<String>,
}

impl Server {
    /// The facts of an observation; nothing is known of one that says nothing.
    pub fn of(observation: &Observation) -> Self {
        serde_json::from_value(observation.server.clone()).unwrap_or_default()
    }

    /// Whether CREATEROLE alone reaches no role that others made.
    pub fn admin_option_counts(&self) -> bool {
        self.version_number >= ADMIN_OPTION_COUNTS
    }

    /// The same server to a superuser.
    pub fn assume_superuser(&mut self) {
        self.admin.superuser = true;
        if let Some(offered) = &mut self.offered {
            offered.denied_tablespaces.clear();
        }
    }

    /// The same server to one who may make roles and databases, and in all else is as we are.
    pub fn assume_maker(&mut self) {
        self.admin.createrole = true;
        self.admin.createdb = true;
    }
}

/// Tells the facts of an observation in other names.
pub fn rename(observation: &mut Observation, names: &Names) {
    let mut server = Server::of(observation);
    rekey(&names.roles, &mut server.roles);
    rekey(&names.databases, &mut server.owners);
    server.owners.values_mut().for_each(|owner| names.role(owner));
    rekey(&names.databases, &mut server.closed_to_us);
    observation.server = serde_json::to_value(server).unwrap_or_default();
    observation.resources.values_mut().for_each(|there| rename_facts(&mut there.facts, names));
}

/// The same for what was read of one resource beside its model.
fn rename_facts(facts: &mut BTreeMap<String, Value>, names: &Names) {
    for (fact, value) in facts {
        match (fact.as_str(), value) {
            (belongings::FACT | PassedOn::FACT | THROUGH_PUBLIC, Value::Object(by_role)) => {
                let told = std::mem::take(by_role).into_iter().map(|(mut role, told)| {
                    names.role(&mut role);
                    (role, told)
                });
                *by_role = told.collect();
            }
            (Dependent::FACT, value) => {
                let mut dependents: Vec<Dependent> = serde_json::from_value(value.take()).unwrap_or_default();
                dependents.iter_mut().for_each(|one| names.of_dependent(one));
                *value = serde_json::to_value(dependents).unwrap_or_default();
            }
            (_, _) => {}
        }
    }
}
