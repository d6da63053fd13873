//! URLs of services, spread over the keys that they stand for.

use super::keys::{self, WITH_URL};
use super::layer::{Layer, Located, Origin, Value, split};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind};
use percent_encoding::percent_decode_str;
use std::path::PathBuf;

/// The error for a password in the workspace file; `name` is what its key is called.
pub fn password_in_file(table: &str, name: &str) -> Diagnostic {
    let variable = format!("NORNPLAN_{table}_{name}").to_ascii_uppercase();
    Diagnostic::new(Kind::Config, "a password must not stand in the workspace file").hint(format!(
        "put it into the variable {variable}, or name {name}_file = \"...\" or {name}_command = [\"...\"] in \
         [{table}]; and change it, if the file was ever shared"
    ))
}

/// Replaces each `url` by what it says, and takes a port out of a single host.
pub fn spread(layer: &mut Layer, wrong: &mut Vec<Diagnostic>) {
    for table in WITH_URL.iter().copied() {
        let Some(located) = layer.values.remove(&(table, "url")) else { continue };
        let Value::Text(text) = &located.value else { continue };
        if let Err(error) = spread_one(layer, table, text, &located.origin) {
            wrong.push(error);
        }
    }
    split_port(layer, "postgres");
    split_port(layer, "state");
    split_port(layer, "valkey");
}

/// One URL of Redpanda's Admin API; else what is wrong with it (never the text: there may be a password in it) and what
/// to write.
pub fn of_admin_api(text: &str) -> Result<::url::Url, (&'static str, &'static str)> {
    const FORM: &str = "one looks like http://redpanda-0:9644, or https:// with TLS";
    let url = ::url::Url::parse(text).map_err(|_| ("admin_url: this is no URL", FORM))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(("admin_url: this is no URL of a web server", FORM));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "say who signs in by admin_user, and the password by NORNPLAN_KAFKA_ADMIN_PASSWORD, \
                    admin_password_file or admin_password_command";
        return Err(("admin_url: a user or a password must not stand in it", hint));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(("admin_url: something stands after host and port", FORM));
    }
    Ok(url)
}

/// What the parts of a URL are called in a table.
struct Parts {
    scheme: String,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<String>,
    path: String,
    parameters: Vec<(String, String)>,
}

