//! What goes wrong with a Kafka in real life: each is brought about on a real broker, and told with its cause and what to
//! do next, at once, and without the password.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::Workspace;
use common::own_kafka::{Access, PASSWORD, Setup};

#[test]
fn every_way_in_works() {
    for access in [Access::Scram, Access::ScramOverTls, Access::Open, Access::Certificate] {
        let kafka = Setup::new(access).start();
        let mut workspace = Workspace::new();
        kafka.serve(&mut workspace);
        workspace.spec("a", "app = \"@a\"\n[services.events]\ntopics = [\"@.a\"]\n");
        workspace.converge().hides(PASSWORD);
    }
}
