//! Carries out a plan: every ready step as soon as its service has room, in batches, until nothing is left.
//!
//! All concurrency is here. Services only say how large a batch may be and how many calls of a kind may be in flight.

mod batch;
pub mod carried;
mod looks;
mod queue;
mod saving;
pub mod stage;

use crate::core::step::{Action, Part, StepId};
use crate::error::Diagnostic;
use crate::secrets::model::SECRET;
use crate::services::{ApplyContext, Outcome, Service, ServiceId, Step};
use crate::state::{Entry, Event, LockedStore, Origin};
use batch::Ran;
use carried::SavedPlan;
use futures_util::stream::{FuturesUnordered, StreamExt};
use queue::Queue;
use saving::Marks;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use tokio_util::sync::CancellationToken;

/// What is carried out, and with what.
pub struct Job<'a> {
    pub steps: &'a [Step],
    pub services: &'a BTreeMap<ServiceId, Box<dyn Service>>,
    pub context: &'a ApplyContext,
    /// Where a saved plan is carried out: what is known of it.
    pub saved: Option<&'a SavedPlan>,
    /// Calls in flight at most.
    pub parallelism: usize,
    /// Ends the run after what is in flight.
    pub stop: CancellationToken,
    /// Ends the run at once.
    pub abort: CancellationToken,
}

/// Hears what happens while it happens.
pub trait Listener {
    fn started(&self, steps: &[&Step]);
    fn finished(&self, step: &Step, outcome: &Outcome);
}

/// What became of each step. Steps that were never started, because of an interrupt, have no outcome.
pub type Outcomes = BTreeMap<StepId, Outcome>;

/// What a run came to.
pub struct Executed {
    pub outcomes: Outcomes,
    /// Steps that were in flight when the run was ended at once: nobody knows what became of them.
    pub given_up: BTreeSet<StepId>,
    /// Why the journal could not be written. Nothing more was started from then on, as it would be forgotten; what was
    /// in flight was waited for.
    pub unrecorded: Option<Diagnostic>,
}

/// Runs every step that is not held. Each completed batch is in the journal before anything that depends on it starts.
pub async fn execute(job: &Job<'_>, store: &mut LockedStore, listener: &dyn Listener) -> Executed {
    let mut queue = Queue::new(job.steps, job.parallelism, |step| {
        let service = ServiceId::of(&step.address).and_then(|id| job.services.get(&id));
        service.map(|service| service.limits(&step.address.kind))
    });
    let mut outcomes = Outcomes::new();
    let mut in_flight = FuturesUnordered::new();
    let mut finished = VecDeque::new();
    let mut unrecorded = None;
    let mut marks = Marks::default();
    let mut given_up = BTreeSet::new();
    let looks = async { (looks::at_what_is_noted(job).await, looks::at_what_goes_last(job).await) };
    let (mut noted, refused) = tokio::select! {
        biased;
        () = job.abort.cancelled() => Default::default(),
        looked = looks => looked,
    };
    for (step, outcome) in refused {
        for (step, outcome) in queue.refuse(&step, outcome) {
            listener.finished(step, &outcome);
            outcomes.insert(step.id(), outcome);
        }
    }
    loop {
        while !job.stop.is_cancelled() && unrecorded.is_none() {
            let Some(batch) = queue.next_batch() else { break };
            let steps = queue.steps(&batch);
            // Another run may have the lock by now: then nothing more is begun.
            let begin = async {
                store.check().await?;
                let marks = marks.begin(job, &steps, store.document());
                let begins = job.saved.and_then(|saved| saved.begins(&steps));
                let events: Vec<Event> = marks.into_iter().chain(begins).collect();
                if events.is_empty() { Ok(()) } else { store.append(&events).await }
            };
            match meanwhile(job, begin, &mut in_flight, &mut finished).await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    unrecorded = Some(error);
                    break;
                }
                None => break,
            }
            listener.started(&steps);
            given_up.extend(steps.iter().map(|step| step.id()));
            let looked_at: Option<Vec<Outcome>> = steps.iter().map(|step| noted.remove(&step.id())).collect();
            in_flight.push(async move {
                let ran = match looked_at {
                    Some(outcomes) => Ran::unwritten(outcomes),
                    None => batch::run(job, &steps).await,
                };
                (batch, ran)
            });
        }
        if finished.is_empty() {
            tokio::select! {
                biased;
                () = job.abort.cancelled() => {}
                done = in_flight.next() => finished.extend(done),
            }
        }
        let Some((batch, Ran { outcomes: results, written })) = finished.pop_front() else { break };
        let mut events = Vec::new();
        let steps = queue.steps(&batch);
        let places = steps.iter().enumerate().zip(&results);
        let untouched = places.filter(|((place, _), outcome)| !outcome.succeeded() && !written.contains(place));
        let untouched: Vec<&Step> = untouched.map(|((_, step), _)| *step).collect();
        events.extend(job.saved.and_then(|saved| saved.untouched(untouched.into_iter())));
        steps.iter().for_each(|step| _ = given_up.remove(&step.id()));
        let done = queue.finish(&batch, results);
        for (step, outcome) in &done {
            listener.finished(step, outcome);
            events.extend(events_of(step, outcome, store));
            events.extend(job.saved.and_then(|saved| saved.event(step, outcome)));
        }
        events.extend(marks.end(job, &steps));
        outcomes.extend(done.into_iter().map(|(step, outcome)| (step.id(), outcome)));
        // What is given up here is noted in memory all the same.
        if let Some(Err(error)) = meanwhile(job, store.append(&events), &mut in_flight, &mut finished).await {
            unrecorded.get_or_insert(error);
        }
    }
    Executed { outcomes, given_up, unrecorded }
}

