//! Two checkouts that share one state, each with only its own apps' infraspecs and `--app`.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use common::state_database::StateDatabase;
use common::{Ran, Workspace, servers};
use std::process::Stdio;

const ALONE: &str = "\
    app = \"@a\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@a.x\"]\ngroups = [\"@a-group\"]\n";
const LETS_IN: &str = "\
    app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\n[services.kv]\nreaders = [\"@b\"]\n\
    [services.events]\ntopics = [{ name = \"@a.x\", readers = [\"@b\"] }]\ngroups = [\"@a-group\"]\n";
const OTHER: &str = "app = \"@b\"\n[services.postgres]\n[services.kv]\n[services.events]\ntopics = [\"@b.y\"]\n";

/// Two checkouts of the same names, with a sink each.
fn checkouts() -> (Workspace, Workspace) {
    let (first, mut second) = (Workspace::new(), Workspace::new());
    second.prefix.clone_from(&first.prefix);
    first.spec("a", LETS_IN);
    second.spec("b", OTHER);
    (first, second)
}

fn unchanged(workspace: &Workspace, app: &str) {
    workspace.run(&["plan", "--detailed-exitcode", "--app", app]).exits(0).says("No changes.");
    workspace.run(&["drift", "--app", app]).exits(0);
}

/// What holds wherever the state is.
fn share(first: &Workspace, second: &Workspace) {
    let prefix = &first.prefix;
    // Not known yet: a typing error looks like it.
    first.run(&["plan", "--app", "@a"]).exits(1).complains("there is no app");
    first.spec("a", ALONE);
    let start = |workspace: &Workspace, app: &str| {
        let mut apply = workspace.command(&["apply", "--auto-approve", "--lock-timeout", "60s", "--app", app]);
        apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Both at once: one waits for the other.
    let both = [start(first, "@a"), start(second, "@b")];
    both.into_iter().for_each(|run| drop(Ran::of(run.wait_with_output().unwrap()).exits(0)));
    unchanged(first, "@a");
    unchanged(second, "@b");
    assert!(!first.path(format!("secrets/{prefix}b.env")).exists(), "each has its own secrets");

    // The one lets the other in, and each leaves it so.
    first.spec("a", LETS_IN);
    let plan = first.run(&["plan", "--app", "@a"]).exits(0);
    for wider in ["postgres.grant.@a/@b_user", "valkey.user.@b", "kafka.acl.@b"] {
        assert!(plan.stdout.contains(&wider.replace('@', prefix)), "{wider} in {}", plan.stdout);
    }
    assert!(plan.stdout.contains("1 to create, 2 to update, 0 to destroy"), "{}", plan.stdout);
    let before = second.secrets("@b");
    first.run(&["apply", "--auto-approve", "--app", "@a"]).exits(0);
    unchanged(first, "@a");
    unchanged(second, "@b");
    assert_eq!(second.secrets("@b"), before);
    let url = second.published("@b", "DATABASE_URL");
    servers::works(&url.replace(&format!("/{prefix}b?"), &format!("/{prefix}a?")), "SELECT 1");
    let key = format!("{prefix}a:k");
    servers::valkey_at(&second.published("@b", "VALKEY_URL"), &["GET", &key]).expect("it may read");
    // A change of its own keeps what it was given, and what it no longer gets is taken from it.
    second.spec("b", &OTHER.replace("@b.y", "@b.z"));
    second.run(&["apply", "--auto-approve", "--app", "@b"]).exits(0);
    second.run(&["apply", "--auto-approve", "--app", "@b", "--allow-destroy", "all"]).exits(0);
    unchanged(first, "@a");
    first.spec("a", ALONE);
    first.run(&["plan", "--app", "@a"]).exits(0).says("2 to update, 1 to destroy");
    first.run(&["apply", "--auto-approve", "--app", "@a"]).exits(0);
    servers::valkey_at(&second.published("@b", "VALKEY_URL"), &["GET", &key]).expect_err("it may not read");
    unchanged(second, "@b");

    // What the state says is another's is not to be had.
    for (claims, refused) in [
        (
            "[services.kv]\nnamespace = \"@a\"\n",
            "the namespace \"@a\" of @c is also that of @a (in the state, with no infraspec here)",
        ),
        (
            "[services.events]\nprefix = \"@a.\"\ntopics = [\"@a.n\"]\n",
            "reaches the topic \"@a.x\" of @a (in the state, with no infraspec here)",
        ),
        (
            "[services.events]\ngroups = [\"@a-group\"]\n",
            "the group \"@a-group\" of @c is also that of @a (in the state, with no infraspec here)",
        ),
    ] {
        second.spec("c", &format!("app = \"@c\"\n{claims}"));
        let refused = refused.replace('@', prefix);
        second.run(&["plan", "--app", "@c"]).exits(1).complains(&refused);
        second.run(&["apply", "--auto-approve", "--app", "@c"]).exits(1).complains(&refused);
        unchanged(first, "@a");
    }
    second.spec("c", "app = \"@c\"\n[services.postgres]\ndatabase = \"@a\"\n");
    let blocked = second.run(&["apply", "--auto-approve", "--app", "@c"]).exits(1).flat();
    blocked.says(&format!("it belongs to the app {prefix}a until now"));
    second.remove("specs/c.toml");

    // Without --app, the other's apps look as if nobody declared them: they wait for consent.
    let whole = second.run(&["apply", "--auto-approve"]).exits(0).says("held").hides("destroyed (");
    whole.complains("another checkout").complains("--app");
    // That its secrets are not in this sink says nothing: they are not forgotten, and their own sink stays guarded.
    unchanged(first, "@a");
    first.run(&["state", "list"]).exits(0).says(&format!("secret.{prefix}a"));
    std::fs::rename(first.path("secrets"), first.path("elsewhere")).unwrap();
    first.run(&["plan", "--app", "@a"]).exits(1).complains("has no marker of a state");
    std::fs::rename(first.path("elsewhere"), first.path("secrets")).unwrap();
}

#[test]
fn two_checkouts_share_a_state_in_a_database() {
    let (mut first, mut second) = checkouts();
    let state = StateDatabase::of(&mut first);
    state.share(&mut second);
    share(&first, &second);
}

#[test]
fn two_checkouts_share_a_state_in_files() {
    let (first, mut second) = checkouts();
    second.set("NORNPLAN_STATE_PATH", &first.path("state").display().to_string());
    share(&first, &second);
}
