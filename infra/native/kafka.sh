#!/usr/bin/env bash
# Apache Kafka with no container, as one node in KRaft mode: kafka.sh start | stop | pid | version | wipe
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"
. "$HERE/native/fetch.sh"
. "$HERE/native/process.sh"

home=$INFRA_DIR/kafka
config=$home/server.properties

java_kafka() {
  "${launcher[@]}" java -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$HERE/native/kafka/log4j2.properties" -cp "$(kafka_jars)/*" "$@"
}

# By the shell's own substitution: the password is on no command line.
write_config() {
  local text
  text=$(<"$HERE/native/kafka/server.properties.in")
  text=${text//@PORT@/$KAFKA_PORT}
  text=${text//@CONTROLLER_PORT@/$((KAFKA_PORT + 1))}
  text=${text//@INTERNAL_PORT@/$((KAFKA_PORT + 2))}
  text=${text//@DATA@/$home/data}
  text=${text//@PASSWORD@/$(password kafka)}
  (umask 077 && printf '%s\n' "$text" >"$config")
}

# The admin has to exist before the first start: its credential is part of formatting. The tool reads arguments from
# a file (@FILE, one a line), so this one is seen by nobody either.
format() {
  local arguments=$home/admin.arguments id
  id=A$(head -c 32 /dev/urandom | base64 -w 0 | tr -d '+/=')
  (umask 077 && printf '%s\n' --add-scram "SCRAM-SHA-512=[name=admin,password=$(password kafka)]" >"$arguments")
  java_kafka kafka.tools.StorageTool format --cluster-id "${id:0:21}A" --config "$config" --ignore-formatted "@$arguments" \
    >>"$INFRA_DIR/log/kafka.log" 2>&1 || explain kafka "could not format its storage"
  rm -f -- "$arguments"
}

launcher=()
case $1 in
  start)
    mkdir -p -- "$home"
    write_config
    [[ -s $home/data/meta.properties ]] || format
    launcher=(launch kafka "$config")
    java_kafka kafka.Kafka "$config"
    await kafka "$config"
    ;;
  stop) stop_process kafka "$config" TERM ;;
  pid) our_pid kafka "$config" ;;
  version) basename -- "$(kafka_jars)"/kafka-server-[0-9]*.jar .jar | sed 's/kafka-server-/Apache Kafka /' ;;
  wipe) ;;
esac
