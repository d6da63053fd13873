//! Consent by risk: what may run without being asked for, and what is held until somebody says so.

use super::address::Address;
use super::name::AppName;
use super::step::{Action, Hold, Reason, Risk, Step, StepId};
use globset::{Glob, GlobMatcher};
use std::collections::{BTreeMap, BTreeSet};

/// One WHAT of `--allow-destroy WHAT`: an address, a glob over addresses, or the word `all`.
#[derive(Clone, Debug)]
pub enum Allowance {
    All,
    Matching(GlobMatcher),
}

impl Allowance {
    /// # Errors
    /// A sentence that says why the pattern cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        match Glob::new(text) {
            Ok(glob) => Ok(Self::Matching(glob.compile_matcher())),
            Err(error) => Err(format!("{text:?} is neither an address, nor a glob, nor all: {}", error.kind())),
        }
    }

    /// Whether it allows what is done to the address; `only_all` asks for the word `all`.
    pub fn covers(&self, address: &Address, only_all: bool) -> bool {
        match self {
            Self::All => true,
            Self::Matching(glob) => !only_all && glob.is_match(address.to_string()),
        }
    }
}

/// All that the user has consented to.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    pub destroy: Vec<Allowance>,
    pub interrupt: Vec<Allowance>,
}

impl Consent {
    /// Whether sessions may be ended for what is done to the address.
    pub fn may_interrupt(&self, address: &Address) -> bool {
        self.to_interrupt(address)
    }

    /// Whether the data at the address may be lost.
    pub fn may_destroy(&self, address: &Address) -> bool {
        self.to_destroy(address, false)
    }

    fn to_destroy(&self, address: &Address, only_all: bool) -> bool {
        self.destroy.iter().any(|one| one.covers(address, only_all))
    }

    /// Whether a step may destroy what it is about, or what that is a part of.
    fn to_destroy_by<M, O>(&self, step: &Step<M, O>, only_all: bool) -> bool {
        step.part_of.iter().chain([&step.address]).any(|address| self.to_destroy(address, only_all))
    }

    fn to_interrupt(&self, address: &Address) -> bool {
        self.interrupt.iter().any(|one| one.covers(address, false))
    }
}

/// What consent depends on beside the steps.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Apps that have an infraspec now.
    pub declared: BTreeSet<AppName>,
    /// Apps whose infraspec says `prevent_destroy`.
    pub prevented: BTreeSet<AppName>,
    /// Apps that have no infraspec, and whose last one said `prevent_destroy`.
    pub remembered: BTreeSet<AppName>,
    /// How many resources of apps the state says are ours; those of the workspace are never destroyed.
    pub owned: usize,
}

/// Holds each step that nobody has consented to, and each that waits for a held one. A step that asks already
/// ([`Hold::Interrupt`]) is let go where there is consent.
pub fn hold<M, O>(steps: &mut [Step<M, O>], consent: &Consent, circumstances: &Circumstances) {
    let destroyed: BTreeSet<&Address> =
        steps.iter().filter(|step| step.action == Action::Destroy).map(|step| &step.address).collect();
    let many = destroyed.len() > 1 && destroyed.len() * 3 > circumstances.owned;
    // No consent helps what waits for something that none releases.
    hold_dependents(steps, |hold| matches!(hold, Hold::Blocked { .. } | Hold::Prevented { .. }));
    for step in steps.iter_mut().filter(|step| matches!(step.hold, None | Some(Hold::Interrupt))) {
        step.hold = needs_consent(step, consent, circumstances, many);
    }
    hold_dependents(steps, |_| true);
}

