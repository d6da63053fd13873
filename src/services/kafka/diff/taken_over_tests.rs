//! What was somebody else's: names of users, and what another app left.

use super::*;
use crate::services::CredentialStatus;
use crate::services::kafka::diff::ask_about_takeovers;

/// What was read of the user "shop", and what the ACLs of its app wait for.
fn acls_wait_for(applied: &Resources, wanted: &Resources, status: CredentialStatus) -> Vec<String> {
    let steps = plan(wanted, applied, true, |observation| {
        let user = Observed::plain(wanted[&user_address("shop")].model.clone());
        let seen = observation.resources.entry(user_address("shop")).or_insert(user);
        seen.credential = Some(status);
    });
    let acls = steps.iter().find(|step| step.address == acl_address("shop")).unwrap();
    acls.needs.iter().filter(|need| need.address == user_address("shop")).map(ToString::to_string).collect()
}

#[test]
fn a_user_whose_password_somebody_else_knows_gets_a_new_one_before_any_right() {
    use CredentialStatus::{Absent, Staged, Verified, Wrong};
    let wanted = desired(&specs(vec![("shop", events("shop", &["orders"]))]), &config("SCRAM-SHA-512"));
    let (nothing, rotated) = (Resources::new(), ["kafka.user.shop", "kafka.user.shop (credential)"]);
    for status in [Absent, Wrong, Staged] {
        assert_eq!(acls_wait_for(&nothing, &wanted, status), rotated, "{status:?}");
    }
    // A state that was lost.
    assert_eq!(acls_wait_for(&nothing, &wanted, Verified), ["kafka.user.shop"]);
    // More for an app that has ACLs already.
    let before = desired(&specs(vec![("shop", events("shop", &[]))]), &config("SCRAM-SHA-512"));
    assert_eq!(acls_wait_for(&before, &wanted, Wrong), rotated);
    assert_eq!(acls_wait_for(&before, &wanted, Verified), ["kafka.user.shop"]);
    // What is only taken away waits for nothing.
    assert_eq!(acls_wait_for(&wanted, &before, Wrong), ["kafka.user.shop"]);
}

#[test]
fn a_second_way_in_of_a_strangers_user_is_closed_before_it_gets_any_right() {
    let all = specs(vec![("shop", events("shop", &[]))]);
    let (old, new) = (desired(&all, &config("SCRAM-SHA-256")), desired(&all, &config("SCRAM-SHA-512")));
    let case = |status: CredentialStatus| {
        let steps = plan(&new, &BTreeMap::new(), true, |observation| {
            let user = old[&user_address("shop")].model.clone();
            let seen = Observed { credential: Some(status), ..Observed::plain(user) };
            observation.resources.insert(user_address("shop"), seen);
        });
        let acls = steps.iter().find(|step| step.address == acl_address("shop")).unwrap();
        acls.needs.iter().any(|need| need.part == Part::Close)
    };
    assert!(case(CredentialStatus::Absent) && !case(CredentialStatus::Verified));
}

#[test]
fn it_is_told_that_somebody_else_knows_the_password() {
    let wanted = desired(&specs(vec![("shop", events("shop", &[]))]), &config("SCRAM-SHA-512"));
    let told = |status: CredentialStatus| {
        let steps = plan(&wanted, &BTreeMap::new(), true, |observation| {
            let user = wanted[&user_address("shop")].model.clone();
            let seen = Observed { credential: Some(status), ..Observed::plain(user) };
            observation.resources.insert(user_address("shop"), seen);
        });
        let notes = |part| {
            let of_user = steps.iter().find(|step| step.address == user_address("shop") && step.part == part);
            of_user.map(|step| step.notes.join("\n")).unwrap_or_default()
        };
        (notes(Part::Main), notes(Part::Credential))
    };
    let (adopted, rotated) = told(CredentialStatus::Absent);
    assert!(adopted.contains("whoever made it knows its password"), "{adopted}");
    assert!(rotated.contains("is somebody else's: it gets no more ACLs before a new one is set"), "{rotated}");
    assert_eq!(told(CredentialStatus::Verified), (String::new(), String::new()));
    assert!(!told(CredentialStatus::Staged).1.contains("somebody else's"));
}

type Change = fn(&mut Events);

fn name(app: &str) -> AppName {
    AppName::new(app).unwrap()
}

