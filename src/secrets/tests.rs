//! The vault over real files, through the steps of whole runs, killed ones too.

use super::model::ANOTHER_VALUE;
use super::*;
use crate::config::{Config, Source, load};
use crate::core::reconcile::{Applied, Wanted};
use crate::core::step::{Action, Part, Reason, Risk, StepId};
use crate::error::Place;
use crate::services::postgres::model::{Credential, role_address};
use crate::services::{DiffInput, Op, kafka, valkey};
use crate::spec::model::{App, Database, Events, Kv, Postgres, Specs, Topic};
use std::fs;
use std::path::PathBuf;

struct World {
    directory: tempfile::TempDir,
    config: Config,
    specs: Specs,
    applied: BTreeMap<Address, Applied<Model>>,
    vault: Arc<Vault>,
}

fn cafe() -> AppName {
    AppName::new("cafe").unwrap()
}

fn app() -> App {
    App {
        name: cafe(),
        place: Place::File(PathBuf::from("cafe.toml")),
        postgres: Some(Postgres {
            databases: ["cafe", "cafe-logs"].map(database).into(),
            user: "cafe_user".to_owned(),
            owner: "cafe_owner".to_owned(),
            connection_limit: None,
            settings: BTreeMap::new(),
            readers: BTreeSet::new(),
            writers: BTreeSet::new(),
            grants: BTreeMap::new(),
            migrator: None,
            adopt_objects: false,
            credential: Credential::Generate,
        }),
        kv: Some(Kv {
            namespace: Some("cafe".to_owned()),
            user: "cafe".to_owned(),
            access: valkey::model::Access::Readwrite,
            db: 2,
            shared: false,
            commands: Vec::new(),
            keys: BTreeSet::new(),
            channels: BTreeSet::new(),
            readers: BTreeSet::new(),
            credential: Credential::Generate,
            on_destroy: valkey::model::OnDestroy::KeepKeys,
        }),
        events: Some(Events {
            topics: vec![topic("mail.inbound"), topic("orders")],
            user: "cafe".to_owned(),
            prefix: None,
            groups: BTreeSet::new(),
            transactional_ids: BTreeSet::new(),
            readers: BTreeSet::new(),
            writers: BTreeSet::new(),
            external: BTreeSet::new(),
            internal_topics: false,
            credential: Credential::Generate,
        }),
        publish: BTreeMap::new(),
        prevent_destroy: None,
    }
}

fn database(name: &str) -> Database {
    Database { name: name.to_owned(), ..Database::default() }
}

fn topic(name: &str) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions: None,
        replication: None,
        config: BTreeMap::new(),
        exact: false,
        readers: BTreeSet::new(),
        writers: BTreeSet::new(),
    }
}

impl World {
    fn new(app: App) -> Self {
        Self::with(app, &[])
    }

    fn with(app: App, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let source = Source { working_directory: directory.path().to_owned(), variables, ..Source::default() };
        let config = load(&source).unwrap();
        let vault = Arc::new(Vault::open(&config));
        let mut specs = Specs::default();
        specs.apps.insert(app.name.clone(), app);
        Self { directory, config, specs, applied: BTreeMap::new(), vault }
    }

    fn wanted(&self) -> BTreeMap<Address, Wanted<Model>> {
        desired(&self.specs, &self.config).unwrap()
    }

    fn values(&self) -> BTreeMap<String, String> {
        let wanted = self.wanted().remove(&model::secret_address("cafe")).unwrap();
        wanted.model.as_secret().unwrap().values.clone()
    }

    async fn observe(&self) -> Observation {
        let ask = Ask { wanted: self.wanted(), applied: self.applied.clone(), ..Ask::default() };
        Secrets::new(self.vault.clone()).observe(&ask).await.unwrap()
    }

    async fn plan(&self, credentials: &[StepId]) -> Vec<Step> {
        let credentials = match credentials {
            [] => BTreeMap::new(),
            some => BTreeMap::from([(cafe(), some.iter().cloned().collect())]),
        };
        diff::diff(DiffInput {
            wanted: &self.wanted(),
            applied: &self.applied,
            observation: &self.observe().await,
            rotate: &BTreeSet::new(),
            credentials: &credentials,
        })
    }

