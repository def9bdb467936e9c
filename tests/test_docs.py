"""What the documentation shows is run, parsed or looked up."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

import napari_semxai
from hatch_build import outside
from napari_semxai.cli.entry import parse_arguments

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
FENCE = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def _blocks(page: Path) -> list[str]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


def _command_lines() -> list[str]:
    lines = [line for page in PAGES for block in _blocks(page) for line in block.splitlines()]
    commands = (line.partition("#")[0].strip().removeprefix(".venv/bin/") for line in lines)
    return sorted({line for line in commands if re.match(r"semxai( |$)", line)})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("line", _command_lines())
def test_command_line_is_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in re.findall(r"--explanations (?:\w+=)?(\S+)", line):
        Path(folder).mkdir()
    parse_arguments(shlex.split(line)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for block in _blocks(page):
        for target in re.findall(r"^make ([\w-]+)", block, flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_change_guide_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    guide = page.partition("## Change guide")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z0-9_/]+\.py)`", guide)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / "napari_semxai" / path).is_file()] == []


def test_files_that_are_named_are_there() -> None:
    rooms = "benchmarks|napari_semxai|scripts|tests|training"
    file = re.compile(rf"\b(?:{rooms})/[\w/]+\.(?:csv|py|safetensors)\b")
    pages = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "training" / "README.md"]
    named = {name for page in pages for name in file.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_feature_folder_tells_its_story() -> None:
    folders = list((ROOT / "napari_semxai").glob("*/**/__init__.py"))
    stories = {path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in folders}
    rooms = [path for path in folders if len(path.relative_to(ROOT).parts) > 3]
    assert len(rooms) > 35
    assert [path for path in rooms if len(stories[path].splitlines()) < 3] == []


def test_examples_are_shown_on_a_page() -> None:
    shown = {name for page in PAGES for name in re.findall(r'--8<-- "(\S+)"', page.read_text())}
    assert shown == {path.name for path in EXAMPLES}


def test_readme_shows_the_window_before_anything_is_installed() -> None:
    first_screen = README.partition("\n## ")[0]
    pictures = re.findall(r"!\[[^\]]+\]\((?!https:)([^)]+)\)", first_screen)
    assert pictures == ["docs/images/workbench-mask.png", "docs/images/main-job.gif"]
    assert (ROOT / pictures[1]).stat().st_size < 3_000_000


def test_badges_tell_the_truth() -> None:
    badges = re.findall(r"!\[([^\]]+)\]\(https://img\.shields\.io/badge/([^)]+)\)", README)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: 3."
    versions = [text[len(prefix) - 2 :] for text in project["classifiers"] if prefix in text]
    shown = " | ".join(versions)
    assert badges == [
        (
            f"License: {project['license']}",
            f"license-{project['license'].replace('-', '--')}-blue",
        ),
        (f"Python {', '.join(versions)}", f"python-{quote(shown)}-blue"),
        ("Typed", "typing-typed-blue"),
    ]
    assert (ROOT / "napari_semxai" / "py.typed").is_file()


def test_readme_points_to_files_of_the_repository() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert targets
    assert [path for path in targets if not (ROOT / path).exists()] == []


def test_readme_has_absolute_addresses_outside_the_repository() -> None:
    text = outside(README, "https://example.invalid/semxai")
    addresses = re.findall(r"\]\(([^)]+)\)", text)
    for picture in ("workbench-mask.png", "main-job.gif"):
        assert f"https://example.invalid/semxai/raw/HEAD/docs/images/{picture}" in addresses
    assert "https://example.invalid/semxai/blob/HEAD/docs/tutorial.md" in addresses
    assert all(address.startswith("https://") for address in addresses)


def test_readme_has_no_dead_addresses_where_the_repository_has_none() -> None:
    text = outside(README, None)
    assert all(address.startswith("https://") for address in re.findall(r"\]\(([^)]+)\)", text))
    assert "docs/images" not in text
    # What a link says stays.
    assert "CITATION.cff" in text


def test_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in ("version", "license", "keywords"):
        assert citation[name] == project[name], name
    assert citation["title"] == project["name"]
    assert citation["authors"] == project["authors"]
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year", "doi"} <= set(reference)
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference["doi"])
    assert f"https://doi.org/{citation['references'][0]['doi']}" in README


def test_the_api_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: napari_semxai\.(\w+)$|`(DEFAULT_\w+)`", page, flags=re.MULTILINE)
    assert sorted(map("".join, shown)) == sorted({*napari_semxai.__all__} - {"__version__"})


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    shown = re.findall(r": ([\w-]+\.md)$", navigation, flags=re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_system_libraries_are_those_that_setup_installs() -> None:
    setup = (ROOT / "scripts" / "setup.sh").read_text()
    wanted = re.findall(r"^lib\S+\.so\.\d+ (\S+)$", setup, flags=re.MULTILINE)
    page = (ROOT / "docs" / "install.md").read_text()
    listed = page.partition("sudo apt-get install ")[2].partition("```")[0]
    assert wanted
    assert listed.replace("\\", "").split() == wanted
