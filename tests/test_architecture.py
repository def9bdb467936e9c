"""What import-linter's contracts do not say: no cycles anywhere, and files that can be read."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "napari_semxai").rglob("*.py"))
# Cycles that are still to be cut; one that is gone must go from here, too.
FILE_CYCLES: list[set[str]] = []
FOLDER_CYCLES: list[set[str]] = []
# Likewise for files over 400 lines and function bodies over 50.
TOO_BIG: list[str] = []
# More files than this, or more that one other file alone imports, were split too far.
MOST_FILES, MOST_WITH_ONE_IMPORTER = 256, 51


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _name(path: Path) -> str:
    return _module(path).partition(".")[2]


@cache
def _imports() -> dict[str, set[str]]:
    """Return what each module imports of the package, also inside functions and for types."""
    modules = {_module(path) for path in FILES}
    found: dict[str, set[str]] = {}
    for path in FILES:
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= inside & modules or {str(node.module)}
        found[_module(path)] = names & modules
    return found


def _cycles(edges: dict[str, set[str]]) -> list[set[str]]:
    nodes = sorted(edges)
    matrix = np.zeros((len(nodes), len(nodes)), dtype=bool)
    for row, name in enumerate(nodes):
        matrix[row, [nodes.index(other) for other in edges[name]]] = True
    count, groups = connected_components(matrix, connection="strong")
    cycles = [set(np.array(nodes)[groups == group].tolist()) for group in range(count)]
    return [{name.partition(".")[2] for name in cycle} for cycle in cycles if len(cycle) > 1]


def _same(found: list[set[str]], known: list[set[str]]) -> bool:
    return sorted(map(sorted, found)) == sorted(map(sorted, known))


def test_no_cycle_of_files() -> None:
    found = _cycles(_imports())
    assert _same(found, FILE_CYCLES), found


def test_no_cycle_of_folders() -> None:
    folders = {_module(path): _module(path.parent) for path in FILES}
    edges: dict[str, set[str]] = {folder: set() for folder in folders.values()}
    for module, names in _imports().items():
        for name in names:
            edges[folders[module]].add(folders[name])
    # What stands beside the rooms puts them together, and a room's own `__init__` is its door.
    edges = {folder: names for folder, names in edges.items() if folder != "napari_semxai"}
    found = _cycles({folder: names & set(edges) for folder, names in edges.items()})
    assert _same(found, FOLDER_CYCLES), found


def test_cycles_are_found() -> None:
    edges = {"p.a": {"p.b"}, "p.b": {"p.c"}, "p.c": {"p.b"}, "p.d": {"p.d"}}
    assert _cycles(edges) == [{"b", "c"}]


def test_sizes() -> None:
    too_big = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 400:
            too_big.append(_name(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and body[-1].end_lineno - body[0].lineno >= 50:
                    too_big.append(f"{_name(path)}.{node.name}")
    assert too_big == TOO_BIG


def test_files_are_things_of_their_own() -> None:
    files = {_module(path) for path in FILES if path.name != "__init__.py"}
    assert len(files) <= MOST_FILES
    importers: dict[str, set[str]] = {}
    for module, names in _imports().items():
        for name in names:
            importers.setdefault(name, set()).add(module)
    # Such a file belongs to its importer, unless it is a dock, a panel or an algorithm.
    single = sorted(name for name in files if len(importers.get(name, ())) == 1)
    assert len(single) <= MOST_WITH_ONE_IMPORTER, single


def test_tests_stand_alone_and_wait_for_what_they_need() -> None:
    """What several tests share is in a `conftest.py` or a module that holds no tests."""
    of_a_test = re.compile(r"^\s*(from|import) tests\b.*\btest_", flags=re.MULTILINE)
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    assert [str(path) for path, text in texts.items() if of_a_test.search(text)] == []
    # A wait of some length is too short on a busy machine and too long on any other.
    waits = [str(path) for path, text in texts.items() if "qWait" + "(" in text]
    assert waits == []
