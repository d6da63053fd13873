#!/usr/bin/env bash
# PostgreSQL with no container: postgres.sh start | stop | pid | version | wipe
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"
. "$HERE/native/fetch.sh"
. "$HERE/native/process.sh"

home=$INFRA_DIR/postgres
elsewhere=/var/lib/nornplan

# PostgreSQL refuses to run as root, so root runs it as somebody else; anybody else as themselves.
server_user='' as_server_user=()
if ((EUID == 0)); then
  server_user=nobody
  if id postgres >/dev/null 2>&1; then server_user=postgres; fi
  as_server_user=(setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" --init-groups --)
fi

# That somebody may be unable to enter where we live (a clone below /root): then the data lives in /var/lib/nornplan,
# and ours is a link to it.
make_home() {
  [[ -e $home ]] && return
  if [[ $server_user ]]; then chmod a+x -- "$INFRA_DIR"; fi
  if "${as_server_user[@]}" test -x "$INFRA_DIR"; then
    mkdir -m 700 -- "$home"
  else
    (umask 022 && mkdir -p -- "$elsewhere")
    ln -s -- "$(mktemp -d "$elsewhere/postgres.XXXXXXXX")" "$home"
  fi
  if [[ $server_user ]]; then chown -- "$server_user" "$home/"; fi
}

# The programs for the server itself: it has to be able to reach those too.
server_bin() {
  local bin
  bin=$(postgres_bin)
  if ! "${as_server_user[@]}" test -x "$bin/postgres"; then
    INFRA_CACHE=$elsewhere/cache
    bin=$(postgres_bin)
  fi
  echo "$bin"
}

# A socket's whole path may be 107 bytes long: where ours would be longer, it is a link to a short one.
socket_dir() {
  local dir
  dir=$(readlink -f -- "$home")/socket
  if ((${#dir} < 90)); then
    "${as_server_user[@]}" mkdir -p -m 700 -- "$dir"
  else
    drop_short_socket_dir
    ln -s -- "$("${as_server_user[@]}" mktemp -d /tmp/nornplan-XXXXXXXX)" "$dir"
  fi
  readlink -f -- "$dir"
}

drop_short_socket_dir() {
  local short
  short=$(readlink -- "$home/socket") && [[ $short == /tmp/nornplan-* ]] || return 0
  rm -rf -- "$short" "$home/socket"
}

# Into a directory beside, so that one that is half made is never taken for a server's data.
make_data() {
  local bin=$1 data=$2 pwfile
  pwfile=$(dirname -- "$data")/pwfile
  rm -rf -- "$data.new"
  (umask 077 && password postgres >"$pwfile")
  if [[ $server_user ]]; then chown -- "$server_user" "$pwfile"; fi
  "${as_server_user[@]}" "$bin/initdb" --pgdata "$data.new" --username postgres --pwfile "$pwfile" --encoding UTF8 --locale C.UTF-8 \
    --auth-host scram-sha-256 --auth-local scram-sha-256 --data-checksums --no-sync >>"$INFRA_DIR/log/postgres.log" 2>&1 ||
    explain postgres "could not make its data directory"
  rm -f -- "$pwfile"
  mv -- "$data.new" "$data"
}

start() {
  local bin data major
  make_home
  bin=$(server_bin)
  data=$(mark)
  cd /  # where anybody may be
  [[ -s $data/PG_VERSION ]] || make_data "$bin" "$data"

  major=$("$bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)
  [[ $(<"$data/PG_VERSION") == "$major" ]] ||
    fail "the data in $INFRA_DIR is PostgreSQL $(<"$data/PG_VERSION")'s and the newest here is $major: make infra-wipe starts afresh"

  local settings=(listen_addresses=127.0.0.1 port="$PG_PORT" unix_socket_directories="$(socket_dir)" max_connections=200)
  [[ ${INFRA_FAST:-} != 1 ]] || settings+=(fsync=off synchronous_commit=off full_page_writes=off)
  launch postgres "$data" "${as_server_user[@]}" "$bin/postgres" -D "$data" "${settings[@]/#/-c}"
  await postgres "$data"
}

# What our_pid knows it by: the data directory, with every link resolved.
mark() { echo "$(readlink -f -- "$home")/data"; }

case $1 in
  start) start ;;
  stop)
    stop_process postgres "$(mark)" INT
    drop_short_socket_dir
    ;;
  pid) our_pid postgres "$(mark)" ;;
  version) "$HERE/psql.sh" -Atqc "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)" ;;
  wipe)
    # The data that a link leads to, and nothing else that a link may lead to.
    target=$(readlink -f -- "$home")
    if [[ -L $home && $target == "$elsewhere"/postgres.* ]]; then rm -rf -- "$target"; fi
    ;;
esac
