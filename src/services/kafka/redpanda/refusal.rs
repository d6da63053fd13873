//! What the Admin API's failures mean, and what to do about them: pure, and without any secret.

use super::wire::Failure;
use crate::error::{Diagnostic, Kind};
use serde_json::Value;
use url::Url;

/// So much of an answer's text is shown.
const SHOWN: usize = 300;

/// The text of an error's body: `{"message": "...", "code": 403}`; of another body its beginning.
pub fn said(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|value| value.get("message")?.as_str().map(str::to_owned));
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(SHOWN).collect()
}

/// Whether a user cannot be created because there is one (`Unexpected cluster error: User already exists`).
pub fn exists_already(status: u16, said: &str) -> bool {
    status == 500 && said.contains("already exists")
}

/// Whether the same may work a moment later: no leader, too busy, a time-out.
pub fn passes(status: u16) -> bool {
    matches!(status, 429 | 503 | 504)
}

/// An answer that is no success. `user` is who asked, if anybody was named.
pub fn refused(url: &Url, user: Option<&str>, status: u16, said: &str) -> Diagnostic {
    let place = place(url);
    let words = if said.is_empty() { format!("status {status}") } else { said.to_owned() };
    let (message, hint) = match status {
        401 => (
            format!("the Admin API at {place} refuses the sign-in of {}: {words}", user.unwrap_or("nobody")),
            "check kafka.admin_user and NORNPLAN_KAFKA_ADMIN_PASSWORD; by default they are kafka.user and its password",
        ),
        403 => (
            format!("{} may not use the Admin API at {place}: {words}", user.unwrap_or("nobody")),
            "make it one of Redpanda's superusers (rpk cluster config set superusers), and give it a password",
        ),
        400 if said.contains("Authorization") => (
            format!("the Admin API at {place} does not take our sign-in: {words}"),
            "is the password empty? http_authentication of Redpanda must have BASIC",
        ),
        400 => (
            format!("the Admin API at {place} refuses what it was told: {words}"),
            "see what it says; names of SCRAM users have no comma and no equals sign in them",
        ),
        404 | 405 | 501 => (
            format!("what answers at {place} does not know this call: {words}"),
            "check kafka.admin_url: it is the Admin API's, on port 9644 by default, not that of the HTTP proxy",
        ),
        429 | 503 | 504 => (
            format!("the Admin API at {place} cannot do it now: {words}"),
            "it may have no leader at the moment; try again, and see `rpk cluster health`",
        ),
        _ => (format!("the Admin API at {place} failed with status {status}: {words}"), "see Redpanda's log"),
    };
    service(message, hint).may_pass(passes(status))
}

/// No answer at all.
pub fn failed(url: &Url, failure: &Failure) -> Diagnostic {
    let place = place(url);
    let plain = url.scheme() == "http";
    let (message, hint) = match failure {
        Failure::NotReached(why) => (
            format!("the Admin API at {place} cannot be reached: {why}"),
            "is it running, and is kafka.admin_url right?",
        ),
        Failure::Tls(why) => (
            format!("no TLS with the Admin API at {place}: {why}"),
            "check kafka.admin_ca_file, admin_cert_file and admin_key_file; without TLS it is http://",
        ),
        Failure::HungUp if plain => (
            format!("the Admin API at {place} hung up without an answer: it may expect a TLS connection"),
            "write https:// in kafka.admin_url",
        ),
        Failure::NoHttp if plain => (
            format!("what answers at {place} is not HTTP: it may expect a TLS connection"),
            "write https:// in kafka.admin_url, and check its port: 9644 by default",
        ),
        Failure::HungUp | Failure::NoHttp => (
            format!("the Admin API at {place} broke off its answer"),
            "check kafka.admin_url; it may want a client certificate (kafka.admin_cert_file)",
        ),
        Failure::TooSlow => (
            format!("the Admin API at {place} did not answer in time"),
            "is it reachable from here, and is kafka.admin_url right?",
        ),
        Failure::TooLong => (
            format!("the Admin API at {place} answered more than can be right"),
            "check kafka.admin_url: another program may answer there",
        ),
    };
    let passes = match failure {
        Failure::NotReached(_) | Failure::TooSlow | Failure::HungUp => true,
        Failure::Tls(_) | Failure::NoHttp | Failure::TooLong => false,
    };
    service(message, hint).may_pass(passes)
}

/// A redirect that is not followed.
pub fn astray(url: &Url, location: &str, why: &str) -> Diagnostic {
    let location = location.split('?').next().unwrap_or_default();
    let message = format!("the Admin API at {} sends us to its leader at {location}: {why}", place(url));
    service(message, "name every node's Admin API in kafka.admin_url, each as it can be reached from here")
}

/// An answer of another form than the Admin API's.
pub fn strange(url: &Url, expected: &str) -> Diagnostic {
    let message = format!("what answers at {} is not Redpanda's Admin API: there is no {expected} in it", place(url));
    service(message, "check kafka.admin_url: it is on port 9644 by default")
}

fn service(message: String, hint: &str) -> Diagnostic {
    Diagnostic::new(Kind::Service, message).on("kafka", "", "").hint(hint)
}

/// A URL as people write it.
pub fn place(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::{exists_already, failed, passes, refused, said};
    use crate::services::kafka::redpanda::wire::Failure;
    use url::Url;

    #[test]
    fn errors_say_what_to_do() {
        let url = Url::parse("http://rp:9644").unwrap();
        let forbidden = br#"{"message": "Forbidden (superuser role required)", "code": 403}"#;
        let told = refused(&url, Some("norn"), 403, &said(forbidden));
        assert_eq!(
            told.message,
            "norn may not use the Admin API at http://rp:9644: Forbidden (superuser role required)"
        );
        assert!(told.hint.unwrap().contains("superusers"));
        assert!(refused(&url, Some("norn"), 401, "Unauthorized").hint.unwrap().contains("admin_user"));
        assert!(refused(&url, None, 400, "Malformed Authorization header").hint.unwrap().contains("empty"));
        assert!(refused(&url, None, 404, "Not found").hint.unwrap().contains("9644"));
        assert!(failed(&url, &Failure::HungUp).message.contains("TLS"));
        let tls = Url::parse("https://rp:9644").unwrap();
        assert!(!failed(&tls, &Failure::HungUp).message.contains("TLS"));
        assert!([429, 503, 504].into_iter().all(passes) && !passes(500));
    }

    #[test]
    fn texts_are_taken_out_of_whatever_comes() {
        let exists = br#"{"message": "Unexpected cluster error: User already exists", "code": 500}"#;
        assert!(exists_already(500, &said(exists)));
        assert!(!exists_already(409, &said(exists)));
        assert!(!exists_already(500, "Unexpected cluster error: User does not exist"));
        assert_eq!(said(b"<html>\n  <b>no</b>\xff"), "<html> <b>no</b>\u{fffd}");
        assert_eq!(said(b""), "");
        assert_eq!(said("x".repeat(5000).as_bytes()).len(), 300);
    }
}
