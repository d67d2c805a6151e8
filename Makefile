# `make bench` and `make test` are all a newcomer needs; `make help` lists the rest.

PYTHON ?= python3
PROFILE ?= standard
MODELS ?=
SCENARIOS ?=
PYTHONS ?=
RUN ?=
BASE ?=
GATE_OPTIONS ?=
WORKERS ?= 2
EFFORT ?= quick
NAMES ?= all

# A misspelt variable would silently run the default instead.
KNOWN := PYTHON PROFILE MODELS SCENARIOS PYTHONS RUN BASE GATE_OPTIONS WORKERS EFFORT NAMES
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $(v))),$(v)))
ifneq ($(filter-out $(KNOWN),$(GIVEN)),)
$(error unknown variable $(filter-out $(KNOWN),$(GIVEN)); there are $(KNOWN))
endif

PY := .venv/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
EACH_TEST := --timeout 120

.PHONY: help setup bench gate gate-selftest selftest report experiments cluster-demo bench-engine bench-files faults test lint clean lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

bench: setup ## compare the models: PROFILE=quick|standard|full MODELS=a,b SCENARIOS=a,b PYTHONS=3.12,3.13t
	@$(PY) -m bench run --profile '$(PROFILE)' --models '$(MODELS)' --scenarios '$(SCENARIOS)' --python '$(PYTHONS)'

report: setup ## redraw the newest stored run (RUN=<id> for another) without measuring
	@$(PY) -m bench report $(RUN)

gate: setup ## has the working tree made a model worse than BASE=origin/main; GATE_OPTIONS='--changed'
	@$(PY) -m bench gate --base '$(BASE)' --models '$(MODELS)' $(GATE_OPTIONS)

gate-selftest: setup ## what the gate finds and what not, on live pairs: 45 minutes on a quiet machine
	@$(PY) -m bench gate-selftest --write docs/gate.md

experiments: setup ## the claims of the course, measured: EFFORT=quick|standard|full NAMES=a,b
	@$(PY) -m bench experiment '$(NAMES)' --effort '$(EFFORT)'

cluster-demo: setup ## a run over hosts on this machine, in network namespaces (root, iproute2)
	@$(PY) -m bench.verbs.cluster_demo

bench-engine: setup ## what the load generator itself costs, against a null server and plain Python
	@$(PY) -m bench experiment engine-cost --effort standard

bench-files: setup ## what a file costs the server, beside python -m http.server (needs curl)
	@$(PY) -m bench experiment file-cost --effort standard

selftest: setup ## the instrument against known answers: two minutes on a machine that is quiet
	@$(PY) -m bench selftest

faults: setup ## run the fault suite, and write what it saw to docs/faults.md
	@THREADMILL_WRITE_FAULTS=1 $(PY) -m pytest $(EACH_TEST) -q tests/test_faults*.py

# By file, because the tests of a file share servers. What reads the CPU, the memory or the clock of
# this machine (marked `quiet`) comes afterwards, alone.
test: setup lint ## ruff, mypy --strict and the whole test suite, WORKERS=2 at a time
	@$(PY) -m pytest $(EACH_TEST) -n $(WORKERS) --dist loadfile -m 'not quiet'
	@$(PY) -m pytest $(EACH_TEST) -m quiet

lint: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

clean: ## remove the environment and everything built; stored runs stay
	rm -rf .venv build *.egg-info clients/engine/*.c clients/engine/*.so
	find . -name __pycache__ -prune -exec rm -rf {} +

lock: setup ## resolve the dependencies anew (names, versions and hashes; no addresses)
	$(INSTALL) uv
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra cluster --extra dev --extra models --generate-hashes \
	    --custom-compile-command 'make lock' pyproject.toml --output-file requirements.lock

setup: .venv/.built

# Two stamps: a changed lock installs everything anew, a changed engine only rebuilds it.
.venv/.installed: requirements.lock
	@sh .ci/preflight '$(PYTHON)'
	@echo 'threadmill: setting up .venv (once)'
	@'$(PYTHON)' -m venv .venv
	@$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

.venv/.built: .venv/.installed pyproject.toml $(wildcard clients/engine/*.px?)
	@echo 'threadmill: building the load engine'
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