    async fn apply(&mut self, steps: &[Step]) {
        let context = ApplyContext {
            vault: self.vault.clone(),
            consent: crate::core::consent::Consent::default(),
            removed: crate::services::Progress::default(),
            stop: tokio_util::sync::CancellationToken::new(),
        };
        let secrets = Secrets::new(self.vault.clone());
        for step in steps {
            if step.op != Op::State {
                let outcomes = secrets.apply(&[step], &context).await;
                assert!(outcomes.iter().all(Outcome::succeeded), "{outcomes:?}");
            }
            match (&step.after, step.part) {
                (_, Part::Stage) => {}
                (Some(model), _) => {
                    let applied = Applied { app: step.app.clone(), model: model.clone() };
                    self.applied.insert(step.address.clone(), applied);
                }
                (None, _) => drop(self.applied.remove(&step.address)),
            }
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("secrets/cafe.env")
    }

    fn stage(&self) -> PathBuf {
        self.directory.path().join("secrets/.cafe.env.staged")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn password(&self, service: ServiceId) -> String {
        self.vault.password(&cafe(), service).unwrap().expose().to_owned()
    }
}

const LOGINS: [ServiceId; 3] = [ServiceId::Postgres, ServiceId::Valkey, ServiceId::Kafka];

fn logins(part: Part) -> Vec<StepId> {
    [role_address("cafe_user"), valkey::model::user_address("cafe"), kafka::model::user_address("cafe")]
        .map(|address| StepId { address, part })
        .to_vec()
}

fn summary(steps: &[Step]) -> Vec<(Action, Part)> {
    steps.iter().map(|step| (step.action, step.part)).collect()
}

#[test]
fn what_is_published() {
    let values =
        World::with(app(), &[("NORNPLAN_VALKEY_TLS", "true"), ("NORNPLAN_POSTGRES_PUBLIC_HOST", "::1")]).values();
    let expected = [
        ("DATABASE_URL", "postgres://cafe_user:{pg.password}@[::1]:5432/cafe?sslmode=disable"),
        ("DATABASE_URL_CAFE_LOGS", "postgres://cafe_user:{pg.password}@[::1]:5432/cafe-logs?sslmode=disable"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:19092"),
        ("KAFKA_BROKERS", "127.0.0.1:19092"),
        ("KAFKA_PASSWORD", "{kafka.password}"),
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("KAFKA_TOPICS", "mail.inbound,orders"),
        ("KAFKA_TOPIC_MAIL_INBOUND", "mail.inbound"),
        ("KAFKA_TOPIC_ORDERS", "orders"),
        ("KAFKA_USERNAME", "cafe"),
        ("REDIS_URL", "rediss://cafe:{kv.password}@127.0.0.1:6379/2"),
        ("VALKEY_URL", "rediss://cafe:{kv.password}@127.0.0.1:6379/2"),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn without_a_sign_in_or_with_a_kept_credential_no_password_is_published() {
    let open = World::with(App { postgres: None, kv: None, ..app() }, &[("NORNPLAN_KAFKA_MECHANISM", "none")]).values();
    assert!(open.contains_key("KAFKA_BROKERS") && !open.contains_key("KAFKA_PASSWORD"));
    assert!(!open.contains_key("KAFKA_SECURITY_PROTOCOL"), "clients take PLAINTEXT by themselves");
    let mut kept = app();
    kept.postgres.as_mut().unwrap().credential = Credential::Keep;
    kept.kv = None;
    kept.events = None;
    assert!(World::new(kept).wanted().is_empty());
}

#[test]
fn templates_are_filled_and_checked() {
    let with = |name: &str, template: &str| {
        let mut app = app();
        app.kv = None;
        app.publish.insert(name.to_owned(), template.to_owned());
        World::new(app)
    };
    let url = "postgresql://{pg.user}:{pg.password}@{pg.host}:{pg.port}/{pg.database}?app={app}";
    assert_eq!(
        with("CAFE_POSTGRES_URL", url).values()["CAFE_POSTGRES_URL"],
        "postgresql://cafe_user:{pg.password}@127.0.0.1:5432/cafe?app=cafe"
    );
    for (name, template, expected) in [
        ("A", "{kv.host}", "has nothing to put in for {kv.host}"),
        ("A", "{pg.port", "a { has no }"),
        ("1A", "x", "is no name of an environment variable"),
        ("DATABASE_URL", "host={pg.host}", "leaves no DATABASE_URL with the password in it"),
    ] {
        let world = with(name, template);
        let error = desired(&world.specs, &world.config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut twice = app();
    twice.events.as_mut().unwrap().topics.push(topic("mail-inbound"));
    let world = World::new(twice);
    let error = desired(&world.specs, &world.config).unwrap_err().to_string();
    assert!(error.contains("KAFKA_TOPIC_MAIL_INBOUND"), "{error}");
}

#[tokio::test]
async fn a_first_run_stages_publishes_and_is_then_done() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    assert_eq!(summary(&steps), [(Action::Create, Part::Stage), (Action::Create, Part::Publish)]);
    assert_eq!(steps[1].needs.len(), 4);
    assert!(steps.iter().all(|step| step.sets_credential && step.reasons.contains(&Reason::Publishes)));
    world.apply(&steps[..1]).await;
    assert!(!world.file().exists());
    let staged = LOGINS.map(|service| world.password(service));
    world.apply(&steps[..1]).await;
    assert_eq!(LOGINS.map(|service| world.password(service)), staged, "a staged password is used again");
    world.apply(&steps[1..]).await;
    assert!(!world.stage().exists());
    assert_eq!(LOGINS.map(|service| world.password(service)), staged);
    assert!(world.text().contains(&format!("postgres://cafe_user:{}@127.0.0.1", staged[0])));
    assert!(world.plan(&[]).await.is_empty());
    let json = serde_json::to_string(&world.observe().await).unwrap() + &serde_json::to_string(&steps).unwrap();
    assert!(staged.iter().all(|password| !json.contains(password)));
    assert!(staged.iter().all(|password| !format!("{:?}", world.vault).contains(password)));
}

#[tokio::test]
async fn a_login_made_anew_keeps_its_password_and_a_rotated_one_does_not() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps).await;
    let before = LOGINS.map(|service| world.password(service));
    let anew = world.plan(&logins(Part::Main)[..1]).await;
    assert_eq!(summary(&anew), [(Action::Update, Part::Stage), (Action::Update, Part::Publish)]);
    world.apply(&anew).await;
    assert_eq!(LOGINS.map(|service| world.password(service)), before);
    let rotated = world.plan(&logins(Part::Credential)[..1]).await;
    world.apply(&rotated[..1]).await;
    let published = world.vault.published(&cafe(), ServiceId::Postgres).unwrap().unwrap();
    assert_eq!(published.expose(), before[0], "published is what works until the new one is proved");
    assert!(world.vault.staged(&cafe(), ServiceId::Postgres).unwrap().is_some());
    world.apply(&rotated[1..]).await;
    let after = LOGINS.map(|service| world.password(service));
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1..], before[1..]);
    assert!(world.vault.staged(&cafe(), ServiceId::Postgres).unwrap().is_none());
}

#[tokio::test]
async fn publishing_alone_never_promotes_what_was_not_proved() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps).await;
    let before = world.password(ServiceId::Kafka);
    let killed = world.plan(&logins(Part::Credential)).await;
    world.apply(&killed[..1]).await;
    world.config.postgres.public_port = 6432;
    let steps = world.plan(&[]).await;
    assert_eq!(summary(&steps), [(Action::Update, Part::Publish)]);
    world.apply(&steps).await;
    assert!(world.text().contains("6432"));
    assert_eq!(world.vault.published(&cafe(), ServiceId::Kafka).unwrap().unwrap().expose(), before);
    assert!(world.vault.staged(&cafe(), ServiceId::Kafka).unwrap().is_some());
}

