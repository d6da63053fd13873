//! Plans as the planner would make them.

use super::crowded;
use super::pieces::*;
use super::valkey;
use nornplan::core::address::Address;
use nornplan::core::change::{Cause, FieldChange};
use nornplan::core::name::AppName;
use nornplan::core::plan::{Level, Notice};
use nornplan::core::step::{Action, Hold, Part, Reason, Risk, StepId};
use nornplan::error::{Diagnostic, Kind};
use nornplan::render::outcome::Report;
use nornplan::secrets::model::{Op as SecretOp, secret_address};
use nornplan::services::kafka::model::{User as KafkaUser, acl_address, topic_address, user_address};
use nornplan::services::postgres::model::{
    Access, LockDown, Op as PgOp, database_address, grant_address, lock_down_address, role_address,
};
use nornplan::services::valkey::model::user_address as kv_address;
use nornplan::services::{Model, Op, Outcome, Plan, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Plan)> {
    vec![
        ("no-changes", no_changes()),
        ("creates", creates()),
        ("update", update()),
        ("drift", drift()),
        ("held", held()),
        ("rotate", rotate()),
        ("blocked", blocked()),
        ("incomplete", incomplete()),
        ("alarms", alarms()),
        ("long-values", long_values()),
        ("hostile", hostile()),
        ("adopt", adopt()),
        ("rename", rename()),
        ("lock-down", lock_down()),
        ("many-held", crowded::many_held()),
        ("nothing-read", crowded::nothing_read()),
        ("valkey-users", valkey::changed_users()),
        ("one-reason", valkey::one_reason()),
    ]
}

pub fn no_changes() -> Plan {
    plan(vec![])
}

/// The steps of one app's secret around those of its logins.
fn secret_steps(app: &str, action: Action, after: Model, logins: &[&Step]) -> (Step, Step) {
    let mut stage = step(app, action, secret_address(app), None, Some(after.clone()));
    stage.part = Part::Stage;
    stage.op = Op::Secrets(SecretOp::Stage { services: BTreeMap::from([("postgres".into(), false)]) });
    stage.changes = vec![];
    let mut publish = step(app, action, secret_address(app), None, Some(after));
    publish.part = Part::Publish;
    publish.op = Op::Secrets(SecretOp::Publish { proved: BTreeSet::new(), untouched: BTreeSet::new() });
    publish.reasons = BTreeSet::from([Reason::Publishes]);
    publish.needs = logins.iter().map(|login| login.id()).collect();
    (stage, publish)
}

pub fn creates() -> Plan {
    let cafe_owner = create("cafe-backend", role_address("cafe_owner"), role("cafe_owner", false, None));
    let mut cafe_user = create("cafe-backend", role_address("cafe_user"), role("cafe_user", true, Some(20)));
    cafe_user.sets_credential = true;
    cafe_user.op = Op::Postgres(PgOp::CreateRole);
    let values = published(&[
        ("DATABASE_URL", "postgres://cafe_user:{pg.password}@db.internal:5432/cafe"),
        ("CAFE_POSTGRES_URL", "postgresql://cafe_user:{pg.password}@db.internal:5432/cafe"),
        ("SENTRY_DSN", "https://abcdef@sentry.example/1"),
    ]);
    let (stage, publish) = secret_steps("cafe-backend", Action::Create, values, &[&cafe_user]);
    let cafe_user = needing(cafe_user, &[&stage]);
    let mut cafe = create("cafe-backend", database_address("cafe"), database("cafe", "cafe_owner", &["pgcrypto"]));
    cafe.needs.insert(cafe_owner.id());
    cafe.exclusive = Some("postgres.database.cafe".into());
    let own = needing(
        create("cafe-backend", grant_address("cafe", "cafe_user"), grant("cafe", "cafe_user", Access::App)),
        &[&cafe, &cafe_user],
    );
    let mut reads = create(
        "cafe-backend",
        grant_address("cafe", "reporting_user"),
        grant("cafe", "reporting_user", Access::Readonly),
    );
    reads.needs.insert(cafe.id());
    reads.risks.insert(Risk::WidensAccess);
    let mail_kv =
        create("mail-agent", kv_address("mail-agent"), kv("mail-agent", &["+@all", "-@admin", "-@dangerous"]));
    let mail_user = create(
        "mail-agent",
        user_address("mail-agent"),
        Model::KafkaUser(KafkaUser {
            other_mechanisms: None,
            name: "mail-agent".into(),
            mechanism: Some("SCRAM-SHA-512".into()),
            iterations: Some(8192),
            generated: Some(true),
        }),
    );
    let inbound = create("mail-agent", topic_address("mail.inbound"), topic("mail.inbound", 1, &[]));
    let processed = create(
        "mail-agent",
        topic_address("mail.processed"),
        topic("mail.processed", 6, &[("retention.ms", "604800000"), ("retention.bytes", "1073741824")]),
    );
    let acl = needing(
        create(
            "mail-agent",
            acl_address("mail-agent"),
            acl(
                "mail-agent",
                &[
                    ("topic", "mail.inbound", false, "read"),
                    ("topic", "mail.inbound", false, "write"),
                    ("topic", "mail.inbound", false, "describe"),
                    ("topic", "mail.processed", false, "describe"),
                    ("topic", "mail.processed", false, "write"),
                    ("group", "mail-agent", true, "read"),
                ],
            ),
        ),
        &[&mail_user, &inbound, &processed],
    );
    plan(vec![cafe_owner, cafe, stage, cafe_user, own, reads, mail_kv, mail_user, inbound, processed, acl, publish])
}

