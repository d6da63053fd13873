#!/usr/bin/env bash
# make test: format, lints, documentation, then cargo test against services of its own. Arguments go to the test programs.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# A set beside whatever else runs here, made afresh and thrown away. Docker is left alone: the same services everywhere.
export INFRA_DIR=${INFRA_DIR:-$PWD/infra/run-test}
export INFRA=native INFRA_FAST=1 YES=1

# And the newest PostgreSQL, from the wheel, beside the system's: everything is tested against both.
newest() { INFRA_DIR=$INFRA_DIR-newest SERVICES=postgres PG_FROM=wheel PG_PORT=$NEWEST_PG_PORT infra/infra.sh "$1"; }

step() { printf '\n== %s\n' "$*"; }

drop_services() {
  local code=$?
  trap - EXIT
  # The logs are what one wants to see after a failure.
  local end=stop
  if ((code == 0)); then end=wipe; fi
  infra/infra.sh $end >/dev/null
  newest $end >/dev/null
  exit "$code"
}

# Ports nobody listens on, below the range that outgoing connections take theirs from.
choose_ports() {
  local block
  . infra/ports.sh
  for _ in {1..50}; do
    block=$((20000 + RANDOM % 1200 * 10))
    [[ $(for offset in {0..5}; do port_holder $((block + offset)); done) ]] && continue
    : "${PG_PORT:=$block}" "${VALKEY_PORT:=$((block + 1))}" "${KAFKA_PORT:=$((block + 2))}" "${NEWEST_PG_PORT:=$((block + 5))}"
    export PG_PORT VALKEY_PORT KAFKA_PORT
    return
  done
}

step 'programs that the build and the tests need'
infra/native/prerequisites.sh build tests

step 'cargo fmt --check'
cargo fmt --check

step 'cargo clippy --all-targets -- -D warnings'
cargo clippy --all-targets -- -D warnings

step 'cargo doc --no-deps, without a warning'
RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

step 'services'
exec 8>"$INFRA_DIR.lock"
flock -n 8 || { echo "another make test is running with $INFRA_DIR"; exit 1; }
choose_ports
infra/infra.sh wipe
newest wipe
trap drop_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
infra/infra.sh up 8>&-
newest up 8>&-
# shellcheck source=/dev/null
. "$INFRA_DIR/env"

step "cargo test${1:+ -- $*}"
cargo test -- "$@"

step "the same against PostgreSQL $(newest status | grep -oE '[0-9.]+$' | head -n 1)"
(
  INFRA_DIR+=-newest
  # shellcheck source=/dev/null
  . "$INFRA_DIR/env"
  export PG_FROM=wheel
  cargo test --test '*' -- "$@"
)
