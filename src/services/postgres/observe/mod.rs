//! Reads what is asked for: one statement for all that databases share, then one into each database.

mod access;
mod closed;
mod database;
mod losses;
mod orphans;
mod roles;
pub mod server;
pub mod strays;
mod unmanaged;

use super::catalog::{self, Inside, Shared};
use super::connect::{Connector, Purpose, close};
use super::credential;
use super::model::{
    Database, Dependent, Holdings, Lacking, PassedOn, ROLE, THROUGH_PUBLIC, belongings, database_address,
    grant_address, role_address,
};
use super::scope::Scope;
use super::server::Server;
use super::snapshot::is_restorer;
use crate::config::PostgresConfig;
use crate::core::address::Address;
use crate::core::nodes::Nodes;
use crate::core::plan::{Level, Notice};
use crate::services::{Ask, Failure, Model, Observation, Observed, Progress};
use closed::Look;
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Databases that are looked into at once; more is no faster.
const DEEP_AT_ONCE: usize = 4;

/// Reads everything that is asked for.
pub async fn observe(connector: &Connector, ask: &Ask) -> Result<Observation, Failure> {
    let scope = Scope::of_ask(ask);
    let unwanted = scope.managed.iter().filter(|name| !ask.wanted.contains_key(&database_address(name)));
    let sized: BTreeSet<String> = unwanted.cloned().collect();

    let mut connection = connector.administration(Purpose::Observe).await?;
    orphans::wait(&mut connection, &scope.databases, &ask.progress).await?;
    let shared = catalog::shared(&mut connection, &scope.all_roles(), &scope.databases, &sized).await?;
    let (insides, closed_to_us) = match ask.shallow {
        true => (BTreeMap::new(), BTreeMap::new()),
        false => closed::split(look_inside(connector, &scope, &shared, &ask.progress).await?),
    };
    let mut resources = assemble(&scope, &shared, &insides, Some(&connector.config));
    resources.extend(catalog::lock_downs(&mut connection, &scope.lock_downs).await?);
    resources.extend(roles::observed(&scope, &shared, |role| ignores(connector, role)));
    tell_dependents(&mut connection, ask, &mut resources).await?;
    tell_who_comes_through_public(&mut connection, ask, &mut resources).await?;
    let doomed: Vec<_> = shared.databases.iter().filter(|row| sized.contains(&row.name)).collect();
    losses::add(connector, &doomed, shared.version_number, &mut resources).await;
    let cannot_dump = losses::cannot_dump(connector, &doomed, shared.version_number).await;
    let snapshots = losses::snapshots_of_gone(&connector.config.snapshots, ask, &resources);
    let mut notices = credential::check(connector, &mut connection, ask, &shared, &mut resources).await?;
    notices.extend(credential::alarm_if_unchecked(connector).await?);
    notices.extend(credential::warn_of_log(&mut connection, ask).await?);
    let offered = server::offered(&mut connection, ask).await?;
    let parameters = server::parameters(&mut connection, ask, &resources).await?;
    notices.extend(closed_to_us.iter().map(|(database, why)| closed::warning(database, why)));
    let unread = closed::unread(ask.addresses(), &closed_to_us);
    if ask.shallow {
        notices.push(note(
            "read with --shallow, so schemas, extensions and default privileges inside databases are not compared",
        ));
    }
    let identity = server::identity(&mut connection).await?;
    let unmanaged = unmanaged::list(&mut connection, ask).await?;
    let server = server::server(&mut connection, &scope, &shared, &insides, offered).await?;
    connector.keep(Purpose::Observe, connection).await;
    Ok(Observation {
        nodes: Nodes::default(),
        endpoint: connector.config.endpoint(),
        identity,
        version: Some(format!("PostgreSQL {}", shared.version)),
        server: serde_json::to_value(Server { parameters, cannot_dump, snapshots, closed_to_us, ..server })
            .unwrap_or_default(),
        resources,
        unread,
        unmanaged,
        notices,
    })
}

