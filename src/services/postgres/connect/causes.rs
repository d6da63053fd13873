//! What PostgreSQL's answers mean and what to do next, as two tables: of signing in, and of running statements.
//!
//! SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. Routines and words were read off servers
//! of version 15 and 18.

use super::target::Target;
use sqlx::postgres::PgDatabaseError;

/// What tells causes of one SQLSTATE apart.
enum By {
    Any,
    /// The function in the server's source: the same in every language.
    Routine(&'static str),
    /// Words of the message. Where the server speaks another language, a later row serves.
    Says(&'static str),
}

struct Cause(&'static str, By, &'static str, &'static str);

use By::{Any, Routine, Says};

/// SQLSTATE, what tells it apart, what was wrong, what to do next; the first that fits. `{user}`, `{database}` and
/// `{endpoint}` are whom we tried to reach, `{says}` is the server's message.
const CONNECTING: &[Cause] = &[
    Cause(
        "28P01",
        Any,
        "wrong password for {user}",
        "set NORNPLAN_POSTGRES_PASSWORD (or password_file, password_command under [postgres]); a role that does not \
         exist, or whose VALID UNTIL has passed, is answered the same",
    ),
    Cause(
        "28000",
        Says("not permitted to log in"),
        "{user} may not sign in (NOLOGIN)",
        "ALTER ROLE {user} LOGIN, or set another user under [postgres]",
    ),
    Cause(
        "28000",
        Routine("InitializeSessionUserId"),
        "{user} does not exist or may not sign in",
        "set user under [postgres], or NORNPLAN_POSTGRES_USER",
    ),
    Cause(
        "28000",
        Says("no encryption"),
        "pg_hba.conf lets {user} on {database} in from nowhere that we are without encryption",
        "set sslmode = \"require\" under [postgres] if its line is hostssl; else add a line to pg_hba.conf and reload \
         it",
    ),
    Cause(
        "28000",
        Says("SSL encryption"),
        "pg_hba.conf lets {user} on {database} in from nowhere that we are with TLS",
        "add a line to pg_hba.conf and reload it; where its line is hostnossl, set sslmode = \"disable\"",
    ),
    Cause(
        "28000",
        Says("client certificate"),
        "the server wants a client certificate for {user}",
        "set cert_file and key_file under [postgres]",
    ),
    Cause(
        "28000",
        Any,
        "the server lets {user} on {database} in from nowhere that we are (pg_hba.conf)",
        "add a line to pg_hba.conf and reload it; where it says hostssl, set sslmode = \"require\"; where it says peer, \
         run as that user of the system or connect over TCP",
    ),
    Cause(
        "3D000",
        Any,
        "there is no database \"{database}\"",
        "set database under [postgres] to one that exists, such as postgres",
    ),
    Cause("42501", Any, "{user} may not connect to {database}", "GRANT CONNECT ON DATABASE {database} TO {user}"),
    Cause(
        "55000",
        Any,
        "{database} lets nobody in (ALLOW_CONNECTIONS false)",
        "ALTER DATABASE {database} ALLOW_CONNECTIONS true, if it is to be used",
    ),
    Cause(
        "53300",
        Routine("InitializeSessionUserId"),
        "too many connections for {user}",
        "ALTER ROLE {user} CONNECTION LIMIT -1: nornplan opens up to 8, or as many as --parallelism says",
    ),
    Cause(
        "53300",
        Routine("CheckMyDatabase"),
        "too many connections for {database}",
        "wait until some end, or raise the database's CONNECTION LIMIT; superusers are let in at any number",
    ),
    Cause(
        "53300",
        Routine("InitPostgres"),
        "too many connections: what is left is reserved for superusers",
        "wait until some end, raise max_connections, or sign in as a superuser",
    ),
    Cause(
        "53300",
        Any,
        "too many connections on the whole server",
        "wait until some end, raise max_connections, or lower --parallelism",
    ),
    Cause(
        "57P03",
        Says("not accepting connections"),
        "the server answers no queries yet ({says})",
        "try again, or wait with --wait 60s; a replica with hot_standby = off never does: point host at the primary",
    ),
    Cause("57P03", Any, "the server is starting up or shutting down", "try again, or wait with --wait 60s"),
    Cause("57P01", Any, "the server is shutting down", "try again when it is up, or wait with --wait 60s"),
    Cause("57P02", Any, "the server has crashed and restarts", "try again, or wait with --wait 60s; see its log"),
    Cause("08P01", Says("startup parameter"), POOLER, BESIDE_THE_POOLER),
    Cause(
        "08P01",
        Says("authentication failed"),
        "a pooler such as PgBouncer does not let {user} in: wrong password, or a role that it does not know",
        BESIDE_THE_POOLER,
    ),
    Cause(
        "08P01",
        Any,
        "{endpoint} answers, but not as PostgreSQL does ({says})",
        "is a pooler or a proxy in between? connect nornplan to PostgreSQL itself (host, port under [postgres])",
    ),
];

/// What is wrong where a pooler hands out sessions.
pub const POOLER: &str = "PgBouncer or another pooler stands in front of PostgreSQL";
/// What to do about it.
pub const BESIDE_THE_POOLER: &str = "connect nornplan to PostgreSQL itself: it makes databases, proves passwords by \
     signing in and dumps, and a pooler passes none of that through faithfully. Set host and port under [postgres] to \
     the server; public_host and public_port keep what apps are told";

/// The same for statements; no message is replaced, since the server names the object. `{named}` is the first thing that
/// the server's message has in double quotes, `{detail}` the server's own detail with a space after it, if any.
const STATING: &[Cause] = &[
    Cause(
        "42501",
        Says("to set parameter"),
        "{says}",
        "as a superuser run GRANT SET ON PARAMETER \"{named}\" TO the role that nornplan signs in with, or remove \
         settings.{named} from the infraspec",
    ),
    Cause(
        "42501",
        Any,
        "{says}",
        "{detail}sign in as a superuser, or as a role with CREATEROLE and CREATEDB; `nornplan doctor` names the missing \
         right",
    ),
    Cause("55006", Any, "{says}", "{detail}end what is connected to it and run it again"),
    Cause(
        "25006",
        Any,
        "{says}",
        "this server is a replica or has become one: point host at the primary, or name every server, as in host = \
         [\"a:5432\", \"b:5432\"], and nornplan finds the one that can be written",
    ),
    Cause("2BP01", Any, "{says}", "something still depends on it: {detail}"),
    Cause(
        "42710",
        Any,
        "{says}",
        "somebody made it at this very moment: plan again, which reads what is there and adopts it",
    ),
    Cause(
        "42P04",
        Any,
        "{says}",
        "somebody made it at this very moment: plan again, which reads what is there and adopts it",
    ),
    Cause(
        "23505",
        Says("\"pg_"),
        "{says}",
        "somebody made it at this very moment: plan again, which reads what is there and adopts it",
    ),
    Cause(
        "22023",
        Routine("parse_and_validate_value"),
        "{says}",
        "correct settings.{named} under [services.postgres] in the infraspec; {detail}",
    ),
    Cause("42704", Says("configuration parameter"), "{says}", UNKNOWN_SETTING),
    Cause("42704", Routine("find_option"), "{says}", UNKNOWN_SETTING),
    Cause("42704", Routine("assignable_custom_variable_name"), "{says}", UNKNOWN_SETTING),
    Cause(
        "42704",
        Any,
        "{says}",
        "what it names does not exist on this server: make it there, or correct the infraspec",
    ),
    Cause("22023", Any, "{says}", "check the values under [services.postgres] in the infraspec"),
    Cause(
        "42809",
        Says("locale"),
        "{says}",
        "name a locale that the server's system has (`locale -a` there) under [services.postgres] in the infraspec",
    ),
    Cause("58P01", Any, "{says}", MISSING_FILES),
    Cause("0A000", Routine("parse_extension_control_file"), "{says}", MISSING_FILES),
    Cause("53100", Any, "{says}", "the server's disk is full: free some space there, then run it again"),
    Cause("53200", Any, "{says}", "the server is out of memory: see its log, then run it again"),
    Cause("57014", Any, "{says}", "the statement was cancelled, by somebody or by a timeout; run it again"),
    Cause("57P01", Any, "the session was ended by the server ({says})", AGAIN),
    Cause("57P02", Any, "the server crashed and restarts", AGAIN),
    Cause("XX000", Says("concurrently"), "{says}", "somebody else changes the same object; run it again"),
    Cause("40001", Any, "{says}", "somebody else changes the same object; run it again"),
    Cause("40P01", Any, "{says}", "somebody else changes the same objects; run it again"),
];

/// What to do where a password is asked for and nornplan was given none.
pub const NO_PASSWORD: &str = "\
    set NORNPLAN_POSTGRES_PASSWORD, or password_file or password_command under [postgres]; PGPASSWORD and ~/.pgpass are \
    looked at too, and have none that is right";

const UNKNOWN_SETTING: &str =
    "PostgreSQL has no such setting: correct settings.{named} under [services.postgres] in the infraspec";
const MISSING_FILES: &str = "the extension's files are not on the server; install its package there";
/// What to do where a connection was lost.
pub const AGAIN: &str = "run it again: what was done is not done twice";

/// Why we were not let in, and what next; unless it is unheard-of.
pub fn of_connecting(answer: &PgDatabaseError, target: &Target) -> Option<(String, String)> {
    find(CONNECTING, answer).map(|Cause(_, _, what, next)| {
        let fill = |text: &str| {
            let text = text.replace("{says}", answer.message()).replace("{endpoint}", &target.endpoint);
            text.replace("{user}", &target.user).replace("{database}", &target.database)
        };
        (fill(what), fill(next))
    })
}

/// Why a statement failed, and what next; unless it is unheard-of.
pub fn of_statement(answer: &PgDatabaseError) -> Option<(String, String)> {
    find(STATING, answer).map(|Cause(_, _, what, next)| {
        let what = what.replace("{says}", answer.message());
        let detail = answer.detail().or_else(|| answer.hint()).unwrap_or_default();
        let detail = match detail.lines().collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => none,
            some => format!("{some} "),
        };
        let next = next.replace("{named}", quoted(answer.message())).replace("{detail}", &detail);
        (what, next.trim_end_matches([' ', ';']).to_owned())
    })
}

fn find<'a>(table: &'a [Cause], answer: &PgDatabaseError) -> Option<&'a Cause> {
    table.iter().filter(|Cause(code, ..)| *code == answer.code()).find(|Cause(_, by, ..)| match by {
        Any => true,
        Routine(name) => answer.routine() == Some(*name),
        Says(words) => answer.message().contains(words),
    })
}

/// The first thing in double quotes: what the server's messages name.
fn quoted(message: &str) -> &str {
    message.split('"').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_stands_behind_one_that_always_fits() {
        for table in [CONNECTING, STATING] {
            for (index, Cause(code, ..)) in table.iter().enumerate() {
                let hidden = table[..index].iter().any(|Cause(earlier, by, ..)| earlier == code && matches!(by, Any));
                assert!(!hidden, "{code} at {index} is never reached");
            }
        }
    }

    #[test]
    fn a_full_disk_is_known() {
        // Filling a disk for real would take the machine along: the table must have it.
        assert!(STATING.iter().any(|Cause(code, _, _, next)| *code == "53100" && next.contains("disk is full")));
    }

    #[test]
    fn what_a_message_quotes_is_found() {
        assert_eq!(quoted("unrecognized configuration parameter \"stutement_timeout\""), "stutement_timeout");
        assert_eq!(quoted("nothing"), "");
    }
}
