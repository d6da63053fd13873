//! The lock: an advisory lock of a transaction that stays open on a session of its own. It goes with that session.
//!
//! Besides the state's number the session locks a random one, the run's token, which is in a row as well. So the row tells
//! who holds the lock only as long as that very session lives, and a write proves in its own statement that it is a
//! holder's.

use super::Key;
use super::schema;
use super::session::{Mode, Server};
use crate::boundary;
use crate::error::{Diagnostic, Kind, Result};
use crate::state::backend::{Holding, Session};
use crate::state::holder::{Holder, Patience};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(200);
/// A session ends a moment after its process: so long a free lock may look held.
const SERVER_NOTICES: Duration = Duration::from_millis(1500);
/// How long the server may take to end a session.
const SESSION_ENDS: Duration = Duration::from_secs(10);

/// Sessions of this database that hold the advisory lock of a number: `HELD` is theirs, and `.number` its number.
macro_rules! held {
    ($rest:literal) => {
        concat!(
            "WITH held AS (SELECT l.pid, (l.classid::bigint << 32) | l.objid::bigint AS number \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND d.datname = current_database()) ",
            $rest
        )
    };
}
pub(super) use held;

/// A lock that we hold, as long as the session lives.
#[derive(Debug)]
pub struct Lock {
    /// With an open transaction.
    _session: PgConnection,
    pub token: i64,
}

impl Key {
    /// The number of the state's advisory lock.
    fn number(&self) -> i64 {
        number(&[b"nornplan state", self.workspace.as_bytes(), self.environment.as_bytes()])
    }
}

fn number(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}

/// Takes the lock on one session and signs it on another, where others can read it at once.
///
/// # Errors
/// Somebody holds it (and who), or the server fails.
pub async fn take(
    server: &Server,
    session: PgConnection,
    other: &mut PgConnection,
    key: &Key,
    patience: &Patience<'_>,
) -> Result<Lock> {
    let lock = boundary::around(|| "state lock".to_owned(), get(server, session, other, key, patience)).await?;
    sign(server, other, key, lock.token, &Holder::this(patience.command)).await?;
    Ok(lock)
}

/// Waits for the lock, and locks a token beside it.
async fn get(
    server: &Server,
    mut session: PgConnection,
    other: &mut PgConnection,
    key: &Key,
    patience: &Patience<'_>,
) -> Result<Lock> {
    server.begin(&mut session, Mode::Write).await?;
    let (start, mut told) = (Instant::now(), false);
    while !try_lock(server, &mut session, key.number()).await? {
        let waited = start.elapsed();
        if waited >= patience.timeout.max(SERVER_NOTICES) {
            let who = match holding(server, other, key).await? {
                Some(holding) => holding.to_string(),
                None => "another run".to_owned(),
            };
            return Err(server
                .wrong(format!("the state is locked by {who}"))
                .hint(format!("{}; if it will never end, `nornplan state unlock` ends its session", patience.hint())));
        }
        let tells = waited > SERVER_NOTICES && !std::mem::replace(&mut told, true);
        if tells && let Some(holding) = holding(server, other, key).await? {
            patience.waits_for(&holding.to_string());
        }
        tokio::time::sleep(POLL).await;
    }
    with_token(server, session).await
}

async fn try_lock(server: &Server, session: &mut PgConnection, number: i64) -> Result<bool> {
    const TRY: &str = "SELECT pg_catalog.pg_try_advisory_xact_lock($1)";
    let taken = sqlx::query_scalar(TRY).bind(number).persistent(false).fetch_one(session);
    server.answer(TRY, taken).await
}

/// Makes a session that has the state's lock tell itself from every other.
async fn with_token(server: &Server, mut session: PgConnection) -> Result<Lock> {
    let random = uuid::Uuid::new_v4();
    let token = number(&[b"nornplan run", random.as_bytes()]);
    if !try_lock(server, &mut session, token).await? {
        return Err(server.wrong("the lock cannot be signed").hint("run it again"));
    }
    Ok(Lock { _session: session, token })
}

