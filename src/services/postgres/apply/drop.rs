//! Dropping a database: not under anybody's feet, not before it is dumped, and not with anything in it that the dump
//! does not have.
//!
//! The database is closed first to all but the dump, even if it lets nobody in: whoever signs in later is refused, and
//! who is in it is refused to (or ended, with consent). Then it is dumped, and dropped only if nobody but the dump was in
//! it since. On any failure it lets in again whom it did, and so it does if the run is stopped while it is dumped, which
//! may take hours.

use super::guard::{self, Halt};
use crate::error::{Diagnostic, Kind};
use crate::services::postgres::catalog;
use crate::services::postgres::connect::join;
use crate::services::postgres::connect::{Connector, run, value};
use crate::services::postgres::model::database_address;
use crate::services::postgres::snapshot::{self, MANUAL};
use crate::services::{Failure, Progress, Step};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long sessions that end may take to be gone, and readers of ours to be done.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Everybody in a database, and those that are just signing in, who hold a lock on the database before they are seen.
const ANYBODY: &str = "SELECT \
     (SELECT count(*) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.objid \
      WHERE l.locktype = 'object' AND l.classid = 'pg_catalog.pg_database'::regclass AND l.database = 0 \
        AND d.datname = $1 AND l.pid <> pg_backend_pid()) \
   + (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() \
        AND usesysid IS NOT NULL)";

/// How many sessions a database has had.
const COUNTED: &str = "SELECT sessions FROM pg_catalog.pg_stat_database WHERE datname = $1";

/// Dumps a database that is as planned, then drops it: the file of the dump, if there was anything to dump. Sessions in it
/// are ended only if they `may_end`. `stop` breaks it off for as long as nothing is dropped.
pub async fn database(
    connector: &Connector,
    connection: &mut PgConnection,
    step: &Step,
    may_end: bool,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, Halt> {
    let name = step.address.name.as_str();
    let Some(there) = catalog::database(connection, name).await? else { return Ok(None) };
    guard::same_database(step, &there.oid)?;
    // A cancelled DROP left it behind: then only DROP works.
    if there.is_left_behind() {
        drop_it(connection, name).await?;
        return Ok(None);
    }
    let program = snapshot::program(connector, connection).await.map_err(nothing_dropped)?;
    let users = catalog::strangers(connection, name).await?;
    if !users.is_empty() && !may_end {
        return Err(nothing_dropped(busy(name, &users)).into());
    }
    // Nobody, or no administrator but a superuser, gets in before it has room for the dump.
    let (open, limit) = (there.allow_connections, there.connection_limit);
    let was_shut = !open || limit == 0;
    if !was_shut {
        snapshot::prepare(connector, connection, name).await?;
    }
    let closed = Closed { connector, name, program, may_end, was_shut, stop };
    closed.hold(connection, step).await.map_err(|halt| match halt {
        Halt::Failed(failure) => Halt::Failed(nothing_dropped(failure)),
        Halt::Overtaken(_) | Halt::Settled(_) => halt,
    })?;
    let mut failure = match closed.dump_and_drop(connection).await {
        Ok(dump) => return Ok(Some(dump)),
        Err(failure) => nothing_dropped(failure),
    };
    // Whoever has set its limit meanwhile has settled who may enter.
    if catalog::database(connection, name)
        .await
        .is_ok_and(|now| now.is_some_and(|now| !(0..=1).contains(&now.connection_limit)))
    {
        return Err(failure.into());
    }
    let statement =
        format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {open} CONNECTION LIMIT {limit}", escape_identifier(name));
    if run(connection, name, &statement).await.is_err() {
        // What went wrong first is what must be told.
        failure.error.message = format!("{}; then it could not be given back: {statement}", failure.error.message);
    }
    Err(failure.into())
}

/// A database while it is being dropped.
struct Closed<'a> {
    connector: &'a Connector,
    name: &'a str,
    program: snapshot::Program,
    may_end: bool,
    /// Whether we could not get in before.
    was_shut: bool,
    stop: &'a CancellationToken,
}

