# shellcheck shell=bash
# One process per service, known by $INFRA_DIR/pid/SERVICE. Sourced.
#
# Each service has on its command line a path that only its own set has (MARK). A pid is ours only while that process
# still shows it, so that a pid that went to somebody else after a crash is never signalled.

our_pid() {
  local service=$1 mark=$2 pid
  pid=$(cat -- "$INFRA_DIR/pid/$service" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] && grep -qzFx -- "$mark" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

# Start a command that outlives us, with its output in the service's log.
launch() {
  local service=$1 mark=$2
  shift 2
  mkdir -p -- "$INFRA_DIR/pid"
  setsid -- "$@" </dev/null >>"$INFRA_DIR/log/$service.log" 2>&1 &
  echo $! >"$INFRA_DIR/pid/$service"
  # The new process is a copy of this shell for a moment.
  until our_pid "$service" "$mark" >/dev/null || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
}

# Wait until the service answers its admin; say why if it ended instead.
await() {
  local service=$1 mark=$2 deadline=$((SECONDS + 60))
  until answers "$service"; do
    our_pid "$service" "$mark" >/dev/null || explain "$service" "ended while starting"
    ((SECONDS < deadline)) || explain "$service" "does not answer its admin after 60 s"
    sleep 0.1
  done
}

explain() {
  warn "$1 $2; the end of $INFRA_DIR/log/$1.log:"
  tail -n 12 -- "$INFRA_DIR/log/$1.log" | sed 's/^/    /' >&2
  exit 1
}

# Ask it to end, wait, and only then insist.
stop_process() {
  local service=$1 mark=$2 gently=$3 pid
  if ! pid=$(our_pid "$service" "$mark"); then
    say "$service is not running"
  else
    kill -s "$gently" "$pid"
    wait_gone "$service" "$mark" 30 || { warn "$service does not end: killing it"; kill -s KILL "$pid"; wait_gone "$service" "$mark" 10; }
    say "$service stopped"
  fi
  rm -f -- "$INFRA_DIR/pid/$service"
}

wait_gone() {
  local deadline=$((SECONDS + $3))
  while our_pid "$1" "$2" >/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}
