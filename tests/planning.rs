//! The planner's laws, without any service: the demo's infraspecs against services that are made up from the plan.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use nornplan::config::{self, Config, Source};
use nornplan::core::address::Address;
use nornplan::core::consent::{Allowance, Consent};
use nornplan::core::lint::lint;
use nornplan::core::name::AppName;
use nornplan::core::reconcile::{Applied, Wanted};
use nornplan::core::step::{Action, Hold, Part};
use nornplan::planner::{self, Inputs};
use nornplan::scope::Scope;
use nornplan::services::{self, CredentialStatus, Model, Observation, Observed, Plan, ServiceId};
use nornplan::spec::{
    self,
    model::{Events, Specs},
};
use nornplan::state::{Document, Entry, Event, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What there is: on the services, and in the state.
#[derive(Clone)]
struct World {
    observed: BTreeMap<ServiceId, Observation>,
    document: Document,
}

struct Fixture {
    config: Config,
    specs: Specs,
}

fn demo() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf();
    let config = config::load(&Source { working_directory: root, ..Source::default() }).expect("the workspace");
    let specs = spec::load(&config).expect("the infraspecs");
    Fixture { config, specs }
}

fn nothing() -> World {
    let document = Document::new("default", "lineage");
    let valkey = serde_json::json!({ "product": "valkey", "version": "9.1.2" });
    let observed = ServiceId::ALL.into_iter().map(|id| {
        let server = if id == ServiceId::Valkey { valkey.clone() } else { serde_json::Value::Null };
        (id, Observation { endpoint: "there:1".to_owned(), server, ..Observation::default() })
    });
    World { observed: observed.collect(), document }
}

fn plan(fixture: &Fixture, world: &World, scope: &Scope, consent: &Consent) -> Plan {
    let specs = scope.specs(&fixture.specs);
    let mut wanted: BTreeMap<Address, Wanted<Model>> = BTreeMap::new();
    for id in ServiceId::ALL {
        wanted.extend(services::desired(id, &specs, &fixture.config).expect("wanted"));
    }
    let applied: BTreeMap<_, _> = world
        .document
        .resources
        .iter()
        .map(|(address, entry)| (address.clone(), Applied { app: entry.app.clone(), model: entry.applied.clone() }))
        .collect();
    let plan = planner::plan(Inputs {
        kept_apart: BTreeSet::new(),
        environment: "default",
        specs: &specs,
        scope,
        consent,
        full: &fixture.specs,
        wanted: scope.narrow(&wanted, |one| &one.app),
        elsewhere: BTreeMap::new(),
        applied: scope.narrow(&applied, |one| &one.app),
        document: &world.document,
        observed: &world.observed,
        moves: &nornplan::planner::moves::Moves::default(),
        unreadable: &BTreeMap::new(),
        endpoints: &BTreeMap::new(),
    })
    .expect("a plan");
    assert_eq!(lint(&plan), Vec::<String>::new());
    plan
}

/// The world after every step of the plan that runs.
fn carry_out(world: &mut World, plan: &Plan) {
    for (app, says) in &plan.prevent_destroy {
        world.document.fold(Event::PreventDestroy { app: app.clone(), says: *says });
    }
    for step in plan.runnable().filter(|step| step.part != Part::Stage) {
        let id = ServiceId::of(&step.address).expect("a service");
        let observation = world.observed.get_mut(&id).expect("observed");
        let Some(after) = step.after.clone() else {
            observation.resources.remove(&step.address);
            world.document.resources.remove(&step.address);
            continue;
        };
        let credential = after.generates_password().then_some(CredentialStatus::Verified);
        let seen = Observed { model: after.clone(), credential, facts: BTreeMap::new() };
        observation.resources.insert(step.address.clone(), seen);
        let entry =
            Entry { app: step.app.clone(), origin: Origin::Created, applied: after, fingerprint: None, former: None };
        world.document.resources.insert(step.address.clone(), entry);
    }
    world.document.tidy();
}

fn everything() -> Consent {
    let all = || vec![Allowance::parse("all").expect("all")];
    Consent { destroy: all(), interrupt: all() }
}

