# The developer's interface. CI runs these same targets (see .ci/run).
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
# Tests of a real cluster mostly wait: two workers, each with a control plane of its own, halve that. The order of the
# files is kept: long ones come first, and the search for leaked credentials last.
WORKERS ?= 2
SPREAD := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "» creating $(VENV) and installing the pinned dependencies"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: help
help: ## Show what there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Create the virtual environment with the pinned dependencies

.PHONY: demo
demo: $(STAMP) ## The main job end to end on a real control plane and the simulator (KEEP=1 leaves it running)
	@$(BIN)/saperly-operator demo $(if $(KEEP),--keep)

.PHONY: run
run: $(STAMP) ## Run the operator against the current kubeconfig and SAPERLY_API_URL
	@SAPERLY_LOG_FORMAT=$${SAPERLY_LOG_FORMAT:-text} $(BIN)/saperly-operator run

.PHONY: cluster
cluster: $(STAMP) ## Keep a real control plane running and print its KUBECONFIG
	@$(BIN)/saperly-operator cluster

.PHONY: test
test: $(STAMP) ## All tests, on a real control plane
	@$(BIN)/saperly-operator cluster --prepare
	@$(PYTEST) $(SPREAD)

.PHONY: test-unit
test-unit: $(STAMP) ## Pure tests only, in seconds
	@$(PYTEST) tests/unit tests/contract

.PHONY: test-simulation
test-simulation: $(STAMP) ## Seeded histories in virtual time
	@$(PYTEST) tests/simulation

.PHONY: test-cluster
test-cluster: $(STAMP) ## Tests on a real etcd and kube-apiserver
	@$(BIN)/saperly-operator cluster --prepare
	@$(PYTEST) $(SPREAD) tests/cluster

.PHONY: lint
lint: $(STAMP) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## Format and fix what can be fixed by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: manifests
manifests: $(STAMP) ## Regenerate the CRDs and the API reference from the resource models
	@$(BIN)/saperly-operator crds --output crds --reference docs/reference/api.md

.PHONY: verify-manifests
verify-manifests: manifests ## Fail when the committed CRDs or the API reference are stale
	@git diff --exit-code -- crds docs/reference || { echo "stale: run 'make manifests' and commit the result"; exit 1; }

.PHONY: mutants
mutants: $(STAMP) ## Take each rule of the protocol out in turn, and expect a test to turn red
	@$(BIN)/python -m tests.mutation

.PHONY: bench
bench: $(STAMP) ## Figures, beside a floor measured in the same run
	@$(BIN)/python -m tests.bench

.PHONY: pins
pins: ## Refresh the hashed pins in requirements/ (needs uv)
	@cd requirements && uv pip compile ../pyproject.toml --extra simulator --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o run.txt
	@cd requirements && uv pip compile ../pyproject.toml --extra simulator --group ../pyproject.toml:dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o dev.txt
