//! Norn's YAML, in both of its forms, onto the keys of our own notation.
//!
//! Facts: Norn's public repository. v1 says `app` and has what we manage under `services`; v2 says `name` and has it
//! under `infrastructure`, where `services` lists other apps. Its other keys are its own business: passed by.

use crate::error::Diagnostic;
use crate::spec::fields::{MOST_ERRORS, unknown_key};
use crate::spec::node::{Located, Node, Table, Value};
use crate::spec::source::Spot;

/// Keys that only v1 has, or that mean something else in v2.
const V1_ONLY: [&str; 15] = [
    "app",
    "role",
    "core",
    "port",
    "healthcheck",
    "hosts",
    "artifacts",
    "replicas",
    "alerts",
    "schedule",
    "command",
    "runtime",
    "timeout",
    "function",
    "target",
];
/// Keys that only v2 has.
const V2_ONLY: [&str; 6] = ["name", "infrastructure", "processes", "endpoints", "snapshots", "deployPolicy"];
/// Keys of both. `deploy` says whether Norn shows the app; it never means "destroy".
const BOTH: [&str; 7] = ["services", "build", "secrets", "migrations", "repo", "volumes", "env"];
const DEPLOY: &str = "deploy";
/// Keys of ours, which Norn passes by.
const OURS: [&str; 3] = ["publish", "lifecycle", "overlay"];

/// What we know and do not manage yet, by its key in the file.
const UNMANAGED_V1: [(&str, &str); 1] = [("storage", "services.storage")];
const UNMANAGED_V2: [(&str, &str); 2] =
    [("objectStorage", "infrastructure.objectStorage"), ("nats", "infrastructure.nats")];

/// How the services are called in the file, for errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Our own, and Norn's v1, which it is modelled on.
    #[default]
    Services,
    /// Norn's v2.
    Infrastructure,
}

impl Form {
    pub fn services(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Infrastructure => "infrastructure",
        }
    }

    /// What may stand under it, as the file calls it.
    pub fn known(self) -> [&'static str; 3] {
        match self {
            Self::Services => ["postgres", "kv", "events"],
            Self::Infrastructure => ["postgres", "redis", "kafka"],
        }
    }

    pub fn postgres(self) -> &'static str {
        match self {
            Self::Services => "services.postgres",
            Self::Infrastructure => "infrastructure.postgres",
        }
    }

    pub fn kv(self) -> &'static str {
        match self {
            Self::Services => "services.kv",
            Self::Infrastructure => "infrastructure.redis",
        }
    }

    pub fn events(self) -> &'static str {
        match self {
            Self::Services => "services.events",
            Self::Infrastructure => "infrastructure.kafka",
        }
    }
}

/// A file (or one layer of it) with our own keys.
#[derive(Clone, Debug, Default)]
pub struct Canonical {
    pub table: Table,
    pub form: Form,
    /// What it declares and we do not manage yet.
    pub unmanaged: Vec<&'static str>,
}

/// Our own notation: nothing to map.
pub fn own(mut table: Table) -> Canonical {
    let mut unmanaged = Vec::new();
    if let Some((_, Located { value: Value::Table(services), .. })) = table.get_mut("services") {
        take_unmanaged(services, &UNMANAGED_V1, &mut unmanaged);
        if let Some(postgres) = postgres(services) {
            spell_out(postgres);
        }
    }
    Canonical { table, form: Form::Services, unmanaged }
}

/// Maps a table of Norn's YAML. Keys that nobody knows and keys of both forms at once are errors.
pub fn canonical(table: Table, errors: &mut Vec<Diagnostic>) -> Canonical {
    check_keys(&table, errors);
    let form = form(&table, errors);
    let mut unmanaged = Vec::new();
    let mut canonical = Table::new();
    for (key, (spot, node)) in table {
        match (form, key.as_str()) {
            (_, "publish" | "lifecycle" | "overlay") | (Form::Services, "app") => {
                canonical.insert(key, (spot, node));
            }
            (Form::Infrastructure, "name") => {
                canonical.insert("app".to_owned(), (spot, node));
            }
            // A list is of the second form: told already.
            (Form::Services, "services") if !matches!(node.value, Value::List(_)) => {
                let mapped = services(node, form, &mut unmanaged);
                canonical.insert("services".to_owned(), (spot, mapped));
            }
            (Form::Infrastructure, "infrastructure") => {
                let mapped = services(node, form, &mut unmanaged);
                canonical.insert("services".to_owned(), (spot, mapped));
            }
            _ => {}
        }
    }
    Canonical { table: canonical, form, unmanaged }
}

