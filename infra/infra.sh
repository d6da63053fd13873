#!/usr/bin/env bash
# The services to run against: infra.sh up | stop | wipe | status | logs. The Makefile's infra targets are this.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

# Docker when an engine answers, else native; INFRA=native or INFRA=docker decides; a set that exists stays what it is.
if [[ ! $INFRA ]]; then
  INFRA=native
  command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 && INFRA=docker
fi
[[ $INFRA == @(native|docker) ]] || fail "INFRA is native or docker, not '$INFRA'"
driver=$HERE/$([[ $INFRA == docker ]] && echo compose || echo native)/driver.sh

wipe() {
  [[ -e $INFRA_DIR ]] || { say "nothing to wipe: $INFRA_DIR does not exist"; return; }
  # Whatever INFRA_DIR was set to by mistake, only what make infra made is ever removed.
  [[ -f $INFRA_DIR/lock ]] || fail "$INFRA_DIR holds no services of ours (no file 'lock' in it): nothing removed"
  if [[ ${YES:-} != 1 ]]; then
    read -r -p "Stop the services in $INFRA_DIR and remove all their data? [y/N] " answer || true
    [[ ${answer:-} == [yY]* ]] || fail "nothing removed"
  fi
  "$driver" stop
  "$driver" wipe
  (cd -- "$INFRA_DIR" && rm -rf -- env passwords log pid postgres valkey kafka settings lock)
  rmdir -- "$INFRA_DIR" 2>/dev/null || warn "kept $INFRA_DIR: there is more in it"
  say "removed $INFRA_DIR"
}

case ${1:-} in
  up | stop)
    [[ $1 == up || -e $INFRA_DIR ]] || { say "nothing to stop: $INFRA_DIR does not exist"; exit; }
    make_dir
    # One at a time on one set. The lock is not handed on to the services (-o).
    [[ ${INFRA_LOCKED:-} ]] || INFRA_LOCKED=1 exec flock -w 120 -o -- "$INFRA_DIR/lock" "$0" "$@"
    "$driver" "$1"
    ;;
  wipe) wipe ;;
  status | logs) "$driver" "$1" ;;
  *) fail "usage: infra.sh up | stop | wipe | status | logs" ;;
esac
