//! Makes objects of others the app's, inside the transaction that is open.

use crate::boundary;
use crate::services::Failure;
use crate::services::postgres::catalog::{self, Move};
use crate::services::postgres::connect::join;
use crate::services::postgres::connect::{Connector, run};
use crate::services::postgres::connect::{code, stating};
use crate::services::postgres::scope::Scope;
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// ALTER .. OWNER waits for whoever uses a table, and whoever comes next waits behind it: so not for long, and the
/// whole is tried again a few times. It must be shorter than the app's own deadlock_timeout (1 s), so that it is never
/// the app's statement that is ended; and our own is shorter still, which also sends an autovacuum away.
const PATIENT_AS_SUPERUSER: &str = "SET LOCAL deadlock_timeout = '100ms'; SET LOCAL lock_timeout = '800ms'";
/// Only superusers may set deadlock_timeout: this waits long enough for the server's own to send an autovacuum away.
const PATIENT: &str = "SET LOCAL lock_timeout = '1500ms'";

/// Makes everything in the database that shall be the app's its user's, or nothing.
pub async fn adopt(
    connector: &Connector,
    connection: &mut PgConnection,
    database: &str,
    scope: &Scope,
) -> Result<(), Failure> {
    let user = scope.user(database);
    let mut moves = catalog::moves(connection, database, &scope.insiders(database), user).await?;
    moves.retain(|one| scope.adopts(database, &one.owner));
    for owner in moves.iter().map(|one| one.owner.as_str()).chain([user]).collect::<BTreeSet<&str>>() {
        join(connector, connection, owner).await?;
    }
    let patience = if connector.is_superuser(connection).await? { PATIENT_AS_SUPERUSER } else { PATIENT };
    run(connection, database, patience).await?;
    // One message for all: a round trip for each would hold the locks for longer.
    let all: Vec<&str> = moves.iter().map(|one| one.statement.as_str()).collect();
    let moved = async {
        let mut done = 0;
        let mut answers = sqlx::raw_sql(AssertSqlSafe(all.join("; "))).execute_many(connection);
        loop {
            match answers.try_next().await {
                Ok(Some(_)) => done += 1,
                Ok(None) => return Ok(()),
                Err(error) => return Err(explain(error, database, moves.get(done))),
            }
        }
    };
    boundary::around(|| "postgres OWNER TO".to_owned(), moved).await
}

fn explain(error: sqlx::Error, database: &str, at: Option<&Move>) -> Failure {
    let statement = at.map_or("ALTER .. OWNER TO ..", |one| one.statement.as_str());
    let (message, hint) = match code(&error) {
        Some("55P03") => (
            "others use the object right now, and it could not be locked in time: nothing was moved",
            "run it again when fewer transactions are open (`SELECT * FROM pg_stat_activity WHERE state <> 'idle'`)",
        ),
        Some("53200") => (
            "the server has no room for the locks on so many objects in one transaction: nothing was moved",
            "raise max_locks_per_transaction in postgresql.conf, restart the server, and run it again",
        ),
        _ => return stating(error, database, statement),
    };
    let retry = code(&error) == Some("55P03");
    let mut failure = stating(error, database, statement);
    message.clone_into(&mut failure.error.message);
    failure.error.hint = Some(hint.to_owned());
    Failure { retry, ..failure }
}
