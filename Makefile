# The commands for newcomers and operators. `make help` lists them.

export COMPOSE_PROJECT_NAME ?= sessiond
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
VM ?=
PROFILE ?=
# In the profile tls, the clients of the bundle trust the authority that it has made for itself.
ifeq ($(PROFILE),tls)
export COMPOSE_FILE := docker-compose.yaml:deploy/tls.yaml
SCHEME := https
CA_FILE := out/ca.pem
else
SCHEME := http
CA_FILE :=
endif
TESTFLAGS ?=
FAULTS ?= all
GO_CLIENTS := clients/go clients/go/scs clients/go/gorilla clients/go/fiber

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve on 127.0.0.1:8080, with the embedded store
	go run ./cmd/sessiond --embedded

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: check
check: ## the quick loop before a commit: format, vet, staticcheck, short tests without Docker
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted"; exit 1; }
	@go vet ./...
	@go run $(STATICCHECK) ./...
	@env -u REDIS_IMAGE -u PROMETHEUS_IMAGE -u SESSIOND_TEST_CLUSTER go test -short $(TESTFLAGS) ./...

.PHONY: generate
generate: ## write the dashboards and docs/metrics.md anew from the code
	go run ./deploy/grafana
	go test ./cmd/sessiond -run '^TestMetricsAreDocumented$$' -update

.PHONY: test
test: ## all tests but the drills, with the race detector, on the embedded store and on a real 3+3 cluster
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && deploy/images/test-env.sh go test -race -timeout 10m $(TESTFLAGS) ./...

ENGINES ?= redis-7.0 redis-8.0 valkey-8.1

.PHONY: engines
engines: ## the conformance suite and the other tests on a real cluster, on each engine; ENGINES=redis-7.0 for one of them
	@for engine in $(ENGINES); do \
		image=$$(deploy/images/resolve.sh $$engine) && printf '\n== %s: %s\n' "$$engine" "$$image" && \
		REDIS_IMAGE=$$image SESSIOND_TEST_CLUSTER=required deploy/images/test-env.sh go test -count=1 -p 1 -timeout 10m -run 'RealCluster' \
			$(TESTFLAGS) ./internal/session ./internal/cluster ./internal/cluster/rights ./internal/cluster/admin ./cmd/sessiond || exit 1; \
	done

.PHONY: test-faults
test-faults: ## all drills of the fault suite; FAULTS=name,... for some, FAULTS=ci for those of CI; TESTFLAGS=-all-cuts cuts in every way
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 2h -v ./internal/faults -run '^TestFaults$$' -faults=$(FAULTS) $(TESTFLAGS)

ABUSE = REDIS_IMAGE=$$(deploy/images/resolve.sh redis) || unset REDIS_IMAGE; export REDIS_IMAGE; \
	deploy/images/test-env.sh go test -count=1 -timeout 15m -v ./internal/abuse

.PHONY: abuse
abuse: ## attack an instance on loopback in all ways that its limits are for, and print a table; takes two minutes
	@$(ABUSE) -run '^TestAbuse$$' -abuse $(TESTFLAGS)

.PHONY: fairness
fairness: ## measure what a tenant with more and more connections costs another
	@$(ABUSE) -run '^TestFairness$$' -fairness $(TESTFLAGS)

.PHONY: test-clients
test-clients: ## the tests of clients and adapters, against the service on its embedded store
	@for module in $(GO_CLIENTS); do \
		echo "== $$module"; \
		(cd $$module && go vet ./... && go run $(STATICCHECK) ./... && go test -race -count=1 -timeout 10m $(TESTFLAGS) ./...) || exit 1; \
	done

.PHONY: bench
bench: ## measure the service beside handlers that ask less of Redis; takes a quarter of an hour, TESTFLAGS='-only=read -conns=256' less
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 1h -v ./internal/bench -run '^TestBench$$' -measure $(TESTFLAGS)

.PHONY: scale
scale: ## measure how the service does with up to a million sessions; takes five minutes, TESTFLAGS='-sessions=10000' less
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 1h -v ./internal/bench -run '^TestScale$$' -sessions=10000,100000,1000000 $(TESTFLAGS)

.PHONY: model
model: ## explore the model of leases and marks, and take out each rule in turn; TESTFLAGS=-deep goes further, for some minutes
	go test -count=1 -timeout 30m ./internal/cluster/rights/model $(TESTFLAGS)

.PHONY: test-observed
test-observed: ## kill a VM while Prometheus scrapes, and run every panel's query and every rule
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && PROMETHEUS_IMAGE=$$(deploy/images/resolve.sh prometheus) && \
		REDIS_EXPORTER_IMAGE=$$(deploy/images/resolve.sh redis-exporter) && \
		export REDIS_IMAGE PROMETHEUS_IMAGE REDIS_EXPORTER_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 20m -v ./internal/faults -run '^TestKillIsSeen$$' -observe $(TESTFLAGS)

# The commit of version 0.1.0.
OLD ?= f1b7b25

