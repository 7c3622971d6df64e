# make demo   build the environment and run the main job on the bundled sample
# make test   build it if needed and run the tests
# make lint   style and types
# make bench  kernels against torch.nn

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: demo test slow lint bench clean

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py $(wildcard seqcli/nn/native/*.cpp seqcli/nn/native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/seqcli classify --cell gru --out $(DEMO)
	printf '%s\n' \
	    'I wish to go to Changsha from Beijing on December 12th' \
	    'please cancel my trip to Xi'"'"'an' \
	    'how much is a ticket to Chengdu in business class' \
	| $(BIN)/seqcli predict $(DEMO)

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

slow: $(VENV)/installed
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python bench/kernels.py

clean:
	rm -rf $(VENV) runs build dist
