//! Removes the keys of namespaces whose apps are gone: some at a time, so that nobody else has to wait, and by name, so
//! that nothing else can go with them.

use crate::error::{Diagnostic, Kind};
use crate::services::valkey::connect::Nodes;
use crate::services::valkey::keyspace::{Call, Walk, primaries};
use crate::services::valkey::model::{Holdings, Keys};
use crate::services::{ApplyContext, Failure, Model, Outcome, Step};
use fred::types::Value;
use std::time::{Duration, Instant};

/// Keys that one call removes at most.
const AT_ONCE: usize = 250;
/// The longest pause between two batches.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Purges one namespace after another; one outcome for each step, in their order.
pub async fn apply(nodes: &Nodes, steps: &[&Step], context: &ApplyContext) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for step in steps {
        outcomes.push(match step.before.as_ref().and_then(Model::as_valkey_keys) {
            Some(keys) => purge(nodes, keys, context).await.map_or_else(Outcome::from, done),
            None => {
                let error = Diagnostic::new(Kind::Plan, "this step does not say which keys it removes");
                Outcome::failed(error.on("valkey", &step.address, "").hint("plan again"))
            }
        });
    }
    outcomes
}

fn done(removed: u64) -> Outcome {
    let note = Some(format!("{} removed", Holdings::count(removed)));
    Outcome::Done { fingerprint: None, dump: None, note }
}

/// Removes the keys from every primary; replicas follow. Returns their number.
async fn purge(nodes: &Nodes, keys: &Keys, context: &ApplyContext) -> Result<u64, Failure> {
    let there = nodes.all().await.map_err(|error| Failure { error, retry: true })?;
    let mut removed = 0;
    for node in primaries(&there.nodes).await? {
        let mut walk = Walk::begin(nodes, node, keys.db, keys.pattern(node.is_of_cluster())).await?;
        while !walk.ended() {
            let began = Instant::now();
            let mine: Vec<Value> =
                walk.next().await?.into_iter().filter(|key| is_mine(keys, key, node.is_of_cluster())).collect();
            removed += unlink(&walk, mine).await?;
            let so_far = usize::try_from(removed).unwrap_or(usize::MAX);
            context.removed.reach(so_far);
            if context.stop.is_cancelled() && !walk.ended() {
                walk.end().await;
                return Err(stopped(keys, removed));
            }
            // The server is ours for half of the time at most.
            tokio::time::sleep(began.elapsed().min(LONGEST_PAUSE)).await;
        }
        walk.end().await;
    }
    Ok(removed)
}

/// There may be hundreds of millions: an interrupt need not wait for them.
fn stopped(keys: &Keys, removed: u64) -> Failure {
    let said = format!("the run was stopped when {} removed", Holdings::count(removed));
    let error = Diagnostic::new(Kind::Service, said).on("valkey", keys.pattern(false), "UNLINK ...");
    error.hint("run it again: it goes on with those that are left").into()
}

fn is_mine(keys: &Keys, key: &Value, cluster: bool) -> bool {
    key.as_bytes().is_some_and(|key| keys.has(key, cluster))
}

async fn unlink(walk: &Walk, keys: Vec<Value>) -> Result<u64, Failure> {
    if keys.is_empty() {
        return Ok(0);
    }
    // In a cluster, one call takes keys of one slot alone.
    let at_once = if walk.is_cluster() { 1 } else { AT_ONCE };
    let calls: Vec<Call> = keys.chunks(at_once).map(|some| ("UNLINK", some.to_vec())).collect();
    let mut removed = 0;
    for answer in walk.many(calls).await {
        removed += answer.map_err(|error| walk.failure(&error, "UNLINK ..."))?.as_u64().unwrap_or_default();
    }
    Ok(removed)
}
