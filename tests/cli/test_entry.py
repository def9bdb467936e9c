"""The command as a whole: help, errors in one line, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_semxai import __version__
from napari_semxai.cli import entry, main, window

COMMANDS = [
    ["demo"],
    ["mask"],
    ["models"],
    ["models", "list"],
    ["models", "download"],
    ["models", "import"],
    ["models", "verify"],
    ["window"],
]


@pytest.mark.parametrize("command", [[], *COMMANDS])
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert "usage: semxai" in capsys.readouterr().out


def test_the_window_command_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    listing = capsys.readouterr().out
    assert "demo" in listing
    assert "window" not in listing


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
        (["mask", "a.png", "-o", "out", "--beta", "nan"], "nan is not a finite number"),
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


def test_parsing_imports_no_network_and_no_qt() -> None:
    code = (
        "import sys; from napari_semxai.cli import main; main(['models', 'list']);"
        "sys.exit(bool({'torch', 'qtpy', 'napari', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr


def test_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "napari_semxai.cli", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == f"semxai {__version__}\n"
