# Requirements: make, Python 3.11 or newer, and access to the Python package index.
.DEFAULT_GOAL := help
.PHONY: help run test test-fast check messages setup setup-dev lock bench parity train fuzz chaos load mutation audit clean

# Any Python 3 can run the bootstrap, which itself looks for 3.11 or newer; PYTHON=... chooses one.
PYTHON3 := $(shell for python in $(PYTHON) python3 python3.12 python3.11 python3.13 python3.14 python; do \
	if command -v $$python >/dev/null 2>&1; then echo $$python; break; fi; done)
ifeq ($(PYTHON3),)
$(error Python was not found: install Python 3.11 or newer (apt-get install python3 python3-venv))
endif
BOOTSTRAP := $(PYTHON3) -m scripts.bootstrap
BIN := .venv/bin
UV := build/uv/bin/uv
AUDIT := build/audit/bin/pip-audit
export PYTHON

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

run: ## Set up and serve on http://127.0.0.1:8000 (PORT=, GALLERY=DIR, MODEL=dinov2-base)
	@$(BOOTSTRAP) --serve
	@$(BIN)/python -m scripts.run

test: setup-dev ## Run all tests (ARGS= is passed to pytest)
	@$(BIN)/python -m pytest --ignore=tests/parity --ignore=tests/training $(ARGS)

test-fast: setup-dev ## Run the tests that need no browser, server or waiting; a minute or two
	@$(BIN)/python -m pytest tests/model tests/gallery tests/app tests/test_*.py \
		-m "not slow and not postgres" --durations=5 $(ARGS)

check: setup-dev ## Check format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

messages: setup-dev ## Update and compile the Chinese catalogue from the texts in the code
	@mkdir -p build && cd app && ../$(BIN)/pybabel -q extract -F translations/babel.cfg -k _l -k lazy_gettext --no-location \
		-o ../build/messages.pot .
	@cd app && ../$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --no-wrap \
		-i ../build/messages.pot -d translations -l zh_Hans
	@cd app && ../$(BIN)/pybabel -q compile -d translations -l zh_Hans

setup: ## Create the virtual environment for `make run`
	@$(BOOTSTRAP)

setup-dev:
	@$(BOOTSTRAP) --dev

bench: ## Compare speed with PyTorch, ONNX Runtime and faiss (separate environment, several GB)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m bench.run $(ARGS)

parity: ## Compare results with PyTorch and transformers, and test training (same environment)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m pytest tests/parity tests/training $(ARGS)

train: ## Train the bundled model: ARGS="PACKS OUT --hours 8" (same environment)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m training $(ARGS)

fuzz: setup-dev ## Try 50,000 mutated pictures and 10,000 generated requests (SHORT=1: 1,000 of each; ARGS=--seed N)
	@$(BIN)/python -m tests.campaigns.fuzz.pictures $(if $(SHORT),--count 1000) $(ARGS)
	@$(BIN)/python -m tests.campaigns.fuzz.requests $(if $(SHORT),--count 1000) $(ARGS)

chaos: setup-dev ## Run 2,000 searches during 200 injected faults (SHORT=1: 100 and 20; ARGS=--seed N)
	@$(BIN)/python -m tests.campaigns.chaos.run $(if $(SHORT),--searches 100 --faults 20) $(ARGS)

mutation: setup-dev ## Remove protections one at a time; each time, a test must fail (ARGS="--row N")
	@$(BIN)/python -m tests.campaigns.mutation.run $(ARGS)

audit: setup ## Check the locked dependencies for known vulnerabilities
	@test -x $(AUDIT) || { $(BIN)/python -m venv build/audit && build/audit/bin/pip install --quiet pip-audit; }
	@$(AUDIT) --disable-pip --require-hashes --strict -r requirements.lock

load: setup-dev ## Simulate 50 browsers for ten minutes, then a flood (SHORT=1: 40 s, without time limits)
	@$(BIN)/python -m tests.campaigns.load.run $(if $(SHORT),--short) $(ARGS)

lock: setup ## Update and pin the dependencies, with hashes
	@test -x $(UV) || { $(BIN)/python -m venv build/uv && build/uv/bin/pip install --quiet uv; }
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command "make lock" -o requirements.lock
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command "make lock" --extra dev --constraint requirements.lock -o requirements-dev.lock

clean: ## Remove environments, builds and caches; keep the data in var/
	rm -rf .venv .venv-peers build .mypy_cache .ruff_cache .pytest_cache .hypothesis
