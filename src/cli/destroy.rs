//! `nornplan destroy`

use super::apply::{Run, converge};
use super::args::ApplyArgs;
use super::workspace::{self, Workspace};
use super::{Errors, Global, Outcome, output};
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::scope::Scope;
use crate::spec::model::Specs;
use crate::state::{Document, Store};
use std::collections::BTreeSet;

/// Remove what some apps have, as if their infraspecs declared nothing
///
/// What loses data or removes a login still needs --allow-destroy, and prevent_destroy holds.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["apps", "all"])))]
#[command(after_help = "Example:
  nornplan destroy --app cafe-backend
  nornplan destroy --app cafe-backend --allow-destroy 'postgres.*.cafe*'
  nornplan destroy --all --allow-destroy all
  nornplan plan --destroy --app cafe-backend      only show it, or save it with --out

Exit: 0 done, 1 something failed, 130 or 143 interrupted")]
pub struct Args {
    /// The app (may be given several times)
    #[arg(long = "app", value_name = "APP")]
    apps: Vec<AppName>,
    /// Every app that an infraspec declares or the state knows
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    apply: ApplyArgs,
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let workspace = Workspace::open(global)?;
    let named = Scope { apps: args.apps.iter().cloned().collect(), ..Scope::default() };
    let specs = workspace::specs_in(global, &workspace.config, &named).await?;
    let document =
        async || -> Result<Document, Errors> { Ok(Store::open(&workspace.config).await?.document().clone()) };
    let owners = |document: &Document| -> BTreeSet<AppName> {
        document.resources.values().map(|entry| entry.app.clone()).collect()
    };
    let before = document().await?;
    let scope = scope(&args.apps, args.all, &specs, &before);
    let before = owners(&before);
    let exit = converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await?;
    let after = owners(&document().await?);
    let gone = before.difference(&after).filter(|app| specs.apps.contains_key(*app));
    tell_declared(&gone.map(AppName::as_str).collect::<Vec<_>>());
    Ok(exit)
}

/// What a run is about that destroys what the named apps have, or all of them.
pub fn scope(apps: &[AppName], all: bool, specs: &Specs, document: &Document) -> Scope {
    let named: BTreeSet<AppName> = apps.iter().cloned().collect();
    if !all {
        return Scope { apps: named.clone(), destroy: named, ..Scope::default() };
    }
    let owners = document.resources.values().map(|entry| &entry.app);
    Scope { destroy: specs.apps.keys().chain(owners).cloned().collect(), ..Scope::default() }
}

/// How many apps are listed by name.
const MOST_NAMES: usize = 20;

/// What is gone now and declared still is what the next plan makes again.
fn tell_declared(gone: &[&str]) {
    match gone {
        [] => {}
        [one] => output::message(&format!("{one} still has an infraspec: with it, the next apply makes it again.")),
        many => output::message(&format!(
            "{} still have infraspecs: with them, the next apply makes them again.",
            some(many, MOST_NAMES)
        )),
    }
}
