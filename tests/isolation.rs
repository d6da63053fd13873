//! What an app's own credentials can and cannot do on PostgreSQL: signs in as each app and tries to cross.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use common::Workspace;
use common::own_postgres::OwnPostgres;
use common::servers::block_on;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Two apps, and a third that the first lets read.
const SPECS: [(&str, &str); 3] = [
    ("alpha", "app = \"@alpha\"\n[services.postgres]\nreaders = [\"@reader\"]\n"),
    ("beta", "app = \"@beta\"\n[services.postgres]\n"),
    ("reader", "app = \"@reader\"\n[services.postgres]\n"),
];

/// A workspace on a server of its own, with `lock_down`, as `nornplan init` writes it.
struct World {
    workspace: Workspace,
    /// Dropped last, for the workspace takes away what it made.
    server: OwnPostgres,
}

impl World {
    fn new() -> Self {
        let server = OwnPostgres::start();
        let mut workspace = Workspace::new();
        workspace.write("nornplan.toml", "specs = \"specs\"\n[postgres]\nlock_down = true\n");
        server.serve(&mut workspace);
        for (name, spec) in SPECS {
            workspace.spec(name, spec);
        }
        workspace.converge();
        Self { workspace, server }
    }

    /// A name of this test: `@` stands for the prefix.
    fn named(&self, text: &str) -> String {
        text.replace('@', &self.workspace.prefix)
    }

    async fn as_app(&self, app: &str, database: &str) -> Result<PgConnection, sqlx::Error> {
        let mut url = url::Url::parse(&self.workspace.published(&format!("@{app}"), "DATABASE_URL")).expect("a URL");
        url.set_path(&self.named(database));
        PgConnection::connect(url.as_str()).await
    }

