//! What is looked at before anything is written.

use super::Job;
use super::batch::{self, FIRST_PAUSE, LAST_TRY, Ran, STATE_BATCH, TRIES};
use crate::core::step::{Part, StepId};
use crate::secrets::model::SECRET;
use crate::services::{Op, Outcome, Service, ServiceId, Step};
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::time::Instant;

/// What only the state is to learn: what other steps of the plan change meanwhile is no stranger's change. What gets
/// another name by this plan cannot be seen by that name yet, and is looked at in its turn.
pub async fn at_what_is_noted(job: &Job<'_>) -> BTreeMap<StepId, Outcome> {
    let mut batches: BTreeMap<(Option<ServiceId>, &str), Vec<&Step>> = BTreeMap::new();
    let named_later = |step: &Step| step.needs.iter().any(|one| one.part == Part::Rename && one.address.kind != SECRET);
    for step in job.steps.iter().filter(|step| step.runs() && step.op == Op::State && !named_later(step)) {
        let of = (ServiceId::of(&step.address), step.address.kind.as_str());
        batches.entry(of).or_default().push(step);
    }
    let all: Vec<&[&Step]> = batches.values().flat_map(|steps| steps.chunks(STATE_BATCH)).collect();
    let looks = all.into_iter().map(|steps| async move {
        let Ran { outcomes, .. } = batch::run(job, steps).await;
        steps.iter().map(|step| step.id()).zip(outcomes).collect::<Vec<_>>()
    });
    stream::iter(looks).buffer_unordered(job.parallelism.max(1)).concat().await.into_iter().collect()
}

/// What goes only after the ways to it have gone, and is not to go: it would be left without them. What an earlier run of
/// the same plan has begun is gone on with. A run that is to end begins nothing, so that there is nothing to refuse.
pub async fn at_what_goes_last(job: &Job<'_>) -> BTreeMap<StepId, Outcome> {
    let mut refused = BTreeMap::new();
    for service in job.services.values() {
        let is_new = |step: &&Step| !job.saved.is_some_and(|saved| saved.has_begun(step) || saved.has_done(step));
        let is_its = |step: &&Step| ServiceId::of(&step.address) == Some(service.id()) && service.goes_last(step);
        let steps: Vec<&Step> = job.steps.iter().filter(|step| step.runs()).filter(is_its).filter(is_new).collect();
        let (mut tries, since) = (TRIES, Instant::now());
        for steps in steps.chunks(STATE_BATCH) {
            let seen = foresee(job, service.as_ref(), steps, tries, since).await;
            if job.stop.is_cancelled() {
                return BTreeMap::new();
            }
            // A service that has failed for so long is not waited for again.
            if may_pass(&seen) {
                tries = 1;
            }
            refused.extend(seen);
        }
    }
    refused
}

fn may_pass(seen: &[(StepId, Outcome)]) -> bool {
    seen.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed { retry: true, .. }))
}

/// Looks again where that may help, as often as `tries` says, and as long after `since` as batches are tried.
async fn foresee(
    job: &Job<'_>,
    service: &dyn Service,
    steps: &[&Step],
    tries: u32,
    since: Instant,
) -> Vec<(StepId, Outcome)> {
    let mut pause = FIRST_PAUSE;
    let mut seen = batch::foresee(job, service, steps).await;
    for _ in 1..tries {
        if !may_pass(&seen) || job.stop.is_cancelled() || since.elapsed() > LAST_TRY {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause *= 2,
            () = job.stop.cancelled() => break,
        }
        seen = batch::foresee(job, service, steps).await;
    }
    seen
}
