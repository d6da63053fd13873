//! `nornplan destroy`

use super::apply::{Run, converge};
use super::args::ApplyArgs;
use super::workspace::{self, Workspace};
use super::{Global, Outcome};
use crate::core::name::AppName;
use crate::scope::Scope;
use crate::state::Store;

/// Remove what some apps have, as if their infraspecs declared nothing
///
/// What loses data or removes a login still needs --allow-destroy, and prevent_destroy holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan destroy --app cafe-backend
  nornplan destroy --app cafe-backend --allow-destroy 'postgres.*.cafe*'
  nornplan destroy --all --allow-destroy all

Exit: 0 done, 1 something failed, 130 or 143 interrupted")]
pub struct Args {
    /// The app (may be given several times)
    #[arg(long = "app", value_name = "APP", required_unless_present = "all", conflicts_with = "all")]
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
    let mut scope = Scope { destroy: args.apps.iter().cloned().collect(), ..Scope::default() };
    if args.all {
        let store = Store::open(&workspace.config)?;
        scope.destroy.extend(specs.apps.keys().cloned());
        scope.destroy.extend(store.document().resources.values().map(|entry| entry.app.clone()));
    } else {
        scope.apps = scope.destroy.clone();
    }
    converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await
}