    async fn as_admin(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.server.admin_url(&self.named(database))).await.expect("the admin connects")
    }

    async fn run(&self, connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
        connection.execute(AssertSqlSafe(self.named(statement))).await.map(drop)
    }

    /// Demands that each of the statements is refused with one of the codes.
    async fn refused(&self, connection: &mut PgConnection, codes: &[&str], statements: &[&str]) {
        for statement in statements {
            let error = match self.run(connection, statement).await {
                Ok(()) => panic!("was not refused: {statement}"),
                Err(error) => error,
            };
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            assert!(codes.contains(&code.as_str()), "{statement}: {error} ({code})");
        }
    }

    async fn works(&self, connection: &mut PgConnection, statements: &[&str]) {
        for statement in statements {
            self.run(connection, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
}

/// No privilege; must be owner; permission denied.
const DENIED: &str = "42501";

#[test]
fn no_app_gets_into_another_one_or_into_the_server() {
    let world = World::new();
    block_on(async {
        for other in ["@beta", "@reader", "postgres", "template1"] {
            let error = world.as_app("alpha", other).await.err().unwrap_or_else(|| panic!("alpha is in {other}"));
            assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some(DENIED), "{error}");
        }
        let mut beta = world.as_app("beta", "@beta").await.expect("beta signs in");
        world.works(&mut beta, &["CREATE TABLE private (x text)", "SELECT lo_from_bytea(4242, 'private')"]).await;
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut beta).await.expect("a pid");

        let mut alpha = world.as_app("alpha", "@alpha").await.expect("alpha signs in");
        world.works(&mut alpha, &["CREATE TABLE own (x text)"]).await;
        let refused = [
            // The cluster.
            "CREATE DATABASE \"@more\"",
            "CREATE DATABASE \"@copy\" TEMPLATE \"@beta\"",
            "CREATE ROLE \"@more\"",
            "CREATE TABLESPACE more LOCATION '/tmp'",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "SELECT pg_reload_conf()",
            "SELECT pg_switch_wal()",
            "SELECT pg_stat_reset()",
            "SET log_statement = 'none'",
            "LOAD '/tmp/anything.so'",
            // Other roles, and more than its own.
            "SET ROLE \"@alpha_owner\"",
            "SET ROLE \"@beta_user\"",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION \"@beta_user\"",
            "GRANT \"@alpha_owner\" TO \"@alpha_user\"",
            "GRANT pg_read_all_data TO \"@alpha_user\"",
            "GRANT pg_execute_server_program TO \"@alpha_user\"",
            "GRANT pg_read_server_files TO \"@alpha_user\"",
            "ALTER ROLE \"@alpha_user\" SUPERUSER",
            "ALTER ROLE \"@alpha_user\" CREATEROLE CREATEDB",
            "ALTER ROLE \"@alpha_user\" BYPASSRLS",
            "ALTER ROLE \"@alpha_user\" REPLICATION",
            "ALTER ROLE \"@alpha_user\" CONNECTION LIMIT 1000",
            "ALTER ROLE \"@alpha_user\" VALID UNTIL 'infinity'",
            "ALTER ROLE \"@beta_user\" PASSWORD 'mine now'",
            "ALTER ROLE \"@beta_user\" SET search_path TO x",
            "DROP ROLE \"@beta_user\"",
            "REASSIGN OWNED BY \"@beta_user\" TO \"@alpha_user\"",
            "DROP OWNED BY \"@beta_user\"",
            "SELECT * FROM pg_authid",
            "SELECT * FROM pg_shadow",
            // Its own database, whose isolation is not its own.
            "ALTER DATABASE \"@alpha\" CONNECTION LIMIT 1000",
            "ALTER DATABASE \"@alpha\" SET work_mem = '1GB'",
            "ALTER DATABASE \"@alpha\" RENAME TO \"@mine\"",
            "ALTER DATABASE \"@alpha\" OWNER TO \"@alpha_user\"",
            "ALTER DATABASE \"@alpha\" IS_TEMPLATE true",
            "DROP DATABASE \"@alpha\"",
            "DROP DATABASE \"@beta\"",
            "COMMENT ON DATABASE \"@beta\" IS 'mine'",
            "ALTER SCHEMA public OWNER TO \"@alpha_user\"",
            "ALTER TABLE own OWNER TO \"@beta_user\"",
            "CREATE SCHEMA theirs AUTHORIZATION \"@beta_user\"",
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"@beta_user\" GRANT SELECT ON TABLES TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO \"@alpha_user\"",
            "CREATE EVENT TRIGGER spy ON ddl_command_end EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()",
            "CREATE PUBLICATION everything FOR ALL TABLES",
            "SELECT pg_create_logical_replication_slot('spy', 'pgoutput')",
            "SELECT pg_create_physical_replication_slot('spy')",
            // The server's files, programs and other people's sessions.
            "COPY own TO PROGRAM 'cat'",
            "COPY own FROM PROGRAM 'id'",
            "COPY own FROM '/etc/passwd'",
            "COPY own TO '/tmp/alpha'",
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT pg_ls_dir('.')",
            "SELECT lo_import('/etc/passwd')",
            "SELECT lo_export(0, '/tmp/alpha')",
            "CREATE FUNCTION evil() RETURNS int LANGUAGE c AS '/tmp/evil.so'",
            "CREATE FUNCTION evil() RETURNS int LANGUAGE internal AS 'int4in'",
            &format!("SELECT pg_terminate_backend({pid})"),
            &format!("SELECT pg_cancel_backend({pid})"),
        ];
        world.refused(&mut alpha, &[DENIED], &refused).await;
        assert!(refused.len() >= 50);

        // What an extension would open is not trusted, or is not there.
        let untrusted: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT name::text FROM pg_available_extension_versions WHERE superuser AND NOT trusted",
        )
        .fetch_all(&mut alpha)
        .await
        .expect("extensions");
        assert!(!untrusted.is_empty());
        for name in untrusted {
            let cascade = world.run(&mut alpha, &format!("CREATE EXTENSION \"{name}\"")).await.expect_err(&name);
            let code = cascade.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            // 42704: another extension is required first, which is not trusted either.
            assert!([DENIED, "42704"].contains(&code.as_str()), "{name}: {cascade}");
        }

        // A GRANT without the right to it only warns: what counts is that nothing changes.
        world.works(&mut alpha, &["GRANT CONNECT, TEMPORARY ON DATABASE \"@alpha\" TO PUBLIC"]).await;
        assert!(world.as_app("beta", "@alpha").await.is_err());
        // Nor can it see what others ask their server.
        let theirs: Option<String> = sqlx::query_scalar("SELECT query FROM pg_stat_activity WHERE pid = $1")
            .bind(pid)
            .fetch_one(&mut alpha)
            .await
            .expect("a session");
        assert_eq!(theirs.as_deref(), Some("<insufficient privilege>"));
        // A lock in one database is not a lock in another.
        world.works(&mut alpha, &["SELECT pg_advisory_lock(key) FROM generate_series(1, 100) AS key"]).await;
        let mut admin = world.as_admin("postgres").await;
        let free: bool =
            sqlx::query_scalar("SELECT bool_and(pg_try_advisory_lock(key)) FROM generate_series(1, 100) AS key")
                .fetch_one(&mut admin)
                .await
                .expect("locks");
        assert!(free);
    });
    world.workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_reader_reads_and_does_nothing_else() {
    let world = World::new();
    block_on(async {
        let mut alpha = world.as_app("alpha", "@alpha").await.expect("alpha signs in");
        world
            .works(
                &mut alpha,
                &[
                    "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, x text)",
                    "INSERT INTO orders (x) VALUES ('a')",
                    "CREATE SCHEMA archive",
                    "CREATE TABLE archive.orders AS SELECT * FROM orders",
                    "CREATE VIEW seen AS SELECT x FROM orders",
                    "SELECT lo_from_bytea(4242, 'private')",
                ],
            )
            .await;
        let mut reader = world.as_app("reader", "@alpha").await.expect("the reader is let in");
        let reads = [
            "SELECT * FROM orders",
            "SELECT * FROM archive.orders",
            "SELECT * FROM seen",
            "SELECT last_value FROM orders_id_seq",
        ];
        world.works(&mut reader, &reads).await;
        world
            .refused(
                &mut reader,
                &[DENIED],
                &[
                    "INSERT INTO orders (x) VALUES ('b')",
                    "UPDATE orders SET x = 'b'",
                    "DELETE FROM orders",
                    "TRUNCATE orders",
                    "SELECT * FROM orders FOR UPDATE",
                    "DO $$ BEGIN LOCK TABLE orders IN EXCLUSIVE MODE; END $$",
                    "SELECT nextval('orders_id_seq')",
                    "DROP TABLE orders",
                    "ALTER TABLE orders ADD y int",
                    "CREATE INDEX ON orders (x)",
                    "CREATE TABLE mine (x int)",
                    "CREATE TABLE archive.mine (x int)",
                    "CREATE TEMP TABLE mine (x int)",
                    "CREATE SCHEMA mine",
                    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                    "SELECT lo_get(4242)",
                    "SELECT lo_unlink(4242)",
                    "ALTER DEFAULT PRIVILEGES FOR ROLE \"@alpha_user\" GRANT INSERT ON TABLES TO \"@reader_user\"",
                    "SET ROLE \"@alpha_user\"",
                ],
            )
            .await;
        let theirs = world.as_app("alpha", "@reader").await;
        assert!(theirs.is_err(), "being read from does not let one in");
    });
}

