//! The pieces that plans are made of.

use nornplan::core::address::Address;
use nornplan::core::change::{Cause, Resource, three_way, whole};
use nornplan::core::name::AppName;
use nornplan::core::nodes::Nodes;
use nornplan::core::plan::{FORMAT_VERSION, ServiceHead};
use nornplan::core::step::{Action, Part, Reason};
use nornplan::secrets::model::Published;
use nornplan::services::kafka::model::{Acl, Binding, Topic};
use nornplan::services::postgres::model::{Access, Credential, Database, Extension, Grant, Role};
use nornplan::services::valkey::model::{Access as KvAccess, User as KvUser};
use nornplan::services::{Model, Op, Outcome, Plan, Step};
use std::collections::{BTreeMap, BTreeSet};

pub fn plan(steps: Vec<Step>) -> Plan {
    let service = |endpoint: &str, identity: &str, version: &str| ServiceHead {
        endpoint: endpoint.into(),
        identity: Some(identity.into()),
        version: Some(version.into()),
        nodes: Nodes::default(),
    };
    let apps = steps.iter().map(|step| (step.app.clone(), "0".repeat(64))).collect();
    Plan {
        format_version: FORMAT_VERSION,
        tool_version: "0.1.0".into(),
        environment: "prod".into(),
        workspace: BTreeMap::new(),
        services: BTreeMap::from([
            ("postgres".into(), service("db.internal:5432", "7301231231231231231", "PostgreSQL 18.6")),
            ("valkey".into(), service("kv.internal:6379", "kv.internal:6379", "Valkey 9.1.2")),
            ("kafka".into(), service("k1.internal:9092,k2.internal:9092", "MkU3OEVBNTcwNTJENDM2Qg", "Kafka 4.1")),
        ]),
        apps,
        prevent_destroy: BTreeMap::new(),
        narrowed_to: vec![],
        steps,
        declared: 14,
        unread: 0,
        notices: vec![],
        takes_all: false,
        incomplete: vec![],
        owners: BTreeMap::new(),
        lineage: Some("5f0d7c1e-0000-4000-8000-000000000000".into()),
        serial: 7,
    }
}

pub fn strings(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(ToString::to_string).collect()
}

pub fn map(items: &[(&str, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

pub fn step(app: &str, action: Action, address: Address, before: Option<Model>, after: Option<Model>) -> Step {
    let changes = match (&before, &after, action) {
        (None, Some(after), Action::Create) => whole(&after.fields(), true, Cause::ChangedInSpec),
        (Some(before), None, Action::Destroy) => whole(&before.fields(), false, Cause::ChangedInSpec),
        (Some(before), Some(after), _) => three_way(&after.fields(), &before.fields(), Some(&before.fields())).changes,
        _ => vec![],
    };
    let reason = match action {
        Action::Create => Reason::Declared,
        Action::Update | Action::Replace | Action::Record => Reason::ChangedInSpec,
        Action::Destroy | Action::Forget => Reason::NoLongerDeclared,
        Action::Rename => Reason::Moved,
        Action::Adopt => Reason::NotOursYet,
        Action::Rotate => Reason::CredentialWrong,
    };
    Step {
        address,
        part: Part::Main,
        app: AppName::new(app).unwrap(),
        action,
        reasons: BTreeSet::from([reason]),
        risks: BTreeSet::new(),
        changes,
        notes: vec![],
        before,
        op: Op::State,
        after,
        sets_credential: false,
        needs: BTreeSet::new(),
        exclusive: None,
        part_of: None,
        renamed_from: None,
        hold: None,
    }
}

pub fn create(app: &str, address: Address, after: Model) -> Step {
    step(app, Action::Create, address, None, Some(after))
}

pub fn needing(mut step: Step, needs: &[&Step]) -> Step {
    step.needs = needs.iter().map(|need| need.id()).collect();
    step
}

pub fn role(name: &str, login: bool, limit: Option<u32>) -> Model {
    Model::PostgresRole(Role {
        name: name.into(),
        login,
        connection_limit: limit,
        attributes: BTreeSet::new(),
        settings: BTreeMap::new(),
        credential: Some(if login { Credential::Generate } else { Credential::None }),
        valid_until: None,
        member_of: None,
        members: None,
        settings_in_databases: None,
    })
}

pub fn database(name: &str, owner: &str, extensions: &[&str]) -> Model {
    let extensions = extensions.iter().map(|name| ((*name).to_owned(), Extension::default())).collect();
    Model::PostgresDatabase(Database { extensions: Some(extensions), ..Database::new(name, owner) })
}

pub fn grant(database: &str, role: &str, access: Access) -> Model {
    let tables: &[&str] =
        if access == Access::Readonly { &["SELECT"] } else { &["SELECT", "INSERT", "UPDATE", "DELETE"] };
    Model::PostgresGrant(Grant {
        database: database.into(),
        role: role.into(),
        access: Some(access),
        database_privileges: strings(&["CONNECT"]),
        schema_privileges: Some(strings(&["USAGE"])),
        future_tables: Some(strings(tables)),
        future_sequences: Some(strings(&["SELECT"])),
        present_objects: Some(true),
        ..Grant::default()
    })
}

pub fn kv(name: &str, commands: &[&str]) -> Model {
    Model::ValkeyUser(KvUser {
        access: Some(KvAccess::Readwrite),
        namespace: Some(name.into()),
        reads: Some(BTreeMap::new()),
        db: Some(0),
        generated: Some(true),
        extra_passwords: None,
        enabled: true,
        keys: Some(strings(&[&format!("~{name}:*")])),
        channels: Some(strings(&[&format!("&{name}:*")])),
        commands: Some(std::sync::Arc::new(commands.iter().map(ToString::to_string).collect())),
        selectors: Some(BTreeSet::new()),
        ..KvUser::new(name)
    })
}

pub fn topic(name: &str, partitions: i32, config: &[(&str, &str)]) -> Model {
    Model::KafkaTopic(Topic {
        name: name.into(),
        partitions: Some(partitions),
        replication: Some(1),
        config: map(config),
        ..Topic::default()
    })
}

pub fn acl(principal: &str, bindings: &[(&str, &str, bool, &str)]) -> Model {
    let bindings =
        bindings.iter().map(|(kind, name, prefixed, operation)| Binding::allow(kind, name, *prefixed, operation));
    Model::KafkaAcl(Acl { principal: principal.into(), bindings: bindings.collect() })
}

pub fn published(values: &[(&str, &str)]) -> Model {
    Model::Secret(Published { values: map(values) })
}

/// What a recheck finds in place of what was expected.
pub fn stale(expected: Model, now: Model) -> Outcome {
    let differs = three_way(&now.fields(), &expected.fields(), None).changes;
    Outcome::Stale { now: Some(Box::new(now)), differs }
}
