//! What a place that keeps published secrets must be able to do.

use crate::core::name::AppName;
use crate::core::secret::Secret;
use crate::error::Result;
use crate::services::Check;
use std::collections::{BTreeMap, BTreeSet};

/// Names of variables and their values.
pub type Values = BTreeMap<String, Secret>;

/// A sink of one environment. Nothing is cached: what it says is what is there now. What is staged and promoted survives a
/// crash when [`Sink::settle`] has returned: many apps share one such call, and may be written side by side.
pub trait Sink: Send + Sync {
    /// What it is and where, for people.
    fn describe(&self) -> String;

    /// All that is published for an app, foreign names too; `None` if there is nothing at all.
    ///
    /// # Errors
    /// It cannot be read or understood.
    fn read(&self, app: &AppName) -> Result<Option<Values>>;

    /// What an unfinished run has staged.
    ///
    /// # Errors
    /// It cannot be read or understood.
    fn staged(&self, app: &AppName) -> Result<Values>;

    /// The apps for which something is staged.
    ///
    /// # Errors
    /// It cannot be read.
    fn staged_apps(&self) -> Result<Vec<AppName>>;

    /// Replaces what is staged. Nothing to stage removes the stage.
    ///
    /// # Errors
    /// It cannot be written.
    fn stage(&self, app: &AppName, values: &Values) -> Result<()>;

    /// Sets and removes published values in one atomic write. All other names stay as they are.
    ///
    /// # Errors
    /// It cannot be written; then nothing has changed.
    fn promote(&self, app: &AppName, set: &Values, remove: &BTreeSet<String>) -> Result<()>;

    /// Proves that the values of so many apps can be staged and promoted, before a server is told any of them.
    ///
    /// # Errors
    /// They cannot.
    fn prove(&self, apps: usize) -> Result<()>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// It cannot be: what was written may be lost in a crash.
    fn settle(&self) -> Result<()>;

    /// The lineage of the state that the sink belongs to.
    ///
    /// # Errors
    /// It cannot be read.
    fn marker(&self) -> Result<Option<String>>;

    /// Makes the sink belong to a state.
    ///
    /// # Errors
    /// It cannot be written.
    fn mark(&self, lineage: &str) -> Result<()>;

    /// Removes what a killed run left half-written. Only for who holds the lock of the state.
    ///
    /// # Errors
    /// It cannot be read or written.
    fn tidy(&self) -> Result<()>;

    /// Whether it can be used, for `nornplan doctor`.
    fn examine(&self) -> Vec<Check>;
}