impl Closed<'_> {
    /// A limit does not bind superusers. Any other administrator needs room for the one session of the dump.
    async fn room(&self, connection: &mut PgConnection) -> Result<i32, Failure> {
        Ok(i32::from(!self.connector.is_superuser(connection).await?))
    }

    /// Closes it in a transaction that stays open, if it is as planned.
    async fn hold(&self, connection: &mut PgConnection, step: &Step) -> Result<(), Halt> {
        let room = self.room(connection).await?;
        guard::begin_on_database(self.connector, connection, step).await?;
        Ok(self.limit(connection, room).await?)
    }

    async fn dump_and_drop(&self, connection: &mut PgConnection) -> Result<PathBuf, Failure> {
        run(connection, self.name, "COMMIT").await?;
        let room = self.room(connection).await?;
        self.empty(connection).await?;
        if self.was_shut {
            snapshot::prepare(self.connector, connection, self.name).await?;
            self.empty(connection).await?;
        }
        let before: i64 = value(connection, self.name, COUNTED, &[self.name]).await?;
        let progress = Progress::default();
        let dump = tokio::select! {
            dump = snapshot::dump(self.connector, &self.program, self.name, MANUAL, &progress) => dump?,
            () = self.stop.cancelled() => return Err(stopped(self.name)),
        };
        if room > 0 {
            self.limit(connection, 0).await?;
        }
        self.empty(connection).await?;
        let after: i64 = value(connection, self.name, COUNTED, &[self.name]).await?;
        if after != before + 1 {
            return Err(Diagnostic::new(Kind::Service, "somebody was in it while it was dumped")
                .on("postgres", self.name, format!("DROP DATABASE {}", escape_identifier(self.name)))
                .hint("stop what signs in there, then run it again")
                .into());
        }
        drop_it(connection, self.name).await?;
        Ok(dump.from_here())
    }

    async fn limit(&self, connection: &mut PgConnection, room: i32) -> Result<(), Failure> {
        let name = escape_identifier(self.name);
        let statement = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true CONNECTION LIMIT {room}");
        run(connection, self.name, &statement).await
    }

    /// Waits until nobody is in it. Strangers are ended if that was consented to, and else refused to.
    async fn empty(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let since = Instant::now();
        let mut joined = false;
        loop {
            let users = catalog::strangers(connection, self.name).await?;
            if !users.is_empty() {
                if !self.may_end || since.elapsed() > PATIENCE {
                    return Err(busy(self.name, &users));
                }
                if !joined {
                    for user in &users {
                        // Where that cannot be, ending the session says so.
                        drop(join(self.connector, connection, user).await);
                    }
                    joined = true;
                }
                catalog::end_strangers(connection, self.name).await?;
            }
            let anybody: i64 = value(connection, self.name, ANYBODY, &[self.name]).await?;
            if users.is_empty() && anybody == 0 {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                let mut failure = busy(self.name, &["another nornplan".to_owned()]);
                failure.error.hint = Some("wait until the other run is done, then run it again".to_owned());
                return Err(failure);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The server ends an autovacuum that is in it, and refuses if anybody else is.
async fn drop_it(connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    run(connection, name, &format!("DROP DATABASE {}", escape_identifier(name))).await
}

fn busy(name: &str, users: &[String]) -> Failure {
    let sessions = if users.len() == 1 { "session is" } else { "sessions are" };
    Diagnostic::new(Kind::Service, format!("{} {sessions} connected ({})", users.len(), users.join(", ")))
        .on("postgres", name, format!("DROP DATABASE {}", escape_identifier(name)))
        .hint(format!("stop the app first, or let its sessions be ended: --allow-interrupt {}", database_address(name)))
        .into()
}

fn stopped(name: &str) -> Failure {
    Diagnostic::new(Kind::Service, "the run was stopped while it was dumped")
        .on("postgres", name, "")
        .hint("run it again; what was dumped by then is removed")
        .into()
}

fn nothing_dropped(mut failure: Failure) -> Failure {
    failure.error.message = format!("{}; nothing was dropped", failure.error.message);
    failure
}