.PHONY: test-upgrade
test-upgrade: ## upgrade from version 0.1.0 instance by instance on a real cluster
	@old=$$(mktemp -d) && trap 'git worktree remove --force "$$old/source"; rm -rf "$$old"' EXIT && \
		git worktree add --quiet --detach "$$old/source" $(OLD) && (cd "$$old/source" && go build -o "$$old/sessiond" ./cmd/sessiond) && \
		REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 10m -v ./cmd/sessiond -run '^TestRollingUpgrade$$' -old "$$old/sessiond" $(TESTFLAGS)

.PHONY: failover-figures
failover-figures: ## print the table of figures: 20 VMs killed under load, compared with a stock client
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE SESSIOND_TEST_CLUSTER=required && \
		deploy/images/test-env.sh go test -count=1 -timeout 60m -v ./internal/faults -run '^TestFigures$$' -figures -rate=2000 $(TESTFLAGS)

.PHONY: fuzz
fuzz: ## run each fuzz target for 20 s
	go test -run '^$$' -fuzz FuzzParseRef -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeRecord -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeJSON -fuzztime 20s ./internal/httpapi

# What the image is stamped with. A clone without tags is named after its commit, a tree without git is "unknown".
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: image
image: ## build the image sessiond:local
	@GO_IMAGE=$$(deploy/images/resolve.sh golang) && \
		docker build -q -t sessiond:local --build-arg GO_IMAGE=$$GO_IMAGE --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) .

.PHONY: up
up: image ## start the whole bundle and wait until both instances are ready; PROFILE=observability adds Prometheus and Grafana, PROFILE=tls speaks TLS
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && deploy/up.sh "$(PROFILE)" $(COMPOSE)

.PHONY: down
down: ## stop the bundle; its volumes keep the sessions
	@COMPOSE_PROFILES=observability $(COMPOSE) down

.PHONY: clean
clean: ## stop the bundle and delete its sessions
	@COMPOSE_PROFILES=observability $(COMPOSE) down -v

AS_OPERATOR := --redis-username=operator --redis-password-file=/secrets/operator.password

.PHONY: cluster-status
cluster-status: ## show each node's VM, role, slots and lag
	@$(COMPOSE) exec -T sessiond-1 /sessiond cluster status $(AS_OPERATOR)

.PHONY: cluster-rebalance
cluster-rebalance: ## give every VM one master again, after a VM has returned
	@$(COMPOSE) exec -T sessiond-1 /sessiond cluster rebalance $(AS_OPERATOR)

.PHONY: vm-kill
vm-kill: ## VM=1|2|3: cut a VM's power
	@deploy/vm.sh kill $(VM)

.PHONY: vm-start
vm-start: ## VM=1|2|3: start it again
	@deploy/vm.sh start $(VM)

# LOADFLAGS takes flags of the load test, for example LOADFLAGS='--rate 1000 --max-write-stall 1s'.
LOADFLAGS ?=
SESSIOND_NET ?= 172.30.84
empty :=
comma := ,
STOCK_NODES := $(subst $(empty) $(empty),$(comma),$(foreach host,11 21 31 12 22 32,$(SESSIOND_NET).$(host):6379))
# Like a power cut: docker kill alone would close the connections.
POWER_CUT := --fault-by 'deploy/vm.sh $$1 $${2\#vm}'
TARGETS := --target $(SCHEME)://127.0.0.1:8080 --target $(SCHEME)://127.0.0.1:8081 --ca-file=$(CA_FILE)

.PHONY: failover
failover: up ## kill a VM of the bundle under load, and write a report
	@$(MAKE) -s cluster-rebalance
	@go build -o bin/loadtest ./loadtest && { bin/loadtest --scenario vm-kill $(POWER_CUT) $(TARGETS) $(LOADFLAGS); status=$$?; \
		$(MAKE) -s cluster-rebalance || status=1; exit $$status; }

.PHONY: failover-control
failover-control: up ## the same with a plain go-redis handler, for comparison
	@$(MAKE) -s cluster-rebalance
	@[ "$(PROFILE)" != tls ] || { echo "the control speaks no TLS" >&2; exit 2; }
	@go build -o bin/loadtest ./loadtest && LOADTEST_REDIS_PASSWORD=$$($(COMPOSE) exec -T redis-1 cat /secrets/control.password) \
		bin/loadtest --scenario vm-kill $(POWER_CUT) --target redis-stock --redis $(STOCK_NODES) --redis-username=control --cluster http://127.0.0.1:8080 $(LOADFLAGS)

.PHONY: rolling-restart
rolling-restart: up ## restart the VMs of the bundle one by one under load, and write a report
	@$(MAKE) -s cluster-rebalance
	@go build -o bin/loadtest ./loadtest && bin/loadtest --scenario rolling-restart $(TARGETS) $(LOADFLAGS)

.PHONY: test-browser
test-browser: ## test the live page while a VM dies, and a report, in headless Chromium; SCREENSHOTS=folder keeps pictures
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && cd internal/browsertest && \
		../../deploy/images/test-env.sh go test -mod=mod -count=1 -timeout 9m $(TESTFLAGS) ./...
