//! What can go wrong with PostgreSQL, by cause: what it means and what to do next.

use super::CONNECT_TIMEOUT;
use super::causes;
use super::target::Target;
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use sqlx::postgres::PgDatabaseError;
use std::io::ErrorKind;

/// An error as people see it: of one that the server answered with its SQLSTATE and words, without the line of the
/// server's own source.
#[derive(Debug)]
struct Answer(sqlx::Error);

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match server_error(&self.0) {
            Some(answer) => write!(f, "SQLSTATE {}: {}", answer.code(), answer.message()),
            None => self.0.fmt(f),
        }
    }
}

impl std::error::Error for Answer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if server_error(&self.0).is_some() { None } else { self.0.source() }
    }
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
    match code(error) {
        Some(code) => ["57P01", "57P02", "57P03"].contains(&code) || code.starts_with("08"),
        None => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)),
    }
}

fn cause(failure: &Failure) -> Option<&sqlx::Error> {
    let cause = failure.error.source.as_deref().and_then(|source| source.downcast_ref::<Answer>());
    cause.map(|Answer(error)| error)
}

/// The SQLSTATE that a failure is about, if the server answered with one.
pub fn answered(failure: &Failure) -> Option<&str> {
    cause(failure).and_then(code)
}

/// Whether a database has as many sessions as its own limit allows: to wait for the server does not help.
pub fn is_full(failure: &Failure) -> bool {
    let answer = cause(failure).and_then(server_error);
    answer.is_some_and(|answer| answer.code() == "53300" && answer.routine() == Some("CheckMyDatabase"))
}

/// Whether what went wrong in one database says nothing of others: the server goes on, and answered with an error, or
/// let us wait in vain there. Whoever owns a database can bring that about.
pub fn is_of_one_database(failure: &Failure) -> bool {
    match answered(failure) {
        Some("57P01" | "57P02" | "57P03") => false,
        Some("53300") => is_full(failure),
        Some(code) => !code.starts_with("08"),
        None => matches!(cause(failure), Some(sqlx::Error::Io(io)) if io.kind() == ErrorKind::TimedOut),
    }
}

/// Whether no connection was to be had: fewer at once may do.
pub fn is_crowded(failure: &Failure) -> bool {
    answered(failure) == Some("53300") && !is_full(failure)
}

/// Whether the same call may succeed in a moment: a lost connection, a shutdown, a concurrent change, a server
/// that became a replica while another became the primary. Not 55006 (in use): the server has waited 5 s already.
pub fn is_transient(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(io) = error {
        // A certificate does not become better by waiting.
        return io.kind() != ErrorKind::InvalidData;
    }
    let Some(answer) = server_error(error) else { return false };
    let code = answer.code();
    let first_time = code == "23505" && answer.table().is_some_and(|table| table.starts_with("pg_"));
    let named = ["XX000", "40001", "40P01", "57P01", "57P02", "57P03", "53300", "25006"].contains(&code);
    first_time || named || code.starts_with("08")
}

/// Why a connection could not be made; whether it was tried with a password of ours.
pub fn connecting(error: sqlx::Error, target: &Target, with_password: bool) -> Failure {
    let retry = is_transient(&error);
    let (message, hint) = if !with_password && code(&error) == Some("28P01") {
        let message = format!("the server asks {} for a password, and none is set", target.user);
        (message, causes::NO_PASSWORD.to_owned())
    } else {
        connecting_words(&error, target)
    };
    let diagnostic =
        Diagnostic::new(Kind::Service, message).on("postgres", target, "").hint(hint).because(Answer(error));
    Failure { error: diagnostic, retry }
}

fn connecting_words(error: &sqlx::Error, target: &Target) -> (String, String) {
    let Target { endpoint, user, .. } = target;
    if let Some(answer) = server_error(error) {
        let unheard_of = || (answer.message().to_owned(), format!("SQLSTATE {}", answer.code()));
        return causes::of_connecting(answer, target).unwrap_or_else(unheard_of);
    }
    let say = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
    if matches!(error, sqlx::Error::Tls(_)) && error.to_string().contains("does not support TLS") {
        return say(
            "the server offers no TLS, and sslmode demands it",
            "turn ssl on there, or set sslmode = \"prefer\" or \"disable\" under [postgres] if the way to it is safe",
        );
    }
    let certificate = matches!(error, sqlx::Error::Io(io) if io.kind() == ErrorKind::InvalidData);
    if certificate || matches!(error, sqlx::Error::Tls(_)) {
        return tls_words(error);
    }
    let sqlx::Error::Io(io) = error else {
        return (
            format!("{endpoint} does not answer as PostgreSQL does"),
            "does something else listen there? check host and port under [postgres]".to_owned(),
        );
    };
    let kind = io.kind();
    if kind == ErrorKind::ConnectionRefused {
        say(
            "nothing listens there (connection refused)",
            "start the server (--wait 60s waits for one that is starting), or set host and port under [postgres]",
        )
    } else if kind == ErrorKind::TimedOut {
        let seconds = CONNECT_TIMEOUT.as_secs();
        (
            format!("no answer within {seconds} s"),
            "is a firewall in between, or does something else listen there? check host and port under [postgres]"
                .to_owned(),
        )
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

/// rustls says what it did not like only in words.
fn tls_words(error: &sqlx::Error) -> (String, String) {
    let said = error.to_string();
    let (what, next) = if said.contains("NotValidForName") || said.contains("not valid for name") {
        (
            "the server's certificate is for another host name",
            "set host under [postgres] to a name that the certificate has; sslmode = \"verify-ca\" does not look at names",
        )
    } else if said.contains("CaUsedAsEndEntity") {
        (
            "the server's certificate is an authority's own (CA:TRUE), which is not accepted for a server",
            "give the server a certificate with basicConstraints=CA:FALSE, signed by that authority",
        )
    } else if said.contains("UnknownIssuer") || said.contains("invalid peer certificate") {
        (
            "the server's certificate was not signed by an authority that is trusted here",
            "set ca_file under [postgres] to the certificate of the authority that signed it",
        )
    } else {
        (
            "TLS could not be set up",
            "check sslmode, ca_file, cert_file and key_file under [postgres]; sslmode = \"disable\" goes without, where \
             the server allows it",
        )
    };
    (what.to_owned(), next.to_owned())
}

/// Why a statement failed. `statement` must have no secret in it.
pub fn stating(error: sqlx::Error, object: &str, statement: &str) -> Failure {
    let retry = is_transient(&error);
    let (message, hint) = match server_error(&error) {
        Some(answer) => match causes::of_statement(answer) {
            Some((message, hint)) => (message, Some(hint)),
            None => (answer.message().to_owned(), answer.hint().map(str::to_owned)),
        },
        None if matches!(error, sqlx::Error::Io(_)) => {
            ("the connection was lost".to_owned(), Some(causes::AGAIN.to_owned()))
        }
        None => ("the server's answer was not understood".to_owned(), None),
    };
    let mut diagnostic =
        Diagnostic::new(Kind::Service, message).on("postgres", object, statement).because(Answer(error));
    diagnostic.hint = hint;
    Failure { error: diagnostic, retry }
}