fn applied(fixture: &Fixture) -> World {
    let mut world = nothing();
    let first = plan(fixture, &world, &Scope::default(), &Consent::default());
    assert!(first.steps.iter().all(|step| step.runs() && step.action == Action::Create));
    carry_out(&mut world, &first);
    world
}

#[test]
fn what_is_applied_is_as_wanted() {
    let fixture = demo();
    let world = applied(&fixture);
    let second = plan(&fixture, &world, &Scope::default(), &Consent::default());
    assert!(second.is_empty(), "{:#?}", second.steps);
    assert_eq!(second.declared, world.document.resources.len());
}

#[test]
fn the_same_inputs_make_the_same_plan() {
    let fixture = demo();
    let make =
        || serde_json::to_string(&plan(&fixture, &nothing(), &Scope::default(), &Consent::default())).expect("JSON");
    assert_eq!(make(), make());
}

#[test]
fn a_plan_survives_being_saved() {
    let fixture = demo();
    let made = plan(&fixture, &nothing(), &Scope::default(), &Consent::default());
    let text = serde_json::to_string(&made).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), made);
}

#[test]
fn a_lost_state_is_adopted_without_a_write() {
    let fixture = demo();
    let mut world = applied(&fixture);
    world.document.resources.clear();
    let adoption = plan(&fixture, &world, &Scope::default(), &Consent::default());
    assert!(!adoption.is_empty());
    assert!(adoption.steps.iter().all(|step| step.action == Action::Adopt && step.op == services::Op::State));
    carry_out(&mut world, &adoption);
    assert!(plan(&fixture, &world, &Scope::default(), &Consent::default()).is_empty());
}

#[test]
fn every_app_alone_touches_only_its_own() {
    let fixture = demo();
    for app in fixture.specs.apps.keys() {
        let scope = Scope { apps: BTreeSet::from([app.clone()]), ..Scope::default() };
        let mut world = nothing();
        let alone = plan(&fixture, &world, &scope, &Consent::default());
        assert!(!alone.is_empty() && alone.steps.iter().all(|step| step.app == *app));
        carry_out(&mut world, &alone);
        assert!(plan(&fixture, &world, &scope, &Consent::default()).is_empty());
    }
}

#[test]
fn each_resource_that_vanishes_is_made_again_and_nothing_else() {
    let fixture = demo();
    let world = applied(&fixture);
    for address in world.document.resources.keys() {
        let mut world = world.clone();
        let id = ServiceId::of(address).expect("a service");
        world.observed.get_mut(&id).expect("observed").resources.remove(address);
        let repair = plan(&fixture, &world, &Scope::default(), &everything());
        let main: Vec<&Address> =
            repair.steps.iter().filter(|step| step.action == Action::Create).map(|step| &step.address).collect();
        assert!(main.contains(&address), "{address}: {:#?}", repair.steps);
        let others = repair.steps.iter().filter(|step| step.address != *address);
        assert!(
            others.clone().all(|step| step.address.service() == "secret"),
            "{address}: {:#?}",
            others.collect::<Vec<_>>()
        );
        carry_out(&mut world, &repair);
        assert!(plan(&fixture, &world, &Scope::default(), &Consent::default()).is_empty(), "{address}");
    }
}

#[test]
fn destroys_come_in_an_order_of_their_own_and_the_secret_last() {
    let fixture = demo();
    let mut world = applied(&fixture);
    let app = AppName::new("mail-agent").expect("a name");
    let scope = Scope { apps: BTreeSet::from([app.clone()]), destroy: BTreeSet::from([app]), ..Scope::default() };
    let held = plan(&fixture, &world, &scope, &Consent::default());
    assert!(held.steps.iter().all(|step| !step.runs()), "everything of a vanished app is held together");
    let destroy = plan(&fixture, &world, &scope, &everything());
    let order: Vec<&str> = destroy.steps.iter().map(|step| step.address.kind.as_str()).collect();
    let at = |kind: &str| order.iter().position(|found| *found == kind).expect(kind);
    assert!(at("postgres.database") < at("postgres.grant") && at("postgres.grant") < at("postgres.role"));
    assert!(at("kafka.acl") < at("kafka.user") && at("kafka.user") < at("kafka.topic"));
    assert_eq!(order.last(), Some(&"secret"));
    carry_out(&mut world, &destroy);
    assert!(world.document.resources.values().all(|entry| entry.app.as_str() != "mail-agent"));
    assert!(plan(&fixture, &world, &scope, &Consent::default()).is_empty());
}

