//! What tells one workspace from another, wherever it is checked out: for saved plans.

use super::{Config, StateBackend};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

impl Config {
    /// Settings by key: where state, secrets and infraspecs are within the workspace, and how names are made. No address
    /// and no credential is among them, as those may differ from machine to machine.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let within = |path: &Path| match path.strip_prefix(&self.root) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            // What lies elsewhere lies elsewhere on each machine.
            Err(_) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let specs: BTreeSet<String> = self.specs.iter().map(|path| within(path)).collect();
        let list = |items: &mut dyn Iterator<Item = &String>| items.map(String::as_str).collect::<Vec<_>>().join(", ");
        let state = match self.state.backend {
            StateBackend::Local => ("state.path".to_owned(), within(&self.state.path)),
            StateBackend::Postgres => {
                ("state.database".to_owned(), format!("{}, {}", self.state.postgres.database, self.state.name))
            }
        };
        BTreeMap::from([
            state,
            ("secrets.dir".to_owned(), within(&self.secrets.dir)),
            ("specs".to_owned(), list(&mut specs.iter())),
            ("naming.strip".to_owned(), list(&mut self.strip.iter())),
            ("internal".to_owned(), list(&mut self.internal.iter())),
        ])
    }
}
