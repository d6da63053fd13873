//! What of consent is between several steps, or in a saved plan; `consent_table.rs` has all that is of one step.

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
fn what_no_flag_releases_does_not_make_much_of_what_goes() {
    let kept = |address: &str| {
        let mut step = destroy(address, &[Risk::LosesData]);
        step.app = AppName::new("kept").unwrap();
        step
    };
    let grant = || destroy("postgres.grant.d/r", &[Risk::RemovesLogin]);
    let mut waits = destroy("postgres.role.w", &[Risk::RemovesLogin]);
    waits.needs.insert(kept("postgres.database.x").id());
    let remembered = [AppName::new("kept").unwrap()].into();
    let circumstances = Circumstances { remembered, ..circumstances(&["a"], 9) };
    let nobody = consent(&[], &[]);
    let steps = vec![grant(), kept("postgres.database.x"), kept("postgres.database.y"), kept("valkey.keys.z"), waits];
    assert_eq!(held(steps, &nobody, &circumstances), Some(Hold::Destroy));
    let others = (0..3).map(|number| destroy(&format!("valkey.user.u{number}"), &[Risk::RemovesLogin]));
    let steps = [grant()].into_iter().chain(others).collect();
    assert_eq!(held(steps, &nobody, &circumstances), Some(Hold::DestroyAll));
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