/// What the state is asked or told, unless the run is ended at once meanwhile: a database may hang. What is in flight goes on
/// all the time.
async fn meanwhile<T, D>(
    job: &Job<'_>,
    work: impl Future<Output = T>,
    in_flight: &mut FuturesUnordered<impl Future<Output = D>>,
    finished: &mut VecDeque<D>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = job.abort.cancelled() => return None,
            Some(done) = in_flight.next() => finished.push_back(done),
        }
    }
}

/// What the state learns from a completed step.
fn events_of(step: &Step, outcome: &Outcome, store: &LockedStore) -> Vec<Event> {
    let address = step.address.clone();
    // A password that the server threw away with the name was set anew.
    let anew = if let Outcome::Done { fingerprint: Some(fingerprint), .. } = outcome
        && step.part == Part::Rename
    {
        Some(Event::Credential { address, fingerprint: fingerprint.clone() })
    } else {
        None
    };
    event(step, outcome, store).into_iter().chain(anew).collect()
}

fn event(step: &Step, outcome: &Outcome, store: &LockedStore) -> Option<Event> {
    let fingerprint = match outcome {
        Outcome::Done { fingerprint, .. } => fingerprint.clone(),
        Outcome::AlreadySo => None,
        Outcome::Remains { .. }
        | Outcome::Stale { .. }
        | Outcome::Refused { .. }
        | Outcome::Failed { .. }
        | Outcome::Skipped { .. } => return None,
    };
    let address = step.address.clone();
    match (step.part, &step.after) {
        (Part::Stage | Part::Save, _) => None,
        // An app has its former name until the last of it is done.
        (Part::Rename, _) if address.kind == SECRET => None,
        (Part::Rename, _) | (Part::Close, _) if step.renamed_from.is_some() => {
            step.renamed_from.clone().map(|from| Event::Renamed { from, to: address })
        }
        (Part::Rename, _) => None,
        (Part::Credential, _) => fingerprint.map(|fingerprint| Event::Credential { address, fingerprint }),
        (Part::Main | Part::Publish | Part::Close, None) => Some(Event::Gone { address }),
        (Part::Main | Part::Publish | Part::Close, Some(after)) => {
            let known = store.document().resources.get(&address).map(|entry| entry.origin);
            let is_made = matches!(step.action, Action::Create | Action::Rename);
            let origin = if is_made { Origin::Created } else { known.unwrap_or(Origin::Adopted) };
            let is_known = |entry: &Entry| entry.app == step.app && entry.applied == *after;
            if matches!(outcome, Outcome::AlreadySo) && store.document().resources.get(&address).is_some_and(is_known) {
                return None;
            }
            Some(Event::Applied { address, app: step.app.clone(), origin, model: Box::new(after.clone()), fingerprint })
        }
    }
}
