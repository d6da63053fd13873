//! The tables, their version, and who may enter.

use super::session::{Mode, Server};
use crate::error::Result;
use crate::services::postgres::STATE_COMMENT;
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;

/// Each brings the tables from the version before it to the next. They stay for good: a database may be as old as it likes.
const STEPS: [&str; 1] = ["
CREATE SCHEMA nornplan;
REVOKE ALL ON SCHEMA nornplan FROM PUBLIC;
CREATE TABLE nornplan.format (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  version integer NOT NULL);
COMMENT ON TABLE nornplan.format IS 'The version of these tables';
INSERT INTO nornplan.format (version) VALUES (0);
CREATE TABLE nornplan.document (
  workspace text NOT NULL, environment text NOT NULL,
  lineage text NOT NULL, serial bigint NOT NULL, content text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(), moved_to text,
  PRIMARY KEY (workspace, environment));
COMMENT ON TABLE nornplan.document IS 'What is ours and was last applied; a state that was moved away says where to';
CREATE TABLE nornplan.backup (
  workspace text NOT NULL, environment text NOT NULL,
  lineage text NOT NULL, serial bigint NOT NULL, content text NOT NULL, written_at timestamptz NOT NULL,
  PRIMARY KEY (workspace, environment));
COMMENT ON TABLE nornplan.backup IS 'The document before the last write';
CREATE TABLE nornplan.journal (
  workspace text NOT NULL, environment text NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  lineage text NOT NULL, serial bigint NOT NULL, event text NOT NULL,
  PRIMARY KEY (workspace, environment, number));
COMMENT ON TABLE nornplan.journal IS 'Steps of a run that has not written its document yet, on top of that of a serial';
CREATE TABLE nornplan.lock (
  workspace text NOT NULL, environment text NOT NULL,
  token bigint NOT NULL, holder text NOT NULL,
  PRIMARY KEY (workspace, environment));
COMMENT ON TABLE nornplan.lock IS
  'Who took the lock last; it is held only as long as the session lives that has advisory locks of both numbers'"];

/// The version of the tables.
pub const VERSION: i32 = 1;
const _: () = assert!(STEPS.len() == VERSION as usize, "each version has its step");

/// The version of the tables that are there; 0 without any.
///
/// # Errors
/// They are newer than this program, or cannot be read.
pub async fn version(server: &Server, connection: &mut PgConnection) -> Result<i32> {
    // By a query: what a session knows of names (`to_regclass`) may be older than what another run has just made.
    const THERE: &str = "\
        SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'nornplan' AND c.relname = 'format')";
    const VERSIONS: &str = "SELECT version FROM nornplan.format";
    let there = sqlx::query_scalar(THERE).persistent(false).fetch_one(&mut *connection);
    if !server.answer(THERE, there).await? {
        return Ok(0);
    }
    let version = sqlx::query_scalar(VERSIONS).persistent(false).fetch_one(connection);
    let version: i32 = server.answer(VERSIONS, version).await?;
    if version > VERSION {
        let message = format!("the tables of the state have format {version}, and this nornplan knows {VERSION}");
        return Err(server.wrong(message).hint("a newer nornplan has made them: use that one. Nothing was written"));
    }
    Ok(version)
}

/// Makes the tables, or brings them to our version, and closes the database to everybody else. Two at once wait for one
/// another.
///
/// # Errors
/// They are newer, something else is in the database, or we may not.
pub async fn prepare(server: &Server, connection: &mut PgConnection) -> Result<()> {
    server.begin(connection, Mode::Write).await?;
    let is = version(server, connection).await?;
    if is < VERSION {
        server.run(connection, "SELECT pg_catalog.pg_advisory_xact_lock(0)").await?;
        // Another run may have been quicker.
        let is = version(server, connection).await?;
        if is == 0 {
            refuse_strangers(server, connection).await?;
            close(server, connection).await?;
        }
        let behind = usize::try_from(is).ok().and_then(|is| STEPS.get(is..)).unwrap_or_default();
        for step in behind {
            server.run(connection, step).await?;
        }
        server.run(connection, &format!("UPDATE nornplan.format SET version = {VERSION}")).await?;
        return server.commit(connection, "make tables").await;
    }
    server.end(connection).await
}

/// A database that is used for something else is nobody's place for states.
async fn refuse_strangers(server: &Server, connection: &mut PgConnection) -> Result<()> {
    const STATEMENT: &str = "\
        SELECT c.oid::regclass::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND NOT EXISTS ( \
          SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
          AND d.deptype = 'e') ORDER BY 1 LIMIT 1";
    let found = sqlx::query_scalar(STATEMENT).persistent(false).fetch_optional(connection);
    let found: Option<String> = server.answer(STATEMENT, found).await?;
    let Some(stranger) = found else { return Ok(()) };
    let message = format!("the database {} is used for something else ({stranger} is in it)", server.database());
    Err(server
        .wrong(message)
        .hint("name one that is used for nothing else by database under [state]. Nothing was written"))
}

async fn close(server: &Server, connection: &mut PgConnection) -> Result<()> {
    let database = escape_identifier(server.database());
    server
        .run(
            connection,
            &format!(
                "REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
                 COMMENT ON DATABASE {database} IS '{STATE_COMMENT}'"
            ),
        )
        .await
}
