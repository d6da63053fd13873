//! A saved plan while it is carried out: what of it was done before, and what the state has learnt since it was made.

use super::Outcomes;
use crate::core::address::Address;
use crate::core::name::AppName;
use crate::core::step::{Action, Part, StepId};
use crate::error::Result;
use crate::secrets::model::{SECRET, secret_address};
use crate::secrets::{self, Vault};
use crate::services::{Op, Outcome, Plan, Renaming, ServiceId, Step};
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
    /// Steps that an earlier run of it has begun, and nobody knows what became of them.
    begun: BTreeSet<StepId>,
    /// Steps about what is no longer whose it was: why they are refused.
    refused: BTreeMap<StepId, String>,
}

impl SavedPlan {
    /// Looks up in the state what has become of a plan, which is named by its digest, and in the sink which of the
    /// passwords that it has set are there.
    ///
    /// # Errors
    /// The sink cannot be read.
    pub fn of(id: String, plan: &Plan, document: &Document, vault: &Vault) -> Result<Self> {
        let carried = document.carried.iter().find(|carried| carried.plan == id);
        let is_whole = carried.is_some_and(|carried| carried.whole);
        let is_noted =
            |step: &StepId| is_whole || carried.is_some_and(|carried| carried.steps.contains(&step.to_string()));
        let is_published =
            |app: &AppName| is_noted(&StepId { address: secret_address(app.as_str()), part: Part::Publish });
        let is_done = |step: &&Step| {
            // What was staged is used up by publishing it.
            let part = if step.part == Part::Stage { Part::Publish } else { step.part };
            is_noted(&StepId { address: step.address.clone(), part })
        };
        let is_begun = |step: &&Step| carried.is_some_and(|carried| carried.begun.contains(&step.id().to_string()));
        let mut done: BTreeSet<StepId> = plan.steps.iter().filter(is_done).map(Step::id).collect();
        let mut begun: BTreeSet<StepId> = plan.steps.iter().filter(is_begun).map(Step::id).collect();
        // What is published next must be what the server has: a password that is neither staged nor published any more is
        // set anew.
        for step in plan.steps.iter().filter(|step| sets_password(step) && !is_published(&step.app)) {
            if done.contains(&step.id()) && !has_password(step, document, vault)? {
                done.remove(&step.id());
                begun.insert(step.id());
            }
        }
        // The plan knows by its new name what the state does not know by it yet.
        let is_told = |step: &&Step| {
            let tells = step.part == Part::Close || step.part == Part::Rename && step.address.kind != SECRET;
            tells && done.contains(&step.id())
        };
        let told: BTreeSet<&Address> = plan.steps.iter().filter(is_told).map(|step| &step.address).collect();
        let renames = plan.steps.iter().filter_map(|step| Some((step.renamed_from.as_ref()?, &step.address)));
        let renamed = document.renamed(&Renaming::of(renames.filter(|(_, to)| !told.contains(to))));
        let is_forgotten = carried.is_none() && plan.lineage.is_some() && plan.serial < document.forgot_plans_at;
        let why = |step: &Step| {
            let owner = renamed.resources.get(&step.address).map(|entry| &entry.app);
            let forgotten = || (is_forgotten && step.part == Part::Credential).then(|| FORGOTTEN.to_owned());
            let why = changed_hands(step, plan.owners.get(&step.address), owner).or_else(forgotten)?;
            Some((step.id(), why))
        };
        let refused = plan.steps.iter().filter_map(why).collect();
        Ok(Self { id, is_whole, done, begun, refused })
    }

    pub fn has_done(&self, step: &Step) -> bool {
        self.done.contains(&step.id())
    }

    pub fn has_begun(&self, step: &Step) -> bool {
        self.begun.contains(&step.id())
    }

    /// Why a step is not carried out, unless what it is about is as wanted already.
    pub fn refuses(&self, step: &Step) -> Option<&str> {
        self.refused.get(&step.id()).map(String::as_str)
    }

    /// Refuses a step about what is no longer as the state had it.
    pub fn refuse(&mut self, step: &Step, why: &str) {
        self.refused.entry(step.id()).or_insert_with(|| why.to_owned());
    }

