//! A saved plan while it is carried out: what of it was done before, and what the state has learnt since it was made.

use crate::core::name::AppName;
use crate::core::step::{Action, Part, StepId};
use crate::services::Renaming;
use crate::services::{Outcome, Plan, Step};
use crate::state::{Document, Event};
use std::collections::{BTreeMap, BTreeSet};

/// What a saved plan is held against, beside what is on the services.
#[derive(Debug, Default)]
pub struct SavedPlan {
    /// sha256 (hex) of the plan as it was saved.
    id: String,
    /// Whether an earlier run has carried out all of it.
    is_whole: bool,
    /// Steps that an earlier run of this very plan has carried out.
    done: BTreeSet<StepId>,
    /// Steps about what is no longer whose it was: why they are refused.
    refused: BTreeMap<StepId, String>,
}

impl SavedPlan {
    /// Looks up in the state what has become of a plan, which is named by its digest.
    pub fn of(id: String, plan: &Plan, document: &Document) -> Self {
        let carried = document.carried.iter().find(|carried| carried.plan == id);
        let is_done = |step: &&Step| {
            // What was staged is used up by publishing it.
            let part = if step.part == Part::Stage { Part::Publish } else { step.part };
            let step = StepId { address: step.address.clone(), part };
            carried.is_some_and(|carried| carried.whole || carried.steps.contains(&name(&step)))
        };
        let done = plan.steps.iter().filter(is_done).map(Step::id).collect();
        // The plan knows what is renamed by its new name.
        let renames = plan.steps.iter().filter_map(|step| Some((step.renamed_from.as_ref()?, &step.address)));
        let document = document.renamed(&Renaming::of(renames));
        let why = |step: &Step| {
            let owner = document.resources.get(&step.address).map(|entry| &entry.app);
            Some((step.id(), changed_hands(step, plan.owners.get(&step.address), owner)?))
        };
        let is_whole = carried.is_some_and(|carried| carried.whole);
        Self { done, refused: plan.steps.iter().filter_map(why).collect(), is_whole, id }
    }

    pub fn has_done(&self, step: &Step) -> bool {
        self.done.contains(&step.id())
    }

    /// Why a step is not carried out, unless what it is about is as wanted already.
    pub fn refuses(&self, step: &Step) -> Option<&str> {
        self.refused.get(&step.id()).map(String::as_str)
    }

    /// What the state learns of a step that has come to its end.
    pub fn event(&self, step: &Step, outcome: &Outcome) -> Option<Event> {
        let is_new = outcome.succeeded() && !self.has_done(step);
        is_new.then(|| Event::Carried { plan: self.id.clone(), step: name(&step.id()) })
    }

    /// What the state learns at the end of a run after which every step of the plan is done.
    pub fn carried_out(&self) -> Option<Event> {
        (!self.is_whole).then(|| Event::CarriedOut { plan: self.id.clone() })
    }
}

fn name(step: &StepId) -> String {
    step.to_string()
}

/// Why a step would be about what is not whose it was any more.
fn changed_hands(step: &Step, planned: Option<&AppName>, now: Option<&AppName>) -> Option<String> {
    let is_ours_as_wanted = now == Some(&step.app) && step.after.is_some();
    match (planned, now) {
        _ if planned == now || is_ours_as_wanted => None,
        (_, Some(app)) => Some(format!("since it was planned, an apply has made it the app {app}'s")),
        (Some(_), None) if step.action == Action::Forget => None,
        (Some(_), None) => {
            Some("since it was planned, it was forgotten or destroyed: it is not ours any more".to_owned())
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Address;
    use crate::core::reconcile::{Applied, reconcile};
    use crate::services::kafka::model::{Topic, topic_address};
    use crate::services::{Model, Op};

    fn app(name: &str) -> AppName {
        AppName::new(name).unwrap()
    }

    fn step(action: Action, after: bool) -> Step {
        let address: Address = topic_address("t");
        let model = || Model::KafkaTopic(Topic { name: "t".to_owned(), ..Topic::default() });
        let ours = BTreeMap::from([(address.clone(), Applied { app: app("a"), model: model() })]);
        let decision = reconcile(&BTreeMap::new(), &BTreeMap::new(), &ours).remove(0);
        Step { action, after: after.then(model), ..decision.step(Op::State) }
    }

    #[test]
    fn what_the_state_learnt_since_refuses_what_is_not_whose_it_was() {
        let (a, b) = (app("a"), app("b"));
        // Planned owner, owner now, action, whether something is wanted, whether it is refused.
        let cases = [
            (None, None, Action::Create, true, false),
            (None, Some(&a), Action::Create, true, false),
            (None, Some(&b), Action::Create, true, true),
            (None, Some(&b), Action::Adopt, true, true),
            (Some(&a), Some(&a), Action::Update, true, false),
            (Some(&a), Some(&b), Action::Update, true, true),
            (Some(&a), None, Action::Update, true, true),
            (Some(&b), Some(&a), Action::Update, true, false),
            (Some(&a), Some(&a), Action::Destroy, false, false),
            (Some(&a), Some(&b), Action::Destroy, false, true),
            (Some(&a), None, Action::Destroy, false, true),
            (Some(&a), None, Action::Forget, false, false),
            (Some(&a), Some(&b), Action::Forget, false, true),
        ];
        for (planned, now, action, wanted, refused) in cases {
            let why = changed_hands(&step(action, wanted), planned, now);
            assert_eq!(why.is_some(), refused, "{planned:?} {now:?} {action} {why:?}");
        }
    }
}