#[test]
fn a_rotation_stages_first_and_removes_former_passwords_after_publishing() {
    let fixture = demo();
    let world = applied(&fixture);
    let app = AppName::new("mail-agent").expect("a name");
    let scope = Scope { apps: BTreeSet::from([app.clone()]), rotate: BTreeSet::from([app]), ..Scope::default() };
    let rotation = plan(&fixture, &world, &scope, &Consent::default());
    let parts: Vec<Part> = rotation.steps.iter().map(|step| step.part).collect();
    assert_eq!(parts, [Part::Stage, Part::Credential, Part::Credential, Part::Credential, Part::Publish, Part::Close]);
    let removal = rotation.steps.last().expect("a step");
    assert_eq!(removal.address.to_string(), "valkey.user.mail-agent");
    assert!(rotation.steps.iter().all(|step| step.runs()));
}

#[test]
fn an_unknown_credential_is_held_and_the_rest_goes_on() {
    let fixture = demo();
    let mut world = applied(&fixture);
    let address: Address = "postgres.role.mailagent_user".parse().expect("an address");
    let postgres = world.observed.get_mut(&ServiceId::Postgres).expect("observed");
    postgres.resources.get_mut(&address).expect("the role").credential = Some(CredentialStatus::Absent);
    let found = plan(&fixture, &world, &Scope::default(), &Consent::default());
    let held: Vec<&Address> = found.held().map(|step| &step.address).collect();
    assert_eq!(held, [&address]);
    let all = plan(&fixture, &world, &Scope::default(), &everything());
    assert!(all.steps.iter().all(|step| step.runs()));
}

/// The demo without one of its infraspecs.
fn without(app: &AppName) -> Fixture {
    let mut fixture = demo();
    fixture.specs.apps.remove(app).expect("an infraspec");
    fixture
}

#[test]
fn prevent_destroy_outlives_its_infraspec_until_one_without_it_was_applied() {
    let mut fixture = demo();
    let mut world = applied(&fixture);
    // The demo's own infraspec says it.
    let app = AppName::new("norn").expect("a name");
    assert!(fixture.specs.apps[&app].prevent_destroy.is_some());
    assert_eq!(world.document.prevent_destroy, BTreeSet::from([app.clone()]));

    let gone = plan(&without(&app), &world, &Scope::default(), &everything());
    let of_app: Vec<_> = gone.steps.iter().filter(|step| step.app == app).collect();
    let owned = world.document.resources.values().filter(|entry| entry.app == app).count();
    assert_eq!(of_app.iter().filter(|step| step.action == Action::Destroy).count(), owned);
    assert!(of_app.iter().all(|step| step.hold == Some(Hold::Prevented { remembered: true })), "{of_app:#?}");
    // `destroy` is no way round it either, and with an infraspec it is the infraspec that holds.
    let scope =
        Scope { apps: BTreeSet::from([app.clone()]), destroy: BTreeSet::from([app.clone()]), ..Scope::default() };
    for (fixture, remembered) in [(&without(&app), true), (&fixture, false)] {
        let destroy = plan(fixture, &world, &scope, &everything());
        assert!(!destroy.is_empty() && destroy.prevent_destroy.is_empty());
        assert!(destroy.steps.iter().all(|step| step.hold == Some(Hold::Prevented { remembered })), "{remembered}");
    }

    // The way out: once applied without it.
    fixture.specs.apps.get_mut(&app).expect("an infraspec").prevent_destroy = None;
    let lets_go = plan(&fixture, &world, &Scope::default(), &Consent::default());
    assert!(lets_go.steps.is_empty() && !lets_go.is_empty(), "there is something to note");
    assert_eq!(lets_go.prevent_destroy, BTreeMap::from([(app.clone(), false)]));
    assert!(lets_go.notices.iter().any(|notice| notice.about == "norn" && notice.text.contains("any more")));
    carry_out(&mut world, &lets_go);
    assert!(plan(&fixture, &world, &Scope::default(), &Consent::default()).is_empty());
    let destroy = plan(&without(&app), &world, &Scope::default(), &everything());
    assert!(destroy.runnable().any(|step| step.app == app));
    assert!(destroy.steps.iter().all(|step| step.runs()), "{:#?}", destroy.steps);
}

