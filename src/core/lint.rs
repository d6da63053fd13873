//! Laws that every plan keeps, checked in every planner test and before every apply.

use super::plan::Plan;
use super::step::{Action, Part, Risk, StepId};
use std::collections::BTreeSet;

/// Says which laws a plan breaks; nothing for a sound plan.
pub fn lint<M, O>(plan: &Plan<M, O>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut done: BTreeSet<StepId> = BTreeSet::new();
    let all: BTreeSet<StepId> = plan.steps.iter().map(super::step::Step::id).collect();
    if all.len() != plan.steps.len() {
        broken.push("two steps have one identity".to_owned());
    }
    for step in &plan.steps {
        let id = step.id();
        for need in step.needs.iter().filter(|need| all.contains(need) && !done.contains(need)) {
            broken.push(format!("{id} comes before {need}, which it needs"));
        }
        let whole = match step.action {
            Action::Create => step.before.is_none() && step.after.is_some(),
            Action::Destroy => step.before.is_some() && step.after.is_none(),
            Action::Forget => step.before.is_none() && step.after.is_none(),
            Action::Update | Action::Replace => step.before.is_some() && step.after.is_some(),
            Action::Adopt | Action::Record | Action::Rotate | Action::Rename => step.after.is_some(),
        };
        if !whole && step.part == Part::Main {
            broken.push(format!("{id}: {} with the wrong ends", step.action));
        }
        if step.action == Action::Update && step.changes.is_empty() && step.part == Part::Main {
            broken.push(format!("{id}: an update that changes nothing"));
        }
        // An update loses data that asks for a shorter retention.
        if step.risks.contains(&Risk::LosesData) && !matches!(step.action, Action::Destroy | Action::Update) {
            broken.push(format!("{id}: {} loses data", step.action));
        }
        done.insert(id);
    }
    broken
}