fn needs_consent<M, O>(
    step: &Step<M, O>,
    consent: &Consent,
    circumstances: &Circumstances,
    many: bool,
) -> Option<Hold> {
    if step.action == Action::Destroy {
        let asks = step.is_serious() || !circumstances.declared.contains(&step.app);
        if asks && let Some(hold) = prevented(step, circumstances) {
            return Some(hold);
        }
        if asks && !consent.to_destroy_by(step, many) {
            return Some(if many { Hold::DestroyAll } else { Hold::Destroy });
        }
        return in_use(step, consent);
    }
    if step.risks.contains(&Risk::LosesData) {
        let destroys = (!consent.to_destroy_by(step, false)).then_some(Hold::Destroy);
        let destroys = prevented(step, circumstances).or(destroys);
        if let Some(hold) = destroys.or_else(|| in_use(step, consent)) {
            return Some(hold);
        }
    }
    let unasked_rotation = step.action == Action::Rotate
        && !step.reasons.contains(&Reason::AskedFor)
        && !step.reasons.contains(&Reason::UnfinishedRun);
    let adopting_takes_away = step.reasons.contains(&Reason::NotOursYet) && step.risks.contains(&Risk::Interrupts);
    let redirects = step.redirects() && step.risks.contains(&Risk::Interrupts);
    let takes = step.moves() || step.reasons.contains(&Reason::TakesOver);
    // A differ that knows that somebody would be shut out asks by itself.
    let asked_already = step.hold == Some(Hold::Interrupt);
    let asks = unasked_rotation || adopting_takes_away || redirects || takes || asked_already;
    if asks && !consent.to_interrupt(&step.address) {
        return Some(Hold::Interrupt);
    }
    None
}

/// What no consent releases: the app's infraspec says `prevent_destroy`, or its last one did.
fn prevented<M, O>(step: &Step<M, O>, circumstances: &Circumstances) -> Option<Hold> {
    let remembered = circumstances.remembered.contains(&step.app);
    (remembered || circumstances.prevented.contains(&step.app)).then_some(Hold::Prevented { remembered })
}

/// What would go under somebody's feet takes consent to both. What is a part of something more goes with that.
fn in_use<M, O>(step: &Step<M, O>, consent: &Consent) -> Option<Hold> {
    (step.goes_under_feet() && !consent.to_interrupt(&step.address)).then_some(Hold::Interrupt)
}

/// Lets steps of a saved plan go that were held when it was made and are consented to now.
pub fn release<M, O>(steps: &mut [Step<M, O>], consent: &Consent) {
    for step in steps.iter_mut() {
        let freed = match &step.hold {
            Some(Hold::Destroy) => consent.to_destroy_by(step, false),
            Some(Hold::DestroyAll) => consent.to_destroy_by(step, true),
            Some(Hold::Interrupt) => consent.to_interrupt(&step.address),
            Some(Hold::Waits { .. } | Hold::Prevented { .. } | Hold::Blocked { .. }) | None => false,
        };
        if freed {
            step.hold = too_late(step).or_else(|| in_use(step, consent));
        }
    }
    release_what_waits(steps, consent);
    hold_dependents(steps, |_| true);
}

/// Lets what waits go with what it waits for: that may come before it, or after it, where neither is done without the
/// other.
fn release_what_waits<M, O>(steps: &mut [Step<M, O>], consent: &Consent) {
    loop {
        let stuck = stuck(steps);
        let is_free = |step: &Step<M, O>| matches!(step.hold, Some(Hold::Waits { .. })) && !stuck.contains(&step.id());
        let mut asks = false;
        for step in steps.iter_mut().filter(|step| is_free(step)) {
            if let Some(hold) = in_use(step, consent) {
                (step.hold, asks) = (Some(hold), true);
            }
        }
        if !asks {
            steps.iter_mut().filter(|step| is_free(step)).for_each(|step| step.hold = None);
            return;
        }
    }
}

/// What is held for a reason of its own, and what waits for that, however far away.
fn stuck<M, O>(steps: &[Step<M, O>]) -> BTreeSet<StepId> {
    let mut stuck: BTreeSet<StepId> = BTreeSet::new();
    loop {
        let is_stuck = |step: &&Step<M, O>| match &step.hold {
            None => false,
            Some(Hold::Waits { on }) => stuck.contains(on),
            Some(
                Hold::Destroy | Hold::DestroyAll | Hold::Interrupt | Hold::Prevented { .. } | Hold::Blocked { .. },
            ) => true,
        };
        let all: BTreeSet<StepId> = steps.iter().filter(is_stuck).map(Step::id).collect();
        if all.len() == stuck.len() {
            return stuck;
        }
        stuck = all;
    }
}

