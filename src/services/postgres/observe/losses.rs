//! What dropping a database would lose: read at plan time, of those that are to be dropped alone.

use crate::core::address::Address;
use crate::services::postgres::catalog::{DatabaseRow, NOT_OURS, parse};
use crate::services::postgres::connect::stating;
use crate::services::postgres::connect::{Connector, close};
use crate::services::postgres::model::{DATABASE, Holdings, database_address};
use crate::services::postgres::snapshot::{newest, programs};
use crate::services::{Ask, Failure, Observed};
use futures_util::{StreamExt, stream};
use sqlx::{AssertSqlSafe, query_scalar};
use std::collections::BTreeMap;
use std::path::Path;

/// Databases that are looked into at once.
const AT_ONCE: usize = 4;

/// Tables, rows as the last ANALYZE counted them (-1 is never), when it was last used, and by whom.
const HOLDS: &str = "\
SELECT (jsonb_build_object(
  'tables', count(*) FILTER (WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition),
  'rows', coalesce(sum(c.reltuples) FILTER (WHERE c.relkind = 'r' AND c.reltuples > 0), 0)::bigint,
  'unknown_rows', count(*) FILTER (WHERE c.relkind = 'r' AND c.reltuples < 0 AND pg_relation_size(c.oid) > 0),
  'last_used', (SELECT to_char(max(day) AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM (
      SELECT max(a.state_change) FROM pg_catalog.pg_stat_activity a
      WHERE a.datname = current_database() AND NOT_OURS
      LAST_READ) AS used(day))
) || (SELECT jsonb_build_object('sessions', count(*), 'users', string_agg(DISTINCT a.usename, ', '))
  FROM pg_catalog.pg_stat_activity a WHERE a.datname = current_database() AND NOT_OURS))::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

/// Since 16 every table remembers when it was last read.
const LAST_READ: &str =
    "UNION ALL SELECT max(greatest(last_seq_scan, last_idx_scan)) FROM pg_catalog.pg_stat_user_tables";

/// Adds what they hold to the facts of databases. What cannot be read is told as that; a plan does not fail for it.
pub async fn add(
    connector: &Connector,
    doomed: &[&DatabaseRow],
    server: u32,
    resources: &mut BTreeMap<Address, Observed>,
) {
    let each = doomed
        .iter()
        .filter(|row| !row.is_left_behind())
        .map(|row| async move { (database_address(&row.name), holds(connector, &row.name, server).await) });
    let each: Vec<_> = each.collect();
    let found: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
    for (address, found) in found {
        let Some(observed) = resources.get_mut(&address) else { continue };
        let unread = |failure: Failure| Holdings { unread: Some(failure.error.message), ..Holdings::default() };
        observed.facts.extend(found.unwrap_or_else(unread).facts());
    }
}

async fn holds(connector: &Connector, name: &str, server: u32) -> Result<Holdings, Failure> {
    let mut connection = connector.reader(name).await?;
    let last_read = if server >= 160_000 { LAST_READ } else { "" };
    let statement = HOLDS.replace("LAST_READ", last_read).replace("NOT_OURS", NOT_OURS);
    let read: Result<String, _> =
        query_scalar(AssertSqlSafe(statement)).persistent(false).fetch_one(&mut connection).await;
    let text = read.map_err(|error| stating(error, name, "SELECT .. FROM pg_class, pg_stat_activity"))?;
    close(connection).await;
    parse(&text)
}

/// The newest snapshot of each database that was ours and is not there any more.
pub fn snapshots_of_gone(
    directory: &Path,
    ask: &Ask,
    resources: &BTreeMap<Address, Observed>,
) -> BTreeMap<String, String> {
    let gone = ask.applied.keys().filter(|address| address.kind == DATABASE && !resources.contains_key(*address));
    gone.filter_map(|address| Some((address.name.clone(), newest(directory, &address.name)?))).collect()
}

/// Why none of the databases can be dumped, if one is to be.
pub async fn cannot_dump(connector: &Connector, doomed: &[&DatabaseRow], server: u32) -> Option<String> {
    if doomed.is_empty() {
        return None;
    }
    let mut error = programs::pg_dump(connector, server).await.err()?;
    let hint = error.hint.take();
    Some([Some(error.message), hint].into_iter().flatten().collect::<Vec<_>>().join(": "))
}
