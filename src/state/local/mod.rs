//! The state as files: a document, a journal and a lock in a directory.

mod files;
mod journal;
mod lock;
mod places;
#[cfg(test)]
mod tests;

pub use files::Files;

use super::backend::{Backend, Holding, Locked, View};
use super::document::{Document, Event};
use super::holder::Patience;
use super::{durable, room};
use crate::error::{Diagnostic, Kind, Result};
use crate::render;
use crate::services::Check;
use async_trait::async_trait;
use files::cannot;
use journal::Journal;
use lock::Lock;
use std::fs;

#[async_trait]
impl Backend for Files {
    fn place(&self) -> String {
        self.document().display().to_string()
    }

    async fn view(&self) -> Result<View> {
        view(self)
    }

    async fn lock(&self, patience: &Patience<'_>) -> Result<Box<dyn Locked>> {
        can_write(self)?;
        let lock = Lock::take(self, patience).await?;
        // What a killed run left half-written; what is another environment's may be under way.
        let ours = [self.document(), self.backup()];
        let is_ours = |name: &str| ours.iter().any(|path| path.file_name().is_some_and(|ours| ours == name));
        durable::tidy(&self.directory, is_ours)
            .map_err(|error| cannot("tidy the directory", &self.directory, error))?;
        Ok(Box::new(LocalLocked { files: self.clone(), journal: None, lock }))
    }

    async fn holding(&self) -> Result<Option<Holding>> {
        lock::holding(self)
    }

    async fn take_away(&self, from: &Holding) -> Result<()> {
        let error = Diagnostic::new(Kind::State, "a lock on files ends with the process that holds it, and only so");
        Err(error.in_file(self.lock()).hint(match &from.holder {
            Some(holder) if holder.is_here() => format!(
                "end that process, if nobody waits for what it does: kill {}. It then finishes what is in flight and \
                 stops. To remove the file would let a second run in beside it",
                holder.pid
            ),
            Some(holder) => format!(
                "end the process {} on {}, if nobody waits for what it does. To remove the file would let a second run \
                 in beside it",
                holder.pid, holder.host
            ),
            None => format!("find the process with: fuser -v {}", self.lock().display()),
        }))
    }

    async fn backup(&self) -> Result<Option<String>> {
        let path = self.backup();
        let bytes = durable::read(&path).map_err(|error| cannot("read the backup", &path, error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn examine(&self) -> Vec<Check> {
        match self.directory.metadata() {
            // The first apply makes it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Ok(_) | Err(_) => match room::prove(&self.directory, 0) {
                Ok(()) => vec![Check::good("the state can be written")],
                Err(error) => {
                    vec![Check::failed(&cannot("write the directory of the state", &self.directory, error))]
                }
            },
        }
    }
}

/// The files of one environment, with the lock held.
#[derive(Debug)]
struct LocalLocked {
    files: Files,
    journal: Option<Journal>,
    lock: Lock,
}

#[async_trait]
impl Locked for LocalLocked {
    async fn view(&mut self) -> Result<View> {
        view(&self.files)
    }

    async fn check(&mut self) -> Result<()> {
        self.lock.check()
    }

    async fn prove(&self, bytes: u64) -> Result<()> {
        places::check(&self.files)?;
        let directory = &self.files.directory;
        room::prove(directory, bytes).map_err(|error| {
            cannot(&format!("write {} here, as this run may need to", render::bytes(bytes)), directory, error)
        })
    }

    async fn append(&mut self, base: &Document, events: &[Event]) -> Result<()> {
        self.lock.check()?;
        match &mut self.journal {
            Some(journal) => journal.append(events),
            None => self.journal.insert(Journal::begin(&self.files, base)?).append(events),
        }
    }

    async fn write(&mut self, document: &Document) -> Result<()> {
        self.lock.check()?;
        files::write(&self.files, document)?;
        let moved = self.files.moved();
        durable::remove(&moved).map_err(|error| cannot("remove what was moved", &moved, error))
    }

    async fn remove_journal(&mut self) -> Result<()> {
        self.lock.check()?;
        self.journal = None;
        let journal = self.files.journal();
        durable::remove(&journal).map_err(|error| cannot("remove the journal", &journal, error))
    }

    async fn retire(&mut self, _moved_to: &str) -> Result<()> {
        self.lock.check()?;
        let (from, to) = (self.files.document(), self.files.moved());
        fs::rename(&from, &to)
            .and_then(|()| durable::sync_directory(&self.files.directory))
            .map_err(|error| cannot("put the old state aside", &from, error))
    }
}

/// Reads the journal first: if the document has been written meanwhile by a run that ends, its serial says that it has
/// these events already.
fn view(files: &Files) -> Result<View> {
    places::check(files)?;
    let leftover = journal::read(files)?;
    let found = leftover.is_some() || files.journal().exists();
    let mut saved = files::read(files, &files.document())?;
    let mut moved = None;
    if saved.is_none() && leftover.is_none() {
        saved = files::read(files, &files.moved())?;
        moved = saved.as_ref().map(|_| format!("another backend, and is {} since", files.moved().display()));
    }
    let view = View::of(&files.environment, saved, leftover.into_iter().collect());
    let view = view.map_err(|error| error.in_file(files.journal()))?;
    Ok(View { leftover: found, moved, ..view })
}

/// Makes the directory and proves that it can be written, before anything is done that would have to be noted there.
fn can_write(files: &Files) -> Result<()> {
    places::check(files)?;
    let directory = &files.directory;
    durable::create_directories(directory)
        .and_then(|()| room::prove(directory, 0))
        .map_err(|error| cannot("write the directory of the state", directory, error))
}
