"""One bad file costs that file, in every command: it is named, the rest is done, exit code 3."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.store.project.exports import EXPORT_FORMATS

ENCODINGS = ("utf-8", "ascii", "cp437", "latin-1", "cp932", "utf-16")
BYTES = b"quartz\xe9.png"
"""A name that is Latin-1 and no UTF-8."""


def write_picture(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def write_bad(folder: Path, *, bytes_name: bool = True) -> None:
    """Write a picture that is none, and a good one whose name is no text."""
    (folder / "bad.png").write_bytes(b"no picture")
    if bytes_name and sys.platform == "linux":
        good = sorted(folder.glob("[!b]*.png"))[0].read_bytes()
        Path(os.fsdecode(os.fsencode(folder) + b"/" + BYTES)).write_bytes(good)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images, masks, maps and classes: in each of them two bad files beside good ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng, square = np.random.default_rng(0), np.zeros((64, 80))
    square[10:30, 10:30] = 255
    for name in ("µm 晶圆", "δ2", "δ10"):
        image = rng.integers(90, 130, square.shape)
        for folder in ("images", "clean", "set/images"):
            write_picture(tmp_path / folder / f"{name}.png", image)
        for folder in ("masks", "set/masks"):
            write_picture(tmp_path / folder / f"{name}.png", square)
        (tmp_path / "maps").mkdir(exist_ok=True)
        np.save(tmp_path / f"maps/{name}.npy", rng.random(square.shape).astype(np.float32))
    for folder in ("images", "masks", "set/images"):
        write_bad(tmp_path / folder)
    return tmp_path


def run(encoding: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command on a console of this encoding; return code, stdout and stderr."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        code = main(arguments)
    finally:
        sys.stdout, sys.stderr = before
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(encoding))
    return code, *texts


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_projects_and_data_sets(files: Path, encoding: str) -> None:
    init = ("project", "init", "p", "--from", "images")
    take = ("project", "import", "p", "masks", "--annotator", "Jürgen")
    maps = ("--explanations", "maps")
    commands = [
        (3, init),
        (3, ("project", "add", "p", "--from", "images")),
        (3, take),
        (0, ("project", "status", "p")),
        (0, ("project", "export", "p", "-o", "out")),
        (0, ("project", "replay", "p", "--no-network")),
        (3, ("evaluate", "set", "-o", "evaluated", *maps)),
        (3, ("sweep", "set", "-o", "swept", *maps)),
    ]
    for wanted, command in commands:
        code, _, said = run(encoding, *command)
        assert code == wanted, said
        if code == 3:
            assert "bad" in said
            assert sys.platform != "linux" or "quartz" in said
    assert {path.name for path in Path("out").glob("*.png")} == {
        "µm 晶圆.png", "δ2.png", "δ10.png"
    }  # fmt: skip
    code, _, said = run(encoding, "project", "restore", "p", "--annotator", "x", "--image", "δ2")
    assert code == 2
    assert "nothing of x was replaced" in said


@pytest.mark.parametrize("command", ["mask", "explain"])
def test_networks(files: Path, command: str) -> None:
    more = ("--points-per-side", "4") if command == "mask" else ()
    code, _, said = run("ascii", command, "images", "-o", "out", *more)
    assert code == 3
    assert "bad.png" in said
    assert "quartz" in said
    ending = "_mask.png" if command == "mask" else ".npy"
    assert len(list(Path("out").glob(f"*{ending}"))) == 3


# A copy of a KLARF file needs a project that was made from one.
@pytest.mark.parametrize("form", [form for form in EXPORT_FORMATS if form != "klarf"])
@pytest.mark.parametrize("harm", ["mask", "record", "image"])
def test_what_cannot_be_read_is_missing_from_an_export_alone(
    files: Path, form: str, harm: str
) -> None:
    assert run("utf-8", "project", "init", "p", "--from", "clean")[0] == 0
    assert run("utf-8", "project", "import", "p", "masks", "--annotator", "a")[0] == 3
    if harm == "image":
        Path("clean/δ2.png").unlink()
    else:
        folder, ending = ("masks", ".png") if harm == "mask" else ("records", ".json")
        wanted = sorted(Path(f"p/reviews/a/{folder}").glob(f"*{ending}"))[0]
        wanted.write_bytes(b"damaged")
    target = "out" + {"coco-rle": ".json", "coco-polygons": ".json", "measurements": ".csv"}.get(
        form, ""
    )
    code, said, told = run("utf-8", "project", "export", "p", "-o", target, "--format", form)
    # Masks alone need no images.
    needed = harm != "image" or EXPORT_FORMATS[form].copies
    assert code == (3 if needed else 0), told
    assert f"{2 if needed else 3} masks" in said
    if harm == "image" and needed:
        assert "δ2.png" in told


def test_folders_whose_names_are_no_text(files: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems have no such names")
    folder = os.fsdecode(b"lot\xe9")
    Path(folder).mkdir()
    code, _, told = run("ascii", "project", "init", f"{folder}/p", "--from", "clean")
    assert code == 2
    assert "the name is not UTF-8; rename it" in told
    assert not list(Path(folder).iterdir())
    Path("maps").rename(f"{folder}/maps")
    maps = ("--explanations", f"{folder}/maps")
    assert run("ascii", "evaluate", "set", "-o", f"{folder}/out", *maps)[0] == 3
    assert Path(f"{folder}/out/evaluation.json").is_file()
