#!/usr/bin/env bash
# Runs the soak of Kafka's admin calls (tests/kafka_soak.rs) under valgrind: every byte that is read must be there, and
# none may be lost. Needs valgrind, and the services (`make infra`). CALLS=200 is how many calls it makes.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 1; }

tests=$(cargo test --test kafka_soak --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*kafka_soak-[^"]*\)".*/\1/p' | tail -n 1)
NORNPLAN_SOAK=${CALLS:-200} exec valgrind --leak-check=full --show-leak-kinds=definite,indirect \
    --errors-for-leak-kinds=definite,indirect --error-exitcode=9 --num-callers=20 \
    --suppressions=benches/leak-check.supp "$tests" --exact soak --nocapture
