//! Dropping a database: not under anybody's feet, and not before it is dumped.

use super::connect::{Connector, run, value, values};
use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use postgres_protocol::escape::escape_identifier;
use sqlx::PgConnection;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Dumps a database, then drops it.
pub async fn database(connector: &Connector, connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    refuse_sessions(connection, name).await?;
    if !is_left_behind(connection, name).await? {
        dump(connector, name).await?;
    }
    run(connection, name, &format!("DROP DATABASE {}", escape_identifier(name))).await
}

async fn refuse_sessions(connection: &mut PgConnection, name: &str) -> Result<(), Failure> {
    let statement = "SELECT coalesce(usename, '?')::text FROM pg_catalog.pg_stat_activity \
                     WHERE datname = $1 AND backend_type IS DISTINCT FROM 'autovacuum worker' \
                     AND NOT (usename = current_user AND application_name = 'nornplan') ORDER BY 1";
    let users: Vec<String> = values(connection, name, statement, &[name]).await?;
    if users.is_empty() {
        return Ok(());
    }
    let sessions = if users.len() == 1 { "session is" } else { "sessions are" };
    Err(Diagnostic::new(Kind::Service, format!("{} {sessions} connected ({})", users.len(), users.join(", ")))
        .on("postgres", name, format!("DROP DATABASE {}", escape_identifier(name)))
        .hint("stop the app first, then run it again; nothing was dropped")
        .into())
}

/// Whether a cancelled DROP left it behind: then only DROP works.
async fn is_left_behind(connection: &mut PgConnection, name: &str) -> Result<bool, Failure> {
    let statement = "SELECT datconnlimit = -2 FROM pg_catalog.pg_database WHERE datname = $1";
    value(connection, name, statement, &[name]).await
}

/// Writes `<database>_manual_<YYYYMMDDTHHMMSS>.dump`, which only we can read.
async fn dump(connector: &Connector, name: &str) -> Result<PathBuf, Failure> {
    let directory = &connector.config.snapshots;
    let now = time::OffsetDateTime::now_utc();
    let (month, day) = (u8::from(now.month()), now.day());
    let (hour, minute, second) = now.to_hms();
    let stamp = format!("{:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}", now.year());
    let file = directory.join(format!("{}_manual_{stamp}.dump", name.replace('/', "_")));
    make_file(directory, &file).map_err(|error| {
        Diagnostic::new(Kind::Service, "the snapshot cannot be written; nothing was dropped")
            .in_file(&file)
            .hint("make the directory writable, or free some space")
            .because(error)
    })?;
    let written = pg_dump(connector, name, &file).await;
    if written.is_err() {
        drop(std::fs::remove_file(&file));
    }
    written.map(|()| file)
}

fn make_file(directory: &Path, file: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map(drop)
}

async fn pg_dump(connector: &Connector, name: &str, file: &Path) -> Result<(), Failure> {
    let (host, port) = connector.current_host()?;
    let config = &connector.config;
    let mut command = Command::new(program().await);
    command.arg("--format=custom").arg("--no-password").arg("--file").arg(file).kill_on_drop(true);
    command.env("PGHOST", host).env("PGPORT", port.to_string()).env("PGUSER", &config.user).env("PGDATABASE", name);
    command.env("PGSSLMODE", &config.sslmode).env("PGAPPNAME", "nornplan").env("LC_MESSAGES", "C");
    if let Some(password) = connector.admin_password().await? {
        command.env("PGPASSWORD", password.expose());
    }
    let tls = [
        ("PGSSLROOTCERT", &config.tls.ca_file),
        ("PGSSLCERT", &config.tls.cert_file),
        ("PGSSLKEY", &config.tls.key_file),
    ];
    for (variable, file) in tls {
        if let Some(file) = file {
            command.env(variable, file);
        }
    }
    let failed = |message: String| {
        Diagnostic::new(Kind::Service, format!("the snapshot failed, so nothing was dropped: {message}"))
            .on("postgres", name, "pg_dump --format=custom")
            .hint("install a pg_dump at least as new as the server (postgresql-client)")
    };
    let output = command.output().await.map_err(|error| failed("pg_dump cannot be run".to_owned()).because(error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().next().unwrap_or("pg_dump says nothing").to_owned()).into())
}

/// The newest pg_dump, of those that Debian's packages installed and the one in PATH.
async fn program() -> PathBuf {
    let packages = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = packages.map(|entry| entry.path().join("bin/pg_dump")).filter(|path| path.is_file());
    let in_path = PathBuf::from("pg_dump");
    let mut newest = (version(&in_path).await, in_path);
    for path in installed {
        newest = newest.max((version(&path).await, path));
    }
    newest.1
}

/// Major and minor version, as `pg_dump (PostgreSQL) 18.6 (..)` says it.
async fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").stdin(std::process::Stdio::null()).output().await.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut numbers = said.split_whitespace().nth(2)?.split('.').map(|part| part.parse().unwrap_or_default());
    Some((numbers.next()?, numbers.next().unwrap_or_default()))
}
