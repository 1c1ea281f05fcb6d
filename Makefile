# What a newcomer and an operator run. `make help` lists it.

export COMPOSE_PROJECT_NAME ?= sessiond
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
VM ?=
TESTFLAGS ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## serve at once on 127.0.0.1:8080, with the embedded store
	go run ./cmd/sessiond --embedded

.PHONY: test
test: ## all short tests, with the race detector, the cluster tests on a real 3+3 cluster
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && deploy/images/test-env.sh go test -race -timeout 10m $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## each fuzz target for 20 s
	go test -run '^$$' -fuzz FuzzParseRef -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeRecord -fuzztime 20s ./internal/session
	go test -run '^$$' -fuzz FuzzDecodeJSON -fuzztime 20s ./internal/httpapi

.PHONY: image
image: ## build the service's image, sessiond:local
	@GO_IMAGE=$$(deploy/images/resolve.sh golang) && docker build -q -t sessiond:local --build-arg GO_IMAGE=$$GO_IMAGE .

.PHONY: up
up: image ## start the whole bundle and wait until both instances are ready
	@REDIS_IMAGE=$$(deploy/images/resolve.sh redis) && export REDIS_IMAGE && $(COMPOSE) up -d && deploy/wait-ready.sh

.PHONY: down
down: ## stop the bundle; the sessions stay in its volumes
	@$(COMPOSE) down

.PHONY: clean
clean: ## stop the bundle and delete its sessions
	@$(COMPOSE) down -v

.PHONY: cluster-status
cluster-status: ## each node's VM, role, slots and lag
	@$(COMPOSE) exec -T sessiond-1 /sessiond cluster status

.PHONY: vm-kill
vm-kill: ## VM=1|2|3: cut a VM's power
	@deploy/vm.sh kill $(VM)

.PHONY: vm-start
vm-start: ## VM=1|2|3: bring it back
	@deploy/vm.sh start $(VM)
