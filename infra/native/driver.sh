#!/usr/bin/env bash
# The services as plain processes of this machine: driver.sh up | stop | wipe | status
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"

[[ -d /proc/self ]] || fail "the native way needs Linux: start a Docker engine instead"

ALL=(postgres valkey kafka)
native() { "$HERE/native/$1.sh" "$2"; }

ports() {
  case $1 in
    postgres) echo "$PG_PORT" ;;
    valkey)   echo "$VALKEY_PORT" ;;
    kafka)    echo "$KAFKA_PORT" $((KAFKA_PORT + 1)) $((KAFKA_PORT + 2)) ;;
  esac
}

# Every port of what is about to start, before anything does.
check_ports() {
  local service port holder twice taken=0
  twice=$(for service; do ports "$service"; done | tr ' ' '\n' | sort | uniq -d)
  [[ ! $twice ]] || fail "port $twice is given twice (Kafka also uses KAFKA_PORT+1 and +2)"
  for service; do
    for port in $(ports "$service"); do
      holder=$(port_holder "$port")
      [[ $holder ]] || continue
      taken=1
      warn "$service: port $port is in use by $holder"
      warn "    stop that, or move $service: make infra $(port_variable "$service")=$(free_port "$service")"
    done
  done
  ((taken == 0)) || fail "nothing was started"
}

free_port() {
  local first port
  read -r first _ < <(ports "$1")
  for ((port = first + 1; port < 65000; port++)); do
    [[ $(port_holder $port)$(port_holder $((port + 1)))$(port_holder $((port + 2))) ]] || { echo $port; return; }
  done
}

up() {
  local service pid missing=() starts=()
  for service in $SERVICES; do
    if native "$service" pid >/dev/null; then
      answers "$service" || fail "$service runs (pid $(native "$service" pid)) but does not answer on port $(ports "$service"): make infra-stop first"
      say "$service already up on $(ports "$service" | cut -d ' ' -f 1)"
    else
      missing+=("$service")
    fi
  done

  if ((${#missing[@]})); then
    check_ports "${missing[@]}"
    "$HERE/native/prerequisites.sh" "${missing[@]}"
    for service in "${missing[@]}"; do
      password "$service" >/dev/null
      (native "$service" start && say "$service up on $(ports "$service" | cut -d ' ' -f 1) after $SECONDS s") &
      starts+=($!)
    done
    local failed=0
    for pid in "${starts[@]}"; do wait "$pid" || failed=1; done
    ((failed == 0)) || fail "not everything started; what did goes on: make infra-stop stops it"
  fi
  remember_running
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
  printf '%-10s %-15s %-17s %-8s %s\n' service state address pid version
  for service in "${ALL[@]}"; do
    state=down version=-
    if pid=$(native "$service" pid); then
      state='not answering'
      if answers "$service"; then
        state=up
        version=$(native "$service" version)
      fi
    fi
    printf '%-10s %-15s %-17s %-8s %s\n' "$service" "$state" "127.0.0.1:$(ports "$service" | cut -d ' ' -f 1)" "${pid:--}" "$version"
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
esac
