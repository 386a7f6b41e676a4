# The two commands of a user are `make run` and `make test`; `make check` is the usual loop of a developer.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check bench fuzz set-up set-up-tests lint types clean

run: set-up  ## install what is missing, then start everything
	@exec $(BIN)/stixlab up

test: set-up-tests lint types  ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not remote and not browser and not alone"
	$(BIN)/python -m pytest -m "(browser or alone) and not remote"

check: set-up-tests lint types  ## lint, types and the fast tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -q --hypothesis-profile=quick -m "not slow and not browser and not remote and not alone"

fuzz: set-up-tests  ## a million damaged packets through the decoder, about half an hour
	STIXLAB_FUZZ_PACKETS=1000000 $(BIN)/python -m pytest tests/telemetry/test_fuzz.py

bench: set-up-tests  ## the benchmarks; fails on a missed goal
	$(BIN)/stixlab bench --check

set-up set-up-tests:
	@test -n "$(PYTHON)" || { echo "set-up: Python 3.11 or newer expected on the path, none found; install it (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) hub_config/set_up.py $(if $(filter set-up-tests,$@),--tests)

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell stixlab tests docs notebooks pipelines hub_config README.md CHANGELOG.md

types:
	$(BIN)/mypy

clean:  ## remove what the set-up made
	rm -rf .venv hub_config/node_modules .mypy_cache .ruff_cache .pytest_cache
