//! What a failed call means, and what to do about it.

use super::rights::{ALL, grant, list, refused};
use crate::error::{Diagnostic, Kind};
use fred::error::{Error, ErrorKind};
use std::collections::BTreeSet;

/// An error with the node and the call that failed. `call` names no secret: a SETUSER stands without its rules.
pub fn explain(error: &Error, node: &str, call: &str) -> Diagnostic {
    let details = error.details();
    let (message, hint) = cause(error.kind(), details);
    let said = Diagnostic::new(Kind::Service, message).on("valkey", node, call).hint(hint);
    let said = said.may_pass(is_transient(error));
    // A refused rule is quoted by the server, and could be a hash.
    if details.contains("'#") || details.contains("'>") { said } else { said.because(plain(details)) }
}

/// As [`explain`], to somebody who has signed in as a user: what that one may not do can be allowed.
pub fn explain_to(user: &str, error: &Error, node: &str, call: &str) -> Diagnostic {
    let mut said = explain(error, node, call);
    if let Some(command) = refused(error.details()).filter(|_| error.details().starts_with("NOPERM")) {
        let missing = BTreeSet::from([command]);
        said.message = format!("{user}, as whom nornplan signs in, may not run {}", list(&missing));
        let grant = grant(user, &missing);
        said.hint = Some(format!("allow it by {grant}; all that nornplan needs is `~* &* +@all`, or at least {ALL}"));
    }
    said
}

/// Whether the server has no such command, or its operator has taken it away.
pub fn is_unknown(error: &Error) -> bool {
    ["unknown command", "unknown subcommand"].iter().any(|words| error.details().contains(words))
}

/// Whether we are not given the answer, and others may be.
pub fn is_refusal(error: &Error) -> bool {
    error.details().starts_with("NOPERM") || is_unknown(error)
}

/// The sentence in what the client passes on of the system's errors, which is their form for debugging.
fn plain(details: &str) -> String {
    let quoted = ["message: \"", "error: \""].iter().find_map(|lead| details.split_once(lead)?.1.split_once('"'));
    quoted.map_or(details, |(sentence, _)| sentence).to_owned()
}

/// Whether the same call may succeed a moment later.
pub fn is_transient(error: &Error) -> bool {
    let passing = ["LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"];
    matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled)
        || passing.iter().any(|word| error.details().starts_with(word))
}

/// What is wrong, and what next.
type Words = (&'static str, &'static str);

const NO_PASSWORD: Words = (
    "the server asks for a password, and none is set",
    "set NORNPLAN_VALKEY_PASSWORD (else REDIS_PASSWORD), or password_file or password_command under [valkey]",
);

/// As [`explain`], where the sign-in was tried without a password.
pub fn explain_without_password(error: &Error, node: &str, call: &str) -> Diagnostic {
    let mut said = explain(error, node, call);
    if error.details().starts_with("WRONGPASS") {
        let (message, hint) = NO_PASSWORD;
        (said.message, said.hint) = (message.to_owned(), Some(hint.to_owned()));
    }
    said
}

fn cause(kind: &ErrorKind, details: &str) -> Words {
    let starts = |word: &str| details.starts_with(word);
    let has = |words: &str| details.contains(words);
    if starts("NOAUTH") {
        return NO_PASSWORD;
    }
    if starts("WRONGPASS") || has("invalid password") || has("without any password configured") {
        return (
            "the server does not accept this user name and password",
            "check `user` under [valkey] and NORNPLAN_VALKEY_PASSWORD (else REDIS_PASSWORD)",
        );
    }
    if starts("NOPERM") {
        return (
            "the user that nornplan signs in as may not do this",
            "give it `~* &* +@all`, or at least +acl +config +command +info +role +cluster|nodes",
        );
    }
    if starts("LOADING") {
        return ("the server is still loading its data", "wait until it has, or run with --wait 60s");
    }
    if starts("MASTERDOWN") {
        return ("this replica has lost its primary", "bring the primary back, then try again");
    }
    if starts("READONLY") {
        return ("this node is a replica and takes no writes", "point [valkey] at the primary");
    }
    if starts("BUSY") {
        return ("the server is busy with a script", "wait, or end it with SCRIPT KILL");
    }
    if starts("DENIED") || has("protected mode") {
        return (
            "the server is in protected mode: it has no password and takes only local connections",
            "give its default user a password, or connect from the same machine",
        );
    }
    if has("Resource busy") || has("saving the ACL") || has("error trying to save the ACLs") {
        return (
            "the server cannot save its users in its aclfile",
            "let the server make files and rename them in the aclfile's directory (is it there, on a disk that is not \
             full and not read-only, and the server's user's?); in a container, mount that directory and not the file \
             alone, which is \"Resource busy\"; the server's log says which it is",
        );
    }
    if has("Rewriting config file") {
        return (
            "the server cannot save its users in its configuration file",
            "let the server's user write that file and its directory; in a container, mount the directory and not the \
             file alone; the server's log says more. Or give the server an aclfile",
        );
    }
    if has("unknown command") || has("unknown subcommand") {
        return (
            "the server does not know this command, or its operator has switched it off",
            "managed offerings forbid ACL commands; users are then made in their own console",
        );
    }
    if has("ACL SETUSER modifier") {
        return (
            "the server does not accept these rules",
            "managed offerings forbid `reset` and passwords in rules; otherwise please report this with the \
             server's version",
        );
    }
    connection(kind, details)
}

fn connection(kind: &ErrorKind, details: &str) -> Words {
    let has = |words: &str| details.contains(words);
    if has("ConnectionRefused") {
        return (
            "nothing listens there",
            "start the server (--wait 60s waits for one that is starting), or check host and port under [valkey]",
        );
    }
    if has("lookup address") || has("resolve") {
        return ("the host's name is not known", "check `host` under [valkey]");
    }
    if has("Unreachable") {
        return ("there is no way to this host", "check `host` under [valkey] and the network");
    }
    if *kind == ErrorKind::Tls || has("InvalidContentType") || has("certificate") {
        return (
            "TLS to the server failed",
            "check `tls` and the CA file under [valkey]; a server without TLS needs `tls = false`",
        );
    }
    if *kind == ErrorKind::Timeout {
        return (
            "the server did not answer in time",
            "check host, port and firewall; a server with TLS needs `tls = true`",
        );
    }
    if matches!(kind, ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Protocol) {
        return (
            "the connection broke off",
            "check that this is a Valkey or Redis; a server with TLS needs `tls = true` under [valkey]",
        );
    }
    ("the server refused the call", "see the server's own words")
}
