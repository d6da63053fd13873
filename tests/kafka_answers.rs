//! Answers of a broker that get lost after it has done what it was asked for: one apply ends well all the same.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use common::kafka_client::{Client, Everything};
use common::kafka_hand::signs_in;
use common::lossy::{Call, Loss, Lossy};
use common::own_kafka::{ADMIN, Access, OwnKafka, PASSWORD, Setup};
use common::own_postgres::free_port;
use common::{Ran, Workspace};
use std::time::{Duration, Instant};

const CONSENT: [&str; 4] = ["--allow-destroy", "all", "--allow-interrupt", "all"];

/// A broker of our own, and a workspace whose way to it loses answers.
struct Away {
    workspace: Workspace,
    way: Lossy,
    kafka: OwnKafka,
}

impl Away {
    fn start() -> Self {
        let (lossy, straight) = (free_port(), free_port());
        let advertised = format!("127.0.0.1:{lossy}");
        let kafka = Setup::new(Access::Scram).listener_at("lossy", "SASL_PLAINTEXT", straight, &advertised).start();
        let way = Lossy::start(lossy, straight);
        let mut workspace = Workspace::new();
        kafka.serve(&mut workspace);
        workspace.set("NORNPLAN_KAFKA_BROKERS", &advertised);
        Self { workspace, way, kafka }
    }

    fn declare(&self, partitions: usize, retention: &str, readers: &str) {
        self.workspace.spec(
            "shop",
            &format!(
                "app = \"@shop\"\n[services.events]\n[[services.events.topics]]\nname = \"@.orders\"\n\
                 partitions = {partitions}\nconfig.\"retention.ms\" = \"{retention}\"\nreaders = [{readers}]\n"
            ),
        );
        for app in ["report", "audit"] {
            self.workspace.spec(app, &format!("app = \"@{app}\"\n[services.events]\n"));
        }
    }

    /// Runs it, where answers to these calls get lost, and demands that all of them did and that it ends well.
    #[track_caller]
    fn run_without(&self, arguments: &[&str], loss: Loss, calls: &[Call]) -> Ran {
        self.way.lose(&calls.iter().map(|call| (*call, loss)).collect::<Vec<_>>());
        let ran = self.workspace.run(&[arguments, &["--auto-approve"], &CONSENT].concat()).exits(0);
        assert_eq!(self.way.left(), [], "these were never called\n{}", ran.stderr);
        ran
    }

    /// An apply that ends well, after which all is as declared.
    #[track_caller]
    fn apply_without(&self, loss: Loss, calls: &[Call]) {
        self.run_without(&["apply"], loss, calls);
        self.workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    }

    fn there(&self) -> Everything {
        Client::of(&self.kafka.name(), ADMIN, PASSWORD).everything(&self.workspace.prefix)
    }

    fn all_sign_in(&self) {
        for app in ["@shop", "@report", "@audit"] {
            let value = |name| self.workspace.published(app, name);
            let client = self.kafka.client_as(&value("KAFKA_USERNAME"), &value("KAFKA_PASSWORD"));
            assert!(signs_in(&client), "{app}");
        }
    }

    /// How many partitions there are, for how long they keep messages, and who of the readers reads.
    #[track_caller]
    fn has(&self, partitions: u64, retention: &str, reads: &str, reads_not: &str) {
        let there = self.there();
        let topic = &there.topics[&format!("{}.orders", self.workspace.prefix)];
        assert_eq!((topic.partitions, topic.config["retention.ms"].as_str()), (partitions, retention));
        let prefix = &self.workspace.prefix;
        let may =
            |app: &str| there.acls.contains(&format!("allow read topic literal {prefix}.orders User:{prefix}{app} *"));
        assert!(may(reads) && !may(reads_not), "{:?}", there.acls);
    }
}

#[test]
fn what_was_done_and_never_answered_is_gone_on_with() {
    use Call::{
        AlterUserScramCredentials, CreateAcls, CreatePartitions, CreateTopics, DeleteAcls, DeleteTopics, DescribeAcls,
        DescribeAclsOfOne, IncrementalAlterConfigs,
    };
    let away = Away::start();
    away.declare(1, "1h", "\"@report\"");
    away.apply_without(Loss::Cut, &[CreateTopics, AlterUserScramCredentials, CreateAcls]);
    away.all_sign_in();
    away.has(1, "3600000", "report", "audit");

    // Half of a step is done when its answer is lost.
    away.declare(3, "2h", "\"@audit\"");
    away.apply_without(Loss::Cut, &[CreatePartitions, IncrementalAlterConfigs, CreateAcls, DeleteAcls]);
    away.has(3, "7200000", "audit", "report");

    let before = away.workspace.published("@shop", "KAFKA_PASSWORD");
    away.run_without(&["rotate", "@shop"], Loss::Cut, &[AlterUserScramCredentials]);
    assert_ne!(before, away.workspace.published("@shop", "KAFKA_PASSWORD"));
    away.all_sign_in();

    // A connection that stays open says nothing for 20 seconds.
    away.declare(4, "3h", "\"@audit\"");
    let since = Instant::now();
    away.apply_without(Loss::Silence, &[CreatePartitions]);
    away.has(4, "10800000", "audit", "report");
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());

    // A refusal looks as if there were no ACLs: beside other answers, and alone.
    away.declare(4, "3h", "\"@report\"");
    away.way.lose(&[(DescribeAclsOfOne, Loss::Refusal)]);
    away.apply_without(Loss::Refusal, &[DescribeAcls]);
    away.has(4, "10800000", "report", "audit");

    away.run_without(&["destroy", "--all"], Loss::Cut, &[DeleteAcls, AlterUserScramCredentials, DeleteTopics]);
    assert!(away.there().is_nothing());
}
