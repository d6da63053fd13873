//! Which calls change something: before and after these are boundaries (`crate::boundary`).

use fred::error::Error;
use fred::types::Value;

/// Sends calls.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub async fn around(
    _calls: impl FnOnce() -> Vec<Vec<String>>,
    sent: impl Future<Output = Vec<Result<Value, Error>>>,
) -> Vec<Result<Value, Error>> {
    sent.await
}

/// Sends calls, between the boundaries before and after them if any of them changes something.
#[cfg(feature = "failpoints")]
pub async fn around(
    calls: impl FnOnce() -> Vec<Vec<String>>,
    sent: impl Future<Output = Vec<Result<Value, Error>>>,
) -> Vec<Result<Value, Error>> {
    let calls = calls();
    let Some(first) = calls.iter().find(|call| writes(call)) else { return sent.await };
    let name = || format!("valkey {}", verb(first));
    // An error of a call is an answer: it is in the list.
    let answered = crate::boundary::around(name, async { Ok::<_, Error>(sent.await) }).await;
    answered.unwrap_or_else(|error| calls.iter().map(|_| Err(error.clone())).collect())
}

#[cfg(feature = "failpoints")]
impl From<crate::boundary::Broken> for Error {
    fn from(broken: crate::boundary::Broken) -> Self {
        use fred::error::ErrorKind;
        Self::new(if broken.passes { ErrorKind::IO } else { ErrorKind::InvalidCommand }, broken.words())
    }
}

/// Calls that change nothing. Whatever is not among them is taken to change something.
#[cfg(any(test, feature = "failpoints"))]
const READS: [&str; 16] = [
    "ACL CAT",
    "ACL DRYRUN",
    "ACL GETUSER",
    "ACL LIST",
    "ACL USERS",
    "ACL WHOAMI",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "CONFIG GET",
    "INFO",
    "PING",
    "ROLE",
    "SCAN",
    "SELECT",
    "SENTINEL",
];

/// The words before any argument that is a name or a value.
#[cfg(any(test, feature = "failpoints"))]
fn verb(call: &[String]) -> String {
    let has_two = matches!(call.first().map(String::as_str), Some("ACL" | "CONFIG" | "SENTINEL" | "CLIENT"));
    call.iter().take(if has_two { 2 } else { 1 }).cloned().collect::<Vec<_>>().join(" ")
}

#[cfg(any(test, feature = "failpoints"))]
fn writes(call: &[String]) -> bool {
    let verb = verb(call);
    let is_read = |read: &&str| verb == **read || verb.split(' ').next() == Some(*read);
    // Without a name it only shows whether it is there.
    let asks = verb == "ACL SETUSER" && call.len() == 2;
    let saves = ["CLIENT KILL", "SENTINEL FLUSHCONFIG", "SENTINEL RESET", "SENTINEL SET"].contains(&verb.as_str());
    !asks && (saves || !READS.iter().any(is_read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_read_is_taken_to_write() {
        let is = |call: &str| writes(&call.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for write in ["ACL SETUSER a on", "ACL DELUSER a", "ACL SAVE", "CONFIG REWRITE", "UNLINK", "SENTINEL SET", "X"]
        {
            assert!(is(write), "{write}");
        }
        for read in ["ACL SETUSER", "ACL LIST", "ACL DRYRUN a GET k", "CONFIG GET x", "INFO server", "SENTINEL MASTERS"]
        {
            assert!(!is(read), "{read}");
        }
    }
}
