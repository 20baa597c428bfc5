# Every recipe is one or two commands; what they do is in tools/. Settings: VLLM=real|double MONITORING=on|off PROMPT=... NAME=... STACK=... JOBS=...
PYTHON ?= python3
VLLM ?= real
MONITORING ?= on
TESTS ?= off
PROMPT ?= Hello
STACK ?= local
JOBS ?= $(shell echo $$(($$(nproc) + 1)))
SOAK ?= 0-200
IN = $(PYTHON) -m tools.env --
NO_VLLM = $(if $(filter double,$(VLLM)),and not vllm) $(if $(filter off,$(MONITORING)),and not monitoring)

.DEFAULT_GOAL := help
.PHONY: help setup up ask log report env down test test-deep test-clients check lint soak bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install what is missing (also done by up, test, check and bench)
	@$(PYTHON) -m tools.setup --vllm $(VLLM) --monitoring $(MONITORING) --tests $(TESTS)

up: setup ## sandbox and stack `local`, from nothing to endpoints that answer
	@$(IN) gpu-fleet up --vllm $(VLLM) --monitoring $(MONITORING)

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

down: ## give everything back, show the market's meter at nought, stop the sandbox
	@$(IN) gpu-fleet down

# One more at once than there are processors: much of the time is waiting for hosts, markets and Prometheus.
# What fails beside dozens of emulated machines is tried once more by itself: only then is it the code and not the load.
test test-deep: TESTS = on
test: TIER = and not deep
test-deep: export DEEP = on
test: setup lint ## format, lint, types, and every test that a commit must pass (VLLM=double leaves the real vLLM out)
test-deep: setup lint ## test, and what is slow and decides little: every seam with both victims
test test-deep:
	@$(IN) pytest -n $(JOBS) --dist loadgroup -m "not live $(TIER) $(NO_VLLM)" || \
		{ [ $$? = 1 ] && $(IN) pytest --last-failed --last-failed-no-failures none -m "not live $(TIER) $(NO_VLLM)"; }

test-clients: setup ## other people's clients (gpuhunt, dstack, SkyPilot) against the emulated market, in an environment of their own
	@$(PYTHON) -m tools.setup --parts clients
	@$(IN) pytest -q tests/clients

check: VLLM = double
check: MONITORING = off
check: setup lint ## the fast part of test: no emulated host, no engine, no vLLM, no Prometheus
	@$(IN) pytest -q -n $(JOBS) -m "not (host or engine or vllm or monitoring or live)"

lint:
	@$(IN) ruff format --check --quiet .
	@$(IN) ruff check --quiet .
	@$(IN) mypy .

soak: setup ## 200 random histories through the real engine and kills at every seam, over an hour (SOAK=0-200: which seeds)
	@SOAK=$(SOAK) $(IN) pytest -n $(JOBS) --dist load tests/faults/test_soak.py tests/faults/test_seams.py

bench: setup ## measure every figure of bench/ against its goal
	@$(IN) python -m tools.bench

clean: ## remove what the checkout holds besides git's files; caches shared with other checkouts stay
	@git clean -fdXq
