//! Snapshots: pg_dump and pg_restore, and what lies between them and a user.

mod archive;
mod dump;
mod file;
mod leftover;
pub mod programs;
mod restore;
mod restorer;
mod target;

pub use archive::{Archive, Entry, Selection};
pub use dump::{Snapshot, dump, prepare, program};
pub use file::{MANUAL, PRE_RESTORE, newest, prove, tidy};
pub use leftover::{find as find_leftovers, is_restorer, sweep};
pub use programs::Program;
pub use restore::Job;
pub use target::{Target, whose};

pub use super::catalog::Move;

use super::Postgres;
use super::connect::{Purpose, values};
use crate::error::{Diagnostic, Kind, Result};
use crate::services::Progress;
use sqlx::PgConnection;
use std::path::{Path, PathBuf};

impl Postgres {
    /// Dumps a database that exists. `progress` is told the bytes that are written, and of how large a database.
    ///
    /// # Errors
    /// It does not exist, pg_dump is older than the server, or fails.
    pub async fn snapshot(&self, database: &str, label: &str, progress: &Progress) -> Result<Snapshot> {
        let connector = &self.connector;
        let mut connection = connector.administration(Purpose::Write).await?;
        let program = dump::program(connector, &mut connection).await?;
        must_be_open(&mut connection, database).await?;
        dump::prepare(connector, &mut connection, database).await?;
        progress.begin(dump::size(&mut connection, database).await);
        connector.keep(Purpose::Write, connection).await;
        Ok(dump::dump(connector, &program, database, label, progress).await?)
    }

    /// Removes old snapshots of a database, as the configuration says, and never the one that was `made` just now.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn prune(&self, database: &str, made: &Path) -> Result<Vec<PathBuf>> {
        let config = &self.connector.config;
        config.keep.map_or_else(|| Ok(Vec::new()), |keep| file::prune(&config.snapshots, database, keep, made))
    }

    /// What a snapshot holds; no server is asked.
    ///
    /// # Errors
    /// It is no dump, is cut off, or is newer than any pg_restore here.
    pub async fn contents(&self, file: &Path) -> Result<Archive> {
        Ok(restore::contents(&self.connector, file).await?)
    }

    /// What a restore as the app's user would meet in a database.
    ///
    /// # Errors
    /// It does not exist, or cannot be read.
    pub async fn restore_target(&self, database: &str, user: &str) -> Result<Target> {
        let mut connection = self.connector.administration(Purpose::Write).await?;
        must_be_open(&mut connection, database).await?;
        self.connector.keep(Purpose::Write, connection).await;
        Ok(target::target(&self.connector, database, user).await?)
    }

    /// Finds out whether a snapshot has all that is selected; no server is asked.
    ///
    /// # Errors
    /// It does not, or cannot be read.
    pub async fn selects(&self, file: &Path, selection: &Selection) -> Result<()> {
        Ok(restore::selects(&self.connector, file, selection).await?)
    }

    /// Restores a snapshot: all that is selected, or nothing. `progress` is told the entries.
    ///
    /// # Errors
    /// Anything that fails; the database is then as it was.
    pub async fn restore(&self, job: &Job<'_>, progress: &Progress) -> Result<usize> {
        Ok(restore::restore(&self.connector, job, progress).await?)
    }

    /// Removes what a restore that was broken off left on the server. Whether it could: else it may run on.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn restore_broken_off(&self, user: &str) -> Result<bool> {
        let mut connection = self.connector.administration(Purpose::Write).await?;
        let is_gone = restorer::break_off(&self.connector, &mut connection, user).await?;
        self.connector.keep(Purpose::Write, connection).await;
        Ok(is_gone)
    }
}

/// Says so where nobody gets in.
async fn must_be_open(connection: &mut PgConnection, database: &str) -> Result<()> {
    let statement = "SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = $1";
    let open: Vec<bool> = values(connection, database, statement, &[database]).await?;
    let (what, hint) = match open.first() {
        None => ("there is no such database", "`nornplan apply` makes what is declared"),
        Some(false) => {
            ("it lets nobody in", "remove `allow_connections = false` from the infraspec, and apply it first")
        }
        Some(true) => return Ok(()),
    };
    Err(Diagnostic::new(Kind::Service, what).on("postgres", database, "").hint(hint))
}
