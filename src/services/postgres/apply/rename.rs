//! Gives databases and roles other names. Each is one statement of the server's, so that a run that ends anywhere leaves
//! the one name or the other; what has its new name already is done.

use crate::error::{Diagnostic, Kind};
use crate::services::postgres::catalog;
use crate::services::postgres::connect::{Connector, Purpose, join, run};
use crate::services::postgres::model::{Database, database_address};
use crate::services::{Failure, Outcome};
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::pin::pin;
use std::time::Duration;

/// How often whoever is still in a database is ended, while the server waits for them to be gone. It waits for 5 s, and
/// lets nobody new in meanwhile (CountOtherDBBackends).
const PAUSE: Duration = Duration::from_millis(100);

/// Renames a database. The server refuses while anybody is in it: `may_end` is the consent to end their sessions.
pub async fn database(
    connector: &Connector,
    from: &str,
    database: &Database,
    may_end: bool,
) -> Result<Outcome, Failure> {
    let mut connection = connector.administration(Purpose::Write).await?;
    let names = [from.to_owned(), database.name.clone()];
    let there = catalog::named::databases(&mut connection, &names).await?;
    let statement =
        format!("ALTER DATABASE {} RENAME TO {}", escape_identifier(from), escape_identifier(&database.name));
    if is_done(&there, from, &database.name, &statement)? {
        connector.keep(Purpose::Write, connection).await;
        return Ok(Outcome::AlreadySo);
    }
    let users: Vec<String> = there.into_iter().filter(|(name, _)| name == from).flat_map(|(_, users)| users).collect();
    if !users.is_empty() && !may_end {
        return Err(busy(&database.name, &users, &statement));
    }
    join(connector, &mut connection, &database.owner).await?;
    let helper = if may_end { Some(connector.administration(Purpose::Write).await?) } else { None };
    end_while(connector, helper, (from, &users), run(&mut connection, from, &statement)).await.map_err(
        |mut failure| {
            failure.error.message = format!("{}; nothing was renamed", failure.error.message);
            failure
        },
    )?;
    connector.keep(Purpose::Write, connection).await;
    Ok(Outcome::done())
}

/// Ends all sessions in a database until the renaming is done. That a session could not be ended is told by the server's
/// answer to the rename.
async fn end_while(
    connector: &Connector,
    helper: Option<PgConnection>,
    (from, users): (&str, &[String]),
    renaming: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(mut helper) = helper else { return renaming.await };
    for user in users {
        drop(join(connector, &mut helper, user).await);
    }
    let mut renaming = pin!(renaming);
    loop {
        tokio::select! {
            biased;
            renamed = &mut renaming => {
                connector.keep(Purpose::Write, helper).await;
                return renamed;
            }
            () = tokio::time::sleep(PAUSE) => drop(catalog::end_strangers(&mut helper, from).await),
        }
    }
}

/// Renames a role. Its sessions go on, and a SCRAM password stays good.
pub async fn role(connector: &Connector, from: &str, to: &str) -> Result<Outcome, Failure> {
    let mut connection = connector.administration(Purpose::Write).await?;
    let there = catalog::named::roles(&mut connection, &[from.to_owned(), to.to_owned()]).await?;
    let statement = format!("ALTER ROLE {} RENAME TO {}", escape_identifier(from), escape_identifier(to));
    let done = is_done(&there, from, to, &statement)?;
    if !done {
        run(&mut connection, from, &statement).await?;
    }
    connector.keep(Purpose::Write, connection).await;
    Ok(if done { Outcome::AlreadySo } else { Outcome::done() })
}

/// Whether only the new name is there. Both, or neither, is nothing that was planned on.
fn is_done(there: &[(String, Vec<String>)], from: &str, to: &str, statement: &str) -> Result<bool, Failure> {
    let is = |name: &str| there.iter().any(|(known, _)| known == name);
    let message = match (is(from), is(to)) {
        (true, false) => return Ok(false),
        (false, true) => return Ok(true),
        (true, true) => format!("both {from} and {to} are there by now; nothing was renamed"),
        (false, false) => format!("neither {from} nor {to} is there any more"),
    };
    Err(Diagnostic::new(Kind::Service, message).on("postgres", from, statement).hint("make the plan anew").into())
}

fn busy(to: &str, users: &[String], statement: &str) -> Failure {
    let sessions = if users.len() == 1 { "session is" } else { "sessions are" };
    let message = format!("{} {sessions} connected ({}); nothing was renamed", users.len(), users.join(", "));
    let hint = format!("stop the app first, or let its sessions be ended: --allow-interrupt {}", database_address(to));
    Diagnostic::new(Kind::Service, message).on("postgres", to, statement).hint(hint).into()
}
