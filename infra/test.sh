#!/usr/bin/env bash
# make test: format, lints, documentation, then cargo test against services of its own. Arguments go to the test programs.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# A set beside whatever else runs here, made afresh and thrown away. Docker is left alone: the same services everywhere.
export INFRA_DIR=${INFRA_DIR:-$PWD/infra/run-test}
export INFRA=native INFRA_FAST=1 YES=1
# Everything is compiled once here; what is kept for the next time is large, and rustc 1.95 has stumbled over it.
export CARGO_INCREMENTAL=0
# Line numbers in backtraces take a third of the time to compile; a panic tells its place without them.
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-false}
# A test mostly waits: for a process, for a server, for a disk.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

# And a second pair beside: the newest PostgreSQL, from the wheel, and the system's Redis, which is the oldest that
# nornplan takes. Everything is tested against both.
other() {
  INFRA_DIR=$INFRA_DIR-other SERVICES='postgres valkey' PG_FROM=wheel VALKEY_FROM=system \
    PG_PORT=$OTHER_PG_PORT VALKEY_PORT=$OTHER_VALKEY_PORT infra/infra.sh "$1"
}

step() { printf '\n== %s\n' "$*"; }

drop_services() {
  local code=$?
  trap - EXIT
  # The logs are what one wants to see after a failure.
  local end=stop
  if ((code == 0)); then end=wipe; fi
  infra/infra.sh $end >/dev/null
  other $end >/dev/null
  exit "$code"
}

# Ports nobody listens on, below the range that outgoing connections take theirs from.
choose_ports() {
  local block
  . infra/ports.sh
  for _ in {1..50}; do
    block=$((20000 + RANDOM % 1200 * 10))
    [[ $(for offset in {0..6}; do port_holder $((block + offset)); done) ]] && continue
    : "${PG_PORT:=$block}" "${VALKEY_PORT:=$((block + 1))}" "${KAFKA_PORT:=$((block + 2))}" "${OTHER_PG_PORT:=$((block + 5))}" \
      "${OTHER_VALKEY_PORT:=$((block + 6))}"
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
# And what is there with the feature only.
mapfile -t struck < <(grep -A 1 '^name = ' Cargo.toml | grep -B 1 '"failpoints"' | sed -n 's/^name = "\(.*\)"/--test=\1/p')
cargo clippy --features failpoints --lib "${struck[@]}" -- -D warnings

step 'cargo doc --no-deps, without a warning'
RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

step 'services'
exec 8>"$INFRA_DIR.lock"
flock -n 8 || { echo "another make test is running with $INFRA_DIR"; exit 1; }
choose_ports
infra/infra.sh wipe
other wipe
trap drop_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
infra/infra.sh up 8>&-
other up 8>&-
# shellcheck source=/dev/null
. "$INFRA_DIR/env"

# Test files as arguments for cargo: Kafka's own, the rest, or those of the rest that are run against the other pair again.
files() {
  local file name
  for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    case $1:$name in
      kafka:kafka_*) ;;
      rest:kafka_*) continue ;;
      # For which it matters which PostgreSQL or Valkey it is.
      again:*_errors) continue ;;
      rest:* | again:postgres_* | again:valkey_* | again:isolation | again:lock_down | again:lost_state) ;;
      again:main_job | again:renames* | again:restoring | again:state_p*) ;;
      *) continue ;;
    esac
    echo "--test=$name"
  done
}

# With what strikes the library at every boundary between two effects; nothing of it does anything unless it is asked to.
tested() { cargo test --features failpoints "$@"; }
mapfile -t rest < <(files rest)
mapfile -t kafka < <(files kafka)
mapfile -t again < <(files again)

step 'cargo test --features failpoints --no-run'
tested --no-run

step "cargo test, without Kafka's own${1:+ -- $*}"
tested --lib --bins "${rest[@]}" -- "$@"
tested --doc -- "$@"

# Kafka's wait for brokers most of the time. Beside them, what was tested above is tested against the other pair.
against_others() (
  INFRA_DIR+=-other
  # shellcheck source=/dev/null
  . "$INFRA_DIR/env"
  export PG_FROM=wheel VALKEY_FROM=system
  # The law itself has been tried at length above.
  export NORNPLAN_POSTGRES_CASES=${NORNPLAN_POSTGRES_CASES:-10}
  tested "${again[@]}" -- "$@"
)
against_others "$@" >"$INFRA_DIR/log/others" 2>&1 &
others=$! red=0
step "cargo test, Kafka's own${1:+ -- $*}"
tested "${kafka[@]}" -- "$@" || red=1
step "the same as above against $(other status | grep -oE '(PostgreSQL|Valkey|Redis) [0-9.]+$' | paste -sd, | sed 's/,/ and /')"
wait "$others" || red=1
cat -- "$INFRA_DIR/log/others"
exit "$red"
