//! Moving a state from one backend to the other.
//!
//! Both locks are held. The state is written at its new place first and marked as moved at the old one then: a run that is
//! killed in between leaves two equal states, and the same command again marks the old one.

use super::backend::{Backend, Locked, View};
use super::document::Document;
use super::holder::{Holder, Patience};
use super::local::Files;
use super::{LockedStore, backend_of};
use crate::config::{Config, StateBackend};
use crate::error::{Diagnostic, Kind, Result};
use crate::render;
use std::time::Duration;

/// What was done.
#[derive(Debug)]
pub struct Moved {
    /// Where the old state is kept.
    pub kept: String,
    pub to: String,
    pub document: Document,
}

/// Moves the state from a backend to the one that the workspace names.
///
/// # Errors
/// There is none to move, another one is at the new place, one of the two went on without the other, somebody holds one of
/// the locks, or a backend fails. The old state is then as it was.
pub async fn migrate(config: &Config, from: StateBackend, timeout: Duration, command: &str) -> Result<Moved> {
    let to = config.state.backend;
    if from == to {
        return Err(Diagnostic::new(Kind::Usage, "that is where the workspace keeps its state already").hint(
            "set backend under [state] in nornplan.toml to where the state shall go first, and name by --from where it is",
        ));
    }
    let (source, target) = (backend_of(config, from), backend_of(config, to));
    let patience = Patience { timeout, command, tell: render::tell };
    if !source.view().await?.exists {
        return Err(nothing(source.as_ref()));
    }
    // Always in this order, so that two that move in opposite directions do not wait for one another.
    let (mut here, mut there) = match from {
        StateBackend::Local => {
            let here = source.lock(&patience).await?;
            (here, target.lock(&patience).await?)
        }
        StateBackend::Postgres => {
            let there = target.lock(&patience).await?;
            (source.lock(&patience).await?, there)
        }
    };
    let view = here.view().await?;
    if view.moved.is_some() || !view.exists {
        return Err(nothing(source.as_ref()));
    }
    let (document, mut here) = whole(here, view).await?;
    // A first run that ended before it had done anything.
    if document.is_new() {
        return Err(nothing(source.as_ref()));
    }
    let present = there.view().await?;
    if is_to_be_written(&document, &present).map_err(|error| error.on("state", target.place(), ""))? {
        there.write(&document).await?;
    }
    let this = Holder::this(command);
    here.retire(&format!("{} (by {} on {}, {})", target.place(), this.user, this.host, this.since)).await?;
    let kept = match from {
        StateBackend::Local => Files::of(config).moved().display().to_string(),
        StateBackend::Postgres => format!("{}, marked as moved", source.place()),
    };
    Ok(Moved { kept, to: target.place(), document })
}

/// The state as one document, with what an unfinished run left folded in.
async fn whole(backend: Box<dyn Locked>, view: View) -> Result<(Document, Box<dyn Locked>)> {
    let View { document, saved, leftover, .. } = view;
    let mut store = LockedStore { backend, saved, document };
    if leftover {
        store.finish().await?;
    }
    Ok((store.document, store.backend))
}

/// Whether the new place has it not yet.
fn is_to_be_written(document: &Document, present: &View) -> Result<bool> {
    let there = &present.document;
    if !present.exists {
        return Ok(true);
    }
    if there.lineage != document.lineage {
        let message = format!(
            "another state is there ({} with serial {}; the one to move is {})",
            there.lineage, there.serial, document.lineage
        );
        return Err(Diagnostic::new(Kind::State, message).hint(
            "give this workspace's state a name of its own by name under [state], or move away what is there. Nothing was \
             moved",
        ));
    }
    // One that was moved from there and went on comes back.
    if present.moved.is_some() && there.serial <= document.serial {
        return Ok(true);
    }
    if there == document {
        return Ok(false);
    }
    let message = format!(
        "both places have this state, and one went on without the other (serial {} there, {} here)",
        there.serial, document.serial
    );
    Err(Diagnostic::new(Kind::State, message).hint(
        "find out which of them is right: `nornplan state pull` prints the one that [state] names. Then move the other \
         away. Nothing was moved",
    ))
}

fn nothing(source: &dyn Backend) -> Diagnostic {
    let error = Diagnostic::new(Kind::State, "there is no state to move").on("state", source.place(), "");
    error.hint("see path, name and database under [state], and --env")
}
