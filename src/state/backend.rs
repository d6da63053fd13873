//! What a place that keeps states must be able to do.

use super::document::{Document, Event};
use super::holder::{Holder, Patience};
use super::leftover::Leftover;
use crate::error::Result;
use crate::services::Check;
use async_trait::async_trait;
use std::fmt::Debug;

/// A state as it was read.
#[derive(Debug)]
pub struct View {
    /// With the journal folded in.
    pub document: Document,
    /// Without it.
    pub saved: Document,
    /// Whether there is a journal.
    pub leftover: bool,
    /// Whether there is anything at all: a document, or the journal of a first run.
    pub exists: bool,
    /// Where the state was moved to, if it was: what is here is what it was then.
    pub moved: Option<String>,
}

impl View {
    /// As where there is no state yet.
    pub fn nothing(environment: &str) -> Self {
        let document = fresh(environment);
        Self { saved: document.clone(), document, leftover: false, exists: false, moved: None }
    }

    /// What was read: the document as it was last written, and the journals that go on from it.
    ///
    /// # Errors
    /// A journal belongs to another state, or to a later version of this one.
    pub fn of(environment: &str, saved: Option<Document>, journals: Vec<Leftover>) -> Result<Self> {
        let (leftover, is_written) = (!journals.is_empty(), saved.is_some());
        let fold = |document, journal: Leftover| journal.fold_into(document, || fresh(environment)).map(Some);
        let document = journals.into_iter().try_fold(saved.clone(), fold)?.unwrap_or_else(|| fresh(environment));
        let saved = saved.unwrap_or_else(|| Document::new(environment, document.lineage.clone()));
        Ok(Self { document, saved, leftover, exists: leftover || is_written, moved: None })
    }
}

/// A state with a lineage that no other has.
fn fresh(environment: &str) -> Document {
    Document::new(environment, uuid::Uuid::new_v4().to_string())
}

/// That the lock is held, and by whom as far as that is known.
#[derive(Debug)]
pub struct Holding {
    pub holder: Option<Holder>,
    /// The server's session that holds it, where a server does.
    pub session: Option<Session>,
}

/// A session of the server's.
#[derive(Debug)]
pub struct Session {
    /// Its process on the server.
    pub process: i32,
    /// When it began, as the server words it.
    pub began: Option<String>,
    /// The run's own lock, which tells it from every other.
    pub token: Option<i64>,
}

impl std::fmt::Display for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.holder, &self.session) {
            (Some(holder), _) => write!(f, "{holder}"),
            (None, Some(session)) => {
                write!(f, "the server's process {}, which has not said who it is", session.process)
            }
            (None, None) => f.write_str("another run"),
        }
    }
}

/// A place that keeps the state of one environment.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// Reads the state as it is; takes no lock and makes nothing.
    ///
    /// # Errors
    /// It cannot be read, is corrupt, or newer than this program.
    async fn view(&self) -> Result<View>;

    /// Takes the lock. Dropping the future gives up waiting.
    ///
    /// # Errors
    /// The place cannot be written, or somebody holds the lock.
    async fn lock(&self, patience: &Patience<'_>) -> Result<Box<dyn Locked>>;

    /// Whether the lock is held, and by whom.
    ///
    /// # Errors
    /// It cannot be told.
    async fn holding(&self) -> Result<Option<Holding>>;

    /// Takes the lock from who holds it, if that is still who was named.
    ///
    /// # Errors
    /// It cannot be taken away from here; the hint says what can be done.
    async fn take_away(&self, from: &Holding) -> Result<()>;

    /// The text of the document before the present one.
    ///
    /// # Errors
    /// It cannot be read.
    async fn backup(&self) -> Result<Option<String>>;

    /// What `nornplan doctor` says of the place itself.
    async fn examine(&self) -> Vec<Check>;
}

/// The state of one environment, with its lock held until this is dropped.
#[async_trait]
pub trait Locked: Debug + Send + Sync {
    /// Reads the state.
    ///
    /// # Errors
    /// It cannot be read, is corrupt, or newer than this program.
    async fn view(&mut self) -> Result<View>;

    /// Proves that the lock is still ours. To be asked before anything is begun; each write proves it by itself.
    ///
    /// # Errors
    /// It is not, or that cannot be told.
    async fn check(&mut self) -> Result<()>;

    /// Proves that so many bytes can be written, where that can be known before they are.
    ///
    /// # Errors
    /// They cannot.
    async fn prove(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Appends to the journal, which goes on from the document `base` as it was last written: when this returns, the
    /// events survive anything.
    ///
    /// # Errors
    /// They cannot be written, or nobody knows whether they were: as where the answer to a COMMIT was lost.
    async fn append(&mut self, base: &Document, events: &[Event]) -> Result<()>;

    /// Replaces the document durably and keeps the one before it. The journal is not looked at any more then.
    ///
    /// # Errors
    /// It cannot be written; the old document is then still there.
    async fn write(&mut self, document: &Document) -> Result<()>;

    /// Removes the journal, if there is one.
    ///
    /// # Errors
    /// It cannot be removed.
    async fn remove_journal(&mut self) -> Result<()>;

    /// Leaves the state as it is and marks it as moved, so that nobody goes on from it.
    ///
    /// # Errors
    /// It cannot be marked.
    async fn retire(&mut self, moved_to: &str) -> Result<()>;
}
