//! The order of steps: a directed acyclic graph, sorted stably.

use super::step::{Step, StepId};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Steps that wait for one another in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<StepId>);

impl std::fmt::Display for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "these steps wait for one another: {}", names.join(" -> "))
    }
}

/// The graph of a plan: an edge leads from what must be done first to what waits for it.
pub fn build<M, O>(steps: &[Step<M, O>]) -> DiGraph<StepId, ()> {
    let mut graph = DiGraph::new();
    let nodes: BTreeMap<StepId, NodeIndex> = steps.iter().map(|step| (step.id(), graph.add_node(step.id()))).collect();
    for step in steps {
        let Some(&to) = nodes.get(&step.id()) else { continue };
        for from in step.needs.iter().filter_map(|need| nodes.get(need)) {
            graph.add_edge(*from, to, ());
        }
    }
    graph
}

/// Sorts steps so that each comes after all that it needs, and otherwise by their identity.
///
/// # Errors
/// The steps of a cycle, if there is one; two steps with one identity are one, too.
pub fn sort<M, O>(steps: Vec<Step<M, O>>) -> Result<Vec<Step<M, O>>, Cycle> {
    let graph = build(&steps);
    let mut waiting: BTreeMap<NodeIndex, usize> =
        graph.node_indices().map(|node| (node, graph.neighbors_directed(node, petgraph::Incoming).count())).collect();
    let mut ready: BTreeSet<(StepId, NodeIndex)> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .filter_map(|(node, _)| graph.node_weight(*node).map(|id| (id.clone(), *node)))
        .collect();
    let mut by_id: BTreeMap<StepId, Step<M, O>> = BTreeMap::new();
    for step in steps {
        let id = step.id();
        if by_id.insert(id.clone(), step).is_some() {
            return Err(Cycle(vec![id.clone(), id]));
        }
    }
    let mut sorted = Vec::with_capacity(by_id.len());
    while let Some((id, node)) = ready.pop_first() {
        sorted.extend(by_id.remove(&id));
        for next in graph.neighbors_directed(node, petgraph::Outgoing) {
            if let Some(count) = waiting.get_mut(&next) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.extend(graph.node_weight(next).map(|id| (id.clone(), next)));
                }
            }
        }
    }
    if by_id.is_empty() {
        return Ok(sorted);
    }
    let in_circle = |part: &Vec<NodeIndex>| part.len() > 1 || part.iter().any(|node| graph.contains_edge(*node, *node));
    let circle = kosaraju_scc(&graph).into_iter().find(in_circle).unwrap_or_default();
    Err(Cycle(circle.iter().filter_map(|node| graph.node_weight(*node).cloned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::step::Action;
    use crate::core::testing::step;
    use proptest::prelude::*;

    fn order(steps: Vec<Step<(), ()>>) -> Result<Vec<String>, Cycle> {
        Ok(sort(steps)?.iter().map(|step| step.address.name.clone()).collect())
    }

    #[test]
    fn needs_come_first_and_ties_go_by_address() {
        let steps = vec![
            step("t.x.c", "a", Action::Create, &[]),
            step("t.x.a", "a", Action::Create, &["t.x.z"]),
            step("t.x.z", "a", Action::Create, &[]),
            step("t.x.b", "a", Action::Create, &["t.x.not-in-the-plan"]),
        ];
        assert_eq!(order(steps).unwrap(), ["b", "c", "z", "a"]);
    }

    #[test]
    fn a_cycle_is_named() {
        let steps = vec![
            step("t.x.a", "a", Action::Create, &["t.x.b"]),
            step("t.x.b", "a", Action::Create, &["t.x.a"]),
            step("t.x.c", "a", Action::Create, &["t.x.b"]),
        ];
        let cycle = order(steps).unwrap_err();
        assert_eq!(cycle.0.len(), 2);
        assert!(cycle.to_string().contains("t.x.a") && cycle.to_string().contains("t.x.b"));
    }

    proptest! {
        /// Edges only from larger to smaller numbers have no cycle: every step comes after all that it needs.
        #[test]
        fn every_step_comes_after_what_it_needs(edges in proptest::collection::vec((0usize..40, 0usize..40), 0..200)) {
            let mut steps: Vec<Step<(), ()>> =
                (0..40).map(|n| step(&format!("t.x.{n}"), "a", Action::Create, &[])).collect();
            for (a, b) in edges.iter().filter(|(a, b)| a != b) {
                let need = steps[*a.min(b)].id();
                steps[*a.max(b)].needs.insert(need);
            }
            let sorted = sort(steps).unwrap();
            prop_assert_eq!(sorted.len(), 40);
            let mut done = BTreeSet::new();
            for step in &sorted {
                prop_assert!(step.needs.iter().all(|need| done.contains(need)));
                done.insert(step.id());
            }
        }
    }
}
