# Every target sets up what it needs. `make run` and `make test` need python3, python3-venv and make only.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
HOME_  := $(or $(BANKAPI_HOME),var)
PYTEST := $(BIN)/python -m pytest -q

# Suites with a target of their own; `make slow` runs every slow test that is in none of them.
INTEROP := tests/interop tests/notices tests/unit/sandbox tests/exchange/test_kit.py tests/exchange/test_sandbox.py
DEPLOY  := tests/deploy tests/exchange/test_ca_rollover.py
STORAGE := tests/storage
PAGES   := tests/reports tests/pages tests/exchange/test_page.py

.PHONY: run test lint interop deploy-test storage pages slow crash bench bench-reports clean
.DEFAULT_GOAL := run

$(READY): setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]'
	@touch $@

# The main job: a gateway with demo accounts, one signed payment through it, its receipt; then it keeps serving.
run: $(READY)
	@test -e $(HOME_)/ca/ca.pem || $(BIN)/bankapi init --demo
	@$(BIN)/bankapi serve & gateway=$$!; trap 'kill $$gateway 2>/dev/null; wait $$gateway' EXIT INT TERM; \
	$(BIN)/bankapi ping --wait 30 >/dev/null && \
	$(BIN)/bankapi pay --terminal ATM-0001 --msisdn 79160000001 --amount 100.00 --currency RUB && \
	echo "The gateway serves $$PWD/$(HOME_) on https://localhost:8443; stop it with Ctrl-C." && \
	wait $$gateway

# Two processes: most tests wait for servers and databases of their own.
test: $(READY)
	$(BIN)/python -m pytest -q -m "not slow" --numprocesses 2 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bankapi contract diff

# Peers from other code bases: clients built from the WSDL, an SMPP server; says what this machine cannot run. The kit
# and the sandbox, as integrators use them.
interop: $(READY)
	$(PYTEST) $(INTEROP)

# nginx, gateways and PostgreSQL from the files in deploy/: strangers, reloads, upgrades, revocations, outages, a new CA.
deploy-test: $(READY)
	$(PYTEST) $(DEPLOY)

# Upgrades under the previous version, backups under load, a PostgreSQL that crashes, SERIALIZABLE, roles.
storage: $(READY)
	$(PYTEST) $(STORAGE)

# kill -9 of workers, gateway and database under load on each database; KILLS=20 for a short one.
crash: $(READY)
	$(BIN)/python -m tests.faults --kills $(or $(KILLS),200)

# Reports and the page for people as a browser and a printer show them; pictures go to tests/artifacts.
pages: $(READY)
	$(PYTEST) $(PAGES)

# What takes long elsewhere: mutants at length, large files, upgrades in a crowd, alerts, a few kills, proofs by openssl.
slow: $(READY)
	$(PYTEST) tests -m slow $(addprefix --ignore=,$(INTEROP) $(DEPLOY) $(STORAGE) $(PAGES))

bench: $(READY)
	$(BIN)/python -m tests.bench

# Time and memory of reports of a hundred thousand and of a million payments; takes minutes.
bench-reports: $(READY)
	$(BIN)/python -m tests.bench --reports

clean:
	rm -rf $(VENV) build dist *.egg-info
