//! Which steps are ready, and which of them go together.

use super::batch::STATE_BATCH;
use crate::core::step::{Action, Part, StepId};
use crate::services::kafka::model::ACL;
use crate::services::{Limits, Outcome, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What goes into one call: steps of one kind, action and part.
type Group = (String, Action, Part);

/// Where a step stands, as long as it has no outcome.
struct Waiting<'a> {
    step: &'a Step,
    needs: BTreeSet<StepId>,
}

/// Steps that were handed out together.
pub struct Batch {
    kind: String,
    ids: Vec<StepId>,
}

/// The ready-queue. It starts nothing itself.
pub struct Queue<'a> {
    all: BTreeMap<StepId, &'a Step>,
    waiting: BTreeMap<StepId, Waiting<'a>>,
    dependents: BTreeMap<StepId, Vec<StepId>>,
    /// Ready steps by group, in address order.
    ready: BTreeMap<Group, BTreeSet<StepId>>,
    limits: BTreeMap<String, Limits>,
    in_flight: BTreeMap<String, usize>,
    parallelism: usize,
    /// Keys of what runs and excludes others.
    busy: BTreeSet<String>,
}

impl<'a> Queue<'a> {
    /// Held steps are left out; the plan has already held what depends on them.
    pub fn new(steps: &'a [Step], parallelism: usize, limits: impl Fn(&Step) -> Option<Limits>) -> Self {
        let all: BTreeMap<StepId, &Step> =
            steps.iter().filter(|step| step.runs()).map(|step| (step.id(), step)).collect();
        let mut queue = Self {
            waiting: BTreeMap::new(),
            dependents: BTreeMap::new(),
            ready: BTreeMap::new(),
            limits: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            parallelism: parallelism.max(1),
            busy: BTreeSet::new(),
            all,
        };
        for (id, step) in queue.all.clone() {
            let kind = step.address.kind.as_str().to_owned();
            let default = Limits { batch: 1, in_flight: 1 };
            queue.limits.entry(kind).or_insert_with(|| limits(step).unwrap_or(default));
            let needs: BTreeSet<StepId> =
                step.needs.iter().filter(|need| queue.all.contains_key(need)).cloned().collect();
            for need in &needs {
                queue.dependents.entry(need.clone()).or_default().push(id.clone());
            }
            if needs.is_empty() {
                queue.make_ready(step);
            } else {
                queue.waiting.insert(id, Waiting { step, needs });
            }
        }
        queue
    }

    fn make_ready(&mut self, step: &Step) {
        let group = (step.address.kind.as_str().to_owned(), step.action, step.part);
        self.ready.entry(group).or_default().insert(step.id());
    }

    /// The next steps that may start now, if any may.
    pub fn next_batch(&mut self) -> Option<Batch> {
        if self.in_flight.values().sum::<usize>() >= self.parallelism {
            return None;
        }
        let groups: Vec<Group> = self.ready.keys().cloned().collect();
        groups.into_iter().find_map(|group| self.take(&group))
    }

    fn take(&mut self, group: &Group) -> Option<Batch> {
        let kind = group.0.clone();
        let limits = self.limits.get(&kind).copied()?;
        if self.in_flight.get(&kind).copied().unwrap_or_default() >= limits.in_flight {
            return None;
        }
        let ready = self.ready.get_mut(group)?;
        // Where nothing is written, one line of the journal each is all.
        let batch = if group.1.only_state() { limits.batch.max(STATE_BATCH) } else { limits.batch };
        let mut ids = Vec::new();
        for id in ready.iter() {
            let Some(step) = self.all.get(id) else { continue };
            let free = step.exclusive.as_ref().is_none_or(|key| self.busy.insert(key.clone()));
            if free {
                ids.push(id.clone());
            }
            if ids.len() >= batch {
                break;
            }
        }
        for id in &ids {
            ready.remove(id);
        }
        if ready.is_empty() {
            self.ready.remove(group);
        }
        if ids.is_empty() {
            return None;
        }
        *self.in_flight.entry(kind.clone()).or_default() += 1;
        Some(Batch { kind, ids })
    }