#[test]
fn an_app_can_do_its_daily_work() {
    let world = World::new();
    block_on(async {
        let mut alpha = world.as_app("alpha", "@alpha").await.expect("alpha signs in");
        world
            .works(
                &mut alpha,
                &[
                    "CREATE TABLE users (id bigserial PRIMARY KEY, mail text UNIQUE, made timestamptz DEFAULT now())",
                    "ALTER TABLE users ADD COLUMN age int CHECK (age > 0)",
                    "CREATE INDEX CONCURRENTLY users_by_age ON users (age)",
                    "INSERT INTO users (mail, age) VALUES ('a@b', 7) ON CONFLICT (mail) DO NOTHING",
                    "CREATE TYPE mood AS ENUM ('good', 'bad')",
                    "ALTER TYPE mood ADD VALUE 'none'",
                    "CREATE SCHEMA billing",
                    "CREATE TABLE billing.invoices (id int GENERATED ALWAYS AS IDENTITY, owner bigint REFERENCES public.users)",
                    "CREATE TABLE events (at date, x text) PARTITION BY RANGE (at)",
                    "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
                    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.made = now(); RETURN NEW; END $$",
                    "CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
                    "UPDATE users SET age = 8",
                    "CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) FROM users GROUP BY age",
                    "REFRESH MATERIALIZED VIEW ages",
                    "CREATE TEMP TABLE scratch AS SELECT * FROM users",
                    "SELECT lo_from_bytea(0, 'mine')",
                    "ANALYZE users",
                    "VACUUM users",
                    "SET statement_timeout = '5s'",
                    "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)",
                    "DROP SCHEMA billing CASCADE",
                    "DROP TABLE events",
                ],
            )
            .await;
        let url = world.workspace.published("@alpha", "DATABASE_URL");
        let mut listener = PgListener::connect(&url).await.expect("alpha signs in again");
        listener.listen("jobs").await.expect("it listens");
        world.works(&mut alpha, &["NOTIFY jobs, 'one'"]).await;
        assert_eq!(listener.recv().await.expect("a notification").payload(), "one");
        let trusted: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT name::text FROM pg_available_extension_versions WHERE trusted AND name IN ('pgcrypto', 'citext', 'hstore', 'pg_trgm')")
                .fetch_all(&mut alpha)
                .await
                .expect("extensions");
        for name in trusted {
            world.works(&mut alpha, &[&format!("CREATE EXTENSION \"{name}\"")]).await;
        }
    });
    world.workspace.run(&["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
}
