//! Notes durably that a service is about to be written to that saves apart from writing, and that all is saved: a run
//! that is killed between the two leaves the mark, and the next one saves.

use super::Job;
use super::batch::removes_keys;
use crate::services::{Durability, Op, ServiceId, Step};
use crate::state::{Document, Event};
use std::collections::{BTreeMap, BTreeSet};

/// Which marks this run has set, and where it is writing.
#[derive(Default)]
pub struct Marks {
    set: BTreeSet<ServiceId>,
    batches: BTreeMap<ServiceId, usize>,
}

impl Marks {
    /// Before a batch starts: the mark to set, which must be durable then.
    pub fn begin(&mut self, job: &Job<'_>, steps: &[&Step], document: &Document) -> Option<Event> {
        let (id, _) = saves_apart(job, steps)?;
        *self.batches.entry(id).or_default() += 1;
        if document.unsaved.contains(id.as_str()) {
            return None;
        }
        self.set.insert(id);
        Some(Event::Unsaved { service: id.to_string() })
    }

    /// After a batch: what takes the mark away, if all is saved. A mark of an earlier run stays until something is.
    pub fn end(&mut self, job: &Job<'_>, steps: &[&Step]) -> Option<Event> {
        let (id, durability) = saves_apart(job, steps)?;
        let batches = self.batches.entry(id).or_default();
        *batches = batches.saturating_sub(1);
        let safe = match durability {
            Durability::Saved => true,
            Durability::NothingWritten => self.set.contains(&id),
            Durability::AtOnce | Durability::Unsaved => false,
        };
        (safe && *batches == 0).then(|| Event::Saved { service: id.to_string() })
    }
}

/// The service of a batch that writes, if that saves apart from writing.
fn saves_apart(job: &Job<'_>, steps: &[&Step]) -> Option<(ServiceId, Durability)> {
    // Keys that are removed are no part of what is saved so.
    let step = steps.iter().find(|step| step.op != Op::State && !removes_keys(step))?;
    let id = ServiceId::of(&step.address)?;
    let durability = job.services.get(&id)?.durability();
    (durability != Durability::AtOnce).then_some((id, durability))
}
