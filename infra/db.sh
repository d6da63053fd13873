#!/usr/bin/env bash
# Norn's own role and database, as its documentation has them: norn, password norn, norn_db. Changes nothing that is so already.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

"$HERE/psql.sh" -q -v ON_ERROR_STOP=1 <<'END'
SELECT $$CREATE ROLE norn LOGIN PASSWORD 'norn'$$ WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'norn') \gexec
SELECT 'CREATE DATABASE norn_db OWNER norn' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'norn_db') \gexec
END
say "norn_db is there, owned by norn"
