# The whole workflow. Every target is self-sufficient on a fresh clone: it makes .venv when missing or stale.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
CHECKS = format lint clock imports types deployment migrations openapi locks secrets
.PHONY: help base dev demo demo-verify run test test-slow test-data check $(CHECKS:%=check-%) audit bench lock format openapi \
    secrets clean

PY := .venv/bin/python
# Pass more to pytest: make test ARGS="tests/engine -x". JOBS=0 runs in one process.
ARGS ?=
JOBS ?= 2

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

base:
	@requirements/install base
dev:
	@requirements/install dev

demo: base ## the whole loop, from an empty machine to a measured result (ONCE=1 SEED= EFFECT= SPLIT= DATA=dir)
	@$(PY) manage.py demo
demo-verify: base ## recompute the demo's summary from the lake's files, in a process of its own
	@$(PY) manage.py demo_verify
run: base ## database, broker, serve, web, worker and beat under one supervisor, until Ctrl-C
	@$(PY) manage.py up

test: dev ## every test but the slow ones; the browser's included
	@$(PY) -m pytest -n $(JOBS) --dist loadgroup -m "not slow and not data" $(ARGS)
test-slow: dev ## the tests that take more than a minute each
	@$(PY) -m pytest -m "slow and not data" $(ARGS)
test-data: dev ## the published data sets against direct computation: make test-data DATA=dir
	@test -n "$(DATA)" || { echo 'say where the data sets are: make test-data DATA=dir'; exit 2; }
	@DATA="$(abspath $(DATA))" $(PY) -m pytest tests/data -m data -p no:randomly -o enable_assertion_pass_hook=true $(ARGS)

format: dev ## write the code the way `make check` wants it
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

# What `check` needs of the environment: settings that a deployment has, and no service. Nothing here is a secret.
CHECK_ENV = env -u DATABASE_URL -u BROKER_URL DEBUG=0 SECURE=1 ALLOWED_HOSTS=controlplane.example \
    SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))') DATABASE_URL=postgresql://localhost:1/none \
    BROKER_URL=redis://localhost:1/0
check: $(CHECKS:%=check-%) ## format, lint, types, import rule, deployment, migrations, OpenAPI, dependencies, secrets
	@echo 'all checks pass (known advisories are asked for online: make audit)'
$(CHECKS:%=check-%): dev

check-format:
	@echo '== format'; $(PY) -m ruff format --check --quiet .
check-lint:
	@echo '== lint and banned APIs'; $(PY) -m ruff check --quiet .
check-clock:
	@echo '== who may read the clock'; $(PY) -m ruff check --quiet --config requirements/clock-rule.toml .
check-imports:
	@echo '== import rule'; .venv/bin/lint-imports --no-logo
check-types:
	@echo '== types'; $(CHECK_ENV) $(PY) -m mypy .
check-deployment:
	@echo '== deployment'; $(CHECK_ENV) $(PY) manage.py check --deploy --fail-level WARNING
check-migrations:
	@echo '== migrations'; $(CHECK_ENV) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
check-openapi:
	@echo '== OpenAPI'; $(CHECK_ENV) $(PY) manage.py spectacular --validate --fail-on-warn --format openapi-json \
	    --file .venv/openapi.json && diff -u docs/openapi.json .venv/openapi.json >&2 || \
	    { echo 'docs/openapi.json is not what the code serves: make openapi, and read the difference' >&2; exit 1; }
check-locks:
	@echo '== dependencies'; .venv/bin/uv pip check --quiet --python $(PY) && $(PY) requirements/audit.py
# The scan may move line numbers in its copy of the baseline, and says so by exit code 3.
check-secrets:
	@echo '== secrets'; cp .secrets.baseline .venv/secrets.baseline; .venv/bin/detect-secrets-hook \
	    --baseline .venv/secrets.baseline $$(git ls-files ':!.secrets.baseline') || test $$? -eq 3

audit: dev ## ask the advisory database about every pinned package (needs the network)
	@.venv/bin/pip-audit --requirement requirements/dev.txt --require-hashes --disable-pip

openapi: dev ## write docs/openapi.json anew
	@$(CHECK_ENV) $(PY) manage.py spectacular --validate --fail-on-warn --format openapi-json --file docs/openapi.json
secrets: dev ## read what the secret scan finds and say of each whether it is one; the answers are the baseline
	@.venv/bin/detect-secrets scan --baseline .secrets.baseline $$(git ls-files ':!.secrets.baseline')
	@.venv/bin/detect-secrets audit .secrets.baseline

bench: dev ## the benchmarks: five repeats, host load, versions, ratios against committed baselines
	@$(PY) -m benchmarks $(ARGS)

# --universal: one lock for every platform and every Python from 3.11 on. UPGRADE=1 takes newer versions.
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
lock: dev ## compile requirements/*.in to hash-pinned *.txt (UPGRADE=1 for newer versions)
	@$(LOCK) requirements/base.in -o requirements/base.txt
	@$(LOCK) requirements/dev.in -c requirements/base.txt -o requirements/dev.txt
	@{ echo '# The installer itself, pinned like everything else. Written by `make lock`.'; \
	   sed -n '/^uv==/,/# via/p' requirements/dev.txt | grep -v '# via'; } > requirements/bootstrap.txt

clean: ## remove what make made, except data in var/
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis test-results
