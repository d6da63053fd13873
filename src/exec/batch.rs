//! One batch: read again, write what is as planned, try transient failures again.

use super::Job;
use crate::core::address::Address;
use crate::core::change::agree;
use crate::core::step::Part;
use crate::error::{Diagnostic, Kind};
use crate::services::{Model, Op, Outcome, Service, ServiceId, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Transient failures are tried again so often, each time after twice the pause.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// None begins later than that after the first: what failed by waiting has waited long enough.
const LAST_TRY: Duration = Duration::from_secs(45);

/// Carries out steps of one kind, action and part; one outcome for each, in their order.
pub async fn run(job: &Job<'_>, steps: &[&Step]) -> Vec<Outcome> {
    if steps.iter().all(|step| step.op == Op::State) {
        return steps.iter().map(|_| Outcome::done()).collect();
    }
    let service = steps.first().and_then(|step| ServiceId::of(&step.address)).and_then(|id| job.services.get(&id));
    let Some(service) = service else {
        return steps.iter().map(|step| Outcome::failed(unknown_service(step))).collect();
    };
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut written = BTreeSet::new();
    let mut pause = FIRST_PAUSE;
    let since = Instant::now();
    for attempt in 1..=TRIES {
        let left: Vec<(usize, &Step)> = steps
            .iter()
            .enumerate()
            .filter(|(index, _)| !settled(outcomes.get(index)))
            .map(|(index, step)| (index, *step))
            .collect();
        let is_over = job.stop.is_cancelled() || since.elapsed() > LAST_TRY;
        if left.is_empty() || is_over && attempt > 1 {
            break;
        }
        if attempt > 1 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        for (index, outcome) in attempt_once(job, service.as_ref(), &left, &mut written).await {
            // What our own failed write left half-done is no stranger's change: the failure says what happened.
            match (outcomes.get_mut(&index), outcome) {
                (Some(Outcome::Failed { retry, .. }), Outcome::Stale { .. }) if written.contains(&index) => {
                    *retry = false;
                }
                (_, outcome) => {
                    outcomes.insert(index, outcome);
                }
            }
        }
    }
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| outcomes.remove(&index).unwrap_or_else(|| Outcome::failed(no_answer(step))))
        .collect()
}

fn settled(outcome: Option<&Outcome>) -> bool {
    match outcome {
        None | Some(Outcome::Failed { retry: true, .. }) => false,
        Some(
            Outcome::Done { .. }
            | Outcome::Remains { .. }
            | Outcome::AlreadySo
            | Outcome::Stale { .. }
            | Outcome::Failed { retry: false, .. }
            | Outcome::Skipped { .. },
        ) => true,
    }
}

/// `written` gets the places of the steps for which the service was asked to write.
async fn attempt_once(
    job: &Job<'_>,
    service: &dyn Service,
    left: &[(usize, &Step)],
    written: &mut BTreeSet<usize>,
) -> Vec<(usize, Outcome)> {
    let steps: Vec<&Step> = left.iter().map(|(_, step)| *step).collect();
    let addresses: BTreeSet<Address> = steps
        .iter()
        .filter(|step| !matches!(step.part, Part::Stage | Part::Save))
        .map(|step| step.address.clone())
        .collect();
    let now = if addresses.is_empty() { Ok(BTreeMap::new()) } else { service.read(&addresses, &steps).await };
    let now = match now {
        Ok(now) => now,
        Err(error) => return fail_all(left, &error),
    };
    let mut outcomes = Vec::new();
    let mut write = Vec::new();
    for (index, step) in left {
        let there = now.get(&step.address);
        match recheck(step, there) {
            // An answer was lost, or half of it failed.
            Some(Outcome::Stale { .. }) if written.contains(index) && service.is_halfway(step, there) => {
                write.push((*index, *step));
            }
            Some(Outcome::Stale { now: Some(now), .. }) => {
                let differs = match step.before.as_ref().or(step.after.as_ref()) {
                    Some(expected) => service.differences(expected, &now).await,
                    None => Vec::new(),
                };
                outcomes.push((*index, Outcome::Stale { now: Some(now), differs }));
            }
            Some(outcome) => outcomes.push((*index, outcome)),
            None => write.push((*index, *step)),
        }
    }
    let steps: Vec<&Step> = write.iter().map(|(_, step)| *step).collect();
    if !steps.is_empty() {
        written.extend(write.iter().map(|(index, _)| *index));
        let results = service.apply(&steps, job.context).await;
        outcomes.extend(write.into_iter().map(|(index, _)| index).zip(results));
    }
    outcomes
}

/// As planned: `None`, go on and write. Otherwise what became of the step without a write.
fn recheck(step: &Step, now: Option<&Model>) -> Option<Outcome> {
    let is = |model: Option<&Model>| match (now, model) {
        (None, None) => true,
        (Some(now), Some(model)) => agree(model, now),
        (Some(_), None) | (None, Some(_)) => false,
    };
    match step.part {
        Part::Stage | Part::Save => None,
        // What the step before it of the same plan has made is as good as what was planned on.
        Part::Credential | Part::Publish if is(step.before.as_ref()) || is(step.after.as_ref()) => None,
        Part::Main | Part::Close if is(step.before.as_ref()) => None,
        Part::Main | Part::Close if is(step.after.as_ref()) && !step.sets_credential => Some(Outcome::AlreadySo),
        Part::Main | Part::Credential | Part::Publish | Part::Close => {
            Some(Outcome::Stale { now: now.cloned().map(Box::new), differs: Vec::new() })
        }
    }
}

fn fail_all(left: &[(usize, &Step)], error: &Diagnostic) -> Vec<(usize, Outcome)> {
    left.iter()
        .map(|(index, step)| {
            let mut copy =
                Diagnostic::new(Kind::Service, format!("could not read it again before writing: {}", error.message));
            copy.hint = error.hint.clone();
            let error = copy.on(step.address.service(), &step.address, "");
            (*index, Outcome::Failed { error, retry: true })
        })
        .collect()
}

fn unknown_service(step: &Step) -> Diagnostic {
    Diagnostic::new(Kind::Plan, format!("{} lies on a service that this run did not connect to", step.address))
}

fn no_answer(step: &Step) -> Diagnostic {
    Diagnostic::new(Kind::Service, format!("{}: the service gave no answer for this step", step.address))
}
