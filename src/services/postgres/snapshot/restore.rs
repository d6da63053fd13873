//! Restores a snapshot for the app's user, in one transaction.

use super::archive::{Archive, Selection};
use super::dump;
use super::programs::{self, Program};
use super::restorer::Restorer;
use crate::error::{Diagnostic, Kind};
use crate::services::postgres::connect::{Connector, Purpose, close, values};
use crate::services::{Failure, Progress};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What to restore, where, and as whom.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub file: &'a Path,
    pub database: &'a str,
    /// The app's user: what is restored belongs to it.
    pub role: &'a str,
    /// Whether what is there is dropped first, object by object.
    pub clean: bool,
    pub selection: &'a Selection,
    /// Set as soon as it is restored; the login that it ran as is dropped after that.
    pub is_done: &'a AtomicBool,
}

/// Reads the table of contents, and then the whole file, so that a cut one is found before anything is done.
pub async fn contents(connector: &Connector, file: &Path) -> Result<Archive, Failure> {
    Ok(open(connector, file, None).await?.1)
}

/// A pg_restore that reads the file: the one that fits the server if it does, else the newest.
async fn open(connector: &Connector, file: &Path, server: Option<u32>) -> Result<(Program, Archive), Failure> {
    std::fs::File::open(file)
        .map_err(|error| Diagnostic::new(Kind::Usage, "the snapshot cannot be read").in_file(file).because(error))?;
    let mut program = programs::pg_restore(connector, server).await?;
    let mut listed = list(connector, &program, file).await;
    if listed.is_err() {
        program = programs::newest_pg_restore(connector).await?;
        listed = list(connector, &program, file).await;
    }
    let listed = listed.map_err(|failure| unreadable(failure, &program, file))?;
    let mut command = program.command();
    command.args(["--file", "/dev/null"]).arg(file);
    program.run(connector, &mut command).await.map_err(|failure| unreadable(failure, &program, file))?;
    Ok((program, Archive::parse(&listed)))
}