    pub fn steps(&self, batch: &Batch) -> Vec<&'a Step> {
        batch.ids.iter().filter_map(|id| self.all.get(id).copied()).collect()
    }

    /// Takes the outcomes of a batch, in its order; what depends on a failure is skipped with it. Returns every step
    /// that has an outcome now.
    pub fn finish(&mut self, batch: &Batch, outcomes: Vec<Outcome>) -> Vec<(&'a Step, Outcome)> {
        if let Some(count) = self.in_flight.get_mut(&batch.kind) {
            *count = count.saturating_sub(1);
        }
        let mut done = Vec::new();
        for (step, outcome) in self.steps(batch).into_iter().zip(outcomes) {
            if let Some(key) = &step.exclusive {
                self.busy.remove(key);
            }
            if outcome.succeeded() {
                self.release(&step.id());
            } else {
                done.extend(self.skip(&step.id()));
            }
            done.push((step, outcome));
        }
        done
    }

    /// Takes the outcome of a step before its turn. The ways to what stays, which would go before it, stay too. Returns every
    /// step that has an outcome now.
    pub fn refuse(&mut self, id: &StepId, outcome: Outcome) -> Vec<(&'a Step, Outcome)> {
        let Some(step) = self.all.get(id).copied() else { return Vec::new() };
        let mut done = self.leave_out(step, outcome);
        let is_way = |way: &&Step| way.action == Action::Destroy || way.address.kind == ACL;
        let goes = |need: &&StepId| self.all.get(need).is_some_and(is_way);
        let ways: Vec<StepId> = step.needs.iter().filter(goes).cloned().collect();
        for way in ways.iter().filter_map(|way| self.all.get(way).copied()).collect::<Vec<_>>() {
            done.extend(self.leave_out(way, Outcome::Skipped { because_of: id.clone() }));
        }
        done
    }

    /// Gives an outcome to a step that has none, and with it to what depends on it.
    fn leave_out(&mut self, step: &'a Step, outcome: Outcome) -> Vec<(&'a Step, Outcome)> {
        let id = step.id();
        let was_ready = self.ready.values_mut().any(|ready| ready.remove(&id));
        self.ready.retain(|_, ready| !ready.is_empty());
        if self.waiting.remove(&id).is_none() && !was_ready {
            return Vec::new();
        }
        let mut done = self.skip(&id);
        done.push((step, outcome));
        done
    }

    fn release(&mut self, id: &StepId) {
        for dependent in self.dependents.remove(id).unwrap_or_default() {
            let Some(waiting) = self.waiting.get_mut(&dependent) else { continue };
            waiting.needs.remove(id);
            if waiting.needs.is_empty()
                && let Some(ready) = self.waiting.remove(&dependent)
            {
                self.make_ready(ready.step);
            }
        }
    }

    fn skip(&mut self, because_of: &StepId) -> Vec<(&'a Step, Outcome)> {
        let mut skipped = Vec::new();
        let mut reached = vec![because_of.clone()];
        while let Some(id) = reached.pop() {
            for dependent in self.dependents.remove(&id).unwrap_or_default() {
                if let Some(waiting) = self.waiting.remove(&dependent) {
                    skipped.push((waiting.step, Outcome::Skipped { because_of: because_of.clone() }));
                    reached.push(dependent);
                }
            }
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Address;
    use crate::core::name::AppName;
    use crate::error::{Diagnostic, Kind};
    use crate::services::Op;

    fn step(address: &str, needs: &[&str]) -> Step {
        Step {
            address: address.parse().unwrap(),
            part: Part::Main,
            app: AppName::new("a").unwrap(),
            action: Action::Create,
            reasons: BTreeSet::new(),
            risks: BTreeSet::new(),
            changes: Vec::new(),
            notes: Vec::new(),
            before: None,
            op: Op::State,
            after: None,
            sets_credential: false,
            needs: needs.iter().map(|need| StepId::main(need.parse::<Address>().unwrap())).collect(),
            exclusive: None,
            part_of: None,
            renamed_from: None,
            hold: None,
        }
    }

    fn names(queue: &Queue<'_>, batch: &Batch) -> Vec<String> {
        queue.steps(batch).iter().map(|step| step.address.to_string()).collect()
    }

    fn limits(batch: usize, in_flight: usize) -> impl Fn(&Step) -> Option<Limits> {
        move |_| Some(Limits { batch, in_flight })
    }

    #[test]
    fn ready_steps_of_a_kind_go_together_up_to_the_limit() {
        let steps: Vec<Step> = (0..5).map(|n| step(&format!("kafka.topic.t{n}"), &[])).collect();
        let mut queue = Queue::new(&steps, 8, limits(3, 2));
        let first = queue.next_batch().unwrap();
        assert_eq!(names(&queue, &first), ["kafka.topic.t0", "kafka.topic.t1", "kafka.topic.t2"]);
        let second = queue.next_batch().unwrap();
        assert_eq!(names(&queue, &second), ["kafka.topic.t3", "kafka.topic.t4"]);
    }

    #[test]
    fn what_depends_on_a_failure_is_skipped_and_nothing_else() {
        let steps = vec![
            step("postgres.database.a", &[]),
            step("postgres.grant.a/x", &["postgres.database.a"]),
            step("postgres.grant.b/x", &["postgres.database.b"]),
            step("postgres.database.b", &[]),
        ];
        let mut queue = Queue::new(&steps, 8, limits(1, 2));
        let first = queue.next_batch().unwrap();
        let second = queue.next_batch().unwrap();
        assert!(queue.next_batch().is_none());
        let error = Diagnostic::new(Kind::Service, "no");
        let done = queue.finish(&first, vec![Outcome::failed(error)]);
        assert_eq!(done.len(), 2);
        queue.finish(&second, vec![Outcome::done()]);
        let third = queue.next_batch().unwrap();
        assert_eq!(names(&queue, &third), ["postgres.grant.b/x"]);
    }

    #[test]
    fn what_is_refused_beforehand_keeps_the_ways_to_it() {
        let mut steps = vec![
            step("kafka.acl.a", &[]),
            step("kafka.acl.b", &[]),
            step("kafka.user.a", &["kafka.acl.a"]),
            step("kafka.topic.a", &["kafka.acl.a", "kafka.user.a"]),
            step("secret.a", &["kafka.topic.a"]),
        ];
        for step in &mut steps {
            step.action = Action::Destroy;
        }
        // An app that stays has less to do only.
        steps[0].action = Action::Update;
        let mut queue = Queue::new(&steps, 8, limits(10, 10));
        let done = queue.refuse(&steps[3].id(), Outcome::Refused { why: "no".to_owned() });
        let mut left: Vec<String> = done.iter().map(|(step, _)| step.address.to_string()).collect();
        left.sort();
        assert_eq!(left, ["kafka.acl.a", "kafka.topic.a", "kafka.user.a", "secret.a"]);
        assert_eq!(done.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Refused { .. })).count(), 1);
        let rest = queue.next_batch().unwrap();
        assert_eq!(names(&queue, &rest), ["kafka.acl.b"]);
        assert!(queue.next_batch().is_none());
    }

    #[test]
    fn steps_with_one_key_never_run_at_once() {
        let mut steps = vec![step("postgres.grant.a/x", &[]), step("postgres.grant.a/y", &[])];
        for step in &mut steps {
            step.exclusive = Some("a".to_owned());
        }
        let mut queue = Queue::new(&steps, 8, limits(10, 10));
        let first = queue.next_batch().unwrap();
        assert_eq!(names(&queue, &first), ["postgres.grant.a/x"]);
        assert!(queue.next_batch().is_none());
        queue.finish(&first, vec![Outcome::done()]);
        assert!(queue.next_batch().is_some());
    }

    #[test]
    fn parallelism_bounds_the_calls_of_all_kinds() {
        let steps = vec![step("kafka.topic.a", &[]), step("valkey.user.a", &[])];
        let mut queue = Queue::new(&steps, 1, limits(10, 10));
        assert!(queue.next_batch().is_some());
        assert!(queue.next_batch().is_none());
    }
}