/// Reads the managed fields of some objects, as they are now.
pub async fn now(connector: &Connector, scope: &Scope) -> Result<BTreeMap<Address, Model>, Failure> {
    let mut connection = connector.administration(Purpose::Observe).await?;
    let shared = catalog::shared(&mut connection, &scope.all_roles(), &scope.databases, &BTreeSet::new()).await?;
    // Nothing is written on the strength of what could not be read.
    let insides = closed::all_read(look_inside(connector, scope, &shared, &Progress::default()).await?)?;
    let mut resources = assemble(scope, &shared, &insides, None);
    resources.extend(catalog::lock_downs(&mut connection, &scope.lock_downs).await?);
    resources.extend(roles::observed(scope, &shared, |role| ignores(connector, role)));
    connector.keep(Purpose::Observe, connection).await;
    Ok(models(resources))
}

/// The same on one connection to the administration database, without what lies inside of databases.
pub async fn now_outside(
    connector: &Connector,
    connection: &mut PgConnection,
    scope: &Scope,
) -> Result<BTreeMap<Address, Model>, Failure> {
    let shared = catalog::shared(connection, &scope.all_roles(), &scope.databases, &BTreeSet::new()).await?;
    let mut resources = assemble(scope, &shared, &BTreeMap::new(), None);
    resources.extend(roles::observed(scope, &shared, |role| ignores(connector, role)));
    Ok(models(resources))
}

/// The same on one connection, into the one database of the scope; without roles.
pub async fn now_inside(
    connection: &mut PgConnection,
    database: &str,
    scope: &Scope,
) -> Result<BTreeMap<Address, Model>, Failure> {
    let shared = catalog::shared(connection, &scope.all_roles(), &scope.databases, &BTreeSet::new()).await?;
    let inside = read_inside(connection, scope, database).await?;
    let insides = BTreeMap::from([(database.to_owned(), inside)]);
    Ok(read_in(scope, &shared, &insides))
}

/// What was read by other means, as models; without roles.
pub fn read_in(scope: &Scope, shared: &Shared, insides: &BTreeMap<String, Inside>) -> BTreeMap<Address, Model> {
    models(assemble(scope, shared, insides, None))
}

fn models(resources: BTreeMap<Address, Observed>) -> BTreeMap<Address, Model> {
    resources.into_iter().map(|(address, observed)| (address, observed.model)).collect()
}

async fn look_inside(
    connector: &Connector,
    scope: &Scope,
    shared: &Shared,
    progress: &Progress,
) -> Result<Vec<(String, Look)>, Failure> {
    let open = shared.databases.iter().filter(|row| row.lets_in(shared.superuser));
    let mut each = Vec::new();
    open.for_each(|row| each.push(look_into(connector, scope, &row.name)));
    progress.begin(each.len());
    stream::iter(each).buffer_unordered(DEEP_AT_ONCE).inspect_ok(|_| progress.advance()).try_collect().await
}

async fn look_into(connector: &Connector, scope: &Scope, name: &str) -> Result<(String, Look), Failure> {
    let mut connection = match connector.reader(name).await {
        Ok(connection) => connection,
        Err(failure) => {
            let look = closed::not_let_in(failure, name, &connector.config.user)?;
            return Ok((name.to_owned(), look));
        }
    };
    let look = match read_inside(&mut connection, scope, name).await {
        Ok(inside) => Look::Inside(inside),
        Err(failure) => closed::not_read(failure)?,
    };
    close(connection).await;
    Ok((name.to_owned(), look))
}

async fn read_inside(connection: &mut PgConnection, scope: &Scope, name: &str) -> Result<Inside, Failure> {
    let mut inside = catalog::inside(connection, name, &scope.needs(name)).await?;
    if scope.managed.contains(name) {
        inside.belongings = catalog::belongings(connection, name, &scope.insiders(name)).await?;
    }
    // Making one runs its script, and so does another version of it.
    if scope.extensions.get(name).is_some_and(|declared| !declared.is_empty()) {
        inside.routines = catalog::routines(connection, name).await?;
    }
    Ok(inside)
}

