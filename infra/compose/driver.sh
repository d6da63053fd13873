#!/usr/bin/env bash
# The services in containers: driver.sh up | stop | wipe | status | logs
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"
. "$HERE/ports.sh"

compose() { "$HERE/compose/compose.sh" "$@"; }

containers() {
  case $1 in kafka) echo redpanda console ;; *) echo "$1" ;; esac
}

up_already() {
  local first
  read -r first _ < <(containers "$1")
  [[ $(compose ps --quiet --status running "$first") ]]
}

# The aclfile has to be writable by the container's own user, so its directory is open inside one that is closed.
make_users() {
  local hash
  [[ -e $INFRA_DIR/compose/acl/users.acl ]] && return
  hash=$(password valkey | sha256sum | cut -d ' ' -f 1)
  (umask 077 && mkdir -p -- "$INFRA_DIR/compose/acl")
  echo "user default on #$hash ~* &* +@all" >"$INFRA_DIR/compose/acl/users.acl"
  chmod 777 -- "$INFRA_DIR/compose/acl"
  chmod 666 -- "$INFRA_DIR/compose/acl/users.acl"
}

up() {
  local service missing=() wanted=() deadline
  for service in $SERVICES; do
    password "$service" >/dev/null
    read -r -a more < <(containers "$service")
    wanted+=("${more[@]}")
    up_already "$service" || missing+=("$service")
  done
  password postgres >/dev/null # the compose file names it, whatever is started
  make_users
  check_ports "${missing[@]}"
  keep_settings
  compose up --detach --quiet-pull "${wanted[@]}"

  for service in $SERVICES; do
    deadline=$((SECONDS + 120))
    until answers "$service"; do
      ((SECONDS < deadline)) || fail "$service does not answer its admin after 120 s: make infra-logs"
      sleep 0.5
    done
    say "$service up on $(port "$service") after $SECONDS s"
  done
  # shellcheck disable=SC2086 # words
  write_env $SERVICES
}

case $1 in
  up) up ;;
  stop) for service in $SERVICES; do read -r -a more < <(containers "$service") && compose stop "${more[@]}"; done ;;
  wipe)
    compose down --volumes
    rm -rf -- "$INFRA_DIR/compose"
    ;;
  status) compose ps --all ;;
  logs) compose logs --follow --tail 20 ;;
esac
