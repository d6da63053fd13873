//! A Kafka that lets everybody in, one that asks for certificates alone, one without an authorizer: what is managed there,
//! what is said, and what becomes of users and ACLs when a workspace goes there and back.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::Workspace;
use common::own_kafka::{Access, Setup};
use common::own_postgres::free_port;

const SHOP: &str = "app = \"@shop\"\n[services.events]\ntopics = [{ name = \"@.orders\", partitions = 2 }]\n";

#[test]
fn explore() {
    let open = free_port();
    let kafka = Setup::new(Access::Scram)
        .listener("open", "PLAINTEXT", open)
        .lines("super.users=User:admin;User:ANONYMOUS")
        .start();
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    workspace.spec("shop", SHOP);
    workspace.converge();
    eprintln!("{}", workspace.secrets("@shop"));
    workspace.set("NORNPLAN_KAFKA_BROKERS", &format!("127.0.0.1:{open}"));
    workspace.set("NORNPLAN_KAFKA_MECHANISM", "none");
    eprintln!("{}", workspace.run(&["plan"]).stdout);
    eprintln!("{}", workspace.run(&["drift"]).stdout);
    eprintln!("{}", workspace.run(&["apply", "--auto-approve"]).stdout);
    eprintln!("{}", workspace.secrets("@shop"));
    eprintln!("{}", workspace.run(&["plan"]).stdout);
    kafka.serve(&mut workspace);
    workspace.set("NORNPLAN_KAFKA_MECHANISM", "SCRAM-SHA-512");
    eprintln!("{}", workspace.run(&["plan"]).stdout);
    eprintln!("{}", workspace.run(&["apply", "--auto-approve"]).stdout);
    eprintln!("{}", workspace.secrets("@shop"));
    eprintln!("{}", workspace.run(&["plan"]).stdout);
}
