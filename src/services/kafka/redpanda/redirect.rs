//! Where a redirect to the leader may be followed: pure.
//!
//! A follower answers a write by 307 and the leader's URL, as far as it can guess that from our `Host` header
//! (src/v/redpanda/admin/server.cc, `redirect_to_leader`). The request has a password in its body and one in its
//! `Authorization`, so neither goes to a host that nobody named, nor from TLS to none.

use std::collections::BTreeSet;
use url::Url;

/// How often a redirect is followed.
pub const MOST: usize = 3;

/// The URL to go to, if the request may go there; else why it may not.
///
/// # Errors
/// The location is no URL, less safe, another call, or on a host that is not `known`.
pub fn target(from: &Url, location: &str, path: &str, known: &BTreeSet<String>) -> Result<Url, String> {
    let to = from.join(location).map_err(|_| "it is no URL".to_owned())?;
    let host = to.host_str().unwrap_or_default().to_owned();
    match (from.scheme(), to.scheme()) {
        ("http" | "https", "https") | ("http", "http") => {}
        ("https", _) => return Err("it is without TLS, and would show the password".to_owned()),
        (_, scheme) => return Err(format!("{scheme} is nothing that is followed")),
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err("it has a user in it".to_owned());
    }
    let plain = path.split('?').next().unwrap_or_default();
    if to.path() != plain {
        return Err("it is another call".to_owned());
    }
    if !known.contains(&host) {
        return Err(format!("{host} is neither in kafka.admin_url nor one of the brokers"));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::target;
    use std::collections::BTreeSet;
    use url::Url;

    fn go(from: &str, location: &str) -> Result<String, String> {
        let known = BTreeSet::from(["rp-0".to_owned(), "rp-1".to_owned()]);
        target(&Url::parse(from).unwrap(), location, "/v1/security/users/a%2Fb", &known).map(|url| url.to_string())
    }

    #[test]
    fn a_password_goes_only_to_known_hosts_and_never_from_tls_to_none() {
        let path = "/v1/security/users/a%2Fb?redirect=1";
        let there = |base: &str| format!("{base}{path}");
        assert_eq!(go("http://rp-0:9644", &there("http://rp-1:9644")), Ok(there("http://rp-1:9644")));
        assert_eq!(go("http://rp-0:9644", &there("https://rp-1:9644")), Ok(there("https://rp-1:9644")));
        assert_eq!(go("https://rp-0:9644", path), Ok(there("https://rp-0:9644")));
        for wrong in [
            there("http://rp-2:9644"),
            there("http://rp-1.evil.example:9644"),
            there("http://user:x@rp-1:9644"),
            there("ftp://rp-1"),
            "http://rp-1:9644/v1/security/users/other".to_owned(),
            "http://[".to_owned(),
        ] {
            assert!(go("http://rp-0:9644", &wrong).is_err(), "{wrong}");
        }
        assert!(go("https://rp-0:9644", &there("http://rp-1:9644")).unwrap_err().contains("without TLS"));
    }
}