/// Tells of each role that is about to be dropped what depends on it.
async fn tell_dependents(
    connection: &mut PgConnection,
    ask: &Ask,
    resources: &mut BTreeMap<Address, Observed>,
) -> Result<(), Failure> {
    let doomed = resources.keys().filter(|address| address.kind == ROLE && !ask.wanted.contains_key(address));
    let doomed: BTreeSet<String> = doomed.map(|address| address.name.clone()).collect();
    if doomed.is_empty() {
        return Ok(());
    }
    for (role, dependents) in catalog::dependents(connection, &doomed).await? {
        if let (Some(role), Ok(told)) = (resources.get_mut(&role_address(&role)), serde_json::to_value(dependents)) {
            role.facts.insert(Dependent::FACT.to_owned(), told);
        }
    }
    Ok(())
}

/// Tells of each database that is to be closed to PUBLIC who is in it and has no CONNECT of its own.
async fn tell_who_comes_through_public(
    connection: &mut PgConnection,
    ask: &Ask,
    resources: &mut BTreeMap<Address, Observed>,
) -> Result<(), Failure> {
    let open = |(address, observed): (&Address, &Observed)| {
        let Model::PostgresDatabase(there) = &observed.model else { return None };
        (ask.wanted.contains_key(address) && there.public.contains("CONNECT")).then(|| there.name.clone())
    };
    let open: Vec<String> = resources.iter().filter_map(open).collect();
    let open: BTreeSet<&str> = open.iter().map(String::as_str).collect();
    for (database, roles) in catalog::through_public(connection, &open).await? {
        if let (Some(told), Ok(roles)) = (resources.get_mut(&database_address(&database)), serde_json::to_value(roles))
        {
            told.facts.insert(THROUGH_PUBLIC.to_owned(), roles);
        }
    }
    Ok(())
}

fn assemble(
    scope: &Scope,
    shared: &Shared,
    insides: &BTreeMap<String, Inside>,
    judge: Option<&PostgresConfig>,
) -> BTreeMap<Address, Observed> {
    let mut resources = BTreeMap::new();
    let there: BTreeSet<&str> = shared.roles.iter().map(|role| role.name.as_str()).collect();
    for row in &shared.databases {
        let inside = insides.get(&row.name);
        for pair in scope.grants.get(&row.name).into_iter().flatten() {
            let role_exists = there.contains(pair.role.as_str());
            let known = scope.known.contains(&grant_address(&row.name, &pair.role));
            if let Some(grant) = access::grant(row, pair, inside, &there, known).filter(|_| role_exists) {
                let mut observed = Observed::plain(Model::PostgresGrant(grant));
                let lacking = access::lacking(&pair.role, inside);
                if !lacking.is_empty() {
                    let told = serde_json::to_value(lacking).unwrap_or_default();
                    observed.facts.insert(Lacking::FACT.to_owned(), told);
                }
                let passed_on = access::passed_on(row, &pair.role, inside);
                if !passed_on.is_empty() {
                    let told = serde_json::to_value(passed_on).unwrap_or_default();
                    observed.facts.insert(PassedOn::FACT.to_owned(), told);
                }
                resources.insert(grant_address(&row.name, &pair.role), observed);
            }
        }
        if !scope.managed.contains(&row.name) {
            continue;
        }
        let database = database::database(row, inside, scope, judge);
        let holdings = Holdings { sessions: Some(row.sessions), size_bytes: row.size, ..Holdings::default() };
        let mut facts = holdings.facts();
        if let Some(inside) = inside.filter(|inside| !inside.belongings.is_empty()) {
            facts.insert(belongings::FACT.to_owned(), serde_json::to_value(&inside.belongings).unwrap_or_default());
        }
        if let Some(inside) = inside.filter(|inside| !inside.routines.is_empty()) {
            facts.insert(Database::ROUTINES.to_owned(), serde_json::to_value(&inside.routines).unwrap_or_default());
        }
        let model = Model::PostgresDatabase(database);
        resources.insert(database_address(&row.name), Observed { model, credential: None, facts });
    }
    resources
}

/// Whose memberships are nobody's business: the workspace says so, or a restore runs as it.
fn ignores(connector: &Connector, role: &str) -> bool {
    connector.config.ignores(role) || is_restorer(role)
}

/// A notice about the service that only informs.
fn note(text: &str) -> Notice {
    Notice { level: Level::Note, about: "postgres".to_owned(), text: text.to_owned() }
}
