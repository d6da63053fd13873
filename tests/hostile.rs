//! An app that sets traps for whoever looks into its database with more rights than its own.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::Workspace;
use common::servers::{postgres, postgres_at, postgres_value};

/// Functions that fit our statements better than the server's own of the same names, if only they are looked for.
const TRAPS: [(&str, &str); 4] = [
    ("quote_ident(name)", "text"),
    ("jsonb_build_object(text, text, text, name)", "jsonb"),
    ("format(text, text, text, text)", "text"),
    ("format(text, text, text, name)", "text"),
];

/// Sets them, in schema public and in one that the database's own path puts before the server's.
fn trap(workspace: &Workspace) {
    let url = workspace.published("@a", "DATABASE_URL");
    postgres_at(&url, "CREATE SCHEMA evil").expect("a schema");
    for schema in ["public", "evil"] {
        for (function, result) in TRAPS {
            let statement = format!(
                "CREATE FUNCTION {schema}.{function} RETURNS {result} LANGUAGE sql \
                 AS $$SELECT (current_user || ' fell into it')::int::text::{result}$$"
            );
            postgres_at(&url, &statement).expect("a trap");
        }
    }
    postgres_at(&url, "CREATE FUNCTION evil.pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$SELECT (1/0)::name$$")
        .expect("a trap");
}

#[test]
fn functions_of_an_app_are_never_run_with_our_rights() {
    let workspace = Workspace::new();
    workspace.spec("a", "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\nextensions = [\"hstore\"]\n");
    workspace.spec("b", "app = \"@b\"\n[services.postgres]\n");
    workspace.converge();
    let database = format!("{}a", workspace.prefix);
    trap(&workspace);
    // They are traps: whoever looks as people usually do falls into them.
    let usual = "DO $$BEGIN PERFORM jsonb_build_object('version', '1'::text, 'schema', 'x'::name); \
                 RAISE 'not caught'; EXCEPTION WHEN invalid_text_representation THEN NULL; END$$";
    assert_eq!(
        postgres_value(&database, "SELECT current_setting('search_path')").as_deref(),
        Some("\"$user\", public")
    );
    postgres_at_once(&database, usual);

    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let url = workspace.published("@a", "DATABASE_URL");
    // Everything that is compared, repaired, made and dumped.
    let tables =
        "CREATE TABLE \"odd T\" (i int); CREATE FUNCTION f(x evil.format) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    postgres_at(&url, "CREATE TYPE evil.format AS (i int)").expect("a type");
    postgres_at(&url, tables).expect("objects");
    postgres_at(&url, &format!("REVOKE SELECT ON \"odd T\" FROM {}b_user", workspace.prefix)).expect("a deviation");
    postgres(&database, &format!("ALTER DATABASE {database} SET search_path = evil, pg_catalog, public"));
    postgres(&database, "CREATE TABLE pg_catalog_is_not_asked (i int)");
    workspace.spec(
        "a",
        "app = \"@a\"\n[services.postgres]\nreaders = [\"@b\"]\nadopt_objects = true\nextensions = [\"hstore\", \"citext\"]\n",
    );
    workspace.run(&["apply", "--auto-approve", "--allow-interrupt", "all"]).exits(0);
    workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    let schema = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'";
    assert_eq!(postgres_value(&database, schema).as_deref(), Some("public"));
    workspace.run(&["snapshot", "@a"]).exits(0);
}

/// One statement with semicolons in it.
fn postgres_at_once(database: &str, statement: &str) {
    use sqlx::Executor;
    common::servers::block_on(async {
        let url = format!(
            "postgres://{}:{}@{}:{}/{database}",
            common::service("NORNPLAN_POSTGRES_USER"),
            common::service("NORNPLAN_POSTGRES_PASSWORD"),
            common::service("NORNPLAN_POSTGRES_HOST"),
            common::service("NORNPLAN_POSTGRES_PORT"),
        );
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("a connection");
        connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.expect("caught");
    });
}