/// Takes the lock up again after its session was lost, if nobody has had it or ended it meanwhile: its row is still signed
/// with our token then.
///
/// # Errors
/// Somebody has, and who, or the server fails.
pub async fn take_again(server: &Server, other: &mut PgConnection, key: &Key, token: i64) -> Result<Lock> {
    const SIGN_AGAIN: &str = held!(
        "UPDATE nornplan.lock SET token = $4 WHERE workspace = $1 AND environment = $2 AND token = $3 \
         AND EXISTS (SELECT FROM held WHERE number = $4)"
    );
    let Some(mut session) = server.connect().await? else { return Err(lost(server, "its database is gone")) };
    server.begin(&mut session, Mode::Write).await?;
    let start = Instant::now();
    while !try_lock(server, &mut session, key.number()).await? {
        // Whoever ends right now, as the server has not noticed yet, may not have signed it.
        if start.elapsed() >= SERVER_NOTICES {
            return Err(taken(server, other, key, token).await?);
        }
        tokio::time::sleep(POLL).await;
    }
    let lock = with_token(server, session).await?;
    server.begin(other, Mode::Write).await?;
    let sign = sqlx::query(SIGN_AGAIN).bind(&key.workspace).bind(&key.environment).bind(token).bind(lock.token);
    let signed = server.answer(SIGN_AGAIN, sign.persistent(false).execute(&mut *other)).await?;
    server.commit(other, "sign lock again").await?;
    if signed.rows_affected() == 1 { Ok(lock) } else { Err(taken(server, other, key, token).await?) }
}

/// Who has the lock, or had it, that was ours.
async fn taken(server: &Server, connection: &mut PgConnection, key: &Key, token: i64) -> Result<Diagnostic> {
    const SIGNED: &str = "SELECT token, holder FROM nornplan.lock WHERE workspace = $1 AND environment = $2";
    server.begin(connection, Mode::Read).await?;
    let row = sqlx::query_as(SIGNED).bind(&key.workspace).bind(&key.environment).persistent(false);
    let row: Option<(i64, String)> = server.answer(SIGNED, row.fetch_optional(&mut *connection)).await?;
    server.end(connection).await?;
    let who = row.filter(|(now, _)| *now != token).map(|(_, holder)| serde_json::from_str::<Holder>(&holder).ok());
    Ok(match who {
        Some(Some(holder)) => lost(server, &format!("another run has taken it ({holder})")),
        Some(None) => lost(server, "another run has taken it"),
        None => lost(server, "`nornplan state unlock` has ended its session, or another run is about to take it"),
    })
}

/// Names the holder, if the lock is still its own.
async fn sign(server: &Server, connection: &mut PgConnection, key: &Key, token: i64, holder: &Holder) -> Result<()> {
    const SIGN: &str = held!(
        "INSERT INTO nornplan.lock (workspace, environment, token, holder) \
         SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT FROM held WHERE number = $3) \
         ON CONFLICT (workspace, environment) DO UPDATE SET token = excluded.token, holder = excluded.holder"
    );
    let text =
        serde_json::to_string(holder).map_err(|error| server.wrong("the lock cannot be signed").because(error))?;
    server.begin(connection, Mode::Write).await?;
    let signed = sqlx::query(SIGN).bind(&key.workspace).bind(&key.environment).bind(token).bind(text);
    let signed = server.answer(SIGN, signed.persistent(false).execute(&mut *connection)).await?;
    server.commit(connection, "sign lock").await?;
    if signed.rows_affected() == 1 { Ok(()) } else { Err(lost(server, "its session was ended")) }
}

/// The lock is not ours any more.
pub fn lost(server: &Server, why: &str) -> Diagnostic {
    server.wrong(format!("the lock is no longer ours: {why}")).hint(
        "nothing more was begun. See who else writes this state (`nornplan doctor` says who holds it now), then apply \
         again, which goes on from what is there",
    )
}

