"""The package as a stranger installs it: manifest, entry points, import cost."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "napari.yaml"
HEAVY = ("torch", "torchvision", "sam2", "cv2", "tensorflow", "pytorch_grad_cam", "xplique")
WINDOW = ("qtpy", "PyQt5", "PyQt6", "napari", "magicgui", "superqt", "vispy")
ADDRESS = "https://example.invalid/semxai"
HOW = ("wheel", "sdist", "editable")

ASK_NPE2 = """
import importlib.metadata, json, sys
import napari_semxai
from npe2 import PluginManifest
found = PluginManifest.from_distribution("napari-semxai")
scripts = importlib.metadata.entry_points(group="console_scripts", name="semxai")
about = importlib.metadata.metadata("napari-semxai")
json.dump({
    "manifest": json.loads(found.json()),
    "readme": about.get_payload() or about["Description"],
    "urls": about.get_all("Project-URL"),
    "package": napari_semxai.__file__,
    "scripts": [script.value for script in scripts],
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of what a clone holds, without the link of this tree's own install."""
    copy = tmp_path_factory.mktemp("source") / "napari-semxai"
    copy.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "napari.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copy(ROOT / ".gitignore", copy)
    _give_an_address(copy / "pyproject.toml")
    skip = shutil.ignore_patterns("napari.yaml", "__pycache__")
    shutil.copytree(ROOT / "napari_semxai", copy / "napari_semxai", ignore=skip)
    return copy


def _give_an_address(project: Path) -> None:
    """Put ours in place of the repository's address, or where it has none yet."""
    text = re.sub(r"^Source = .*\n", "", project.read_text(), flags=re.MULTILINE)
    project.write_text(text.replace("[project.urls]", f'[project.urls]\nSource = "{ADDRESS}"'))


def _run(*command: str | Path, cwd: Path) -> str:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _empty_environment(folder: Path) -> Path:
    """Make an environment that sees this one's libraries but not its napari-semxai."""
    venv.create(folder, symlinks=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    # A path in a .pth file comes after the environment's own and its .pth files are not read.
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"


@pytest.fixture(scope="module", params=HOW)
def installed(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What npe2 and importlib see after an offline install from a wheel, sdist or tree."""
    folder = tmp_path_factory.mktemp(request.param)
    python = _empty_environment(folder / "environment")
    what = [str(source)]
    if request.param == "editable":
        what = ["--editable", *what]
    elif request.param in ("wheel", "sdist"):
        _run(sys.executable, "-m", "hatchling", "build", "-t", request.param, "-d", folder,
             cwd=source)  # fmt: skip
        what = [str(next(folder.glob("napari_semxai-*")))]
    _run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", *what, cwd=folder)  # fmt: skip
    answer: dict[str, Any] = json.loads(_run(python, "-c", ASK_NPE2, cwd=folder))
    answer["how"] = request.param
    answer["environment"] = folder / "environment"
    return answer


def test_npe2_sees_the_manifest(installed: dict[str, Any]) -> None:
    want = json.loads(PluginManifest.from_file(MANIFEST).json())
    found = installed["manifest"]
    assert found["contributions"] == want["contributions"]
    assert found["package_metadata"]["name"] == "napari-semxai"


def test_package_comes_from_where_it_was_installed(
    installed: dict[str, Any], source: Path
) -> None:
    home = source if installed["how"] == "editable" else installed["environment"]
    assert Path(installed["package"]).is_relative_to(home)


def test_semxai_command_is_installed(installed: dict[str, Any]) -> None:
    assert "napari_semxai.cli:main" in installed["scripts"]
    assert list((installed["environment"]).glob("*/semxai*"))


def test_weights_travel_with_the_package(installed: dict[str, Any]) -> None:
    shipped = {path.name for path in (ROOT / "napari_semxai" / "weights").glob("*.*")}
    found = Path(installed["package"]).parent.glob("weights/*.*")
    assert shipped
    assert {path.name for path in found} == shipped


def test_types_travel_with_the_package(installed: dict[str, Any]) -> None:
    assert (Path(installed["package"]).parent / "py.typed").is_file()


def test_readme_travels_with_addresses_that_work_anywhere(installed: dict[str, Any]) -> None:
    readme = installed["readme"]
    assert readme.startswith("# napari-semxai")
    assert f"]({ADDRESS}/raw/HEAD/docs/images/workbench-mask.png)" in readme
    assert not re.search(r"\]\((?!https://)", readme)
    assert f"Source, {ADDRESS}" in installed["urls"]


def test_installing_again_replaces_the_link(source: Path, tmp_path: Path) -> None:
    """Two editable installs in a row, the second over a stale copy."""
    python = _empty_environment(tmp_path / "environment")
    beside = source / "napari_semxai" / "napari.yaml"
    beside.unlink(missing_ok=True)
    beside.write_text("stale")
    _run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check", "--editable", source,
         cwd=tmp_path)  # fmt: skip
    assert beside.read_text() == MANIFEST.read_text()


def test_where_links_are_refused_the_manifest_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    hook = importlib.import_module("hatch_build")
    (tmp_path / "napari_semxai").mkdir()
    source, target = tmp_path / "napari.yaml", tmp_path / "napari_semxai" / "napari.yaml"
    shutil.copyfile(MANIFEST, source)

    def refuse(*_arguments: Any) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    hook._link(source, target)
    assert not target.is_symlink()
    assert target.read_text() == MANIFEST.read_text()


def test_every_command_of_the_manifest_can_be_called() -> None:
    for command in PluginManifest.from_file(MANIFEST).contributions.commands or []:
        module, _, name = str(command.python_name).partition(":")
        assert callable(getattr(importlib.import_module(module), name)), command.id


def test_menu_entries_stand_where_napari_takes_them() -> None:
    from napari._app_model.constants import MenuId

    menus = PluginManifest.from_file(MANIFEST).contributions.menus
    assert menus
    assert set(menus) <= {str(menu.value) for menu in MenuId.contributables()}


def test_version_is_the_same_everywhere() -> None:
    import napari_semxai

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert napari_semxai.__version__ == project["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest
    assert newest[1] == project["version"]


def test_import_is_light() -> None:
    """Under 0.3 s of processor time (a busy machine stretches the wall clock), no Qt, no torch."""
    code = (
        "import json, sys, time; start = time.process_time(); import napari_semxai;"
        "json.dump([time.process_time() - start, sorted(sys.modules)], sys.stdout)"
    )
    runs = [json.loads(_run(sys.executable, "-c", code, cwd=ROOT)) for _ in range(3)]
    assert min(seconds for seconds, _ in runs) < 0.3
    assert not set(HEAVY + WINDOW) & set(runs[0][1])
