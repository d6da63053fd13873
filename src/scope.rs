//! What a run is about: all apps and services, or those that the user named.

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::services::{Model, ServiceId};
use crate::spec::model::Specs;
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
            for (service, placeholder) in
                [(ServiceId::Postgres, "{pg."), (ServiceId::Valkey, "{kv."), (ServiceId::Kafka, "{kafka.")]
            {
                if !self.has_service(service) {
                    app.publish.retain(|_, template| !template.contains(placeholder));
                }
            }
            app.postgres = app.postgres.take().filter(|_| self.has_service(ServiceId::Postgres));
            app.kv = app.kv.take().filter(|_| self.has_service(ServiceId::Valkey));
            app.events = app.events.take().filter(|_| self.has_service(ServiceId::Kafka));
        }
        specs
    }
}

/// With `--service`, an app's published values of the other services stay as they were last applied.
pub fn keep_other_values(scope: &Scope, full: &Model, narrowed: &mut Model, last: Option<&Model>) {
    if let (false, Model::Secret(full), Model::Secret(narrowed), Some(Model::Secret(last))) =
        (scope.services.is_empty(), full, narrowed, last)
    {
        for (name, value) in &last.values {
            if full.values.contains_key(name) {
                narrowed.values.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}