/// Not by the `url` crate: it has no place for several hosts.
fn parse(text: &str) -> Option<Parts> {
    let (scheme, rest) = text.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (sign_in, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = sign_in.split_once(':').unwrap_or((sign_in, ""));
    let some = |text: &str| Some(decode(text)?).filter(|text| !text.is_empty());
    let parameter = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((decode(name)?, decode(value)?))
    };
    Some(Parts {
        scheme: scheme.to_ascii_lowercase(),
        user: some(user),
        password: some(password),
        hosts: split(hosts).iter().map(|host| decode(host)).collect::<Option<_>>()?,
        path: decode(path)?,
        parameters: query.split('&').filter(|pair| !pair.is_empty()).map(parameter).collect::<Option<_>>()?,
    })
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

fn spread_one(layer: &mut Layer, table: &'static str, text: &str, origin: &Origin) -> Result<(), Diagnostic> {
    let names_postgres = table == "postgres" || table == "state";
    let service = if names_postgres { "postgres" } else { table };
    let form = match service {
        "postgres" => "postgres://user@host:5432/database?sslmode=require",
        "valkey" => "redis://user@host:6379, or rediss:// with TLS",
        _ => return Err(origin.wrong("a url has no place here")),
    };
    let no_url = || origin.wrong("this is no url that is understood").hint(format!("one looks like {form}"));
    let Parts { scheme, user, mut password, mut hosts, path, parameters } = parse(text).ok_or_else(no_url)?;
    let mut said: Vec<(&'static str, Value)> = Vec::new();
    match (service, scheme.as_str()) {
        ("postgres", "postgres" | "postgresql") => {
            if !path.is_empty() {
                said.push(("database", Value::Text(path)));
            }
        }
        ("valkey", "redis" | "valkey") => said.push(("tls", Value::Flag(false))),
        ("valkey", "rediss" | "valkeys") => said.push(("tls", Value::Flag(true))),
        ("valkey", sentinels) if sentinels.contains("sentinel") => {
            let wrong = origin.wrong("sentinels are not named by a url here");
            return Err(wrong.hint(
                "write sentinels = [\"host:26379\", ...] and sentinel_service = \"...\" under [valkey] in its place, and \
                 tls = true for rediss",
            ));
        }
        ("valkey", cluster) if cluster.contains("cluster") => {
            let wrong = origin.wrong("a cluster is not named by a url here");
            return Err(wrong.hint("write host and port of one of its nodes, and cluster = true, under [valkey]"));
        }
        _ => return Err(no_url()),
    }
    for (name, value) in parameters {
        let path = || Value::Paths(vec![PathBuf::from(&value)]);
        match (service, name.as_str()) {
            ("postgres", "sslmode") => match keys::find(table, "sslmode").map(|key| key.shape) {
                Some(keys::Shape::Choice(modes)) if modes.contains(&value.as_str()) => {
                    said.push(("sslmode", Value::Text(value)));
                }
                _ => return Err(origin.wrong(format!("{value:?} is no sslmode"))),
            },
            ("postgres", "host") => hosts = split(&value),
            ("postgres", "port") => match value.parse::<u16>() {
                Ok(port) if port > 0 => said.push(("port", Value::Port(port))),
                Ok(_) | Err(_) => return Err(origin.wrong(format!("{value:?} is no port"))),
            },
            ("postgres", "user") => said.push(("user", Value::Text(value))),
            ("postgres", "dbname") => said.push(("database", Value::Text(value))),
            ("postgres", "password") => password = Some(value),
            // Of several hosts, the one that can be written is taken anyway.
            ("postgres", "target_session_attrs") => {
                let harmless = value == "any" && hosts.len() < 2;
                if !["read-write", "primary"].contains(&value.as_str()) && !harmless {
                    let wrong = format!("target_session_attrs={value}: nornplan writes, so it needs the primary");
                    return Err(origin.wrong(wrong).hint("say target_session_attrs=read-write, or leave it out"));
                }
            }
            ("postgres", "sslrootcert") => said.push(("ca_file", path())),
            ("postgres", "sslcert") => said.push(("cert_file", path())),
            ("postgres", "sslkey") => said.push(("key_file", path())),
            _ => return Err(origin.wrong(format!("{name} in the url is not understood")).hint("leave it out")),
        }
    }
    if let Some(password) = password {
        match origin {
            Origin::File(place) => return Err(password_in_file(table, "password").at(place.clone())),
            Origin::Variable(_) => drop(layer.passwords.insert(table, Secret::new(password))),
        }
    }
    said.extend(user.map(|user| ("user", Value::Text(user))));
    if table == "valkey" && hosts.len() > 1 {
        return Err(origin.wrong("several hosts").hint("name sentinels = [...], or one node and cluster = true"));
    }
    if !hosts.is_empty() {
        let default = if names_postgres { 5432 } else { 6379 };
        let port = || Located { value: Value::Port(default), origin: origin.clone() };
        if !said.iter().any(|(name, _)| *name == "port") {
            layer.values.entry((table, "port")).or_insert_with(port);
        }
        let host = hosts.first().cloned().unwrap_or_default();
        said.push(("host", if names_postgres { Value::List(hosts) } else { Value::Text(host) }));
    }
    for (name, value) in said {
        if layer.values.contains_key(&(table, name)) && name != "tls" {
            return Err(origin.wrong(format!("both url and {name} are given")).hint("keep one of them"));
        }
        layer.values.insert((table, name), Located { value, origin: origin.clone() });
    }
    Ok(())
}

/// Takes the port out of a single `host:port`, so that a port in a later layer can replace it.
fn split_port(layer: &mut Layer, table: &'static str) {
    let Some(located) = layer.values.get(&(table, "host")) else { return };
    let only = match &located.value {
        Value::List(hosts) if hosts.len() == 1 => hosts.first().cloned(),
        Value::Text(host) => Some(host.clone()),
        Value::List(_) | Value::Port(_) | Value::Flag(_) | Value::Paths(_) => None,
    };
    let Some((host, Some(port))) = only.and_then(|only| host_and_port(&only)) else { return };
    let value = if table == "valkey" { Value::Text(host) } else { Value::List(vec![host]) };
    let origin = located.origin.clone();
    layer.values.insert((table, "host"), Located { value, origin: origin.clone() });
    layer.values.insert((table, "port"), Located { value: Value::Port(port), origin });
}

/// `host`, `host:port`, `[::1]:port`, `::1`, `/run/postgresql`. `None` for a port that is none.
pub fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if text.contains("://") {
        return None;
    }
    if text.starts_with('/') {
        // The port of a socket is a part of its file's name.
        let port = |digits: &str| digits.parse().ok().filter(|port: &u16| *port > 0);
        let parts = text.rsplit_once(':').and_then(|(path, digits)| Some((path, port(digits)?)));
        return Some(parts.map_or((text.to_owned(), None), |(path, port)| (path.to_owned(), Some(port))));
    }
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(port) => Some((host.to_owned(), Some(port.parse().ok().filter(|port| *port > 0)?))),
            None => rest.is_empty().then(|| (host.to_owned(), None)),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text.to_owned(), None)),
        Some((host, port)) if !host.is_empty() => {
            Some((host.to_owned(), Some(port.parse().ok().filter(|port| *port > 0)?)))
        }
        Some(_) => None,
        None => (!text.is_empty()).then(|| (text.to_owned(), None)),
    }
}
