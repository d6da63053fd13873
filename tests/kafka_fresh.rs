//! A broker that nobody has consumed from yet: it has no topic of its own that keeps offsets.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::own_kafka::OwnKafka;
use std::time::{Duration, Instant};

/// None of these looks takes as long as the time after which something is told to be unknown.
const QUICK: Duration = Duration::from_secs(8);

#[track_caller]
fn quick(workspace: &Workspace, arguments: &[&str], code: i32) -> String {
    let since = Instant::now();
    let ran = workspace.run(arguments).exits(code).flat();
    assert!(since.elapsed() < QUICK, "{arguments:?} took {:?}", since.elapsed());
    format!("{} {}", ran.stdout, ran.stderr)
}

#[test]
fn a_broker_without_any_consumer_is_planned_on_and_written() {
    let kafka = OwnKafka::start();
    let mut workspace = Workspace::new();
    kafka.serve(&mut workspace);
    workspace.spec("mail", "app = \"@mail\"\n[services.events]\ntopics = [\"@mail.in\"]\ngroups = [\"@mail-group\"]\n");
    quick(&workspace, &["plan"], 0);
    quick(&workspace, &["apply", "--auto-approve"], 0);
    quick(&workspace, &["plan", "--detailed-exitcode"], 0);
    // What is lost by a drop is looked for: nobody reads it, and that is known.
    workspace
        .spec("mail", "app = \"@mail\"\n[services.events]\ntopics = [\"@mail.out\"]\ngroups = [\"@mail-group\"]\n");
    let said = quick(&workspace, &["plan"], 0);
    assert!(!said.contains("not known") && !said.contains("unknown"), "{said}");
    quick(&workspace, &["apply", "--auto-approve", "--allow-destroy", "all"], 0);
}
