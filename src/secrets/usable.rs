//! What must be there before a published value works: the database that a URL names, the login and its rights. Pure.

use super::desired::{database_variable, topic_variable};
use super::password;
use crate::core::address::Address;
use crate::core::step::{Action, Hold, Reason};
use crate::services::postgres::model::Op::AlterDatabase;
use crate::services::postgres::model::{DATABASE, database_address, grant_address, role_address};
use crate::services::{Model, Op, ServiceId, Step, kafka, valkey};
use crate::spec::model::{App, Events, Kv, Postgres};
use crate::spec::template::{self, Piece};
use std::collections::{BTreeMap, BTreeSet};

/// The resources that each value of an app names or signs in with, by variable.
pub fn needs(app: &App) -> BTreeMap<String, BTreeSet<Address>> {
    let mut needs = BTreeMap::new();
    if let Some(postgres) = &app.postgres {
        for (at, database) in postgres.databases.iter().enumerate() {
            needs.insert(database_variable(at, &database.name), of_database(postgres, &database.name));
        }
    }
    if let Some(kv) = &app.kv {
        needs.extend(["VALKEY_URL", "REDIS_URL"].map(|name| (name.to_owned(), of_kv(kv))));
    }
    if let Some(events) = &app.events {
        needs.extend(
            ["KAFKA_USERNAME", "KAFKA_PASSWORD", "KAFKA_SASL_MECHANISM"]
                .map(|name| (name.to_owned(), of_events(events))),
        );
        let topics = events.topics.iter().map(|topic| kafka::model::topic_address(&topic.name));
        needs.insert("KAFKA_TOPICS".to_owned(), topics.clone().collect());
        let one = |(topic, address)| (topic_variable(topic), BTreeSet::from([address]));
        needs.extend(events.topics.iter().map(|topic| topic.name.as_str()).zip(topics).map(one));
    }
    for (name, template) in &app.publish {
        needs.insert(name.clone(), of_template(app, template));
    }
    needs
}

/// The variable that is called by the name of a thing, if there is one.
pub fn variable_of(address: &Address) -> Option<String> {
    if address.kind == kafka::model::TOPIC {
        return Some(topic_variable(&address.name));
    }
    // The first database of an app has a variable without its name.
    (address.kind == DATABASE).then(|| database_variable(1, &address.name))
}

/// The login of an app on each service where it has one.
pub fn logins(app: &App) -> BTreeMap<ServiceId, Address> {
    let postgres = app.postgres.as_ref().map(|postgres| (ServiceId::Postgres, role_address(&postgres.user)));
    let kv = app.kv.as_ref().filter(|kv| !kv.shared);
    let kv = kv.map(|kv| (ServiceId::Valkey, valkey::model::user_address(&kv.user)));
    let events = app.events.as_ref().map(|events| (ServiceId::Kafka, kafka::model::user_address(&events.user)));
    postgres.into_iter().chain(kv).chain(events).collect()
}

fn of_database(postgres: &Postgres, database: &str) -> BTreeSet<Address> {
    let user = &postgres.user;
    BTreeSet::from([role_address(user), database_address(database), grant_address(database, user)])
}

fn of_kv(kv: &Kv) -> BTreeSet<Address> {
    // What signs in with the common password has no user that nornplan makes.
    if kv.shared { BTreeSet::new() } else { BTreeSet::from([valkey::model::user_address(&kv.user)]) }
}

fn of_events(events: &Events) -> BTreeSet<Address> {
    BTreeSet::from([kafka::model::user_address(&events.user), kafka::model::acl_address(&events.user)])
}

/// Names of users and passwords go together with the URL that has both.
fn of_template(app: &App, template: &str) -> BTreeSet<Address> {
    let of_piece = |piece: Piece| {
        let Piece::Placeholder(placeholder) = piece else { return None };
        match placeholder.as_str() {
            "pg.user" | "pg.password" | "pg.database" => {
                let postgres = app.postgres.as_ref()?;
                postgres.databases.first().map(|first| of_database(postgres, &first.name))
            }
            "kv.user" | "kv.password" | "kv.namespace" | "kv.db" => app.kv.as_ref().map(of_kv),
            "kafka.user" | "kafka.password" | "kafka.mechanism" => app.events.as_ref().map(of_events),
            _ => None,
        }
    };
    template::parse(template).into_iter().flatten().filter_map(of_piece).flatten().collect()
}

/// What an app cannot use before the step is done: it could not sign in, or not get where it is told to, or would miss
/// what its former user owns. Other changes of what there is already do not keep it from working.
pub fn makes_usable(step: &Step) -> Option<Address> {
    let hands_over = step.reasons.contains(&Reason::HandsOver);
    if let (true, Op::Postgres(AlterDatabase { user, .. })) = (hands_over, &step.op) {
        return Some(role_address(user));
    }
    (step.redirects() || step.moves() || gives_access(step)).then(|| step.address.clone())
}

fn gives_access(step: &Step) -> bool {
    let opens = |before: &Model| matches!(before, Model::PostgresGrant(before) if !before.database_privileges.contains("CONNECT"));
    let updates = step.action == Action::Update;
    matches!(step.action, Action::Create | Action::Rename)
        || updates && (step.before.as_ref().is_some_and(opens) || changes_mechanism(step))
}

/// Whether a user of Kafka signs in otherwise from then on: a published mechanism works with its own credential alone.
fn changes_mechanism(step: &Step) -> bool {
    let mechanism = |model: &Option<Model>| Some(model.as_ref()?.as_kafka_user()?.mechanism.clone());
    step.op == Op::Kafka(kafka::model::Op::SetUser) && mechanism(&step.before) != mechanism(&step.after)
}

/// What a value may need and is not to be had for now, because the step does not run.
pub fn lacking(step: &Step) -> Option<Address> {
    // A broker without an authorizer keeps no ACLs, and needs none.
    let needless = matches!((&step.after, &step.hold), (Some(Model::KafkaAcl(_)), Some(Hold::Blocked { .. })));
    if step.runs() || needless { None } else { makes_usable(step) }
}

/// Whether the values sign in on a service as this user.
pub fn sign_in_as(values: &BTreeMap<String, String>, service: ServiceId, user: &str) -> bool {
    password::sign_in_as(|name| values.get(name).map(String::as_str), service, user)
}
