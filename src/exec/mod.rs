//! Carries out a plan: every ready step as soon as its service has room, in batches, until nothing is left.
//!
//! All concurrency is here. Services only say how large a batch may be and how many calls of a kind may be in flight.

mod batch;
mod queue;
mod saving;
pub mod stage;

use crate::core::step::{Action, Part, StepId};
use crate::error::Diagnostic;
use crate::services::{ApplyContext, Outcome, Service, ServiceId, Step};
use crate::state::{Event, LockedStore, Origin};
use futures_util::stream::{FuturesUnordered, StreamExt};
use queue::Queue;
use saving::Marks;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// What is carried out, and with what.
pub struct Job<'a> {
    pub steps: &'a [Step],
    pub services: &'a BTreeMap<ServiceId, Box<dyn Service>>,
    pub context: &'a ApplyContext,
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
    let mut unrecorded = None;
    let mut marks = Marks::default();
    loop {
        while !job.stop.is_cancelled() && unrecorded.is_none() {
            let Some(batch) = queue.next_batch() else { break };
            let steps = queue.steps(&batch);
            if let Err(error) = marks.begin(job, &steps, store) {
                unrecorded = Some(error);
                break;
            }
            listener.started(&steps);
            in_flight.push(async move {
                let results = batch::run(job, &steps).await;
                (batch, results)
            });
        }
        let finished = tokio::select! {
            biased;
            () = job.abort.cancelled() => None,
            finished = in_flight.next() => finished,
        };
        let Some((batch, results)) = finished else { break };
        let mut events = Vec::new();
        let steps = queue.steps(&batch);
        let done = queue.finish(&batch, results);
        for (step, outcome) in &done {
            listener.finished(step, outcome);
            events.extend(event(step, outcome, store));
        }
        events.extend(marks.end(job, &steps));
        outcomes.extend(done.into_iter().map(|(step, outcome)| (step.id(), outcome)));
        if let Err(error) = store.append(&events) {
            unrecorded.get_or_insert(error);
        }
    }
    Executed { outcomes, unrecorded }
}

/// What the state learns from a completed step.
fn event(step: &Step, outcome: &Outcome, store: &LockedStore) -> Option<Event> {
    let fingerprint = match outcome {
        Outcome::Done { fingerprint, .. } => fingerprint.clone(),
        Outcome::AlreadySo => None,
        Outcome::Remains { .. } | Outcome::Stale { .. } | Outcome::Failed { .. } | Outcome::Skipped { .. } => {
            return None;
        }
    };
    let address = step.address.clone();
    match (step.part, &step.after) {
        (Part::Stage | Part::Save, _) => None,
        (Part::Credential, _) => fingerprint.map(|fingerprint| Event::Credential { address, fingerprint }),
        (Part::Main | Part::Publish | Part::Close, None) => Some(Event::Gone { address }),
        (Part::Main | Part::Publish | Part::Close, Some(after)) => {
            let known = store.document().resources.get(&address).map(|entry| entry.origin);
            let origin = if step.action == Action::Create { Origin::Created } else { known.unwrap_or(Origin::Adopted) };
            Some(Event::Applied { address, app: step.app.clone(), origin, model: Box::new(after.clone()), fingerprint })
        }
    }
}