/// The holder's process, when its session began, its token, and who it is.
type Row = (i32, Option<String>, Option<i64>, Option<String>);

/// Whether the lock is held, and by whom.
///
/// # Errors
/// The server fails.
pub async fn holding(server: &Server, connection: &mut PgConnection, key: &Key) -> Result<Option<Holding>> {
    const HOLDER: &str = held!(
        "SELECT h.pid, a.backend_start::text, k.token, k.holder FROM held h \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid \
         LEFT JOIN nornplan.lock k ON k.workspace = $2 AND k.environment = $3 \
           AND EXISTS (SELECT FROM held t WHERE t.pid = h.pid AND t.number = k.token) \
         WHERE h.number = $1"
    );
    server.begin(connection, Mode::Read).await?;
    if schema::version(server, connection).await? == 0 {
        server.end(connection).await?;
        return Ok(None);
    }
    let row = sqlx::query_as(HOLDER).bind(key.number()).bind(&key.workspace).bind(&key.environment);
    let row = server.answer(HOLDER, row.persistent(false).fetch_optional(&mut *connection)).await?;
    server.end(connection).await?;
    let row: Option<Row> = row;
    Ok(row.map(|(process, began, token, holder)| Holding {
        holder: holder.and_then(|text| serde_json::from_str(&text).ok()),
        session: Some(Session { process, began, token }),
    }))
}

/// Ends exactly the session that was named, if it still holds the lock, and waits until it is gone.
///
/// # Errors
/// It is another session by now, or it may not be ended.
pub async fn take_away(server: &Server, connection: &mut PgConnection, key: &Key, from: &Holding) -> Result<()> {
    const FORGET: &str = "DELETE FROM nornplan.lock WHERE workspace = $1 AND environment = $2 AND token = $3";
    const END: &str = held!(
        "SELECT pg_catalog.pg_terminate_backend(h.pid) FROM held h \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = h.pid \
         WHERE h.number = $1 AND h.pid = $2 AND (CASE WHEN $3::bigint IS NULL THEN a.backend_start::text = $4 \
           ELSE EXISTS (SELECT FROM held t WHERE t.pid = h.pid AND t.number = $3) END)"
    );
    let Some(session) = &from.session else { return Ok(()) };
    server.begin(connection, Mode::Write).await?;
    let forget = sqlx::query(FORGET).bind(&key.workspace).bind(&key.environment).bind(session.token);
    server.answer(FORGET, forget.persistent(false).execute(&mut *connection)).await?;
    let end = sqlx::query_scalar(END).bind(key.number()).bind(session.process).bind(session.token).bind(&session.began);
    let ended: Option<bool> = server.answer(END, end.persistent(false).fetch_optional(&mut *connection)).await?;
    server.commit(connection, "unlock").await?;
    if ended.is_none() {
        let error = Diagnostic::new(Kind::State, "the lock is held by another session by now, or by none");
        return Err(error.on("state", server.place(), "").hint("run it again to see by whom. Nothing was ended"));
    }
    let since = Instant::now();
    while let Some(now) = holding(server, connection, key).await? {
        let same = now.session.as_ref().is_some_and(|now| (now.process, now.token) == (session.process, session.token));
        // Its row is gone, and so the token that we know it by.
        let same = same || now.session.is_some_and(|now| now.process == session.process && now.began == session.began);
        if !same {
            break;
        }
        if since.elapsed() > SESSION_ENDS {
            let message = format!("the server's process {} was told to end, and has not", session.process);
            return Err(server.wrong(message).hint("see what it waits for in pg_stat_activity"));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_number_of_its_own_that_never_changes() {
        let of = |workspace: &str, environment: &str| {
            Key { workspace: workspace.to_owned(), environment: environment.to_owned() }.number()
        };
        assert_ne!(of("a", "bc"), of("ab", "c"));
        assert_ne!(of("default", "prod"), of("default", "default"));
        // Of another version that runs at the same time.
        assert_eq!(of("default", "default"), 8_110_574_547_962_780_847);
    }
}
