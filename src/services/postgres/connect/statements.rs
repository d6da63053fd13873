//! Running statements, and reading one column.

use super::problem::{code, stating};
use super::session::who_is_in;
use crate::boundary;
use crate::services::Failure;
use sqlx::{AssertSqlSafe, Decode, PgConnection, Postgres, Type};

/// Runs statements that have no secret in them; several in one text are one transaction.
pub async fn run(connection: &mut PgConnection, object: &str, statements: &str) -> Result<(), Failure> {
    boundary::around(|| format!("postgres {}", verbs(statements)), send(connection, object, statements)).await
}

async fn send(connection: &mut PgConnection, object: &str, statements: &str) -> Result<(), Failure> {
    let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *connection).await;
    let Err(error) = done else { return Ok(()) };
    let in_use = code(&error) == Some("55006");
    let mut failure = stating(error, object, &excerpt(statements));
    if in_use && let Some(who) = who_is_in(connection, object).await {
        failure.error.hint = Some(format!("connected to it: {who}; end these sessions and run it again"));
    }
    Err(failure)
}

/// What statements do, each kind once: `BEGIN, CREATE ROLE`. No name and no value is written in capitals alone.
fn verbs(statements: &str) -> String {
    let is_keyword = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let mut verbs: Vec<String> = Vec::new();
    for statement in statements.split("; ") {
        let verb: Vec<&str> = statement.split_ascii_whitespace().take_while(is_keyword).take(2).collect();
        let verb = verb.join(" ");
        if !verb.is_empty() && !verbs.contains(&verb) {
            verbs.push(verb);
        }
    }
    verbs.join(", ")
}

/// The beginning of statements that may name thousands of objects.
fn excerpt(statements: &str) -> String {
    const LONGEST: usize = 2_000;
    match statements.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", statements.get(..end).unwrap_or_default()),
        None => statements.to_owned(),
    }
}

/// The values that a query of one column answers with; the arguments are names.
pub async fn values<T>(
    connection: &mut PgConnection,
    object: &str,
    statement: &'static str,
    arguments: &[&str],
) -> Result<Vec<T>, Failure>
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    let query = arguments.iter().fold(sqlx::query_scalar(statement), |query, argument| query.bind(*argument));
    query.persistent(false).fetch_all(connection).await.map_err(|error| stating(error, object, statement))
}

/// The same where there is just one row.
pub async fn value<T>(
    connection: &mut PgConnection,
    object: &str,
    statement: &'static str,
    arguments: &[&str],
) -> Result<T, Failure>
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    let found = values(connection, object, statement, arguments).await?.pop();
    found.ok_or_else(|| stating(sqlx::Error::RowNotFound, object, statement))
}
