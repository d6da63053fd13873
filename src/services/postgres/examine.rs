//! Looks the server over, for `nornplan doctor`.

use super::catalog::parse;
use super::connect::{Connector, Purpose, stating};
use super::credential::{accepts_anything, server_log};
use super::reach;
use super::snapshot::{find_leftovers, programs};
use crate::config::PostgresConfig;
use crate::services::{Ask, Check, Failure};
use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;
use std::net::IpAddr;
use std::time::Duration;

/// Looking into every database takes long where there are many; the rest is told all the same.
const LOOK_AT_MOST: Duration = Duration::from_secs(10);

const STATEMENT: &str = "\
SELECT jsonb_build_object(
  'version', current_setting('server_version'), 'version_number', current_setting('server_version_num')::int,
  'encryption', current_setting('password_encryption'), 'user', current_user,
  'superuser', r.rolsuper, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb,
  'max_connections', current_setting('max_connections')::int,
  'limits', (SELECT coalesce(sum(rolconnlimit), 0) FROM pg_catalog.pg_roles WHERE rolcanlogin AND rolconnlimit > 0),
  'unlimited', (SELECT count(*) FROM pg_catalog.pg_roles WHERE rolcanlogin AND NOT rolsuper AND rolconnlimit < 0),
  'open', (SELECT coalesce(jsonb_agg(d.datname ORDER BY d.datname), '[]') FROM pg_catalog.pg_database d,
      aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
    WHERE d.datname IN ('postgres', 'template1') AND a.grantee = 0 AND a.privilege_type = 'CONNECT')
)::text FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

#[derive(Deserialize)]
struct Facts {
    version: String,
    version_number: u32,
    encryption: String,
    user: String,
    superuser: bool,
    createrole: bool,
    createdb: bool,
    max_connections: i64,
    limits: i64,
    /// Roles that can sign in, are no superusers, and have no limit.
    unlimited: usize,
    open: Vec<String>,
}

/// Everything worth knowing; one bad line if it cannot be reached.
pub async fn examine(connector: &Connector, ask: &Ask) -> Vec<Check> {
    match look(connector, ask).await {
        Ok(checks) => checks,
        Err(failure) => vec![Check::failed(&failure.into())],
    }
}

async fn look(connector: &Connector, ask: &Ask) -> Result<Vec<Check>, Failure> {
    let mut connection = connector.admin(&connector.config.database, Purpose::Observe).await?;
    let text: String = sqlx::query_scalar(STATEMENT)
        .persistent(false)
        .fetch_one(&mut connection)
        .await
        .map_err(|error| stating(error, "server", "SELECT current_setting(..)"))?;
    let facts: Facts = parse(&text)?;
    let left = find_leftovers(&mut connection).await?;
    let log = match server_log::listen(&mut connection).await?.warning() {
        Some((what, fix)) => Check::warning(what, fix),
        None => Check::good("the server's log shows no verifiers of new passwords"),
    };
    let reach = if facts.superuser { Vec::new() } else { how_far(connector, ask).await };
    let isolates = if accepts_anything(connector).await? {
        Check::bad(
            "accepts a wrong password (trust): nothing is isolated",
            "use scram-sha-256 in pg_hba.conf, and reload it",
        )
    } else {
        Check::good("passwords are checked")
    };
    let mut checks = vec![
        Check::good(format!("reachable at {}, PostgreSQL {}", reached(connector)?, facts.version)),
        rights(&facts),
    ];
    checks.extend(reach);
    checks.extend(unverified(&connector.config));
    checks.extend(left.iter().map(|role| {
        Check::warning(format!("a killed restore has left the role {role}"), "`nornplan apply` removes it")
    }));
    checks.extend([
        isolates,
        encryption(&facts),
        closed(&facts, connector.config.lock_down),
        log,
        limits(&facts),
        dumps(connector, &facts).await,
    ]);
    Ok(checks)
}

