"""The command as a whole: help, errors in one line, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_semxai import __version__
from napari_semxai.cli import commands, entry, main
from napari_semxai.cli.commands import window

COMMANDS = [
    ["demo"],
    ["evaluate"],
    ["explain"],
    ["mask"],
    ["models"],
    ["models", "list"],
    ["models", "download"],
    ["models", "import"],
    ["models", "verify"],
    ["project"],
    ["survey"],
    ["sweep"],
    ["train-classifier"],
    ["window"],
]


@pytest.mark.parametrize("command", [[], *COMMANDS])
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert "usage: semxai" in capsys.readouterr().out


def test_every_command_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    listed = {words[0] for words in lines if words}
    assert listed >= {command[0] for command in COMMANDS}


def test_every_file_of_a_command_is_listed() -> None:
    files = Path(commands.__file__).parent.glob("[!_]*.py")
    names = {file.stem.replace("_", "-") for file in files if "def add_parser" in file.read_text()}
    assert names == set(entry._COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["nonsense"], "nonsense"),
        (["mask"], "IMAGE|FOLDER"),
        (["mask", "a.png"], "--output"),
        (["mask", "a.png", "-o", "out", "--beta", "7"], "7 is not between 0 and 1"),
        (["mask", "a.png", "-o", "out", "--beta", "nan"], "“nan” is not a number"),
        (["mask", "a.png", "-o", "out", "--alpha", "much"], "much"),
        (["mask", "a.png", "-o", "out", "--connectivity", "6"], "6"),
        (["mask", "a.png", "-o", "out", "--ignore-border", "-3"], "--ignore-border"),
        (["mask", "a.png", "-o", "out", "--ignore-border", "some"], "neither auto nor a number"),
        (["mask", "a.png", "-o", "out", "--points-per-side", "0"], "0 is less than 1"),
        (["models"], "COMMAND"),
        (["models", "download"], "MODEL"),
        (["models", "download", "sam9"], "sam9: not an official model"),
        (["mask", "none.png", "-o", "out"], "none.png: no such file or folder"),
    ],
)
def test_bad_input_is_2_and_one_line(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert fault in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_keyboard_interrupt_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(window, "run", interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "semxai: stopped\n"


def test_without_a_command_the_window_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    options = entry.make_parser().parse_args([])
    assert options.run is window.run
    assert options.files == []


@pytest.mark.parametrize("names", [["a.tif"], ["a.tif", "b.PNG"], ["scan 7"]])
def test_images_without_a_command_open_the_window(
    names: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[list[Path]] = []
    monkeypatch.setattr(window, "run", lambda options, output: given.append(options.files) or 0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan 7").touch()
    (tmp_path / "mask").touch()
    assert main(names) == 0
    assert given == [[Path(name) for name in names]]
    # A command goes before a file of its name.
    assert main(["mask", "--help"]) == 0
    assert len(given) == 1


def test_an_image_may_begin_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-o.png").touch()
    options = entry.parse_arguments(["mask", "-o.png", "-o", "out"])
    assert [path.name for path in options.inputs] == ["-o.png"]
    assert options.output.name == "out"
    assert entry.parse_arguments(["-o.png"]).files == [Path("-o.png")]


@pytest.mark.parametrize("encoding", ["cp932", "ascii"])
def test_what_the_console_cannot_show_is_replaced(encoding: str, tmp_path: Path) -> None:
    gray = np.random.default_rng(0).integers(90, 130, (40, 56)).astype(np.uint8)
    gray[10:25, 20:40] = 220
    header = "[Scan]\r\nPixelWidth=2.5e-09\r\nPixelHeight=2.5e-09\r\n"
    for name in ("a", "Größe 晶"):
        tags = [(34682, "s", 0, header, True)]
        tifffile.imwrite(tmp_path / f"{name}.tif", gray, extratags=tags)
    (tmp_path / "µ.tif").write_bytes(b"II*\0")
    arguments = ["mask", str(tmp_path), "-o", str(tmp_path / "out"), "--points-per-side", "2"]
    run = subprocess.run(
        [sys.executable, "-m", "napari_semxai", *arguments],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    said, told = run.stdout.decode(encoding), run.stderr.decode(encoding)
    assert run.returncode == 3, told
    assert "Traceback" not in told
    assert "a damaged TIFF" in told or "cannot be read" in told
    assert "2 images in" in said
    assert len(list((tmp_path / "out").glob("*_mask.png"))) == 2


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("utf-8", "α 2 µm 晶"), ("cp1252", "alpha 2 µm ?"), ("ascii", "alpha 2 um ?")],
)
def test_signs_that_the_encoding_lacks_are_spelled(encoding: str, printed: str) -> None:
    code = (
        "from napari_semxai.cli import main; main(['--version']);"
        r"print('\u03b1 2 \xb5m \u6676')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode(encoding).splitlines()[1] == printed


def test_parsing_imports_no_network_and_no_qt() -> None:
    code = (
        "import sys; from napari_semxai.cli import main; main(['models', 'list']);"
        "sys.exit(bool({'torch', 'qtpy', 'napari', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr


def test_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "napari_semxai", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == f"semxai {__version__}\n"
