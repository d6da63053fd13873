#!/usr/bin/env python3
"""PostgreSQL alone: nornplan against the same statements by psql on 4 connections, in the same run, as a ratio.

    make infra && . infra/run/env && cargo build --release && python3 benches/postgres.py [APPS]

An app here is a database with its two roles and its privileges, as src/services/postgres/sql makes them. nornplan reads
first what is there and reads each object again before it writes it; it verifies each new password by signing in, and its
state and secrets are on disk when it ends. psql does none of that: it is the floor.
"""
import concurrent.futures
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from binary import by_nornplan

CONNECTIONS = 4
# Of the password "raw"; what it is does not matter for the time it takes to store it.
VERIFIER = (
    "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)
MAKE = """\\connect postgres
CREATE ROLE {app}_owner NOLOGIN;
CREATE DATABASE {app} OWNER {app}_owner TEMPLATE template0 CONNECTION LIMIT 0;
BEGIN; REVOKE ALL ON DATABASE {app} FROM PUBLIC; ALTER DATABASE {app} CONNECTION LIMIT -1; COMMIT;
CREATE ROLE {app}_user LOGIN PASSWORD '{verifier}';
\\connect {app}
BEGIN;
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {app} TO {app}_user;
GRANT CREATE, USAGE ON SCHEMA public TO {app}_user;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
COMMIT;
"""
SHARED = """SELECT d.datname, pg_get_userbyid(datdba), a.* FROM pg_database d, aclexplode(coalesce(datacl, acldefault('d', datdba))) a
WHERE datname LIKE '{prefix}%';
SELECT r.*, s.setconfig FROM pg_roles r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid WHERE rolname LIKE '{prefix}%';
"""
INSIDE = """\\connect {app}
SELECT extname, extversion FROM pg_extension;
SELECT nspname, a.* FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a WHERE nspname = 'public';
SELECT defaclobjtype, a.* FROM pg_default_acl, aclexplode(defaclacl) a;
SELECT relowner, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_' GROUP BY 1;
"""
DROP = """\\connect postgres
DROP DATABASE IF EXISTS {app};
DROP ROLE IF EXISTS {app}_user, {app}_owner;
"""


def psql(script):
    """Runs a script as the administrator."""
    environment = dict(
        os.environ,
        PGHOST=os.environ.get("NORNPLAN_POSTGRES_HOST", "127.0.0.1"),
        PGPORT=os.environ.get("NORNPLAN_POSTGRES_PORT", "5432"),
        PGUSER=os.environ.get("NORNPLAN_POSTGRES_USER", "postgres"),
        PGPASSWORD=os.environ.get("NORNPLAN_POSTGRES_PASSWORD", ""),
        PGDATABASE="postgres",
    )
    program = shutil.which("psql", path=os.environ.get("NORNPLAN_POSTGRES_BIN_DIR", os.environ["PATH"])) or "psql"
    ran = subprocess.run(
        [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        input=script, text=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )
    if ran.returncode:
        sys.exit(f"psql: {ran.stderr}")


def by_psql(template, apps, first=""):
    """Seconds for a script per app, shared out over the connections."""
    before = time.perf_counter()
    if first:
        psql(first)
    parts = ["".join(template.format(app=app, verifier=VERIFIER) for app in apps[n::CONNECTIONS]) for n in range(CONNECTIONS)]
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(psql, parts))
    return time.perf_counter() - before


def report(what, ours, raw):
    print(f"{what:44} nornplan {ours:7.3f} s   psql x{CONNECTIONS} {raw:7.3f} s   ratio {ours / raw:5.2f}", flush=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    apps, raw = [[f"{kind}{n:04}" for n in range(count)] for kind in ("benchpg", "benchraw")]
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "specs").mkdir()
        (root / "nornplan.toml").write_text('specs = "specs"\n')
        for app in apps:
            (root / "specs" / f"{app}.toml").write_text(f'app = "{app}"\n[services.postgres]\n')
        everything = ("destroy", "--all", "--auto-approve", "--allow-destroy", "all")
        try:
            report(f"{count} apps made", by_nornplan(root, "apply", "--auto-approve"), by_psql(MAKE, raw))
            shared = SHARED.format(prefix="benchraw")
            ours = statistics.median(by_nornplan(root, "plan", "--detailed-exitcode") for _ in range(5))
            theirs = statistics.median(by_psql(INSIDE, raw, shared) for _ in range(5))
            report(f"{count} apps read deep, nothing to do", ours, theirs)
        finally:
            by_psql(DROP, raw)
            by_nornplan(root, *everything)


if __name__ == "__main__":
    main()
