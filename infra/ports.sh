# shellcheck shell=bash
# Which ports a set wants, and who else may have them. Sourced.

# The first is the one that nornplan is told.
ports() {
  case $1-$INFRA in
    postgres-*)    echo "$PG_PORT" ;;
    valkey-*)      echo "$VALKEY_PORT" ;;
    kafka-docker)  echo "$KAFKA_PORT" "$ADMIN_PORT" "$CONSOLE_PORT" ;;
    kafka-*)       echo "$KAFKA_PORT" $((KAFKA_PORT + 1)) $((KAFKA_PORT + 2)) ;;
  esac
}

port() { ports "$1" | cut -d ' ' -f 1; }

port_variable() {
  case $1 in postgres) echo PG_PORT ;; valkey) echo VALKEY_PORT ;; kafka) echo KAFKA_PORT ;; esac
}

# What listens where 127.0.0.1:PORT would: "pid 12: command". Linux only; elsewhere nothing is said.
port_holder() {
  local inode link pid
  [[ -r /proc/net/tcp ]] || return 0
  inode=$(awk -v port="$(printf ':%04X' "$1")" '
    $4 == "0A" && $2 ~ port "$" && $2 ~ /^(0+|0100007F|0+FFFF00000100007F):/ { print $10; exit }' /proc/net/tcp /proc/net/tcp6 2>/dev/null) || true
  [[ $inode ]] || return 0
  link=$(find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" -print -quit 2>/dev/null) || true
  if [[ $link =~ ^/proc/([0-9]+)/ ]]; then
    pid=${BASH_REMATCH[1]}
    echo "pid $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-120)"
  else
    echo "a process of another user (sudo ss -ltnp names it)"
  fi
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
      warn "$service: port $port is in use by $holder" \
        "    stop that, or move $service: make infra $(port_variable "$service")=$(free_port "$service")"
    done
  done
  ((taken == 0)) || fail "nothing was started"
}

# The next port that has two free ones after it.
free_port() {
  local port
  for ((port = $(port "$1") + 1; port < 65000; port++)); do
    [[ $(port_holder $port)$(port_holder $((port + 1)))$(port_holder $((port + 2))) ]] || { echo $port; return; }
  done
}
