# shellcheck shell=bash
# What every script here shares: where a set of services lives, which ports it has, and how to sign in as its admin.
# Sourced, never run.

# shellcheck disable=SC2034 # not every script uses all of this
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

say()  { printf '%s\n' "$@"; }
warn() { printf '%s\n' "$@" >&2; }
fail() { warn "$@"; exit 1; }

INFRA_DIR=$(realpath -m -- "${INFRA_DIR:-$HERE/run}")
INFRA_CACHE=$(realpath -m -- "${INFRA_CACHE:-$HERE/cache}")
SERVICES=${SERVICES:-postgres valkey kafka}

# A set keeps the ports, the way (native, docker) and the programs that it was started with. PG_FROM: wheel, or the
# directory of PostgreSQL's programs; else the system's. VALKEY_FROM: system; else the wheel's. What is said now wins,
# then what was said then, then the defaults.
# shellcheck source=/dev/null
[[ -r $INFRA_DIR/settings ]] && . "$INFRA_DIR/settings"
: "${PG_PORT:=5432}" "${VALKEY_PORT:=6379}" "${KAFKA_PORT:=19092}" "${ADMIN_PORT:=9644}" "${CONSOLE_PORT:=8090}" "${INFRA:=}" "${PG_FROM:=}" "${VALKEY_FROM:=}"
export INFRA_DIR INFRA_CACHE SERVICES PG_PORT VALKEY_PORT KAFKA_PORT ADMIN_PORT CONSOLE_PORT INFRA PG_FROM VALKEY_FROM

for service in $SERVICES; do
  [[ $service == @(postgres|valkey|kafka) ]] || fail "no service is called '$service': SERVICES takes postgres, valkey, kafka"
done
for port in "$PG_PORT" "$VALKEY_PORT" "$KAFKA_PORT" "$ADMIN_PORT" "$CONSOLE_PORT"; do
  [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -lt 65534 ]] || fail "'$port' is no port"
done
unset service port

# shellcheck disable=SC2016 # to be expanded when it is read
keep_settings() {
  local name
  for name in INFRA PG_FROM VALKEY_FROM PG_PORT VALKEY_PORT KAFKA_PORT ADMIN_PORT CONSOLE_PORT; do
    printf ': "${%s:=%s}"\n' "$name" "${!name}"
  done >"$INFRA_DIR/settings"
}

make_dir() {
  mkdir -p -- "$INFRA_DIR" || fail "cannot make $INFRA_DIR"
  [[ -w $INFRA_DIR ]] || fail "$INFRA_DIR belongs to $(stat -c %U -- "$INFRA_DIR"): use another INFRA_DIR, or run this as that user"
  mkdir -p -- "$INFRA_DIR/log"
}

# The admin's password of a service: made once, readable by its maker only, never printed by anything but this.
password() {
  local file=$INFRA_DIR/passwords/$1 random
  if [[ ! -s $file ]]; then
    random=$(head -c 256 /dev/urandom | base64 -w 0 | tr -d '+/=')
    (umask 077 && mkdir -p -- "${file%/*}" && printf '%s' "${random:0:32}" >"$file.new" && mv -- "$file.new" "$file")
  fi
  cat -- "$file"
}

# The wheel's pg_dump and pg_restore are where nobody looks for them; the system's may be older than the wheel's server.
postgres_programs() {
  local bin
  [[ $INFRA == native ]] || return 0
  bin=$(. "$HERE/native/fetch.sh" && postgres_bin)
  [[ $bin == "$INFRA_CACHE"/* && -x $bin/pg_dump ]] || return 0
  printf 'export NORNPLAN_POSTGRES_BIN_DIR=%q\n' "$bin"
}

# Lines for `. $INFRA_DIR/env`: the services named, as nornplan's admin.
write_env() {
  local service
  (
    umask 077
    for service; do
      case $service in
        postgres)
          printf 'export NORNPLAN_POSTGRES_%s=%s\n' HOST 127.0.0.1 PORT "$PG_PORT" USER postgres PASSWORD "$(password postgres)"
          postgres_programs
          ;;
        valkey)   printf 'export NORNPLAN_VALKEY_%s=%s\n' HOST 127.0.0.1 PORT "$VALKEY_PORT" PASSWORD "$(password valkey)" ;;
        kafka)
          printf 'export NORNPLAN_KAFKA_%s=%s\n' BROKERS "127.0.0.1:$KAFKA_PORT" USER admin PASSWORD "$(password kafka)"
          # Only Redpanda has one.
          if [[ $INFRA == docker ]]; then printf 'export NORNPLAN_KAFKA_ADMIN_URL=http://127.0.0.1:%s\n' "$ADMIN_PORT"; fi
          ;;
      esac
    done >"$INFRA_DIR/env.new"
    mv -- "$INFRA_DIR/env.new" "$INFRA_DIR/env"
  )
}

# Does the service answer its admin?
answers() {
  case $1 in
    postgres) "$HERE/psql.sh" -Atqc 'SELECT 1' >/dev/null 2>&1 ;;
    valkey)   [[ $(ask_valkey PING) == +PONG* ]] ;;
    kafka)    KAFKA_PASSWORD=$(password kafka) python3 "$HERE/kafka-signin.py" "127.0.0.1:$KAFKA_PORT" admin 2>/dev/null ;;
  esac
}

# One command to Valkey as the admin.
ask_valkey() { valkey_says 127.0.0.1 "$VALKEY_PORT" default "$(password valkey)" "$1"; }

# valkey_says HOST PORT USER PASSWORD COMMAND, by the plainest form of Valkey's protocol: nothing on a command line.
valkey_says() {
  (
    exec 3<>"/dev/tcp/$1/$2"
    printf 'AUTH %s %s\r\n%s\r\nQUIT\r\n' "$3" "$4" "$5" >&3
    IFS= read -r -t 5 signed_in <&3 && [[ $signed_in == +OK* ]] && timeout 5 cat <&3 | sed '$d'
  ) 2>/dev/null
}
