//! What things are called from now on: plans, states and observations before a rename, told in the names after it. Pure.

use super::postgres::model::Names;
use super::postgres::rename_server;
use super::{Model, Observation, ServiceId};
use crate::core::address::{APP, Address};
use crate::core::name::AppName;
use crate::secrets::model::{SECRET, secret_address};
use std::collections::BTreeMap;

/// New names by the old ones, of what servers can rename.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    postgres: Names,
    /// Of apps; what is published for an app is called as the app is.
    apps: BTreeMap<String, String>,
}

impl Renaming {
    /// Of what has another address from now on.
    pub fn of<'a>(moves: impl IntoIterator<Item = (&'a Address, &'a Address)>) -> Self {
        let mut renaming = Self::default();
        for (from, to) in moves {
            renaming.postgres.add(from, to);
            if from.kind == SECRET || from.kind == APP {
                renaming.apps.insert(from.name.clone(), to.name.clone());
            }
        }
        renaming
    }

    pub fn is_empty(&self) -> bool {
        self.postgres.is_empty() && self.apps.is_empty()
    }

    /// From the new names to the old ones.
    #[must_use]
    pub fn back(&self) -> Self {
        let apps = self.apps.iter().map(|(from, to)| (to.clone(), from.clone())).collect();
        Self { postgres: self.postgres.back(), apps }
    }

    pub fn address(&self, address: &Address) -> Address {
        match self.apps.get(&address.name).filter(|_| address.kind == SECRET) {
            Some(app) => secret_address(app),
            None => self.postgres.address(address),
        }
    }

    pub fn app(&self, app: &mut AppName) {
        if let Some(Ok(new)) = self.apps.get(app.as_str()).map(AppName::new) {
            *app = new;
        }
    }

    /// What is published names things as apps were told them, so that it stays.
    pub fn model(&self, model: &mut Model) {
        match model {
            Model::PostgresRole(role) => self.postgres.of_role(role),
            Model::PostgresDatabase(database) => self.postgres.of_database(database),
            Model::PostgresGrant(grant) => self.postgres.of_grant(grant),
            Model::PostgresLockDown(_)
            | Model::ValkeyUser(_)
            | Model::ValkeyDefaultUser(_)
            | Model::ValkeyPersistence(_)
            | Model::ValkeyKeys(_)
            | Model::KafkaUser(_)
            | Model::KafkaTopic(_)
            | Model::KafkaAcl(_)
            | Model::Secret(_) => {}
        }
    }

    /// Whether something is, or names, what gets another name.
    pub fn touches(&self, address: &Address, model: Option<&Model>) -> bool {
        let differs = |model: &Model| {
            let mut renamed = model.clone();
            self.model(&mut renamed);
            renamed != *model
        };
        self.address(address) != *address || model.is_some_and(differs)
    }

    /// Everything at an address, which has its app and its model in it. What gets a name wins over what has had it;
    /// what is published for an app under its new name is newer.
    pub fn all<T>(
        &self,
        all: BTreeMap<Address, T>,
        parts: impl Fn(&mut T) -> (Option<&mut AppName>, &mut Model),
    ) -> BTreeMap<Address, T> {
        let named = all.into_iter().map(|(address, one)| (self.address(&address), address, one));
        let (renamed, same): (Vec<_>, Vec<_>) = named.partition(|(to, from, _)| to != from);
        let (former, renamed): (Vec<_>, Vec<_>) = renamed.into_iter().partition(|(to, _, _)| to.kind == SECRET);
        former
            .into_iter()
            .chain(same)
            .chain(renamed)
            .map(|(to, _, mut one)| {
                let (app, model) = parts(&mut one);
                self.model(model);
                app.into_iter().for_each(|app| self.app(app));
                (to, one)
            })
            .collect()
    }

    /// What was read of a service.
    pub fn observation(&self, id: ServiceId, observation: &mut Observation) {
        if self.is_empty() {
            return;
        }
        observation.resources =
            self.all(std::mem::take(&mut observation.resources), |observed| (None, &mut observed.model));
        observation.unread =
            std::mem::take(&mut observation.unread).into_iter().map(|(at, why)| (self.address(&at), why)).collect();
        if id == ServiceId::Postgres {
            rename_server(observation, &self.postgres);
        }
    }
}
