# Everything is done in .venv, which each target makes when it needs it.
PYTHON ?= python3
BIN := .venv/bin
RELAXED := --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-untyped-decorators

.PHONY: demo run test check golden lock image

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
	$(BIN)/mypy exporter dashboards
	$(BIN)/mypy $(RELAXED) tests
	$(BIN)/lint-imports --no-logo

golden: .venv/dev ## write the golden files anew
	UPDATE_GOLDEN=1 $(BIN)/pytest -q -m golden

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
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@ .venv/run
