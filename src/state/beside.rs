//! Files of a local state beside a workspace whose state is in a database: of two states, one must not be forgotten.

use super::backend::View;
use super::local::Files;
use crate::config::{Config, StateBackend};
use crate::error::{Diagnostic, Kind, Result};
use crate::render;

/// Whether there are any.
pub fn has_files(config: &Config) -> bool {
    let files = Files::of(config);
    let there = || files.document().exists() || files.journal().exists();
    config.state.backend == StateBackend::Postgres && there()
}

/// # Errors
/// There are, and the database has no state: to start from nothing would forget all that is ours.
pub fn refuse_empty(config: &Config, view: &View) -> Result<()> {
    if view.exists || !has_files(config) {
        return Ok(());
    }
    let document = Files::of(config).document();
    let message = "there is a local state, and none in the database that [state] names";
    Err(Diagnostic::new(Kind::State, message).in_file(&document).hint(format!(
        "`nornplan state migrate --from local` moves it there; if it is not this workspace's, move {} away. Nothing was written",
        document.display()
    )))
}

/// Says so.
pub fn warn(config: &Config) {
    if has_files(config) {
        let document = Files::of(config).document();
        render::tell(&format!(
            "warning: {} is a state too, and is not looked at: the state is in the database that [state] names. If it is \
             old, move it away\n",
            document.display()
        ));
    }
}
