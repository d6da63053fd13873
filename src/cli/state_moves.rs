//! `nornplan state pull`, `push`, `migrate` and `unlock`: the state as a whole.

use super::overwrite::{self, Written};
use super::state::{WaitArgs, command_line};
use super::{Errors, Outcome, output};
use crate::config::{Config, StateBackend};
use crate::error::{Diagnostic, Exit, Kind};
use crate::render::{clean, count};
use crate::state::{self, Document, Store, durable, format, migrate as moving, push as pushing};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The document before the last write, as it is
    #[arg(long)]
    backup: bool,
}

#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// What `nornplan state pull` has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also another state's document, an older one, or in the place of one that cannot be read
    #[arg(long)]
    force: bool,
    /// Write it without asking
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    /// Where the state is
    #[arg(long, value_name = "BACKEND")]
    from: From,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum From {
    Local,
    Postgres,
}

#[derive(Debug, clap::Args)]
pub struct UnlockArgs {
    /// End it without asking
    #[arg(long)]
    auto_approve: bool,
}

pub async fn pull(config: &Config, args: &PullArgs) -> Result<(), Errors> {
    if let Some(file) = &args.out {
        overwrite::check(file, Written::State)?;
        refuse_own(config, file)?;
    }
    let text = if args.backup {
        let backend = state::backend(config);
        let no_backup = || Diagnostic::new(Kind::State, "there is no backup").on("state", backend.place(), "");
        let hint = "the second write of a state makes the first one";
        backend.backup().await?.ok_or_else(|| no_backup().hint(hint))?
    } else {
        let store = Store::open(config).await?;
        format::text(store.document())
            .map_err(|error| Diagnostic::new(Kind::State, "the state cannot be written as JSON").because(error))?
    };
    let Some(file) = &args.out else {
        output::result(&text);
        return Ok(());
    };
    durable::replace(file, text.as_bytes(), 0o666).map_err(|error| {
        let cannot = Diagnostic::new(Kind::State, "cannot write the file").in_file(file);
        cannot.hint("name another by --out, in a directory that is there").because(error)
    })?;
    output::message(&format!("Written to {}.", file.display()));
    Ok(())
}

/// The state itself is replaced by `push` alone, which compares and takes the lock.
fn refuse_own(config: &Config, file: &Path) -> Result<(), Diagnostic> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if real(directory).is_none_or(|directory| real(&config.state.path) != Some(directory)) {
        return Ok(());
    }
    Err(Diagnostic::new(Kind::Usage, "this is where states are kept: nothing is pulled to there")
        .in_file(file)
        .hint("name a file elsewhere by --out; `nornplan state push FILE` puts a document in the place of the state"))
}

pub async fn push(config: &Config, args: &PushArgs) -> Outcome {
    let text = read(&args.file)?;
    let prepared = pushing::prepare(config, &text, args.force, args.wait.timeout(), &command_line()).await;
    let push = prepared.map_err(|error| if error.place.is_none() { error.in_file(&args.file) } else { error })?;
    if push.already_so {
        output::message("This is what is there already. Nothing was written.");
        return Ok(Exit::Done);
    }
    let place = state::backend(config).place();
    let there = match &push.present {
        Some(present) => tell(present),
        None => "nothing that can be read".to_owned(),
    };
    let question = format!("{place}\n  there is {there}\n  to be put there is {}\nPut it there?", tell(&push.document));
    if !approved(args.auto_approve, &question)? {
        output::message("Nothing was written.");
        return Ok(Exit::Failed);
    }
    let written = push.write().await?;
    output::message(&format!("Written to {place}: {}.", tell(&written)));
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<String, Diagnostic> {
    let cannot = || Diagnostic::new(Kind::Usage, "cannot read the file").in_file(file);
    let hint = "name a file that `nornplan state pull --out FILE` has written";
    match durable::read(file) {
        Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|error| cannot().hint(hint).because(error)),
        Ok(None) => Err(Diagnostic::new(Kind::Usage, "there is no such file").in_file(file).hint(hint)),
        Err(error) => Err(cannot().hint(hint).because(error)),
    }
}

fn tell(document: &Document) -> String {
    let resources = count(document.resources.len(), "resource", "resources");
    format!("serial {} of {}, with {resources}", document.serial, clean(&document.lineage))
}

pub async fn migrate(config: &Config, args: &MigrateArgs) -> Result<(), Errors> {
    let from = match args.from {
        From::Local => StateBackend::Local,
        From::Postgres => StateBackend::Postgres,
    };
    let moved = moving::migrate(config, from, args.wait.timeout(), &command_line()).await?;
    output::message(&format!(
        "Moved the state to {}: {}.\nWhat it was stays at {}.",
        moved.to,
        tell(&moved.document),
        moved.kept
    ));
    Ok(())
}

pub async fn unlock(config: &Config, args: &UnlockArgs) -> Outcome {
    let backend = state::backend(config);
    let Some(holding) = backend.holding().await? else {
        output::message(&format!("Nobody holds the lock of {}.", backend.place()));
        return Ok(Exit::Done);
    };
    let who = clean(&holding.to_string());
    output::message(&format!("The lock of {} is held by {who}.", backend.place()));
    if holding.session.is_some()
        && !approved(
            args.auto_approve,
            "End this session? What that run has begun is finished, and nothing more written.",
        )?
    {
        output::message("Nothing was ended.");
        return Ok(Exit::Failed);
    }
    backend.take_away(&holding).await?;
    output::message("The lock is free.");
    Ok(Exit::Done)
}

/// Whether the user says yes to it.
pub fn approved(auto: bool, question: &str) -> Result<bool, Errors> {
    if auto {
        return Ok(true);
    }
    if !output::can_ask() {
        return Err(Diagnostic::new(Kind::Usage, "there is no terminal to ask for approval on")
            .hint("with --auto-approve it goes on without asking")
            .into());
    }
    Ok(output::ask(question))
}
