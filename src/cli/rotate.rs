//! `nornplan rotate`

use super::apply::{Run, converge};
use super::args::ApplyArgs;
use super::workspace::{self, Workspace};
use super::{Errors, Global, Outcome};
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::error::{Diagnostic, Kind};
use crate::scope::Scope;
use crate::services::{self, ServiceId};
use crate::spec::model::{App, Specs};
use crate::state::{Document, Entry, Store};
use std::collections::BTreeSet;

/// Set new passwords for some apps, and publish them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nornplan rotate cafe-backend
  nornplan rotate cafe-backend --service valkey
  nornplan plan --rotate --app cafe-backend       only show it, or save it with --out

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
    let named = Scope { apps: args.apps.iter().cloned().collect(), ..Scope::default() };
    let specs = workspace::specs_in(global, &workspace.config, &named).await?;
    let store = Store::open(&workspace.config).await?;
    let scope = scope(&args.apps, &args.services, &workspace, &specs, store.document())?;
    converge(&workspace, &Run { specs: &specs, scope, flags: &args.apply }).await
}

/// What a run is about that sets new passwords for the named apps.
///
/// # Errors
/// Apps that have no password to renew.
pub fn scope(
    apps: &[AppName],
    services: &[ServiceId],
    workspace: &Workspace,
    specs: &Specs,
    document: &Document,
) -> Result<Scope, Errors> {
    let apps: BTreeSet<AppName> = apps.iter().cloned().collect();
    let services = services.iter().copied().collect();
    let scope = Scope { apps: apps.clone(), services, rotate: apps, ..Scope::default() };
    check(workspace, specs, &scope, document)?;
    Ok(scope)
}

/// A rotation that would set nothing, or make an app first, is not what was asked for.
fn check(workspace: &Workspace, specs: &Specs, scope: &Scope, document: &Document) -> Result<(), Errors> {
    let owned = &document.resources;
    workspace::check_apps(specs, document, &scope.rotate)?;
    let mut errors = Vec::new();
    for name in &scope.rotate {
        let Some(app) = specs.apps.get(name) else {
            let error = Diagnostic::new(Kind::Usage, format!("no infraspec declares {name} any more"));
            errors.push(error.hint(format!("`nornplan destroy --app {name}` removes what it has")));
            continue;
        };
        let mut generates = false;
        for id in ServiceId::ALL.into_iter().filter(|id| *id != ServiceId::Secrets && scope.has_service(*id)) {
            let wanted = services::desired(id, specs, &workspace.config)?;
            let generated = wanted.values().any(|one| one.app == *name && one.model.generates_password());
            if !generated && scope.services.contains(&id) {
                let said = format!("nornplan generates no password for {name} on {}", id.title());
                errors.push(no_password(said, app, id == ServiceId::Valkey).at(app.place.clone()));
            }
            generates |= generated;
        }
        if !generates && scope.services.is_empty() {
            let said = format!("nornplan generates no password for {name}");
            errors.push(no_password(said, app, true).at(app.place.clone()));
        }
        let is_login = |(address, entry): (&Address, &Entry)| {
            let in_scope = ServiceId::of(address).is_some_and(|id| scope.has_service(id));
            in_scope && entry.app == *name && entry.applied.generates_password()
        };
        if generates && !owned.iter().any(is_login) {
            let error =
                Diagnostic::new(Kind::Usage, format!("{name} was not applied yet: it has no password to renew"));
            errors.push(error.hint(format!("`nornplan apply --app {name}` makes it, with a password")));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

/// `on_valkey` is whether that is asked for.
fn no_password(message: String, app: &App, on_valkey: bool) -> Diagnostic {
    let is_shared = on_valkey && app.kv.as_ref().is_some_and(|kv| kv.shared);
    Diagnostic::new(Kind::Usage, message).hint(if is_shared {
        "under [services.kv] it says shared = true: it signs in with the password that such apps have in common; change \
         that on the server, then in NORNPLAN_VALKEY_SHARED_PASSWORD, and `nornplan apply` publishes it"
    } else {
        "it does not declare that service, nobody signs in there, or it says credential = \"keep\""
    })
}
