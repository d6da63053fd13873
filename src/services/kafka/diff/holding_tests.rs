//! What waits for what, and what does not: a step that is held or blocked holds no more than hangs on it.

use super::*;
use crate::core::consent::{Circumstances, Consent, hold, release};
use crate::core::step::StepId;
use crate::services::kafka::diff::keep_open_what_stays;

fn shop(topics: &[&str]) -> Resources {
    desired(&specs(vec![("shop", events("shop", topics))]), &config("SCRAM-SHA-512"))
}

fn consent(destroy: &[&str], interrupt: &[&str]) -> Consent {
    let parse =
        |texts: &[&str]| texts.iter().map(|text| crate::core::consent::Allowance::parse(text).unwrap()).collect();
    Consent { destroy: parse(destroy), interrupt: parse(interrupt) }
}

/// Plans as the whole program does, for apps that all have an infraspec.
fn held(
    wanted: &Resources,
    applied: &Resources,
    consent: &Consent,
    change: impl FnOnce(&mut Observation),
) -> Vec<Step> {
    let mut steps = plan(wanted, applied, true, change);
    let declared = ["shop", "report"].map(|name| AppName::new(name).unwrap());
    let circumstances = Circumstances { declared: BTreeSet::from(declared), owned: 100, ..Circumstances::default() };
    hold(&mut steps, consent, &circumstances);
    let applied = applied
        .iter()
        .map(|(key, one)| (key.clone(), Applied { app: one.app.clone(), model: one.model.clone() }))
        .collect();
    keep_open_what_stays(&mut steps, &applied);
    hold(&mut steps, consent, &circumstances);
    sort(steps).unwrap()
}

fn of(steps: &[Step], address: Address, part: Part) -> &Step {
    let id = StepId { address, part };
    steps.iter().find(|step| step.id() == id).unwrap_or_else(|| panic!("no {id} in {steps:#?}"))
}

fn bindings(model: &Option<Model>) -> Vec<String> {
    let acl = model.as_ref().and_then(Model::as_kafka_acl).unwrap();
    acl.bindings.iter().map(ToString::to_string).collect()
}

fn add_by_hand(observation: &mut Observation, user: &str, binding: Binding) {
    let seen = observation.resources.get_mut(&acl_address(user)).unwrap();
    let Model::KafkaAcl(acl) = &mut seen.model else { panic!("no ACL") };
    acl.bindings.insert(binding);
}

#[test]
fn what_an_app_opened_to_others_is_held_with_its_topics_whether_its_infraspec_vanished_or_not() {
    let report = |extra: &[&str]| ("report", events("report", extra));
    let mut owner = events("shop", &["orders"]);
    owner.topics[0].readers.insert(AppName::new("report").unwrap());
    let applied = desired(&specs(vec![("shop", owner), report(&[])]), &config("SCRAM-SHA-512"));
    let case = |apps: Vec<(&str, Events)>, allowed: &[&str]| {
        let wanted = desired(&specs(apps), &config("SCRAM-SHA-512"));
        // Who reads the topic is not known here, so that it takes both.
        let steps = held(&wanted, &applied, &consent(allowed, allowed), |_| {});
        let of_report = steps.iter().filter(|step| step.address == acl_address("report"));
        let held: Vec<(Part, bool)> = of_report.map(|step| (step.part, step.runs())).collect();
        (held, steps)
    };
    let narrowed = || ("shop", events("shop", &[]));
    assert_eq!(case(vec![report(&[])], &[]).0, [(Part::Main, false)]);
    assert_eq!(case(vec![narrowed(), report(&[])], &[]).0, [(Part::Main, false)]);
    assert_eq!(case(vec![narrowed(), report(&[])], &["kafka.topic.orders"]).0, [(Part::Main, true)]);
    let (held, steps) = case(vec![narrowed(), report(&["new"])], &[]);
    assert_eq!(held, [(Part::Main, true), (Part::Close, false)], "{steps:#?}");
    let reads = |model: &Option<Model>| {
        let acls = bindings(model);
        ["orders", "new"].map(|topic| acls.contains(&format!("allow read topic {topic}")))
    };
    let (main, close) = (of(&steps, acl_address("report"), Part::Main), of(&steps, acl_address("report"), Part::Close));
    assert_eq!((reads(&main.before), reads(&main.after)), ([true, false], [true, true]));
    assert_eq!((reads(&close.before), reads(&close.after)), ([true, true], [false, true]));
    assert_eq!(close.notes, ["what it may do to orders stays as long as that does"]);
    assert!(!main.risks.contains(&Risk::Interrupts) && close.risks.contains(&Risk::Interrupts), "{steps:#?}");
    let topic = of(&steps, topic_address("orders"), Part::Main);
    assert!(topic.needs.contains(&close.id()) && topic.needs.contains(&main.id()));
}

