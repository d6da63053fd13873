//! `nornplan destroy`

use super::apply::{Run, converge};
use super::args::ApplyArgs;
use super::workspace::{self, Workspace};
use super::{Errors, Global, Outcome, output};
use crate::core::listing::some;
use crate::core::name::AppName;
use crate::scope::Scope;
use crate::state::Store;
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
    let specs = workspace::specs(global, &workspace.config)?;
    let owners = || -> Result<BTreeSet<AppName>, Errors> {
        let store = Store::open(&workspace.config)?;
        Ok(store.document().resources.values().map(|entry| entry.app.clone()).collect())
    };
    let before = owners()?;
    let mut scope = Scope { destroy: args.apps.iter().cloned().collect(), ..Scope::default() };
    if args.all {
        scope.destroy.extend(specs.apps.keys().chain(&before).cloned());
    } else {
        scope.apps = scope.destroy.clone();
    }
    let exit = converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await?;
    let after = owners()?;
    let gone = before.difference(&after).filter(|app| specs.apps.contains_key(*app));
    tell_declared(&gone.map(AppName::as_str).collect::<Vec<_>>());
    Ok(exit)
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
