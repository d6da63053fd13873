//! `nornplan restore`

use super::apply::lock;
use super::signals::{GRACE, Interrupts};
use super::snapshot::{about, shown, teller};
use super::workspace;
use super::{Errors, Global, Outcome, output};
use crate::config::Config;
use crate::core::consent::{Allowance, Consent};
use crate::core::name::AppName;
use crate::core::suggest::closest;
use crate::error::{Diagnostic, Exit, Kind, Place};
use crate::render::working::{self, Working};
use crate::render::{clean, count};
use crate::scope::Scope;
use crate::services::Progress;
use crate::services::postgres::Postgres;
use crate::services::postgres::model::database_address;
use crate::services::postgres::snapshot::{Archive, Job, Move, PRE_RESTORE, Selection, Target, whose};
use crate::spec::model::{self, Specs};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Restore a snapshot into an app's database, all of it or nothing
///
/// What is restored belongs to the app's user. A database that is not empty needs --allow-destroy, and is dumped first
/// under a name with pre-restore; then each object of the snapshot is dropped and made again, and what the snapshot
/// does not have stays. Where the infraspec says prevent_destroy, only an empty database is restored into.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan restore cafe-backend cafe_backend_manual_20261121T120000.dump --list
  nornplan restore cafe-backend cafe_backend_manual_20261121T120000.dump
  nornplan restore cafe-backend FILE --table orders --allow-destroy postgres.database.cafe_backend

Exit: 0 done, 1 nothing was changed, 130 or 143 interrupted")]
pub struct Args {
    /// The app
    #[arg(value_name = "APP")]
    app: AppName,
    /// A snapshot: a path, or the name of a file in the directory of snapshots
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Into this database of the app; without it, into that from which the snapshot is
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Only show what the snapshot holds; no service is asked
    #[arg(long)]
    list: bool,
    /// Only this table, with its data, indexes and constraints: NAME or SCHEMA.NAME (may be given several times)
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Only what lies in this schema (may be given several times)
    #[arg(long = "schema", value_name = "SCHEMA")]
    schemas: Vec<String>,
    /// Restore without asking
    #[arg(long)]
    auto_approve: bool,
    /// Let what is in the database be replaced: its address, a glob, or all
    #[arg(long, value_name = "WHAT", value_parser = Allowance::parse)]
    allow_destroy: Vec<Allowance>,
    /// How long to wait for another run that holds the lock (60s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration)]
    lock_timeout: Option<Duration>,
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let config = workspace::config(global)?;
    let scope = Scope { apps: [args.app.clone()].into(), ..Scope::default() };
    let specs = workspace::specs_in(global, &config, &scope).await?;
    let (app, prevented) = declared(&specs, &args.app)?;
    let file = find(&config, &args.file)?;
    let postgres = Postgres::telling(&config.postgres, teller(global));
    let archive = postgres.contents(&file).await?;
    if args.list {
        output::result(&listing(&archive));
        return Ok(Exit::Done);
    }
    if !args.auto_approve && !output::can_ask() {
        let error = Diagnostic::new(Kind::Usage, "there is no terminal to ask for approval on");
        return Err(error.hint("look at it with --list, then run this with --auto-approve").into());
    }
    let database = into(args, app, &archive, &file)?;
    let selection = Selection { tables: args.tables.clone(), schemas: args.schemas.clone() };
    if !selection.is_everything() {
        postgres.selects(&file, &selection).await?;
    }
    let interrupts = Interrupts::listen(GRACE)?;
    let interrupted = |said: &str| {
        output::message(said);
        Ok(Exit::Interrupted(interrupts.number()))
    };
    // An apply must not change what is being restored.
    let Some(_lock) = lock(&config, args.lock_timeout, &interrupts).await? else {
        return interrupted("Interrupted; nothing was restored.");
    };
    let (is_begun, is_done) = (AtomicBool::new(false), AtomicBool::new(false));
    let restored = async {
        let target = postgres.restore_target(database, &app.user).await?;
        let clean = target.objects > 0;
        let job = Job { file: &file, database, role: &app.user, clean, selection: &selection, is_done: &is_done };
        if job.clean {
            consented(args, database, &target, prevented)?;
            replaceable(app, database, &target.beyond(&archive, &selection))?;
        }
        if !args.auto_approve {
            let loss = target.loss(&archive, &selection);
            let place = format!("{database} on {} in environment {:?}", config.postgres.endpoint(), config.environment);
            let question = question(loss, job.clean, &place, &snapshot_taken(&file, &archive));
            if !tokio::task::spawn_blocking(move || output::ask(&question)).await.unwrap_or(false) {
                output::message("Nothing was restored.");
                return Ok::<Exit, Errors>(Exit::Failed);
            }
        }
        let working = Working::new(std::io::stderr().is_terminal());
        if job.clean {
            let before =
                shown(&postgres, &working, database, PRE_RESTORE).await.map_err(|error| about(error, database))?;
            output::message(&format!("{database}: as it was is in {}", before.file.display()));
        }
        let progress = Progress::default();
        let text = |done, all| working::restoring(database, done, all);
        is_begun.store(true, Ordering::Relaxed);
        let entries = working.shown(&progress, text, postgres.restore(&job, &progress)).await?;
        output::result(&format!("Restored {} into {database}.", count(entries, "entry", "entries")));
        if let Some(migrator) = &app.migrator {
            let again = format!("give {migrator} what it shall change again, by ALTER .. OWNER TO");
            output::message(&format!("What was restored belongs to {}: {again}.", app.user));
        }
        if others_use_it(app) {
            output::message("The next `nornplan apply` gives readers and writers what they lack now.");
        }
        Ok(Exit::Done)
    };
    let Some(restored) = interrupts.unless_heard(restored).await else {
        if !is_begun.load(Ordering::Relaxed) {
            return interrupted("Interrupted; nothing was restored.");
        }
        let left = "The next `nornplan apply` removes the role that it ran as.";
        let is_gone = tokio::select! {
            ended = postgres.restore_broken_off(&app.user) => ended?,
            () = interrupts.abort.cancelled() => false,
        };
        let became = match (is_done.load(Ordering::Relaxed), is_gone) {
            (true, true) => "Interrupted after the database was restored.".to_owned(),
            (true, false) => format!("Interrupted after the database was restored. {left}"),
            (false, true) => "Interrupted: the restore was broken off, and the database is as it was.".to_owned(),
            (false, false) => format!(
                "Interrupted: whether the restore goes on is not known; the database is as it was, or restored. {left}"
            ),
        };
        return interrupted(&became);
    };
    restored
}

