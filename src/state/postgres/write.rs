//! Writing the state: each write proves in its own transaction that the lock is still ours.

use super::Key;
use super::lock::{self, Lock, held, lost};
use super::read;
use super::schema;
use super::session::{Mode, Server};
use crate::error::{Diagnostic, Result};
use crate::render;
use crate::state::backend::{Locked, View};
use crate::state::document::{Document, Event};
use crate::state::format;
use crate::state::holder::Patience;
use async_trait::async_trait;
use postgres_protocol::escape::escape_literal;
use sqlx::{AssertSqlSafe, PgConnection, Row};

/// The state with its lock held.
#[derive(Debug)]
pub struct DatabaseLocked {
    server: Server,
    key: Key,
    /// `None` after a failure: the session may be lost, or in a transaction that failed.
    connection: Option<PgConnection>,
    lock: Lock,
    /// Lineage and serial of the row of the document as we know it; `None` without one.
    row: Option<(String, i64)>,
}

/// Holds the row of the lock until the end of the transaction: whoever takes the lock next writes it first, so that it waits
/// for us, or we see that it is another's.
const OURS: &str = held!(
    "SELECT EXISTS (SELECT FROM nornplan.lock WHERE workspace = $1 AND environment = $2 AND token = $3 FOR SHARE) \
     AND EXISTS (SELECT FROM held WHERE number = $3)"
);

impl DatabaseLocked {
    /// Makes the database if there is none, and takes the lock.
    ///
    /// # Errors
    /// Somebody holds it, the tables are newer than this program, or the server fails.
    pub async fn lock(server: &Server, key: &Key, patience: &Patience<'_>) -> Result<Self> {
        let mut connection = match server.connect().await? {
            Some(connection) => connection,
            None => server.create().await?,
        };
        schema::prepare(server, &mut connection).await?;
        let Some(side) = server.connect().await? else {
            return Err(server.wrong("the database of the state was removed at this very moment").hint("run it again"));
        };
        let lock = lock::take(server, side, &mut connection, key, patience).await?;
        let row = row(server, &mut connection, key).await?;
        Ok(Self { server: server.clone(), key: key.clone(), connection: Some(connection), lock, row })
    }

    async fn connection(&mut self) -> Result<PgConnection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let gone = || self.server.wrong("the database of the state is gone").hint("bring it back, then run it again");
        self.server.connect().await?.ok_or_else(gone)
    }

    /// Begins a transaction that is a holder's.
    async fn begin(&mut self) -> Result<PgConnection> {
        if let Some(connection) = self.begin_as_holder().await? {
            return Ok(connection);
        }
        self.take_again().await?;
        let again = self.begin_as_holder().await?;
        again.ok_or_else(|| lost(&self.server, "its session was ended twice"))
    }

    /// `None` if the lock is not ours.
    async fn begin_as_holder(&mut self) -> Result<Option<PgConnection>> {
        let is_old = self.connection.is_some();
        let mut connection = self.connection().await?;
        match self.server.begin(&mut connection, Mode::Write).await {
            // Between two writes the server may have ended the session: the lock is another's matter.
            Err(_) if is_old => {
                connection = self.connection().await?;
                self.server.begin(&mut connection, Mode::Write).await?;
            }
            begun => begun?,
        }
        let ours = sqlx::query_scalar(OURS).bind(&self.key.workspace).bind(&self.key.environment).bind(self.lock.token);
        let ours = self.server.answer(OURS, ours.persistent(false).fetch_one(&mut connection)).await?;
        Ok(if ours { Some(connection) } else { None })
    }

    /// The session that held the lock is lost. If nobody has had the lock meanwhile and the state is as we know it, we go on.
    async fn take_again(&mut self) -> Result<()> {
        let mut connection = self.connection().await?;
        self.lock = lock::take_again(&self.server, &mut connection, &self.key, self.lock.token).await?;
        if row(&self.server, &mut connection, &self.key).await? != self.row {
            return Err(self.changed());
        }
        self.connection = Some(connection);
        render::tell(
            "The session that held the lock was lost. Nobody has had the lock meanwhile, so it was taken again.\n",
        );
        Ok(())
    }

    async fn commit(&mut self, mut connection: PgConnection, what: &str) -> Result<()> {
        self.server.commit(&mut connection, what).await?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn delete_journal(&self, connection: &mut PgConnection) -> Result<()> {
        const DELETE: &str = "DELETE FROM nornplan.journal WHERE workspace = $1 AND environment = $2";
        let delete = sqlx::query(DELETE).bind(&self.key.workspace).bind(&self.key.environment).persistent(false);
        self.server.answer(DELETE, delete.execute(connection)).await.map(drop)
    }
}

/// What the row of the document says, whatever its text is.
async fn row(server: &Server, connection: &mut PgConnection, key: &Key) -> Result<Option<(String, i64)>> {
    const ROW: &str = "SELECT lineage, serial FROM nornplan.document WHERE workspace = $1 AND environment = $2";
    server.begin(connection, Mode::Read).await?;
    let row = sqlx::query_as(ROW).bind(&key.workspace).bind(&key.environment).persistent(false);
    let row = server.answer(ROW, row.fetch_optional(&mut *connection)).await?;
    server.end(connection).await?;
    Ok(row)
}

#[async_trait]
impl Locked for DatabaseLocked {
    async fn view(&mut self) -> Result<View> {
        let mut connection = self.connection().await?;
        let view = read::view(&self.server, &mut connection, &self.key).await?;
        self.connection = Some(connection);
        Ok(view)
    }

