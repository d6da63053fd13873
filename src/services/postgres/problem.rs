//! What can go wrong with PostgreSQL, by cause: what it means and what to do next.

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use sqlx::postgres::PgDatabaseError;
use std::io::ErrorKind;

/// Whom we tried to reach, as whom, and where.
#[derive(Clone, Debug)]
pub struct Target {
    /// host:port
    pub endpoint: String,
    pub user: String,
    pub database: String,
}

/// The SQLSTATE, if the server answered with an error.
pub fn code(error: &sqlx::Error) -> Option<&str> {
    server_error(error).map(PgDatabaseError::code)
}

/// The error that the server answered with.
pub fn server_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
}

/// Whether the host is out of order, so that another host may be tried.
pub fn is_unreachable(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) || matches!(code(error), Some("57P03"))
}

/// Whether the same call may succeed in a moment: a lost connection, a shutdown, a concurrent change, a busy template.
pub fn is_transient(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Io(_)) {
        return true;
    }
    let Some(answer) = server_error(error) else { return false };
    let code = answer.code();
    let first_time = code == "23505" && answer.table().is_some_and(|table| table.starts_with("pg_"));
    let named = ["XX000", "55006", "40001", "40P01", "57P01", "57P02", "57P03", "53300"].contains(&code);
    first_time || named || code.starts_with("08")
}

/// Why a connection could not be made.
pub fn connecting(error: sqlx::Error, target: &Target) -> Failure {
    let retry = is_transient(&error);
    let (message, hint) = connecting_words(&error, target);
    let object = format!("{} as {} on {}", target.endpoint, target.user, target.database);
    let diagnostic = Diagnostic::new(Kind::Service, message).on("postgres", object, "").hint(hint).because(error);
    Failure { error: diagnostic, retry }
}

fn connecting_words(error: &sqlx::Error, target: &Target) -> (String, String) {
    let Target { endpoint, user, database } = target;
    if let Some(answer) = server_error(error) {
        return answer_words(answer, target);
    }
    let say = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
    let sqlx::Error::Io(io) = error else {
        if matches!(error, sqlx::Error::Tls(_)) {
            return say(
                "TLS could not be set up",
                "check sslmode and ca_file under [postgres]; sslmode = \"disable\" goes without, where the server \
                 allows it",
            );
        }
        return (format!("{endpoint} did not answer as PostgreSQL does"), format!("check host and port ({database})"));
    };
    let kind = io.kind();
    if kind == ErrorKind::ConnectionRefused {
        say(
            "nothing listens there (connection refused)",
            "start the server (`make infra`), or set host and port under [postgres]",
        )
    } else if kind == ErrorKind::TimedOut {
        say("no answer in time", "is a firewall in between? check host and port under [postgres]")
    } else if kind == ErrorKind::NotFound {
        say("there is no such unix socket", "host is the directory of the socket, such as /var/run/postgresql")
    } else if kind == ErrorKind::PermissionDenied {
        say("the unix socket may not be opened", "run as a user who may, or connect over TCP")
    } else if kind == ErrorKind::ConnectionReset || kind == ErrorKind::UnexpectedEof {
        say(
            "the connection was closed at once",
            &format!("is it PostgreSQL that listens at {endpoint}, and may {user} connect?"),
        )
    } else {
        say("the host cannot be reached", "check the spelling of host under [postgres], and name resolution")
    }
}

fn answer_words(answer: &PgDatabaseError, target: &Target) -> (String, String) {
    let Target { endpoint: _, user, database } = target;
    match answer.code() {
        "28P01" => (
            format!("wrong password for {user}"),
            "set NORNPLAN_POSTGRES_PASSWORD (or password_file, password_command under [postgres])".to_owned(),
        ),
        "28000" if answer.routine() == Some("InitializeSessionUserId") => (
            format!("{user} does not exist or may not sign in"),
            "set user under [postgres], or NORNPLAN_POSTGRES_USER".to_owned(),
        ),
        "28000" => (
            format!("the server lets {user} on {database} in from nowhere that we are (pg_hba.conf)"),
            "add a line to pg_hba.conf and reload it; where it says hostssl, set sslmode = \"require\"".to_owned(),
        ),
        "3D000" => (
            format!("there is no database {database:?}"),
            "set database under [postgres] to one that exists, such as postgres".to_owned(),
        ),
        "42501" => {
            (format!("{user} may not connect to {database}"), format!("GRANT CONNECT ON DATABASE {database} TO {user}"))
        }
        "53300" => (
            "too many connections".to_owned(),
            "wait until some end, raise max_connections, or lower --parallelism".to_owned(),
        ),
        "57P03" => {
            ("the server is starting up or shutting down".to_owned(), "try again, or wait with --wait 60s".to_owned())
        }
        _ => (answer.message().to_owned(), format!("SQLSTATE {}", answer.code())),
    }
}

/// Why a statement failed. `statement` must have no secret in it.
pub fn stating(error: sqlx::Error, object: &str, statement: &str) -> Failure {
    let retry = is_transient(&error);
    let (message, hint) = match server_error(&error) {
        Some(answer) => (answer.message().to_owned(), statement_hint(answer)),
        None if matches!(error, sqlx::Error::Io(_)) => {
            ("the connection was lost".to_owned(), Some("run it again: what was done is not done twice".to_owned()))
        }
        None => ("the server's answer was not understood".to_owned(), None),
    };
    let mut diagnostic = Diagnostic::new(Kind::Service, message).on("postgres", object, statement).because(error);
    diagnostic.hint = hint;
    Failure { error: diagnostic, retry }
}

fn statement_hint(answer: &PgDatabaseError) -> Option<String> {
    let hint = match answer.code() {
        "42501" => {
            "sign in as a superuser, or as a role with CREATEROLE and CREATEDB; `nornplan doctor` names the missing \
             right"
        }
        "55006" => "something is connected to it; end that session and run it again",
        "25006" => "this server is a replica or read-only; point host at the primary",
        "2BP01" => {
            let detail = answer.detail().unwrap_or_default();
            return Some(format!("something still depends on it: {}", detail.lines().collect::<Vec<_>>().join("; ")));
        }
        "58P01" | "0A000" => "the extension's files are not on the server; install its package there",
        "42704" | "22023" => "check names and values of settings and extensions in the infraspec",
        "53100" => "the server's disk is full",
        "57014" => "the statement was cancelled; run it again",
        _ => return answer.hint().map(str::to_owned),
    };
    Some(hint.to_owned())
}
