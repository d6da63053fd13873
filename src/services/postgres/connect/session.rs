//! How a session begins: with settings that the server itself gets to know, on a server that can be written.
//!
//! The settings travel in the startup packet. A `SET` would be handed on to other clients by a pooler in transaction mode
//! (PgBouncer 1.18: `default_transaction_read_only = on` was then found in 5 of 6 other sessions). A pooler refuses
//! these settings, or ignores them, which is seen: so what stands between is known for certain, and nothing leaks.

use super::causes::{BESIDE_THE_POOLER, POOLER};
use super::problem::stating;
use super::target::Target;
use crate::error::{Diagnostic, Kind, Place};
use crate::services::Failure;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session is read-only.
    Observe,
    Write,
}

/// What a session in the administration database found, which holds in every other.
#[derive(Debug)]
pub struct Known {
    version: u32,
    /// As whom we act there: `none` is as who signed in.
    role: String,
}

/// What whoever owns a database could set in it, so that sessions of ours fail, hang or word things otherwise there.
const OURS: [(&str, &str); 14] = [
    ("nornplan.session", "begun"),
    // Who may create in a schema on the search path can put a function there that fits better than the server's own
    // (`jsonb_build_object(text, text, text, name)`): it would run with our rights. So there is no such schema.
    ("search_path", ""),
    // Compiling the counts of a database of 10,000 tables took 9.6 s, and made them no faster.
    ("jit", "off"),
    // Planning what reads the catalogs takes longer than reading them.
    ("plan_cache_mode", "force_generic_plan"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("default_tablespace", ""),
    ("local_preload_libraries", ""),
    ("quote_all_identifiers", "off"),
    ("row_security", "on"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
];

/// The first version with a limit to the time that a transaction takes.
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;

impl Purpose {
    /// Asks for a session of this purpose. Neither a role's nor a database's own settings take precedence.
    pub fn begin(self, options: PgConnectOptions, known: Option<&Known>) -> PgConnectOptions {
        let mut options = options.options(OURS);
        if let Some(known) = known {
            options = options.options([("role", known.role.as_str())]);
            if known.version >= TRANSACTION_TIMEOUT_SINCE {
                options = options.options([("transaction_timeout", "0")]);
            }
        }
        options.options(match self {
            // One database in which something is locked or endless must not use up the time for all others
            // (`crate::observe::DEADLINE`).
            Self::Observe => {
                [("default_transaction_read_only", "on"), ("statement_timeout", "40s"), ("lock_timeout", "2s")]
            }
            // CREATE DATABASE takes its time, and has no transaction for a SET LOCAL.
            Self::Write => {
                [("default_transaction_read_only", "off"), ("statement_timeout", "0"), ("lock_timeout", "0")]
            }
        })
    }
}

/// The oldest server that is supported: before, PUBLIC may create in schema public of each new database, and statistics
/// lag behind, so that nobody knows who was in a database while it was dumped.
const OLDEST: u32 = 150_000;

/// Whether the server can only be read, and what is known from now on. From then on the server looks now and then whether
/// we are still there: a statement that waits for a lock must not be carried out when the run is long over. It can do so on
/// these systems; on others the setting is an error.
///
/// # Errors
/// The session did not begin as we asked, so that a pooler is in between; or the server is too old.
pub async fn is_replica(connection: &mut PgConnection, target: &Target) -> Result<(bool, Known), Failure> {
    let statement = "SELECT pg_catalog.pg_is_in_recovery(), current_setting('nornplan.session', true) = 'begun', \
                     current_setting('role'), \
                     CASE WHEN current_setting('nornplan.session', true) = 'begun' \
                       AND pg_catalog.version() ~* 'linux|darwin|freebsd' \
                     THEN set_config('client_connection_check_interval', '2s', false) END";
    let (replica, begun, role, _): (bool, Option<bool>, String, Option<String>) = sqlx::query_as(statement)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| stating(error, &target.to_string(), statement))?;
    if begun != Some(true) {
        return Err(Diagnostic::new(Kind::Service, POOLER).on("postgres", target, "").hint(BESIDE_THE_POOLER).into());
    }
    let version = connection.server_version_num().unwrap_or(OLDEST);
    refuse_old(version, target)?;
    Ok((replica, Known { version, role }))
}

fn refuse_old(version: u32, target: &Target) -> Result<(), Failure> {
    if version >= OLDEST {
        return Ok(());
    }
    let what = format!("this is PostgreSQL {}, and nornplan needs 15 or later", version / 10_000);
    let hint = "upgrade the server: PostgreSQL 14 and before are no longer maintained (since November 2026)";
    Err(Diagnostic::new(Kind::Service, what).on("postgres", target, "").hint(hint).into())
}

/// Why a replica is not read: what it has may be old. Names the primary where we may know it.
pub async fn replica(connection: &mut PgConnection, target: &Target, several_hosts: bool) -> Failure {
    let primary = primary(connection).await;
    let next = match (&primary, several_hosts) {
        (Some(primary), false) => format!("use the primary at {primary}: set host and port under [postgres]"),
        (Some(primary), true) => format!("add the primary, {primary}, to host under [postgres]"),
        (None, false) => "set host and port under [postgres] to the primary".to_owned(),
        (None, true) => "name the primary too among the hosts under [postgres]".to_owned(),
    };
    let error = Diagnostic::new(Kind::Service, "this is a replica: it cannot be written, and what it has may be old");
    // A server that recovers after a start, or is being promoted, can be written soon.
    let error = error.on("postgres", target, "").hint(next).may_pass(true);
    Failure { error, retry: several_hosts }
}

/// host:port of the server that a replica follows. Its connection string has a password in it, and stays there.
async fn primary(connection: &mut PgConnection) -> Option<String> {
    const FOLLOWS: &str = "SELECT sender_host || ':' || sender_port FROM pg_catalog.pg_stat_wal_receiver";
    // Where it does not stream right now. Who may not read the setting is answered with no row.
    const CONFIGURED: &str = "\
        SELECT substring(setting FROM 'host\\s*=\\s*''?([^'' ]+)') || ':' \
          || coalesce(substring(setting FROM 'port\\s*=\\s*''?([0-9]+)'), '5432') \
        FROM pg_catalog.pg_settings WHERE name = 'primary_conninfo'";
    for statement in [FOLLOWS, CONFIGURED] {
        let found = sqlx::query_scalar(statement).persistent(false).fetch_optional(&mut *connection).await;
        if let Ok(Some(Some(primary))) = found {
            return Some(primary);
        }
    }
    None
}

/// Who is connected to a database, as far as we may know: `app_user (psql), importer (2 sessions)`.
pub async fn who_is_in(connection: &mut PgConnection, database: &str) -> Option<String> {
    const STATEMENT: &str = "\
        SELECT string_agg(who, ', ') FROM ( \
          SELECT concat(coalesce(usename, '?'), ' (', concat_ws(', ', nullif(application_name, ''), \
            count(*) || CASE count(*) WHEN 1 THEN ' session' ELSE ' sessions' END), ')') AS who \
          FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() \
          GROUP BY usename, application_name ORDER BY usename, application_name) s";
    let found = sqlx::query_scalar(STATEMENT).bind(database).persistent(false).fetch_one(connection).await;
    found.unwrap_or_default()
}

/// One failure for all hosts that were tried; nothing if none was.
pub fn none_of(mut failures: Vec<Failure>) -> Option<Failure> {
    if failures.len() < 2 {
        return failures.pop();
    }
    let retry = failures.iter().any(|failure| failure.retry);
    let mut said = Vec::new();
    let mut hint = None;
    for Failure { error, .. } in failures {
        let place = match &error.place {
            Some(Place::Server { object, .. }) => object.clone(),
            Some(Place::Text { .. } | Place::File(_)) | None => "?".to_owned(),
        };
        said.push(format!("{place}: {}", error.message));
        hint = hint.or(error.hint);
    }
    let error = Diagnostic::new(Kind::Service, format!("no host can be written; {}", said.join("; ")));
    let hint = hint.unwrap_or_else(|| "check host under [postgres]".to_owned());
    Some(Failure { error: error.on("postgres", "hosts", "").hint(hint), retry })
}