pub fn update() -> Plan {
    let mut user = step(
        "cafe-backend",
        Action::Update,
        role_address("cafe_user"),
        Some(role("cafe_user", true, Some(20))),
        Some(role("cafe_user", true, Some(50))),
    );
    user.op = Op::Postgres(PgOp::AlterRole);
    let mut plan = plan(vec![user]);
    plan.narrowed_to = vec!["--app cafe-backend".into()];
    plan
}

fn drifted(mut step: Step, causes: &[Cause]) -> Step {
    for (change, cause) in step.changes.iter_mut().zip(causes) {
        change.cause = *cause;
    }
    step.reasons = BTreeSet::from([Reason::Drifted]);
    if causes.contains(&Cause::ChangedInSpec) {
        step.reasons.insert(Reason::ChangedInSpec);
    }
    step
}

pub fn drift() -> Plan {
    let inbound = step(
        "mail-agent",
        Action::Update,
        topic_address("mail.inbound"),
        Some(topic("mail.inbound", 3, &[("cleanup.policy", "compact"), ("retention.ms", "3600000")])),
        Some(topic("mail.inbound", 6, &[("retention.ms", "604800000")])),
    );
    let widened = step(
        "mail-agent",
        Action::Update,
        kv_address("mail-agent"),
        Some(kv("mail-agent", &["+@all", "-@admin", "+flushall"])),
        Some(kv("mail-agent", &["+@all", "-@admin", "-@dangerous"])),
    );
    let acls = step(
        "mail-agent",
        Action::Update,
        acl_address("mail-agent"),
        Some(acl("mail-agent", &[("topic", "mail.inbound", false, "read"), ("topic", "cafe.", true, "read")])),
        Some(acl("mail-agent", &[("topic", "mail.inbound", false, "read"), ("topic", "mail.inbound", false, "write")])),
    );
    let mut gone = create("cafe-backend", grant_address("cafe", "cafe_user"), grant("cafe", "cafe_user", Access::App));
    gone.reasons = BTreeSet::from([Reason::Vanished]);
    let mut variables = step(
        "cafe-backend",
        Action::Update,
        secret_address("cafe-backend"),
        Some(published(&[("DATABASE_URL", "(another value)"), ("OLD_URL", "x")])),
        Some(published(&[("DATABASE_URL", "postgres://{pg.password}"), ("CAFE_URL", "y")])),
    );
    variables.part = Part::Publish;
    variables.reasons = BTreeSet::from([Reason::Publishes, Reason::Drifted]);
    plan(vec![
        drifted(inbound, &[Cause::ChangedInSpec, Cause::Drifted]),
        drifted(widened, &[Cause::Drifted]),
        drifted(acls, &[Cause::Drifted]),
        gone,
        variables,
    ])
}