/// What the app declares on PostgreSQL, and where it says `prevent_destroy`.
fn declared<'a>(specs: &'a Specs, app: &AppName) -> Result<(&'a model::Postgres, Option<&'a Place>), Errors> {
    let Some(found) = specs.apps.get(app) else {
        let error = Diagnostic::new(Kind::Usage, format!("there is no app {app}: no infraspec declares it"));
        return Err(match closest(app.as_str(), specs.apps.keys().map(AppName::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("`nornplan validate` lists the apps"),
        }
        .into());
    };
    let Some(postgres) = &found.postgres else {
        let error = Diagnostic::new(Kind::Usage, format!("{app} has no database"));
        return Err(error.at(found.place.clone()).hint("[services.postgres] in its infraspec declares one").into());
    };
    Ok((postgres, found.prevent_destroy.as_ref()))
}

/// What it is asked whether to do, on which server, and what is lost.
fn question(loss: Option<String>, has_something: bool, place: &str, snapshot: &str) -> String {
    match (loss, has_something) {
        (Some(loss), _) => format!("Replace {loss} of {place} with {snapshot}?"),
        (None, true) => format!("Restore {snapshot} into {place}, beside what is there?"),
        (None, false) => format!("Restore {snapshot} into the empty {place}?"),
    }
}

/// `shop_manual_20261121T183910.dump (taken 2026-11-21 18:39:10 UTC)`
fn snapshot_taken(file: &Path, archive: &Archive) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let made = archive.made.as_deref().unwrap_or("at an unknown time");
    clean(&format!("{name} (taken {made})"))
}

/// What belongs to others is found before anything is dumped or dropped.
fn replaceable(app: &model::Postgres, database: &str, others: &[&Move]) -> Result<(), Errors> {
    const NAMED: usize = 3;
    if others.is_empty() {
        return Ok(());
    }
    let they = if others.len() == 1 { "it" } else { "they" };
    let message = format!("{}, so {they} cannot be replaced", whose(others));
    let mut statements: Vec<String> = others.iter().take(NAMED).map(|one| one.statement.clone()).collect();
    if others.len() > NAMED {
        statements.push("and so on".to_owned());
    }
    let give = format!("in {database}: {}", statements.join("; "));
    let migrator = app.migrator.as_ref().filter(|role| others.iter().any(|one| one.owner == **role));
    let hint = match migrator {
        // It may do more than the app, and a snapshot runs functions of the app.
        Some(role) => format!(
            "what is restored belongs to {user}: {give}; when it is restored, give {role} what it shall change again",
            user = app.user
        ),
        None => format!("set adopt_objects = true and apply, or {give}"),
    };
    Err(Diagnostic::new(Kind::Service, message).on("postgres", database, "").hint(hint).into())
}