/// How far our rights reach. What cannot be read, or not in time, says nothing of the rest.
async fn how_far(connector: &Connector, ask: &Ask) -> Vec<Check> {
    match tokio::time::timeout(LOOK_AT_MOST, reach::examine(connector, ask)).await {
        Ok(Ok(checks)) => checks,
        Ok(Err(failure)) => vec![Check::failed(&failure.into())],
        Err(_) => {
            let what = format!("what rights are missing was not found out within {} s", LOOK_AT_MOST.as_secs());
            vec![Check::warning(what, "`nornplan plan` takes its time, and tells")]
        }
    }
}

/// Of several hosts, the one that can be written.
fn reached(connector: &Connector) -> Result<String, Failure> {
    let all = connector.config.endpoint();
    if connector.config.hosts.len() < 2 {
        return Ok(all);
    }
    let (host, port) = connector.current_host()?;
    Ok(format!("{host}:{port} (the primary of {all})"))
}

async fn dumps(connector: &Connector, facts: &Facts) -> Check {
    match programs::pg_dump(connector, facts.version_number).await {
        Ok(program) => Check::good(format!("{} dumps databases before they are dropped", program.title())),
        Err(error) => Check::warning(
            format!("databases cannot be dumped, so none is dropped: {}", error.message),
            error.hint.unwrap_or_default(),
        ),
    }
}

/// Whoever stands between us and a server that need not prove which it is may ask for our password.
fn unverified(config: &PostgresConfig) -> Option<Check> {
    let is_verified = config.sslmode.starts_with("verify-") || config.hosts.iter().all(|(host, _)| is_here(host));
    (!is_verified).then(|| {
        let what = format!(
            "sslmode = {:?} does not prove which server it is: who stands in between may ask for our password in clear",
            config.sslmode
        );
        Check::warning(what, "set sslmode = \"verify-full\", and ca_file, under [postgres]")
    })
}

/// Whether a host only leads to this machine: a loopback address, or a socket.
fn is_here(host: &str) -> bool {
    let is_loopback = |address: IpAddr| address.is_loopback();
    host.starts_with('/') || host == "localhost" || host.parse().is_ok_and(is_loopback)
}

fn rights(facts: &Facts) -> Check {
    let Facts { user, superuser, createrole, createdb, .. } = facts;
    let lacks = |what: &str, attributes: &str| {
        let hint = format!("as a superuser: ALTER ROLE {} {attributes}", escape_identifier(user));
        Check::bad(format!("{user} lacks {what}"), hint)
    };
    match (superuser, createrole, createdb) {
        (true, _, _) => Check::good(format!("signs in as {user}, a superuser")),
        (false, true, true) => Check::good(format!("signs in as {user}, which has CREATEROLE and CREATEDB")),
        (false, true, false) => lacks("CREATEDB", "CREATEDB"),
        (false, false, true) => lacks("CREATEROLE", "CREATEROLE"),
        (false, false, false) => lacks("CREATEROLE and CREATEDB", "CREATEROLE CREATEDB"),
    }
}

fn encryption(facts: &Facts) -> Check {
    if facts.encryption == "scram-sha-256" {
        Check::good("password_encryption is scram-sha-256")
    } else {
        let what = format!("password_encryption is {}", facts.encryption);
        Check::warning(what, "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; ours are SCRAM anyway")
    }
}

fn closed(facts: &Facts, lock_down: bool) -> Check {
    if facts.open.is_empty() {
        return Check::good("postgres and template1 are closed to PUBLIC");
    }
    let what = format!("every role may connect to {}", facts.open.join(" and "));
    let hint = if lock_down {
        "`nornplan apply` closes what lock_down asks for"
    } else {
        "set lock_down = true under [postgres]"
    };
    Check::warning(what, hint)
}

fn limits(facts: &Facts) -> Check {
    let Facts { limits, unlimited, max_connections, .. } = facts;
    let without = match unlimited {
        0 => String::new(),
        1 => "; 1 role that can sign in has none".to_owned(),
        unlimited => format!("; {unlimited} roles that can sign in have none"),
    };
    let sum = format!("connection limits of roles sum up to {limits} of max_connections = {max_connections}{without}");
    if limits <= max_connections {
        Check::good(sum)
    } else {
        Check::warning(sum, "lower connection_limit, or raise max_connections")
    }
}
