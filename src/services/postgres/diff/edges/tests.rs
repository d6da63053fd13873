//! One test for each rule.

use super::*;
use crate::core::name::AppName;
use crate::core::step::{Hold, Reason};
use crate::services::postgres::model::{Access, Database, Grant, grant_address};
use crate::services::{Decision, Model};

/// A step on a role, which nothing but its name matters of.
fn role(operation: Do, action: Action, name: &str) -> Step {
    step(operation, action, role_address(name), None, None)
}

/// A step on the database "shop" of "shop_owner".
fn database(operation: Do, action: Action, change: impl FnOnce(&mut Database, &mut Database)) -> Step {
    let (mut before, mut after) = (Database::new("shop", "shop_owner"), Database::new("shop", "shop_owner"));
    change(&mut before, &mut after);
    let before = (action != Action::Create).then_some(Model::PostgresDatabase(before));
    let after = (action != Action::Destroy).then_some(Model::PostgresDatabase(after));
    step(operation, action, database_address("shop"), before, after)
}

fn altered(change: impl FnOnce(&mut Database, &mut Database)) -> Step {
    database(Do::AlterDatabase { user: "shop_user".to_owned(), keeps: Vec::new() }, Action::Update, change)
}

/// A step on what a role may do in "shop".
fn grant(operation: Do, action: Action, role: &str) -> Step {
    let grant = Grant { database: "shop".to_owned(), role: role.to_owned(), ..Grant::default() };
    let model = Some(Model::PostgresGrant(Grant { access: Some(Access::Readonly), ..grant }));
    let (before, after) = if action == Action::Destroy { (model, None) } else { (None, model) };
    step(operation, action, grant_address("shop", role), before, after)
}

fn granted(role: &str) -> Step {
    grant(Do::SetGrant, Action::Create, role)
}

fn step(operation: Do, action: Action, address: Address, before: Option<Model>, after: Option<Model>) -> Step {
    let (app, reasons) = (AppName::new("shop").unwrap(), BTreeSet::new());
    let decision = Decision { address, app, action, reasons, changes: Vec::new(), notes: Vec::new(), before, after };
    decision.step(Op::Postgres(operation))
}

/// What the first step needs, by address.
fn needs<const N: usize>(mut steps: [Step; N]) -> Vec<String> {
    connect(&mut steps);
    steps[0].needs.iter().map(StepId::to_string).collect()
}

#[test]
fn a_new_role_comes_before_what_names_it() {
    let owner = || role(Do::CreateRole, Action::Create, "shop_owner");
    let created = || database(Do::CreateDatabase, Action::Create, |_, _| {});
    assert_eq!(needs([created(), owner()]), ["postgres.role.shop_owner"]);
    assert_eq!(needs([owner(), created()]), Vec::<String>::new());
    let given_away = || altered(|before, _| before.owner = "somebody".to_owned());
    assert_eq!(needs([given_away(), owner()]), ["postgres.role.shop_owner"]);
    let reader = role(Do::CreateRole, Action::Create, "reader");
    assert_eq!(needs([granted("reader"), reader]), ["postgres.role.reader"]);
    // One that is there already is not waited for.
    let reader = role(Do::AlterRole, Action::Update, "reader");
    assert_eq!(needs([granted("reader"), reader]), Vec::<String>::new());
}

#[test]
fn a_new_database_comes_before_its_user_and_its_grants() {
    let created = || database(Do::CreateDatabase, Action::Create, |_, _| {});
    let user = role(Do::CreateRole, Action::Create, "shop_user");
    assert_eq!(needs([user, created()]), ["postgres.database.shop"]);
    assert_eq!(needs([granted("reader"), created()]), ["postgres.database.shop"]);
    let mut of_another_app = role(Do::CreateRole, Action::Create, "cafe_user");
    of_another_app.app = AppName::new("cafe").unwrap();
    assert_eq!(needs([of_another_app, created()]), Vec::<String>::new());
}

#[test]
fn rights_are_given_before_others_are_taken() {
    let closed_to_public = || altered(|before, _| before.public.extend(["CONNECT".to_owned()]));
    let closed_to_strangers = || altered(|before, _| before.strays.extend(["CONNECT to stranger".to_owned()]));
    let adopting = || {
        altered(|before, after| {
            before.objects_of_others = Some(BTreeMap::from([("old".to_owned(), 1)]));
            after.objects_of_others = Some(BTreeMap::new());
        })
    };
    for takes in [closed_to_public, closed_to_strangers, adopting] {
        assert_eq!(needs([takes(), granted("reader")]), ["postgres.grant.shop/reader"]);
        assert_eq!(needs([granted("reader"), takes()]), Vec::<String>::new());
    }
    // Nothing is taken: neither waits for the other.
    let limited = || altered(|_, after| after.connection_limit = Some(3));
    assert_eq!(needs([limited(), granted("reader")]), Vec::<String>::new());
    assert_eq!(needs([granted("reader"), limited()]), Vec::<String>::new());
}