#[tokio::test]
async fn a_run_killed_between_promoting_and_discarding_is_finished() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps[..1]).await;
    let leftover = fs::read(world.stage()).unwrap();
    world.apply(&steps[1..]).await;
    let before = world.password(ServiceId::Valkey);
    fs::write(world.stage(), &leftover).unwrap();
    world.vault.claim("mine").unwrap();
    world.vault.tidy_stage("another");
    assert!(world.stage().exists());
    world.vault.tidy_stage("mine");
    assert!(!world.stage().exists());
    fs::write(world.stage(), leftover).unwrap();
    assert!(world.vault.staged(&cafe(), ServiceId::Valkey).unwrap().is_none());
    let rotate = world.plan(&logins(Part::Credential)).await;
    world.apply(&rotate).await;
    assert_ne!(world.password(ServiceId::Valkey), before, "what was published before is no new password");
    assert!(!world.stage().exists());
}

#[tokio::test]
async fn drift_is_shown_without_values_and_foreign_names_stay() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps).await;
    let text =
        world.text().replace("KAFKA_TOPICS=mail.inbound,orders", "KAFKA_TOPICS=canary") + "# mine\nFOREIGN=canary\n";
    fs::write(world.file(), text.replace("KAFKA_USERNAME=cafe\n", "")).unwrap();
    let steps = world.plan(&[]).await;
    assert_eq!(summary(&steps), [(Action::Update, Part::Publish)]);
    assert!(steps[0].reasons.contains(&Reason::Drifted));
    let before = serde_json::to_string(&steps[0].before).unwrap();
    assert!(before.contains(ANOTHER_VALUE) && !before.contains("canary") && !before.contains("KAFKA_USERNAME"));
    let step = &steps[0];
    let now = Secrets::new(world.vault.clone()).read(&[step.address.clone()].into(), &[step]).await.unwrap();
    assert_eq!(now.get(&step.address), step.before.as_ref());
    world.apply(&steps).await;
    assert!(world.plan(&[]).await.is_empty());
    assert!(world.text().contains("# mine\nFOREIGN=canary\n"));
}

