//! Sessions and transactions in the database of states.

use crate::boundary;
use crate::config::PostgresConfig;
use crate::error::{Diagnostic, Kind, Place, Result};
use crate::services::Failure;
use crate::services::postgres::connect::{Connector, answered, stating};
use postgres_protocol::escape::escape_identifier;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the server may take to answer one statement. What is read or written is small.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a pooler may go on to say that a new database is not there: PgBouncer's server_login_retry is 15 s.
const POOLER_LEARNS: Duration = Duration::from_secs(30);

/// So much of a statement that failed is shown.
const STATEMENT_TOLD: usize = 240;

/// What holds in each transaction, whatever a role, the database or a pooler's session has set: they are set for the
/// transaction alone. A name that a server does not know is passed by.
///
/// The keepalives are for the side session: the lock of a machine that vanished goes within two minutes.
const SETTINGS: &str = "\
    SELECT pg_catalog.count(pg_catalog.set_config(s.name, v.wanted, true)) FROM (VALUES \
      ('search_path', 'pg_catalog'), ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'), \
      ('idle_in_transaction_session_timeout', '0'), ('row_security', 'on'), ('standard_conforming_strings', 'on'), \
      ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '15'), ('tcp_keepalives_count', '6')) \
      AS v (name, wanted) JOIN pg_catalog.pg_settings s ON s.name = v.name";
/// What was promised to be durable must be, also where the server is set to be quick.
const DURABLE: &str = "SET LOCAL synchronous_commit = on";

/// The server that has the database of states.
#[derive(Clone, Debug)]
pub struct Server {
    connector: Arc<Connector>,
    maintenance: String,
    is_apart: bool,
}

impl Server {
    pub fn new(config: PostgresConfig, maintenance: String, is_apart: bool) -> Self {
        Self { connector: Arc::new(Connector::new(config)), maintenance, is_apart }
    }

    pub fn database(&self) -> &str {
        &self.connector.config.database
    }

    pub fn user(&self) -> &str {
        &self.connector.config.user
    }

    /// For people.
    pub fn place(&self) -> String {
        format!("database {} on {}", self.database(), self.connector.config.endpoint())
    }

    /// A session in the database of states; `None` if there is no such database.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub async fn connect(&self) -> Result<Option<PgConnection>> {
        let failure = match self.connector.plain(self.database()).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(failure) => failure,
        };
        match answered(&failure) {
            Some("3D000") => Ok(None),
            // A pooler words it in its own way, or lets one wait.
            Some("08P01") | None if !self.has_database().await.unwrap_or(true) => Ok(None),
            Some(_) | None => Err(self.refused("the state cannot be reached", failure)),
        }
    }

    /// Makes the database, and returns a session in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn create(&self) -> Result<PgConnection> {
        let wrong = |failure| self.refused("the database of the state cannot be made", failure);
        let mut connection = self.connector.plain(&self.maintenance).await.map_err(wrong)?;
        // What others put into template1 is not for here.
        let statement = format!("CREATE DATABASE {} TEMPLATE template0", escape_identifier(self.database()));
        let name = || "state CREATE DATABASE".to_owned();
        boundary::around(name, async {
            let made = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await;
            match made.map_err(|error| stating(error, self.database(), &statement)) {
                // Another run was quicker.
                Err(failure) if !matches!(answered(&failure), Some("42P04" | "23505")) => Err(wrong(failure)),
                Ok(_) | Err(_) => Ok(()),
            }
        })
        .await?;
        let since = Instant::now();
        loop {
            match self.connector.plain(self.database()).await {
                Ok(connection) => return Ok(connection),
                Err(failure)
                    if matches!(answered(&failure), Some("08P01") | None) && since.elapsed() < POOLER_LEARNS =>
                {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(failure) => return Err(self.refused("the state cannot be reached", failure)),
            }
        }
    }

    async fn has_database(&self) -> Result<bool, Failure> {
        const STATEMENT: &str = "SELECT datname FROM pg_catalog.pg_database";
        let mut connection = self.connector.plain(&self.maintenance).await?;
        let rows = sqlx::raw_sql(STATEMENT).fetch_all(&mut connection).await;
        let rows = rows.map_err(|error| stating(error, self.database(), STATEMENT))?;
        Ok(rows.iter().any(|row| row.try_get::<&str, _>(0).is_ok_and(|name| name == self.database())))
    }

    /// Begins a transaction. `READ WRITE` ones are durable when they are committed.
    ///
    /// # Errors
    /// The session is lost.
    pub async fn begin(&self, connection: &mut PgConnection, mode: Mode) -> Result<()> {
        let statements = match mode {
            Mode::Read => format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {SETTINGS}"),
            Mode::Write => format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {SETTINGS}; {DURABLE}"),
        };
        self.run(connection, &statements).await
    }

    /// Ends a transaction that only read.
    ///
    /// # Errors
    /// The session is lost.
    pub async fn end(&self, connection: &mut PgConnection) -> Result<()> {
        self.run(connection, "COMMIT").await
    }

    /// Commits what a transaction has written. `what` is that, for names of boundaries.
    ///
    /// # Errors
    /// It cannot be committed, or nobody knows whether it was.
    pub async fn commit(&self, connection: &mut PgConnection, what: &str) -> Result<()> {
        boundary::around(|| format!("state {what}"), self.run(connection, "COMMIT")).await
    }

    /// Runs statements without arguments.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn run(&self, connection: &mut PgConnection, statements: &str) -> Result<()> {
        let run = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection);
        self.answer(statements, run).await.map(drop)
    }

    /// Waits for an answer, not for ever.
    ///
    /// # Errors
    /// The server refuses, or does not answer.
    pub async fn answer<T>(&self, statement: &str, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
        let answer = match tokio::time::timeout(PATIENCE, work).await {
            Ok(answer) => answer,
            Err(late) => Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, late))),
        };
        answer.map_err(|error| {
            let failure = stating(error, &self.place(), statement);
            self.refused("the database of the state", failure)
        })
    }

    /// A failure of the server's as one of the state. What the keys are called under `[postgres]`, they are under `[state]`.
    pub fn refused(&self, what: &str, failure: Failure) -> Diagnostic {
        let Failure { mut error, .. } = failure;
        error.kind = Kind::State;
        if let Some(Place::Server { service, statement, .. }) = &mut error.place {
            "state".clone_into(service);
            // The first lines tell which it is.
            *statement = statement.trim_start().chars().take(STATEMENT_TOLD).collect();
        }
        error.message = format!("{what}: {}", error.message);
        if self.is_apart {
            error.hint = error.hint.map(|hint| {
                hint.replace("[postgres]", "[state]").replace("NORNPLAN_POSTGRES_PASSWORD", "NORNPLAN_STATE_PASSWORD")
            });
        }
        error
    }

    /// Something wrong with what is there.
    pub fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Kind::State, message).on("state", self.place(), "")
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All of it sees one moment.
    Read,
    Write,
}
