//! Reads the services side by side, each with a deadline. What cannot be read is an error, never empty.

use crate::core::address::Address;
use crate::core::reconcile::{Applied, Wanted};
use crate::error::{Diagnostic, Kind, Result};
use crate::secrets::Vault;
use crate::services::{Ask, Model, Named, Observation, Proof, Service, ServiceId, is_login};
use crate::side_by_side;
use crate::state::Document;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A service that answers more slowly than this cannot be read; where passwords are tried, it may take longer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// So much longer for each password: Kafka lets in 130 a second that come eight at once, and on a busy machine 14.
const PER_PASSWORD: Duration = Duration::from_millis(50);

/// Any of the passwords may have to be tried.
fn deadline(ask: &Ask) -> Duration {
    DEADLINE + PER_PASSWORD.saturating_mul(u32::try_from(ask.proofs.len()).unwrap_or(u32::MAX))
}

/// How deep to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Depth {
    pub shallow: bool,
    pub probe_credentials: bool,
}

/// What is asked of each service: nothing of a service on which nothing is wanted and nothing is ours. `followed` are logins
/// that are made anew under another name.
///
/// # Errors
/// The sink cannot be read.
pub fn asks(
    wanted: &BTreeMap<Address, Wanted<Model>>,
    applied: &BTreeMap<Address, Applied<Model>>,
    document: &Document,
    vault: &Vault,
    depth: Depth,
    followed: &BTreeSet<&Address>,
) -> Result<BTreeMap<ServiceId, Ask>> {
    let mut asks: BTreeMap<ServiceId, Ask> = BTreeMap::new();
    let logins = wanted.iter().filter(|(_, one)| one.model.generates_password());
    let logins = logins.map(|(address, one)| (address, &one.app));
    // A login that another one follows gives its password on, if that is the published one.
    let former = applied.iter().filter(|(address, _)| followed.contains(address) && !wanted.contains_key(*address));
    let logins = logins.chain(former.map(|(address, one)| (address, &one.app)));
    let logins: Vec<_> = logins.filter_map(|(address, app)| Some((ServiceId::of(address)?, address, app))).collect();
    let proofs = side_by_side::map(&logins, |(id, address, app)| vault.proof_of(app, *id, &address.name));
    for ((id, address, _), proof) in logins.into_iter().zip(proofs) {
        let entry = document.resources.get(address);
        let fingerprint = entry.and_then(|entry| entry.fingerprint.clone());
        let former = entry.and_then(|entry| entry.former.clone());
        asks.entry(id).or_default().proofs.insert(address.clone(), Proof { fingerprint, former, ..proof? });
    }
    for (address, one) in wanted {
        let Some(id) = ServiceId::of(address) else { continue };
        let ask = asks.entry(id).or_default();
        ask.wanted.insert(address.clone(), one.clone());
    }
    for (address, one) in applied {
        let Some(id) = ServiceId::of(address) else { continue };
        asks.entry(id).or_default().applied.insert(address.clone(), one.clone());
    }
    for (id, ask) in &mut asks {
        let ours = document.resources.keys().filter(|address| ServiceId::of(address) == Some(*id));
        ask.known = ours.filter(|address| is_login(address)).map(|address| address.name.clone()).collect();
        ask.unsaved = document.unsaved.contains(id.as_str());
        remind(ask, *id, document);
        ask.shallow = depth.shallow;
        ask.probe_credentials = depth.probe_credentials;
    }
    Ok(asks)
}

/// Tells which nodes of a service earlier runs met: others may not tell of them while they are down.
pub fn remind(ask: &mut Ask, id: ServiceId, document: &Document) {
    let of = |sets: &BTreeMap<String, BTreeSet<String>>| sets.get(id.as_str()).cloned().unwrap_or_default();
    (ask.nodes, ask.away) = (of(&document.nodes), of(&document.away));
}

/// One service as it was read, or why it could not be, and how long that took.
#[derive(Debug)]
pub struct Reading {
    pub result: Result<Observation>,
    pub took: Duration,
}

/// Reads all services at once.
pub async fn observe(
    services: &BTreeMap<ServiceId, Box<dyn Service>>,
    asks: &BTreeMap<ServiceId, Ask>,
    wait: Duration,
) -> BTreeMap<ServiceId, Reading> {
    let hopeless = &AtomicBool::new(false);
    let readings = asks.iter().filter_map(|(id, ask)| {
        let service = services.get(id)?;
        Some(async move {
            let since = Instant::now();
            let result = patiently(service.as_ref(), ask, wait, hopeless).await;
            (*id, Reading { result, took: since.elapsed() })
        })
    });
    join_all(readings).await.into_iter().collect()
}

/// What of this there is by name; `None` if nobody could look, which reading the service then tells.
pub async fn named(
    service: &dyn Service,
    addresses: &BTreeSet<Address>,
    wait: Duration,
) -> Option<BTreeMap<Address, Named>> {
    let since = Instant::now();
    loop {
        match tokio::time::timeout(DEADLINE, service.named(addresses)).await {
            Ok(Ok(named)) => return Some(named),
            Ok(Err(error)) if error.may_pass && since.elapsed() < wait => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(Err(_)) | Err(_) => return None,
        }
    }
}

/// Tries again for as long as the user is ready to wait for services that cannot be reached or are still starting. No
/// time helps against a wrong password, and then no other service is waited for either.
async fn patiently(service: &dyn Service, ask: &Ask, wait: Duration, hopeless: &AtomicBool) -> Result<Observation> {
    let since = Instant::now();
    loop {
        let deadline = deadline(ask);
        let read = tokio::time::timeout(deadline, service.observe(ask)).await;
        let read = read.map(|read| read.map(|observation| judge(observation, ask))).unwrap_or_else(|_| {
            Err(Diagnostic::new(
                Kind::Service,
                format!(
                    "{} at {} did not answer within {} s",
                    service.id().title(),
                    service.endpoint(),
                    deadline.as_secs()
                ),
            )
            .hint("check that it is up and reachable; `nornplan doctor` says more")
            .may_pass(true))
        });
        match read {
            Err(error) if error.may_pass && since.elapsed() < wait && !hopeless.load(Ordering::Relaxed) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            read => {
                hopeless.fetch_or(read.is_err(), Ordering::Relaxed);
                return read;
            }
        }
    }
}

/// What the passwords that were tried say of the logins that are there.
fn judge(mut observation: Observation, ask: &Ask) -> Observation {
    for (address, proof) in &ask.proofs {
        if let Some(observed) = observation.resources.get_mut(address) {
            observed.credential = proof.judge(observed.credential);
        }
    }
    observation
}
