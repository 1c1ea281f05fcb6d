# What a newcomer and an operator run. `make help` lists it.

export COMPOSE_PROJECT_NAME ?= sessiond
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
VM ?=
PROFILE ?=
TESTFLAGS ?=
FAULTS ?= all

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve at once on 127.0.0.1:8080, with the embedded store
	go run ./cmd/sessiond --embedded

.PHONY: check
check: ## the quick loop: format, vet, staticcheck, and the tests that need no Docker
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go test -short ./...

.PHONY: generate
generate: ## write the dashboards and docs/metrics.md from the code
	go run ./deploy/grafana
	go test ./cmd/sessiond -run '^TestMetricsAreDocumented$$' -update

.PHONY: test
test: ## all short tests, with the race detector, the cluster tests on a real 3+3 cluster
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && deploy/images/test-env.sh go test -race -timeout 10m $(TESTFLAGS) ./...

.PHONY: test-faults
test-faults: ## the fault suite, or FAULTS=name,... of it; FAULTS=ci for what CI runs
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 60m -v ./internal/faults -run '^TestFaults$$' -faults=$(FAULTS) $(TESTFLAGS)

.PHONY: test-observed
test-observed: ## kill a VM while Prometheus looks on, and run every panel's query and every rule
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && PROMETHEUS_IMAGE=$$(deploy/images/resolve.sh prometheus) && \
		REDIS_EXPORTER_IMAGE=$$(deploy/images/resolve.sh redis-exporter) && \
		export REDIS_IMAGE PROMETHEUS_IMAGE REDIS_EXPORTER_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 20m -v ./internal/faults -run '^TestKillIsSeen$$' -observe $(TESTFLAGS)

.PHONY: failover-figures
failover-figures: ## the table of figures: 20 VMs killed under load, beside a stock client
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 60m -v ./internal/faults -run '^TestFigures$$' -figures -rate=2000 $(TESTFLAGS)

.PHONY: fuzz
fuzz: ## each fuzz target for 20 s
	go test -run '^$$' -fuzz FuzzParseRef -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeRecord -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeJSON -fuzztime 20s ./internal/httpapi

# What the image is stamped with. A clone without tags is named after its commit, a tree without git is "unknown".
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: image
image: ## build the service's image, sessiond:local
	@GO_IMAGE=$$(deploy/images/resolve.sh golang) && \
		docker build -q -t sessiond:local --build-arg GO_IMAGE=$$GO_IMAGE --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .

.PHONY: up
up: image ## start the whole bundle and wait until both instances are ready; PROFILE=observability adds Prometheus and Grafana
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && deploy/up.sh "$(PROFILE)" $(COMPOSE)

.PHONY: down
down: ## stop the bundle; the sessions stay in its volumes
	@COMPOSE_PROFILES=observability $(COMPOSE) down

.PHONY: clean
clean: ## stop the bundle and delete its sessions
	@COMPOSE_PROFILES=observability $(COMPOSE) down -v

.PHONY: cluster-status
cluster-status: ## each node's VM, role, slots and lag
	@$(COMPOSE) exec -T sessiond-1 /sessiond cluster status

.PHONY: cluster-rebalance
cluster-rebalance: ## one master on each VM again, after a VM has returned
	@$(COMPOSE) exec -T sessiond-1 /sessiond cluster rebalance

.PHONY: vm-kill
vm-kill: ## VM=1|2|3: cut a VM's power
	@deploy/vm.sh kill $(VM)

.PHONY: vm-start
vm-start: ## VM=1|2|3: bring it back
	@deploy/vm.sh start $(VM)

# The load test's own flags go into LOADFLAGS, for instance LOADFLAGS='--rate 1000 --max-write-stall 1s'.
LOADFLAGS ?=
SESSIOND_NET ?= 172.30.84
empty :=
comma := ,
STOCK_NODES := $(subst $(empty) $(empty),$(comma),$(foreach host,11 21 31 12 22 32,$(SESSIOND_NET).$(host):6379))
# As a power cut, which docker's own kill is not.
POWER_CUT := --fault-by 'deploy/vm.sh $$1 $${2\#vm}'
TARGETS := --target http://127.0.0.1:8080 --target http://127.0.0.1:8081

.PHONY: failover
failover: up ## kill a VM of the bundle under load, and report what the load felt
	@$(MAKE) -s cluster-rebalance
	@go build -o bin/loadtest ./loadtest && { bin/loadtest --scenario vm-kill $(POWER_CUT) $(TARGETS) $(LOADFLAGS); status=$$?; \
		$(MAKE) -s cluster-rebalance || status=1; exit $$status; }

.PHONY: failover-control
failover-control: up ## the same on a plain go-redis handler, as the control
	@$(MAKE) -s cluster-rebalance
	@go build -o bin/loadtest ./loadtest && bin/loadtest --scenario vm-kill $(POWER_CUT) --target redis-stock --redis $(STOCK_NODES) --cluster http://127.0.0.1:8080 $(LOADFLAGS)

.PHONY: rolling-restart
rolling-restart: up ## restart one VM of the bundle after the other under load, with a report
	@$(MAKE) -s cluster-rebalance
	@go build -o bin/loadtest ./loadtest && bin/loadtest --scenario rolling-restart $(TARGETS) $(LOADFLAGS)

.PHONY: test-browser
test-browser: ## the live page while a VM dies, and a report, in headless Chromium; SCREENSHOTS=folder keeps pictures
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && cd internal/browsertest && \
		../../deploy/images/test-env.sh go test -mod=mod -count=1 -timeout 9m $(TESTFLAGS) ./...
