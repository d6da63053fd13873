//! Statements of a run that was killed. The server carries what it was told to its end after its client has died: a
//! CREATE or DROP DATABASE, or a transaction that is being written to disk. What is read meanwhile is about to change.

use crate::services::postgres::connect::stating;
use crate::services::{Failure, Progress};
use sqlx::{PgConnection, query_as};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// No such statement takes longer on a server that is well; a later one is met by the re-read before each write.
const PATIENCE: Duration = Duration::from_secs(15);
/// After so long, whoever looks on is told why nothing happens.
const TOLD_AFTER: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// Sessions that carry one out: process, transaction if it has written already. Those of others are not even looked
/// at: an app may call itself nornplan, and their bytes may be in any encoding.
const RUNNING: &str = "SELECT a.pid, a.backend_xid::text, a.query ~ '^(CREATE|DROP) DATABASE' AND EXISTS \
         (SELECT FROM unnest($1::text[]) AS d(name) \
          WHERE position('\"' || replace(d.name, '\"', '\"\"') || '\"' IN a.query) > 0) \
     FROM pg_stat_activity a \
     WHERE a.pid <> pg_backend_pid() AND CASE WHEN a.usename = current_user AND a.application_name = 'nornplan' \
         THEN a.state = 'active' OR a.backend_xid IS NOT NULL ELSE false END";

/// A transaction of a session: its process and number.
type Writer = (i32, String);

/// Waits until none of the databases is being made or dropped by a nornplan, and until what one was writing at the
/// first look has ended. Another run that goes on writing is not waited for.
pub async fn wait(
    connection: &mut PgConnection,
    databases: &BTreeSet<String>,
    progress: &Progress,
) -> Result<(), Failure> {
    let names: Vec<&str> = databases.iter().map(String::as_str).collect();
    let since = Instant::now();
    let mut first: Option<BTreeSet<Writer>> = None;
    loop {
        let query = query_as(RUNNING).bind(&names).persistent(false);
        let running: Vec<(i32, Option<String>, bool)> = query
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| stating(error, "running statements", "SELECT .. FROM pg_stat_activity"))?;
        let on_databases = running.iter().any(|(_, _, on_databases)| *on_databases);
        let writing: BTreeSet<Writer> =
            running.into_iter().filter_map(|(process, transaction, _)| Some((process, transaction?))).collect();
        let awaited = first.get_or_insert_with(|| writing.clone());
        if (!on_databases && awaited.is_disjoint(&writing)) || since.elapsed() > PATIENCE {
            return Ok(());
        }
        if since.elapsed() > TOLD_AFTER {
            progress.wait();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