async fn list(connector: &Connector, program: &Program, file: &Path) -> Result<String, Failure> {
    let mut command = program.command();
    command.arg("--list").arg(file);
    let output = program.run(connector, &mut command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn unreadable(failure: Failure, program: &Program, file: &Path) -> Failure {
    let said = failure.error.message;
    let (message, hint) = if said.contains("unsupported version") {
        (
            format!("the snapshot was made by a newer pg_dump than {} can read", program.title()),
            "install a newer postgresql-client, or set bin_dir under [postgres]",
        )
    } else if said.contains("end of file") || said.contains("too short") || said.contains("valid archive") {
        ("this is no whole snapshot".to_owned(), "take one that `nornplan snapshot` or pg_dump --format=custom made")
    } else {
        ("the snapshot cannot be read".to_owned(), "take one that `nornplan snapshot` or pg_dump --format=custom made")
    };
    Diagnostic::new(Kind::Service, message).in_file(file).hint(hint).because(said).into()
}

/// Restores: how many entries.
pub async fn restore(connector: &Connector, job: &Job<'_>, progress: &Progress) -> Result<usize, Failure> {
    let mut connection = connector.administration(Purpose::Write).await?;
    let server = dump::server_version(&mut connection).await?;
    let (program, archive) = open(connector, job.file, Some(server)).await?;
    connector.keep(Purpose::Write, connection).await;
    let script = selected(connector, &program, &archive, job.file, job.selection).await?;
    let made = extensions(connector, job, &archive).await?;
    let lines = archive.list(job.selection, &made, &script);
    let failed = |error: std::io::Error| Diagnostic::new(Kind::Service, "a temporary file failed").because(error);
    let mut list = tempfile::NamedTempFile::new().map_err(failed)?;
    list.write_all(lines.join("\n").as_bytes()).map_err(failed)?;
    let mut command = program.command();
    command.args(["--no-owner", "--no-privileges", "--no-password", "--exit-on-error", "--single-transaction"]);
    command.arg("--verbose");
    if job.clean {
        command.args(["--clean", "--if-exists"]);
    }
    command.arg("--role").arg(job.role).arg("--dbname").arg(conninfo(job.database));
    command.arg("--use-list").arg(list.path()).arg(job.file);
    programs::sign_in(connector, &mut command, job.database).await?;
    let mut restorer = Restorer::make(connector, job.role).await?;
    command.env("PGUSER", &restorer.name).env("PGPASSWORD", restorer.password.expose());
    progress.begin(lines.len());
    let heard = |line: &str| says_what_it_does(line, progress);
    let done = tokio::select! {
        done = program.run_heard(connector, &mut command, heard) => done,
        never = restorer.stay() => match never {},
    };
    let done = done.map_err(|failure| undone(failure, &program, job, server));
    job.is_done.store(done.is_ok(), Ordering::Relaxed);
    let ended = restorer.end(connector).await;
    done?;
    ended?;
    Ok(lines.len())
}

/// Whether `pg_restore --verbose` says in a line what it is doing; it begins with each entry so, from 15 to 18.
fn says_what_it_does(line: &str, progress: &Progress) -> bool {
    const ENTRIES: [&str; 3] = ["creating ", "processing ", "executing "];
    const OTHERS: [&str; 6] =
        ["connecting to ", "dropping ", "restoring ", "restored ", "implied ", "executing SELECT pg_catalog."];
    let Some(said) = line.strip_prefix("pg_restore: ") else { return false };
    let is_any = |of: &[&str]| of.iter().any(|start| said.starts_with(start));
    if is_any(&OTHERS) {
        return true;
    }
    if is_any(&ENTRIES) {
        progress.advance();
        return true;
    }
    false
}

/// As libpq reads it; a bare name with a = in it would be taken for more than a name.
fn conninfo(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Finds out whether a file has all that is selected.
pub async fn selects(connector: &Connector, file: &Path, selection: &Selection) -> Result<(), Failure> {
    let (program, archive) = open(connector, file, None).await?;
    selected(connector, &program, &archive, file, selection).await.map(drop)
}

/// The script of a snapshot, where tables must be looked up in it. What is selected must be there.
async fn selected(
    connector: &Connector,
    program: &Program,
    archive: &Archive,
    file: &Path,
    selection: &Selection,
) -> Result<String, Failure> {
    let script = if selection.tables.is_empty() { String::new() } else { script(connector, program, file).await? };
    let missing = selection.missing(archive, &script);
    if missing.is_empty() {
        return Ok(script);
    }
    let message = format!("the snapshot does not have {}", missing.join(", "));
    let error = Diagnostic::new(Kind::Usage, message).in_file(file);
    Err(error.hint("`nornplan restore APP FILE --list` shows what it has").into())
}

async fn script(connector: &Connector, program: &Program, file: &Path) -> Result<String, Failure> {
    let mut command = program.command();
    command.args(["--schema-only", "--file", "-"]).arg(file);
    let output = program.run(connector, &mut command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The extensions that are there. One that is not must be one that the app's user may make.
async fn extensions(connector: &Connector, job: &Job<'_>, archive: &Archive) -> Result<BTreeSet<String>, Failure> {
    let mut connection = connector.admin(job.database, Purpose::Observe).await?;
    let there = "SELECT extname::text FROM pg_catalog.pg_extension";
    let there: Vec<String> = values(&mut connection, job.database, there, &[]).await?;
    let trusted = "SELECT DISTINCT name::text FROM pg_catalog.pg_available_extension_versions WHERE trusted";
    let trusted: Vec<String> = values(&mut connection, job.database, trusted, &[]).await?;
    close(connection).await;
    let known = |name: &str| there.iter().chain(&trusted).any(|known| known == name);
    let lacking: Vec<&str> = archive.extensions().filter(|name| !known(name)).collect();
    if job.selection.is_everything() && !lacking.is_empty() {
        let message = format!("the snapshot needs extensions that the database does not have: {}", lacking.join(", "));
        let error = Diagnostic::new(Kind::Service, message).on("postgres", job.database, "");
        return Err(error.hint("declare them with extensions = [..] in the infraspec, and apply it first").into());
    }
    Ok(there.into_iter().collect())
}

fn undone(mut failure: Failure, program: &Program, job: &Job<'_>, server: u32) -> Failure {
    let error = &mut failure.error;
    let hint = if error.message.contains("no pg_hba.conf entry") || error.message.contains("authentication failed") {
        "a role nornplan_restore_* must be let in from here with a password: see pg_hba.conf".to_owned()
    } else if error.message.contains("unrecognized configuration parameter") {
        format!(
            "{} is newer than the server ({}): set bin_dir to programs of its version",
            program.title(),
            server / 10_000
        )
    } else if error.message.contains("already exists") {
        "it is there already: restore into an empty database, or all of it".to_owned()
    } else if error.message.contains("must be owner") || error.message.contains("permission denied") {
        format!("{} may not do that: give it what is there, or restore into an empty database", job.role)
    } else {
        "put right what it says, and run it again".to_owned()
    };
    let message = format!("the restore failed and changed nothing: {}", error.message);
    let source = error.source.take();
    failure.error = Diagnostic::new(Kind::Service, message)
        .on("postgres", job.database, format!("pg_restore --single-transaction --role {}", job.role))
        .hint(hint);
    failure.error.source = source;
    failure
}
