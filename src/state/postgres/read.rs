//! Reading the state: document and journal as they were at one moment.

use super::Key;
use super::schema;
use super::session::{Mode, Server};
use crate::error::{Diagnostic, Result};
use crate::state::backend::View;
use crate::state::document::{Document, Event};
use crate::state::format::{self, Unreadable, newer};
use crate::state::leftover::Leftover;
use sqlx::PgConnection;

/// # Errors
/// It cannot be read, is corrupt, or newer than this program.
pub async fn view(server: &Server, connection: &mut PgConnection, key: &Key) -> Result<View> {
    server.begin(connection, Mode::Read).await?;
    let version = schema::version(server, connection).await?;
    if version == 0 {
        server.end(connection).await?;
        return Ok(View::nothing(&key.environment));
    }
    const DOCUMENT: &str = "SELECT lineage, serial, content, moved_to FROM nornplan.document \
                            WHERE workspace = $1 AND environment = $2";
    let row = sqlx::query_as(DOCUMENT).bind(&key.workspace).bind(&key.environment);
    let row = server.answer(DOCUMENT, row.persistent(false).fetch_optional(&mut *connection)).await?;
    let row: Option<(String, i64, String, Option<String>)> = row;
    const JOURNAL: &str = "SELECT lineage, serial, event FROM nornplan.journal \
                           WHERE workspace = $1 AND environment = $2 ORDER BY number";
    let lines = sqlx::query_as(JOURNAL).bind(&key.workspace).bind(&key.environment);
    let lines = server.answer(JOURNAL, lines.persistent(false).fetch_all(&mut *connection)).await?;
    let lines: Vec<(String, i64, String)> = lines;
    server.end(connection).await?;

    let (mut saved, mut moved) = (None, None);
    if let Some((lineage, serial, content, moved_to)) = row {
        saved = Some(document(server, key, &lineage, serial, &content)?);
        moved = moved_to;
    }
    let journals = journal(server, key, lines)?;
    let view = View::of(&key.environment, saved, journals).map_err(|error| in_journal(server, error))?;
    Ok(View { moved, ..view })
}

/// A row that does not say what its document says was changed by hand.
fn document(server: &Server, key: &Key, lineage: &str, serial: i64, content: &str) -> Result<Document> {
    let document = format::parse(content).map_err(|unreadable| match unreadable {
        Unreadable::Newer(version) => newer(version).on("state", server.place(), ""),
        Unreadable::Corrupt { what, .. } => corrupt(server, &what),
    })?;
    let agrees = document.lineage == lineage && i64::try_from(document.serial) == Ok(serial);
    if document.environment != key.environment {
        return Err(corrupt(server, &format!("it is that of environment {}", document.environment)));
    }
    if !agrees {
        let (lineage, serial) = (&document.lineage, document.serial);
        return Err(corrupt(server, &format!("its row is not about it (lineage {lineage}, serial {serial})")));
    }
    Ok(document)
}

fn corrupt(server: &Server, what: &str) -> Diagnostic {
    server.wrong(format!("the state is corrupt: {what}")).hint(
        "`nornplan state pull --backup --out good.json` brings the state before the last write, and `nornplan state push \
         --force good.json` puts it back. Nothing was written",
    )
}

fn in_journal(server: &Server, error: Diagnostic) -> Diagnostic {
    error.on("state", format!("{}, table nornplan.journal", server.place()), "")
}

/// The journal's rows as journals of one serial each: one that was not removed lies before that of a later run.
fn journal(server: &Server, key: &Key, lines: Vec<(String, i64, String)>) -> Result<Vec<Leftover>> {
    let mut parts: Vec<Leftover> = Vec::new();
    for (lineage, serial, text) in lines {
        let damaged = |error: serde_json::Error| {
            let wrong = server.wrong("a row of the journal is damaged").because(error);
            in_journal(
                server,
                wrong.hint(
                    "an earlier run did not finish, and what it did cannot be read: delete its rows; the next plan shows \
                     what is there. Nothing was written",
                ),
            )
        };
        let event: Event = serde_json::from_str(&text).map_err(damaged)?;
        let serial = u64::try_from(serial).unwrap_or_default();
        match parts.last_mut() {
            Some(last) if (&last.lineage, last.serial) == (&lineage, serial) => last.events.push(event),
            Some(_) | None => {
                let environment = key.environment.clone();
                parts.push(Leftover { lineage, environment, serial, events: vec![event] });
            }
        }
    }
    Ok(parts)
}

/// # Errors
/// It cannot be read.
pub async fn backup(server: &Server, connection: &mut PgConnection, key: &Key) -> Result<Option<String>> {
    server.begin(connection, Mode::Read).await?;
    if schema::version(server, connection).await? == 0 {
        return Ok(None);
    }
    const BACKUP: &str = "SELECT content FROM nornplan.backup WHERE workspace = $1 AND environment = $2";
    let row = sqlx::query_scalar(BACKUP).bind(&key.workspace).bind(&key.environment).persistent(false);
    let text = server.answer(BACKUP, row.fetch_optional(&mut *connection)).await?;
    server.end(connection).await?;
    Ok(text)
}
