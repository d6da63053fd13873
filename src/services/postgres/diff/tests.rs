//! Decisions on one app's role, database and grant.

use super::*;
use crate::core::graph::sort;
use crate::core::name::AppName;
use crate::core::step::Risk;
use crate::services::postgres::model::{
    Access, Credential, Database, Extension, Grant, Role, database_address, grant_address, role_address,
};
use crate::services::{CredentialStatus, Observation, Observed};
use std::collections::BTreeSet;

fn name() -> AppName {
    AppName::new("cafe").unwrap()
}

fn role(name: &str, credential: Credential) -> (Address, Model) {
    let role = Role {
        name: name.to_owned(),
        login: credential != Credential::None,
        connection_limit: None,
        attributes: BTreeSet::new(),
        settings: BTreeMap::new(),
        credential: Some(credential),
        valid_until: None,
        member_of: None,
        members: None,
        settings_in_databases: None,
    };
    (role_address(name), Model::PostgresRole(role))
}

fn cafe() -> BTreeMap<Address, Model> {
    let database = Database::new("cafe", "cafe_owner");
    let access = Grant::declared("cafe", "a_cafe_user", Access::App, &BTreeSet::new());
    BTreeMap::from([
        role("a_cafe_user", Credential::Generate),
        role("cafe_owner", Credential::None),
        (database_address("cafe"), Model::PostgresDatabase(database)),
        (grant_address("cafe", "a_cafe_user"), Model::PostgresGrant(access)),
    ])
}

fn plan(
    wanted: &BTreeMap<Address, Model>,
    there: &BTreeMap<Address, Model>,
    applied: &BTreeMap<Address, Model>,
    credential: Option<CredentialStatus>,
) -> Vec<String> {
    let of = |(address, model): (&Address, &Model)| (address.clone(), model.clone());
    let wanted = wanted.iter().map(of).map(|(address, model)| (address, Wanted { app: name(), model })).collect();
    let applied = applied.iter().map(of).map(|(address, model)| (address, Applied { app: name(), model })).collect();
    let read = |(address, model)| (address, Observed { credential, ..Observed::plain(model) });
    let resources = there.iter().map(of).map(read).collect();
    let input = DiffInput {
        wanted: &wanted,
        applied: &applied,
        observation: &Observation { resources, ..Observation::default() },
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    };
    sort(diff(input)).unwrap().iter().map(|step| format!("{} {}", step.action, step.id())).collect()
}

#[test]
fn owner_then_database_then_user_then_grant_and_back() {
    let nothing = BTreeMap::new();
    let cafe = cafe();
    assert_eq!(
        plan(&cafe, &nothing, &nothing, None),
        [
            "create postgres.role.cafe_owner",
            "create postgres.database.cafe",
            "create postgres.role.a_cafe_user",
            "create postgres.grant.cafe/a_cafe_user"
        ]
    );
    assert_eq!(
        plan(&nothing, &cafe, &cafe, None),
        [
            "destroy postgres.database.cafe",
            "destroy postgres.grant.cafe/a_cafe_user",
            "destroy postgres.role.a_cafe_user",
            "destroy postgres.role.cafe_owner"
        ]
    );
    assert_eq!(plan(&cafe, &cafe, &cafe, Some(CredentialStatus::Verified)), Vec::<String>::new());
}

#[test]
fn a_password_that_does_not_sign_in_is_rotated_and_a_kept_one_never() {
    let mut cafe = cafe();
    let wrong = Some(CredentialStatus::Wrong);
    assert_eq!(plan(&cafe, &cafe, &cafe, wrong), ["rotate postgres.role.a_cafe_user (credential)"]);
    cafe.extend([role("a_cafe_user", Credential::Keep)]);
    assert_eq!(plan(&cafe, &cafe, &cafe, wrong), Vec::<String>::new());
}

#[test]
fn undeclared_extensions_and_limits_of_kept_roles_are_left_alone() {
    let mut cafe = cafe();
    cafe.extend([role("a_cafe_user", Credential::Keep)]);
    let mut there = cafe.clone();
    for model in there.values_mut() {
        if let Model::PostgresDatabase(database) = model {
            database.extensions = Some(BTreeMap::from([("vector".to_owned(), Extension::default())]));
        }
        if let Model::PostgresRole(role) = model {
            role.connection_limit = if role.login { Some(3) } else { None };
            role.attributes.extend(role.login.then(|| "CREATEDB".to_owned()));
            role.settings.extend(role.login.then(|| ("work_mem".to_owned(), "1MB".to_owned())));
        }
    }
    assert_eq!(plan(&cafe, &there, &cafe, None), Vec::<String>::new());
}

