//! Sessions that are held open while nornplan runs: locks, unfinished transactions, crowds.

use super::servers;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// A session that lasts until it is dropped, and that nobody counts any more after that.
pub struct Session {
    runtime: Runtime,
    connection: Option<PgConnection>,
    process: String,
}

impl Session {
    pub fn open(url: &str) -> Result<Self, sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut connection = runtime.block_on(PgConnection::connect(url))?;
        let process = runtime.block_on(servers::process_of(&mut connection))?;
        Ok(Self { runtime, connection: Some(connection), process })
    }

    /// A session of the administrator, in the administration database.
    pub fn of_admin() -> Self {
        Self::open(&servers::admin_url("postgres")).expect("the administrator signs in")
    }

    /// Runs statements in this session.
    #[track_caller]
    pub fn run(&mut self, statements: &str) {
        let connection = self.connection.as_mut().expect("an open session");
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection));
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// Runs one that may well fail, as somebody else was faster; whether it was done.
    pub fn tries(&mut self, statement: &str) -> bool {
        let connection = self.connection.as_mut().expect("an open session");
        self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection)).is_ok()
    }

    /// One number.
    #[track_caller]
    pub fn count(&mut self, query: &str) -> i64 {
        let connection = self.connection.as_mut().expect("an open session");
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        self.runtime.block_on(query.fetch_one(connection)).expect("a count")
    }

    /// Waits until a query counts something.
    #[track_caller]
    pub fn until(&mut self, query: &str) {
        let since = Instant::now();
        while self.count(query) == 0 {
            assert!(since.elapsed() < Duration::from_secs(60), "never: {query}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // The server may be gone by now.
            drop(self.runtime.block_on(connection.close()));
            servers::until_it_ended(&self.process);
        }
    }
}

/// Runs a command beside the test.
pub fn beside(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nornplan runs")
}

/// Sessions of nornplan that wait for a lock.
pub const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nornplan' AND wait_event_type = 'Lock'";
