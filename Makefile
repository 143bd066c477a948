# Everything a developer does here. `make` alone lists it.
# What is missing is installed first: .venv by pip, node_modules by npm, and again only when their lists change.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
PYTHON_READY := .venv/.installed
NODE_READY := node_modules/.installed

# `make up APP_PORT=7072`, `make test PYTEST_ARGS="-k renewal"`
PYTEST_ARGS ?=
# Each process has servers of its own, and the tests of a file stay together.
TEST_PROCESSES ?= 3

.PHONY: help install run up test test-fast test-faults bench check format package reset clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

install: $(PYTHON_READY) $(NODE_READY) ## install what is missing, and nothing else

run: $(PYTHON_READY) $(NODE_READY) ## start everything, play the guided run, show what was seen, stop
	@$(PYTHON) -m local.demo

up: $(PYTHON_READY) $(NODE_READY) ## start everything and leave it running; Ctrl-C stops it; state is kept in .local/
	@$(PYTHON) -m local.up

test: $(PYTHON_READY) $(NODE_READY) ## the whole test suite, on servers of its own
	@$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

test-fast: $(PYTHON_READY) ## the tests that need no server
	@$(PYTHON) -m pytest tests/unit tests/contract $(PYTEST_ARGS)

test-faults: $(PYTHON_READY) $(NODE_READY) ## 1,000 runs in which the app is killed at every await (FAULT_RUNS, FAULT_SEED)
	@$(PYTHON) -m tests.faults

bench: $(PYTHON_READY) $(NODE_READY) ## the benchmarks; also written to benchmarks/results.json
	@$(PYTHON) -m benchmarks

check: $(PYTHON_READY) ## lint, format, types, import rules, known vulnerabilities
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) scripts/audit.py

format: $(PYTHON_READY) ## put the code into its form, mend what can be mended
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

package: $(PYTHON_READY) ## what is deployed: dist/storekeeper.zip
	@$(PYTHON) scripts/package.py

reset: ## forget the state and logs of `make up` and `make run`
	@rm -rf .local
	@echo ".local is gone"

clean: reset ## also remove .venv, node_modules, dist and caches
	@rm -rf .venv node_modules dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@echo ".venv, node_modules, dist and caches are gone"

$(PYTHON_READY): requirements.txt requirements-dev.txt scripts/install-python scripts/find-python
	@scripts/install-python $@

$(NODE_READY): package.json package-lock.json scripts/install-node
	@scripts/install-node $@
