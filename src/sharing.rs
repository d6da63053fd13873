//! Two checkouts that share one state, each narrowed by `--app` to its own apps: what an app of the one lets an app of the
//! other read on Valkey and Kafka stands in the reader's user, which only the reader's checkout declares. Neither takes
//! away there what the other has given, and each gives and takes what its own apps say. Pure.

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::scope::Scope;
use crate::services::Model;
use crate::services::kafka::model::{Acl, Binding};
use crate::services::valkey::model::User;
use crate::spec::model::Specs;
use std::collections::{BTreeMap, BTreeSet};

/// Whose names are whose, of what can be shared on Valkey and Kafka.
struct Owners {
    /// Namespaces with their database numbers.
    namespaces: BTreeSet<(String, u32)>,
    topics: BTreeSet<String>,
    prefixes: BTreeSet<String>,
}

impl Owners {
    fn of(specs: &Specs, is: impl Fn(&AppName) -> bool) -> Self {
        let apps = || specs.apps.values().filter(|app| is(&app.name));
        let events = || apps().filter_map(|app| app.events.as_ref());
        Self {
            namespaces: apps()
                .filter_map(|app| Some((app.kv.as_ref()?.namespace.clone()?, app.kv.as_ref()?.db)))
                .collect(),
            topics: events().flat_map(|events| events.topics.iter().map(|topic| topic.name.clone())).collect(),
            prefixes: events().filter_map(|events| events.prefix.clone()).collect(),
        }
    }

    fn has(&self, binding: &Binding) -> bool {
        let names = if binding.prefixed { &self.prefixes } else { &self.topics };
        binding.resource == "topic" && names.contains(&binding.name)
    }

    /// What a user may read of these owners.
    fn reads(&self, user: &User) -> BTreeMap<String, u32> {
        let all = user.reads.iter().flatten();
        let theirs = all.filter(|(name, db)| self.namespaces.contains(&((*name).clone(), **db)));
        theirs.map(|(name, db)| (name.clone(), *db)).collect()
    }

    fn bindings(&self, acl: &Acl) -> BTreeSet<Binding> {
        acl.bindings.iter().filter(|binding| self.has(binding)).cloned().collect()
    }

    /// The first with what these owners share with it as the second has it.
    fn as_in(&self, one: &Model, other: Option<&Model>) -> Option<Model> {
        match (one, other) {
            (Model::ValkeyUser(user), other) => {
                let given = match other {
                    Some(Model::ValkeyUser(other)) => self.reads(other),
                    Some(_) | None => BTreeMap::new(),
                };
                let taken = self.reads(user);
                let mut reads = user.reads.clone().unwrap_or_default();
                reads.retain(|name, _| !taken.contains_key(name));
                reads.extend(given);
                (user.reads.as_ref() != Some(&reads)).then(|| {
                    let mut changed = user.clone();
                    changed.reads = Some(reads);
                    Model::ValkeyUser(changed)
                })
            }
            (Model::KafkaAcl(acl), other) => {
                let given = match other {
                    Some(Model::KafkaAcl(other)) => self.bindings(other),
                    Some(_) | None => BTreeSet::new(),
                };
                let bindings = acl.bindings.iter().filter(|binding| !self.has(binding)).cloned().chain(given).collect();
                let changed = Acl { principal: acl.principal.clone(), bindings };
                (changed != *acl).then_some(Model::KafkaAcl(changed))
            }
            (_, _) => None,
        }
    }
}

/// Settles what is shared between apps in scope and apps that only the state knows. `all_wanted` is of all of them.
pub fn settle(
    scope: &Scope,
    specs: &Specs,
    all_wanted: &BTreeMap<Address, Wanted<Model>>,
    all_applied: &BTreeMap<Address, Applied<Model>>,
    wanted: &mut BTreeMap<Address, Wanted<Model>>,
    applied: &mut BTreeMap<Address, Applied<Model>>,
) {
    if specs.only_in_state.is_empty() {
        return;
    }
    let theirs = Owners::of(specs, |app| specs.only_in_state.contains(app));
    for (address, one) in wanted.iter_mut() {
        // What they gave to one of ours.
        if let Some(kept) = theirs.as_in(&one.model, all_applied.get(address).map(|last| &last.model)) {
            one.model = kept;
        }
    }
    let ours = Owners::of(specs, |app| scope.has_app(app) && !specs.only_in_state.contains(app));
    for (address, last) in all_applied.iter().filter(|(_, last)| specs.only_in_state.contains(&last.app)) {
        // What ours give to one of theirs, or gave.
        if let Some(model) = ours.as_in(&last.model, all_wanted.get(address).map(|one| &one.model)) {
            wanted.insert(address.clone(), Wanted { app: last.app.clone(), model: without_facts(model) });
            applied.insert(address.clone(), last.clone());
        }
    }
}

/// A model as it is declared: what follows from the server's version is filled in anew.
fn without_facts(model: Model) -> Model {
    let Model::ValkeyUser(user) = model else { return model };
    Model::ValkeyUser(User { keys: None, channels: None, databases: None, commands: None, selectors: None, ..user })
}
