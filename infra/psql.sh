#!/usr/bin/env bash
# psql as the admin of the running set: infra/psql.sh [PSQL'S OWN ARGUMENTS]
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

[[ -s $INFRA_DIR/passwords/postgres ]] || fail "no PostgreSQL has been started in $INFRA_DIR: make infra"
PGPASSWORD=$(password postgres)
export PGPASSWORD

if [[ $INFRA == docker ]]; then
  tty=-T
  [[ -t 0 && -t 1 ]] && tty=-it
  exec "$HERE/compose/compose.sh" exec "$tty" -e PGPASSWORD postgres psql -h 127.0.0.1 -U postgres -d postgres -X "$@"
fi
. "$HERE/native/fetch.sh"
exec "$(postgres_bin)/psql" -h 127.0.0.1 -p "$PG_PORT" -U postgres -d postgres -X "$@"
