//! One batch: read again, write what is as planned, try transient failures again.

use super::Job;
use crate::boundary;
use crate::core::address::Address;
use crate::core::change::agree;
use crate::core::step::{Part, StepId};
use crate::error::{Diagnostic, Kind};
use crate::services::{Durability, Model, Op, Outcome, Service, ServiceId, Step};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Of which only the state learns, in one look.
pub const STATE_BATCH: usize = 500;
/// Transient failures are tried again so often, each time after twice the pause.
pub const TRIES: u32 = 5;
pub const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// None begins later than that after the first: what failed by waiting has waited long enough.
pub const LAST_TRY: Duration = Duration::from_secs(45);

/// What became of a batch.
pub struct Ran {
    /// One for each step, in their order.
    pub outcomes: Vec<Outcome>,
    /// The places of those for which a service was asked to write, by this run or by an earlier one of the same plan.
    pub written: BTreeSet<usize>,
}

impl Ran {
    /// Of steps for which nobody was asked to write.
    pub fn unwritten(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, written: BTreeSet::new() }
    }
}

/// Carries out steps of one kind, action and part.
pub async fn run(job: &Job<'_>, steps: &[&Step]) -> Ran {
    let service = steps.first().and_then(|step| ServiceId::of(&step.address)).and_then(|id| job.services.get(&id));
    let Some(service) = service else {
        return Ran::unwritten(steps.iter().map(|step| Outcome::failed(unknown_service(step))).collect());
    };
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let is_begun = |step: &Step| job.saved.is_some_and(|saved| saved.has_begun(step));
    let mut written: BTreeSet<usize> =
        steps.iter().enumerate().filter(|(_, step)| is_begun(step)).map(|(index, _)| index).collect();
    let mut first = true;
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
            tokio::select! {
                () = tokio::time::sleep(pause) => pause *= 2,
                // What failed for now has failed: the next run tries again.
                () = job.stop.cancelled() => break,
            }
        }
        for (index, outcome) in attempt_once(job, service.as_ref(), &left, &mut written, &mut first).await {
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
    let outcomes = steps
        .iter()
        .enumerate()
        .map(|(index, step)| outcomes.remove(&index).unwrap_or_else(|| Outcome::failed(no_answer(step))))
        .collect();
    Ran { outcomes, written }
}

fn settled(outcome: Option<&Outcome>) -> bool {
    match outcome {
        None | Some(Outcome::Failed { retry: true, .. }) => false,
        Some(
            Outcome::Done { .. }
            | Outcome::Remains { .. }
            | Outcome::AlreadySo
            | Outcome::Stale { .. }
            | Outcome::Refused { .. }
            | Outcome::Failed { retry: false, .. }
            | Outcome::Skipped { .. },
        ) => true,
    }
}

/// Which steps would not be carried out as things are, and why.
pub async fn foresee(job: &Job<'_>, service: &dyn Service, steps: &[&Step]) -> Vec<(StepId, Outcome)> {
    let addresses = steps.iter().map(|step| step.address.clone()).collect();
    let now = match service.read(&addresses, steps).await {
        Ok(now) => now,
        Err(error) => {
            let left: Vec<(usize, &Step)> = steps.iter().copied().enumerate().collect();
            let failed = fail_all(&left, &error).into_iter().map(|(_, outcome)| outcome);
            return steps.iter().map(|step| step.id()).zip(failed).collect();
        }
    };
    let (mut outcomes, mut as_planned) = (Vec::new(), Vec::new());
    for step in steps {
        let there = now.get(&step.address);
        match again(job, step, there).or_else(|| recheck(step, there)) {
            None => as_planned.push(*step),
            Some(outcome) if outcome.succeeded() => {}
            Some(outcome) => outcomes.push((step.id(), compared(service, step, outcome).await)),
        }
    }
    outcomes.extend(service.foresee(&as_planned).await);
    outcomes
}

/// With what is otherwise than planned, if anything is.
async fn compared(service: &dyn Service, step: &Step, outcome: Outcome) -> Outcome {
    let Outcome::Stale { now: Some(now), .. } = outcome else { return outcome };
    let differs = match step.before.as_ref().or(step.after.as_ref()) {
        Some(expected) => service.differences(expected, &now).await,
        None => Vec::new(),
    };
    Outcome::Stale { now: Some(now), differs }
}

