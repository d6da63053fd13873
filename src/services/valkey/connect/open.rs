//! Opens one connection, and says what is wrong where it cannot.

use super::probe;
use crate::config::{PasswordSource, Tls};
use crate::core::secret::Secret;
use crate::error::{Diagnostic, Kind, Result};
use crate::services::tls;
use crate::services::valkey::errors::{explain, explain_without_password};
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Config, Server as Host, ServerConfig, TlsConnector};
use fred::types::{Builder, ConnectHandle};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
/// A connection that takes longer may be one that nobody understands.
const SOON: Duration = Duration::from_secs(1);
/// The first `ACL LIST` of 10,000 users takes Redis 7.0 more than six seconds.
const COMMAND: Duration = Duration::from_secs(30);

/// Who signs in, and over what.
pub struct Door<'a> {
    pub user: &'a str,
    pub password: &'a PasswordSource,
    /// `None` is no TLS.
    pub tls: Option<&'a Tls>,
}

/// `host:port`, or the path of a socket.
pub fn name_of(host: &str, port: u16) -> String {
    if host.starts_with('/') { host.to_owned() } else { format!("{host}:{port}") }
}

/// Splits at the last colon: an IPv6 address has more of them, and may stand in brackets.
pub fn split(name: &str, default_port: u16) -> (String, u16) {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(default_port)),
        None => (name, default_port),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

/// Connects and signs in, within ten seconds whatever is at the other end.
///
/// # Errors
/// The cause, with the node and what to do next.
pub async fn open(host: &str, port: u16, door: &Door<'_>) -> Result<(Client, ConnectHandle)> {
    let server = if host.starts_with('/') {
        ServerConfig::Unix { path: host.into() }
    } else {
        ServerConfig::Centralized { server: Host::new(host, port) }
    };
    let name = name_of(host, port);
    let password = door.password.resolve().await?;
    let mut config = Config { server, fail_fast: true, ..Config::default() };
    if password.is_some() || door.user != "default" {
        config.username = Some(door.user.to_owned());
        config.password = Some(password.as_ref().map(Secret::expose).unwrap_or_default().to_owned());
    }
    if let Some(files) = door.tls {
        config.tls = Some(TlsConnector::from(tls::client(files, "valkey")?).into());
    }
    let client = Builder::from_config(config)
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT;
            connection.internal_command_timeout = CONNECT;
            connection.max_command_attempts = 1;
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND)
        .build()
        .map_err(|error| explain(&error, &name, "connect"))?;
    let explained = |error: &Error| {
        let explain = if password.is_some() { explain } else { explain_without_password };
        explain(error, &name, "connect")
    };
    let mismatch = async || {
        let (what, next) = probe::mismatch(host, port, door.tls.is_some()).await?;
        Some(Diagnostic::new(Kind::Service, what).on("valkey", &name, "connect").hint(next))
    };
    let connected = {
        let mut connecting = Box::pin(client.init());
        match tokio::time::timeout(SOON, &mut connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                // A server without TLS takes the handshake for the start of a command, and waits for its end.
                if door.tls.is_some()
                    && may_be_tls(host)
                    && let Some(mismatch) = mismatch().await
                {
                    return Err(mismatch);
                }
                connecting.await
            }
        }
    };
    match connected {
        Ok(task) => Ok((client, task)),
        Err(error) => {
            // What was said is of no use where one spoke TLS and the other did not.
            let found = if may_be_tls(host) && is_broken(&error) { mismatch().await } else { None };
            Err(found.unwrap_or_else(|| explained(&error)))
        }
    }
}

/// A socket of this machine has no TLS, and needs none.
fn may_be_tls(host: &str) -> bool {
    !host.starts_with('/')
}

/// Whether something listens there, and gives no answer that is understood.
fn is_broken(error: &Error) -> bool {
    let kinds =
        [ErrorKind::IO, ErrorKind::Canceled, ErrorKind::Protocol, ErrorKind::Parse, ErrorKind::Timeout, ErrorKind::Tls];
    kinds.contains(error.kind()) && !error.details().contains("ConnectionRefused")
}
