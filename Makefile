# People and CI use the same commands. `make demo` and `make test` need nothing but Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test quick check docs bench constraints clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,peers,dask]'
	touch $@

demo: install
	$(BIN)/cropmap demo

test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Less than 90 seconds: the rooms that compute, without databases, flows and seasons.
ROOMS := assessments breizhcrops dataset disclosure dissemination evidence legends model observations predictions \
	reports results simulation sources statistics
quick: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m 'not slow' $(ROOMS:%=tests/%) tests/test_*.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install
	$(BIN)/cropmap agency-keys --markdown > docs/agency-file.md
	$(BIN)/cropmap catalog-keys --markdown > docs/catalogue-files.md
	$(BIN)/cropmap settings --markdown > docs/settings.md
	$(BIN)/cropmap commands --markdown > docs/commands.md
	$(BIN)/cropmap columns --markdown > docs/columns.md
	$(BIN)/cropmap reasons --markdown > docs/reasons.md
	$(BIN)/cropmap stats formats --markdown > docs/export-formats.md
	$(BIN)/python -m serving.reference > docs/routes.md
	$(BIN)/cropmap db upgrade >&2
	$(BIN)/cropmap db rights --markdown > docs/rights.md

bench: install
	$(BIN)/cropmap bench observe
	$(BIN)/cropmap bench predict

constraints: install
	@{ echo '# Every version that `make install` puts into .venv; written by `make constraints`.'; \
	   $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.txt

clean:
	rm -rf .venv .cropmap build *.egg-info
