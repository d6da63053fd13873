//! What a run will write for itself, tried before the first service is written to: what cannot be noted must not be done,
//! and a password that cannot be kept must not be set.

use super::workspace::Workspace;
use crate::error::Result;
use crate::services::postgres::model::Op::DropDatabase;
use crate::services::postgres::snapshot;
use crate::services::{Op, Plan, ServiceId, Step};
use crate::state::LockedStore;
use std::collections::BTreeSet;

/// What a step takes beside its model: its address, app and names of fields, a fingerprint, a server's block.
const PER_STEP: usize = 512;

/// Tries the directories of the state, of secrets and of snapshots, each if this plan needs it.
///
/// # Errors
/// One cannot be written, or has not room enough.
pub async fn check(workspace: &Workspace, plan: &Plan, store: &LockedStore) -> Result<()> {
    let noted: usize = plan.runnable().map(size).sum();
    store.prove(u64::try_from(noted).unwrap_or(u64::MAX)).await?;
    let of_secrets = |step: &&Step| ServiceId::of(&step.address) == Some(ServiceId::Secrets) && step.op != Op::State;
    let apps: BTreeSet<_> = plan.runnable().filter(of_secrets).map(|step| &step.app).collect();
    if !apps.is_empty() {
        workspace.vault.prove(apps.len())?;
    }
    if plan.runnable().any(|step| step.op == Op::Postgres(DropDatabase)) {
        snapshot::prove(&workspace.config.postgres.snapshots)?;
    }
    Ok(())
}

fn size(step: &Step) -> usize {
    let model = step.after.as_ref().and_then(|model| serde_json::to_vec_pretty(model).ok());
    model.map_or(0, |text| text.len()) + PER_STEP
}
