//! Apps that only the state knows: another checkout has their infraspecs, and a run that is narrowed by `--app` leaves them
//! alone. What they have taken is taken here too, and they can be let in. Pure.

use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::reconcile::Applied;
use crate::services::Model;
use crate::services::kafka::model::Acl;
use crate::services::postgres::model::Credential;
use crate::spec::claims::{Claim, Claims};
use crate::spec::model::{App, Database, Events, Kv, Postgres, Topic};
use crate::spec::names::Named;
use crate::spec::node::Located;
use crate::spec::overlap::Loaded;
use crate::spec::source::{Source, Spot};
use std::collections::{BTreeMap, BTreeSet};

/// Makes an app of what was last applied for it: its names, and nothing of how they are set up.
pub fn apps(applied: &BTreeMap<Address, Applied<Model>>) -> Vec<Loaded> {
    let mut models: BTreeMap<&AppName, Vec<&Model>> = BTreeMap::new();
    for one in applied.values().filter(|one| !one.app.is_workspace()) {
        models.entry(&one.app).or_default().push(&one.model);
    }
    models.into_iter().map(|(name, models)| app(name, &models)).collect()
}

fn app(name: &AppName, models: &[&Model]) -> Loaded {
    let source = Source::elsewhere("in the state, with no infraspec here");
    let spot = Spot::new(&source, 0);
    let app = App {
        name: name.clone(),
        place: spot.place(),
        postgres: postgres(models),
        kv: kv(models),
        events: events(name, models),
        publish: BTreeMap::new(),
        prevent_destroy: None,
    };
    let claims = Claims {
        claims: claims(&app).into_iter().map(|(named, name)| claim(named, name, &spot)).collect(),
        internal_topics: app.events.as_ref().filter(|events| events.internal_topics).map(|_| spot.clone()),
        ..Claims::default()
    };
    Loaded { app, claims, name: Located::new(name.clone(), spot), only_in_state: true }
}

fn claim(named: Named, name: String, spot: &Spot) -> Claim {
    Claim { named, name, spot: spot.clone(), derived: None }
}

fn claims(app: &App) -> Vec<(Named, String)> {
    let mut claims = Vec::new();
    if let Some(postgres) = &app.postgres {
        let roles: BTreeSet<&String> = [&postgres.user, &postgres.owner].into();
        claims.extend(roles.into_iter().map(|role| (Named::Role, role.clone())));
        claims.extend(postgres.databases.iter().map(|database| (Named::Database, database.name.clone())));
    }
    if let Some(kv) = &app.kv {
        claims.push((Named::KvUser, kv.user.clone()));
        claims.extend(kv.namespace.iter().map(|namespace| (Named::Namespace, namespace.clone())));
    }
    if let Some(events) = &app.events {
        claims.push((Named::KafkaUser, events.user.clone()));
        claims.extend(events.topics.iter().map(|topic| (Named::Topic, topic.name.clone())));
        claims.extend(events.prefix.iter().map(|prefix| (Named::Prefix, prefix.clone())));
        claims.extend(events.groups.iter().map(|group| (Named::Group, group.clone())));
        claims.extend(events.transactional_ids.iter().map(|id| (Named::TransactionalId, id.clone())));
    }
    claims
}

fn postgres(models: &[&Model]) -> Option<Postgres> {
    let user = models.iter().find_map(|model| {
        let Model::PostgresRole(role) = model else { return None };
        role.login.then(|| role.name.clone())
    })?;
    let databases = models
        .iter()
        .filter_map(|model| if let Model::PostgresDatabase(database) = model { Some(database) } else { None });
    let owner = databases.clone().next().map_or_else(|| user.clone(), |database| database.owner.clone());
    Some(Postgres {
        databases: databases.map(|one| Database { name: one.name.clone(), ..Database::default() }).collect(),
        user,
        owner,
        connection_limit: None,
        settings: BTreeMap::new(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
        grants: BTreeMap::new(),
        migrator: None,
        adopt_objects: false,
        credential: Credential::Keep,
    })
}

fn kv(models: &[&Model]) -> Option<Kv> {
    let user = models.iter().find_map(|model| if let Model::ValkeyUser(user) = model { Some(user) } else { None })?;
    Some(Kv {
        namespace: user.namespace.clone(),
        user: user.name.clone(),
        access: user.access.unwrap_or_default(),
        db: user.db.unwrap_or_default(),
        shared: false,
        commands: Vec::new(),
        keys: BTreeSet::new(),
        channels: BTreeSet::new(),
        readers: BTreeSet::new(),
        credential: Credential::Keep,
        on_destroy: crate::services::valkey::model::OnDestroy::default(),
    })
}

fn events(app: &AppName, models: &[&Model]) -> Option<Events> {
    let topics: Vec<Topic> = models.iter().filter_map(|model| topic(model)).collect();
    let rights = models.iter().find_map(|model| if let Model::KafkaAcl(acl) = model { Some(acl) } else { None });
    let user = models.iter().find_map(|model| if let Model::KafkaUser(user) = model { Some(&user.name) } else { None });
    let named = user.or_else(|| rights.map(|acl| &acl.principal)).cloned();
    if topics.is_empty() && named.is_none() {
        return None;
    }
    let names = |resource: &str, prefixed: bool, operation: &str| names(rights, resource, prefixed, operation);
    let own = |name: &String| name == app.as_str() || *name == format!("{app}.");
    let internal = format!("{app}.");
    Some(Events {
        topics,
        user: named.unwrap_or_else(|| app.to_string()),
        // Only of its own topics may an app see the configs; under its name it makes some by itself.
        prefix: names("topic", true, "describe_configs").into_iter().find(|name| *name != internal),
        groups: names("group", false, "read").into_iter().filter(|name| !own(name)).collect(),
        transactional_ids: names("transactional_id", false, "write").into_iter().filter(|name| !own(name)).collect(),
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
        external: BTreeSet::new(),
        internal_topics: names("topic", true, "create").contains(&internal),
        credential: Credential::Keep,
    })
}

fn topic(model: &Model) -> Option<Topic> {
    let Model::KafkaTopic(topic) = model else { return None };
    Some(Topic {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication: topic.replication,
        config: BTreeMap::new(),
        exact: false,
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
    })
}

fn names(acl: Option<&Acl>, resource: &str, prefixed: bool, operation: &str) -> BTreeSet<String> {
    let bindings = acl.into_iter().flat_map(|acl| &acl.bindings);
    let fitting = bindings.filter(|binding| {
        binding.resource == resource && binding.prefixed == prefixed && binding.operation == operation
    });
    fitting.map(|binding| binding.name.clone()).collect()
}