#[test]
fn a_saved_plan_takes_rights_only_together_with_the_topic() {
    let steps = held(&shop(&["keep", "new"]), &shop(&["keep", "gone"]), &Consent::default(), |_| {});
    let after = |allowed: &Consent| {
        let mut saved = steps.clone();
        release(&mut saved, allowed);
        [acl_address("shop"), topic_address("gone")]
            .map(|address| saved.iter().filter(|step| step.address == address).all(Step::runs))
    };
    assert_eq!(after(&Consent::default()), [false, false]);
    assert_eq!(after(&consent(&["kafka.topic.gone"], &["kafka.topic.gone"])), [true, true]);
}

#[test]
fn what_a_hand_gave_on_a_topic_that_stays_goes_now() {
    let rogue = Binding::allow("topic", "g", true, "all");
    let by_hand = |observation: &mut Observation| add_by_hand(observation, "shop", rogue.clone());
    let steps = held(&shop(&["keep"]), &shop(&["keep", "gone"]), &Consent::default(), by_hand);
    let main = of(&steps, acl_address("shop"), Part::Main);
    assert!(main.runs() && main.risks.contains(&Risk::Interrupts), "{main:#?}");
    assert!(bindings(&main.before).contains(&rogue.to_string()) && !bindings(&main.after).contains(&rogue.to_string()));
    assert!(bindings(&main.after).contains(&"allow read topic gone".to_owned()));
    assert!(!of(&steps, acl_address("shop"), Part::Close).runs());
}

#[test]
fn a_user_that_is_replaced_keeps_its_acls_as_long_as_it_stays() {
    let new = desired(&specs(vec![("shop", events("shop2", &["orders"]))]), &config("SCRAM-SHA-512"));
    let case = |allowed: &[&str]| {
        let steps = held(&new, &shop(&["orders"]), &consent(allowed, &[]), |_| {});
        let acls = of(&steps, acl_address("shop"), Part::Main);
        assert!(of(&steps, acl_address("shop2"), Part::Main).runs());
        (acls.hold.clone(), of(&steps, user_address("shop"), Part::Main).runs())
    };
    assert_eq!(case(&[]), (Some(Hold::Destroy), false));
    assert_eq!(case(&["kafka.user.shop"]), (None, true), "one flag is enough");
    // A user whose password people keep has ACLs alone.
    let kept = |user: &str| {
        let events = Events { credential: Credential::Keep, ..events(user, &["orders"]) };
        desired(&specs(vec![("shop", events)]), &config("SCRAM-SHA-512"))
    };
    for (allowed, hold) in [(&[][..], Some(Hold::Destroy)), (&["kafka.acl.shop"][..], None)] {
        let steps = held(&kept("shop2"), &kept("shop"), &consent(allowed, &[]), |_| {});
        assert_eq!(of(&steps, acl_address("shop"), Part::Main).hold, hold);
    }
}

