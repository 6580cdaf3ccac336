# Everything begins here. Needed: Python 3.11 or newer, make, and the Python package registry.
.DEFAULT_GOAL := help
.PHONY: help run test test-fast check messages setup setup-dev lock bench parity train fuzz chaos load mutation audit clean

# Any Python 3 starts the bootstrap, which looks for 3.11 or newer itself; PYTHON=... names one.
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

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

run: ## Set up, then serve on http://127.0.0.1:8000 (PORT=, GALLERY=DIR, MODEL=dinov2-base)
	@$(BOOTSTRAP) --serve
	@$(BIN)/python -m scripts.run

test: setup-dev ## Set up, then run the tests (ARGS= goes to pytest)
	@$(BIN)/python -m pytest --ignore=tests/parity --ignore=tests/training $(ARGS)

test-fast: setup-dev ## Only what needs no browser, no server and no wait: a minute or two
	@$(BIN)/python -m pytest tests/model tests/gallery tests/app tests/test_*.py \
		-m "not slow and not postgres" --durations=5 $(ARGS)

check: setup-dev ## Format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

messages: setup-dev ## Bring the Chinese catalogue up to date with the texts, and compile it
	@mkdir -p build && cd app && ../$(BIN)/pybabel -q extract -F translations/babel.cfg -k _l -k lazy_gettext --no-location \
		-o ../build/messages.pot .
	@cd app && ../$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --no-wrap \
		-i ../build/messages.pot -d translations -l zh_Hans
	@cd app && ../$(BIN)/pybabel -q compile -d translations -l zh_Hans

setup: ## The virtual environment with all that `make run` needs
	@$(BOOTSTRAP)

setup-dev:
	@$(BOOTSTRAP) --dev

bench: ## Measure against PyTorch, ONNX Runtime and faiss (an environment of its own, some GB)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m bench.run $(ARGS)

parity: ## Compare with PyTorch and transformers live, and train a little (the same environment)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m pytest tests/parity tests/training $(ARGS)

train: ## Train the bundled model anew: ARGS="PACKS OUT --hours 8" (the same environment)
	@$(BOOTSTRAP) --peers
	@.venv-peers/bin/python -m training $(ARGS)

fuzz: setup-dev ## 50,000 mutated pictures, 10,000 generated requests (SHORT=1: 1,000 of each; ARGS=--seed N)
	@$(BIN)/python -m tests.campaigns.fuzz.pictures $(if $(SHORT),--count 1000) $(ARGS)
	@$(BIN)/python -m tests.campaigns.fuzz.requests $(if $(SHORT),--count 1000) $(ARGS)

chaos: setup-dev ## 2,000 searches while 200 faults strike (SHORT=1: 100 and 20; ARGS=--seed N)
	@$(BIN)/python -m tests.campaigns.chaos.run $(if $(SHORT),--searches 100 --faults 20) $(ARGS)

mutation: setup-dev ## Take protections away one at a time, and see which test notices (ARGS="--row N")
	@$(BIN)/python -m tests.campaigns.mutation.run $(ARGS)

audit: setup ## Ask PyPI's database for known vulnerabilities of the locked dependencies
	@test -x $(AUDIT) || { $(BIN)/python -m venv build/audit && build/audit/bin/pip install --quiet pip-audit; }
	@$(AUDIT) --disable-pip --require-hashes --strict -r requirements.lock

load: setup-dev ## 50 browsers for ten minutes on two cores, then a flood (SHORT=1: 40 s, no times judged)
	@$(BIN)/python -m tests.campaigns.load.run $(if $(SHORT),--short) $(ARGS)

lock: setup ## Choose and pin the dependencies anew, with hashes
	@test -x $(UV) || { $(BIN)/python -m venv build/uv && build/uv/bin/pip install --quiet uv; }
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command "make lock" -o requirements.lock
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command "make lock" --extra dev --constraint requirements.lock -o requirements-dev.lock

clean: ## Remove what set-up made; your data in var/ stays
	rm -rf .venv .venv-peers build .mypy_cache .ruff_cache .pytest_cache .hypothesis
