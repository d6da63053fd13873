//! Where in an app's published values each service's password stands.

use super::sink::Values;
use crate::core::secret::Secret;
use crate::services::{ServiceId, SignInAs};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use url::Url;
use zeroize::Zeroizing;

/// What may stand as it is in a part of a URL.
const URL_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Passwords of one app by service.
pub type Passwords = BTreeMap<ServiceId, Secret>;

/// How the password that apps of Valkey share stands in a published value. None of ours: it is told by the configuration.
pub const SHARED: &str = "{kv.shared_password}";

/// How a service's password stands in a published value until it is filled in.
pub fn placeholder(service: ServiceId) -> Option<&'static str> {
    match service {
        ServiceId::Postgres => Some("{pg.password}"),
        ServiceId::Valkey => Some("{kv.password}"),
        ServiceId::Kafka => Some("{kafka.password}"),
        ServiceId::Secrets => None,
    }
}

/// The number of the database of Valkey that an app is told.
pub fn database(values: &BTreeMap<String, String>) -> Option<u32> {
    carriers(ServiceId::Valkey).iter().find_map(|name| values.get(*name)?.rsplit('/').next()?.parse().ok())
}

/// The name under which a service's password is staged.
pub fn stage_name(service: ServiceId) -> Option<&'static str> {
    match service {
        ServiceId::Postgres => Some("POSTGRES_PASSWORD"),
        ServiceId::Valkey => Some("VALKEY_PASSWORD"),
        ServiceId::Kafka => Some("KAFKA_PASSWORD"),
        ServiceId::Secrets => None,
    }
}

/// The names in which a service's published password is looked for, in this order.
pub fn carriers(service: ServiceId) -> &'static [&'static str] {
    match service {
        ServiceId::Postgres => &["DATABASE_URL"],
        ServiceId::Valkey => &["VALKEY_URL", "REDIS_URL"],
        ServiceId::Kafka => &["KAFKA_PASSWORD"],
        ServiceId::Secrets => &[],
    }
}

/// A service's password, out of what is published.
pub fn published(values: &Values, service: ServiceId) -> Option<Secret> {
    let found = carriers(service).iter().find_map(|name| {
        let value = values.get(*name)?.expose();
        match service {
            ServiceId::Postgres => in_url(value, false),
            // A password alone is not the app's own: it is that of the user `default`.
            ServiceId::Valkey => in_url(value, true),
            ServiceId::Kafka => Some(value.to_owned()),
            ServiceId::Secrets => None,
        }
    });
    found.filter(|password| !password.is_empty()).map(Secret::new)
}

/// How a URL of a database says to sign in.
pub fn sign_in_of(url: &str) -> Option<SignInAs> {
    let url = Url::parse(url).ok()?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let database = decoded(url.path().trim_start_matches('/'))?;
    Some(SignInAs { user: decoded(url.username())?, password: Secret::new(decoded(url.password()?)?), database })
}

/// Whether values, by name, sign in on a service as this user.
pub fn sign_in_as<'a>(value: impl Fn(&str) -> Option<&'a str>, service: ServiceId, user: &str) -> bool {
    let in_url = |name: &&str| value(name).is_some_and(|value| value.contains(&format!("//{}:", url_part(user))));
    match service {
        ServiceId::Postgres | ServiceId::Valkey => carriers(service).iter().any(in_url),
        ServiceId::Kafka => value("KAFKA_USERNAME") == Some(user),
        ServiceId::Secrets => false,
    }
}

/// All passwords that are published.
pub fn all_published(values: &Values) -> Passwords {
    ServiceId::ALL.into_iter().filter_map(|service| Some((service, published(values, service)?))).collect()
}

/// Fills the passwords in. In a URL they are percent-encoded.
///
/// # Errors
/// The service whose password is not known.
pub fn fill(template: &str, passwords: &Passwords) -> Result<Secret, ServiceId> {
    let url = template.contains("://");
    let mut filled = Zeroizing::new(String::with_capacity(template.len() + 64));
    let mut rest = template;
    while let Some((at, name, service)) = next_placeholder(rest) {
        filled.push_str(rest.get(..at).unwrap_or_default());
        let password = passwords.get(&service).ok_or(service)?;
        if url {
            filled.extend(utf8_percent_encode(password.expose(), URL_PART));
        } else {
            filled.push_str(password.expose());
        }
        rest = rest.get(at + name.len()..).unwrap_or_default();
    }
    filled.push_str(rest);
    Ok(Secret::new(filled.to_string()))
}

