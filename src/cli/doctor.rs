//! `nornplan doctor`

use super::args::duration;
use super::workspace::{self, Workspace};
use super::{Global, Outcome, output};
use crate::core::address::Address;
use crate::core::reconcile::Wanted;
use crate::error::{Diagnostic, Exit};
use crate::observe;
use crate::render::{Style, count};
use crate::secrets::{Vault, no_common_password};
use crate::services::valkey::SharedPassword;
use crate::services::{self, Ask, Check, Model, Proof, Service, ServiceId, Verdict};
use crate::state::{self, Document, Store};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Look over every service in use: reachable, version, rights, what isolates, persistence
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "health",
    after_help = "Example:\n  nornplan doctor\n  nornplan doctor --wait 60s\n\nExit: 0 all can be worked with (warnings included), 1 something is in the way"
)]
pub struct Args {
    /// How long to wait for services that are still starting (60s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
}

const DEADLINE: Duration = Duration::from_secs(20);

pub async fn run(global: &Global, args: &Args) -> Outcome {
    let workspace = Workspace::open(global)?;
    let mut first = Vec::new();
    let specs = match workspace::specs(global, &workspace.config) {
        Ok(specs) => {
            let number = count(specs.apps.len(), "infraspec is valid", "infraspecs are valid");
            first.push(check(Verdict::Good, number, None));
            Some(specs)
        }
        Err(errors) => {
            first.push(match errors.0.as_slice() {
                [error] => Check::failed(error),
                errors => check(
                    Verdict::Bad,
                    format!("{} errors in the infraspecs", errors.len()),
                    Some("`nornplan validate` shows them".to_owned()),
                ),
            });
            None
        }
    };
    let sharing = specs.as_ref().and_then(|specs| Some((specs, specs.apps.values().find(|app| app.shares_valkey())?)));
    let shared_password = workspace.vault.common().is_configured();
    if let Some((specs, app)) = sharing.filter(|_| !shared_password) {
        first.push(Check::failed(&no_common_password().at(specs.place_of_sharing(app))));
    }
    let state = Store::open(&workspace.config).await;
    let kept = state_checks(&workspace, &state).await;
    let mut sections = vec![(
        "Workspace",
        format!("{} (environment {})", workspace.config.root.display(), workspace.config.environment),
        first,
    )];
    sections.push(kept);
    let mut used = Vec::new();
    for (id, service) in &workspace.services {
        let mut ask = Ask::default();
        if let Some(specs) = &specs {
            ask.wanted = services::desired(*id, specs, &workspace.config)?;
        }
        if let Ok(store) = &state {
            ask.applied = store.document().applied();
            ask.applied.retain(|address, _| ServiceId::of(address) == Some(*id));
            observe::remind(&mut ask, *id, store.document());
            if *id == ServiceId::Kafka {
                ask.proofs = proofs_of_some(&ask, store.document(), &workspace.vault);
                ask.probe_credentials = true;
            }
        }
        if specs.is_some() {
            ask.wanted.extend(services::desired_of_workspace(&workspace.config, &ask.wanted, &ask.applied));
        }
        let logins = ask.addresses().into_iter().filter(|address| services::is_login(address));
        ask.known = logins.map(|address| address.name.clone()).collect();
        ask.known.extend(workspace.config.internal.iter().cloned());
        let shares = *id == ServiceId::Valkey && sharing.is_some();
        let is_used = specs.is_none() || !ask.addresses().is_empty() || shares;
        // What stops every plan.
        let lost = state.as_ref().ok().filter(|_| *id == ServiceId::Secrets).and_then(|store| {
            let document = store.document();
            workspace.vault.check_lineage(&document.lineage, document.has_published()).err()
        });
        used.push((service.as_ref(), ask, is_used, lost, shares && shared_password));
    }
    let wait = args.wait.unwrap_or_default();
    let valkey = &workspace.config.valkey;
    let looked = used.into_iter().map(|(service, ask, is_used, lost, tries_shared)| async move {
        let checks = if let Some(lost) = lost {
            vec![Check::failed(&lost)]
        } else if is_used {
            let mut checks = examine(service, &ask, wait).await;
            if tries_shared {
                checks.extend(SharedPassword::tried(valkey).await.check());
            }
            checks
        } else {
            vec![check(Verdict::NotUsed, "not used: no infraspec declares anything on it".to_owned(), None)]
        };
        (service.id().title(), service.endpoint(), checks)
    });
    sections.extend(join_all(looked).await);
    output::report(&crate::render::doctor::text(&sections, &Style::of_stdout()));
    let bad = sections.iter().any(|(_, _, checks)| checks.iter().any(|check| check.verdict == Verdict::Bad));
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// Where the state is, whether it can be read and written, and who holds its lock.
async fn state_checks(workspace: &Workspace, read: &Result<Store, Diagnostic>) -> (&'static str, String, Vec<Check>) {
    let backend = state::backend(&workspace.config);
    let checks = match read {
        Ok(store) => {
            let owned = count(store.document().resources.len(), "resource is ours", "resources are ours");
            let mut checks = vec![Check::good(format!("the state can be read: {owned}"))];
            checks.extend(backend.examine().await);
            checks.push(match backend.holding().await {
                Ok(None) => Check::good("its lock is free"),
                Ok(Some(holding)) => Check::good(format!("its lock is held by {holding}")),
                Err(error) => Check::failed(&error),
            });
            checks
        }
        Err(error) => {
            let failed = Check::failed(error);
            let more = backend.examine().await.into_iter().filter(|check| check.what != failed.what).collect();
            [vec![failed], more].concat()
        }
    };
    ("State", backend.place(), checks)
}

/// Looks a service over, again and again for as long as it cannot be reached or is starting and the user is ready to wait.
async fn examine(service: &dyn Service, ask: &Ask, wait: Duration) -> Vec<Check> {
    let since = Instant::now();
    loop {
        let checks = tokio::time::timeout(DEADLINE, service.examine(ask)).await.unwrap_or_else(|_| vec![no_answer()]);
        if since.elapsed() >= wait || !checks.iter().any(|check| check.may_pass) {
            return checks;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn no_answer() -> Check {
    let what = format!("no answer within {} s", DEADLINE.as_secs());
    Check { may_pass: true, ..Check::bad(what, "check that it is up and reachable from here") }
}

fn check(verdict: Verdict, what: String, hint: Option<String>) -> Check {
    Check { verdict, what, hint, may_pass: false }
}

/// Passwords of logins that are known to sign in: one of them tells what everybody may do, and each whether it may more.
fn proofs_of_some(ask: &Ask, document: &Document, vault: &Vault) -> BTreeMap<Address, Proof> {
    const MANY: usize = 100;
    let logins = ask.wanted.iter().filter(|(_, one)| one.model.generates_password());
    let proved = logins.filter_map(|(address, one)| {
        let fingerprint = document.resources.get(address)?.fingerprint.clone()?;
        Some((address, one, ServiceId::of(address)?, fingerprint))
    });
    let proof = |(address, one, id, fingerprint): (&Address, &Wanted<Model>, _, _)| {
        let proof = vault.proof_of(&one.app, id, &address.name).ok()?;
        Some((address.clone(), Proof { fingerprint: Some(fingerprint), ..proof }))
    };
    proved.take(MANY).filter_map(proof).collect()
}