#[tokio::test]
async fn names_no_longer_declared_are_removed_and_so_is_an_app() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps).await;
    world.specs.apps.get_mut(&cafe()).unwrap().kv = None;
    let steps = world.plan(&[]).await;
    assert_eq!(summary(&steps), [(Action::Update, Part::Publish)]);
    world.apply(&steps).await;
    assert!(!world.text().contains("REDIS_URL") && world.text().contains("DATABASE_URL"));
    world.specs.apps.clear();
    let steps = world.plan(&[]).await;
    assert_eq!(summary(&steps), [(Action::Destroy, Part::Main)]);
    assert!(steps[0].risks.contains(&Risk::RemovesLogin));
    world.apply(&steps).await;
    assert!(!world.file().exists());
    assert!(world.plan(&[]).await.is_empty());
}

#[tokio::test]
async fn a_lost_state_adopts_and_a_lost_file_is_forgotten() {
    let mut world = World::new(app());
    let steps = world.plan(&logins(Part::Main)).await;
    world.apply(&steps).await;
    world.applied.clear();
    let steps = world.plan(&[]).await;
    assert_eq!(summary(&steps), [(Action::Adopt, Part::Main)]);
    assert_eq!(steps[0].op, Op::State);
    world.apply(&steps).await;
    fs::remove_file(world.file()).unwrap();
    assert!(world.plan(&[]).await[0].reasons.contains(&Reason::Vanished));
    world.specs.apps.clear();
    assert_eq!(summary(&world.plan(&[]).await), [(Action::Forget, Part::Main)]);
}

#[tokio::test]
async fn an_unreadable_sink_is_an_error() {
    let world = World::new(app());
    fs::create_dir_all(world.file()).unwrap();
    let ask = Ask { wanted: world.wanted(), ..Ask::default() };
    assert!(Secrets::new(world.vault.clone()).observe(&ask).await.is_err());
}

#[test]
fn a_state_that_has_published_refuses_a_sink_that_is_not_its_own() {
    let world = World::new(app());
    world.vault.check_lineage("mine", false).unwrap();
    let error = world.vault.check_lineage("mine", true).unwrap_err().to_string();
    assert!(error.contains("has no marker") && error.contains("help: bring back"), "{error}");
    world.vault.claim("mine").unwrap();
    world.vault.check_lineage("mine", true).unwrap();
    assert!(world.vault.check_lineage("other", true).unwrap_err().to_string().contains("belongs to another state"));
    world.vault.check_lineage("other", false).unwrap();
}
