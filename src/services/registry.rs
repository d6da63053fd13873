//! The one place that knows which services there are.

use super::{DiffInput, Model, Service, ServiceId, Step, kafka, postgres, valkey};
use crate::core::address::{Address, Kind};
use crate::core::reconcile::{Applied, Wanted};
use crate::error::Result;
use crate::secrets;
use std::collections::{BTreeMap, BTreeSet};

/// Those who sign in, and what they may do by their names.
const LOGINS: [Kind; 5] =
    [postgres::model::ROLE, valkey::model::USER, valkey::model::DEFAULT_USER, kafka::model::USER, kafka::model::ACL];

/// Connects lazily: no service is contacted before it is asked something.
pub fn connect(
    config: &crate::config::Config,
    id: ServiceId,
    vault: &std::sync::Arc<secrets::Vault>,
) -> Result<Box<dyn Service>> {
    Ok(match id {
        ServiceId::Postgres => Box::new(postgres::Postgres::new(&config.postgres)),
        ServiceId::Valkey => Box::new(valkey::Valkey::new(&config.valkey)?),
        ServiceId::Kafka => Box::new(kafka::Kafka::new(&config.kafka)),
        ServiceId::Secrets => Box::new(secrets::Secrets::new(vault.clone())),
    })
}

/// Whether the name of something is a login's.
pub fn is_login(address: &Address) -> bool {
    LOGINS.contains(&address.kind)
}

/// Everything that the infraspecs declare on one service.
///
/// # Errors
/// A `[publish]` template that cannot be filled in.
pub fn desired(
    id: ServiceId,
    specs: &crate::spec::model::Specs,
    config: &crate::config::Config,
) -> Result<BTreeMap<Address, Wanted<Model>>> {
    Ok(match id {
        ServiceId::Postgres => postgres::desired::desired(specs),
        ServiceId::Valkey => valkey::desired::desired(specs),
        ServiceId::Kafka => kafka::desired::desired(specs, &config.kafka),
        ServiceId::Secrets => secrets::desired(specs, config)?,
    })
}

/// What the workspace file itself wants, in no app's name. A service that nothing else is wanted on and nothing is ours
/// on is not used, so nothing is wanted of it here either.
pub fn desired_of_workspace(
    config: &crate::config::Config,
    wanted: &BTreeMap<Address, Wanted<Model>>,
    applied: &BTreeMap<Address, Applied<Model>>,
) -> BTreeMap<Address, Wanted<Model>> {
    let used: BTreeSet<ServiceId> = wanted.keys().chain(applied.keys()).filter_map(ServiceId::of).collect();
    let mut of_workspace = BTreeMap::new();
    if used.contains(&ServiceId::Postgres) {
        of_workspace.extend(postgres::desired::of_workspace(&config.postgres));
    }
    if used.contains(&ServiceId::Valkey) {
        of_workspace.extend(valkey::desired::of_workspace(&config.valkey));
    }
    of_workspace
}

/// The steps that bring one service where the specs want it: pure, from what was read. A differ sees nothing that lies
/// on another service.
pub fn diff(id: ServiceId, input: DiffInput<'_>) -> Vec<Step> {
    let (wanted, applied) = (only(id, input.wanted), only(id, input.applied));
    let input = DiffInput { wanted: &wanted, applied: &applied, ..input };
    match id {
        ServiceId::Postgres => postgres::diff::diff(input),
        ServiceId::Valkey => valkey::diff::diff(input),
        ServiceId::Kafka => kafka::diff::diff(input),
        ServiceId::Secrets => secrets::diff::diff(input),
    }
}

fn only<T: Clone>(id: ServiceId, all: &BTreeMap<Address, T>) -> BTreeMap<Address, T> {
    let of = all.iter().filter(|(address, _)| ServiceId::of(address) == Some(id));
    of.map(|(address, one)| (address.clone(), one.clone())).collect()
}
