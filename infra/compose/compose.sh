#!/usr/bin/env bash
# docker compose for the running set: compose.sh [COMPOSE'S OWN ARGUMENTS]
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"

# A second set has a project, and so containers and volumes, of its own.
project=nornplan
[[ $INFRA_DIR == "$HERE/run" ]] || project=nornplan-$(printf %s "$INFRA_DIR" | cksum | cut -d ' ' -f 1)

KAFKA_ADMIN_PASSWORD=$(password kafka)
export KAFKA_ADMIN_PASSWORD
exec docker compose --project-name "$project" --file "$HERE/docker-compose.yml" --profile postgres "$@"
