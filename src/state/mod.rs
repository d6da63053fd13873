//! What is ours and what was last applied.
//!
//! A run that changes something locks the state first, appends each completed step to the journal, and writes the
//! document once, at its end. A run that is killed leaves its journal, which the next one folds in.

pub mod backend;
mod beside;
pub mod document;
pub mod durable;
pub mod format;
mod holder;
mod leftover;
mod local;
pub mod migrate;
mod postgres;
pub mod push;
pub mod room;

pub use backend::{Backend, Holding};
pub use document::{Carried, Document, Entry, Event, FORMAT_VERSION, Origin};

use crate::config::{Config, StateBackend};
use crate::error::{Diagnostic, Kind, Result};
use crate::render;
use backend::{Locked, View};
use holder::Patience;
use local::Files;
use postgres::Database;
use std::time::Duration;

/// The place that the workspace names for its state.
pub fn backend(config: &Config) -> Box<dyn Backend> {
    backend_of(config, config.state.backend)
}

fn backend_of(config: &Config, kind: StateBackend) -> Box<dyn Backend> {
    match kind {
        StateBackend::Local => Box::new(Files::of(config)),
        StateBackend::Postgres => Box::new(Database::of(config)),
    }
}

/// The state as it is, to look at: no lock is taken and nothing is written.
#[derive(Debug)]
pub struct Store {
    document: Document,
}

impl Store {
    /// Reads the document, with the journal of an unfinished (or a running) apply folded in.
    ///
    /// # Errors
    /// It cannot be read, is corrupt or newer than this program, or was moved.
    pub async fn open(config: &Config) -> Result<Self> {
        let backend = backend(config);
        let view = present(config, backend.as_ref(), backend.view().await?)?;
        beside::warn(config);
        Ok(Self { document: view.document })
    }

    /// What is ours. A state that does not exist yet is empty, with a lineage that no other has.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Takes the lock, then reads. What an unfinished run left in its journal is folded in durably. Dropping the future
    /// gives up waiting.
    ///
    /// # Errors
    /// The state cannot be written, somebody holds the lock, or it cannot be read.
    pub async fn lock(config: &Config, timeout: Duration, command: &str) -> Result<LockedStore> {
        let backend = backend(config);
        if beside::has_files(config) {
            // Before anything is made.
            present(config, backend.as_ref(), backend.view().await?)?;
        }
        let mut locked = backend.lock(&Patience { timeout, command, tell: render::tell }).await?;
        let view = present(config, backend.as_ref(), locked.view().await?)?;
        beside::warn(config);
        let View { document, saved, leftover, .. } = view;
        let mut store = LockedStore { backend: locked, saved, document };
        if leftover {
            store.finish().await?;
        }
        Ok(store)
    }
}

/// A state that may be gone on from: one that was moved away is not, nor an empty one beside another that is not.
fn present(config: &Config, backend: &dyn Backend, view: View) -> Result<View> {
    if let Some(to) = &view.moved {
        let message = format!("this state was moved to {to}");
        return Err(Diagnostic::new(Kind::State, message).on("state", backend.place(), "").hint(
            "set backend under [state] to where it is now; to have it here again, see `nornplan state migrate --help`. \
             Nothing was written",
        ));
    }
    beside::refuse_empty(config, &view)?;
    Ok(view)
}

/// The serial of the next document.
///
/// # Errors
/// There is none that every backend can keep.
fn serial_after(serial: u64) -> Result<u64> {
    serial.checked_add(1).filter(|next| i64::try_from(*next).is_ok()).ok_or_else(|| {
        Diagnostic::new(Kind::State, format!("the serial of the state is {serial}, and no larger one can be written"))
            .hint("no run comes that far: bring back a state that has not been changed by hand")
    })
}

/// The state of a run that changes it. The lock is held until this is dropped.
#[derive(Debug)]
pub struct LockedStore {
    backend: Box<dyn Locked>,
    /// As it was last written.
    saved: Document,
    document: Document,
}

impl LockedStore {
    /// What is ours by now.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Proves that the lock is still ours: before anything is begun that another run must not do at the same time.
    ///
    /// # Errors
    /// It is not.
    pub async fn check(&mut self) -> Result<()> {
        self.backend.check().await
    }

    /// Proves that what is ours can be written with so many bytes more, before anything is done that would have to be.
    ///
    /// # Errors
    /// It cannot.
    pub async fn prove(&self, more: u64) -> Result<()> {
        let document = serde_json::to_vec_pretty(&self.document).map_or(0, |text| text.len());
        // The new document beside the old one and its backup, and the journal.
        self.backend.prove(2 * u64::try_from(document).unwrap_or_default() + 2 * more).await
    }

    /// Gives a state that is not written yet its lineage: that of the saved plan that founds it.
    pub fn found(&mut self, lineage: &str) {
        for document in [&mut self.document, &mut self.saved].into_iter().filter(|document| document.is_new()) {
            lineage.clone_into(&mut document.lineage);
        }
    }

    /// Notes completed steps: they are durable when this returns.
    ///
    /// # Errors
    /// The journal cannot be written. The steps are noted in memory all the same, so that [`Self::finish`] may still save
    /// them.
    pub async fn append(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        events.iter().cloned().for_each(|event| self.document.fold(event));
        self.backend.append(&self.saved, events).await
    }

    /// Writes the document if anything has changed, then removes the journal. May be called again.
    ///
    /// # Errors
    /// The document cannot be written; the journal is then kept for the next run.
    pub async fn finish(&mut self) -> Result<()> {
        self.document.tidy();
        if self.document != self.saved {
            self.document.serial = serial_after(self.saved.serial)?;
            if let Err(error) = self.backend.write(&self.document).await {
                self.document.serial = self.saved.serial;
                return Err(error);
            }
            self.saved = self.document.clone();
        }
        self.backend.remove_journal().await
    }
}
