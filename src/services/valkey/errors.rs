//! What a failed call means, and what to do about it.

use super::causes;
use super::rights::{ALL, grant, list, refused};
use crate::error::{Diagnostic, Kind};
use fred::error::Error;
use std::collections::BTreeSet;

/// An error with the node and the call that failed. `call` names no secret: a SETUSER stands without its rules.
pub fn explain(error: &Error, node: &str, call: &str) -> Diagnostic {
    let (cause, details) = (causes::of(error), error.details());
    let said = Diagnostic::new(Kind::Service, cause.what).on("valkey", node, call).hint(cause.next);
    let said = said.may_pass(cause.passes);
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

/// The sentence in what the client passes on of the system's errors, or the name of an error of TLS: the client has them in
/// their form for debugging.
fn plain(details: &str) -> String {
    let quoted = ["message: \"", "error: \""].iter().find_map(|lead| details.split_once(lead)?.1.split_once('"'));
    let named = || details.split_once("error: ").map(|(_, name)| name.trim_end_matches([' ', '}']));
    quoted.map(|(sentence, _)| sentence).or_else(named).unwrap_or(details).to_owned()
}

/// Whether the same call may succeed a moment later.
pub fn is_transient(error: &Error) -> bool {
    causes::of(error).passes
}

/// As [`explain`], where the sign-in was tried without a password.
pub fn explain_without_password(error: &Error, node: &str, call: &str) -> Diagnostic {
    let mut said = explain(error, node, call);
    if error.details().starts_with("WRONGPASS") {
        let causes::Cause { what, next, .. } = causes::NO_PASSWORD;
        (said.message, said.hint) = (what.to_owned(), Some(next.to_owned()));
    }
    said
}
