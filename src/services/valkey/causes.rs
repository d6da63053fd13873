//! What answers of Valkey and failures of connections mean and what to do next, as one table. The words were read off
//! Valkey 9.1 and Redis 7.0, and off the client.

use fred::error::{Error, ErrorKind};

/// What tells a cause from others.
enum By {
    /// The answer's first word, as servers have it for programs.
    Word(&'static str),
    /// Words in the answer, or in what the client says.
    Says(&'static str),
    /// What sort of failure the client takes it for.
    Sort(ErrorKind),
}

use By::{Says, Sort, Word};

/// A cause and what to do next.
pub struct Cause {
    by: &'static [By],
    pub what: &'static str,
    pub next: &'static str,
    /// Whether the same call may succeed a moment later.
    pub passes: bool,
}

const fn lasting(by: &'static [By], what: &'static str, next: &'static str) -> Cause {
    Cause { by, what, next, passes: false }
}

const fn passing(by: &'static [By], what: &'static str, next: &'static str) -> Cause {
    Cause { by, what, next, passes: true }
}

/// What is wrong where a password is asked for and nornplan was given none.
pub const NO_PASSWORD: Cause = lasting(
    &[Word("NOAUTH")],
    "the server asks for a password, and none is set",
    "set NORNPLAN_VALKEY_PASSWORD (else REDIS_PASSWORD), or password_file or password_command under [valkey]",
);

/// What the server itself answers with. The first that fits.
const ANSWERS: &[Cause] = &[
    NO_PASSWORD,
    lasting(
        &[Word("WRONGPASS"), Says("invalid password"), Says("without any password configured")],
        "the server does not accept this user name and password",
        "check `user` under [valkey] and NORNPLAN_VALKEY_PASSWORD (else REDIS_PASSWORD); a user that does not exist, or is \
         switched off, is answered the same",
    ),
    lasting(
        &[Word("NOPERM")],
        "the user that nornplan signs in as may not do this",
        "give it `~* &* +@all`; `nornplan doctor` names what it may not run",
    ),
    passing(&[Word("LOADING")], "the server is still loading its data", "wait until it has, or run with --wait 60s"),
    passing(&[Word("MASTERDOWN")], "this replica has lost its primary", "bring the primary back, then try again"),
    passing(
        &[Word("CLUSTERDOWN"), Word("TRYAGAIN")],
        "the cluster does not serve all of its slots",
        "see CLUSTER INFO and CLUSTER NODES on any node; bring back what is down, then try again",
    ),
    lasting(&[Word("READONLY")], "this node is a replica and takes no writes", "point [valkey] at the primary"),
    passing(
        &[Word("BUSY")],
        "the server is busy with a script",
        "wait, or end it with SCRIPT KILL (FUNCTION KILL for a function); --wait 60s waits for it",
    ),
    lasting(
        &[Word("DENIED"), Says("protected mode")],
        "the server is in protected mode: it has no password and takes only local connections",
        "give its default user a password, or connect from the same machine",
    ),
    passing(
        &[Says("max number of clients")],
        "the server has as many connections as it may (maxclients)",
        "wait until some end (--wait 60s), close some (CLIENT LIST shows whose they are), or raise maxclients",
    ),
    lasting(
        &[Says("Resource busy"), Says("saving the ACL"), Says("error trying to save the ACLs")],
        "the server cannot save its users in its aclfile",
        "let the server make files and rename them in the aclfile's directory (is it there, on a disk that is not full and \
         not read-only, and the server's user's?); in a container, mount that directory and not the file alone, which is \
         \"Resource busy\"; the server's log says which it is",
    ),
    lasting(
        &[Says("Rewriting config file")],
        "the server cannot save its users in its configuration file",
        "let the server's user write that file and its directory; in a container, mount the directory and not the file \
         alone; the server's log says more. Or give the server an aclfile",
    ),
    lasting(
        &[Says("unknown command"), Says("unknown subcommand")],
        "the server does not know this command, or its operator has switched it off",
        "managed offerings forbid ACL commands; users are then made in their own console",
    ),
    lasting(
        &[Says("ACL SETUSER modifier")],
        "the server does not accept these rules",
        "managed offerings forbid `reset` and passwords in rules; otherwise please report this with the server's version",
    ),
];

/// What becomes of a connection. The first that fits.
const CONNECTIONS: &[Cause] = &[
    passing(
        &[Says("ConnectionRefused")],
        "nothing listens there",
        "start the server (--wait 60s waits for one that is starting), or check host and port under [valkey]",
    ),
    passing(&[Says("lookup address"), Says("resolve")], "the host's name is not known", "check `host` under [valkey]"),
    passing(&[Says("Unreachable")], "there is no way to this host", "check `host` under [valkey] and the network"),
    lasting(
        &[Says("UnknownIssuer")],
        "the server's certificate is not signed by an authority that is trusted here",
        "name the authority's certificate by ca_file under [valkey]; without it the system's are trusted",
    ),
    lasting(
        &[Says("NotValidForName")],
        "the server's certificate is for another host name",
        "set `host` under [valkey] to a name or address that the certificate has, or have one made for this one",
    ),
    lasting(
        &[Says("(Expired")],
        "the server's certificate has expired",
        "have it renewed, and the server read it; if it has not expired, set this machine's clock",
    ),
    lasting(
        &[Says("(NotValidYet")],
        "the server's certificate is not valid yet",
        "set this machine's clock, or the server's when it makes certificates",
    ),
    lasting(
        &[Says("CaUsedAsEndEntity")],
        "the server shows an authority's own certificate as its own",
        "have one made for the server (basicConstraints=CA:FALSE), signed by that authority",
    ),
    lasting(
        &[Says("CertificateRequired"), Says("certificate required")],
        "the server wants a client certificate",
        "set cert_file and key_file under [valkey], or tls-auth-clients no on the server",
    ),
    lasting(
        &[Sort(ErrorKind::Tls), Says("InvalidContentType"), Says("ertificate"), Says("AlertReceived")],
        "TLS to the server failed",
        "check `tls` and the TLS files under [valkey]; a server without TLS needs `tls = false`",
    ),
    passing(
        &[Sort(ErrorKind::Timeout)],
        "the server did not answer in time",
        "check host, port and firewall; a server with TLS needs `tls = true`",
    ),
    lasting(
        &[Says("Decode Error"), Says("Invalid frame")],
        "what listens there answers, but not as Valkey or Redis do",
        "check `host` and `port` under [valkey]: another program has this port, a web server for example",
    ),
    passing(
        &[Sort(ErrorKind::IO), Sort(ErrorKind::Canceled), Sort(ErrorKind::Protocol), Sort(ErrorKind::Parse)],
        "the connection broke off",
        "check that this is a Valkey or Redis and that it is up (its log says if it ended); a server with TLS needs \
         `tls = true` under [valkey]",
    ),
];

const UNHEARD_OF: Cause = lasting(&[], "the server refused the call", "see the server's own words");

/// Why a call failed.
pub fn of(error: &Error) -> &'static Cause {
    find(error.kind(), error.details())
}

fn find(sort: &ErrorKind, details: &str) -> &'static Cause {
    let fits = |by: &By| match by {
        Word(word) => details.split(' ').next() == Some(*word),
        Says(words) => details.contains(words),
        Sort(one) => one == sort,
    };
    let mut all = ANSWERS.iter().chain(CONNECTIONS);
    all.find(|cause| cause.by.iter().any(fits)).unwrap_or(&UNHEARD_OF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_by_what_servers_and_the_client_say() {
        let what = |sort, details: &str| find(&sort, details).what;
        assert_eq!(what(ErrorKind::Auth, "NOAUTH Authentication required."), NO_PASSWORD.what);
        assert!(what(ErrorKind::Unknown, "BUSY Valkey is busy running a script.").contains("busy"));
        // A word of a sentence is no answer's first word.
        assert_eq!(what(ErrorKind::Unknown, "ERR the BUSY word"), UNHEARD_OF.what);
        let tls = "Custom { kind: InvalidData, error: InvalidCertificate(Expired) }";
        assert!(what(ErrorKind::IO, tls).contains("expired"));
    }

    /// A full disk cannot be had in a test without harm, and a failure to save as it is with a busy mount neither.
    #[test]
    fn what_is_waited_for_passes_by_itself() {
        for details in ["LOADING x", "BUSY x", "MASTERDOWN x", "TRYAGAIN x", "CLUSTERDOWN x"] {
            assert!(find(&ErrorKind::Unknown, details).passes, "{details}");
        }
        for details in ["NOAUTH x", "WRONGPASS x", "NOPERM x", "Custom { error: InvalidCertificate(UnknownIssuer) }"] {
            assert!(!find(&ErrorKind::IO, details).passes, "{details}");
        }
    }
}
