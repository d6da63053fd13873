//! Roles that restores ran as and that are there still, because nornplan was killed: how they are found, and how they go.
//!
//! Functions of the app are run as such a role, so it may have another password, objects and privileges by then. So it signs in
//! no more, its sessions end, what it has goes to whom it acted for, and then it is dropped.

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use crate::services::postgres::catalog;
use crate::services::postgres::connect::{Connector, Purpose, answered, close, join, run, value, values};
use crate::services::postgres::model::Place;
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long sessions may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Those whose lock nobody holds who may make roles: no restore runs as them. An app may hold what locks it likes.
const LEFT: &str = "SELECT u.rolname::text FROM pg_catalog.pg_roles u \
    WHERE u.rolname ~ '^nornplan_restore_[0-9a-f]{32}$' AND NOT EXISTS ( \
      SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
      WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
        AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(u.rolname::text, 0) \
        AND EXISTS (SELECT FROM pg_catalog.pg_roles r \
          WHERE (r.rolsuper OR r.rolcreaterole) AND pg_has_role(a.usesysid, r.oid, 'MEMBER'))) ORDER BY 1";

/// Whether a role is one that a restore runs as, or ran as.
pub fn is_restorer(role: &str) -> bool {
    role.starts_with("nornplan_restore_")
}

/// Locks a role's name, for as long as the session lives: whether nobody else has.
pub async fn claim(connection: &mut PgConnection, role: &str) -> Result<bool, Failure> {
    value(connection, role, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &[role]).await
}

/// What killed restores have left.
pub async fn find(connection: &mut PgConnection) -> Result<Vec<String>, Failure> {
    values(connection, "roles of restores", LEFT, &[]).await
}

/// Removes what killed restores have left: each that is gone, or why it could not be removed.
pub async fn sweep(
    connector: &Connector,
    connection: &mut PgConnection,
) -> Result<Vec<(String, Result<(), Failure>)>, Failure> {
    const THERE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)";
    const LET_GO: &str = "SELECT pg_advisory_unlock(hashtextextended($1, 0))";
    let mut swept = Vec::new();
    for role in find(connection).await? {
        // Another run removes it.
        if !claim(connection, &role).await? {
            continue;
        }
        let there: bool = value(connection, &role, THERE, &[&role]).await?;
        let removed = if there { remove(connector, connection, &role).await } else { Ok(()) };
        let _: bool = value(connection, &role, LET_GO, &[&role]).await?;
        swept.extend(there.then_some((role, removed)));
    }
    Ok(swept)
}

/// Removes one whose name is locked.
pub async fn remove(connector: &Connector, connection: &mut PgConnection, role: &str) -> Result<(), Failure> {
    shut_out(connector, connection, role).await?;
    let roles = BTreeSet::from([role.to_owned()]);
    let dependents = catalog::dependents(connection, &roles).await?.remove(role).unwrap_or_default();
    if !dependents.is_empty() {
        const ACTED_FOR: &str = "SELECT r.rolname::text FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles u ON u.oid = m.member JOIN pg_catalog.pg_roles r ON r.oid = m.roleid \
            WHERE u.rolname = $1 ORDER BY 1";
        let heir = values::<String>(connection, role, ACTED_FOR, &[role]).await?.into_iter().next();
        let inside = dependents.iter().filter_map(|dependent| match &dependent.place {
            Place::Inside { database, .. } => Some(database.as_str()),
            Place::Database(_) | Place::Shared(_) => None,
        });
        // What all databases share is given away from any of them.
        for database in inside.chain([connector.config.database.as_str()]).collect::<BTreeSet<_>>() {
            give_away(connector, database, role, heir.as_deref()).await?;
        }
    }
    // Whoever is about to make it a member of something holds its lock for as long as he likes.
    let statements = format!("BEGIN; SET LOCAL lock_timeout = '5s'; DROP ROLE {}; COMMIT", escape_identifier(role));
    let dropped = run(connection, role, &statements).await;
    if dropped.is_err() {
        run(connection, role, "ROLLBACK").await?;
    }
    dropped
}

/// Lets nobody sign in as it any more, and ends who has. A session that is changing its own password is in the way of that.
async fn shut_out(connector: &Connector, connection: &mut PgConnection, role: &str) -> Result<(), Failure> {
    const LOCKED: &str = "55P03";
    const CHANGED: &str = "XX000";
    let shut = format!(
        "BEGIN; SET LOCAL lock_timeout = '1s'; ALTER ROLE {} NOLOGIN PASSWORD NULL; COMMIT",
        escape_identifier(role)
    );
    let since = Instant::now();
    end_sessions(connector, connection, role).await?;
    while let Err(failure) = run(connection, role, &shut).await {
        run(connection, role, "ROLLBACK").await?;
        if !matches!(answered(&failure), Some(LOCKED | CHANGED)) || since.elapsed() > 2 * PATIENCE {
            return Err(failure);
        }
        end_sessions(connector, connection, role).await?;
    }
    end_sessions(connector, connection, role).await
}

async fn end_sessions(connector: &Connector, connection: &mut PgConnection, role: &str) -> Result<(), Failure> {
    const SESSIONS: &str = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = $1";
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1";
    let since = Instant::now();
    let mut joined = false;
    while value::<i64>(connection, role, SESSIONS, &[role]).await? > 0 {
        if since.elapsed() > PATIENCE {
            let error = Diagnostic::new(Kind::Service, "its sessions do not end").on("postgres", role, END);
            return Err(error.hint("see in pg_stat_activity what they wait for, then run it again").into());
        }
        if !std::mem::replace(&mut joined, true) {
            // Where we may not, ending them says so.
            drop(join(connector, connection, role).await);
        }
        values::<bool>(connection, role, END, &[role]).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Gives what a role has in a database to the heir, or else to the database's owner; what it was allowed there goes.
async fn give_away(connector: &Connector, database: &str, role: &str, heir: Option<&str>) -> Result<(), Failure> {
    const OWNER: &str =
        "SELECT pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database WHERE datname = current_database()";
    let mut connection = connector.admin(database, Purpose::Write).await?;
    let heir = match heir {
        Some(heir) => heir.to_owned(),
        None => value(&mut connection, database, OWNER, &[]).await?,
    };
    join(connector, &mut connection, role).await?;
    join(connector, &mut connection, &heir).await?;
    let (from, to) = (escape_identifier(role), escape_identifier(&heir));
    let statements =
        format!("BEGIN; SET LOCAL lock_timeout = '5s'; REASSIGN OWNED BY {from} TO {to}; DROP OWNED BY {from}; COMMIT");
    run(&mut connection, role, &statements).await?;
    close(connection).await;
    Ok(())
}
