# Forebay. `make help` lists the targets. Nothing has to be prepared by hand but Go: what else is missing is installed
# by scripts/install-servers. Heavy things are kept in $(FOREBAY_CACHE), outside the checkout.
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 10s
TEST_TIMEOUT ?= 20m
PROFILE_SECONDS ?= 10
PROFILE_OF ?= simple-16,simple-100,extended-100,prepared-100,tls-simple-100,churn,bulk,$\
  mariadb-point-text-16,mariadb-point-text-100,mariadb-point-prepared-100,mariadb-readonly-text-100,$\
  mariadb-tls-point-text-100,mariadb-churn
export FOREBAY_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/forebay

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
TOOL := $(GO) tool -modfile=tools/go.mod

.DEFAULT_GOAL := help
.PHONY: help build demo test lint cross unit portable race fmt fuzz bench bench-failover profile conformance servers clean

help: ## list the targets and what they do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the one static binary, bin/forebay
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/forebay ./cmd/forebay

# The AWS CLI and Node.js are used where they are; what is missing of them Forebay does itself.
demo: ## private databases, a storm of clients without and with Forebay, then RDS Proxy's four steps (ONCE=1: stop after them)
	@scripts/install-servers postgresql mariadb
	@! command -v npm >/dev/null || scripts/install-servers lambda-node || echo 'no packages for Node.js: a storm takes their place'
	@$(MAKE) --no-print-directory build
	./bin/forebay demo --lambda $(FOREBAY_CACHE)/lambda-node $(if $(filter-out 0,$(ONCE)),--once)

# Without root the servers may be impossible to install: then the tests that need them are skipped and say so, except
# where FOREBAY_REQUIRE_SERVERS=1 asks for all.
test: ## everything CI does: lint, build, cross-build, all tests with the race detector on real servers
	@scripts/install-servers postgresql mariadb gcc node || test "$(FOREBAY_REQUIRE_SERVERS)" != 1
	@scripts/install-servers galera || echo 'Galera is missing: its tests are skipped'
	@scripts/install-servers patroni || echo 'Patroni is missing: its test is skipped'
	@scripts/install-servers psycopg jdbc node-postgres mysql2 sequelize pymysql mariadb-jdbc || echo 'some drivers are missing: their tests are skipped'
	@scripts/install-servers freetds pymssql pyodbc tedious jtds || echo 'some drivers of SQL Server are missing: their tests are skipped'
	@scripts/install-servers awscli boto3 || echo 'the AWS CLI or boto3 is missing: their tests are skipped'
	@$(MAKE) --no-print-directory lint build cross portable race

lint: ## go vet, staticcheck (staticcheck.conf) and gofumpt
	$(GO) vet -pgo=off ./...
	$(TOOL) staticcheck ./...
	@echo '$(TOOL) gofumpt -l .'; out=$$($(TOOL) gofumpt -l .) || exit 1; \
	if [ -n "$$out" ]; then printf 'not formatted (run make fmt):\n%s\n' "$$out"; exit 1; fi

fmt: ## format the Go code with gofumpt
	$(TOOL) gofumpt -w .

cross: ## build and vet for the other platforms: Linux on arm64, macOS on arm64
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build -pgo=off ./...
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) vet -pgo=off ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build -pgo=off ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) vet -pgo=off ./...

unit: ## the tests below internal/ and cmd/, without the race detector: the quick round while working
	$(GO) test -pgo=off ./cmd/... ./internal/...

# Reports go test -race in short: what and which packages is the caller's.
RACE = @$(GO) build -o bin/testreport ./internal/testreport && \
	echo '$(GO) test -race -pgo=off $(1)' && \
	set -o pipefail && CGO_ENABLED=1 $(GO) test -race -pgo=off -timeout $(TEST_TIMEOUT) -json $(1) | bin/testreport

portable: ## the event loops and the data plane once more, with the poller of systems without epoll
	$(call RACE,-tags forebay_poll ./internal/evloop ./internal/dataplane/...)

race: ## all tests (unit, fuzz seeds, integration, end to end) with the race detector, reported in short
	$(call RACE,./...)

fuzz: ## each fuzz test for FUZZTIME (10s)
	@GO='$(GO)' scripts/fuzz $(FUZZTIME)

bench: ## direct, HAProxy, other poolers and Forebay in turn, compared (docs/benchmarks.md); needs a quiet machine (ENGINE=mysql)
	@scripts/install-servers postgresql pgbouncer mariadb sysbench haproxy
	@$(MAKE) --no-print-directory build
	scripts/bench

bench-failover: ## kill primaries under 200 clients: how long are they stalled, directly, by HAProxy, PgBouncer and Forebay (ENGINE=postgresql)
	@scripts/install-servers postgresql pgbouncer mariadb haproxy
	@$(MAKE) --no-print-directory build
	scripts/bench-failover

profile: ## renew cmd/forebay/default.pgo, by which the compiler optimises: CPU profiles of what bench measures, merged
	@scripts/install-servers postgresql mariadb sysbench
	@$(MAKE) --no-print-directory build
	rm -rf bin/profiles && mkdir -p bin/profiles
	PROFILES=bin/profiles ENGINE=postgresql,mariadb PEERS=forebay ROUNDS=1 SECONDS=$(PROFILE_SECONDS) ONLY=$(PROFILE_OF) scripts/bench
	$(GO) run ./test/pgo bin/profiles/*.pprof >bin/default.pgo && mv bin/default.pgo cmd/forebay/default.pgo

conformance: ## the own test suites of pgx and go-sql-driver, direct and through Forebay: the same tests must pass
	@scripts/install-servers postgresql mariadb
	scripts/conformance

servers: ## prepare the newest PostgreSQL, MariaDB, MySQL, PgBouncer and MySQL Router in a Debian sid tree in the cache; optional, needs root
	@scripts/sid-tree

clean: ## remove what was built here (the cache stays: rm -r $FOREBAY_CACHE)
	rm -rf bin
