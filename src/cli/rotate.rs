//! `nornplan rotate`

use super::apply::{Run, converge};
use super::args::ApplyArgs;
use super::workspace::{self, Workspace};
use super::{Global, Outcome};
use crate::core::name::AppName;
use crate::scope::Scope;
use crate::services::ServiceId;

/// Set new passwords for some apps, and publish them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan rotate cafe-backend
  nornplan rotate cafe-backend --service valkey

Running apps must read the new passwords. Exit: 0 done, 1 something failed, 130 or 143 interrupted")]
pub struct Args {
    /// The apps
    #[arg(value_name = "APP", required = true)]
    apps: Vec<AppName>,
    /// Only on this service (may be given several times)
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<ServiceId>,
    #[command(flatten)]
    apply: ApplyArgs,
}

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let workspace = Workspace::open(global)?;
    let specs = workspace::specs(global, &workspace.config)?;
    let apps: std::collections::BTreeSet<AppName> = args.apps.iter().cloned().collect();
    let scope = Scope {
        apps: apps.clone(),
        services: args.services.iter().copied().collect(),
        rotate: apps,
        ..Scope::default()
    };
    converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await
}
