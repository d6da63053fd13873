# What can be done here, one line each: make help.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

##@ The services (SERVICES="postgres valkey" for some; PG_PORT, VALKEY_PORT, KAFKA_PORT; INFRA_DIR for another set)

.PHONY: infra
infra: ## start PostgreSQL, Valkey and Kafka, and wait until they answer
	@infra/infra.sh up

.PHONY: infra-stop
infra-stop: ## stop them; the data stays
	@infra/infra.sh stop

.PHONY: infra-wipe
infra-wipe: ## stop them and remove the data (asks; YES=1 does not)
	@YES='$(YES)' infra/infra.sh wipe

.PHONY: infra-status
infra-status: ## what runs, where, in which version
	@infra/infra.sh status

.PHONY: infra-logs
infra-logs: ## follow their logs
	@infra/infra.sh logs

.PHONY: db
db: ## make Norn's own role (norn, password norn) and its database norn_db
	@infra/db.sh

.PHONY: db-shell
db-shell: ## psql as the admin
	@infra/psql.sh

##@ nornplan

.PHONY: build
build: ## the release binary, target/release/nornplan
	@infra/native/prerequisites.sh build
	cargo build --release

.PHONY: doctor
doctor: ## nornplan's own look at the services
	@infra/native/prerequisites.sh build
	@cargo build --quiet
	@. "$${INFRA_DIR:-infra/run}/env" && target/debug/nornplan doctor

.PHONY: demo
demo: build ## the whole of it: services, plan, apply, the published credentials at work, and what they are refused
	@infra/infra.sh up
	@infra/db.sh
	@infra/demo.sh

##@ Working on it

.PHONY: test
test: ## format, lints, documentation, and all tests against services of their own
	@infra/test.sh

.PHONY: test-deep
test-deep: ## the same, with the long tests
	@NORNPLAN_DEEP=1 infra/test.sh --include-ignored

.PHONY: failpoints
failpoints: ## strike runs at every boundary between two effects in every way (EVERY=hit: each time that they get there; make infra first)
	@. "$${INFRA_DIR:-infra/run}/env" && NORNPLAN_EVERY=$(or $(EVERY),mode) cargo test --features failpoints --test failpoints

.PHONY: fmt
fmt: ## format the code
	cargo fmt

.PHONY: lint
lint: ## clippy, no warning allowed
	cargo clippy --all-targets -- -D warnings

.PHONY: bench
bench: build ## time whole commands against the services, PostgreSQL against psql (APPS=100), Valkey (USERS=10000) and Kafka (KAFKA_APPS=1000) against raw calls
	@infra/infra.sh up
	@. "$${INFRA_DIR:-infra/run}/env" && python3 benches/whole.py $(or $(APPS),100) && \
	  python3 benches/postgres.py $(or $(APPS),100) && python3 benches/valkey.py $(or $(USERS),10000) && \
	  "$$(. infra/common.sh && . infra/native/fetch.sh && kafka_client)" benches/kafka.py $(or $(KAFKA_APPS),1000)

.PHONY: leak-check
leak-check: ## Kafka's admin calls under valgrind (CALLS=200)
	@infra/infra.sh up
	@. "$${INFRA_DIR:-infra/run}/env" && benches/leak-check.sh

.PHONY: help
help: ## this
	@awk -F ':.*## ' \
		'/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
