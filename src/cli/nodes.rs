//! What an apply notes of the nodes of services that are more than one server.

use crate::core::nodes::Nodes;
use crate::core::plan::ServiceHead;
use crate::core::step::Part;
use crate::services::{Op, Plan, Step};
use crate::state::{Document, Event};
use std::collections::{BTreeMap, BTreeSet};

/// Before the first step: which nodes there are, and which of them will miss what is about to be written.
pub fn met(plan: &Plan, document: &Document) -> Vec<Event> {
    let mut events = Vec::new();
    for (service, ServiceHead { nodes, .. }) in &plan.services {
        let (known, behind) = (of(&document.nodes, service), of(&document.away, service));
        if nodes.here.is_empty() {
            continue;
        }
        let remembered = nodes.remembered(&known);
        if remembered != known {
            events.push(Event::Nodes { service: service.clone(), nodes: remembered });
        }
        let writes =
            plan.runnable().any(|step| is_written_to_nodes(step) && step.address.service() == service.as_str());
        let missing = if writes { nodes.absent.clone() } else { BTreeSet::new() };
        let away: BTreeSet<String> = behind.difference(&nodes.left).cloned().chain(missing).collect();
        if away != behind {
            events.push(Event::Away { service: service.clone(), nodes: away });
        }
    }
    events
}

/// After a whole run, from which nothing was left out: the nodes that were there have all that they should.
pub fn even(plan: &Plan, document: &Document) -> Vec<Event> {
    if !plan.narrowed_to.is_empty() {
        return Vec::new();
    }
    let mut events = Vec::new();
    for (service, ServiceHead { nodes: Nodes { here, .. }, .. }) in &plan.services {
        let is_held = plan.held().any(|step| step.address.service() == service.as_str());
        let behind = of(&document.away, service);
        let away: BTreeSet<String> = behind.difference(here).cloned().collect();
        if !is_held && away != behind {
            events.push(Event::Away { service: service.clone(), nodes: away });
        }
    }
    events
}

fn of(sets: &BTreeMap<String, BTreeSet<String>>, service: &str) -> BTreeSet<String> {
    sets.get(service).cloned().unwrap_or_default()
}

/// Whether every node gets something of its own by a step.
fn is_written_to_nodes(step: &Step) -> bool {
    step.op != Op::State && step.part != Part::Save
}
