//! What is ours and what was last applied.
//!
//! A run that changes something locks the state first, appends each completed step to the journal, and writes the
//! document once, at its end. A run that is killed leaves its journal, which the next one folds in.

pub mod document;
pub mod durable;
pub mod journal;
pub mod local;
pub mod lock;
#[cfg(test)]
mod tests;

pub use document::{Document, Entry, Event, FORMAT_VERSION, Origin};

use crate::config::Config;
use crate::error::{Diagnostic, Kind, Result};
use journal::Journal;
use local::{Files, cannot};
use lock::Lock;
use std::fs;
use std::time::Duration;

/// The state as it is, to look at: no lock is taken and nothing is written.
#[derive(Debug)]
pub struct Store {
    document: Document,
}

impl Store {
    /// Reads the document, with the journal of an unfinished (or a running) apply folded in.
    ///
    /// # Errors
    /// It cannot be read, is corrupt or newer than this program.
    pub fn open(config: &Config) -> Result<Self> {
        Ok(Self { document: view(&files(config))?.document })
    }

    /// What is ours. A state that does not exist yet is empty, with a lineage that no other has.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Takes the lock, then reads. What an unfinished run left in its journal is folded in durably. Blocks the thread
    /// while it waits for the lock.
    ///
    /// # Errors
    /// The directory cannot be written, somebody holds the lock, or the state cannot be read.
    pub fn lock(config: &Config, timeout: Duration, command: &str) -> Result<LockedStore> {
        let files = files(config);
        can_write(&files)?;
        let lock = Lock::take(&files, timeout, command)?;
        let View { document, saved, leftover } = view(&files)?;
        let mut store = LockedStore { files, saved, document, journal: None, _lock: lock };
        if leftover {
            store.finish()?;
        }
        Ok(store)
    }
}

/// The state of a run that changes it. The lock is held until this is dropped.
#[derive(Debug)]
pub struct LockedStore {
    files: Files,
    /// As it stands in the file.
    saved: Document,
    document: Document,
    journal: Option<Journal>,
    _lock: Lock,
}

impl LockedStore {
    /// What is ours by now.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Notes completed steps: they are durable when this returns.
    ///
    /// # Errors
    /// The journal cannot be written. The steps are noted in memory all the same, so that [`Self::finish`] may still save
    /// them.
    pub fn append(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        events.iter().cloned().for_each(|event| self.document.fold(event));
        match &mut self.journal {
            Some(journal) => journal.append(events),
            None => self.journal.insert(Journal::begin(&self.files, &self.saved)?).append(events),
        }
    }

    /// Writes the document if anything has changed, then removes the journal. May be called again.
    ///
    /// # Errors
    /// The document cannot be written; the journal is then kept for the next run.
    pub fn finish(&mut self) -> Result<()> {
        self.document.tidy();
        if self.document != self.saved {
            self.document.serial = self.saved.serial + 1;
            if let Err(error) = local::write(&self.files, &self.document) {
                self.document.serial = self.saved.serial;
                return Err(error);
            }
            self.saved = self.document.clone();
        }
        self.journal = None;
        let journal = self.files.journal();
        durable::remove(&journal).map_err(|error| cannot("remove the journal", &journal, error))
    }
}

struct View {
    document: Document,
    saved: Document,
    leftover: bool,
}

/// Reads the journal first: if the document has been written meanwhile by a run that ends, its serial says that it has
/// these events already.
fn view(files: &Files) -> Result<View> {
    let leftover = journal::read(files)?;
    let saved = local::read(files)?;
    let fresh = || uuid::Uuid::new_v4().to_string();
    let found = leftover.is_some() || files.journal().exists();
    match leftover {
        Some(leftover) => {
            let document = leftover.fold_into(saved.clone(), files, fresh)?;
            let saved = saved.unwrap_or_else(|| Document::new(&files.environment, document.lineage.clone()));
            Ok(View { document, saved, leftover: found })
        }
        None => {
            let saved = saved.unwrap_or_else(|| Document::new(&files.environment, fresh()));
            Ok(View { document: saved.clone(), saved, leftover: found })
        }
    }
}

fn files(config: &Config) -> Files {
    Files { directory: config.state.path.clone(), environment: config.environment.clone() }
}

/// Makes the directory and proves that it can be written, before anything is done that would have to be noted there.
fn can_write(files: &Files) -> Result<()> {
    let directory = &files.directory;
    fs::create_dir_all(directory)
        .and_then(|()| tempfile::tempfile_in(directory))
        .map_err(|error| cannot("write the directory of the state", directory, error))?;
    for file in [files.document(), files.journal(), files.lock()] {
        if file.exists() && !file.is_file() {
            return Err(Diagnostic::new(Kind::State, "it is not a regular file")
                .in_file(file)
                .hint("move it away, or name another directory by state.path"));
        }
    }
    Ok(())
}
