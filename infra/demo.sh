#!/usr/bin/env bash
# The whole of nornplan once through, against running services: plan, apply, plan again; then the published credentials
# do real work, and what they must not reach refuses them. Fails if any of it is otherwise.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$HERE/native/fetch.sh"
cd -- "$HERE/.."

[[ -r $INFRA_DIR/env ]] || fail "nothing runs in $INFRA_DIR: make infra"
# shellcheck source=/dev/null
. "$INFRA_DIR/env"
"$HERE/native/prerequisites.sh" kafka
psql=$(postgres_bin)/psql
jars=$(kafka_jars)
nornplan=target/release/nornplan

private=$(mktemp -d) # 0700
trap 'rm -rf -- "$private"' EXIT

headline() { printf '\n%s== %s%s\n' "${bold:-}" "$*" "${plain:-}"; }
if [[ -t 1 && ! ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi

# works WHAT PATTERN COMMAND...: it succeeds, and its output has the pattern.
works() {
  local what=$1 pattern=$2 output
  shift 2
  output=$("$@" 2>&1) || fail "FAILED: $what" "$output"
  grep -qE -- "$pattern" <<<"$output" || fail "FAILED: $what" "$output"
  printf '  works     %s\n' "$what"
}

# refused WHAT PATTERN COMMAND...: whatever else it does, it says that it is refused, in these words.
refused() {
  local what=$1 pattern=$2 output
  shift 2
  output=$("$@" 2>&1) || true
  output=$(grep -m 1 -oE -- "$pattern.*" <<<"$output") || fail "FAILED: $what was not refused"
  printf '  refused   %s\n            %s\n' "$what" "$output"
}

# What an app finds in its environment: published APP NAME.
published() {
  sed -nE "s/^(export )?$2=[\"']?([^\"']*)[\"']?\$/\\2/p" "secrets/$1.env" | grep . || fail "secrets/$1.env has no $2"
}

# Fills user, secret, host, port and path from scheme://user:secret@host:port/path?options.
take_apart() {
  [[ $1 =~ ^[a-z]+://([^:]+):([^@]+)@([^:/]+):([0-9]+)/?([^?]*) ]] || fail "not the URL that we expected"
  user=${BASH_REMATCH[1]} secret=${BASH_REMATCH[2]} host=${BASH_REMATCH[3]} port=${BASH_REMATCH[4]} path=${BASH_REMATCH[5]}
}

# postgres_as APP DATABASE SQL; an empty DATABASE is its own.
postgres_as() {
  take_apart "$(published "$1" DATABASE_URL)"
  PGPASSWORD=$secret "$psql" -h "$host" -p "$port" -U "$user" -d "${2:-$path}" -X -v ON_ERROR_STOP=1 -Atqc "$3"
}

norn() {
  PGPASSWORD=norn "$psql" -h "$NORNPLAN_POSTGRES_HOST" -p "$NORNPLAN_POSTGRES_PORT" -U norn -d norn_db -X -Atqc "$1"
}

valkey_as() {
  take_apart "$(published "$1" VALKEY_URL)"
  valkey_says "$host" "$port" "$user" "$secret" "$2"
}

kafka_as() {
  local app=$1 tool=$2 config=$private/$1.properties
  shift 2
  (umask 077 && cat >"$config") <<END
security.protocol=SASL_PLAINTEXT
sasl.mechanism=$(published "$app" KAFKA_SASL_MECHANISM)
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="$(published "$app" KAFKA_USERNAME)" password="$(published "$app" KAFKA_PASSWORD)";
END
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dkafka.log=error -Dlog4j2.configurationFile="$HERE/native/kafka/log4j2.properties" \
    -cp "$jars/*" "org.apache.kafka.tools.$tool" --bootstrap-server "$(published "$app" KAFKA_BROKERS)" "${@//@CONFIG@/$config}"
}

kafka_write() { # APP TOPIC MESSAGE
  kafka_as "$1" ConsoleProducer --producer.config @CONFIG@ --topic "$2" <<<"$3"
}

kafka_read() { # APP TOPIC: one message, as the group that is the app's own
  kafka_as "$1" consumer.ConsoleConsumer --consumer.config @CONFIG@ --topic "$2" --group "$1" --from-beginning \
    --max-messages 1 --timeout-ms 15000
}

# A run that was broken off may have left messages before ours.
kafka_read_until() {
  local message
  for _ in {1..10}; do
    message=$(kafka_read "$1" "$2" 2>&1) || break
    [[ $message != *"$3"* ]] || break
  done
  echo "$message"
}

headline 'nornplan plan: what the infraspecs in specs/ declare, and the services do not have yet'
"$nornplan" plan

headline 'nornplan apply: one step takes something away from a living database, so it is held until somebody allows it'
"$nornplan" apply --auto-approve --allow-interrupt postgres.database.norn_db

headline 'nornplan plan: everything is as declared now'
"$nornplan" plan | tee "$private/plan"
grep -q '^No changes\. ' "$private/plan" || fail 'FAILED: the second plan still has changes'

headline "mail-agent at work, with nothing but secrets/mail-agent.env"
works 'a table, and a row in it' '^hello from' postgres_as mail-agent '' \
  "CREATE TABLE IF NOT EXISTS demo (said text); TRUNCATE demo; INSERT INTO demo VALUES ('hello from mail-agent'); SELECT said FROM demo"
works 'SET mail-agent:hello' '^\+OK' valkey_as mail-agent 'SET mail-agent:hello world'
works 'GET mail-agent:hello' '^world' valkey_as mail-agent 'GET mail-agent:hello'
message="mail $RANDOM$RANDOM"
works 'a message into mail.inbound' '^$' kafka_write mail-agent mail.inbound "$message"
works 'and out again, as the group mail-agent' "^$message" kafka_read_until mail-agent mail.inbound "$message"

headline 'What the others may not'
take_apart "$(published mail-agent DATABASE_URL)"
mail_database=$path
works 'cafe-backend in its own database' '^1$' postgres_as cafe-backend '' 'SELECT 1'
refused "cafe-backend in $mail_database" 'permission denied for database' postgres_as cafe-backend "$mail_database" 'SELECT 1'
for database in postgres template1; do
  refused "cafe-backend in $database" 'permission denied for database' postgres_as cafe-backend "$database" 'SELECT 1'
done
refused "cafe-backend reads mail-agent:hello" 'NOPERM' valkey_as cafe-backend 'GET mail-agent:hello'
refused "cafe-backend lists everybody's keys" 'NOPERM' valkey_as cafe-backend 'KEYS *'
refused 'shop reads mail.inbound' 'TopicAuthorizationException' kafka_read shop mail.inbound
refused 'shop writes to mail.inbound' 'TopicAuthorizationException' kafka_write shop mail.inbound 'not from me'

headline "Norn's own account, as it was"
works 'norn, password norn, in norn_db' '^norn$' norn 'SELECT current_user'

headline 'What to try next'
cat <<END
  . ${INFRA_DIR#"$PWD"/}/env                        for the commands below
  $nornplan doctor         each service, and whether it isolates
  $nornplan drift          then change something by hand (make db-shell), and again
  $nornplan rotate shop    new passwords, published
  edit specs/, then $nornplan plan
  make infra-stop                         the data stays; make infra-wipe removes it
END
