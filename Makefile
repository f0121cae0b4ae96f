# Every command a person or CI needs. `make help` lists them.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
SPEED ?=
KILLS ?= 200
SEED ?= 1
MINUTES ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-unit test-stack chaos soak compose-test clients simulate check format contracts lock bench clean

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## create .venv with everything that is locked, and the `ringback` command in it
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh dev/setup.sh

demo: setup ## run three spoken calls through the whole stack and check what they did (about 3 minutes)
	@$(BIN)/ringback demo

up: setup ## start the whole stack and leave it running (PORT=8080); Ctrl-C stops it
	@$(BIN)/ringback up --port $(PORT)

test: test-unit test-stack ## run every test

test-unit: setup
	@sh dev/test.sh unit

test-stack: setup
	@sh dev/test.sh stack

chaos: setup ## kill programs under running calls, KILLS=200 SEED=1, and judge every call (about 20 minutes)
	@$(BIN)/python -m pytest tests/resilience/test_resilience_chaos.py -s -p no:xdist --kills $(KILLS) --seed $(SEED)

soak: setup ## calls in a row for MINUTES=30, nothing killed: what gets lost; from 30 on, what grows or slows down
	@$(BIN)/python -m pytest tests/resilience/test_resilience_soak.py -s -p no:xdist --minutes $(MINUTES) --seed $(SEED)

compose-test: setup ## build the containers, speak a call through them, take them down (needs Docker; not part of test)
	@SPEED="$(SPEED)" sh dev/compose-test.sh

clients: setup ## released Realtime clients, unmodified, through the whole stack (minutes; own environments in var/clients)
	@sh dev/clients.sh run

check: setup ## contracts, lint, types, import rules, size guides, call graph (under 2 minutes)
	@sh dev/check.sh

format: setup ## format the code and fix what lint can fix
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

contracts: setup ## regenerate libs/contracts from proto/
	@sh dev/contracts.sh libs/contracts/src

lock: setup ## resolve the dependencies again into requirements.lock and requirements-models.lock
	@sh dev/lock.sh

bench: setup ## measure the first figures side by side and print them
	@$(BIN)/python -m pytest tests/bench -q -s -p no:xdist --timeout 600

simulate: setup ## run whole calls in virtual time with faults (CALLS=2000 SEED=1); prints the shortest trace of a failure
	@$(BIN)/ringback simulate --calls $(or $(CALLS),2000) --seed $(or $(SEED),1)

clean: ## remove the environment, caches and everything under var/
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find libs services packs tests -name __pycache__ -type d -prune -exec rm -rf {} +
