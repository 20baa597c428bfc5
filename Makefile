# Every recipe is one or two commands; what they do is in tools/. Settings: VLLM=real|double MONITORING=on|off KUBERNETES=api|node PROMPT=... NAME=... STACK=... JOBS=... PARTS=...
PYTHON ?= python3
VLLM ?= real
MONITORING ?= on
KUBERNETES ?= api
TESTS ?= off
PROMPT ?= Hello
STACK ?= local
JOBS ?= $(shell echo $$(($$(nproc) + 1)))
SOAK ?= 0-200
# Containers often set this. Without byte code each of the many processes would compile the program again.
unexport PYTHONDONTWRITEBYTECODE
IN = $(PYTHON) -m tools.env --
BARE = $(PYTHON) -m tools.env --without-engine --
PARTS ?=
NO_VLLM = $(if $(filter double,$(VLLM)),and not vllm) $(if $(filter off,$(MONITORING)),and not monitoring)

.DEFAULT_GOAL := help
.PHONY: help setup up ask log report env down test test-deep test-clients check lint soak bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install what is missing (also done by up, test, check and bench)
	@$(PYTHON) -m tools.setup --vllm $(VLLM) --monitoring $(MONITORING) --tests $(TESTS)

up: ## sandbox and stack `local`, from nothing to endpoints that answer; what is missing is set up, monitoring last
	@$(PYTHON) -m tools.up --vllm $(VLLM) --monitoring $(MONITORING) --kubernetes $(KUBERNETES)

ask: export PROMPT := $(PROMPT)
ask log: export NAME := $(NAME)
ask: ## one completion from an endpoint, the first by default: make ask PROMPT="Hello" NAME=chat-0
	@$(IN:--=--stack $(STACK) --) gpu-fleet ask --stack $(STACK) --name="$$NAME" -- "$$PROMPT"

log: ## the last lines of an instance's vLLM: make log NAME=chat-0
	@$(IN:--=--stack $(STACK) --) gpu-fleet log --stack $(STACK) -- "$$NAME"

report: ## one HTML page of verdicts, money, phases and every panel, from Prometheus: report.html
	@$(IN) gpu-fleet report

env: ## shell lines for calling pulumi yourself, to be eval-ed; for a real stack: make -s env STACK=dev
	@$(PYTHON) -m tools.env --stack $(STACK)

down: ## give everything back, show the market's meter at $0, stop the sandbox
	@$(IN) gpu-fleet down

# One more at once than there are processors: much of the time is waiting for hosts, markets and Prometheus.
test test-deep: TESTS = on
test: setup lint ## what every commit must pass: format, lint, types, and every test but slow ones that decide little
	@$(IN) pytest -n $(JOBS) --dist loadgroup --junitxml=.pytest_cache/test.xml -m "not live and not deep $(NO_VLLM)"

test-deep: setup lint ## every test, in parts; run again, it goes on with those that have not passed (PARTS="seams soak-1": these)
	@$(IN) python -m tools.deep $(PARTS)

test-clients: TESTS = on
test-clients: setup ## other people's clients (gpuhunt, dstack, SkyPilot) against the emulated market, in an environment of their own
	@$(PYTHON) -m tools.setup --parts clients
	@$(IN) pytest -q tests/clients

check: ## minutes: format, lint, types and the pure tests; needs no Go, no engine, no root
	@$(PYTHON) -m tools.setup --parts venv,test-venv,model
	@$(MAKE) --no-print-directory lint
	@$(BARE) pytest -q -n auto -m "not (service or rotating or host or engine or vllm or monitoring or live or deep)"

lint:
	@$(BARE) ruff format --check --quiet .
	@$(BARE) ruff check --quiet .
	@$(BARE) mypy .

soak: TESTS = on
soak: setup ## 200 random histories through the real engine and kills at every seam, over an hour (SOAK=0-200: which seeds)
	@TIER=deep SOAK=$(SOAK) $(IN) pytest -n $(JOBS) --dist load tests/faults/test_soak.py tests/faults/test_seams.py

bench: TESTS = on
bench: setup ## measure every figure of bench/ against its goal
	@$(IN) python -m tools.bench

clean: ## remove what the checkout holds besides git's files; caches shared with other checkouts stay
	@git clean -fdXq