pub fn held() -> Plan {
    let mut revoke = step(
        "old",
        Action::Destroy,
        grant_address("old_db", "old_user"),
        Some(grant("old_db", "old_user", Access::App)),
        None,
    );
    revoke.hold = Some(Hold::Destroy);
    let mut drop =
        step("old", Action::Destroy, database_address("old_db"), Some(database("old_db", "old_owner", &[])), None);
    drop.risks = BTreeSet::from([Risk::LosesData, Risk::Interrupts]);
    drop.notes = vec![
        "holds 1.2 GiB in 34 tables; 2 sessions are open".into(),
        "dumped to snapshots/prod/old_db.dump before it is dropped".into(),
    ];
    drop.hold = Some(Hold::Destroy);
    drop.needs.insert(revoke.id());
    let mut owner = step("old", Action::Destroy, role_address("old_owner"), Some(role("old_owner", false, None)), None);
    owner.needs.insert(drop.id());
    owner.hold = Some(Hold::Waits { on: drop.id() });
    let mut user =
        step("ledger", Action::Destroy, role_address("ledger_user"), Some(role("ledger_user", true, None)), None);
    user.risks.insert(Risk::RemovesLogin);
    user.hold = Some(Hold::Prevented { remembered: false });
    let mut kept =
        step("gone", Action::Destroy, database_address("gone"), Some(database("gone", "gone_owner", &[])), None);
    kept.risks.insert(Risk::LosesData);
    kept.hold = Some(Hold::Prevented { remembered: true });
    let mut adopted = step(
        "n8n",
        Action::Update,
        database_address("n8n"),
        Some(database("n8n", "postgres", &[])),
        Some(database("n8n", "n8n_owner", &["pgcrypto"])),
    );
    adopted.reasons = BTreeSet::from([Reason::NotOursYet]);
    adopted.risks.insert(Risk::Interrupts);
    adopted.changes.iter_mut().for_each(|change| change.cause = Cause::NotOursYet);
    adopted.hold = Some(Hold::Interrupt);
    let topics = topic("n8n.events", 1, &[]);
    let mut forget = step("old", Action::Forget, topic_address("old.events"), None, None);
    forget.reasons = BTreeSet::from([Reason::NoLongerDeclared]);
    plan(vec![revoke, drop, owner, user, kept, adopted, create("n8n", topic_address("n8n.events"), topics), forget])
}

pub fn rotate() -> Plan {
    let login = |app: &str, name: &str, reason| {
        let model = role(name, true, None);
        let mut step = step(app, Action::Rotate, role_address(name), Some(model.clone()), Some(model));
        step.part = Part::Credential;
        step.op = Op::Postgres(PgOp::SetPassword);
        step.reasons = BTreeSet::from([reason]);
        step.risks.insert(Risk::Interrupts);
        step.sets_credential = true;
        step
    };
    let asked = login("cafe-backend", "cafe_user", Reason::AskedFor);
    let values = published(&[("DATABASE_URL", "postgres://{pg.password}")]);
    let (stage, mut publish) = secret_steps("cafe-backend", Action::Update, values.clone(), &[&asked]);
    publish.before = Some(values);
    publish.changes = vec![];
    publish.notes = vec!["restart cafe-backend to pick up the new password".into()];
    let mut wrong = login("mail-agent", "mailagent_user", Reason::CredentialWrong);
    wrong.hold = Some(Hold::Interrupt);
    plan(vec![stage.clone(), needing(asked, &[&stage]), wrong, publish])
}

pub fn blocked() -> Plan {
    let mut fewer = step(
        "mail-agent",
        Action::Update,
        topic_address("mail.inbound"),
        Some(topic("mail.inbound", 12, &[])),
        Some(topic("mail.inbound", 6, &[])),
    );
    fewer.hold =
        Some(Hold::Blocked { reason: "a topic cannot have fewer partitions: 12 are there, 6 are declared".into() });
    let mut acls = step(
        "mail-agent",
        Action::Update,
        acl_address("mail-agent"),
        Some(acl("mail-agent", &[])),
        Some(acl("mail-agent", &[("topic", "mail.inbound", false, "read")])),
    );
    acls.hold = Some(Hold::Waits { on: fewer.id() });
    acls.needs.insert(fewer.id());
    plan(vec![fewer, acls])
}

pub fn incomplete() -> Plan {
    let mut plan = update();
    plan.narrowed_to.clear();
    plan.services.remove("kafka");
    plan.incomplete = vec![
        "kafka: no broker answers at k1.internal:9092\n  caused by: connection refused\n  help: start it, or leave it out with --service".into(),
        "valkey: WRONGPASS invalid username-password pair".into(),
    ];
    plan
}

