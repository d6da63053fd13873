#!/usr/bin/env bash
# The services as plain processes of this machine: driver.sh up | stop | wipe | status | logs
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"
. "$HERE/ports.sh"

[[ -d /proc/self ]] || fail "the native way needs Linux: start a Docker engine instead"

ALL=(postgres valkey kafka)
native() { "$HERE/native/$1.sh" "$2"; }

up() {
  local service pid missing=()
  for service in $SERVICES; do
    if pid=$(native "$service" pid); then
      answers "$service" || fail "$service runs (pid $pid), but its admin gets no answer on port $(port "$service"): make infra-stop first"
      say "$service already up on $(port "$service")"
    else
      missing+=("$service")
    fi
  done
  ((${#missing[@]} == 0)) || start "${missing[@]}"
  remember_running
}

# All at once; each says when it answers.
start() {
  local service pid starts=() failed=0
  check_ports "$@"
  "$HERE/native/prerequisites.sh" "$@"
  keep_settings
  for service; do
    password "$service" >/dev/null
    (native "$service" start && say "$service up on $(port "$service") after $SECONDS s") &
    starts+=($!)
  done
  for pid in "${starts[@]}"; do wait "$pid" || failed=1; done
  ((failed == 0)) || fail "not everything started; what did goes on: make infra-stop stops it"
}

# The env file names what can be signed in to, whoever started it.
remember_running() {
  local service running=()
  for service in "${ALL[@]}"; do
    if native "$service" pid >/dev/null; then running+=("$service"); fi
  done
  write_env "${running[@]}"
}

status() {
  local service pid state version
  for service in "${ALL[@]}"; do
    state=down version=-
    if pid=$(native "$service" pid); then
      state='not answering'
      if answers "$service"; then
        state=up
        version=$(native "$service" version)
      fi
    fi
    printf '%-10s %-15s %-17s %-8s %s\n' "$service" "$state" "127.0.0.1:$(port "$service")" "${pid:--}" "$version"
  done
}

case $1 in
  up) up ;;
  stop)
    for service in $SERVICES; do native "$service" stop & done
    wait
    remember_running
    ;;
  wipe) for service in "${ALL[@]}"; do native "$service" wipe; done ;;
  status) status ;;
  logs) exec tail -n 20 -F -- "$INFRA_DIR"/log/*.log ;;
esac
