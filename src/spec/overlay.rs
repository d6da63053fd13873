//! Overlays: `[overlay.ENV...]` tables and overlay files, laid over the base by `--env`.

use crate::error::Diagnostic;
use crate::spec::fields::wrong_type;
use crate::spec::node::{Located, Node, Table, Value, merge};
use crate::spec::norn::Canonical;
use std::collections::BTreeMap;

/// One file's base, and what lies over it, by environment.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub base: Canonical,
    pub overlays: BTreeMap<String, Vec<Canonical>>,
}

/// Takes the overlays out of a base. Each is mapped like a file of its own.
pub fn split(
    mut base: Canonical,
    map: impl Fn(Table, &mut Vec<Diagnostic>) -> Canonical,
    errors: &mut Vec<Diagnostic>,
) -> Layers {
    let mut overlays = BTreeMap::new();
    if let Some((_, node)) = base.table.remove("overlay") {
        for (environment, (spot, node)) in tables(node, "overlay", errors) {
            if !is_environment(&environment) {
                let message = format!("{environment:?} is no name of an environment");
                errors.push(spot.error(message).hint("lower-case letters, digits, - and _"));
            }
            let over = tables(node, &format!("overlay.{environment}"), errors);
            overlays.insert(environment, vec![layer(map(over, errors), errors)]);
        }
    }
    Layers { base, overlays }
}

/// An overlay lies over one thing, and is none over which another lies.
pub fn layer(mut over: Canonical, errors: &mut Vec<Diagnostic>) -> Canonical {
    if let Some((spot, _)) = over.table.remove("overlay") {
        errors.push(spot.error("an overlay cannot have an overlay").hint("it belongs into the file that it lies over"));
    }
    over
}

fn tables(node: Node, what: &str, errors: &mut Vec<Diagnostic>) -> Table {
    if let Located { value: Value::Table(table), .. } = node {
        return table;
    }
    errors.push(wrong_type(&node, what, "a table"));
    Table::new()
}

fn is_environment(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

impl Layers {
    /// The base with the overlays of one environment over it; the base alone if it has none.
    pub fn merged(&self, environment: &str, errors: &mut Vec<Diagnostic>) -> Canonical {
        let mut merged = self.base.clone();
        for over in self.overlays.get(environment).into_iter().flatten() {
            let mut table = over.table.clone();
            if let Some((spot, said)) = table.remove("app")
                && let Some((_, name)) = self.base.table.get("app")
                && let (Value::Text(said), Value::Text(name)) = (&said.value, &name.value)
                && said != name
            {
                let message = format!("an overlay cannot rename the app from {name:?} to {said:?}");
                errors.push(spot.error(message).hint("leave the name out of the overlay"));
            }
            merge(&mut merged.table, table);
            merged.unmanaged.extend(&over.unmanaged);
        }
        merged
    }
}
