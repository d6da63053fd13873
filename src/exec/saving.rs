//! Notes durably that a service is about to be written to that saves apart from writing, and that all is saved: a run
//! that is killed between the two leaves the mark, and the next one saves. And which thing is about to get another name.

use super::Job;
use super::batch::removes_keys;
use crate::services::postgres::model::Op as PostgresOp;
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
    /// Before a batch starts: what must be durable then.
    pub fn begin(&mut self, job: &Job<'_>, steps: &[&Step], document: &Document) -> Vec<Event> {
        let mut events: Vec<Event> = steps.iter().filter_map(|step| renaming(step)).collect();
        if let Some((id, _)) = saves_apart(job, steps) {
            *self.batches.entry(id).or_default() += 1;
            if !document.unsaved.contains(id.as_str()) {
                self.set.insert(id);
                events.push(Event::Unsaved { service: id.to_string() });
            }
        }
        events
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

/// What tells the next run that a thing is ours under its new name, if this one gets no further.
fn renaming(step: &Step) -> Option<Event> {
    let (Op::Postgres(PostgresOp::RenameDatabase { oid, .. } | PostgresOp::RenameRole { oid, .. }), Some(from)) =
        (&step.op, &step.renamed_from)
    else {
        return None;
    };
    let to = step.address.clone();
    oid.clone().map(|identity| Event::Renaming { from: from.clone(), to, identity })
}

/// The service of a batch that writes, if that saves apart from writing.
fn saves_apart(job: &Job<'_>, steps: &[&Step]) -> Option<(ServiceId, Durability)> {
    // Keys that are removed are no part of what is saved so.
    let step = steps.iter().find(|step| step.op != Op::State && !removes_keys(step))?;
    let id = ServiceId::of(&step.address)?;
    let durability = job.services.get(&id)?.durability();
    (durability != Durability::AtOnce).then_some((id, durability))
}