    async fn check(&mut self) -> Result<()> {
        // In one message, which is a transaction by itself: this is asked before each batch.
        let (workspace, environment) = (escape_literal(&self.key.workspace), escape_literal(&self.key.environment));
        let token = self.lock.token;
        let statement = format!(
            held!(
                "SELECT EXISTS (SELECT FROM nornplan.lock k JOIN held h ON h.number = k.token \
                 WHERE k.workspace = {workspace} AND k.environment = {environment} AND k.token = {token}::bigint)"
            ),
            workspace = workspace,
            environment = environment,
            token = token
        );
        let is_old = self.connection.is_some();
        let mut connection = self.connection().await?;
        let ours = match self.ask(&mut connection, &statement).await {
            Err(_) if is_old => {
                connection = self.connection().await?;
                self.ask(&mut connection, &statement).await?
            }
            ours => ours?,
        };
        self.connection = Some(connection);
        if ours { Ok(()) } else { self.take_again().await }
    }

    async fn append(&mut self, base: &Document, events: &[Event]) -> Result<()> {
        const INSERT: &str = "\
            INSERT INTO nornplan.journal (workspace, environment, lineage, serial, event) \
            SELECT $1, $2, $3, $4, event FROM unnest($5::text[]) WITH ORDINALITY AS e (event, place) ORDER BY place";
        let texts: serde_json::Result<Vec<String>> = events.iter().map(serde_json::to_string).collect();
        let texts = texts.map_err(|error| self.server.wrong("a step cannot be written as JSON").because(error))?;
        let serial = self.serial(base)?;
        let mut connection = self.begin().await?;
        let insert = sqlx::query(INSERT).bind(&self.key.workspace).bind(&self.key.environment);
        let insert = insert.bind(&base.lineage).bind(serial).bind(texts).persistent(false);
        self.server.answer(INSERT, insert.execute(&mut connection)).await?;
        self.commit(connection, "append").await
    }

    async fn write(&mut self, document: &Document) -> Result<()> {
        const KEEP: &str = "\
            INSERT INTO nornplan.backup (workspace, environment, lineage, serial, content, written_at) \
            SELECT workspace, environment, lineage, serial, content, written_at FROM nornplan.document \
            WHERE workspace = $1 AND environment = $2 \
            ON CONFLICT (workspace, environment) DO UPDATE SET lineage = excluded.lineage, serial = excluded.serial, \
              content = excluded.content, written_at = excluded.written_at";
        const REPLACE: &str = "\
            UPDATE nornplan.document SET lineage = $3, serial = $4, content = $5, written_at = now(), moved_to = NULL \
            WHERE workspace = $1 AND environment = $2 AND lineage = $6 AND serial = $7";
        const FOUND: &str = "\
            INSERT INTO nornplan.document (workspace, environment, lineage, serial, content) \
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let text = format::text(document)
            .map_err(|error| self.server.wrong("the state cannot be written as JSON").because(error))?;
        let serial = self.serial(document)?;
        let mut connection = self.begin().await?;
        let keep = sqlx::query(KEEP).bind(&self.key.workspace).bind(&self.key.environment).persistent(false);
        self.server.answer(KEEP, keep.execute(&mut connection)).await?;
        let statement = if self.row.is_some() { REPLACE } else { FOUND };
        let mut write = sqlx::query(statement).bind(&self.key.workspace).bind(&self.key.environment);
        write = write.bind(&document.lineage).bind(serial).bind(text);
        if let Some((lineage, serial)) = &self.row {
            write = write.bind(lineage).bind(serial);
        }
        let written = self.server.answer(statement, write.persistent(false).execute(&mut connection)).await?;
        if written.rows_affected() != 1 {
            return Err(self.changed());
        }
        self.delete_journal(&mut connection).await?;
        self.commit(connection, "write").await?;
        self.row = Some((document.lineage.clone(), serial));
        Ok(())
    }

    async fn remove_journal(&mut self) -> Result<()> {
        let mut connection = self.begin().await?;
        self.delete_journal(&mut connection).await?;
        self.commit(connection, "remove journal").await
    }

    async fn retire(&mut self, moved_to: &str) -> Result<()> {
        const RETIRE: &str = "UPDATE nornplan.document SET moved_to = $3 WHERE workspace = $1 AND environment = $2";
        let mut connection = self.begin().await?;
        let retire = sqlx::query(RETIRE).bind(&self.key.workspace).bind(&self.key.environment).bind(moved_to);
        let retired = self.server.answer(RETIRE, retire.persistent(false).execute(&mut connection)).await?;
        if retired.rows_affected() != 1 {
            return Err(self.changed());
        }
        self.commit(connection, "retire").await
    }
}

impl DatabaseLocked {
    async fn ask(&self, connection: &mut PgConnection, statement: &str) -> Result<bool> {
        let row = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch_one(connection);
        self.server.answer(statement, async { row.await?.try_get(0) }).await
    }

    fn serial(&self, document: &Document) -> Result<i64> {
        i64::try_from(document.serial).map_err(|error| self.server.wrong("the serial is out of range").because(error))
    }

    fn changed(&self) -> Diagnostic {
        self.server.wrong("the state was written by somebody else while we held its lock").hint(
            "somebody changed its row by hand, or brought back a backup: what this run did is in the journal; see \
             `nornplan state show`, then apply again",
        )
    }
}
