# `make run` and `make test` need python3 and make, nothing else. `make help` lists the rest.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
KUBECONFIG_GIVEN := $(or $(AIOPS_KUBECONFIG),$(KUBECONFIG))

# the demo shows in a minute what takes longer in production
ifeq ($(KUBECONFIG_GIVEN),)
run: export AIOPS_POLL_INTERVAL ?= 2
run: export AIOPS_SWEEP_INTERVAL ?= 2
run: export AIOPS_DETECTION_GRACE ?= 5
run: export AIOPS_VERIFY_SOAK ?= 6
run: export AIOPS_VERIFY_INTERVAL ?= 2
run: export AIOPS_RETRY_BACKOFF ?= 5
PROCESSES := web worker beat observer simulator
else
PROCESSES := web worker beat observer
endif

.PHONY: help run test check lint types migrations openapi bench clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

run: install  ## the whole platform on port 8090; without KUBECONFIG with a simulated cluster
	@python manage.py bootstrap
	@MALLOC_ARENA_MAX=$${MALLOC_ARENA_MAX:-2} python manage.py start $(PROCESSES) || [ $$? -eq 130 ]  # 130: Ctrl-C

test: install-dev  ## the whole test suite
	@pytest -n 4 --dist worksteal $(ARGS)  # most of the long tests wait for processes, not for the processor

check: lint types migrations openapi  ## everything CI checks besides the tests

lint: install-dev  ## style
	@ruff check .
	@ruff format --check .

types: install-dev  ## mypy --strict
	@mypy .

migrations: install-dev  ## no model change without its migration
	@python manage.py makemigrations --check --dry-run

openapi: install-dev  ## the OpenAPI document is valid and complete
	@python manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: install-dev  ## benchmarks, see bench/README.md
	@python -m bench

.PHONY: install install-dev
install:
	@$(PYTHON) deploy/install.py requirements.txt

install-dev: install
	@$(PYTHON) deploy/install.py requirements-dev.txt

clean:  ## forget the embedded installation (database, broker files, keys) and the virtual environment
	rm -rf var .venv
