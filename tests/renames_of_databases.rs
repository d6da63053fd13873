//! A database is renamed, and its roles have names of their own, or of the database, or get others meanwhile: none is left
//! behind, and none is in the way.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::servers::{postgres, postgres_value, value_at, works};

/// What an infraspec says of the roles before and after its database is renamed, and which owner and which login the app has
/// then. `@` is the app's own prefix.
const CASES: [(&str, &str, &str, &str); 12] = [
    ("", "", "@new_owner", "@new_user"),
    ("user = '@login'", "user = '@login'", "@new_owner", "@login"),
    ("owner = '@boss'", "owner = '@boss'", "@boss", "@new_user"),
    ("user = '@login'\nowner = '@boss'", "user = '@login'\nowner = '@boss'", "@boss", "@login"),
    ("credential = 'keep'", "credential = 'keep'", "@new_owner", "@new_user"),
    ("user = '@login'\ncredential = 'keep'", "user = '@login'\ncredential = 'keep'", "@new_owner", "@login"),
    (
        "user = '@login'\nowner = '@login'\ncredential = 'keep'",
        "user = '@login'\nowner = '@login'\ncredential = 'keep'",
        "@login",
        "@login",
    ),
    // The roles keep the names that they have by default until now.
    ("", "user = '@old_user'", "@new_owner", "@old_user"),
    // They get others by the same plan.
    ("", "owner = '@boss'", "@boss", "@new_user"),
    ("", "user = '@login'", "@new_owner", "@login"),
    ("user = '@login'\nowner = '@boss'", "", "@new_owner", "@new_user"),
    // Who knows the password changes by the same plan.
    ("", "credential = 'keep'", "@new_owner", "@new_user"),
];

/// The prefix of one app, to stand in front of all its names.
fn prefix(workspace: &Workspace, number: usize) -> String {
    format!("{}c{number}x", workspace.prefix)
}

fn declare(workspace: &Workspace, number: usize, database: &str, roles: &str) {
    let text = format!("app = '@app'\n[services.postgres]\ndatabase = '@{database}'\nreaders = ['REPORT']\n{roles}\n");
    let report = format!("{}report", workspace.prefix);
    let text = text.replace('@', &prefix(workspace, number)).replace("REPORT", &report);
    workspace.spec(&format!("c{number}"), &text);
}

fn published(workspace: &Workspace, number: usize) -> Option<String> {
    let app = format!("{}app", prefix(workspace, number));
    let is_there = workspace.path(format!("secrets/{app}.env")).exists();
    is_there.then(|| workspace.published(&app, "DATABASE_URL"))
}

#[test]
fn no_role_is_left_behind() {
    let workspace = Workspace::new();
    workspace.spec("report", "app = \"@report\"\n[services.postgres]\n");
    for (number, (before, ..)) in CASES.iter().enumerate() {
        declare(&workspace, number, "old_db", before);
    }
    workspace.converge();
    let mut moved = String::from("specs = \"specs\"\n");
    for (number, (_, after, ..)) in CASES.iter().enumerate() {
        if let Some(url) = published(&workspace, number) {
            works(&url, "CREATE TABLE orders (what text); INSERT INTO orders VALUES ('tea')");
        }
        declare(&workspace, number, "new_db", after);
        let app = prefix(&workspace, number);
        let table = "[[moved]]\nfrom = \"postgres.database.@old_db\"\nto = \"postgres.database.@new_db\"\n";
        moved.push_str(&table.replace('@', &app));
    }
    workspace.write("nornplan.toml", &moved);
    let consent = ["--allow-destroy", "all", "--allow-interrupt", "all"];
    workspace.run(&[&["plan"][..], &consent].concat()).exits(0).hides("BLOCKED").hides("HELD");
    workspace.run(&[&["apply", "--auto-approve"][..], &consent].concat()).exits(0).says("24 renamed, 1 recorded");
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");

    let state: serde_json::Value = serde_json::from_str(&workspace.read("state/default.json")).expect("JSON");
    let resources = state["resources"].as_object().expect("resources").keys();
    let known: Vec<&str> = resources.filter_map(|address| address.strip_prefix("postgres.role.")).collect();
    let there = format!(
        "SELECT string_agg(rolname, ',' ORDER BY rolname COLLATE \"C\") FROM pg_roles WHERE rolname ~ '^{}[a-z]'",
        workspace.prefix
    );
    assert_eq!(postgres_value("postgres", &there), Some(known.join(",")), "what the state knows");
    let mut reader = url::Url::parse(&workspace.published("@report", "DATABASE_URL")).expect("a URL");
    for (number, (_, _, owner, login)) in CASES.iter().enumerate() {
        let app = prefix(&workspace, number);
        let (owner, login) = (owner.replace('@', &app), login.replace('@', &app));
        let owned = format!("SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = '{app}new_db'");
        assert_eq!(postgres_value("postgres", &owned).as_deref(), Some(owner.as_str()), "case {number}");
        let Some(url) = published(&workspace, number) else { continue };
        assert!(url.contains(&format!("//{login}:")) && url.contains(&format!("/{app}new_db")), "case {number}");
        assert_eq!(value_at(&url, "SELECT what FROM orders").as_deref(), Some("tea"), "case {number}");
        reader.set_path(&format!("{app}new_db"));
        assert_eq!(value_at(reader.as_str(), "SELECT what FROM orders").as_deref(), Some("tea"), "case {number}");
    }
}

#[test]
fn the_login_is_never_the_heir_of_a_database() {
    let workspace = Workspace::new();
    let cafe = |database: &str, owner: &str| {
        let text = format!("app = \"@cafe\"\n[services.postgres]\ndatabase = \"@{database}\"\n{owner}");
        workspace.spec("cafe", &text);
    };
    cafe("old_db", "");
    workspace.converge();
    let extra = format!("{}zz_extra", workspace.prefix);
    postgres("postgres", &format!("CREATE DATABASE {extra} OWNER {}old_owner", workspace.prefix));
    cafe("new_db", "owner = \"@boss\"\n");
    let table = "[[moved]]\nfrom = \"postgres.database.@old_db\"\nto = \"postgres.database.@new_db\"\n";
    workspace.write("nornplan.toml", &format!("specs = \"specs\"\n{table}"));
    let solution = format!("ALTER DATABASE \"{extra}\" OWNER TO \"{}boss\"", workspace.prefix);
    let plan = workspace.run(&["plan"]).exits(0).flat();
    plan.says(&format!("cannot be dropped while it owns database {extra}: to let it go, run {solution}"));
    // All else is done, and what the plan says helps.
    workspace.run(&["apply", "--auto-approve"]).exits(1);
    postgres("postgres", &solution);
    workspace.converge();
    postgres("postgres", &format!("DROP DATABASE {extra}"));
}