#[test]
fn who_loses_what_it_owned_gets_its_grant_afterwards() {
    let given_away = || {
        altered(|before, _| {
            before.owner = "shop_user".to_owned();
            before.public.extend(["CONNECT".to_owned()]);
        })
    };
    assert_eq!(needs([granted("shop_user"), given_away()]), ["postgres.database.shop"]);
    assert_eq!(needs([given_away(), granted("shop_user")]), Vec::<String>::new());
    // A reader owned nothing of it: its grant still comes first.
    assert_eq!(needs([given_away(), granted("reader")]), ["postgres.grant.shop/reader"]);
    let adopting = || {
        altered(|before, after| {
            before.objects_of_others = Some(BTreeMap::from([("old".to_owned(), 1)]));
            after.objects_of_others = Some(BTreeMap::new());
        })
    };
    assert_eq!(needs([granted("old"), adopting()]), ["postgres.database.shop"]);
}

#[test]
fn a_shut_database_opens_first_and_closes_last() {
    let opened = || altered(|before, _| before.allow_connections = false);
    let unlimited = || altered(|before, _| before.connection_limit = Some(0));
    for opens in [opened, unlimited] {
        assert_eq!(needs([granted("reader"), opens()]), ["postgres.database.shop"]);
        let revoked = grant(Do::RevokeGrant, Action::Destroy, "reader");
        assert_eq!(needs([revoked, opens()]), ["postgres.database.shop"]);
    }
    // Even if it is taken from PUBLIC by the same step.
    let both = altered(|before, _| {
        before.allow_connections = false;
        before.public.extend(["CONNECT".to_owned()]);
    });
    assert_eq!(needs([granted("reader"), both]), ["postgres.database.shop"]);

    let close = Step { part: Part::Close, ..database(Do::CloseDatabase, Action::Update, |_, _| {}) };
    let change = altered(|_, after| after.connection_limit = Some(3));
    assert_eq!(
        needs([close, change, granted("reader"), role(Do::CreateRole, Action::Create, "reader")]),
        ["postgres.database.shop", "postgres.grant.shop/reader"]
    );
}

#[test]
fn a_database_goes_before_what_was_granted_in_it_and_both_before_the_roles() {
    let dropped = || database(Do::DropDatabase, Action::Destroy, |_, _| {});
    let revoked = || grant(Do::RevokeGrant, Action::Destroy, "reader");
    assert_eq!(needs([dropped(), revoked()]), Vec::<String>::new());
    assert_eq!(needs([revoked(), dropped()]), ["postgres.database.shop"]);
    let user = || role(Do::DropRole, Action::Destroy, "shop_user");
    assert_eq!(needs([user(), dropped(), revoked()]), ["postgres.database.shop", "postgres.grant.shop/reader"]);
}

#[test]
fn a_role_is_dropped_after_every_step_that_names_it() {
    let dropped = |name: &str| {
        let step = role(Do::DropRole, Action::Destroy, name);
        Step { app: AppName::new("cafe").unwrap(), ..step }
    };
    assert_eq!(needs([dropped("reader"), granted("reader")]), ["postgres.grant.shop/reader"]);
    assert_eq!(needs([dropped("reader"), granted("writer")]), Vec::<String>::new());
    let steps: [fn(&mut Database); 4] = [
        |before| before.owner = "reader".to_owned(),
        |before| before.strays = BTreeSet::from(["CONNECT to reader".to_owned()]),
        |before| before.strays_inside = Some(BTreeSet::from(["CREATE on schema public to reader".to_owned()])),
        |before| before.objects_of_others = Some(BTreeMap::from([("reader".to_owned(), 1)])),
    ];
    for names in steps {
        assert_eq!(needs([dropped("reader"), altered(|before, _| names(before))]), ["postgres.database.shop"]);
    }
}

#[test]
fn steps_on_one_database_never_run_at_once_and_what_is_only_recorded_waits_for_nobody() {
    let mut steps = [altered(|_, _| {}), granted("reader"), role(Do::AlterRole, Action::Update, "shop_user")];
    connect(&mut steps);
    let keys: Vec<&str> = steps.iter().filter_map(|step| step.exclusive.as_deref()).collect();
    assert_eq!(keys, ["postgres/database/shop", "postgres/database/shop", "postgres/role/shop_user"]);
    let adopted = grant(Do::SetGrant, Action::Adopt, "reader");
    let mut steps = [adopted, database(Do::CreateDatabase, Action::Create, |_, _| {})];
    connect(&mut steps);
    assert_eq!((steps[0].needs.len(), &steps[0].exclusive), (0, &None));
}

#[test]
fn a_new_password_is_set_on_a_role_that_is_there() {
    let rotated = Step { part: Part::Credential, ..role(Do::SetPassword, Action::Rotate, "shop_user") };
    let altered = role(Do::AlterRole, Action::Update, "shop_user");
    assert_eq!(needs([rotated.clone(), altered]), ["postgres.role.shop_user"]);
    assert_eq!(needs([rotated]), Vec::<String>::new());
}