#[test]
fn the_credential_of_a_former_mechanism_goes_with_consent_alone() {
    let all = specs(vec![("shop", events("shop", &[]))]);
    let (old, new) = (desired(&all, &config("SCRAM-SHA-256")), desired(&all, &config("SCRAM-SHA-512")));
    let asks = |steps: &[Step]| of(steps, user_address("shop"), Part::Close).hold.clone();
    let steps = held(&new, &old, &Consent::default(), |_| {});
    let set = of(&steps, user_address("shop"), Part::Main);
    assert!(set.runs() && set.sets_credential && !set.risks.contains(&Risk::Interrupts), "{set:#?}");
    assert_eq!(asks(&steps), Some(Hold::Interrupt));
    let told = "clients that still sign in by SCRAM-SHA-256, with the former password, are refused from then on";
    let close = of(&steps, user_address("shop"), Part::Close);
    assert_eq!((close.notes.as_slice(), close.changes.len()), (&[told.to_owned()][..], 1));
    assert_eq!(close.changes[0].before, serde_json::json!(["SCRAM-SHA-256"]));
    assert!(set.changes.iter().all(|change| change.field == "mechanism"), "{set:#?}");
    assert_eq!(asks(&held(&new, &old, &consent(&[], &["kafka.user.shop"]), |_| {})), None);

    // The next plan finds both, as the state says, and asks again; nothing else waits for that.
    let mut both = new.clone();
    both.insert(user_address("shop"), Wanted { app: AppName::new("shop").unwrap(), model: set.after.clone().unwrap() });
    let rotate = |observation: &mut Observation| {
        let seen = observation.resources.get_mut(&user_address("shop")).unwrap();
        seen.credential = Some(crate::services::CredentialStatus::Staged);
    };
    let steps = held(&new, &both, &Consent::default(), rotate);
    assert_eq!(asks(&steps), Some(Hold::Interrupt));
    assert!(of(&steps, user_address("shop"), Part::Credential).runs(), "{steps:#?}");
    assert_eq!(asks(&held(&new, &both, &consent(&[], &["kafka.user.shop"]), |_| {})), None);
    // Back again, the credential that is published by now is not removed unasked either.
    let back = held(&old, &both, &Consent::default(), |observation| {
        let seen = observation.resources.get_mut(&user_address("shop")).unwrap();
        let user = user_of(&mut seen.model);
        user.mechanism = Some("SCRAM-SHA-256".to_owned());
        user.other_mechanisms = Some(BTreeSet::from(["SCRAM-SHA-512".to_owned()]));
    });
    assert_eq!(asks(&back), Some(Hold::Interrupt));
}

#[test]
fn acls_wait_for_topics_that_are_made_and_for_no_others() {
    let mut less = events("shop", &["orders", "new", "refused"]);
    less.topics[0].config.insert("retention.ms".to_owned(), "1000".to_owned());
    less.topics[0].readers.insert(AppName::new("report").unwrap());
    let wanted = desired(&specs(vec![("shop", less), ("report", events("report", &[]))]), &config("SCRAM-SHA-512"));
    let mut more = events("shop", &["orders"]);
    more.topics[0].config.insert("retention.ms".to_owned(), "2000".to_owned());
    let applied = desired(&specs(vec![("shop", more)]), &config("SCRAM-SHA-512"));
    let steps = held(&wanted, &applied, &Consent::default(), |observation| {
        observation.server["refused"] = serde_json::json!({ "refused": "no" });
        add_by_hand(observation, "shop", Binding::allow("topic", "*", false, "all"));
    });
    assert_eq!(of(&steps, topic_address("orders"), Part::Main).hold, Some(Hold::Destroy));
    assert!(!of(&steps, topic_address("refused"), Part::Main).runs());
    for address in [acl_address("shop"), acl_address("report"), user_address("report"), topic_address("new")] {
        assert!(of(&steps, address, Part::Main).runs(), "{steps:#?}");
    }
    let needs: Vec<String> =
        of(&steps, acl_address("shop"), Part::Main).needs.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["kafka.topic.new", "kafka.user.shop"]);
}
