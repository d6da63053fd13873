//! Statements of a run that was killed. The server carries a CREATE or DROP DATABASE to its end after its client has
//! died, so what is read meanwhile is about to change.

use crate::services::Failure;
use crate::services::postgres::connect::stating;
use sqlx::{PgConnection, query_scalar};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// No such statement takes longer on a server that is well; a later one is met by the re-read before each write.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// Statements of others are not even looked at: an app may call itself nornplan, and their bytes may be in any encoding.
const RUNNING: &str = "SELECT count(*) FROM pg_stat_activity a, unnest($1::text[]) AS d(name) \
     WHERE a.pid <> pg_backend_pid() AND CASE WHEN a.usename = current_user AND a.application_name = 'nornplan' \
         AND a.state = 'active' THEN a.query ~ '^(CREATE|DROP) DATABASE' \
           AND position('\"' || replace(d.name, '\"', '\"\"') || '\"' IN a.query) > 0 ELSE false END";

/// Waits until none of the databases is being made or dropped by a nornplan.
pub async fn wait(connection: &mut PgConnection, databases: &BTreeSet<String>) -> Result<(), Failure> {
    let names: Vec<&str> = databases.iter().map(String::as_str).collect();
    let since = Instant::now();
    loop {
        let query = query_scalar(RUNNING).bind(&names).persistent(false);
        let counted: Result<i64, _> = query.fetch_one(&mut *connection).await;
        let running =
            counted.map_err(|error| stating(error, "running statements", "SELECT .. FROM pg_stat_activity"))?;
        if running == 0 || since.elapsed() > PATIENCE {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