/// The same step as one of another app's that takes over what belongs to "shop".
fn taken_over(step: Step) -> Step {
    let reasons = BTreeSet::from([Reason::FromAnotherApp]);
    Step { app: AppName::new("cafe").unwrap(), reasons, ..step }
}

#[test]
fn a_role_that_changes_hands_loses_what_it_has_first_and_gets_a_new_password_before_anything_else() {
    let recorded = || Step { op: Op::State, ..taken_over(role(Do::AlterRole, Action::Record, "shop_user")) };
    let rotated = || {
        let step = taken_over(role(Do::SetPassword, Action::Rotate, "shop_user"));
        Step { part: Part::Credential, ..step }
    };
    let revoked = || grant(Do::RevokeGrant, Action::Destroy, "shop_user");
    let dropped = || database(Do::DropDatabase, Action::Destroy, |_, _| {});
    assert_eq!(needs([recorded(), revoked(), rotated(), dropped()]), ["postgres.grant.shop/shop_user"]);
    let owned = || database(Do::DropDatabase, Action::Destroy, |before, _| before.owner = "shop_user".to_owned());
    assert_eq!(needs([recorded(), owned()]), ["postgres.database.shop"]);
    // What it has there is taken from it even if the database stays.
    assert_eq!(needs([revoked(), recorded(), dropped()]), Vec::<String>::new());
    assert_eq!(needs([rotated(), recorded()]), ["postgres.role.shop_user"]);
    let both = ["postgres.role.shop_user", "postgres.role.shop_user (credential)"];
    assert_eq!(needs([granted("shop_user"), recorded(), rotated()]), both);
    let owner = || altered(|_, after| after.owner = "shop_user".to_owned());
    assert_eq!(needs([owner(), recorded(), rotated()]), Vec::<String>::new());
    let own = |step: Step| Step { app: AppName::new("cafe").unwrap(), ..step };
    assert_eq!(needs([own(owner()), recorded(), rotated()]), both);
    let blocked = Step { hold: Some(Hold::Blocked { reason: String::new() }), ..recorded() };
    assert_eq!(needs([blocked, revoked()]), Vec::<String>::new());
}

#[test]
fn an_app_keeps_its_former_users_rights_until_it_has_the_other_apps_role() {
    let comes = || Step { op: Op::State, ..taken_over(role(Do::AlterRole, Action::Record, "shop_user")) };
    let revoked = |access| {
        let mut step = grant(Do::RevokeGrant, Action::Destroy, "cafe_user");
        if let Some(Model::PostgresGrant(grant)) = &mut step.before {
            grant.access = Some(access);
        }
        Step { app: AppName::new("cafe").unwrap(), ..step }
    };
    assert_eq!(needs([revoked(Access::App), comes()]), ["postgres.role.shop_user"]);
    assert_eq!(needs([revoked(Access::Readonly), comes()]), Vec::<String>::new());
}

#[test]
fn a_database_that_changes_hands_comes_before_all_grants_in_it() {
    let comes = || taken_over(altered(|before, _| before.public.extend(["CONNECT".to_owned()])));
    assert_eq!(needs([granted("reader"), comes()]), ["postgres.database.shop"]);
    assert_eq!(needs([comes(), granted("reader")]), Vec::<String>::new());
}

#[test]
fn roles_whose_objects_a_former_owner_keeps_the_use_of_are_made_before_it_gives_its_database_away() {
    let mut given_away = altered(|before, _| before.owner = "old".to_owned());
    let makers = BTreeSet::from(["shop_maker".to_owned()]);
    let keeps = vec![Grant::declared("shop", "old", Access::Readonly, &makers)];
    given_away.op = Op::Postgres(Do::AlterDatabase { user: "shop_user".to_owned(), keeps });
    let maker = role(Do::CreateRole, Action::Create, "shop_maker");
    assert_eq!(needs([given_away, maker]), ["postgres.role.shop_maker"]);
}

#[test]
fn a_role_whose_password_somebody_else_knows_gets_a_new_one_before_it_gets_into_a_new_database() {
    let created = || database(Do::CreateDatabase, Action::Create, |_, _| {});
    let rotated = |reason| {
        let reasons = BTreeSet::from([reason]);
        Step { part: Part::Credential, reasons, ..role(Do::SetPassword, Action::Rotate, "shop_user") }
    };
    let unknown = || rotated(Reason::CredentialUnknown);
    let both = ["postgres.database.shop", "postgres.role.shop_user (credential)"];
    assert_eq!(needs([granted("shop_user"), created(), unknown()]), both);
    assert_eq!(needs([granted("shop_user"), created(), rotated(Reason::AskedFor)]), ["postgres.database.shop"]);
    assert_eq!(needs([granted("reader"), created(), unknown()]), ["postgres.database.shop"]);
    // Where it may know its way about already, the app goes on as it is.
    assert_eq!(needs([granted("shop_user"), unknown()]), Vec::<String>::new());
}
