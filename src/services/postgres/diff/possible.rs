//! What cannot be done to a database or role at all, or not on this server, and what to do instead.

use super::facts::fact;
use super::{View, extension, settings};
use crate::core::address::Address;
use crate::core::step::{Hold, Step as AnyStep};
use crate::services::postgres::model::{Database, Role};
use crate::services::{DiffInput, Model, Step};
use postgres_protocol::escape::escape_identifier;
use std::collections::{BTreeMap, BTreeSet};

/// The first version with the builtin locale provider.
const BUILTIN_SINCE: u32 = 170_000;

/// A field, and why it cannot become as wanted.
pub type Obstacle = (&'static str, String);

/// Blocks a step that cannot be done, with every reason.
pub fn judge(view: &View, step: &mut Step, before: Option<&Database>, wanted: &Database, input: DiffInput<'_>) {
    if before.is_some_and(|before| before.invalid) {
        step.hold = Some(Hold::Blocked { reason: left_behind(wanted) });
        return;
    }
    if before.is_some_and(|before| before.holds_state) {
        let reason = format!(
            "{}, maybe another team's: it can be no app's database. Name another one in the infraspec",
            Database::HOLDS_STATE
        );
        step.hold = Some(Hold::Blocked { reason });
        return;
    }
    let found = found(view, &step.address, before, wanted, input);
    step.notes.extend(found.notes);
    if !found.obstacles.is_empty() {
        step.hold = Some(Hold::Blocked { reason: sentence(step, before.is_some(), &found.obstacles) });
    }
}

/// What stands in the way of a database, and what must be known.
#[derive(Default)]
struct Found {
    obstacles: Vec<Obstacle>,
    notes: Vec<String>,
}

fn found(view: &View, address: &Address, before: Option<&Database>, wanted: &Database, input: DiffInput<'_>) -> Found {
    let mut obstacles = match before {
        Some(before) => fixed(before, wanted),
        None => impossible(view, wanted),
    };
    let mut notes = Vec::new();
    obstacles.extend(tablespace(view, before, wanted));
    obstacles.extend(shuts_us_out(view, wanted));
    obstacles.extend(unset(view, before.map(|before| &before.settings), &wanted.settings));
    let installed = input.observation.resources.get(address).map(|observed| &observed.model);
    let installed = match installed {
        Some(Model::PostgresDatabase(there)) => there.extensions.as_ref(),
        _ => None,
    };
    // What is in a database that nobody could look into is unknown; in a new one there is nothing.
    if before.is_none() || installed.is_some() {
        let found = extension::judge(view, wanted, installed);
        let routines = fact(input.observation, address, Database::ROUTINES);
        notes.extend(extension::trusting(view, wanted, installed, &routines));
        obstacles.extend(found.obstacles.into_iter().map(|reason| ("extensions", reason)));
        notes.extend(found.notes);
    }
    Found { obstacles, notes }
}

/// All that stands in the way of what is wanted, whether or not anything changes.
pub fn obstacles(view: &View, input: DiffInput<'_>) -> BTreeSet<(Address, String)> {
    let mut all = BTreeSet::new();
    for (address, wanted) in &view.wanted {
        let found = match (&wanted.model, view.observed.get(address)) {
            (Model::PostgresDatabase(_), Some(Model::PostgresDatabase(before))) if before.invalid => Vec::new(),
            (Model::PostgresDatabase(wanted), Some(Model::PostgresDatabase(before))) => {
                found(view, address, Some(before), wanted, input).obstacles
            }
            (Model::PostgresDatabase(wanted), _) => found(view, address, None, wanted, input).obstacles,
            (Model::PostgresRole(wanted), Some(Model::PostgresRole(before))) => {
                unset(view, Some(&before.settings), &wanted.settings)
            }
            (Model::PostgresRole(wanted), _) => unset(view, None, &wanted.settings),
            (_, _) => Vec::new(),
        };
        all.extend(found.into_iter().map(|(_, reason)| (address.clone(), reason)));
    }
    all
}

fn unset(view: &View, before: Option<&BTreeMap<String, String>>, wanted: &BTreeMap<String, String>) -> Vec<Obstacle> {
    let reasons = settings::obstacles(&view.server, before, wanted);
    reasons.into_iter().map(|reason| ("settings", reason)).collect()
}

/// The same for a role, of which only the settings can be impossible.
pub fn judge_role(view: &View, step: &mut Step, before: Option<&Role>, wanted: &Role) {
    let obstacles = unset(view, before.map(|before| &before.settings), &wanted.settings);
    if !obstacles.is_empty() {
        step.hold = Some(Hold::Blocked { reason: sentence(step, before.is_some(), &obstacles) });
    }
}

fn sentence<M, O>(step: &AnyStep<M, O>, exists: bool, obstacles: &[Obstacle]) -> String {
    let mut reasons: Vec<&str> = obstacles.iter().map(|(_, reason)| reason.as_str()).collect();
    let named = |field: &str| obstacles.iter().any(|(name, _)| *name == field);
    let others: Vec<String> = step
        .changes
        .iter()
        .filter(|change| !named(&change.field))
        .map(|change| change.field.replace('_', " "))
        .collect();
    let rest = format!("until then nothing else of it is changed ({})", others.join(", "));
    if exists && !others.is_empty() {
        reasons.push(&rest);
    }
    reasons.join("\n")
}

fn left_behind(database: &Database) -> String {
    format!(
        "a DROP DATABASE of {:?} was cancelled halfway, so its data are gone and nobody can connect to it. Run DROP \
         DATABASE {}; the next apply makes it anew, empty (nornplan's snapshots are in the snapshots directory)",
        database.name,
        escape_identifier(&database.name)
    )
}

/// What is fixed when a database is made.
fn fixed(before: &Database, wanted: &Database) -> Vec<Obstacle> {
    let of = |field: &'static str, title: &str, there: &Option<String>, wanted: &Option<String>| {
        let (Some(there), Some(wanted)) = (there, wanted) else { return None };
        let reason = format!(
            "the {title} is fixed when a database is made: it is {there}, the infraspec wants {wanted}. Make a new \
             database under another name and move the data, or remove `{field}` from the infraspec"
        );
        (there != wanted).then_some((field, reason))
    };
    [
        of("encoding", "encoding", &before.encoding, &wanted.encoding),
        of("locale", "locale", &before.locale, &wanted.locale),
        of("locale_provider", "locale provider", &before.locale_provider, &wanted.locale_provider),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What no new database on this server can have.
fn impossible(view: &View, wanted: &Database) -> Vec<Obstacle> {
    let Some(provider) = wanted.locale_provider.as_deref() else { return Vec::new() };
    let version = view.server.version_number;
    let has_icu = view.server.offered.as_ref().is_none_or(|offered| offered.icu);
    let reason = match provider {
        "icu" if !has_icu => {
            "this server was built without ICU: use `locale_provider = \"libc\"`, or a server that has ICU"
        }
        "builtin" if version != 0 && version < BUILTIN_SINCE => {
            "the builtin locale provider needs PostgreSQL 17: use `locale_provider = \"libc\"`"
        }
        "icu" if wanted.locale.is_none() => "ICU needs a locale: say `locale = \"en-US\"` or another beside it",
        "builtin" if wanted.locale.is_none() => {
            "the builtin locale provider needs a locale: say `locale = \"C.UTF-8\"` or \"C\" beside it"
        }
        _ => return Vec::new(),
    };
    vec![("locale_provider", reason.to_owned())]
}

/// Moving copies every file and lets nobody in meanwhile, so that is left to people.
fn tablespace(view: &View, before: Option<&Database>, wanted: &Database) -> Option<Obstacle> {
    let name = wanted.tablespace.as_ref()?;
    let there = before.map(|before| before.tablespace.as_ref());
    if there == Some(Some(name)) || there == Some(None) {
        return None;
    }
    let known = view.server.offered.as_ref().map(|offered| &offered.tablespaces);
    if let Some(known) = known.filter(|known| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let reason = format!(
            "there is no tablespace {name:?} on this server, only {}. Make it (CREATE TABLESPACE), or name one of \
             these in the infraspec",
            known.join(", ")
        );
        return Some(("tablespace", reason));
    }
    let denied = view.server.offered.as_ref().is_some_and(|offered| offered.denied_tablespaces.contains(name));
    if before.is_none() && denied {
        let reason = format!(
            "nornplan may not use tablespace {name}: as a superuser run GRANT CREATE ON TABLESPACE {} TO the role \
             that it signs in with",
            escape_identifier(name)
        );
        return Some(("tablespace", reason));
    }
    let there = there.flatten()?;
    let reason = format!(
        "it lies in tablespace {there}, the infraspec wants {name}. Moving copies all of its files and lets nobody in \
         meanwhile: stop the app and run ALTER DATABASE {} SET TABLESPACE {}, or remove `tablespace` from the infraspec",
        escape_identifier(&wanted.name),
        escape_identifier(name)
    );
    Some(("tablespace", reason))
}

/// Only superusers get into a database whose limit is 0.
fn shuts_us_out(view: &View, wanted: &Database) -> Option<Obstacle> {
    let known = view.server.version_number != 0;
    (known && wanted.connection_limit == Some(0) && !view.server.admin.superuser).then(|| {
        let reason = "a connection limit of 0 shuts out nornplan too, which signs in as no superuser here: say \
                      `allow_connections = false` instead, or a limit of 1 and more";
        ("connection_limit", reason.to_owned())
    })
}