/// The plan for a living database of `owner`, in which another app's user owns tables that shall become the cafe's.
fn adopting(owner: &str) -> Vec<Step> {
    let mut cafe = cafe();
    let (address, billing) = role("billing_user", Credential::Generate);
    let mut wanted: BTreeMap<Address, Wanted<Model>> = BTreeMap::new();
    wanted.insert(address.clone(), Wanted { app: AppName::new("billing").unwrap(), model: billing.clone() });
    let (mut there, mut facts) = (cafe.clone(), BTreeMap::new());
    there.remove(&grant_address("cafe", "a_cafe_user"));
    there.insert(address, billing);
    let place = database_address("cafe");
    if let (Some(Model::PostgresDatabase(wanted)), Some(Model::PostgresDatabase(there))) =
        (cafe.get_mut(&place), there.get_mut(&place))
    {
        wanted.objects_of_others = Some(BTreeMap::new());
        there.objects_of_others = Some(BTreeMap::from([("billing_user".to_owned(), 3)]));
        there.public.insert("CONNECT".to_owned());
        owner.clone_into(&mut there.owner);
        let told =
            serde_json::json!({"billing_user": {"kinds": {"table": 2, "view": 1}, "definers": 1, "sessions": 4}});
        facts.insert(crate::services::postgres::model::belongings::FACT.to_owned(), told);
    }
    wanted.extend(cafe.into_iter().map(|(address, model)| (address, Wanted { app: name(), model })));
    let read = |(address, model): (Address, Model)| {
        let facts = if address == place { facts.clone() } else { BTreeMap::new() };
        (address, Observed { facts, credential: Some(CredentialStatus::Verified), ..Observed::plain(model) })
    };
    let input = DiffInput {
        wanted: &wanted,
        applied: &BTreeMap::new(),
        observation: &Observation { resources: there.into_iter().map(read).collect(), ..Observation::default() },
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    };
    sort(diff(input)).unwrap().into_iter().filter(|step| !step.action.only_state()).collect()
}

#[test]
fn rights_are_given_before_others_are_taken_away_and_after_their_owner_changed() {
    let order = |owner| adopting(owner).iter().map(|step| step.address.to_string()).collect::<Vec<_>>();
    let (grant, database) = ("postgres.grant.cafe/a_cafe_user", "postgres.database.cafe");
    assert_eq!(order("cafe_owner"), [grant, database]);
    assert_eq!(order("somebody"), [database, grant]);
}

#[test]
fn adopting_says_who_loses_access_and_asks() {
    let steps = adopting("cafe_owner");
    let step = steps.iter().find(|step| step.address == database_address("cafe")).unwrap();
    assert!(step.risks.contains(&crate::core::step::Risk::Interrupts));
    assert_eq!(
        step.notes,
        [
            "2 tables and 1 view of billing_user become a_cafe_user's; billing_user (4 sessions here now) loses its \
             access: it is the login of the app billing",
            "1 SECURITY DEFINER function among them then runs with the rights of a_cafe_user",
        ]
    );
}

/// The steps without their order.
fn steps(
    wanted: &BTreeMap<Address, Model>,
    there: &BTreeMap<Address, Model>,
    applied: &BTreeMap<Address, Model>,
) -> Vec<Step> {
    let of = |(address, model): (&Address, &Model)| (address.clone(), model.clone());
    let resources = there.iter().map(of).map(|(address, model)| (address, Observed::plain(model))).collect();
    diff(DiffInput {
        wanted: &wanted.iter().map(of).map(|(address, model)| (address, Wanted { app: name(), model })).collect(),
        applied: &applied.iter().map(of).map(|(address, model)| (address, Applied { app: name(), model })).collect(),
        observation: &Observation { resources, ..Observation::default() },
        rotate: &BTreeSet::new(),
        credentials: &BTreeMap::new(),
    })
}

#[test]
fn fewer_connections_for_a_living_role_wait_for_consent_and_more_do_not() {
    let limited = |limit| {
        let (address, model) = role("cafe_user", Credential::Generate);
        let Model::PostgresRole(role) = model else { unreachable!() };
        BTreeMap::from([(address, Model::PostgresRole(Role { connection_limit: limit, ..role }))])
    };
    for (there, wanted, interrupts) in [(None, 5, true), (Some(40), 5, true), (Some(3), 5, false)] {
        let (there, wanted) = (limited(there), limited(Some(wanted)));
        let held =
            |applied: &BTreeMap<Address, Model>| steps(&wanted, &there, applied)[0].risks.contains(&Risk::Interrupts);
        assert_eq!(held(&BTreeMap::new()), interrupts);
        assert!(!held(&there), "what is ours already is not asked for");
    }
}

#[test]
fn a_login_that_goes_keeps_its_rights_until_its_drop_is_allowed() {
    let before = cafe();
    let mut after = cafe();
    after.remove(&role_address("a_cafe_user"));
    after.remove(&grant_address("cafe", "a_cafe_user"));
    let removes =
        |steps: Vec<Step>| -> Vec<bool> { steps.iter().map(|step| step.risks.contains(&Risk::RemovesLogin)).collect() };
    assert_eq!(removes(steps(&after, &before, &before)), [true, true]);
    // One that stays loses what is no longer declared without asking.
    after.extend([role("a_cafe_user", Credential::Generate)]);
    assert_eq!(removes(steps(&after, &before, &before)), [false]);
}
