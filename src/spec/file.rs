//! One infraspec with its overlays, from its files to what it means.

use crate::config::Config;
use crate::core::name::AppName;
use crate::error::Diagnostic;
use crate::spec::discover::Found;
use crate::spec::fields::MOST_ERRORS;
use crate::spec::node::{Table, Value};
use crate::spec::norn::{self, Canonical};
use crate::spec::overlap::Loaded;
use crate::spec::overlay::{self, Layers};
use crate::spec::read::{self, Draft};
use crate::spec::resolve::resolve;
use crate::spec::source::{Source, Spot};
use crate::spec::{toml, yaml};
use std::path::Path;
use std::sync::Arc;

/// What came of one infraspec. It is good only without errors.
#[derive(Default)]
pub struct File {
    pub loaded: Option<Loaded>,
    /// Whose it is, if that much could be read.
    pub name: Option<AppName>,
    /// What it declares and we do not manage yet.
    pub unmanaged: Vec<&'static str>,
    pub errors: Vec<Diagnostic>,
}

/// Loads one infraspec for the environment of the workspace. The base by itself and the overlays of all other
/// environments are checked too.
pub fn load(found: &Found, config: &Config) -> File {
    let mut file = File::default();
    let errors = &mut file.errors;
    let Some((base, start)) = parse(&found.base, config, errors) else { return file };
    let is_yaml = is_yaml(&found.base);
    let map = |table: Table, errors: &mut Vec<Diagnostic>| map(table, is_yaml, errors);
    let base = map(base, errors);
    let mut layers = overlay::split(base, map, errors);
    for (environment, path) in &found.overlays {
        if let Some((over, _)) = parse(path, config, errors) {
            let over = overlay::layer(self::map(over, self::is_yaml(path), errors), errors);
            layers.overlays.entry(environment.clone()).or_default().push(over);
        }
    }
    file.name = read::app_name(&layers.base);
    file.unmanaged = layers.base.unmanaged.clone();
    let chosen = &config.environment;
    for environment in layers.overlays.keys().filter(|environment| *environment != chosen) {
        check(&layers, environment, &start, config, errors);
    }
    if layers.overlays.contains_key(chosen) {
        // No overlay has an empty name: this is the base alone.
        check(&layers, "", &start, config, errors);
    }
    let merged = layers.merged(chosen, errors);
    file.loaded = read::read(&merged, &start, errors).map(|draft| finish(&draft, config, errors));
    if file.errors.len() >= MOST_ERRORS {
        let hint = format!("see the first {MOST_ERRORS}; or is this no infraspec?");
        file.errors.push(start.error("there are more errors in this file than are shown").hint(hint));
    }
    if let Some(loaded) = &mut file.loaded
        && !file.errors.is_empty()
    {
        // It is still checked against the others, but not by names that an error in it may have led to.
        loaded.claims.claims.retain(|claim| claim.derived.is_none());
    }
    file
}

fn check(layers: &Layers, environment: &str, start: &Spot, config: &Config, errors: &mut Vec<Diagnostic>) {
    let merged = layers.merged(environment, errors);
    if let Some(draft) = read::read(&merged, start, errors) {
        resolve(&draft, config, errors);
    }
}

fn finish(draft: &Draft, config: &Config, errors: &mut Vec<Diagnostic>) -> Loaded {
    let (app, claims) = resolve(draft, config, errors);
    Loaded { app, claims, name: draft.name.clone(), only_in_state: false }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension != "toml")
}

fn map(table: Table, is_yaml: bool, errors: &mut Vec<Diagnostic>) -> Canonical {
    if is_yaml { norn::canonical(table, errors) } else { norn::own(table) }
}

/// The top level of a file, and where it starts.
fn parse(path: &Path, config: &Config, errors: &mut Vec<Diagnostic>) -> Option<(Table, Spot)> {
    let source = match Source::read(path, &config.root) {
        Ok(source) => source,
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    let start = Spot::new(&source, 0);
    match parse_text(&source, is_yaml(path)) {
        Ok(table) if table.is_empty() => {
            let hint = "its first line names the app: app = \"my-app\" (TOML), app: my-app (YAML)";
            errors.push(start.error("the infraspec is empty").hint(hint));
            None
        }
        Ok(table) => Some((table, start)),
        Err(wrong) => {
            errors.extend(wrong);
            None
        }
    }
}

fn parse_text(source: &Arc<Source>, is_yaml: bool) -> Result<Table, Vec<Diagnostic>> {
    if !is_yaml {
        return toml::parse(source);
    }
    let node = yaml::parse(source).map_err(|error| vec![error])?;
    match node.value {
        Value::Table(table) => Ok(table),
        Value::Null => Ok(Table::new()),
        Value::Flag(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Date => {
            let kind = node.value.kind();
            let error = node.spot.error(format!("the infraspec is {kind}, where keys and values belong"));
            Err(vec![error.hint("such as app: my-app")])
        }
    }
}