/// Whether anybody but the app's user may do something in its databases. What is restored comes without privileges.
fn others_use_it(app: &model::Postgres) -> bool {
    !app.readers.is_empty() || !app.writers.is_empty() || !app.grants.is_empty() || app.migrator.is_some()
}

/// The file as it is named, else in the directory of snapshots.
fn find(config: &Config, named: &PathBuf) -> Result<PathBuf, Errors> {
    let directory = &config.postgres.snapshots;
    if named.is_file() {
        return Ok(named.clone());
    }
    let inside = directory.join(named);
    if named.components().count() == 1 && inside.is_file() {
        return Ok(inside);
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let error = Diagnostic::new(Kind::Usage, "there is no such snapshot, neither here nor among the snapshots");
    let near = named.to_str().and_then(|name| closest(name, names.iter().map(String::as_str)));
    Err(match near {
        Some(near) => error.in_file(named).hint(format!("did you mean {near}?")),
        None => error.in_file(named).hint(format!("snapshots are in {}", directory.display())),
    }
    .into())
}

/// The database to restore into.
fn into<'a>(args: &'a Args, app: &'a model::Postgres, archive: &Archive, file: &Path) -> Result<&'a str, Errors> {
    let names: Vec<&str> = app.databases.iter().map(|database| database.name.as_str()).collect();
    let Some(asked) = &args.database else {
        let from = archive.database.as_deref().unwrap_or("an unknown database");
        return names.iter().copied().find(|name| *name == from).ok_or_else(|| {
            let message = format!("the snapshot is of {from}, which is no database of {}", args.app);
            let error = Diagnostic::new(Kind::Usage, message).in_file(file);
            error.hint(format!("--database {} restores it there all the same", names.join(" or "))).into()
        });
    };
    names.iter().copied().find(|name| name == asked).ok_or_else(|| {
        let error = Diagnostic::new(Kind::Usage, format!("{asked} is no database of {}", args.app));
        error.hint(format!("it declares {}", names.join(", "))).into()
    })
}

/// A database with something in it is replaced with consent alone, and while nobody uses it.
fn consented(args: &Args, database: &str, target: &Target, prevented: Option<&Place>) -> Result<(), Errors> {
    let there = i64::max(target.objects, 0).try_into().unwrap_or(usize::MAX);
    let holds = format!("it holds {}", count(there, "table, view or sequence", "tables, views and sequences"));
    if let Some(place) = prevented {
        let message = format!("what is in {database} is not replaced while this stands here: {holds}");
        let hint = "take it out of the infraspec for as long as you restore; no flag does instead";
        return Err(Diagnostic::new(Kind::Usage, message).at(place.clone()).hint(hint).into());
    }
    let address = database_address(database);
    let consent = Consent { destroy: args.allow_destroy.clone(), interrupt: Vec::new() };
    if !consent.may_destroy(&address) {
        let error = Diagnostic::new(Kind::Usage, format!("it is not empty: {holds}"));
        let error = error.on("postgres", database, "");
        return Err(error.hint(format!("--allow-destroy {address} replaces them, after a snapshot")).into());
    }
    if target.sessions.is_empty() {
        return Ok(());
    }
    let busy = format!(
        "it is in use: {} ({})",
        count(target.sessions.len(), "session", "sessions"),
        target.sessions.join(", ")
    );
    Err(Diagnostic::new(Kind::Service, busy).on("postgres", database, "").hint("stop the app first").into())
}

/// The table of contents in lines of type, schema and name.
fn listing(archive: &Archive) -> String {
    let unknown = || "unknown".to_owned();
    let mut lines = vec![
        format!("Snapshot of {}", archive.database.clone().unwrap_or_else(unknown)),
        format!("  made        {}", archive.made.clone().unwrap_or_else(unknown)),
        format!("  PostgreSQL  {}", archive.server.clone().unwrap_or_else(unknown)),
        String::new(),
    ];
    let kinds = archive.entries.iter().map(|entry| entry.kind.len());
    let width = kinds.max().unwrap_or_default();
    for entry in &archive.entries {
        let name = entry.plain_name();
        let kind = entry.kind.to_ascii_lowercase();
        lines.push(match &entry.schema {
            Some(schema) => format!("  {kind:width$}  {schema}.{name}"),
            None => format!("  {kind:width$}  {name}"),
        });
    }
    lines.iter().map(|line| crate::render::clean(line)).collect::<Vec<_>>().join("\n")
}