/// What is said of the ACLs of "evil", as `evil` and the others declare them, where the state has what was applied.
fn takeover(applied: &Specs, now: Vec<(&str, Events)>, elsewhere: &[&str]) -> (Vec<String>, Step) {
    let config = config("SCRAM-SHA-512");
    let (applied, wanted) = (desired(applied, &config), desired(&specs(now), &config));
    let mut steps = plan(&wanted, &applied, true, |_| {});
    let elsewhere: BTreeSet<AppName> = elsewhere.iter().map(|app| name(app)).collect();
    let outside = applied.iter().filter(|(_, one)| elsewhere.contains(&one.app));
    let outside = outside.map(|(address, one)| (address, (&one.app, None)));
    let declared = outside.chain(wanted.iter().map(|(address, one)| (address, (&one.app, Some(&one.model))))).collect();
    let ours = applied.iter().map(|(address, one)| (address, &one.app, &one.model));
    ask_about_takeovers(&mut steps, ours, &declared);
    let acls = steps.into_iter().find(|step| step.address == acl_address("evil")).unwrap();
    let said = acls.notes.iter().filter(|note| note.starts_with("it reaches")).cloned().collect();
    assert_eq!(acls.moves() || acls.reasons.contains(&Reason::TakesOver), acls.risks.contains(&Risk::WidensAccess));
    (said, acls)
}