fn check_keys(table: &Table, errors: &mut Vec<Diagnostic>) {
    let known: Vec<&str> = ["app", "name", "services", "infrastructure"]
        .into_iter()
        .chain(V1_ONLY)
        .chain(V2_ONLY)
        .chain(BOTH)
        .chain([DEPLOY])
        .chain(OURS)
        .collect();
    for (key, (spot, _)) in table {
        if !known.contains(&key.as_str()) && errors.len() < MOST_ERRORS {
            let near = crate::core::suggest::closest(key, known.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean {near:?}?"),
                None => "neither Norn nor nornplan knows it; services are under services (v1) or infrastructure (v2)"
                    .to_owned(),
            };
            errors.push(unknown_key(key, spot, "the infraspec", &[]).hint(hint));
        }
    }
}

/// Which form it is, by the keys that only one form has.
fn form(table: &Table, errors: &mut Vec<Diagnostic>) -> Form {
    let find = |keys: &[&str]| -> Vec<(String, Spot)> {
        let known = |key: &str| table.get(key).map(|(spot, _)| (key.to_owned(), spot.clone()));
        keys.iter().copied().filter_map(known).collect()
    };
    let (mut first, mut second) = (find(&V1_ONLY), find(&V2_ONLY));
    if let Some((spot, node)) = table.get("services") {
        if matches!(node.value, Value::Table(_)) {
            first.push(("services (a table)".to_owned(), spot.clone()));
        } else if matches!(node.value, Value::List(_)) {
            second.push(("services (a list)".to_owned(), spot.clone()));
        }
    }
    // The keys that carry meaning stand first in the lists, so they are the ones that are named.
    let hint = "use the keys of one form: app and services, or name and infrastructure";
    match (first.first(), second.first()) {
        (Some((one, spot)), Some((two, at))) if table.contains_key("name") && !table.contains_key("app") => {
            let message = format!("{one} is a key of Norn's first form, {two} ({at}) of its second");
            errors.push(spot.error(message).hint(hint));
            Form::Infrastructure
        }
        (Some((one, at)), Some((two, spot))) => {
            let message = format!("{two} is a key of Norn's second form, {one} ({at}) of its first");
            errors.push(spot.error(message).hint(hint));
            Form::Services
        }
        (None, Some(_)) => Form::Infrastructure,
        (Some(_), None) | (None, None) => Form::Services,
    }
}

fn services(mut node: Node, form: Form, found: &mut Vec<&'static str>) -> Node {
    if let Value::Table(services) = &mut node.value {
        match form {
            Form::Services => take_unmanaged(services, &UNMANAGED_V1, found),
            Form::Infrastructure => {
                take_unmanaged(services, &UNMANAGED_V2, found);
                for (theirs, ours) in [("redis", "kv"), ("kafka", "events")] {
                    if let Some(entry) = services.remove(theirs) {
                        services.insert(ours.to_owned(), entry);
                    }
                }
            }
        }
        if let Some(postgres) = postgres(services) {
            // The directory of the app's migrations, which Norn runs.
            postgres.remove("migrations");
            spell_out(postgres);
        }
    }
    node
}

fn postgres(services: &mut Table) -> Option<&mut Table> {
    let (_, node) = services.get_mut("postgres")?;
    if let Value::Table(postgres) = &mut node.value { Some(postgres) } else { None }
}

/// `database = "cafe"` is short for `database = { name = "cafe" }`: so that layers with the one and the other merge.
fn spell_out(postgres: &mut Table) {
    if let Some((spot, node)) = postgres.get_mut("database")
        && let Value::Text(_) = node.value
    {
        let name = (spot.clone(), node.clone());
        node.value = Value::Table(Table::from([("name".to_owned(), name)]));
    }
}

fn take_unmanaged(services: &mut Table, unmanaged: &[(&str, &'static str)], found: &mut Vec<&'static str>) {
    for (key, path) in unmanaged {
        if services.remove(*key).is_some() {
            found.push(path);
        }
    }
}