pub fn alarms() -> Plan {
    let mut plan = update();
    plan.narrowed_to.clear();
    let notice = |level, about: &str, text: &str| Notice { level, about: about.into(), text: text.into() };
    plan.notices = vec![
        notice(Level::Note, "cafe-backend", "storage is accepted and not managed"),
        notice(
            Level::Warning,
            "valkey",
            "the append-only file is off: a restart loses what was written since the last snapshot, and ACL changes are kept in the aclfile only",
        ),
        notice(
            Level::Alarm,
            "postgres",
            "it accepts a wrong password (trust): no app is isolated from any other, whatever this plan says",
        ),
    ];
    plan
}

pub fn long_values() -> Plan {
    let mut role_step = update().steps.remove(0);
    let search_path = |extra: &str| format!("public, {}last{extra}", "a_schema_with_a_long_name, ".repeat(4));
    let change =
        |field: &str, before, after| FieldChange { field: field.into(), before, after, cause: Cause::ChangedInSpec };
    let script: String = (0..30).map(|line| format!("statement {line};\n")).collect();
    role_step.changes = vec![
        change(
            "settings",
            serde_json::json!({"search_path": search_path(""), "statement_timeout": "30s"}),
            serde_json::json!({"search_path": search_path("extra"), "work_mem": "64MB"}),
        ),
        change(
            "prepare_script",
            serde_json::json!(script),
            serde_json::json!(script.replace("statement 12;", "statement twelve;")),
        ),
        change("connection_limit", serde_json::json!(null), serde_json::json!(20)),
    ];
    let many: Vec<String> = (0..60).map(|number| format!("+command{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let commands = step(
        "cafe-backend",
        Action::Update,
        kv_address("cafe-backend"),
        Some(kv("cafe-backend", &["+@all", "-@admin"])),
        Some(kv("cafe-backend", &many)),
    );
    plan(vec![role_step, commands])
}

pub fn hostile() -> Plan {
    let evil = "x```\n</details><script>alert(1)</script> @everyone #1 \u{1b}[2J\u{202e}'$(id)";
    let mut table = create("cafe-backend", database_address(evil), database(evil, evil, &[evil]));
    table.notes = vec![format!("note {evil}"), "- not a removal".into()];
    let mut drop = step(
        "cafe-backend",
        Action::Destroy,
        database_address(&format!("old*{evil}")),
        Some(database(evil, evil, &[])),
        None,
    );
    drop.risks.insert(Risk::LosesData);
    drop.hold = Some(Hold::Destroy);
    let config = step(
        "cafe-backend",
        Action::Update,
        topic_address(evil),
        Some(topic(evil, 1, &[("cleanup.policy", evil), ("a.ms", "abc")])),
        Some(topic(evil, 1, &[("cleanup.policy", ""), (evil, evil)])),
    );
    let mut plan = plan(vec![table, drop, config]);
    plan.environment = "prod --><script>".into();
    plan.notices = vec![Notice { level: Level::Alarm, about: evil.into(), text: evil.into() }];
    plan.incomplete = vec![evil.into()];
    plan.narrowed_to = vec![format!("--app {evil}")];
    plan
}

pub fn adopt() -> Plan {
    let mut steps: Vec<Step> = Vec::new();
    for (address, model) in [
        (role_address("norn_owner"), role("norn_owner", false, None)),
        (role_address("norn"), role("norn", true, None)),
        (database_address("norn_db"), database("norn_db", "norn_owner", &[])),
    ] {
        steps.push(step("norn", Action::Adopt, address, Some(model.clone()), Some(model)));
    }
    let limit = role("cafe_user", true, Some(5));
    steps.push(step("cafe-backend", Action::Record, role_address("cafe_user"), Some(limit.clone()), Some(limit)));
    plan(steps)
}

/// A database and its user with other names; the one asks, and the other waits for it.
pub fn rename() -> Plan {
    let renamed = |address: Address, from: &str, model: Model| {
        let mut step = step("cafe-backend", Action::Rename, address, Some(model.clone()), Some(model));
        (step.part, step.reasons) = (Part::Rename, BTreeSet::from([Reason::Moved]));
        step.renamed_from = from.parse().ok();
        step
    };
    let mut database =
        renamed(database_address("bistro"), "postgres.database.cafe", database("bistro", "cafe_owner", &[]));
    database.op = Op::Postgres(PgOp::RenameDatabase { from: "cafe".to_owned(), oid: None });
    database.risks.insert(Risk::Interrupts);
    database.notes.push("2 sessions are in it now (cafe_user): stop the app first".to_owned());
    database.hold = Some(Hold::Interrupt);
    let mut user = needing(
        renamed(role_address("bistro_user"), "postgres.role.cafe_user", role("bistro_user", true, None)),
        &[&database],
    );
    user.op = Op::Postgres(PgOp::RenameRole { from: "cafe_user".to_owned(), oid: None });
    user.hold = Some(Hold::Waits { on: database.id() });
    let mut free = renamed(role_address("norn_owner"), "postgres.role.old_owner", role("norn_owner", false, None));
    free.op = Op::Postgres(PgOp::RenameRole { from: "old_owner".to_owned(), oid: None });
    plan(vec![database, user, free])
}

/// What no app but the workspace file asks for: one held, one that cannot be done, one that is no longer asked for.
pub fn lock_down() -> Plan {
    let closed = |database: &str| Model::PostgresLockDown(LockDown::closed(database));
    let open = |database: &str| {
        Model::PostgresLockDown(LockDown { public: strings(&["CONNECT", "TEMPORARY"]), ..LockDown::closed(database) })
    };
    let update = |database: &str| {
        let address = lock_down_address(database);
        step("workspace", Action::Update, address, Some(open(database)), Some(closed(database)))
    };
    let mut held = update("postgres");
    held.risks.insert(Risk::Interrupts);
    held.hold = Some(Hold::Interrupt);
    held.notes.push("2 other roles could connect through PUBLIC: grafana, metabase".into());
    let mut blocked = update("template1");
    blocked.hold = Some(Hold::Blocked { reason: "only its owner, postgres, or a superuser may close it".into() });
    let mut forgotten = step("workspace", Action::Forget, lock_down_address("defaultdb"), None, None);
    forgotten
        .notes
        .push("nothing is opened; to open it by hand: GRANT CONNECT ON DATABASE \"defaultdb\" TO PUBLIC".into());
    let mut steps = vec![forgotten, held, blocked];
    for step in &mut steps {
        step.app = AppName::workspace();
    }
    Plan { apps: BTreeMap::new(), ..plan(steps) }
}

/// A thousand creates, and at the very end one destroy and one grant that widens access.
pub fn thousand() -> Plan {
    let mut steps: Vec<Step> = (0..998)
        .map(|number| {
            let name = format!("app{}.topic{number}", number / 10);
            create(
                &format!("app{}", number / 10),
                topic_address(&name),
                topic(&name, 3, &[("retention.ms", "604800000")]),
            )
        })
        .collect();
    let mut widen = create("zz", grant_address("zz", "reader"), grant("zz", "reader", Access::Readwrite));
    widen.risks.insert(Risk::WidensAccess);
    let mut drop =
        step("zz", Action::Destroy, database_address("zz_ledger"), Some(database("zz_ledger", "zz_owner", &[])), None);
    drop.risks.insert(Risk::LosesData);
    steps.extend([widen, drop]);
    plan(steps)
}

/// One of each: done, already so, failed, skipped, stale, not started.
pub fn mixed_outcomes(plan: &Plan) -> Report {
    let address = |text: &str| StepId::main(text.parse().unwrap());
    let failed = Diagnostic::new(Kind::Service, "permission denied to create database")
        .on("postgres", "postgres.database.cafe", "CREATE DATABASE \"cafe\" OWNER \"cafe_owner\"")
        .hint("give the admin CREATEDB, or sign in as one who has it");
    let outcomes = vec![
        (address("postgres.role.cafe_owner"), Outcome::done()),
        (address("postgres.role.cafe_user"), Outcome::AlreadySo),
        (address("postgres.database.cafe"), Outcome::failed(failed)),
        (address("postgres.grant.cafe/cafe_user"), Outcome::Skipped { because_of: address("postgres.database.cafe") }),
        (address("kafka.topic.mail.inbound"), stale(topic("mail.inbound", 1, &[]), topic("mail.inbound", 3, &[]))),
        (address("kafka.topic.mail.processed"), Outcome::done()),
    ];
    Report::new(plan, outcomes, Duration::from_secs(83))
}