    /// Stages no new password for a login that has its new one from an earlier run of the plan: that is published, or
    /// still staged.
    pub fn keep_passwords(&self, steps: &mut [Step]) {
        let set = steps.iter().filter(|step| sets_password(step) && self.has_done(step));
        let set: BTreeSet<(AppName, &str)> =
            set.filter_map(|step| Some((step.app.clone(), ServiceId::of(&step.address)?.as_str()))).collect();
        for step in steps.iter_mut() {
            if let Op::Secrets(secrets::model::Op::Stage { services }) = &mut step.op {
                for (service, renew) in services {
                    *renew &= !set.contains(&(step.app.clone(), service.as_str()));
                }
            }
        }
    }

    /// What the state learns before steps are carried out.
    pub fn begins(&self, steps: &[&Step]) -> Option<Event> {
        let steps: BTreeSet<String> =
            steps.iter().filter(|step| leaves_something(step) && !self.has_done(step)).map(|step| name(step)).collect();
        (!steps.is_empty()).then(|| Event::Begun { plan: self.id.clone(), steps })
    }

    /// What the state learns of steps that were begun, and for which nothing was written.
    pub fn untouched<'a>(&self, steps: impl Iterator<Item = &'a Step>) -> Option<Event> {
        let steps: BTreeSet<String> =
            steps.filter(|step| leaves_something(step) && !self.has_done(step)).map(name).collect();
        (!steps.is_empty()).then(|| Event::Untouched { plan: self.id.clone(), steps })
    }

    /// What the state learns of a step that has come to its end.
    pub fn event(&self, step: &Step, outcome: &Outcome) -> Option<Event> {
        // What remains somewhere is to be removed there by the next run.
        let is_done = outcome.succeeded() && !matches!(outcome, Outcome::Remains { .. });
        (is_done && !self.has_done(step)).then(|| Event::Carried { plan: self.id.clone(), step: name(step) })
    }

    /// What the state learns at the end of a run after which every step of the plan is done.
    pub fn carried_out(&self, outcomes: &Outcomes) -> Option<Event> {
        let remains = outcomes.values().any(|outcome| matches!(outcome, Outcome::Remains { .. }));
        (!self.is_whole && !remains).then(|| Event::CarriedOut { plan: self.id.clone() })
    }
}

const FORGOTTEN: &str = "the state no longer remembers plans as old as this one, so it may have been set already";

fn name(step: &Step) -> String {
    step.id().to_string()
}

/// Whether it sets the password of a login that has one.
fn sets_password(step: &Step) -> bool {
    step.sets_credential && step.address.kind != SECRET
}

/// Whether what would be published of a login now is the password that it was last given.
fn has_password(step: &Step, document: &Document, vault: &Vault) -> Result<bool> {
    let Some(service) = ServiceId::of(&step.address) else { return Ok(true) };
    // One that is gone by now has none.
    let Some(login) = document.resources.get(&step.address) else { return Ok(true) };
    let proof = vault.proof(&step.app, service)?;
    let password = proof.staged.or(proof.published).map(|password| password.sha256());
    Ok(password.is_some() && password.as_ref() == login.fingerprint.as_ref().map(|given| &given.password))
}

/// Whether a step that breaks off may leave its object neither as it was nor as it shall be, or nobody knows which.
fn leaves_something(step: &Step) -> bool {
    let is_written = step.op != Op::State && step.address.kind != SECRET;
    is_written && matches!(step.part, Part::Main | Part::Credential | Part::Close)
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
    use crate::core::reconcile::{Applied, reconcile};
    use crate::services::Model;
    use crate::services::kafka::model::{Op as KafkaOp, Topic, topic_address};

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
    fn what_remains_somewhere_is_not_done_and_what_failed_before_a_write_was_not_begun() {
        let saved = SavedPlan { id: "p".to_owned(), ..SavedPlan::default() };
        let step = Step { op: Op::Kafka(KafkaOp::DeleteTopic), ..step(Action::Destroy, false) };
        assert!(saved.event(&step, &Outcome::done()).is_some());
        let remains = Outcome::Remains { note: String::new() };
        assert_eq!(saved.event(&step, &remains), None);
        assert_eq!(saved.carried_out(&Outcomes::from([(step.id(), remains)])), None);
        assert!(saved.carried_out(&Outcomes::from([(step.id(), Outcome::AlreadySo)])).is_some());

        let mut document = Document::new("default", "l");
        let carried = |document: &Document| document.carried.first().map(|carried| carried.begun.len());
        document.fold(saved.begins(&[&step]).unwrap());
        assert_eq!(carried(&document), Some(1));
        document.fold(saved.untouched([&step].into_iter()).unwrap());
        assert_eq!(carried(&document), Some(0));
        assert_eq!(saved.begins(&[&Step { op: Op::State, ..step }]), None);
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
