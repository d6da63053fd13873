//! Infraspecs: two notations, one model.
//!
//! ```text
//! discover -> source -> toml | yaml -> node -> norn -> overlay -> read -> resolve -> overlap -> model
//! files       text      one tree of spans      our keys, layers   typed   defaults   cross-app
//! ```

pub mod claims;
pub mod discover;
pub mod events;
pub mod fields;
pub mod file;
pub mod kv;
pub mod lint;
pub mod model;
pub mod names;
pub mod neighbour;
pub mod node;
pub mod norn;
pub mod overlap;
pub mod overlay;
pub mod postgres;
pub mod publish;
pub mod read;
pub mod resolve;
pub mod source;
pub mod template;
pub mod toml;
pub mod units;
pub mod yaml;

use crate::config::Config;
use crate::core::name::AppName;
use crate::error::{Diagnostic, in_order};
use crate::side_by_side;
use std::collections::{BTreeMap, BTreeSet};

/// Finds, loads, resolves and cross-checks all infraspecs of a workspace. No service is contacted.
///
/// # Errors
/// All errors of all files at once, in the order of their places, none twice.
pub fn load(config: &Config) -> Result<model::Specs, Vec<Diagnostic>> {
    load_beside(config, Vec::new())
}

/// The same beside apps that only the state knows; those that infraspecs declare are passed by.
///
/// # Errors
/// As [`load`].
pub fn load_beside(config: &Config, known: Vec<overlap::Loaded>) -> Result<model::Specs, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut loaded = Vec::new();
    let mut broken = overlap::Broken::default();
    let mut unmanaged: BTreeMap<&str, BTreeSet<AppName>> = BTreeMap::new();
    let discovery = discover::discover(config, &mut errors);
    for file in side_by_side::map(&discovery.found, |found| file::load(found, config)) {
        match file.name {
            Some(name) if file.errors.is_empty() => {
                for path in file.unmanaged {
                    unmanaged.entry(path).or_default().insert(name.clone());
                }
            }
            Some(name) => {
                broken.names.insert(name);
            }
            None => broken.nameless = true,
        }
        loaded.extend(file.loaded);
        errors.extend(file.errors);
    }
    let declared: BTreeSet<AppName> = loaded.iter().map(|one: &overlap::Loaded| one.app.name.clone()).collect();
    let is_neighbour = |name: &AppName| !declared.contains(name) && !broken.names.contains(name) && !broken.nameless;
    loaded.extend(known.into_iter().filter(|one| is_neighbour(&one.app.name)));
    let only_in_state: BTreeSet<AppName> =
        loaded.iter().filter(|one| one.only_in_state).map(|one| one.app.name.clone()).collect();
    errors.extend(overlap::check(&loaded, &broken));
    let mut lints = kv::lint::lint(&loaded);
    lints.retain(|lint| !only_in_state.contains(&lint.app));
    let mut warnings = match config.valkey.strict {
        true => {
            errors.extend(lints.into_iter().map(lint::Lint::into_error));
            Vec::new()
        }
        false => lints.iter().map(lint::Lint::as_warning).collect(),
    };
    warnings.extend(events::lint(&loaded));
    if !errors.is_empty() {
        // The layers of one file are read once for each environment, so the same error can come more than once.
        return Err(in_order(errors));
    }
    let notes = unmanaged.into_iter().map(|(path, apps)| {
        let apps: Vec<&str> = apps.iter().map(AppName::as_str).collect();
        format!("{path} is not managed yet ({})", apps.join(", "))
    });
    let notes = discovery.notes.into_iter().chain(notes).collect();
    let kv_places = loaded.iter().filter_map(|one| Some((one.app.name.clone(), one.claims.kv.clone()?))).collect();
    let apps = loaded.into_iter().map(|one| (one.app.name.clone(), one.app)).collect();
    Ok(model::Specs { apps, notes, warnings, kv_places, only_in_state })
}
