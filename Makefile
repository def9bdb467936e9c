# Everything runs in .venv, which each target sets up first; the second time that takes no
# time. CRAFT=1 brings concepts of crops (xplique, TensorFlow: several GB) into `make demo`'s
# environment, and into the tests, which then run in one process: after TensorFlow is loaded no
# window opens. WORKERS is how many processes run them otherwise.
BIN := .venv/bin
lean := pyqt5,batch
WORKERS ?= 2
# Only these files hold tests for PyQt6; to import all others would take longer than to run them.
qt6 = $(shell grep -rlw --include='test_*.py' mark.qt6 tests)
CHECKS := "ruff check" "ruff format --check" mypy lint-imports typos \
	"validate-pyproject pyproject.toml" "npe2 validate napari.yaml"
workers = $(if $(filter-out 0,$(CRAFT)),0,$(WORKERS))
extras = $(if $(filter-out 0,$(CRAFT)),all,$(lean))

.PHONY: demo test test-pyqt5 test-pyqt6 test-slow lint docs setup-demo setup-dev clean

demo: CRAFT ?= 0
demo: setup-demo
	$(BIN)/semxai demo $(DEMO)

# One short run on PyQt6 follows the suite on PyQt5, or goes beside it with `--jobs`.
test: test-pyqt5 test-pyqt6

test-pyqt5: setup-dev
	$(BIN)/python -m pytest -n $(workers) --dist loadscope --no-loadscope-reorder

test-pyqt6: setup-dev
	QT_API=pyqt6 PYTEST_QT_API=pyqt6 $(BIN)/python -m pytest -m "qt6 and not slow" $(qt6)

test-slow: setup-dev
	$(BIN)/python -m pytest -m slow

# All checks run, also after one has failed.
lint: setup-dev
	@failed=0; for check in $(CHECKS); do \
		echo "--- $$check"; $(BIN)/$$check || failed=1; done; exit $$failed

docs: setup-dev
	$(BIN)/mkdocs build --strict

setup-demo:
	@sh scripts/setup.sh demo "$(extras)"

setup-dev: CRAFT ?= 0
setup-dev:
	@sh scripts/setup.sh dev "$(extras)" dev

clean:
	rm -rf .venv build dist site napari_semxai/napari.yaml