/// `written` gets the places of the steps for which the service was asked to write; `first` is whether it was not yet.
async fn attempt_once(
    job: &Job<'_>,
    service: &dyn Service,
    left: &[(usize, &Step)],
    written: &mut BTreeSet<usize>,
    first: &mut bool,
) -> Vec<(usize, Outcome)> {
    let steps: Vec<&Step> = left.iter().map(|(_, step)| *step).collect();
    let addresses: BTreeSet<Address> = steps
        .iter()
        .filter(|step| !matches!(step.part, Part::Stage | Part::Save | Part::Rename))
        .map(|step| step.address.clone())
        .collect();
    let now = if addresses.is_empty() { Ok(BTreeMap::new()) } else { service.read(&addresses, &steps).await };
    let now = match now {
        Ok(now) => now,
        Err(error) => return fail_all(left, &error),
    };
    let judged: Vec<(usize, &Step, Option<Outcome>)> = left
        .iter()
        .map(|(index, step)| {
            let there = now.get(&step.address);
            (*index, *step, again(job, step, there).or_else(|| recheck(step, there)))
        })
        .collect();
    // A server may do what a killed run asked for when the next one has been planned already.
    let is_stale = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Stale { .. }));
    let may_be_late = judged.iter().filter(|(index, _, outcome)| is_stale(outcome) && !written.contains(index));
    let may_be_late = may_be_late.map(|(_, step, _)| *step).filter(|step| is_unproven(step, now.get(&step.address)));
    let may_be_late: Vec<&Step> = may_be_late.collect();
    let late = match may_be_late.is_empty() {
        true => BTreeSet::new(),
        false => service.with_staged_password(&may_be_late, job.context).await,
    };
    let mut outcomes = Vec::new();
    let mut write: Vec<(usize, Cow<'_, Step>)> = Vec::new();
    for (index, step, outcome) in judged {
        let there = now.get(&step.address);
        // An answer was lost, or half of it failed.
        let is_ours = is_stale(&outcome) && (written.contains(&index) || late.contains(&step.address));
        let rest = if is_ours { rest(service, step, there) } else { None };
        if let Some(rest) = rest {
            write.push((index, rest));
            continue;
        }
        match outcome {
            // Its answer was lost, or the run that wrote it was killed, and what saves it comes after that.
            Some(Outcome::AlreadySo) if written.contains(&index) && may_be_unsaved(service, step) => {
                write.push((index, Cow::Borrowed(step)));
            }
            Some(outcome) => outcomes.push((index, compared(service, step, outcome).await)),
            None => write.push((index, Cow::Borrowed(step))),
        }
    }
    let (noted, write): (Vec<_>, Vec<_>) = write.into_iter().partition(|(_, step)| step.op == Op::State);
    outcomes.extend(noted.into_iter().map(|(index, _)| (index, Outcome::done())));
    let steps: Vec<&Step> = write.iter().map(|(_, step)| step.as_ref()).collect();
    if !steps.is_empty() {
        let is_first = std::mem::replace(first, false);
        written.extend(write.iter().map(|(index, _)| *index));
        boundary::pass(|| format!("before {}", name(&steps)));
        let mut results = service.apply(&steps, job.context).await;
        boundary::pass(|| format!("after {}", name(&steps)));
        if boundary::twice() && is_first {
            boundary::pass(|| format!("lost answer to {}", name(&steps)));
            results = steps.iter().map(|step| Outcome::Failed { error: no_answer(step), retry: true }).collect();
        }
        outcomes.extend(write.iter().map(|(index, _)| *index).zip(results));
    }
    outcomes
}

/// What is known of a step of a saved plan before it is held against what is there now: `None`, if it is to be.
fn again(job: &Job<'_>, step: &Step, now: Option<&Model>) -> Option<Outcome> {
    let saved = job.saved?;
    let is_done = saved.has_done(step);
    // Once removed, keys are not removed again.
    let is_as_wanted = is(now, step.after.as_ref()) || is_done && removes_keys(step);
    match (saved.refuses(step), step.part) {
        (None, _) if !is_done => None,
        (_, Part::Stage | Part::Save) | (None, Part::Rename) if is_done => Some(Outcome::AlreadySo),
        (_, Part::Main | Part::Credential | Part::Publish | Part::Close)
            if is_as_wanted && (is_done || !step.sets_credential) =>
        {
            Some(Outcome::AlreadySo)
        }
        (Some(why), _) => Some(Outcome::Refused { why: why.to_owned() }),
        // What it has removed once and is there again is another one.
        (None, _) => Some(Outcome::Refused {
            why: "this plan was carried out on it before, and it has been changed since".to_owned(),
        }),
    }
}

fn is(now: Option<&Model>, model: Option<&Model>) -> bool {
    match (now, model) {
        (None, None) => true,
        (Some(now), Some(model)) => agree(model, now),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// As planned: `None`, go on and write. Otherwise what became of the step without a write.
fn recheck(step: &Step, now: Option<&Model>) -> Option<Outcome> {
    let is = |model: Option<&Model>| is(now, model);
    match step.part {
        // Whether a thing still has its name is seen by the very statement that gives it another.
        Part::Stage | Part::Save | Part::Rename => None,
        // What the step before it of the same plan has made is as good as what was planned on.
        Part::Credential | Part::Publish if is(step.before.as_ref()) || is(step.after.as_ref()) => None,
        Part::Main | Part::Close if is(step.before.as_ref()) => None,
        Part::Main | Part::Close if is(step.after.as_ref()) && !step.sets_credential => Some(Outcome::AlreadySo),
        Part::Main | Part::Credential | Part::Publish | Part::Close => {
            Some(Outcome::Stale { now: now.cloned().map(Box::new), differs: Vec::new() })
        }
    }
}

/// A batch as a boundary is called: `batch create postgres.database main`.
fn name(steps: &[&Step]) -> String {
    let words = steps.first().map(|step| format!("{:?} {} {:?}", step.action, step.address.kind, step.part));
    format!("batch {}", words.unwrap_or_default().to_lowercase())
}

/// Whether what was written of a step may be lost at the next restart. Keys are no part of what is saved so.
fn may_be_unsaved(service: &dyn Service, step: &Step) -> bool {
    let is_safe = matches!(service.durability(), Durability::AtOnce | Durability::Saved);
    !is_safe && !removes_keys(step)
}

/// Whether it removes keys, of which nobody can tell whose they are.
pub fn removes_keys(step: &Step) -> bool {
    step.before.as_ref().is_some_and(|before| before.as_valkey_keys().is_some())
}

/// What is left to do of a step that was written already, where what is there is neither end of it.
fn rest<'a>(service: &dyn Service, step: &'a Step, now: Option<&Model>) -> Option<Cow<'a, Step>> {
    if is_unproven(step, now) { Some(Cow::Borrowed(step)) } else { service.rest_of(step, now).map(Cow::Owned) }
}

/// All is as wanted but for a password of which nobody can read whether it is the one that was to be set.
fn is_unproven(step: &Step, now: Option<&Model>) -> bool {
    step.sets_credential && now.zip(step.after.as_ref()).is_some_and(|(now, after)| agree(after, now))
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