#[test]
fn what_an_app_left_behind_is_not_given_to_another_one_unasked() {
    let van = |change: Change| {
        let mut van = events("van", &["van.secret", "vanroot"]);
        van.groups.insert("workers".to_owned());
        change(&mut van);
        ("van", van)
    };
    let evil = |change: Change| {
        let mut evil = events("evil", &[]);
        change(&mut evil);
        ("evil", evil)
    };
    let applied = specs(vec![van(|_| {})]);
    let cases: [(Change, &str); 5] = [
        (|evil| evil.prefix = Some("van.".to_owned()), "topic van.secret"),
        (
            |evil| evil.external = BTreeSet::from(["van.secret".to_owned(), "vanroot".to_owned()]),
            "topic van.secret, topic vanroot",
        ),
        (|evil| evil.groups = BTreeSet::from(["van".to_owned()]), "group van"),
        (|evil| evil.groups = BTreeSet::from(["workers".to_owned()]), "group workers"),
        (|evil| evil.transactional_ids = BTreeSet::from(["van.1".to_owned()]), "transactional id van.*"),
    ];
    for (change, reached) in cases {
        let (said, acls) = takeover(&applied, vec![evil(change)], &[]);
        let expected =
            format!("it reaches what is van's until now, and no infraspec says any more: {reached}; evil gets it");
        assert_eq!(said, [expected]);
        assert!(acls.reasons.contains(&Reason::TakesOver));
    }
    // What it has beside that, and what another app that is there has given it.
    for change in [|_: &mut Events| {}, |evil: &mut Events| evil.external = BTreeSet::from(["vans".to_owned()])] {
        assert_eq!(takeover(&applied, vec![evil(change)], &[]).0, Vec::<String>::new());
    }
    let shared = |van: &mut Events| van.readers = BTreeSet::from([name("evil")]);
    assert_eq!(takeover(&applied, vec![evil(|_| {}), van(shared)], &[]).0, Vec::<String>::new());
    // What lies under the prefix of an app that lets it in, though the app does not name it any more.
    let prefixed = |van: &mut Events| van.prefix = Some("van.".to_owned());
    let shared = |van: &mut Events| {
        van.topics.clear();
        van.prefix = Some("van.".to_owned());
        van.readers = BTreeSet::from([name("evil")]);
    };
    assert_eq!(takeover(&specs(vec![van(prefixed)]), vec![evil(|_| {}), van(shared)], &[]).0, Vec::<String>::new());
    // An app that this run leaves out.
    let takes = |evil: &mut Events| evil.prefix = Some("van.".to_owned());
    assert_eq!(takeover(&applied, vec![evil(takes)], &["van"]).0, Vec::<String>::new());
    // A group that the other app does not have any more.
    let mine = |evil: &mut Events| evil.groups = BTreeSet::from(["workers".to_owned()]);
    let (said, _) = takeover(&applied, vec![evil(mine), van(|van| van.groups.clear())], &[]);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn what_was_let_through_once_is_put_back_unasked() {
    let mut evil = events("evil", &[]);
    evil.prefix = Some("van.".to_owned());
    let applied = specs(vec![("van", events("van", &["van.secret"])), ("evil", evil.clone())]);
    let config = config("SCRAM-SHA-512");
    let (applied, wanted) = (desired(&applied, &config), desired(&specs(vec![("evil", evil)]), &config));
    let mut steps = plan(&wanted, &applied, true, |observation| {
        observation.resources.remove(&acl_address("evil"));
    });
    let declared = wanted.iter().map(|(address, one)| (address, (&one.app, Some(&one.model)))).collect();
    ask_about_takeovers(&mut steps, applied.iter().map(|(at, one)| (at, &one.app, &one.model)), &declared);
    let acls = steps.iter().find(|step| step.address == acl_address("evil")).unwrap();
    assert!(acls.action == Action::Create && !acls.reasons.contains(&Reason::TakesOver), "{acls:#?}");
}

#[test]
fn acls_by_a_prefix_wait_for_the_topics_under_it_that_change_hands() {
    let mut next = events("next", &["van.secret"]);
    next.prefix = Some("van.".to_owned());
    let config = config("SCRAM-SHA-512");
    let applied = desired(&specs(vec![("van", events("van", &["van.secret"]))]), &config);
    let steps = plan(&desired(&specs(vec![("next", next)]), &config), &applied, true, |_| {});
    let acls = steps.iter().find(|step| step.address == acl_address("next")).unwrap();
    assert!(acls.needs.iter().any(|need| need.address == topic_address("van.secret")), "{acls:#?}");
}

#[test]
fn topics_of_nobody_under_a_new_prefix_are_told_with_what_may_be_done_to_them() {
    let mut corp = events("corp", &[]);
    corp.prefix = Some("pay.".to_owned());
    corp.internal_topics = true;
    let wanted = desired(&specs(vec![("corp", corp)]), &config("SCRAM-SHA-512"));
    let told = |beneath: serde_json::Value| {
        let steps = plan(&wanted, &BTreeMap::new(), true, |observation| observation.server = beneath);
        let acls = steps.into_iter().find(|step| step.address == acl_address("corp")).unwrap();
        (acls.risks.contains(&Risk::WidensAccess), acls.notes.into_iter().filter(|note| note.contains("lie")).collect())
    };
    let beneath = serde_json::json!({
        "corp.": { "names": ["corp.payroll"], "count": 1 },
        "pay.": { "names": ["pay.a", "pay.b", "pay.c"], "count": 40 },
    });
    let (widens, notes): (bool, Vec<String>) = told(serde_json::json!({ "beneath": beneath }));
    let expected = [
        "1 topic lies under corp.* that no infraspec declares, and its user may read, write, delete there, too: corp.payroll",
        "40 topics lie under pay.* that no infraspec declares, and its user may read, write there, too: pay.a, pay.b, pay.c \
         and 37 more",
    ];
    assert_eq!((widens, notes), (true, expected.map(str::to_owned).to_vec()));
    assert_eq!(told(serde_json::json!({})), (false, Vec::new()));
    let (_, notes) = told(serde_json::json!({ "beneath_untold": "too long" }));
    assert_eq!(notes, ["which topics lie under the prefix already is not known: too long"]);
}

#[test]
fn what_is_in_a_topic_that_is_adopted_is_told() {
    let wanted = desired(&specs(vec![("shop", events("shop", &["orders"]))]), &config("SCRAM-SHA-512"));
    let told = |messages: u64, applied: &Resources| {
        let steps = plan(&wanted, applied, true, |observation| {
            let topic = wanted[&topic_address("orders")].model.clone();
            let facts = BTreeMap::from([("messages".to_owned(), messages.into())]);
            observation.resources.insert(topic_address("orders"), Observed { facts, ..Observed::plain(topic) });
        });
        let topic = steps.into_iter().find(|step| step.address == topic_address("orders"));
        topic.map(|step| step.notes)
    };
    assert_eq!(told(3, &BTreeMap::new()).unwrap(), ["it holds at most 3 messages already"]);
    assert_eq!(told(0, &BTreeMap::new()).unwrap(), Vec::<String>::new());
    assert_eq!(told(3, &wanted), None);
}
