//! What a run is about: all apps and services, or those that the user named.

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::{Applied, Wanted};
use crate::secrets::model::{Published, SECRET};
use crate::services::postgres::model::role_address;
use crate::services::{Model, ServiceId};
use crate::spec::model::Specs;
use crate::spec::template::{self, Piece};
use std::collections::{BTreeMap, BTreeSet};

/// `--app`, `--service`, `destroy` and `rotate`. What is outside is neither read, counted nor taken for missing.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Empty: all.
    pub apps: BTreeSet<AppName>,
    /// Empty: all.
    pub services: BTreeSet<ServiceId>,
    /// Apps that are taken as if they declared nothing.
    pub destroy: BTreeSet<AppName>,
    /// Apps whose credentials are set anew, on the services in scope.
    pub rotate: BTreeSet<AppName>,
}

impl Scope {
    pub fn has_app(&self, app: &AppName) -> bool {
        if app.is_workspace() {
            // Apps are destroyed; what protects the server for all is not.
            return self.apps.is_empty() && self.destroy.is_empty();
        }
        self.apps.is_empty() || self.apps.contains(app)
    }

    /// Secrets are always in scope: they follow what is done on the services.
    pub fn has_service(&self, service: ServiceId) -> bool {
        self.services.is_empty() || service == ServiceId::Secrets || self.services.contains(&service)
    }

    /// What the user narrowed the run to, for the plan's head.
    pub fn describe(&self) -> Vec<String> {
        let apps = self.apps.iter().map(|app| format!("--app {app}"));
        apps.chain(self.services.iter().map(|service| format!("--service {service}"))).collect()
    }

    /// Keeps what belongs to the apps in scope. `app` tells whose a resource is.
    pub fn narrow<T: Clone>(&self, of: &BTreeMap<Address, T>, app: impl Fn(&T) -> &AppName) -> BTreeMap<Address, T> {
        of.iter()
            .filter(|(address, one)| {
                self.has_app(app(one)) && ServiceId::of(address).is_some_and(|id| self.has_service(id))
            })
            .map(|(address, one)| (address.clone(), one.clone()))
            .collect()
    }

    /// The specs as this run takes them: without the apps to destroy, and without services out of scope.
    pub fn specs(&self, specs: &Specs) -> Specs {
        let mut specs = specs.clone();
        specs.apps.retain(|app, _| !self.destroy.contains(app));
        for app in specs.apps.values_mut() {
            let gone = |readers: &mut BTreeSet<AppName>| readers.retain(|reader| !self.destroy.contains(reader));
            if let Some(postgres) = &mut app.postgres {
                gone(&mut postgres.readers);
                gone(&mut postgres.writers);
            }
            if let Some(kv) = &mut app.kv {
                gone(&mut kv.readers);
            }
            if let Some(events) = &mut app.events {
                gone(&mut events.readers);
                gone(&mut events.writers);
                for topic in &mut events.topics {
                    gone(&mut topic.readers);
                    gone(&mut topic.writers);
                }
            }
            for (service, prefix) in
                [(ServiceId::Postgres, "pg."), (ServiceId::Valkey, "kv."), (ServiceId::Kafka, "kafka.")]
            {
                if !self.has_service(service) {
                    app.publish.retain(|_, template| !asks_for(template, prefix));
                }
            }
            app.postgres = app.postgres.take().filter(|_| self.has_service(ServiceId::Postgres));
            app.kv = app.kv.take().filter(|_| self.has_service(ServiceId::Valkey));
            app.events = app.events.take().filter(|_| self.has_service(ServiceId::Kafka));
        }
        specs
    }
}

/// Whether a `[publish]` template has a placeholder that begins so; escaped braces are none.
fn asks_for(template: &str, prefix: &str) -> bool {
    let asks = |piece: &Piece| matches!(piece, Piece::Placeholder(name) if name.starts_with(prefix));
    template::parse(template).is_ok_and(|pieces| pieces.iter().any(asks))
}

/// With `--service`, an app's published values of the other services stay as they were last applied, and its secret is
/// nobody's to remove while it owns anything on them.
///
/// `full` holds the secrets as they are wanted without narrowing by service, `all_applied` all that is ours.
pub fn keep_other_values(
    full: &BTreeMap<Address, Wanted<Model>>,
    wanted: &mut BTreeMap<Address, Wanted<Model>>,
    applied: &mut BTreeMap<Address, Applied<Model>>,
    all_applied: &BTreeMap<Address, Applied<Model>>,
) {
    for (address, one) in full {
        let (Model::Secret(full), Some(Model::Secret(last))) =
            (&one.model, applied.get(address).map(|last| &last.model))
        else {
            continue;
        };
        let kept = last.values.iter().filter(|(name, _)| full.values.contains_key(*name));
        let mut kept: BTreeMap<String, String> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(Model::Secret(narrowed)) = wanted.get(address).map(|one| &one.model) {
            kept.extend(narrowed.values.clone());
        }
        if !kept.is_empty() {
            let model = Model::Secret(Published { values: kept });
            wanted.insert(address.clone(), Wanted { app: one.app.clone(), model });
        }
    }
    let outside: BTreeSet<AppName> = all_applied
        .iter()
        .filter(|(address, _)| address.kind != SECRET && !applied.contains_key(*address))
        .map(|(_, one)| one.app.clone())
        .collect();
    applied
        .retain(|address, one| address.kind != SECRET || wanted.contains_key(address) || !outside.contains(&one.app));
}

/// With `--app`, what an app in scope declares may belong to one outside of it: that is not to be taken for nobody's.
pub fn take_from_others(
    all_applied: &BTreeMap<Address, Applied<Model>>,
    wanted: &BTreeMap<Address, Wanted<Model>>,
    applied: &mut BTreeMap<Address, Applied<Model>>,
) {
    for (address, last) in all_applied.iter().filter(|(address, _)| wanted.contains_key(*address)) {
        applied.entry(address.clone()).or_insert_with(|| last.clone());
    }
}

/// With `--app`, a role that goes takes along what it may do in the databases of other apps: it cannot be dropped else.
/// These grants then count as its own app's, so that they wait for the same consent.
pub fn take_grants_along(
    all_wanted: &BTreeMap<Address, Wanted<Model>>,
    all_applied: &BTreeMap<Address, Applied<Model>>,
    wanted: &BTreeMap<Address, Wanted<Model>>,
    applied: &mut BTreeMap<Address, Applied<Model>>,
) {
    let mut along = Vec::new();
    for (address, one) in all_applied {
        let Model::PostgresGrant(grant) = &one.model else { continue };
        let role = role_address(&grant.role);
        let goes = applied.get(&role).filter(|_| !wanted.contains_key(&role) && !all_wanted.contains_key(&role));
        if let (Some(role), None, None) = (goes, applied.get(address), all_wanted.get(address)) {
            along.push((address.clone(), Applied { app: role.app.clone(), model: one.model.clone() }));
        }
    }
    applied.extend(along);
}