/// Fills in the password that apps of Valkey share, in a URL percent-encoded. The braces of others stay.
pub fn fill_shared(template: &str, shared: &Secret) -> Zeroizing<String> {
    let encoded = if template.contains("://") { url_part(shared.expose()) } else { shared.expose().to_owned() };
    Zeroizing::new(template.replace(SHARED, &Zeroizing::new(encoded)))
}

/// A part of a URL (a user, a database) as it must be written there.
pub fn url_part(text: &str) -> String {
    utf8_percent_encode(text, URL_PART).to_string()
}

fn next_placeholder(text: &str) -> Option<(usize, &'static str, ServiceId)> {
    let find = |service: ServiceId| {
        let name = placeholder(service)?;
        text.find(name).map(|at| (at, name, service))
    };
    ServiceId::ALL.into_iter().filter_map(find).min()
}

fn in_url(value: &str, with_user: bool) -> Option<String> {
    let (user, password) = match Url::parse(value) {
        Ok(url) => (url.username().to_owned(), url.password()?.to_owned()),
        // The `url` crate has no place for several hosts, as sentinels are.
        Err(_) => {
            let (_, rest) = value.split_once("://")?;
            let (sign_in, _) = rest.split('/').next()?.rsplit_once('@')?;
            let (user, password) = sign_in.split_once(':')?;
            (user.to_owned(), password.to_owned())
        }
    };
    let decoded = percent_decode_str(&password).decode_utf8().ok().map(|text| text.into_owned());
    decoded.filter(|_| !with_user || !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
    }

    #[test]
    fn what_is_filled_in_is_found_again() {
        for password in ["Abc123", "p@ss:/?#%wörd &'\"", "{kv.password}"] {
            let passwords: Passwords = [ServiceId::Postgres, ServiceId::Valkey, ServiceId::Kafka]
                .map(|service| (service, Secret::new(password.to_owned())))
                .into();
            let filled = |template| fill(template, &passwords).unwrap().expose().to_owned();
            let values = values(&[
                ("DATABASE_URL", &filled("postgres://cafe_user:{pg.password}@[::1]:5432/cafe?sslmode=require")),
                ("REDIS_URL", &filled("rediss://cafe:{kv.password}@host:6379/3")),
                ("KAFKA_PASSWORD", &filled("{kafka.password}")),
            ]);
            let found = all_published(&values);
            assert_eq!(found.len(), 3);
            assert!(found.values().all(|one| one.expose() == password));
            let by_sentinels = filled("redis+sentinel://cafe:{kv.password}@s1:26379,[::1]:26380/mymaster/0");
            assert_eq!(in_url(&by_sentinels, true).as_deref(), Some(password));
        }
    }

    #[test]
    fn a_missing_password_is_named_and_an_unusable_value_has_none() {
        assert_eq!(fill("a{kv.password}", &Passwords::new()).unwrap_err(), ServiceId::Valkey);
        let odd =
            values(&[("DATABASE_URL", "host=x password=y"), ("VALKEY_URL", "redis://h:1/0"), ("KAFKA_PASSWORD", "")]);
        assert!(all_published(&odd).is_empty());
        // What signs in with a password alone is no login of the app's own, so that its password is never taken for one.
        assert!(all_published(&values(&[("VALKEY_URL", "redis://:common@h:1/0")])).is_empty());
    }

    #[test]
    fn the_common_password_is_filled_in_as_its_place_needs_it() {
        let common = Secret::new("p@ss word".to_owned());
        assert_eq!(
            fill_shared("redis://:{kv.shared_password}@h:1/3", &common).as_str(),
            "redis://:p%40ss%20word@h:1/3"
        );
        assert_eq!(fill_shared("{kv.shared_password}", &common).as_str(), "p@ss word");
    }
}
