# Two commands do all the set-up on a fresh machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
COMPILED := .venv-compiled
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
COMPILED_PIP := $(COMPILED)/bin/python -m pip --disable-pip-version-check

HARAKA_VERSION := 3.3.4
HARAKA := benchmarks/.cache/haraka/$(HARAKA_VERSION)

CAN_COMPILE = $(shell command -v cc >/dev/null && $(PYTHON) -c 'import os, sysconfig; print(os.path.exists(sysconfig.get_path("include") + "/Python.h") or "")')

.DEFAULT_GOAL := help
.PHONY: help run practice compiled test test-compiled check lint types layers book e2e bench hostile fuzz retry-proof lock clean

help:            ## this list
	@grep -hE '^[a-z0-9-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

# The last step is what pip does for all but an editable installation: else each start compiles, where Python may not write.
$(VENV)/run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "explaining-relay needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name one with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --editable .
	$(BIN)/python -m compileall -q relay
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.lock
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/run ## start the relay; UPSTREAM=smtp://mail.example.com:587 for a real upstream, ARGS='...' for more flags
	@$(BIN)/relay run $(if $(UPSTREAM),--upstream $(UPSTREAM),--practice) $(ARGS)

practice: $(VENV)/run ## start the practice upstream alone
	@$(BIN)/relay practice $(ARGS)

# From a copy, for the compiler leaves what it makes beside the sources: there, too, the tests find it. The tools that
# build it stay apart from what runs it.
$(COMPILED)/run: requirements.lock requirements-build.lock pyproject.toml $(shell find relay config -type f -not -name '*.pyc')
	rm -rf $(COMPILED)
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED_PIP) install --quiet --require-hashes -r requirements.lock
	$(COMPILED_PIP) install --quiet --require-hashes -r requirements-build.lock --target $(COMPILED)/tools
	mkdir $(COMPILED)/source
	cp -R pyproject.toml README.md LICENSE relay config $(COMPILED)/source
	PYTHONPATH=$(abspath $(COMPILED))/tools HATCH_BUILD_HOOKS_ENABLE=1 $(COMPILED_PIP) install --quiet --no-deps --no-build-isolation $(COMPILED)/source
	@touch $@

compiled: $(COMPILED)/run ## install the relay with the path of a message compiled, as in the container; needs a C compiler and Python.h
	@echo "it is started by $(COMPILED)/bin/relay run"

test: $(VENV)/dev ## install and run the tests; ARGS='-k name' to choose
	@$(BIN)/python -m pytest $(ARGS)

# What reaches the compiled parts: the book, dialogues, sockets, hostile peers, the spool.
COMPILED_TESTS := tests/book tests/dialogs tests/traps tests/running tests/hostile tests/retry tests/unit/explain tests/unit/proxy tests/unit/record tests/unit/retry tests/unit/smtp tests/unit/upstream
test-compiled: $(VENV)/dev $(COMPILED)/run ## the same tests on the compiled parts, as far as they reach those
	cd $(COMPILED)/source && rm -rf tests deploy benchmarks
	cp -R tests deploy benchmarks $(COMPILED)/source
	cd $(COMPILED)/source && $(abspath $(BIN))/python -c 'import relay.proxy.session as it; assert it.__file__.endswith(".so"), it.__file__'
	cd $(COMPILED)/source && PYTHONPATH=$(abspath $(COMPILED)/source) $(abspath $(BIN))/python -m pytest $(or $(ARGS),$(COMPILED_TESTS))

check: lint types layers test ## everything that must hold before a commit

lint: $(VENV)/dev ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev ## mypy --strict
	@$(BIN)/mypy

layers: $(VENV)/dev ## who may import whom
	@$(BIN)/lint-imports --verbose | tail -n 12

book: $(VENV)/dev ## the proofs of the book alone, in seconds, for writers
	@$(BIN)/python -m pytest -q tests/book $(ARGS)

e2e: $(VENV)/dev ## real Postfix, Dovecot and mail programs alone
	@$(BIN)/python -m pytest -q tests/e2e $(ARGS)

$(VENV)/bench: $(VENV)/dev requirements-bench.lock
	$(PIP) install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

$(HARAKA):
	npm install --prefix $(@D) --no-save --no-audit --no-fund --ignore-scripts --omit=optional Haraka@$(HARAKA_VERSION)
	@touch $@

# A peer that is not installed is left out, with the reason; Haraka comes by npm where there is one.
bench: $(VENV)/bench $(if $(CAN_COMPILE),$(COMPILED)/run) $(if $(shell command -v npm),$(HARAKA)) ## measure the relay beside its peers; ARGS=--quick for a minute
	@$(BIN)/python -m benchmarks $(ARGS)

hostile: $(VENV)/dev ## hostile clients and upstreams alone, in full size, with figures
	@HOSTILE_FULL=1 $(BIN)/python -m pytest -q tests/hostile $(ARGS)

$(VENV)/fuzz: $(VENV)/dev requirements-fuzz.lock
	$(PIP) install --quiet --require-hashes -r requirements-fuzz.lock
	@touch $@

fuzz: $(VENV)/fuzz ## the long fuzz run, half an hour; ARGS='--minutes 120 --only dialogue'
	@$(BIN)/python tests/fuzz/fuzz_run.py $(ARGS)

retry-proof: $(VENV)/dev ## the full size of the spool's proofs: hundreds of SIGKILLs, ten minutes; prints what it found
	@RETRY_PROOF=full $(BIN)/python -m pytest -q tests/retry/test_retry_kills.py $(ARGS)

lock: $(VENV)/run ## renew the lock files
	$(PIP) install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --group build -c requirements-dev.lock -o requirements-build.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --group bench pyproject.toml -c requirements-dev.lock -o requirements-bench.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --group fuzz pyproject.toml -c requirements-dev.lock -o requirements-fuzz.lock

clean:           ## remove what make has made
	rm -rf $(VENV) $(COMPILED) benchmarks/.cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
