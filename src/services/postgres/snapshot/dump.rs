//! Dumps a database into a file that is whole, proven and readable by us alone, or not there.

use super::file::Partial;
use super::programs::{self, Program};
use crate::boundary;
use crate::error::Place;
use crate::services::Failure;
use crate::services::Progress;
use crate::services::postgres::connect::join;
use crate::services::postgres::connect::{Connector, Purpose, close, value, values};
use sqlx::PgConnection;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the growing file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Any app may lock its tables for as long as it likes: that must not keep all other databases from being dumped.
const LOCK_WAIT: &str = "--lock-wait-timeout=20s";

/// A snapshot that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub file: PathBuf,
    pub bytes: u64,
}

impl Snapshot {
    /// The file as one would name it in the working directory.
    pub fn from_here(self) -> PathBuf {
        let here = std::env::current_dir().ok();
        let inside = here.as_deref().and_then(|here| self.file.strip_prefix(here).ok());
        inside.map(Path::to_owned).unwrap_or(self.file)
    }
}

/// A pg_dump that fits the server that is connected to.
pub async fn program(connector: &Connector, connection: &mut PgConnection) -> Result<Program, Failure> {
    Ok(programs::pg_dump(connector, server_version(connection).await?).await?)
}

/// Such as 150018 for 15.18.
pub async fn server_version(connection: &mut PgConnection) -> Result<u32, Failure> {
    let statement = "SELECT current_setting('server_version_num')::int";
    let version: i32 = value(connection, "version", statement, &[]).await?;
    Ok(u32::try_from(version).unwrap_or_default())
}

/// Lets an administrator that is no superuser read all that is in a database: it acts for everybody who owns a part.
pub async fn prepare(connector: &Connector, connection: &mut PgConnection, database: &str) -> Result<(), Failure> {
    if connector.is_superuser(connection).await? {
        return Ok(());
    }
    let mut inside = connector.admin(database, Purpose::Observe).await?;
    let statement = "SELECT DISTINCT pg_get_userbyid(o.owner)::text FROM (
          SELECT relowner, relnamespace FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          UNION ALL SELECT nspowner, oid FROM pg_catalog.pg_namespace
        ) AS o(owner, namespace) JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'public')
          OR n.nspname = 'public' AND o.owner <> n.nspowner
        ORDER BY 1";
    let owners: Vec<String> = values(&mut inside, database, statement, &[]).await?;
    close(inside).await;
    for owner in owners {
        // Where that cannot be, pg_dump names what it may not read.
        drop(join(connector, connection, &owner).await);
    }
    Ok(())
}

/// Writes `<database>_<label>_<YYYYMMDDTHHMMSS>.dump`.
/// `progress` is told the bytes that are written.
pub async fn dump(
    connector: &Connector,
    program: &Program,
    database: &str,
    label: &str,
    progress: &Progress,
) -> Result<Snapshot, Failure> {
    let partial = Partial::begin(&connector.config.snapshots, database, label).await?;
    let mut command = program.command();
    command.args(["--format=custom", "--no-password", LOCK_WAIT, "--file"]).arg(&partial.path);
    programs::sign_in(connector, &mut command, database).await?;
    // It needs a connection of its own, and nobody waits for one on its behalf.
    connector.end_kept().await;
    let grow = watch(&partial.path, progress);
    let run = boundary::around(|| "postgres pg_dump".to_owned(), program.run(connector, &mut command));
    let dumped = tokio::select! {
        dumped = run => dumped,
        never = grow => match never {},
    };
    dumped.map_err(|failure| failed(failure, connector, database))?;
    // A dump that cannot be read is none.
    let reader = programs::newest_pg_restore(connector).await?;
    let mut command = reader.command();
    command.arg("--list").arg(&partial.path);
    reader.run(connector, &mut command).await.map_err(|failure| failed(failure, connector, database))?;
    let (file, bytes) = partial.finish()?;
    Ok(Snapshot { file, bytes })
}

/// Tells how large a file is, for ever.
async fn watch(file: &Path, progress: &Progress) -> Infallible {
    loop {
        let bytes = tokio::fs::metadata(file).await.map_or(0, |metadata| metadata.len());
        progress.reach(usize::try_from(bytes).unwrap_or(usize::MAX));
        tokio::time::sleep(LOOK).await;
    }
}

/// Bytes of a database; 0 where we may not know.
pub async fn size(connection: &mut PgConnection, database: &str) -> usize {
    let statement = "SELECT pg_database_size($1::name)";
    let bytes: i64 = value(connection, database, statement, &[database]).await.unwrap_or_default();
    usize::try_from(bytes).unwrap_or_default()
}

fn failed(mut failure: Failure, connector: &Connector, database: &str) -> Failure {
    let error = &mut failure.error;
    let full = ["No space left on device", "File too large", "Disk quota exceeded", "SIGXFSZ"];
    let is_full = full.iter().any(|words| error.message.contains(words));
    // That is how pg_dump waits for locks; nothing else of it has a time limit.
    let is_locked = error.message.contains("due to statement timeout");
    error.message = format!("the snapshot failed: {}", error.message);
    error.place.get_or_insert_with(|| Place::Server {
        service: "postgres".to_owned(),
        object: database.to_owned(),
        statement: "pg_dump --format=custom".to_owned(),
    });
    let directory = connector.config.snapshots.display();
    error.hint = Some(if is_full {
        format!("free some space in {directory}, or set dir under [snapshots]")
    } else if is_locked {
        "a session of the app has locked a table for more than 20 s. See which, in that database: SELECT pid, usename, \
         state, query FROM pg_stat_activity WHERE pid IN (SELECT pid FROM pg_locks WHERE mode = 'AccessExclusiveLock'); \
         nothing was changed"
            .to_owned()
    } else {
        "nothing was changed; put right what pg_dump says, and run it again".to_owned()
    });
    failure
}
