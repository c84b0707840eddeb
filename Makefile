# Postern needs Go and Python to run, and what internal/testenv/install.sh adds to be
# tested. `make` alone lists the targets.

GO       ?= go
BUF      := $(GO) tool -modfile=internal/tools/go.mod buf
LINT     := $(GO) tool -modfile=internal/tools/lint/go.mod golangci-lint
FUZZTIME ?= 40000x

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The program replaces the shell, so that a signal to make reaches it itself; under
# `go run` a SIGTERM would end only its parent.
.PHONY: run
run: ## start Envoy, Postern and an example upstream on loopback, seeded (PORT_OFFSET=n shifts the ports)
	@$(GO) build -o .run/bin/demo ./internal/demo/run && exec .run/bin/demo

.PHONY: test
test: test-tools test-unit race fuzz bench-short ## everything that must be green, in under ten minutes

.PHONY: test-tools
test-tools:
	@./internal/testenv/install.sh

.PHONY: test-unit
test-unit: ## unit, conformance, golden and real-Envoy tests
	$(GO) vet ./...
	$(GO) test -timeout 8m ./...
	$(GO) test -timeout 8m ./envoy -over postgres

# Without a C compiler there is no race detector. credential and profile share
# nothing between goroutines, and bcrypt under the detector takes minutes.
.PHONY: race
race: ## the packages that share memory, under the race detector
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then \
		$(GO) test -race -short -timeout 8m ./authz ./authz/admission ./authz/token ./cache/... ./envoy/extauthz ./envoy/transport ./internal/wire; \
	else \
		echo "race: no C compiler, left out"; \
	fi

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (40000x; a time such as 5m is taken too)
	@./internal/testenv/fuzz.sh $(FUZZTIME)

.PHONY: soak
soak: ## with figures: a flood of unknown keys; revocations, faults, restarts and kills under load (some minutes)
	@$(GO) run ./internal/soak
	@POSTERN_TEST_KEYS=1000000 $(GO) test -count=1 -timeout 20m -v -run TestAmong ./store/postgres
	@POSTERN_DRILL=whole $(GO) test -count=1 -timeout 30m -v ./internal/drill

.PHONY: bench
bench: test-tools ## measure Postern against a stock server (some half an hour); writes bench/ and docs/benchmarks.md
	@$(GO) run ./internal/bench

.PHONY: bench-short
bench-short: test-tools ## see that the benchmarks work, without figures
	@$(GO) run ./internal/bench -short

.PHONY: lint
lint: ## golangci-lint, and buf on the management API
	$(LINT) run ./...
	$(BUF) lint

.PHONY: generate
generate: ## rewrite what is generated: protobuf code, reference pages, golden files
	$(BUF) generate
	$(GO) test ./internal/config ./authz/profile -update

.PHONY: fmt
fmt: ## format the Go files
	$(LINT) fmt ./...

.PHONY: clean
clean: ## remove what was built, installed and seeded here
	rm -rf .run bin