#[test]
fn what_prevent_destroy_keeps_passes_to_nobody_who_does_not_say_it() {
    let mut fixture = demo();
    let app = |name| AppName::new(name).expect("a name");
    let (norn, former, taker) = (app("norn"), app("notifications"), app("mail-agent"));
    let protects = fixture.specs.apps[&norn].prevent_destroy.clone();
    let says = |fixture: &mut Fixture, app: &AppName, says: bool| {
        let place = protects.clone().filter(|_| says);
        fixture.specs.apps.get_mut(app).expect("an infraspec").prevent_destroy = place;
    };
    says(&mut fixture, &former, true);
    let world = applied(&fixture);
    // A topic goes from the one to the other.
    let events = fixture.specs.apps.get_mut(&former).and_then(|app| app.events.as_mut()).expect("events");
    let topic = events.topics.remove(0);
    let address = Address::new(nornplan::services::kafka::model::TOPIC, &topic.name);
    let events = Events { topics: vec![topic], user: taker.to_string(), ..events.clone() };
    fixture.specs.apps.get_mut(&taker).expect("an infraspec").events = Some(events);
    let held = |fixture: &Fixture| {
        let plan = plan(fixture, &world, &Scope::default(), &everything());
        let step = plan.steps.iter().find(|step| step.address == address && step.app == taker).expect("a step").clone();
        assert!(step.moves(), "{step:#?}");
        step.hold
    };
    let Some(Hold::Blocked { reason }) = held(&fixture) else { panic!("it passes to {taker}") };
    let told =
        format!("the infraspec of {former} says prevent_destroy, and has it until now; that of {taker} does not");
    assert!(reason.starts_with(&told), "{reason}");
    // With the former infraspec gone it is the same.
    let mut alone = Fixture { config: demo().config, specs: fixture.specs.clone() };
    alone.specs.apps.remove(&former);
    let Some(Hold::Blocked { reason }) = held(&alone) else { panic!("it passes to {taker}") };
    assert!(reason.starts_with(&format!("the last infraspec of {former} said prevent_destroy")), "{reason}");
    // Whoever says it too may have it with consent, and so may anybody of an app that does not say it any more.
    says(&mut fixture, &taker, true);
    assert_eq!(held(&fixture), None);
    says(&mut fixture, &taker, false);
    says(&mut fixture, &former, false);
    assert_eq!(held(&fixture), None);
}

#[test]
fn what_an_infraspec_says_of_prevent_destroy_is_noted_for_apps_in_scope_that_have_anything() {
    let mut fixture = demo();
    let (norn, mail) = (AppName::new("norn").expect("a name"), AppName::new("mail-agent").expect("a name"));
    let place = fixture.specs.apps[&norn].prevent_destroy.clone();
    let mut world = applied(&fixture);
    // As an older nornplan left it.
    world.document.prevent_destroy.clear();
    fixture.specs.apps.get_mut(&mail).expect("an infraspec").prevent_destroy = place;
    let noted = |world: &World, scope: &Scope| plan(&fixture, world, scope, &Consent::default()).prevent_destroy;
    let both = BTreeMap::from([(norn, true), (mail.clone(), true)]);
    assert_eq!(noted(&world, &Scope::default()), both);
    let alone = Scope { apps: BTreeSet::from([mail.clone()]), ..Scope::default() };
    assert_eq!(noted(&world, &alone), BTreeMap::from([(mail.clone(), true)]));
    let destroys = Scope { destroy: BTreeSet::from([mail]), ..alone };
    assert_eq!(noted(&world, &destroys), BTreeMap::new());
    // The first plan of all notes it with what it makes, and says nothing more of it.
    let first = plan(&fixture, &nothing(), &Scope::default(), &Consent::default());
    assert_eq!(first.prevent_destroy, both);
    assert!(first.notices.iter().all(|notice| !notice.text.contains("prevent_destroy")));
}
