//! The variables of the environment as a layer.

use super::keys::{self, KEYS, SERVICES, Shape, TABLES};
use super::layer::{Base, Layer, Located, Origin, Raw, shape, split};
use super::url;
use crate::core::suggest::closest;
use crate::error::Diagnostic;

/// Reads every variable that overrides a key. One that is set to nothing counts as not set.
pub fn read(base: &Base<'_>, wrong: &mut Vec<Diagnostic>) -> Layer {
    let mut layer = Layer::default();
    for key in KEYS {
        let name = key.variable();
        let Some(text) = base.variables.get(&name).filter(|text| !text.is_empty()) else { continue };
        let raw = match key.shape {
            Shape::Text | Shape::Choice(_) | Shape::Path | Shape::List | Shape::Paths => Raw::Text(text.clone()),
            Shape::Port | Shape::Count => Raw::Integer(text.trim().to_owned()),
            Shape::Words => Raw::Texts(split(text)),
            Shape::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Raw::Flag(true),
                "false" | "0" | "no" | "off" => Raw::Flag(false),
                _ => Raw::Text(text.clone()),
            },
        };
        let origin = Origin::Variable(name);
        match shape(key, raw, &origin, base) {
            Ok(value) => drop(layer.values.insert((key.table, key.name), Located { value, origin })),
            Err(error) => wrong.push(error),
        }
    }
    wrong.extend(base.variables.keys().filter_map(|name| misspelt(name)));
    url::spread(&mut layer, wrong);
    layer
}

/// A variable that is nearly one of ours would be passed by in silence. Others with our prefix may serve other programs.
fn misspelt(name: &str) -> Option<Diagnostic> {
    let rest = name.strip_prefix("NORNPLAN_")?.to_ascii_lowercase();
    let (table, key) = rest.split_once('_')?;
    let table = TABLES.iter().find(|known| **known == table)?;
    let password = SERVICES.contains(table).then_some("password");
    let shared = (*table == "valkey").then_some("shared_password");
    let known: Vec<&str> = keys::names(table).chain(password).chain(shared).collect();
    if known.contains(&key) {
        return None;
    }
    let near = closest(key, known.iter().copied())?;
    let wrong = Origin::Variable(name.to_owned()).wrong("this is no variable that nornplan reads");
    Some(wrong.hint(format!("did you mean NORNPLAN_{}_{}?", table.to_ascii_uppercase(), near.to_ascii_uppercase())))
}
