//! `nornplan snapshot`

use super::signals::Interrupts;
use super::workspace::{self, check_apps};
use super::{Errors, Global, Outcome, output};
use crate::config::Config;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::error::{Diagnostic, Exit, Kind};
use crate::render;
use crate::render::count;
use crate::render::working::{self, Working};
use crate::scope::Scope;
use crate::services::postgres::Postgres;
use crate::services::postgres::model::DATABASE;
use crate::services::postgres::snapshot::{MANUAL, Snapshot};
use crate::services::{self, Progress, ServiceId};
use crate::spec::model::Specs;
use crate::state::{Document, Store};
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Dumps that are made at once: more would only keep the server from its apps.
const AT_ONCE: usize = 2;

/// Dump the databases of some apps into the directory of snapshots
///
/// Prints the files. Each is whole and readable by you alone, or not there. The key keep under [snapshots] of the
/// workspace file says how many of each database are left there; without it, all are.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["apps", "all"])))]
#[command(after_help = "Example:
  nornplan snapshot cafe-backend
  nornplan snapshot --all --commit \"$(git rev-parse HEAD)\"

Exit: 0 done, 1 a database could not be dumped (the others were), 130 or 143 interrupted")]
pub struct Args {
    /// The apps
    #[arg(value_name = "APP")]
    apps: Vec<AppName>,
    /// Every app that an infraspec declares or the state knows
    #[arg(long)]
    all: bool,
    /// The commit that the snapshots belong to: its first 12 characters stand in their names
    #[arg(long, value_name = "SHA", value_parser = commit)]
    commit: Option<String>,
}

/// The first 12 characters of a commit, which is what Norn lists.
fn commit(text: &str) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal || !(12..=64).contains(&text.len()) {
        return Err(format!("{text:?} is no commit; write 12 to 64 hexadecimal digits, as `git rev-parse HEAD` does"));
    }
    Ok(text.chars().take(12).collect::<String>().to_ascii_lowercase())
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let config = workspace::config(global)?;
    let scope = Scope { apps: args.apps.iter().cloned().collect(), ..Scope::default() };
    let specs = workspace::specs_in(global, &config, &scope).await?;
    let store = Store::open(&config).await?;
    check_apps(&specs, store.document(), &args.apps)?;
    let databases = databases(&config, &specs, store.document(), args)?;
    if databases.is_empty() {
        let error = Diagnostic::new(Kind::Usage, "there is no database to dump: none of the apps has one");
        return Err(error.hint("[services.postgres] in an infraspec declares one").into());
    }
    let interrupts = Interrupts::listen_looking()?;
    let postgres = Postgres::telling(&config.postgres, teller(global));
    let label = args.commit.as_deref().unwrap_or(MANUAL);
    let working = Working::new(std::io::stderr().is_terminal());
    let dumps = stream::iter(&databases)
        .map(|database| async { (database.as_str(), dump(&postgres, &working, database, label).await) })
        .buffer_unordered(AT_ONCE);
    let made = AtomicUsize::new(0);
    let dumps = dumps.inspect(|(_, result)| _ = made.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed));
    let Some(results) = interrupts.unless_heard(dumps.collect::<Vec<_>>()).await else {
        let (made, all) = (made.into_inner(), count(databases.len(), "database", "databases"));
        output::message(&format!("Interrupted: {made} of {all} dumped; what was not finished is removed."));
        return Ok(Exit::Interrupted(interrupts.number()));
    };
    let failed = results.into_iter().filter_map(|(database, result)| Some((database, result.err()?)));
    let errors = each_once(failed);
    if errors.is_empty() { Ok(Exit::Done) } else { Err(errors.into()) }
}

/// What kept several databases from being dumped alike is said once, with all their names.
fn each_once<'a>(failed: impl Iterator<Item = (&'a str, Diagnostic)>) -> Vec<Diagnostic> {
    let mut told: Vec<(BTreeSet<&str>, Diagnostic)> = Vec::new();
    for (database, error) in failed {
        let same = |(_, other): &&mut (BTreeSet<&str>, Diagnostic)| {
            (&other.message, &other.place, &other.hint) == (&error.message, &error.place, &error.hint)
        };
        match told.iter_mut().find(same) {
            Some((names, _)) => drop(names.insert(database)),
            None => told.push((BTreeSet::from([database]), error)),
        }
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    told.into_iter().map(|(names, error)| about(error, &names.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

/// Names the database that an error is about, if it says no place.
pub fn about(error: Diagnostic, database: &str) -> Diagnostic {
    if error.place.is_some() { error } else { error.on("postgres", database, "") }
}

/// What tells with `-v` which programs are run.
pub fn teller(global: &Global) -> fn(&str) {
    if global.verbose > 0 { output::detail } else { |_| {} }
}

/// The databases that the apps own; of an app that owns none those that it declares, as the state may be lost.
fn databases(config: &Config, specs: &Specs, document: &Document, args: &Args) -> Result<BTreeSet<String>, Errors> {
    let asked = |(address, app): &(Address, AppName)| address.kind == DATABASE && (args.all || args.apps.contains(app));
    let owned = document.resources.iter().map(|(address, entry)| (address.clone(), entry.app.clone()));
    let owned: BTreeMap<Address, AppName> = owned.filter(asked).collect();
    let wanted = services::desired(ServiceId::Postgres, specs, config)?;
    let declared = wanted.into_iter().map(|(address, one)| (address, one.app)).filter(asked);
    let mut databases: BTreeSet<String> = owned.keys().map(|address| address.name.clone()).collect();
    for (address, app) in declared.filter(|(address, _)| !owned.contains_key(address)) {
        if owned.values().any(|owner| *owner == app) {
            output::message(&format!("{}: not applied yet, so it is not dumped", address.name));
        } else {
            databases.insert(address.name);
        }
    }
    Ok(databases)
}

async fn dump(postgres: &Postgres, working: &Working, database: &str, label: &str) -> Result<(), Diagnostic> {
    let since = Instant::now();
    let made = shown(postgres, working, database, label).await?;
    let pruned = postgres.prune(database, &made.file);
    working.between(|| {
        output::result(&made.file.display().to_string());
        let (size, took) = (render::bytes(made.bytes), since.elapsed().as_secs_f64());
        output::message(&format!("{database}: dumped, {size} ({took:.1}s)"));
        for old in pruned? {
            output::message(&format!("{database}: removed the older {}", old.display()));
        }
        Ok(())
    })
}

/// Dumps a database, and shows how far that has come.
pub async fn shown(
    postgres: &Postgres,
    working: &Working,
    database: &str,
    label: &str,
) -> Result<Snapshot, Diagnostic> {
    let progress = Progress::default();
    let text = |written, size| working::dumping(database, written, size);
    working.shown(&progress, text, postgres.snapshot(database, label, &progress)).await
}

#[cfg(test)]
mod tests {
    use super::commit;

    #[test]
    fn a_commit_is_cut_to_what_norn_lists() {
        assert_eq!(commit("0123456789ABCDEF").unwrap(), "0123456789ab");
        for wrong in ["", "0123456", "../../etc/passwd", "0123456789a_", &"a".repeat(65)] {
            assert!(commit(wrong).is_err(), "{wrong}");
        }
    }
}
