# Everything is done in .venv, which each target makes when it needs it. The locks are complete: pip takes them as they are,
# without looking for what they need, which it would find in newer versions as soon as there are any.
PYTHON ?= python3
BIN := .venv/bin
RELAXED := --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-untyped-decorators

.PHONY: demo run test check audit golden lock image bench bench-quick profile soak mutation fuzz pictures

demo: .venv/run ## simulator and exporter together, no token, no file
	$(BIN)/wolkvox-exporter demo

run: .venv/run ## the exporter with config.yaml
	$(BIN)/wolkvox-exporter

test: .venv/dev ## every test, with coverage
	$(BIN)/coverage erase
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered --durations=15

check: .venv/dev ## format, lint, types, contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy exporter dashboards benchmarks
	$(BIN)/mypy $(RELAXED) tests tools/pictures
	$(BIN)/lint-imports --no-logo

audit: .venv/dev ## weaknesses in code, Dockerfile and locks
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive exporter
	$(BIN)/hadolint Dockerfile
	$(BIN)/pip check --quiet --disable-pip-version-check
	$(BIN)/python tests/audit.py

soak: .venv/dev ## the law's machine for 100,000 steps, in minutes
	$(BIN)/python tests/soak.py

mutation: .venv/mutation ## mutants of the pure floors, in a minute; what survives stands in docs/guarantees.md
	rm -rf mutants
	.venv/mutation/bin/mutmut run
	.venv/mutation/bin/mutmut results

fuzz: .venv/fuzz ## inputs that break a promise, for 5 minutes a target; what is found stays in tests/corpus
	.venv/fuzz/bin/python tests/fuzz.py

golden: .venv/dev ## write the golden files anew
	UPDATE_GOLDEN=1 $(BIN)/pytest -q -m golden

bench: .venv/run ## ours and others side by side on this machine, into benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks --output benchmarks/RESULTS.md

bench-quick: .venv/dev ## the same with small loads in two minutes, to the terminal
	$(BIN)/python -m benchmarks --quick

profile: .venv/dev ## where a scrape's and a poll's time goes
	$(BIN)/python -m benchmarks.costs

pictures: .venv/dev tools/pictures/node_modules/.package-lock.json ## docs/images anew, in a minute or two; needs node 20, chromium, prometheus
	PYTHONPATH=.:tests $(BIN)/python tools/pictures/draw.py
	PYTHONPATH=.:tests $(BIN)/python tools/pictures/pages.py

lock: ## write the locks anew from pyproject.toml; needs uv
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements/run.txt
	uv pip compile pyproject.toml --group build --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt

image: ## the container image
	docker build -t wolkvox-exporter --build-arg VERSION=$$($(PYTHON) -c "import exporter; print(exporter.__version__)") \
		--build-arg REVISION=$$(git rev-parse HEAD) .

.venv/run: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/run.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@ .venv/run

# mutmut stays outside the lock: it is run on demand, and brings a terminal interface that no change needs to install.
.venv/mutation: requirements/dev.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$@/bin/pip install -q --disable-pip-version-check mutmut==3.8.1
	touch $@

# atheris stays outside the lock like mutmut; it has no build for every platform, and hypothesis hunts where it is not.
.venv/fuzz: requirements/dev.txt
	$(PYTHON) -m venv $@
	$@/bin/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$@/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	$@/bin/pip install -q --disable-pip-version-check --only-binary=:all: atheris==3.0.0 || true
	touch $@

tools/pictures/node_modules/.package-lock.json: tools/pictures/package-lock.json
	cd tools/pictures && npm ci --no-progress --loglevel=error
	touch $@