/// With consent a new password would have been staged and published, which a plan made without it does not do.
fn too_late<M, O>(step: &Step<M, O>) -> Option<Hold> {
    let publishes = step.action == Action::Rotate || step.redirects() || step.moves();
    let interrupts = matches!(step.hold, Some(Hold::Interrupt));
    (publishes && interrupts).then(|| Hold::Blocked {
        reason: format!(
            "this plan was saved without that consent, so it publishes nothing for it: make it anew, with \
             --allow-interrupt {}",
            step.address
        ),
    })
}

/// Holds what waits for something that is held in some way, however far away.
fn hold_dependents<M, O>(steps: &mut [Step<M, O>], is_held: impl Fn(&Hold) -> bool) {
    let is_held = |step: &&Step<M, O>| step.hold.as_ref().is_some_and(&is_held);
    let mut held: BTreeSet<StepId> = steps.iter().filter(is_held).map(Step::id).collect();
    loop {
        let mut more = BTreeMap::new();
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.runs()) {
            if let Some(on) = step.needs.iter().find(|need| held.contains(need)) {
                more.insert(index, on.clone());
            }
        }
        if more.is_empty() {
            return;
        }
        for (index, on) in more {
            if let Some(step) = steps.get_mut(index) {
                held.insert(step.id());
                step.hold = Some(Hold::Waits { on });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::step;

    fn consent(destroy: &[&str], interrupt: &[&str]) -> Consent {
        let parse = |texts: &[&str]| texts.iter().map(|text| Allowance::parse(text).unwrap()).collect();
        Consent { destroy: parse(destroy), interrupt: parse(interrupt) }
    }

    fn circumstances(declared: &[&str], owned: usize) -> Circumstances {
        let names = declared.iter().map(|name| AppName::new(*name).unwrap()).collect();
        Circumstances { declared: names, owned, ..Circumstances::default() }
    }

    fn destroy(address: &str, risks: &[Risk]) -> Step<(), ()> {
        let mut step = step(address, "a", Action::Destroy, &[]);
        step.risks.extend(risks);
        step
    }

    /// What holds the first of the steps.
    fn held(mut steps: Vec<Step<(), ()>>, consent: &Consent, circumstances: &Circumstances) -> Option<Hold> {
        hold(&mut steps, consent, circumstances);
        steps.swap_remove(0).hold
    }

    #[test]
    fn what_loses_data_or_a_login_waits_for_consent() {
        for risk in [Risk::LosesData, Risk::RemovesLogin] {
            let steps = || vec![destroy("postgres.database.old", &[risk])];
            let case = |allowed: &[&str]| held(steps(), &consent(allowed, &[]), &circumstances(&["a"], 100));
            assert_eq!(case(&[]), Some(Hold::Destroy));
            assert_eq!(case(&["postgres.database.new"]), Some(Hold::Destroy));
            assert_eq!(case(&["postgres.database.old"]), None);
            assert_eq!(case(&["postgres.*"]), None);
            assert_eq!(case(&["all"]), None);
        }
    }

    #[test]
    fn what_is_in_use_takes_consent_to_both() {
        for risk in [Risk::LosesData, Risk::RemovesLogin] {
            let steps = || vec![destroy("valkey.user.old", &[risk, Risk::Interrupts])];
            let case = |interrupt: &[&str]| held(steps(), &consent(&["all"], interrupt), &circumstances(&["a"], 100));
            assert_eq!(case(&[]), Some(Hold::Interrupt));
            assert_eq!(case(&["valkey.user.old"]), None);
        }
        let mut grant = destroy("postgres.grant.d/r", &[Risk::RemovesLogin, Risk::Interrupts]);
        grant.part_of = Some("postgres.role.r".parse().unwrap());
        assert_eq!(held(vec![grant], &consent(&["postgres.role.r"], &[]), &circumstances(&["a"], 100)), None);
    }

    #[test]
    fn a_change_that_loses_data_waits_for_consent_as_a_destroy_does() {
        let case = |risks: &[Risk], destroy: &[&str], interrupt: &[&str]| {
            let mut step = step("kafka.topic.t", "a", Action::Update, &[]);
            step.risks.extend(risks);
            held(vec![step], &consent(destroy, interrupt), &circumstances(&["a"], 100))
        };
        let own = ["kafka.topic.t"];
        assert_eq!(case(&[Risk::Interrupts], &[], &[]), None);
        assert_eq!(case(&[Risk::LosesData], &[], &[]), Some(Hold::Destroy));
        assert_eq!(case(&[Risk::LosesData], &[], &own), Some(Hold::Destroy));
        assert_eq!(case(&[Risk::LosesData], &own, &[]), None);
        assert_eq!(case(&[Risk::LosesData, Risk::Interrupts], &own, &[]), Some(Hold::Interrupt));
        assert_eq!(case(&[Risk::LosesData, Risk::Interrupts], &own, &own), None);
    }

    #[test]
    fn rights_of_a_declared_app_are_revoked_without_asking_and_those_of_a_vanished_one_are_not() {
        let steps = || vec![destroy("postgres.grant.d/r", &[])];
        assert_eq!(held(steps(), &consent(&[], &[]), &circumstances(&["a"], 100)), None);
        assert_eq!(held(steps(), &consent(&[], &[]), &circumstances(&["b"], 100)), Some(Hold::Destroy));
    }

    #[test]
    fn more_than_a_third_takes_the_word_all() {
        let steps = || {
            vec![destroy("postgres.database.a", &[Risk::LosesData]), destroy("postgres.database.b", &[Risk::LosesData])]
        };
        let case = |allowed: &str, owned| held(steps(), &consent(&[allowed], &[]), &circumstances(&["a"], owned));
        assert_eq!(case("postgres.*", 6), None);
        assert_eq!(case("postgres.*", 5), Some(Hold::DestroyAll));
        assert_eq!(case("all", 5), None);
    }

    #[test]
    fn consent_to_more_is_consent_to_what_is_a_part_of_it() {
        let role = "postgres.role.r";
        let steps = || {
            let mut grant = destroy("postgres.grant.d/r", &[Risk::RemovesLogin]);
            grant.part_of = Some(role.parse().unwrap());
            let mut drop = destroy(role, &[Risk::RemovesLogin]);
            drop.needs.insert(grant.id());
            vec![grant, drop]
        };
        let case = |allowed: &str, owned| {
            let mut steps = steps();
            hold(&mut steps, &consent(&[allowed], &[]), &circumstances(&["a"], owned));
            steps.into_iter().map(|step| step.hold).collect::<Vec<_>>()
        };
        assert_eq!(case(role, 100), [None, None]);
        assert_eq!(case("postgres.role.s", 100), [Some(Hold::Destroy), Some(Hold::Destroy)]);
        // Less is no consent to more.
        assert_eq!(case("postgres.grant.*", 100), [None, Some(Hold::Destroy)]);
        assert_eq!(case(role, 5), [Some(Hold::DestroyAll), Some(Hold::DestroyAll)]);
        // The same of a saved plan.
        let mut saved = steps();
        hold(&mut saved, &consent(&[], &[]), &circumstances(&["a"], 100));
        release(&mut saved, &consent(&[role], &[]));
        assert!(saved.iter().all(Step::runs), "{saved:#?}");
    }

    #[test]
    fn what_goes_under_somebodys_feet_takes_both_consents() {
        let steps = || vec![destroy("postgres.database.a", &[Risk::LosesData, Risk::Interrupts])];
        let both = || consent(&["all"], &["postgres.database.a"]);
        let case = |consent| held(steps(), &consent, &circumstances(&["a"], 100));
        assert_eq!(case(consent(&[], &["all"])), Some(Hold::Destroy));
        assert_eq!(case(consent(&["all"], &[])), Some(Hold::Interrupt));
        assert_eq!(case(both()), None);
        // The same of a saved plan.
        let mut saved = steps();
        hold(&mut saved, &consent(&[], &[]), &circumstances(&["a"], 100));
        release(&mut saved, &consent(&["all"], &[]));
        assert_eq!(saved[0].hold, Some(Hold::Interrupt));
        release(&mut saved, &both());
        assert_eq!(saved[0].hold, None);
    }

    #[test]
    fn what_comes_before_a_held_step_and_waits_for_it_is_released_with_it_alone() {
        let topic = "kafka.topic.t";
        let steps = || {
            let mut removal = step("kafka.acl.a", "a", Action::Update, &[]);
            removal.hold = Some(Hold::Waits { on: StepId::main(topic.parse().unwrap()) });
            let mut drop = destroy(topic, &[Risk::LosesData, Risk::Interrupts]);
            drop.needs.insert(removal.id());
            vec![removal, drop]
        };
        let case = |destroy: &[&str], interrupt: &[&str]| {
            let mut saved = steps();
            hold(&mut saved, &consent(&[], &[]), &circumstances(&["a"], 100));
            release(&mut saved, &consent(destroy, interrupt));
            saved.iter().map(Step::runs).collect::<Vec<_>>()
        };
        assert_eq!(case(&[], &[]), [false, false]);
        assert_eq!(case(&[topic], &[]), [false, false]);
        assert_eq!(case(&["all"], &["all"]), [true, true]);
    }

    #[test]
    fn prevent_destroy_beats_consent() {
        let mut circumstances = circumstances(&["a"], 100);
        circumstances.prevented.insert(AppName::new("a").unwrap());
        let steps = vec![destroy("postgres.database.a", &[Risk::LosesData])];
        let prevented = Some(Hold::Prevented { remembered: false });
        assert_eq!(held(steps, &consent(&["all"], &[]), &circumstances), prevented);
        // What keeps its name and loses its data is no better off.
        let update = |risk| {
            let mut step = step("kafka.topic.t", "a", Action::Update, &[]);
            step.risks.insert(risk);
            vec![step]
        };
        let all = || consent(&["all"], &["all"]);
        assert_eq!(held(update(Risk::LosesData), &all(), &circumstances), prevented);
        assert_eq!(held(update(Risk::Interrupts), &all(), &circumstances), None);
        let mut saved = update(Risk::LosesData);
        hold(&mut saved, &all(), &circumstances);
        release(&mut saved, &all());
        assert!(!saved[0].runs(), "a saved plan is not released either");
    }

    #[test]
    fn prevent_destroy_of_an_infraspec_that_is_gone_holds_even_what_loses_nothing() {
        let mut circumstances = circumstances(&["b"], 100);
        circumstances.remembered.insert(AppName::new("a").unwrap());
        let mut steps = vec![destroy("postgres.grant.d/r", &[])];
        hold(&mut steps, &consent(&["all"], &["all"]), &circumstances);
        assert_eq!(steps[0].hold, Some(Hold::Prevented { remembered: true }));
        release(&mut steps, &consent(&["all"], &["all"]));
        assert!(!steps[0].runs(), "a saved plan is not released either");
    }

    #[test]
    fn rotations_that_nobody_asked_for_are_held_unless_explained() {
        let rotate = |reason| {
            let mut step = step("valkey.user.a", "a", Action::Rotate, &[]);
            step.reasons.insert(reason);
            vec![step]
        };
        let case = |reason, allowed: &[&str]| held(rotate(reason), &consent(&[], allowed), &circumstances(&["a"], 9));
        assert_eq!(case(Reason::CredentialWrong, &[]), Some(Hold::Interrupt));
        assert_eq!(case(Reason::CredentialUnknown, &[]), Some(Hold::Interrupt));
        assert_eq!(case(Reason::CredentialUnknown, &["valkey.user.a"]), None);
        assert_eq!(case(Reason::AskedFor, &[]), None);
        assert_eq!(case(Reason::UnfinishedRun, &[]), None);
    }

    #[test]
    fn what_a_differ_asks_for_is_held_until_it_may() {
        let asking = || {
            let mut step = step("valkey.user.a", "a", Action::Update, &[]);
            step.reasons.insert(Reason::Drifted);
            step.hold = Some(Hold::Interrupt);
            vec![step]
        };
        let case = |allowed: &[&str]| held(asking(), &consent(&[], allowed), &circumstances(&["a"], 9));
        assert_eq!(case(&[]), Some(Hold::Interrupt));
        assert_eq!(case(&["valkey.user.b"]), Some(Hold::Interrupt));
        assert_eq!(case(&["valkey.user.a"]), None);
        // The same of a saved plan.
        let mut saved = asking();
        hold(&mut saved, &consent(&[], &[]), &circumstances(&["a"], 9));
        release(&mut saved, &consent(&[], &["valkey.user.a"]));
        assert!(saved[0].runs());
    }

    #[test]
    fn a_new_user_that_interrupts_is_held_until_it_may() {
        let hands_over = |risks: &[Risk]| {
            let mut step = step("postgres.role.b", "a", Action::Create, &[]);
            step.reasons.insert(Reason::HandsOver);
            step.risks.extend(risks);
            vec![step]
        };
        let case = |risks, allowed: &[&str]| held(hands_over(risks), &consent(&[], allowed), &circumstances(&["a"], 9));
        assert_eq!(case(&[Risk::Interrupts], &[]), Some(Hold::Interrupt));
        assert_eq!(case(&[Risk::Interrupts], &["postgres.role.b"]), None);
        assert_eq!(case(&[], &[]), None);
    }

    #[test]
    fn what_belongs_to_another_app_is_held_even_if_nothing_else_changes() {
        for action in [Action::Record, Action::Update, Action::Rotate] {
            let moves = |also: &[Reason]| {
                let mut step = step("postgres.role.b", "a", action, &[]);
                step.reasons.extend(also.iter().chain([&Reason::FromAnotherApp]));
                vec![step]
            };
            let case = |also, allowed: &[&str]| held(moves(also), &consent(&[], allowed), &circumstances(&["a"], 9));
            assert_eq!(case(&[], &[]), Some(Hold::Interrupt));
            assert_eq!(case(&[Reason::ChangedInSpec], &["postgres.role.c"]), Some(Hold::Interrupt));
            assert_eq!(case(&[Reason::ChangedInSpec], &["postgres.role.b"]), None);
        }
    }

    #[test]
    fn a_saved_plan_that_publishes_nothing_for_a_login_is_not_released() {
        let login = |action, reason| {
            let mut step = step("postgres.role.b", "a", action, &[]);
            step.reasons.insert(reason);
            step.risks.insert(Risk::Interrupts);
            step
        };
        for one in [login(Action::Rotate, Reason::CredentialUnknown), login(Action::Create, Reason::HandsOver)] {
            let mut steps = vec![one];
            hold(&mut steps, &consent(&[], &[]), &circumstances(&["a"], 9));
            release(&mut steps, &consent(&[], &[]));
            assert_eq!(steps[0].hold, Some(Hold::Interrupt));
            release(&mut steps, &consent(&[], &["all"]));
            let Some(Hold::Blocked { reason }) = &steps[0].hold else { panic!("{steps:#?}") };
            assert!(reason.contains("anew, with --allow-interrupt postgres.role.b"), "{reason}");
        }
    }

    #[test]
    fn what_waits_for_a_held_step_is_held_however_far_away() {
        let mut steps = vec![
            destroy("postgres.database.a", &[Risk::LosesData]),
            step("postgres.role.b", "a", Action::Destroy, &["postgres.database.a"]),
            step("secret.a", "a", Action::Destroy, &["postgres.role.b"]),
            step("secret.z", "a", Action::Create, &[]),
        ];
        hold(&mut steps, &consent(&[], &[]), &circumstances(&["a"], 100));
        assert_eq!(steps.iter().map(Step::runs).collect::<Vec<_>>(), [false, false, false, true]);
        assert!(matches!(&steps[2].hold, Some(Hold::Waits { on }) if on.address.name == "b"));
    }
}
