//! pg_dump and pg_restore: which ones, how old, and how they are run without a secret in their arguments.

use crate::error::{Diagnostic, Kind};
use crate::services::Failure;
use crate::services::postgres::connect::Connector;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Where Debian's packages put the programs of each version.
const PACKAGES: &str = "/usr/lib/postgresql";

/// So much of what a program complains of is kept, in bytes.
const MOST_SAID: usize = 64 * 1024;

/// Major and minor, such as 18.6.
type Version = (u32, u32);

/// A program that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    pub version: Version,
    path: PathBuf,
    pub name: &'static str,
}

impl Program {
    /// The command, with no variables of libpq from around us: they could lead it elsewhere.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            // The password file is where passwords are looked up that nobody told us.
            if name.as_encoded_bytes().starts_with(b"PG") && name != "PGPASSFILE" {
                command.env_remove(name);
            }
        }
        // Ctrl-C at a terminal goes to all of a process group: this process says when the program ends.
        command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        command
    }

    /// Such as `pg_dump 18.6`.
    pub fn title(&self) -> String {
        format!("{} {}.{}", self.name, self.version.0, self.version.1)
    }

    /// Runs a command of this program.
    ///
    /// # Errors
    /// It does not start, or fails: with its first line of complaint.
    pub async fn run(&self, connector: &Connector, command: &mut Command) -> Result<Output, Failure> {
        (connector.tell)(&words(command));
        let output = command.output().await.map_err(|error| {
            Diagnostic::new(Kind::Service, format!("{} cannot be run", self.name)).in_file(&self.path).because(error)
        })?;
        if output.status.success() {
            return Ok(output);
        }
        Err(self.complaint(&String::from_utf8_lossy(&output.stderr), output.status).into())
    }

    /// Runs a command that tells what it is doing, line by line: `heard` takes the lines that are no complaints, and says
    /// so. They are kept nowhere.
    ///
    /// # Errors
    /// As those of [`Self::run`].
    pub async fn run_heard(
        &self,
        connector: &Connector,
        command: &mut Command,
        heard: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        (connector.tell)(&words(command));
        let failed = |error: std::io::Error| {
            Diagnostic::new(Kind::Service, format!("{} cannot be run", self.name)).in_file(&self.path).because(error)
        };
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let mut said = String::new();
        if let Some(pipe) = child.stderr.take() {
            let mut lines = BufReader::new(pipe).split(b'\n');
            while let Some(line) = lines.next_segment().await.map_err(failed)? {
                let line = String::from_utf8_lossy(&line);
                if !heard(&line) && said.len() < MOST_SAID {
                    said.push_str(&line);
                    said.push('\n');
                }
            }
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() { Ok(()) } else { Err(self.complaint(&said, status).into()) }
    }

    fn complaint(&self, said: &str, status: ExitStatus) -> Diagnostic {
        let lines: Vec<&str> =
            said.lines().filter(|line| !line.is_empty()).take_while(|line| !shows_data(line)).collect();
        let prefix = format!("{}: error: ", self.name);
        let complaint = lines.iter().find_map(|line| line.strip_prefix(&prefix)).or(lines.first().copied());
        let message = complaint.map_or_else(|| format!("{} ended with {status}", self.name), str::to_owned);
        let mut error = Diagnostic::new(Kind::Service, message);
        if lines.len() > 1 {
            error = error.because(lines.iter().take(6).copied().collect::<Vec<_>>().join("\n"));
        }
        error
    }
}

/// Where a complaint begins to quote rows.
fn shows_data(line: &str) -> bool {
    let line = line.trim_start();
    ["DETAIL:  Key (", "DETAIL:  Failing row ", "CONTEXT:  COPY ", "Command was: INSERT ", "Command was: COPY "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// A command as one would type it. Passwords are in its environment, never here.
fn words(command: &Command) -> String {
    let command = command.as_std();
    let each = std::iter::once(command.get_program()).chain(command.get_args());
    each.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Tells a command where the server is and who signs in, by its environment.
pub async fn sign_in(connector: &Connector, command: &mut Command, database: &str) -> Result<(), Failure> {
    let (host, port) = connector.current_host()?;
    let config = &connector.config;
    command.env("PGHOST", host).env("PGPORT", port.to_string()).env("PGUSER", &config.user).env("PGDATABASE", database);
    command.env("PGSSLMODE", &config.sslmode).env("PGAPPNAME", "nornplan").env("PGCONNECT_TIMEOUT", "10");
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
    Ok(())
}

/// A pg_dump that can dump what runs on the server.
///
/// # Errors
/// There is none, or only older ones: pg_dump refuses a server with a newer major version than its own.
pub async fn pg_dump(connector: &Connector, server: u32) -> Result<Program, Diagnostic> {
    let newest = all(connector, "pg_dump").await.into_iter().max();
    let newest = newest.ok_or_else(|| missing(connector, "pg_dump", server / 10_000))?;
    if newest.version.0 < server / 10_000 {
        let message = format!("{} is older than the server ({}.{})", newest.title(), server / 10_000, server % 10_000);
        return Err(Diagnostic::new(Kind::Service, message).hint(install(server / 10_000)));
    }
    Ok(newest)
}

/// The pg_restore that fits a server best: of its own major version, else the newest. Without a server, the newest.
///
/// # Errors
/// There is none.
pub async fn pg_restore(connector: &Connector, server: Option<u32>) -> Result<Program, Diagnostic> {
    let all = all(connector, "pg_restore").await;
    let major = server.map(|number| number / 10_000);
    let same = all.iter().filter(|program| Some(program.version.0) == major).max().cloned();
    let found = same.or_else(|| all.into_iter().max());
    found.ok_or_else(|| missing(connector, "pg_restore", major.unwrap_or(18)))
}

/// The newest pg_restore, which reads every archive that any of them reads.
///
/// # Errors
/// There is none.
pub async fn newest_pg_restore(connector: &Connector) -> Result<Program, Diagnostic> {
    pg_restore(connector, None).await
}

fn missing(connector: &Connector, name: &str, major: u32) -> Diagnostic {
    match &connector.config.bin_dir {
        Some(directory) => Diagnostic::new(Kind::Config, format!("there is no {name} that runs in bin_dir"))
            .in_file(directory)
            .hint("set bin_dir under [postgres] to the directory of PostgreSQL's programs, or leave it out"),
        None => Diagnostic::new(Kind::Service, format!("no {name} is found")).hint(install(major)),
    }
}

fn install(major: u32) -> String {
    format!("install postgresql-client-{major}, or set bin_dir under [postgres]")
}

/// Every one that runs: in `bin_dir` and nowhere else if that is set; else of Debian's packages and in PATH.
async fn all(connector: &Connector, name: &'static str) -> Vec<Program> {
    let candidates = match &connector.config.bin_dir {
        Some(directory) => vec![directory.join(name)],
        None => {
            let packages = std::fs::read_dir(PACKAGES).into_iter().flatten().flatten();
            let installed = packages.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.is_file());
            installed.chain([PathBuf::from(name)]).collect()
        }
    };
    let mut found = Vec::new();
    for path in candidates {
        if let Some(version) = version(&path).await {
            found.push(Program { version, path, name });
        }
    }
    found
}

/// As `pg_dump (PostgreSQL) 18.6 (..)` says it; of a beta, 19beta1, the number before the letters.
async fn version(program: &Path) -> Option<Version> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().await.ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let number = said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or_default());
    Some((parts.next().filter(|major| *major > 0)?, parts.next().unwrap_or_default()))
}
