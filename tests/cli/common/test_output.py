"""Text for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_semxai.cli.common.output import Output, plain


def test_plain_values() -> None:
    values = {
        "array": np.array([[1, 2]], np.int32),
        "nan": np.float32("nan"),
        "inf": float("inf"),
        "bool": np.bool_(True),
        "path": Path("a"),
        "none": None,
        "tuple": (1.5, "µ"),
    }
    assert plain(values) == {
        "array": [[1, 2]],
        "nan": None,
        "inf": None,
        "bool": True,
        "path": "a",
        "none": None,
        "tuple": [1.5, "µ"],
    }


def test_text_or_json_never_both(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        output = Output(as_json=as_json)
        output.say("hello")
        output.result({"a": float("nan")})
        printed = capsys.readouterr().out
        assert (json.loads(printed) == {"a": None}) if as_json else (printed == "hello\n")


def test_progress_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Output().progress("3 of 4")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    output = Output()
    output.progress("33 of 44")
    output.progress("4 of 4")
    output.say("done")
    captured = capsys.readouterr()
    assert captured.err == "\r33 of 44\r4 of 4  \r      \r"
    assert captured.out == "done\n"


@pytest.mark.parametrize(
    ("failed", "done", "code"),
    [({}, True, 0), ({}, [], 0), ({"a": "a is bad"}, ["b"], 3), ({"a": "a is bad"}, [], 2)],
)
def test_what_failed_is_named_and_is_the_exit_code(
    failed: dict[str, str], done: object, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Output().conclude(failed, done) == code
    assert capsys.readouterr().err == "".join(f"semxai: {text}\n" for text in failed.values())


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error("first\n  second")
    assert capsys.readouterr().err == "semxai: first second\n"
